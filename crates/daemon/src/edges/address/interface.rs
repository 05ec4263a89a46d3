//! The interface that carries the virtual addresses: its number, its MAC, whether its cable leads somewhere.

use std::io;

use nix::ifaddrs::getifaddrs;
use nix::libc;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::LinkAddr;

use super::frames::Mac;

/// An Ethernet interface as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its number; another after it was made anew.
    pub index: u32,
    /// Its MAC.
    pub mac: Mac,
    /// Its address for packet sockets.
    pub link: LinkAddr,
    /// Whether it is up and has a carrier.
    pub running: bool,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum NoInterface {
    /// No interface has the name.
    #[error("this machine has no interface {0} (`ip link` lists them)")]
    Unknown(String),
    /// It is none that has neighbours.
    #[error("{0} is no Ethernet interface: nobody there could be told where an address is")]
    NotEthernet(String),
    /// The operating system does not say.
    #[error("the interfaces of this machine cannot be listed: {0}")]
    Unlisted(#[from] io::Error),
}

/// Looks it up by its name.
///
/// # Errors
/// See [`NoInterface`].
pub fn look(name: &str) -> Result<Interface, NoInterface> {
    let found = getifaddrs().map_err(io::Error::from)?.find_map(|one| {
        let link = (one.interface_name == name).then_some(one.address?)?;
        Some((*link.as_link_addr()?, one.flags))
    });
    let (link, flags) = found.ok_or_else(|| NoInterface::Unknown(name.to_owned()))?;
    let mac = link.addr().filter(|_| link.hatype() == libc::ARPHRD_ETHER && link.halen() == 6);
    let mac = mac.ok_or_else(|| NoInterface::NotEthernet(name.to_owned()))?;
    let running = flags.contains(InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING);
    let index = u32::try_from(link.ifindex()).unwrap_or_default();
    Ok(Interface { index, mac: Mac(mac), link, running })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_that_cannot_carry_an_address_is_refused_by_name() {
        assert!(matches!(look("lo"), Err(NoInterface::NotEthernet(_))));
        let unknown = look("no-such-if").unwrap_err();
        assert!(unknown.to_string().contains("no interface no-such-if"), "{unknown}");
    }
}
