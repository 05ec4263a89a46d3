//! Where a SIP URI leads (RFC 3263): which names have to be looked up, and in what order the places found are tried.
//!
//! Looking up is the caller's: [`locate`] is a function of the answers known so far, and says what it needs to know next.
//!
//! ```text
//! explicit port ------------------------------------> A/AAAA of the host
//! explicit transport -------------> SRV of it ------> A/AAAA of its targets   (no SRV: A/AAAA of the host)
//! neither -------------> NAPTR ---> SRV ------------> A/AAAA                  (no NAPTR: SRV of what this server speaks)
//! ```
//!
//! Of several services the first that has servers is used: all its servers are tried, and no other service after them.

mod order;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::flow::Transport;
use crate::limits::{MAX_LOCATED, MAX_SERVERS};
use crate::uri::{Host, Scheme, Uri};

pub use order::order;

/// A name to be located.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wanted {
    /// The host, in lower case and without a dot at its end.
    pub host: Box<str>,
    /// The port that stands in the URI.
    pub port: Option<u16>,
    /// The transport that stands in the URI.
    pub transport: Option<Transport>,
    /// It is a sips: URI, or `transport=tls` stands in it.
    pub secure: bool,
}

impl Wanted {
    /// What a URI asks for. `None`: its host is an address, or it cannot be reached by SIP over UDP, TCP or TLS.
    #[must_use]
    pub fn of(uri: &Uri<'_>) -> Option<Self> {
        let Host::Name(host) = uri.host else { return None };
        let secure = match uri.scheme {
            Scheme::Sip => false,
            Scheme::Sips => true,
            Scheme::Tel | Scheme::Other => return None,
        };
        let transport = match uri.params.value(b"transport") {
            None => None,
            Some(token) => Some(Transport::parse(token)?),
        };
        let transport = match (secure, transport) {
            // TCP under TLS is what sips means (RFC 3261 26.2.2).
            (true, Some(Transport::Tcp)) => Some(Transport::Tls),
            (true, Some(Transport::Udp)) | (_, Some(Transport::Ws | Transport::Wss)) => return None,
            (_, transport) => transport,
        };
        let host = std::str::from_utf8(host).ok()?.trim_end_matches('.').to_ascii_lowercase();
        let secure = secure || transport == Some(Transport::Tls);
        (!host.is_empty()).then(|| Self { host: host.into(), port: uri.port, transport, secure })
    }

    /// The transport when nothing else decides (RFC 3263 4.1).
    fn plain_transport(&self) -> Transport {
        self.transport.unwrap_or(if self.secure { Transport::Tls } else { Transport::Udp })
    }
}

/// The transports and address families that this server can send by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Speaks(u16);

impl Speaks {
    fn bit(transport: Transport, v4: bool) -> u16 {
        let place = match transport {
            Transport::Udp => 0,
            Transport::Tcp => 2,
            Transport::Tls => 4,
            // Nobody listens in a browser.
            Transport::Ws | Transport::Wss => return 0,
        };
        1 << (place + u16::from(v4))
    }

    /// The same and this.
    #[must_use]
    pub fn with(self, transport: Transport, v4: bool) -> Self {
        Self(self.0 | Self::bit(transport, v4))
    }

    fn transport(self, transport: Transport) -> bool {
        self.0 & (Self::bit(transport, true) | Self::bit(transport, false)) != 0
    }

    fn reaches(self, transport: Transport, ip: IpAddr) -> bool {
        self.0 & Self::bit(transport, ip.is_ipv4()) != 0
    }
}

/// One question to the Domain Name System.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Query {
    /// NAPTR (RFC 3403).
    Naptr(Box<str>),
    /// SRV (RFC 2782).
    Srv(Box<str>),
    /// AAAA and A, in the order in which they are to be tried.
    Addresses(Box<str>),
}

/// A NAPTR record, as far as SIP reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naptr {
    /// Lowest first.
    pub order: u16,
    /// Within an order, lowest first.
    pub preference: u16,
    /// `s`: what it leads to has SRV records.
    pub flags: Box<str>,
    /// `SIP+D2U`, `SIP+D2T`, `SIPS+D2T`.
    pub service: Box<str>,
    /// The name that it leads to.
    pub replacement: Box<str>,
}

/// An SRV record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Srv {
    /// Lowest first.
    pub priority: u16,
    /// Share of the requests among those of one priority.
    pub weight: u16,
    /// Port of the server.
    pub port: u16,
    /// Its name; `.`: there is no such service.
    pub target: Box<str>,
}

/// What a question was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// NAPTR records.
    Naptr(Vec<Naptr>),
    /// SRV records.
    Srv(Vec<Srv>),
    /// Addresses.
    Addresses(Vec<IpAddr>),
    /// There is no such name, or no such record at it.
    Nothing,
    /// No server could say.
    Failed,
}

/// One place that a request may be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// How.
    pub transport: Transport,
    /// Where.
    pub addr: SocketAddr,
    /// Priority of its SRV record; 0 without one.
    pub priority: u16,
    /// Weight of its SRV record; 0 without one.
    pub weight: u16,
    /// Which record: addresses of one server stay together.
    pub record: u8,
}

/// How far the search has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// These have to be answered, all at once if that is convenient.
    Ask(Vec<Query>),
    /// The places, unordered ([`order`] orders them for each request); empty when there is no such host.
    Found(Vec<Candidate>),
    /// This could not be answered, and without it nothing is known.
    Failed(Query),
}

/// A service that the name may offer.
struct Service {
    transport: Transport,
    name: Box<str>,
}

/// Searches as far as the answers known so far lead.
#[must_use]
pub fn locate(wanted: &Wanted, speaks: Speaks, known: &BTreeMap<Query, Answer>) -> Step {
    if let Some(port) = wanted.port {
        return at_host(wanted, port, speaks, known);
    }
    let services = match wanted.transport {
        Some(transport) => vec![service(transport, &wanted.host)],
        None => match advertised(wanted, speaks, known) {
            Ok(services) => services,
            Err(query) => return Step::Ask(vec![query]),
        },
    };
    let queries = services.iter().map(|service| Query::Srv(service.name.clone()));
    let open: Vec<Query> = queries.filter(|query| !known.contains_key(query)).collect();
    if !open.is_empty() {
        return Step::Ask(open);
    }
    let mut failed = None;
    for Service { transport, name } in services {
        let query = Query::Srv(name);
        match known.get(&query) {
            Some(Answer::Srv(records)) if records.iter().any(|record| &*record.target == ".") => {
                // The service is decidedly not available (RFC 2782): the host itself is not tried for it.
                failed.get_or_insert(None);
            }
            Some(Answer::Srv(records)) if !records.is_empty() => {
                return at_servers(transport, records, speaks, known);
            }
            Some(Answer::Failed) => failed = Some(Some(query)),
            Some(Answer::Srv(_) | Answer::Naptr(_) | Answer::Addresses(_) | Answer::Nothing) | None => {}
        }
    }
    match failed {
        Some(Some(query)) => Step::Failed(query),
        Some(None) => Step::Found(Vec::new()),
        None => at_host(wanted, wanted.plain_transport().default_port(), speaks, known),
    }
}

/// The services that NAPTR records offer, best first; without such records those that this server speaks.
fn advertised(
    wanted: &Wanted,
    speaks: Speaks,
    known: &BTreeMap<Query, Answer>,
) -> Result<Vec<Service>, Query> {
    let query = Query::Naptr(wanted.host.clone());
    let mut records: Vec<&Naptr> = match known.get(&query) {
        None => return Err(query),
        Some(Answer::Naptr(records)) => records.iter().take(MAX_SERVERS).collect(),
        // Resolvers that do not know NAPTR fail; SRV is asked then as without it.
        Some(Answer::Srv(_) | Answer::Addresses(_) | Answer::Nothing | Answer::Failed) => Vec::new(),
    };
    records.sort_by_key(|record| (record.order, record.preference));
    let usable = |record: &&Naptr| {
        let transport = match record.service.to_ascii_uppercase().as_str() {
            "SIP+D2U" if !wanted.secure => Transport::Udp,
            "SIP+D2T" if !wanted.secure => Transport::Tcp,
            "SIPS+D2T" => Transport::Tls,
            _ => return None,
        };
        let name = record.replacement.trim_end_matches('.').to_ascii_lowercase();
        let leads = record.flags.eq_ignore_ascii_case("s") && !name.is_empty();
        (leads && speaks.transport(transport)).then(|| Service { transport, name: name.into() })
    };
    let found: Vec<Service> = records.iter().filter_map(usable).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let plain = [Transport::Udp, Transport::Tcp];
    let secure = [Transport::Tls];
    let ours: &[Transport] = if wanted.secure { &secure } else { &plain };
    let ours = ours.iter().filter(|transport| speaks.transport(**transport));
    Ok(ours.map(|transport| service(*transport, &wanted.host)).collect())
}

fn service(transport: Transport, host: &str) -> Service {
    let prefix = match transport {
        Transport::Udp => "_sip._udp",
        Transport::Tcp => "_sip._tcp",
        Transport::Tls | Transport::Ws | Transport::Wss => "_sips._tcp",
    };
    Service { transport, name: format!("{prefix}.{host}").into() }
}

/// The servers of SRV records.
fn at_servers(
    transport: Transport,
    records: &[Srv],
    speaks: Speaks,
    known: &BTreeMap<Query, Answer>,
) -> Step {
    let mut records: Vec<&Srv> = records.iter().collect();
    records.sort_by(|a, b| (a.priority, &a.target, a.port).cmp(&(b.priority, &b.target, b.port)));
    records.truncate(MAX_SERVERS);
    let name = |record: &Srv| record.target.trim_end_matches('.').to_ascii_lowercase();
    let queries = records.iter().map(|record| Query::Addresses(name(record).into()));
    let open: std::collections::BTreeSet<Query> =
        queries.filter(|query| !known.contains_key(query)).collect();
    if !open.is_empty() {
        return Step::Ask(open.into_iter().collect());
    }
    let mut found = Vec::new();
    let mut failed = None;
    for (number, record) in (0u8..).zip(&records) {
        let query = Query::Addresses(name(record).into());
        let ips = match known.get(&query) {
            Some(Answer::Addresses(ips)) => ips.as_slice(),
            Some(Answer::Failed) => {
                failed = Some(query);
                continue;
            }
            Some(Answer::Naptr(_) | Answer::Srv(_) | Answer::Nothing) | None => continue,
        };
        let Srv { priority, weight, port, .. } = **record;
        let at = |ip: &IpAddr| Candidate {
            transport,
            addr: SocketAddr::new(*ip, port),
            priority,
            weight,
            record: number,
        };
        let new = ips.iter().filter(|ip| speaks.reaches(transport, **ip)).map(at);
        for candidate in new {
            if !found.iter().any(|other: &Candidate| other.addr == candidate.addr) {
                found.push(candidate);
            }
        }
    }
    found.truncate(MAX_LOCATED);
    match failed {
        Some(query) if found.is_empty() => Step::Failed(query),
        Some(_) | None => Step::Found(found),
    }
}

/// The host itself.
fn at_host(wanted: &Wanted, port: u16, speaks: Speaks, known: &BTreeMap<Query, Answer>) -> Step {
    let transport = wanted.plain_transport();
    let query = Query::Addresses(wanted.host.clone());
    match known.get(&query) {
        None => Step::Ask(vec![query]),
        Some(Answer::Failed) => Step::Failed(query),
        Some(Answer::Addresses(ips)) => {
            let ips = ips.iter().filter(|ip| speaks.reaches(transport, **ip)).take(MAX_LOCATED);
            let at = |ip: &IpAddr| Candidate {
                transport,
                addr: SocketAddr::new(*ip, port),
                priority: 0,
                weight: 0,
                record: 0,
            };
            Step::Found(ips.map(at).collect())
        }
        Some(Answer::Naptr(_) | Answer::Srv(_) | Answer::Nothing) => Step::Found(Vec::new()),
    }
}
