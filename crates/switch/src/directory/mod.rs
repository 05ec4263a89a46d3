//! What is configured: DNs, trunks, the dial plan and the options, validated once. A [`Directory`] is immutable and
//! infallible to use; a reload builds another one and swaps it whole.

mod capacity;
pub mod floor;
mod identity;
mod registration;
mod session_timer;
mod watch;

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tandem_peer::{DrForward, TrunkOptions, TrunkRole};
use tandem_sip::auth::{Algorithm, Ha1, Offer};
use tandem_sip::locate::Wanted;
use tandem_sip::{Builder, HeaderName, Transport};

use crate::anchor::MediaOption;
use crate::rooms::Device;

pub use capacity::TrunkCapacity;
pub use floor::{AgentOptions, Floor, FloorDn, Mixer};
pub use identity::{Asserted, Forwarding, PassHeaders, Presentation, TrunkIdentity, calling_number};
pub use registration::{KeepAlive, Nat, PathMode, Registration};
pub use session_timer::{OwnSessionTimer, SessionTimer, SessionTimerMode};
pub use watch::{EventOptions, Pickup, Watchers};

/// Index of an Extension DN in one [`Directory`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DnId(pub u32);

/// Index of a Trunk DN in one [`Directory`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrunkId(pub u32);

/// One socket the server listens on. Its index in [`Server::listen`] is `Flow::local`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// UDP, TCP, TLS or WebSocket.
    pub transport: Transport,
    /// Bound address.
    pub addr: SocketAddr,
}

/// The server itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Name of the SIP Server Application, e.g. `site-a`.
    pub name: Box<str>,
    /// Name of the switch whose DNs this server serves.
    pub switch: Box<str>,
    /// `sip-address`: host written in Via and Contact (an address or a name), IPv6 in brackets.
    pub sip_address: Box<str>,
    /// `sip-port`: port written in Via and Contact.
    pub sip_port: u16,
    /// Sockets; the first of a transport is used for requests towards it.
    pub listen: Vec<Listen>,
    /// Realm of digest authentication.
    pub realm: Box<str>,
    /// Secret of the nonces; random at start unless both members of a pair must share it.
    pub nonce_secret: [u8; 32],
}

/// Which requests of an Extension are challenged (`authenticate-requests`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authenticate {
    /// REGISTER.
    pub register: bool,
    /// Requests that open a call.
    pub invite: bool,
}

/// Application-level options, by the field's names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `dr-forward`.
    pub dr_forward: DrForward,
    /// `dr-peer-trunk`.
    pub dr_peer_trunk: Option<TrunkId>,
    /// `dr-recovery-delay`: how long the peer trunk must be back before the peered rules hold again.
    pub dr_recovery_delay: Duration,
    /// `dr-recovery-sweep`: agents whose phone is out of service are logged out when the sites are peered again.
    pub dr_recovery_sweep: bool,
    /// `site-timeout` of the desktops: how long they wait for a lost site before they go to the other; `None`: not told.
    pub site_timeout: Option<Duration>,
    /// `dr-failure-signals`: what is looked at beside the peer trunk, to explain its loss.
    pub dr_failure_signals: tandem_peer::failure::FailureSignals,
    /// `authenticate-requests`.
    pub authenticate: Authenticate,
    /// `authenticate-algorithms`: digest algorithms, in the order in which a challenge offers them; none twice.
    pub authenticate_algorithms: Vec<Algorithm>,
    /// `shutdown-sip-reject-code`: what a new INVITE is told while the server is drained (300 to 603).
    pub shutdown_sip_reject_code: u16,
    /// `graceful-shutdown-sip-timeout`: how long after the last call's end BYEs without an answer are repeated before a
    /// drained server ends.
    pub graceful_shutdown_sip_timeout: Duration,
    /// `ring-timeout`, s: how long a call may ring before the caller gets 480.
    pub ring_timeout: Duration,
    /// `session-timer` and its fellows.
    pub session_timer: SessionTimer,
    /// `ring-tone`: the file that a party on the line hears while it rings for it; `None`: silence.
    pub ring_tone: Option<Arc<str>>,
    /// `follow-redirects`: a callee's 3xx is followed by this server; otherwise the caller is told it.
    pub follow_redirects: bool,
    /// `min-expires`, s: a REGISTER asking for less (but not 0) gets 423.
    pub min_expires_s: u32,
    /// `max-expires`, s: a REGISTER asking for more is granted this.
    pub max_expires_s: u32,
    /// `default-expires`, s: granted when a REGISTER names no time.
    pub default_expires_s: u32,
    /// `trunk-target-timeout`: after how long an INVITE without any answer goes to the trunk's next target, if it has one.
    pub trunk_target_timeout: Duration,
    /// NAT, flows and paths.
    pub registration: Registration,
    /// `dialog-audit-timeout`: how long an audited leg over a lost peer trunk may stay silent before it is ended.
    pub dialog_audit_timeout: Duration,
    /// Calls at once (at most [`crate::limits::MAX_CALLS`]).
    pub max_calls: usize,
    /// `why-history`: calls that are over and still explained by `tandem why` (at most
    /// [`crate::limits::MAX_EXPLAINED`]).
    pub why_history: usize,
    /// Who may watch what.
    pub events: EventOptions,
    /// `[guard]`.
    pub guard: crate::guard::Policy,
    /// `[emergency]`.
    pub emergency: crate::guard::Emergency,
    /// `external-calls` and its fellows at the server.
    pub toll: crate::guard::TollLimits,
    /// `forwarding-headers`: how phones are told that a call was sent on.
    pub forwarding: Forwarding,
    /// `[media]` names media servers, which can carry the media of calls.
    pub media: bool,
    /// `default-music`: what parties with anchored media hear while they are held.
    pub default_music: Option<Arc<str>>,
    /// RFC 3261 T1, T2, T4.
    pub timers: tandem_sip::Timers,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            dr_forward: DrForward::Off,
            dr_peer_trunk: None,
            dr_recovery_delay: Duration::ZERO,
            dr_recovery_sweep: false,
            site_timeout: None,
            dr_failure_signals: tandem_peer::failure::FailureSignals::default(),
            authenticate: Authenticate { register: true, invite: true },
            authenticate_algorithms: Offer::ALGORITHMS.to_vec(),
            shutdown_sip_reject_code: tandem_peer::drain::DEFAULT_REJECT_CODE,
            graceful_shutdown_sip_timeout: Duration::from_secs(10),
            ring_timeout: Duration::from_secs(180),
            session_timer: SessionTimer::default(),
            ring_tone: None,
            follow_redirects: true,
            min_expires_s: 10,
            max_expires_s: 3600,
            default_expires_s: 300,
            trunk_target_timeout: Duration::from_secs(4),
            registration: Registration::default(),
            dialog_audit_timeout: Duration::from_secs(5),
            max_calls: crate::limits::MAX_CALLS,
            why_history: 10_000,
            events: EventOptions::default(),
            guard: crate::guard::Policy::default(),
            emergency: crate::guard::Emergency::default(),
            toll: crate::guard::TollLimits::default(),
            forwarding: Forwarding::NONE,
            media: false,
            default_music: None,
            timers: tandem_sip::Timers::default(),
        }
    }
}

/// How an Extension proves who it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// No password is set: challenged requests of this DN always fail.
    None,
    /// Clear-text password; `{number}` stands for the DN's number.
    Password(Box<str>),
    /// Stored hashes of `user:realm:password`.
    Ha1(Ha1),
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Password(_) => "password(..)",
            Self::Ha1(_) => "ha1(..)",
        })
    }
}

/// Where a device with a fixed address is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticContact {
    /// Request-URI; `{number}` stands for the DN's number in an Extension's contact.
    pub uri: Box<str>,
    /// Transport of requests to it; of a name that is located, what it is without any record that says otherwise.
    pub transport: Transport,
    /// Address, when the URI's host is one.
    pub addr: Option<SocketAddr>,
    /// What is to be located (RFC 3263), when the URI's host is a name.
    pub resolve: Option<Wanted>,
}

impl StaticContact {
    /// The host of the URI: a name, or an address without brackets.
    #[must_use]
    pub fn host(&self) -> String {
        match (&self.resolve, self.addr) {
            (Some(wanted), _) => wanted.host.to_string(),
            (None, Some(addr)) => addr.ip().to_string(),
            (None, None) => String::new(),
        }
    }
}

/// How a phone is made to answer by a request, and to take the first leg of a call that a request makes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnswerMode {
    /// `sip-cti-control` names `talk`: a NOTIFY with `Event: talk` in the ringing dialog answers.
    pub notify_talk: bool,
    /// `sip-cti-control` names `hold`: a NOTIFY with `Event: hold` puts the phone on hold.
    pub notify_hold: bool,
    /// `make-call-alert-info`: Alert-Info with which the phone answers by itself. It stands in the INVITE to the phone that
    /// makes a call by request (without this and the next it rings first), and, unless `notify_talk`, in the INVITE that
    /// takes the place of the ringing one when a request answers.
    pub make_call_alert_info: Option<Box<str>>,
    /// `make-call-call-info`: Call-Info of it, e.g. `<sip:local>;answer-after=0`.
    pub make_call_call_info: Option<Box<str>>,
}

impl AnswerMode {
    /// Whether the phone answers by itself when its INVITE says so.
    #[must_use]
    pub fn answers_by_itself(&self) -> bool {
        self.make_call_alert_info.is_some() || self.make_call_call_info.is_some()
    }

    /// Writes what makes the phone answer by itself.
    pub fn print(&self, builder: &mut Builder<'_>) {
        let lines = [
            (HeaderName::AlertInfo, &self.make_call_alert_info),
            (HeaderName::CallInfo, &self.make_call_call_info),
        ];
        for (name, value) in lines {
            if let Some(value) = value {
                builder.header(name, value.as_bytes());
            }
        }
    }
}

/// What Extension DNs have in common: DNs that are declared alike share one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnClass {
    /// Password or hashes.
    pub secret: Secret,
    /// `contact`: a static contact instead of registration.
    pub contact: Option<StaticContact>,
    /// `dr-forward` at DN level; wins over the Application's.
    pub dr_forward: Option<DrForward>,
    /// `oos-check` and its fellows, for a DN with a static contact.
    pub oos: TrunkOptions,
    /// `ring-timeout` at DN level.
    pub ring_timeout: Option<Duration>,
    /// `session-timer` and its fellows at DN level.
    pub session_timer: OwnSessionTimer,
    /// `sip-enable-100rel`: this server asks for reliable provisional responses on behalf of callers who do not.
    pub sip_enable_100rel: bool,
    /// Contacts this DN may register.
    pub max_contacts: usize,
    /// `nat` at DN level.
    pub nat: Option<Nat>,
    /// Options of agents at DN level.
    pub agent: AgentOptions,
    /// How the phone is made to answer.
    pub answer: AnswerMode,
    /// `dialog-watchers` at DN level; wins over the Application's.
    pub dialog_watchers: Option<Watchers>,
    /// `call-pickup` at DN level; wins over the Application's.
    pub call_pickup: Option<Pickup>,
    /// How it presents itself.
    pub presentation: Presentation,
    /// `media` and `media-network`.
    pub media: MediaOption,
    /// Switches that this DN is declared for; empty means every one.
    pub switches: Vec<Box<str>>,
    /// `allow-from`: networks that it may register and call from; empty means everywhere.
    pub allow_from: Vec<ipnet::IpNet>,
    /// `external-calls` and its fellows at DN level; they win over the server's.
    pub toll: crate::guard::TollLimits,
}

impl Default for DnClass {
    fn default() -> Self {
        Self {
            secret: Secret::None,
            contact: None,
            dr_forward: None,
            oos: TrunkOptions::default(),
            ring_timeout: None,
            session_timer: OwnSessionTimer::default(),
            sip_enable_100rel: true,
            max_contacts: crate::limits::MAX_CONTACTS,
            nat: None,
            agent: AgentOptions::default(),
            answer: AnswerMode::default(),
            dialog_watchers: None,
            call_pickup: None,
            presentation: Presentation::default(),
            media: MediaOption::default(),
            switches: Vec::new(),
            allow_from: Vec::new(),
            toll: crate::guard::TollLimits::default(),
        }
    }
}

/// An Extension DN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// Its number: the user part of its address of record.
    pub number: Arc<str>,
    /// What it shares with DNs declared alike.
    pub class: Arc<DnClass>,
}

/// A Trunk DN: a gateway, a carrier, or the peer site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trunk {
    /// Its name.
    pub name: Arc<str>,
    /// `contact`.
    pub contact: StaticContact,
    /// `oos-check`, `oos-force`, `recovery-timeout`, `oos-options-max-forwards`, `oos-error-check`.
    pub oos: TrunkOptions,
    /// `oosp-transfer-enabled`: calls from here may be redirected by 302 out of the signalling path.
    pub oosp_transfer_enabled: bool,
    /// `media` and `media-network`.
    pub media: MediaOption,
    /// Further source addresses whose requests belong to this trunk.
    pub sources: Vec<ipnet::IpNet>,
    /// `tls-client-certificate`: connections from there show a certificate, too.
    pub tls_client_certificate: bool,
    /// `tls-name`: what its certificate names instead of the contact's host.
    pub tls_name: Option<Box<str>>,
    /// User and password with which this server answers the trunk's own challenges.
    pub credentials: Option<(Box<str>, Box<str>)>,
    /// What it is told, and believed, of who calls.
    pub identity: Arc<TrunkIdentity>,
    /// `session-timer` and its fellows at DN level.
    pub session_timer: OwnSessionTimer,
    /// `sip-enable-100rel`: this server asks for reliable provisional responses on behalf of callers who do not.
    pub sip_enable_100rel: bool,
    /// `capacity` and its fellows.
    pub capacity: TrunkCapacity,
}

impl Trunk {
    /// What its certificate must name (RFC 5922): the host of its contact, which is an address if the contact is one.
    #[must_use]
    pub fn certified(&self) -> String {
        self.tls_name.as_deref().map_or_else(|| self.contact.host(), str::to_owned)
    }

    /// A trunk that leads there, every option as it is by default.
    #[must_use]
    pub fn new(name: &str, contact: StaticContact) -> Self {
        Self {
            name: name.into(),
            contact,
            oos: TrunkOptions::default(),
            oosp_transfer_enabled: false,
            sources: Vec::new(),
            tls_client_certificate: false,
            tls_name: None,
            media: MediaOption::default(),
            credentials: None,
            identity: Arc::default(),
            session_timer: OwnSessionTimer::default(),
            sip_enable_100rel: true,
            capacity: TrunkCapacity::default(),
        }
    }
}

/// One line of the dial plan. The longest matching prefix wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialRule {
    /// Leading characters of the dialled number; may be empty (matches everything).
    pub prefix: Box<str>,
    /// Characters removed from the front.
    pub strip: usize,
    /// Characters then put in front.
    pub add: Box<str>,
    /// Trunks tried in this order; one that is out of service is passed over.
    pub trunks: Vec<TrunkId>,
}

/// The validated whole. Build it with [`Directory::new`].
#[derive(Debug)]
pub struct Directory {
    /// The server itself.
    pub server: Server,
    /// Application-level options.
    pub options: Options,
    extensions: Vec<Extension>,
    trunks: Vec<Trunk>,
    dial_plan: Vec<DialRule>,
    by_number: HashMap<Arc<str>, DnId, foldhash::fast::RandomState>,
    floor: Floor,
    floor_dns: HashMap<Arc<str>, FloorDn, foldhash::fast::RandomState>,
    by_agent_id: HashMap<Arc<str>, usize, foldhash::fast::RandomState>,
    by_person: HashMap<Arc<str>, usize, foldhash::fast::RandomState>,
    /// `preferred-site` of the person who names an Agent Login as his.
    preferred_sites: HashMap<Arc<str>, Arc<str>, foldhash::fast::RandomState>,
    /// AgentIDs that some person names as his.
    owned: HashSet<Arc<str>, foldhash::fast::RandomState>,
    port_numbers: HashSet<Arc<str>, foldhash::fast::RandomState>,
    static_extensions: usize,
}

/// Why the parts do not make a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirectoryFault {
    /// Two Agent Logins with this AgentID.
    DuplicateLogin(Box<str>),
    /// Two DNs with this number.
    DuplicateNumber(Box<str>),
    /// Two Trunk DNs with this name.
    DuplicateTrunk(Box<str>),
    /// No socket to listen on.
    NoListen,
    /// More than 255 sockets.
    TooManyListens,
    /// `dr-peer-trunk` or a dial rule refers to a trunk that is not there.
    UnknownTrunk(u32),
    /// The trunk that `dr-peer-trunk` names has `oos-check = 0`: its loss could never be seen.
    PeerTrunkUnjudged(Box<str>),
    /// More than [`crate::limits::MAX_STAGES`] trunks in the rule with this prefix.
    TooManyTrunks(Box<str>),
}

impl std::fmt::Display for DirectoryFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::DuplicateLogin(n) => write!(f, "Agent Login {n} is declared twice"),
            Self::DuplicateNumber(n) => write!(f, "DN {n} is declared twice"),
            Self::DuplicateTrunk(n) => write!(f, "Trunk {n} is declared twice"),
            Self::NoListen => f.write_str("no address to listen on"),
            Self::TooManyListens => f.write_str("more than 255 addresses to listen on"),
            Self::UnknownTrunk(i) => write!(f, "trunk number {i} does not exist"),
            Self::PeerTrunkUnjudged(n) => {
                write!(
                    f,
                    "dr-peer-trunk names {n}, whose oos-check is 0: its loss could never be seen; set oos-check to 1..300"
                )
            }
            Self::TooManyTrunks(p) => {
                write!(
                    f,
                    "the dial rule for prefix '{p}' names more than {} trunks",
                    crate::limits::MAX_STAGES
                )
            }
        }
    }
}

impl std::error::Error for DirectoryFault {}

impl Directory {
    /// Joins the parts.
    ///
    /// # Errors
    /// A [`DirectoryFault`] names the first part that contradicts another.
    pub fn new(
        server: Server,
        options: Options,
        extensions: Vec<Extension>,
        mut trunks: Vec<Trunk>,
        mut dial_plan: Vec<DialRule>,
    ) -> Result<Self, DirectoryFault> {
        check_server(&server)?;
        check_trunks(&options, &trunks, &dial_plan)?;
        for (id, trunk) in (0u32..).zip(&mut trunks) {
            let is_peer = options.dr_peer_trunk == Some(TrunkId(id));
            trunk.oos.role = if is_peer { TrunkRole::Peer } else { TrunkRole::Other };
        }
        let mut by_number =
            HashMap::with_capacity_and_hasher(extensions.len(), foldhash::fast::RandomState::default());
        for (id, extension) in (0u32..).zip(&extensions) {
            if by_number.insert(extension.number.clone(), DnId(id)).is_some() {
                return Err(DirectoryFault::DuplicateNumber(Box::from(&*extension.number)));
            }
        }
        dial_plan.sort_by_key(|rule| std::cmp::Reverse(rule.prefix.len()));
        let static_extensions =
            extensions.iter().filter(|extension| extension.class.contact.is_some()).count();
        Ok(Self {
            static_extensions,
            server,
            options,
            extensions,
            trunks,
            dial_plan,
            by_number,
            floor: Floor::default(),
            floor_dns: HashMap::default(),
            by_agent_id: HashMap::default(),
            by_person: HashMap::default(),
            preferred_sites: HashMap::default(),
            owned: HashSet::default(),
            port_numbers: HashSet::default(),
        })
    }

    /// The same with a contact-centre floor.
    ///
    /// # Errors
    /// A number that is declared twice.
    pub fn with_floor(mut self, floor: Floor) -> Result<Self, DirectoryFault> {
        let queues = floor.queues.iter().enumerate().map(|(i, q)| (&q.number, FloorDn::Queue(i)));
        let points =
            floor.routing_points.iter().enumerate().map(|(i, p)| (&p.number, FloorDn::RoutingPoint(i)));
        for (number, dn) in queues.chain(points) {
            let twice = self.floor_dns.insert(Arc::clone(number), dn).is_some();
            if twice || self.by_number.contains_key(number) {
                return Err(DirectoryFault::DuplicateNumber(Box::from(&**number)));
            }
        }
        for (place, login) in floor.logins.iter().enumerate() {
            if self.by_agent_id.insert(Arc::clone(&login.id), place).is_some() {
                return Err(DirectoryFault::DuplicateLogin(Box::from(&*login.id)));
            }
        }
        for (place, person) in floor.persons.iter().enumerate() {
            self.by_person.entry(Arc::clone(&person.name)).or_insert(place);
            self.owned.extend(person.logins.iter().map(Arc::clone));
            if let Some(site) = &person.preferred_site {
                let of_login = |login: &Arc<str>| (Arc::clone(login), Arc::clone(site));
                self.preferred_sites.extend(person.logins.iter().map(of_login));
            }
        }
        self.port_numbers.extend(floor.ports.iter().map(|port| Arc::clone(&port.number)));
        self.floor = floor;
        Ok(self)
    }

    /// How many Extensions have a static contact.
    #[must_use]
    pub const fn static_extensions(&self) -> usize {
        self.static_extensions
    }

    /// The floor.
    #[must_use]
    pub fn floor(&self) -> &Floor {
        &self.floor
    }

    /// The queue or routing point with this number.
    #[must_use]
    pub fn floor_dn(&self, number: &[u8]) -> Option<FloorDn> {
        self.floor_dns.get(std::str::from_utf8(number).ok()?).copied()
    }

    /// Whether clients may register a DN of this number or name.
    #[must_use]
    pub fn has_dn(&self, dn: &str) -> bool {
        self.find(dn.as_bytes()).is_some()
            || self.floor_dns.contains_key(dn)
            || self.trunk_named(dn).is_some()
    }

    /// The ACD Queue with this number.
    #[must_use]
    pub fn queue(&self, number: &str) -> Option<&floor::Queue> {
        match self.floor_dns.get(number)? {
            FloorDn::Queue(place) => self.floor.queues.get(*place),
            FloorDn::RoutingPoint(_) => None,
        }
    }

    /// The Routing Point with this number.
    #[must_use]
    pub fn routing_point(&self, number: &str) -> Option<&floor::RoutingPoint> {
        match self.floor_dns.get(number)? {
            FloorDn::RoutingPoint(place) => self.floor.routing_points.get(*place),
            FloorDn::Queue(_) => None,
        }
    }

    /// The Agent Login with this AgentID.
    #[must_use]
    pub fn login(&self, id: &str) -> Option<&floor::AgentLogin> {
        self.floor.logins.get(*self.by_agent_id.get(id)?)
    }

    /// The person with this user name.
    #[must_use]
    pub fn person(&self, name: &str) -> Option<&floor::Person> {
        self.floor.persons.get(*self.by_person.get(name)?)
    }

    /// Whether any person names this Agent Login as his.
    #[must_use]
    pub fn login_has_owner(&self, agent_id: &str) -> bool {
        self.owned.contains(agent_id)
    }

    /// `preferred-site` of the person who names this Agent Login as his.
    #[must_use]
    pub fn preferred_site(&self, agent_id: &str) -> Option<&str> {
        self.preferred_sites.get(agent_id).map(|site| &**site)
    }

    /// Whether this Extension is a Call Processing Port.
    #[must_use]
    pub fn is_port(&self, number: &str) -> bool {
        self.port_numbers.contains(number)
    }

    /// Options in force for an agent at a DN: Agent Login, then DN, then Application.
    #[must_use]
    pub fn agent_options(&self, dn: &str, agent_id: &str) -> floor::InForce {
        let login = self.login(agent_id).map(|login| &login.options);
        let dn = self.find(dn.as_bytes()).and_then(|id| self.extension(id)).map(|e| &e.class.agent);
        let levels: Vec<&AgentOptions> = login.into_iter().chain(dn).chain([&self.floor.options]).collect();
        AgentOptions::effective(&levels)
    }

    /// Every Extension DN; the position is its [`DnId`].
    #[must_use]
    pub fn extensions(&self) -> &[Extension] {
        &self.extensions
    }

    /// Every Trunk DN; the position is its [`TrunkId`].
    #[must_use]
    pub fn trunks(&self) -> &[Trunk] {
        &self.trunks
    }

    /// The dial plan, longest prefix first.
    #[must_use]
    pub fn dial_plan(&self) -> &[DialRule] {
        &self.dial_plan
    }

    /// The Extension with this number.
    #[must_use]
    pub fn find(&self, number: &[u8]) -> Option<DnId> {
        self.by_number.get(std::str::from_utf8(number).ok()?).copied()
    }

    /// The Extension behind an id of this directory.
    #[must_use]
    pub fn extension(&self, id: DnId) -> Option<&Extension> {
        self.extensions.get(id.0 as usize)
    }

    /// The Trunk behind an id of this directory.
    #[must_use]
    pub fn trunk(&self, id: TrunkId) -> Option<&Trunk> {
        self.trunks.get(id.0 as usize)
    }

    /// How long a call may ring at this DN.
    #[must_use]
    pub fn ring_timeout(&self, dn: &str) -> Duration {
        let extension = self.find(dn.as_bytes()).and_then(|id| self.extension(id));
        extension.and_then(|extension| extension.class.ring_timeout).unwrap_or(self.options.ring_timeout)
    }

    /// Who may watch the calls of an Extension.
    #[must_use]
    pub fn dialog_watchers(&self, dn: DnId) -> &Watchers {
        let own = self.extension(dn).and_then(|extension| extension.class.dialog_watchers.as_ref());
        own.unwrap_or(&self.options.events.dialog_watchers)
    }

    /// Who may take a call that rings at an Extension.
    #[must_use]
    pub fn call_pickup(&self, dn: DnId) -> Pickup {
        let own = self.extension(dn).and_then(|extension| extension.class.call_pickup);
        own.unwrap_or(self.options.events.call_pickup)
    }

    /// Whether a far end is asked for reliable provisional responses on behalf of callers who do not.
    #[must_use]
    pub fn enables_100rel(&self, device: Device) -> bool {
        match device {
            Device::Extension(id) => self.extension(id).is_some_and(|e| e.class.sip_enable_100rel),
            Device::Trunk(id) => self.trunk(id).is_some_and(|trunk| trunk.sip_enable_100rel),
            Device::Mixer => false,
        }
    }

    /// Session timers with a far end.
    #[must_use]
    pub fn session_timer(&self, device: Device) -> SessionTimer {
        let own = match device {
            Device::Extension(id) => self.extension(id).map(|extension| extension.class.session_timer),
            Device::Trunk(id) => self.trunk(id).map(|trunk| trunk.session_timer),
            Device::Mixer => None,
        };
        own.unwrap_or_default().over(self.options.session_timer)
    }

    /// The Trunk with this name.
    #[must_use]
    pub fn trunk_named(&self, name: &str) -> Option<TrunkId> {
        (0u32..).zip(&self.trunks).find(|(_, t)| &*t.name == name).map(|(i, _)| TrunkId(i))
    }

    /// The dial rule for a number: the one with the longest prefix.
    #[must_use]
    pub fn dial_rule(&self, number: &[u8]) -> Option<&DialRule> {
        self.dial_plan.iter().find(|rule| number.starts_with(rule.prefix.as_bytes()))
    }

    /// Networks that belong to some trunk, in order of the trunks.
    pub fn trunk_sources(&self) -> impl Iterator<Item = (TrunkId, &ipnet::IpNet)> {
        (0u32..).zip(&self.trunks).flat_map(|(i, t)| t.sources.iter().map(move |net| (TrunkId(i), net)))
    }
}

fn check_server(server: &Server) -> Result<(), DirectoryFault> {
    match server.listen.len() {
        0 => Err(DirectoryFault::NoListen),
        1..=255 => Ok(()),
        _ => Err(DirectoryFault::TooManyListens),
    }
}

fn check_trunks(options: &Options, trunks: &[Trunk], rules: &[DialRule]) -> Result<(), DirectoryFault> {
    for (position, trunk) in trunks.iter().enumerate() {
        if trunks.iter().take(position).any(|earlier| earlier.name == trunk.name) {
            return Err(DirectoryFault::DuplicateTrunk(Box::from(&*trunk.name)));
        }
    }
    for rule in rules {
        if rule.trunks.len() > crate::limits::MAX_STAGES {
            return Err(DirectoryFault::TooManyTrunks(rule.prefix.clone()));
        }
        if let Some(unknown) = rule.trunks.iter().find(|id| id.0 as usize >= trunks.len()) {
            return Err(DirectoryFault::UnknownTrunk(unknown.0));
        }
    }
    let Some(peer) = options.dr_peer_trunk else { return Ok(()) };
    let trunk = trunks.get(peer.0 as usize).ok_or(DirectoryFault::UnknownTrunk(peer.0))?;
    if trunk.oos.oos_check_s == 0 {
        return Err(DirectoryFault::PeerTrunkUnjudged(Box::from(&*trunk.name)));
    }
    Ok(())
}

/// Whether an address belongs to a network list.
#[must_use]
pub fn contains(networks: &[ipnet::IpNet], ip: IpAddr) -> bool {
    networks.iter().any(|net| net.contains(&ip))
}
