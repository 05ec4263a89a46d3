//! Who is let in, and how often: lock-outs after wrong credentials, limits per source, scanners, networks, and what an
//! Extension may spend on calls that leave the switch.
//!
//! The order of the checks is that of [`Node`](crate::Node)'s door. Emergency calls pass all of them.

pub mod emergency;
pub mod incident;
pub mod ledger;
pub(crate) mod locked;
pub mod locks;
pub mod policy;
pub mod scanners;
pub mod sources;

use std::net::{IpAddr, Ipv6Addr};

pub use emergency::Emergency;
pub use incident::{Incident, Offence};
pub use ledger::{Bill, Ledger, TollLimits, TollRule};
pub use locks::Locks;
pub use policy::{Manner, Policy};
pub(crate) use sources::Bucket;
pub use sources::Sources;

/// What is remembered of sources.
#[derive(Debug, Default)]
pub struct Guard {
    /// Who is locked out, and who is on the way there.
    pub locks: Locks,
    /// How fast sources come.
    pub sources: Sources,
}

/// The source that addresses are counted by: an IPv4 address, or the /64 of an IPv6 address, which one customer has.
#[must_use]
pub fn source_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::source_of;

    #[test]
    fn a_source_is_an_ipv4_address_or_the_64_of_an_ipv6_address() {
        for (ip, source) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ] {
            assert_eq!(source_of(ip.parse().unwrap()), source.parse::<std::net::IpAddr>().unwrap());
        }
    }
}
