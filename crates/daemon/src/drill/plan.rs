//! The plan of a drill: a TOML file that names the two sites and the parties that a drill brings with it. They are
//! Extensions, persons and a Trunk like any other, configured at both sites for this alone.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use tandem_switch::Directory;

/// Parties of each kind; more is refused.
pub const MAX_PARTIES: usize = 500;
/// Servers of one site; more is refused.
const MAX_SERVERS: usize = 8;

/// Which of the two sites.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The one that is lost, or cuts itself off.
    Site,
    /// Its peer.
    Peer,
}

impl Side {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Site, Self::Peer];

    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::Site => Self::Peer,
            Self::Peer => Self::Site,
        }
    }

    /// Its half of a pair.
    pub fn of<T>(self, pair: &[T; 2]) -> &T {
        let [site, peer] = pair;
        match self {
            Self::Site => site,
            Self::Peer => peer,
        }
    }

    /// Its half of a pair.
    pub fn of_mut<T>(self, pair: &mut [T; 2]) -> &mut T {
        let [site, peer] = pair;
        match self {
            Self::Site => site,
            Self::Peer => peer,
        }
    }
}

/// Where a site is reached.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// Administration interface of each of its servers; whichever serves is asked.
    #[serde(deserialize_with = "one_or_several")]
    pub http: Vec<String>,
    /// SIP over UDP.
    pub sip: SocketAddr,
    /// CTI interface; needed with desktops.
    pub cti: Option<String>,
}

fn one_or_several<'a, D: Deserializer<'a>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "http is an address, or a list of those of the servers of the site")]
    enum Addresses {
        One(String),
        Several(Vec<String>),
    }
    Ok(match Addresses::deserialize(from)? {
        Addresses::One(address) => vec![address],
        Addresses::Several(addresses) => addresses,
    })
}

/// A desktop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desk {
    /// User name of its person.
    pub user: String,
    /// His password.
    pub password: String,
    /// AgentID.
    pub agent: String,
}

/// A phone, and who works at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Number of its Extension.
    pub number: String,
    /// Its password.
    pub password: String,
    /// Where it registers while that site answers.
    pub home: Side,
    /// The desktop beside it.
    pub desk: Option<Desk>,
}

/// A plan that can be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The two sites, [`Side::Site`] first.
    pub sites: [Site; 2],
    /// Phones, and desktops beside them.
    pub seats: Vec<Seat>,
    /// Address that the phones and desktops speak from.
    pub phones_at: IpAddr,
    /// How often a phone asks its site whether it is there.
    pub refresh: Duration,
    /// Silence after which a phone turns to the other site.
    pub phone_gives_up: Duration,
    /// How often a desktop pings its site; two without a word, and the connection is lost.
    pub ping: Duration,
    /// How long a desktop tries to get back to its site before it turns to the other one.
    pub site_timeout: Duration,
    /// Address of the gateway.
    pub gateway_at: SocketAddr,
    /// Time between two calls.
    pub call_every: Duration,
    /// How long people talk.
    pub talk: Duration,
    /// Silence after which the gateway turns to the other site.
    pub gateway_gives_up: Duration,
    /// Calls that are held from the beginning to the end.
    pub held_calls: usize,
    /// Nobody turns to the other site: a server is lost, and who stands in for it has the same address.
    pub loyal: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Raw {
    site: Site,
    peer: Site,
    phones: RawPhones,
    desktops: Option<RawDesktops>,
    gateway: RawGateway,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawPhones {
    address: IpAddr,
    numbers: Vec<String>,
    #[serde(default)]
    numbers_at_peer: Vec<String>,
    #[serde(default)]
    password: String,
    #[serde(default = "a_second")]
    refresh_ms: u64,
    #[serde(default = "half_a_second")]
    give_up_ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawDesktops {
    users: Vec<String>,
    agents: Vec<String>,
    password: String,
    #[serde(default = "a_second")]
    ping_ms: u64,
    #[serde(default = "four_seconds")]
    site_timeout_ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawGateway {
    address: SocketAddr,
    #[serde(default = "a_quarter")]
    call_every_ms: u64,
    #[serde(default = "a_second")]
    talk_ms: u64,
    #[serde(default = "half_a_second")]
    give_up_ms: u64,
    #[serde(default)]
    held_calls: usize,
}

fn a_quarter() -> u64 {
    250
}

fn half_a_second() -> u64 {
    500
}

fn a_second() -> u64 {
    1000
}

fn four_seconds() -> u64 {
    4000
}

/// `1011-1015`, or `agent11-agent15`: everything from the first to the last. Anything else is one name.
pub fn range(text: &str) -> Result<Vec<String>, String> {
    let one = || Ok(vec![text.to_owned()]);
    let Some((first, last)) = text.split_once('-') else { return one() };
    let split = |name: &str| {
        let digits = name.bytes().rev().take_while(u8::is_ascii_digit).count();
        let (prefix, digits) = name.split_at(name.len() - digits);
        Some((prefix.to_owned(), digits.len(), digits.parse::<u64>().ok()?))
    };
    let (Some((prefix, width, from)), Some((end_prefix, end_width, to))) = (split(first), split(last)) else {
        return one();
    };
    if prefix != end_prefix || width != end_width {
        return one();
    }
    let count = to.checked_sub(from).ok_or_else(|| format!("\"{text}\" ends before it begins"))?;
    if count >= MAX_PARTIES as u64 {
        return Err(format!("\"{text}\" names more than {MAX_PARTIES}"));
    }
    Ok((from..=to).map(|number| format!("{prefix}{number:0width$}")).collect())
}

fn ranges(key: &str, texts: &[String]) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    for text in texts {
        all.extend(range(text).map_err(|why| format!("{key}: {why}"))?);
    }
    if all.len() > MAX_PARTIES {
        return Err(format!("{key} names more than {MAX_PARTIES}"));
    }
    Ok(all)
}

fn check_servers(site: &Site, peer: &Site) -> Result<(), String> {
    for (key, Site { http, .. }) in [("site", site), ("peer", peer)] {
        if http.is_empty() || http.len() > MAX_SERVERS {
            return Err(format!("{key}.http must name 1 to {MAX_SERVERS} servers"));
        }
        if (1..http.len()).any(|place| http.iter().take(place).any(|it| Some(it) == http.get(place))) {
            return Err(format!("{key}.http names a server twice"));
        }
    }
    Ok(())
}

impl Plan {
    /// Reads a file.
    ///
    /// # Errors
    /// A sentence that names the file, and the line of what cannot be read.
    pub fn load(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Self::parse(&text).map_err(|why| format!("{}: {}", path.display(), why.trim_end()))
    }

    /// Reads a plan.
    ///
    /// # Errors
    /// A sentence for whoever wrote it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Raw { site, peer, phones, desktops, gateway } =
            toml::from_str(text).map_err(|error| error.to_string())?;
        check_servers(&site, &peer)?;
        let (at_site, at_peer) = (
            ranges("phones.numbers", &phones.numbers)?,
            ranges("phones.numbers-at-peer", &phones.numbers_at_peer)?,
        );
        if at_site.is_empty() {
            return Err("phones.numbers names nobody: no phone would notice the loss".to_owned());
        }
        let numbers = at_site.into_iter().map(|number| (Side::Site, number));
        let numbers = numbers.chain(at_peer.into_iter().map(|number| (Side::Peer, number)));
        let seat = |(home, number): (Side, String)| {
            let password = phones.password.replace("{number}", &number);
            Seat { number, password, home, desk: None }
        };
        let mut seats: Vec<Seat> = numbers.map(seat).collect();
        let (mut ping, mut site_timeout) = (a_second(), four_seconds());
        if let Some(desktops) = desktops {
            (ping, site_timeout) = (desktops.ping_ms, desktops.site_timeout_ms);
            if site.cti.is_none() || peer.cti.is_none() {
                return Err("[desktops] needs cti in [site] and in [peer]".to_owned());
            }
            let users = ranges("desktops.users", &desktops.users)?;
            let agents = ranges("desktops.agents", &desktops.agents)?;
            if users.len() != agents.len() || users.len() > seats.len() {
                return Err(format!(
                    "[desktops] has {} users and {} agents for {} phones: each desktop has one of each",
                    users.len(),
                    agents.len(),
                    seats.len()
                ));
            }
            for (seat, (user, agent)) in seats.iter_mut().zip(users.into_iter().zip(agents)) {
                let password = desktops.password.replace("{user}", &user);
                seat.desk = Some(Desk { user, password, agent });
            }
        }
        let pauses = [
            ("phones.refresh-ms", phones.refresh_ms),
            ("phones.give-up-ms", phones.give_up_ms),
            ("desktops.ping-ms", ping),
            ("desktops.site-timeout-ms", site_timeout),
            ("gateway.call-every-ms", gateway.call_every_ms),
            ("gateway.talk-ms", gateway.talk_ms),
            ("gateway.give-up-ms", gateway.give_up_ms),
        ];
        if let Some((key, _)) = pauses.iter().find(|(_, ms)| !(10..=600_000).contains(ms)) {
            return Err(format!("{key} must be 10 to 600000"));
        }
        if gateway.held_calls > MAX_PARTIES {
            return Err(format!("gateway.held-calls is more than {MAX_PARTIES}"));
        }
        Ok(Self {
            sites: [site, peer],
            seats,
            phones_at: phones.address,
            refresh: Duration::from_millis(phones.refresh_ms),
            phone_gives_up: Duration::from_millis(phones.give_up_ms),
            ping: Duration::from_millis(ping),
            site_timeout: Duration::from_millis(site_timeout),
            gateway_at: gateway.address,
            call_every: Duration::from_millis(gateway.call_every_ms),
            talk: Duration::from_millis(gateway.talk_ms),
            gateway_gives_up: Duration::from_millis(gateway.give_up_ms),
            held_calls: gateway.held_calls,
            loyal: false,
        })
    }

    /// Addresses that speak for the drill.
    pub fn parties(&self) -> Vec<IpAddr> {
        let mut parties = vec![self.phones_at, self.gateway_at.ip()];
        parties.dedup();
        parties
    }

    /// What of it a site's configuration does not have.
    pub fn missing(&self, directory: &Directory) -> Vec<String> {
        let mut missing = Vec::new();
        let floor = directory.floor();
        for Seat { number, desk, .. } in &self.seats {
            if directory.find(number.as_bytes()).is_none() {
                missing.push(format!("no [[extension]] {number}"));
            }
            let Some(Desk { user, agent, .. }) = desk else { continue };
            if !floor.persons.iter().any(|person| *person.name == **user) {
                missing.push(format!("no [[person]] {user}"));
            }
            if !floor.logins.iter().any(|login| *login.id == **agent) {
                missing.push(format!("no [[agent-login]] {agent}"));
            }
        }
        let gateway = self.gateway_at;
        let own = directory.trunks().iter().any(|trunk| {
            trunk.contact.addr == Some(gateway)
                || trunk.sources.iter().any(|network| network.contains(&gateway.ip()))
        });
        if !own {
            missing
                .push(format!("no [[trunk]] whose contact or sources have the gateway's address {gateway}"));
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = r#"
[site]
http = "http://127.0.0.1:8060"
sip = "127.0.0.1:5060"
cti = "ws://127.0.0.1:8061/cti"
[peer]
http = "http://127.0.0.2:8060"
sip = "127.0.0.2:5060"
cti = "ws://127.0.0.2:8061/cti"
[phones]
address = "127.0.0.9"
numbers = ["1011-1013"]
numbers-at-peer = ["1014"]
password = "secret-{number}"
[desktops]
users = ["agent11-agent12"]
agents = ["2011-2012"]
password = "secret-{user}"
[gateway]
address = "127.0.0.3:5060"
"#;

    #[test]
    fn a_plan_names_who_sits_where() {
        let plan = Plan::parse(PLAN).unwrap();
        let numbers: Vec<(&str, Side)> = plan.seats.iter().map(|s| (&*s.number, s.home)).collect();
        let at = [("1011", Side::Site), ("1012", Side::Site), ("1013", Side::Site), ("1014", Side::Peer)];
        assert_eq!(numbers, at);
        let desk = plan.seats.get(1).and_then(|seat| seat.desk.clone()).unwrap();
        assert_eq!((&*desk.user, &*desk.password, &*desk.agent), ("agent12", "secret-agent12", "2012"));
        assert!(plan.seats.get(2).unwrap().desk.is_none());
        assert_eq!(plan.parties(), ["127.0.0.9".parse::<IpAddr>().unwrap(), "127.0.0.3".parse().unwrap()]);
    }

    #[test]
    fn a_site_has_one_server_or_several() {
        let one = Plan::parse(PLAN).unwrap();
        assert_eq!(Side::Site.of(&one.sites).http, ["http://127.0.0.1:8060"]);
        let several = "http = [\"http://192.0.2.11:8060\", \"http://192.0.2.12:8060\"]";
        let several = Plan::parse(&PLAN.replace("http = \"http://127.0.0.1:8060\"", several)).unwrap();
        assert_eq!(Side::Site.of(&several.sites).http, ["http://192.0.2.11:8060", "http://192.0.2.12:8060"]);
    }

    #[test]
    fn a_range_has_one_prefix_and_one_width() {
        assert_eq!(range("098-101").unwrap(), ["098", "099", "100", "101"]);
        assert_eq!(range("desk-a").unwrap(), ["desk-a"]);
        assert_eq!(range("1000-99").unwrap(), ["1000-99"]);
        assert!(range("1009-1001").unwrap_err().contains("ends before"));
        assert!(range("100000-999999").unwrap_err().contains("more than"));
    }

    #[test]
    fn a_plan_that_is_wrong_says_where_and_what() {
        for (from, to, why) in [
            ("[\"1011-1013\"]", "[]", "names nobody"),
            ("agents = [\"2011-2012\"]", "agents = [\"2011\"]", "2 users and 1 agents"),
            ("address = \"127.0.0.9\"", "adress = \"127.0.0.9\"", "adress"),
            ("cti = \"ws://127.0.0.2:8061/cti\"", "", "needs cti"),
            ("sip = \"127.0.0.2:5060\"", "sip = \"site-b\"", "line 8"),
            ("http = \"http://127.0.0.1:8060\"", "http = []", "site.http must name"),
            (
                "http = \"http://127.0.0.2:8060\"",
                "http = [\"http://x\", \"http://x\"]",
                "peer.http names a server twice",
            ),
            ("http = \"http://127.0.0.1:8060\"", "http = 8060", "an address, or a list"),
        ] {
            assert!(PLAN.contains(from));
            let said = Plan::parse(&PLAN.replace(from, to)).unwrap_err();
            assert!(said.contains(why), "{to}: {said}");
        }
    }
}
