//! Whose an address is that the kernel has already: left over by a process that was killed, or somebody else's. What this
//! server adds always ends by itself within seconds; nothing else does.

use std::io;

use ipnet::IpNet;

use super::kernel::Kernel;
use super::wire::Entry;
use crate::limits::LEFTOVER_LIFETIME_S;

/// What the kernel has of the virtual addresses.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Left over by an earlier process of this server.
    pub left_over: Vec<Entry>,
    /// Put there by somebody else.
    pub foreign: Vec<Entry>,
}

/// Sorts the entries that are virtual addresses, on whatever interface.
pub fn sort(entries: &[Entry], wanted: &[IpNet]) -> Found {
    let ours = entries.iter().filter(|entry| wanted.iter().any(|net| net.addr() == entry.ip));
    let (left_over, foreign) = ours.copied().partition(|entry| is_left_over(*entry));
    Found { left_over, foreign }
}

/// Whether an entry ends by itself within seconds.
pub fn is_left_over(entry: Entry) -> bool {
    entry.valid_s.is_some_and(|valid| valid <= LEFTOVER_LIFETIME_S)
}

/// Removes what is left over. Says what it removed, and what it left because it is somebody else's.
///
/// # Errors
/// What the operating system says; without `CAP_NET_ADMIN` it is not permitted.
pub fn sweep(kernel: &mut Kernel, wanted: &[IpNet]) -> io::Result<Found> {
    let found = sort(&kernel.entries()?, wanted);
    for entry in &found.left_over {
        if let Ok(net) = IpNet::new(entry.ip, entry.prefix) {
            kernel.remove(net, entry.index)?;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_within_seconds_is_left_over_and_what_stays_is_somebody_elses() {
        let entry = |ip: &str, valid_s| Entry { ip: ip.parse().unwrap(), prefix: 24, index: 2, valid_s };
        let entries = [
            entry("192.0.2.1", None),
            entry("192.0.2.10", Some(2)),
            entry("192.0.2.11", None),
            entry("2001:db8::10", Some(86_400)),
            entry("2001:db8::11", Some(0)),
        ];
        let wanted: Vec<IpNet> = ["192.0.2.10/32", "192.0.2.11/32", "2001:db8::10/128", "2001:db8::11/128"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        let found = sort(&entries, &wanted);
        assert_eq!(found.left_over, [entries[1], entries[4]]);
        assert_eq!(found.foreign, [entries[2], entries[3]]);
    }
}
