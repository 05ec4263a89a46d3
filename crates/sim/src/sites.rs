//! How the simulated sites are configured: the numbers, the peer trunk, the gateways and the dial plan.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tandem_peer::failure::FailureSignals;
use tandem_peer::{DrForward, TrunkOptions, TrunkRole};
use tandem_sip::Transport;
use tandem_sip::locate::Wanted;
use tandem_switch::Directory;
use tandem_switch::anchor::{MediaChoice, MediaOption};
use tandem_switch::directory::floor::{AgentOptions, Floor};
use tandem_switch::directory::{
    Authenticate, DialRule, DnClass, EventOptions, Extension, Listen, Options, Secret, Server, SessionTimer,
    StaticContact, Trunk, TrunkId,
};
use tandem_switch::limits::MAX_STAGES;

use crate::office;
use crate::oracle::Invariant;
use crate::time::secs;

/// A site by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SiteId(pub usize);

/// The first site.
pub const A: SiteId = SiteId(0);
/// The second site.
pub const B: SiteId = SiteId(1);

impl SiteId {
    /// Its letter.
    #[must_use]
    pub fn name(self) -> &'static str {
        if self == A { "A" } else { "B" }
    }

    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        if self == A { B } else { A }
    }

    /// Where its server listens.
    #[must_use]
    pub fn addr(self) -> SocketAddr {
        SocketAddr::from(([10, 0, if self == A { 1 } else { 2 }, 1], 5060))
    }
}

/// What the sites have in common. Plain data: a scenario changes what it needs.
#[derive(Clone, Debug)]
pub struct Setup {
    /// One or two.
    pub sites: usize,
    /// Extension DNs 1001 to 1000 + this.
    pub extensions: u32,
    /// `dr-forward` of the Application.
    pub dr_forward: DrForward,
    /// `dr-forward` of single DNs.
    pub dn_forward: Vec<(String, DrForward)>,
    /// Extensions with a static contact instead of a registration, and `oos-check` of each, s.
    pub static_dns: Vec<(String, SocketAddr, u16)>,
    /// Whether `dr-peer-trunk` names the trunk between two sites.
    pub peered: bool,
    /// `dr-recovery-delay`.
    pub recovery_delay: Duration,
    /// `dr-recovery-sweep`.
    pub recovery_sweep: bool,
    /// `dr-failure-signals`.
    pub failure_signals: FailureSignals,
    /// `oos-check` of the peer trunk, s.
    pub oos_check_s: u16,
    /// `oos-force` of the peer trunk, s.
    pub oos_force_s: u16,
    /// `oos-refused-force` of the peer trunk, s.
    pub oos_refused_force_s: Option<u16>,
    /// `oosp-transfer-enabled` of the gateways: their calls may be redirected.
    pub redirect: bool,
    /// Whether calls are challenged; registrations always are.
    pub challenge_calls: bool,
    /// `ring-timeout`.
    pub ring_timeout: Duration,
    /// `session-refresh-interval`, and `min-se`.
    pub session_interval: Duration,
    /// `dialog-audit-timeout`.
    pub dialog_audit_timeout: Duration,
    /// `max-calls`.
    pub max_calls: usize,
    /// `shutdown-sip-reject-code`.
    pub reject_code: u16,
    /// `graceful-shutdown-sip-timeout`.
    pub shutdown_timeout: Duration,
    /// Gateways, by their addresses; the dial plan sends 9… to them in this order.
    pub gateways: Vec<SocketAddr>,
    /// The gateways are targets of one trunk, whose contact is a name ([`Sim::locates`](crate::Sim::locates)).
    pub carrier: bool,
    /// Phones' media are carried by a media server.
    pub anchored: bool,
    /// The contact-centre floor of both sites, if there is one.
    pub floor: Option<Floor>,
    /// `mwi-source`.
    pub mailbox: Option<&'static str>,
    /// Whether the oracles listen to every DN, by a client of their own. Without one a server tells only what somebody
    /// else has asked for.
    pub overheard: bool,
    /// Sites that are a pair: a primary, a backup and a witness ([`crate::pair`]).
    pub pairs: Vec<SiteId>,
    /// The servers do not keep this rule ([`crate::broken`]): an oracle must say so.
    pub broken: Option<Invariant>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            sites: 2,
            extensions: 20,
            dr_forward: DrForward::Oos,
            dn_forward: Vec::new(),
            static_dns: Vec::new(),
            peered: true,
            recovery_delay: Duration::ZERO,
            recovery_sweep: false,
            failure_signals: FailureSignals::default(),
            oos_check_s: 5,
            oos_force_s: 2,
            oos_refused_force_s: None,
            redirect: false,
            challenge_calls: true,
            ring_timeout: secs(60),
            session_interval: secs(1_800),
            dialog_audit_timeout: secs(5),
            max_calls: 1_000,
            reject_code: 603,
            shutdown_timeout: secs(10),
            gateways: vec![gateway_addr(1), gateway_addr(2)],
            carrier: false,
            anchored: false,
            floor: None,
            mailbox: None,
            overheard: true,
            pairs: Vec::new(),
            broken: None,
        }
    }
}

/// Address of the nth gateway.
#[must_use]
pub fn gateway_addr(n: u8) -> SocketAddr {
    SocketAddr::from(([10, 9, 0, n], 5060))
}

impl Setup {
    /// Sites with the [`office`]'s floor and these options of agents.
    #[must_use]
    pub fn with_floor(sites: usize, options: AgentOptions) -> Self {
        Self { sites, floor: Some(office::floor(options)), ..Self::default() }
    }

    /// The directory of one site.
    ///
    /// # Errors
    /// What the directory's own check finds.
    pub fn directory(&self, site: SiteId) -> Result<Arc<Directory>, String> {
        let mut trunks = Vec::new();
        let gateways = if self.carrier { 1 } else { self.gateways.len() };
        for (n, addr) in (1..).zip(&self.gateways).take(gateways) {
            trunks.push(self.gateway_trunk(n, *addr));
        }
        let to_gateways = (0..).map(TrunkId).take(trunks.len().min(MAX_STAGES)).collect();
        let mut options = self.options();
        if self.sites > 1 {
            let between = u32::try_from(trunks.len()).ok().map(TrunkId);
            options.dr_peer_trunk = between.filter(|_| self.peered);
            trunks.push(self.peer_trunk(site.other()));
        }
        let rule = DialRule { prefix: "9".into(), strip: 1, add: "".into(), trunks: to_gateways };
        let directory = Directory::new(server(site), options, self.all_extensions(), trunks, vec![rule]);
        let floor = self.floor.clone().unwrap_or_default();
        let directory = directory.and_then(|directory| directory.with_floor(floor));
        directory.map(Arc::new).map_err(|fault| fault.to_string())
    }

    fn options(&self) -> Options {
        Options {
            dr_forward: self.dr_forward,
            dr_recovery_delay: self.recovery_delay,
            dr_recovery_sweep: self.recovery_sweep,
            dr_failure_signals: self.failure_signals,
            authenticate: Authenticate { register: true, invite: self.challenge_calls },
            ring_timeout: self.ring_timeout,
            session_timer: SessionTimer {
                interval_s: self.session_interval.as_secs().try_into().unwrap_or(u32::MAX),
                min_se_s: self.session_interval.as_secs().min(90).try_into().unwrap_or(90),
                ..SessionTimer::default()
            },
            dialog_audit_timeout: self.dialog_audit_timeout,
            max_calls: self.max_calls,
            shutdown_sip_reject_code: self.reject_code,
            graceful_shutdown_sip_timeout: self.shutdown_timeout,
            media: self.anchored,
            events: EventOptions { mwi_source: self.mailbox.map(Into::into), ..EventOptions::default() },
            ..Options::default()
        }
    }

    fn all_extensions(&self) -> Vec<Extension> {
        let secret = || Secret::Password("secret-{number}".into());
        let answer = || self.floor.as_ref().map(|_| office::answers_by_request()).unwrap_or_default();
        let choice = if self.anchored { MediaChoice::Anchor } else { MediaChoice::Auto };
        let media = MediaOption { choice, network: None };
        let alike = Arc::new(DnClass { secret: secret(), answer: answer(), media, ..DnClass::default() });
        let numbers = (1..=self.extensions).map(|n| (1000 + n).to_string());
        let extension = |number: String| {
            let dr_forward =
                self.dn_forward.iter().find(|(dn, _)| *dn == number).map(|(_, forward)| *forward);
            let fixed = self.static_dns.iter().find(|(dn, ..)| *dn == number);
            let class = match (dr_forward, fixed) {
                (None, None) => alike.clone(),
                _ => Arc::new(DnClass {
                    secret: secret(),
                    answer: answer(),
                    dr_forward,
                    contact: fixed.map(|(_, addr, _)| contact(*addr)),
                    oos: fixed.map(|(.., check)| probed_every(*check)).unwrap_or_default(),
                    ..DnClass::default()
                }),
            };
            Extension { number: number.into(), class }
        };
        numbers.map(extension).collect()
    }

    fn gateway_trunk(&self, n: usize, addr: SocketAddr) -> Trunk {
        let named = StaticContact {
            uri: "sip:gw.example".into(),
            addr: None,
            resolve: Some(carrier()),
            ..contact(addr)
        };
        let sources = if self.carrier { self.gateways.as_slice() } else { &[addr] };
        Trunk {
            name: format!("gw{n}").into(),
            contact: if self.carrier { named } else { contact(addr) },
            oos: TrunkOptions { oos_check_s: 10, oos_force_s: 4, ..TrunkOptions::default() },
            oosp_transfer_enabled: self.redirect,
            tls_client_certificate: false,
            tls_name: None,
            media: MediaOption::default(),
            sources: sources.iter().map(|addr| addr.ip().into()).collect(),
            credentials: None,
            identity: Arc::default(),
            session_timer: Default::default(),
            sip_enable_100rel: true,
            capacity: Default::default(),
        }
    }

    fn peer_trunk(&self, peer: SiteId) -> Trunk {
        Trunk {
            name: format!("to-{}", peer.name().to_lowercase()).into(),
            contact: contact(peer.addr()),
            oos: TrunkOptions {
                oos_check_s: self.oos_check_s,
                oos_force_s: self.oos_force_s,
                oos_refused_force_s: self.oos_refused_force_s,
                role: if self.peered { TrunkRole::Peer } else { TrunkRole::Other },
                ..TrunkOptions::default()
            },
            oosp_transfer_enabled: false,
            tls_client_certificate: false,
            tls_name: None,
            media: MediaOption::default(),
            sources: vec![peer.addr().ip().into()],
            credentials: None,
            identity: Arc::default(),
            session_timer: Default::default(),
            sip_enable_100rel: true,
            capacity: Default::default(),
        }
    }

    /// The longest time that the loss of the peer may go unnoticed.
    #[must_use]
    pub fn detection_bound(&self) -> Duration {
        secs(u64::from(self.oos_check_s) + u64::from(self.oos_force_s))
    }
}

fn probed_every(oos_check_s: u16) -> TrunkOptions {
    TrunkOptions { oos_check_s, oos_force_s: 2, ..TrunkOptions::default() }
}

fn contact(addr: SocketAddr) -> StaticContact {
    let uri = format!("sip:{addr}").into();
    StaticContact { uri, transport: Transport::Udp, addr: Some(addr), resolve: None }
}

fn server(site: SiteId) -> Server {
    let addr = site.addr();
    Server {
        name: format!("site-{}", site.name().to_lowercase()).into(),
        switch: format!("switch-{}", site.name().to_lowercase()).into(),
        sip_address: addr.ip().to_string().into(),
        sip_port: addr.port(),
        listen: vec![Listen { transport: Transport::Udp, addr }, Listen { transport: Transport::Tcp, addr }],
        realm: "tandem".into(),
        nonce_secret: [if site == A { 17 } else { 34 }; 32],
    }
}

/// What the name in the contact of the carrier's trunk asks for.
#[must_use]
pub fn carrier() -> Wanted {
    Wanted { host: "gw.example".into(), port: None, transport: None, secure: false }
}
