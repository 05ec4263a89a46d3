//! Who is cut off: the peer, the parties of the drill, and a share of the real Extensions with the desktops of the
//! agents who work there.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use sha2::{Digest, Sha256};
use tandem_sip::{Flow, HeaderName, Message, Method, NameAddr, Transport, Uri};

use super::{Fate, Kind, Order};
use crate::limits::{MAX_DRILL_ADDRESSES, MAX_DRILL_DELAYED};

/// What the server knew when the order came.
#[derive(Debug, Default)]
pub struct Known {
    /// Where the peer is reached, and the networks that are its too.
    pub peer: (Option<SocketAddr>, Vec<IpNet>),
    /// Extensions and Trunks with their addresses.
    pub devices: Vec<(Box<str>, SocketAddr)>,
    /// Numbers of Extensions.
    pub extensions: BTreeSet<Arc<str>>,
    /// Agents at their desktops: persons with the DNs that they have registered.
    pub desktops: Vec<(Arc<str>, Arc<str>)>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Cut {
    peer: Option<SocketAddr>,
    networks: Vec<IpNet>,
    /// Where the drill's parties speak from; with site-loss they are cut off.
    parties: HashSet<IpAddr>,
    /// Where Extensions of the share are reached.
    addresses: HashSet<SocketAddr>,
    /// Where others are reached: never cut off, whoever registers from there.
    shared: BTreeSet<SocketAddr>,
    share: u8,
    extensions: BTreeSet<Arc<str>>,
    spared: BTreeSet<Box<str>>,
    persons: BTreeSet<Arc<str>>,
    devices: Vec<Box<str>>,
}

/// Whether a number belongs to the share: always the same ones, and those of a small share are among those of a large one.
pub fn is_of_share(number: &str, percent: u8) -> bool {
    let hash = Sha256::digest(number.as_bytes());
    let first = hash.iter().take(4).fold(0u32, |sum, byte| (sum << 8) | u32::from(*byte));
    first % 100 < u32::from(percent)
}

impl Cut {
    /// Chooses.
    pub fn new(order: &Order, known: Known) -> Self {
        let Known { peer: (peer, networks), devices: reached, extensions, desktops } = known;
        let mut cut = Self { peer, networks, share: order.share, extensions, ..Self::default() };
        cut.parties = order.parties.iter().copied().collect();
        let mut chosen: BTreeMap<SocketAddr, Vec<Box<str>>> = BTreeMap::new();
        for (name, addr) in reached {
            if cut.parties.contains(&addr.ip()) {
                cut.devices.push(name);
            } else if cut.is_chosen(&name) {
                chosen.entry(addr).or_default().push(name);
            } else {
                cut.shared.insert(addr);
            }
        }
        for (addr, names) in chosen {
            if cut.shared.contains(&addr) {
                cut.spared.extend(names);
            } else {
                cut.devices.extend(names);
                cut.addresses.insert(addr);
            }
        }
        let of_share = desktops.into_iter().filter(|(_, dn)| cut.is_chosen(dn));
        cut.persons = of_share.map(|(person, _)| person).collect();
        cut.devices.sort_unstable();
        cut.devices.dedup();
        cut
    }

    /// Whether a number is that of an Extension of the share.
    fn is_chosen(&self, number: &str) -> bool {
        self.share > 0
            && is_of_share(number, self.share)
            && self.extensions.contains(number)
            && !self.spared.contains(number)
    }

    fn is_peer(&self, flow: Flow) -> bool {
        let remote = flow.remote;
        // A connection comes from any port of its host.
        let its = |peer: SocketAddr| {
            peer == remote || (flow.transport != Transport::Udp && peer.ip() == remote.ip())
        };
        self.peer.is_some_and(its) || self.networks.iter().any(|network| network.contains(&remote.ip()))
    }

    fn is_party(&self, remote: SocketAddr) -> bool {
        self.parties.contains(&remote.ip()) || self.addresses.contains(&remote)
    }

    /// The Extension of the share that asks to be registered by this message.
    pub fn registers(&self, kind: Kind, message: &Message) -> Option<Box<str>> {
        if kind != Kind::SiteLoss || self.share == 0 || message.method() != Some(Method::Register) {
            return None;
        }
        let to = NameAddr::parse(message.header(HeaderName::To)?).ok()?;
        self.chosen_of(to.uri().ok()?)
    }

    /// The Extension of the share that a new call is for: its caller, too, must find nobody here.
    fn is_called(&self, message: &Message) -> bool {
        let outside = || message.envelope().is_ok_and(|envelope| envelope.to_tag.is_none());
        self.share > 0
            && message.method() == Some(Method::Invite)
            && outside()
            && message.request_uri().and_then(|uri| self.chosen_of(Uri::parse(uri).ok()?)).is_some()
    }

    fn chosen_of(&self, uri: Uri<'_>) -> Option<Box<str>> {
        let number = String::from_utf8(uri.number()?).ok()?;
        self.is_chosen(&number).then(|| number.into_boxed_str())
    }

    /// Whether a message that arrived is not to be heard.
    pub fn drops_inbound(&self, kind: Kind, flow: Flow, message: &Message) -> bool {
        match kind {
            Kind::SlowLink | Kind::Witness => false,
            Kind::LinkLoss => self.is_peer(flow),
            Kind::SiteLoss => self.is_peer(flow) || self.is_party(flow.remote) || self.is_called(message),
        }
    }

    /// What becomes of a message to this flow.
    pub fn fate(&self, order: &Order, flow: Flow, waiting: usize) -> Fate {
        let dropped = match order.kind {
            Kind::SlowLink if !self.is_peer(flow) => return Fate::Sent,
            Kind::SlowLink if waiting < MAX_DRILL_DELAYED => return Fate::Later(order.delay),
            Kind::SlowLink => true,
            Kind::Witness => false,
            Kind::LinkLoss => self.is_peer(flow),
            Kind::SiteLoss => self.is_peer(flow) || self.is_party(flow.remote),
        };
        if dropped { Fate::Dropped } else { Fate::Sent }
    }

    /// Whether the administration interface is silent for somebody: a site that is lost tells its peer nothing.
    pub fn is_silent(&self, kind: Kind, remote: IpAddr) -> bool {
        let is_peer = self.peer.is_some_and(|peer| peer.ip() == remote);
        kind == Kind::SiteLoss && (is_peer || self.networks.iter().any(|network| network.contains(&remote)))
    }

    /// Whether a client of the CTI interface is kept out.
    pub fn refuses(&self, kind: Kind, remote: IpAddr, person: Option<&str>) -> bool {
        kind == Kind::SiteLoss
            && (self.parties.contains(&remote) || person.is_some_and(|person| self.persons.contains(person)))
    }

    /// Whether this address is cut off already, or is not to be.
    pub fn knows(&self, remote: SocketAddr) -> bool {
        self.addresses.contains(&remote)
            || self.shared.contains(&remote)
            || self.addresses.len() >= MAX_DRILL_ADDRESSES
    }

    /// An Extension of the share is reached there.
    pub fn learn(&mut self, dn: Box<str>, remote: SocketAddr) {
        self.addresses.insert(remote);
        if let Err(place) = self.devices.binary_search(&dn) {
            self.devices.insert(place, dn);
        }
    }

    /// Extensions and Trunks that are cut off, in order.
    pub fn devices(&self) -> &[Box<str>] {
        &self.devices
    }

    /// The same, for good.
    pub fn take_devices(&mut self) -> Vec<Box<str>> {
        std::mem::take(&mut self.devices)
    }

    /// How many Extensions are left alone because they share their address.
    pub fn spared(&self) -> usize {
        self.spared.len()
    }

    /// How many persons are kept out.
    pub fn persons(&self) -> usize {
        self.persons.len()
    }
}
