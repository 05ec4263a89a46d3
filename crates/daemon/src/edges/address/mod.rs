//! The virtual addresses of a site: where phones, trunks and desktops find whichever of its servers serves now.
//!
//! With `virtual-address-by = "netlink"` this process adds them to an interface, tells the neighbours and takes them away
//! again: [`plan`] decides when, by a clock that is an argument; [`holder`] carries it out on a thread of its own;
//! [`addresses`] is the kernel's table ([`kernel`], [`wire`]) and the neighbours ([`announcer`], [`frames`]). With `"notify"`
//! keepalived moves them and says so ([`told`]).

mod addresses;
mod announcer;
mod frames;
mod holder;
mod interface;
mod kernel;
mod leftover;
pub mod page;
mod plan;
pub mod told;
mod wire;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use serde::Serialize;
use socket2::{SockRef, Socket};
use tokio::sync::watch;

use crate::config::{AddressBy, VirtualAddress};
pub use holder::AddressHolder;
use interface::NoInterface;
use kernel::Kernel;
use told::Told;

/// Why the virtual addresses cannot be held.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// The interface will not do.
    #[error("virtual-interface: {0}")]
    Interface(NoInterface),
    /// This process may not.
    #[error(
        "this process may not {what}: it needs {right} (see the units in packaging/systemd, or `setcap`)"
    )]
    Right {
        /// To do what.
        what: &'static str,
        /// What it lacks.
        right: &'static str,
    },
    /// The address is on this machine for good.
    #[error(
        "virtual-address {ip} is already on this machine (interface number {index}), and stays there: somebody else put it \
         there. Remove it (`ip addr del {ip}/{prefix} dev …`, and wherever it is configured), or, if another program moves it, \
         write virtual-address-by = \"notify\""
    )]
    Foreign {
        /// The address.
        ip: IpAddr,
        /// Length of its prefix there.
        prefix: u8,
        /// Number of its interface.
        index: u32,
    },
    /// Something else.
    #[error(transparent)]
    System(#[from] io::Error),
}

impl AddressError {
    /// That of doing something which needs a right.
    fn of(what: &'static str, right: &'static str, error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::PermissionDenied {
            return Self::Right { what, right };
        }
        Self::System(error)
    }
}

impl From<NoInterface> for AddressError {
    fn from(error: NoInterface) -> Self {
        Self::Interface(error)
    }
}

/// What is held.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// On which interface.
    pub interface: String,
    /// Whether that has a carrier.
    pub link: bool,
    /// Since when; `None`: the addresses are not to be here.
    pub since: Option<Instant>,
    /// How often they were taken.
    pub takeovers: u64,
    /// How often they were dropped because the lease ended without being extended.
    pub lapses: u64,
    /// Each of them.
    pub addresses: Vec<OneStatus>,
}

impl Held {
    /// The first address that is not here, and why.
    pub fn fault(&self) -> Option<String> {
        let one = self.addresses.iter().find(|one| !one.held)?;
        let why = one.fault.as_deref().unwrap_or("it was not added");
        Some(format!("{}: {why}", one.address))
    }
}

/// One virtual address, as pages show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OneStatus {
    /// The address, with its prefix.
    pub address: String,
    /// Whether this process has put it on this machine.
    pub held: bool,
    /// Why it is not there although it should be, or there although it should not.
    pub fault: Option<String>,
    /// MAC of another machine that said within the last minute that it has it.
    pub claimed_by: Option<String>,
}

/// The virtual addresses of a server, whoever moves them.
pub struct AddressEdge {
    addresses: Vec<IpNet>,
    holder: Option<AddressHolder>,
    told: watch::Sender<Option<Told>>,
}

impl AddressEdge {
    /// As the configuration says; with netlink, see [`AddressHolder::start`].
    ///
    /// # Errors
    /// See [`AddressError`].
    pub fn start(wanted: Option<&VirtualAddress>) -> Result<Arc<Self>, AddressError> {
        let holder = match wanted.map(|wanted| (&wanted.by, &wanted.addresses)) {
            Some((AddressBy::Netlink { interface }, addresses)) => {
                Some(AddressHolder::start(interface, addresses)?)
            }
            Some((AddressBy::Notify, _)) | None => None,
        };
        let addresses = wanted.map(|wanted| wanted.addresses.clone()).unwrap_or_default();
        Ok(Arc::new(Self { addresses, holder, told: watch::Sender::new(None) }))
    }

    /// Whether this process holds addresses itself, and so must [`hold`](Self::hold) them.
    pub fn holds(&self) -> bool {
        self.holder.is_some()
    }

    /// See [`AddressHolder::hold`]; nothing where another program moves the addresses.
    pub fn hold(&self, until: Instant) {
        if let Some(holder) = &self.holder {
            holder.hold(until);
        }
    }

    /// See [`AddressHolder::wait_held`]; true at once where another program moves the addresses.
    pub fn wait_held(&self, within: Duration) -> bool {
        self.holder.as_ref().is_none_or(|holder| holder.wait_held(within))
    }

    /// See [`AddressHolder::stand_down`].
    pub fn stand_down(&self) {
        if let Some(holder) = &self.holder {
            holder.stand_down();
        }
    }

    /// Drops the addresses for good, and waits until they are gone.
    pub fn stop(&self) {
        if let Some(holder) = &self.holder {
            holder.stop();
        }
    }

    /// What is held; `None` where this process does not hold them.
    pub fn held(&self) -> Option<Held> {
        self.holder.as_ref().map(AddressHolder::held)
    }

    /// What keepalived says, as it changes; `None`: nothing yet.
    pub fn told(&self) -> watch::Receiver<Option<Told>> {
        self.told.subscribe()
    }
}

/// Whether an address that a socket is bound to is always there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is, and a machine that lacks it is misconfigured.
    Always,
    /// It comes and goes.
    AtTimes,
}

impl Presence {
    /// That of an address.
    pub fn of(ip: IpAddr, virtual_address: Option<&VirtualAddress>) -> Self {
        if virtual_address.is_some_and(|moves| moves.has(ip)) { Self::AtTimes } else { Self::Always }
    }

    /// Lets a socket be bound to an address before it comes, and stay bound when it has gone: a backup opens its sockets long
    /// before the takeover. Sends without the address fail (`ENETUNREACH`, `EINVAL`).
    ///
    /// # Errors
    /// What the operating system says.
    pub fn prepare(self, socket: &Socket, addr: SocketAddr) -> io::Result<()> {
        match (self, addr.is_ipv4()) {
            (Self::Always, _) => Ok(()),
            (Self::AtTimes, true) => socket.set_freebind_v4(true),
            (Self::AtTimes, false) => socket.set_freebind_v6(true),
        }
    }

    /// Lets the connections of a listener be closed when their address has gone elsewhere (`IP_TRANSPARENT`, which they have
    /// from it): the kernel says so in the address's name when the process that served ends, and a phone knows at once
    /// that it must connect anew. Without `CAP_NET_ADMIN` phones find that out by themselves.
    pub fn closes_when_gone(self, listener: &std::net::TcpListener, addr: SocketAddr) {
        let socket = SockRef::from(listener);
        let done = match (self, addr.is_ipv4()) {
            (Self::Always, _) => Ok(()),
            (Self::AtTimes, true) => socket.set_ip_transparent_v4(true),
            (Self::AtTimes, false) => socket.set_ip_transparent_v6(true),
        };
        if let Err(error) = done {
            tracing::info!(%addr, %error, "phones will not be told that their connections are closed when the address goes");
        }
    }
}

/// Removes virtual addresses that a process left which was killed; says which, and which it left to somebody else.
///
/// # Errors
/// See [`AddressError`].
pub fn sweep(wanted: &[IpNet]) -> Result<(Vec<IpAddr>, Vec<IpAddr>), AddressError> {
    let found = leftover::sweep(&mut Kernel::open()?, wanted)
        .map_err(|error| AddressError::of("remove addresses", "CAP_NET_ADMIN", error))?;
    let ips = |entries: Vec<wire::Entry>| entries.into_iter().map(|entry| entry.ip).collect();
    Ok((ips(found.left_over), ips(found.foreign)))
}
