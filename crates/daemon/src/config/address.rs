//! The virtual addresses in `[ha]`: which they are, on which interface, and who moves them.

use std::net::IpAddr;

use ipnet::IpNet;
use tandem_switch::directory::Listen;

use super::reader::{Located, Reader, Section};
use crate::limits::MAX_VIRTUAL_ADDRESSES;

/// Addresses that move between the servers of a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualAddress {
    /// Which.
    pub addresses: Vec<IpNet>,
    /// Who moves them.
    pub by: AddressBy,
}

/// Who moves virtual addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressBy {
    /// This server, by netlink.
    Netlink {
        /// On this interface.
        interface: String,
    },
    /// Another program, such as keepalived, which says so.
    Notify,
}

impl VirtualAddress {
    /// Whether an address comes and goes.
    pub fn has(&self, ip: IpAddr) -> bool {
        self.addresses.iter().any(|net| net.addr() == ip)
    }
}

#[derive(Clone, Copy)]
enum Word {
    Netlink,
    Notify,
    None,
}

/// Reads the three keys.
pub fn read(reader: &Reader, table: &mut Section<'_>, listen: &[Listen]) -> Option<VirtualAddress> {
    let expected = "an address such as \"192.0.2.10\" or \"2001:db8::10\"";
    let addresses = table.list("virtual-address", expected, address);
    let interface = table.parsed("virtual-interface", "the name of an interface, such as \"eth0\"", name);
    let words = [("netlink", Word::Netlink), ("notify", Word::Notify), ("none", Word::None)];
    let word = table.choice("virtual-address-by", &words);
    let Some(addresses) = addresses else {
        let word = match word {
            Some(Word::Netlink) => "netlink",
            Some(Word::Notify) => "notify",
            Some(Word::None) | None => {
                unused(reader, interface.as_ref());
                return None;
            }
        };
        let text = format!("`virtual-address-by` of [ha] is \"{word}\", and no address is named");
        reader.fault(table.at(), text, "add virtual-address = [\"192.0.2.10\"]");
        return None;
    };
    check(reader, table, &addresses, listen);
    let by = match word.unwrap_or(Word::Netlink) {
        Word::Netlink => {
            let interface = table.required("virtual-interface", interface, "\"eth0\"")?;
            AddressBy::Netlink { interface: interface.value }
        }
        Word::Notify => {
            unused(reader, interface.as_ref());
            AddressBy::Notify
        }
        Word::None => {
            let text = "`virtual-address-by` of [ha] is \"none\", and an address is named";
            reader.fault(
                table.at(),
                text,
                "remove virtual-address, or say who moves it: \"netlink\" or \"notify\"",
            );
            return None;
        }
    };
    Some(VirtualAddress { addresses: addresses.into_iter().map(|found| found.value).collect(), by })
}

fn unused(reader: &Reader, interface: Option<&Located<String>>) {
    if let Some(interface) = interface {
        let hint = "remove it, or write virtual-address-by = \"netlink\"";
        reader.fault(interface.at.clone(), "`virtual-interface` of [ha] is for netlink only", hint);
    }
}

fn check(reader: &Reader, table: &Section<'_>, addresses: &[Located<IpNet>], listen: &[Listen]) {
    if addresses.is_empty() && reader.is_clean() {
        reader.fault(table.at(), "`virtual-address` of [ha] is empty", "name an address, or remove the key");
    }
    if let Some(beyond) = addresses.get(MAX_VIRTUAL_ADDRESSES) {
        let hint = format!("at most {MAX_VIRTUAL_ADDRESSES}");
        reader.fault(beyond.at.clone(), "`virtual-address` of [ha] names too many", hint);
    }
    for (position, found) in addresses.iter().enumerate() {
        let ip = found.value.addr();
        if addresses.iter().take(position).any(|earlier| earlier.value.addr() == ip) {
            reader.fault(
                found.at.clone(),
                "`virtual-address` of [ha] names this address twice",
                "remove one",
            );
        }
        let heard = |one: &Listen| {
            let at = one.addr.ip();
            at == ip || at.is_unspecified() && at.is_ipv4() == ip.is_ipv4()
        };
        // What `listen` says wrongly is told elsewhere.
        if !listen.is_empty() && !listen.iter().any(heard) {
            let text = format!("`virtual-address` of [ha]: nothing listens at {ip}");
            reader.fault(found.at.clone(), text, "add it to `listen` of [application]");
        }
    }
}

/// An address with or without its prefix.
fn address(text: &str) -> Result<IpNet, String> {
    let plain = text.parse::<IpAddr>().map(IpNet::from);
    let net =
        plain.or_else(|_| text.parse::<IpNet>()).map_err(|_| format!("\"{text}\" is not an address"))?;
    let usable = match net.addr() {
        IpAddr::V4(ip) => {
            !(ip.is_unspecified()
                || ip.is_loopback()
                || ip.is_multicast()
                || ip.is_broadcast()
                || ip.is_link_local())
        }
        IpAddr::V6(ip) => {
            !(ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || ip.is_unicast_link_local())
        }
    };
    if usable { Ok(net) } else { Err(format!("{} cannot move between servers", net.addr())) }
}

/// As the kernel takes them (dev_valid_name).
fn name(text: &str) -> Result<String, String> {
    let fine = (1..=15).contains(&text.len())
        && !matches!(text, "." | "..")
        && text.chars().all(|c| !c.is_whitespace() && !c.is_control() && !"/:".contains(c));
    if fine { Ok(text.to_owned()) } else { Err(format!("\"{text}\" cannot be the name of an interface")) }
}
