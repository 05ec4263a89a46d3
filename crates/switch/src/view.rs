//! What an operator may see of a [`Node`](crate::Node): plain values, made when asked for.

use serde::Serialize;

/// `tandem status`.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Name of the SIP Server Application.
    pub server: String,
    /// Name of the switch.
    pub switch: String,
    /// Continuity mode: `stand-alone`, `peered` or `single-site`.
    pub mode: String,
    /// Seconds until the sites are peered: the peer trunk is back, and `dr-recovery-delay` runs.
    pub peered_in_s: Option<u64>,
    /// Name of the peer trunk, if `dr-peer-trunk` names one.
    pub peer_trunk: Option<String>,
    /// Calls now.
    pub calls: usize,
    /// Extension DNs configured.
    pub extensions: usize,
    /// Extension DNs in service.
    pub in_service: usize,
    /// Registered contacts.
    pub bindings: usize,
    /// Trunk DNs out of service.
    pub trunks_out_of_service: Vec<String>,
    /// SIP transactions alive.
    pub transactions: usize,
    /// Subscriptions, by event package.
    pub subscriptions: Subscriptions,
    /// Who is kept out, and who always gets through.
    pub guard: Guard,
    /// Whether it shuts down gracefully.
    pub draining: bool,
    /// What seems to have failed, while the peer is lost; `None` too without `dr-failure-signals`.
    pub peer_failure: Option<PeerFailure>,
    /// Graceful migration in shares: its state, share and site, if one is under way.
    pub migration: Option<String>,
    /// So many of a hundred new calls and agents go to the peer.
    pub migration_percent: u8,
}

/// Subscriptions (RFC 6665) now.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Subscriptions {
    /// To the calls of Extensions.
    pub dialog: usize,
    /// To the contacts of Extensions.
    pub reg: usize,
    /// To their mailboxes.
    pub message_summary: usize,
}

/// Who is kept out, and who always gets through.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Guard {
    /// Emergency calls now.
    pub emergency_calls: usize,
    /// External calls now that a limit counts.
    pub external_calls: usize,
    /// Users and sources locked out now.
    pub locked_out: usize,
    /// How hard the load presses, 0 to 1000; above 0 requests are refused.
    pub pressure: u32,
    /// What is too much, if anything is.
    pub overloaded_by: Option<String>,
}

/// `tandem guard list`: one lock-out.
#[derive(Clone, Debug, Serialize)]
pub struct LockOut {
    /// The source: an IPv4 address, or the /64 of an IPv6 address.
    pub source: String,
    /// The user; `None`: all of them.
    pub user: Option<String>,
    /// Wrong credentials until now.
    pub failures: u32,
    /// How long it still lasts, s.
    pub for_s: u64,
}

/// Why the peer seems to be lost.
#[derive(Clone, Debug, Serialize)]
pub struct PeerFailure {
    /// `site-dead`, `link-dead`, `peer-cut-off`, `this-site-cut-off` or `unknown`.
    pub cause: &'static str,
    /// `possible`, `likely` or `certain`.
    pub confidence: &'static str,
    /// Both, for people.
    pub text: String,
    /// What it is judged from.
    pub because: String,
    /// Seconds since the loss.
    pub since_s: u64,
}

/// `tandem drain --status`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Drain {
    /// `in-service`, `draining` or `drained`.
    pub state: &'static str,
    /// Who asked for it.
    pub by: Option<String>,
    /// Seconds since it began.
    pub since_s: Option<u64>,
    /// Calls in progress when it began.
    pub calls_then: usize,
    /// Agents logged in when it began.
    pub agents_then: usize,
    /// Calls in progress now.
    pub calls_left: usize,
    /// Agents logged in now.
    pub agents_left: usize,
    /// The calls, at most [`crate::limits::MAX_DRAIN_LINES`].
    pub calls: Vec<Call>,
    /// The agents, at most as many, and what they are waited for.
    pub agents: Vec<DrainAgent>,
    /// What still has to happen before the process may end.
    pub waits_for: Vec<String>,
    /// Seconds until it is done, roughly; `None` when nothing is known to reckon from.
    pub estimate_s: Option<u64>,
    /// What the estimate is made of.
    pub estimate: String,
}

/// An agent who is still logged in at a server that is drained.
#[derive(Clone, Debug, Serialize)]
pub struct DrainAgent {
    /// AgentID.
    pub agent_id: String,
    /// DN at which he is logged in.
    pub dn: String,
    /// What he is waited for.
    pub why: &'static str,
    /// Seconds until his after-call work ends by itself.
    pub until_s: Option<u64>,
}

/// `tandem dn list`: one Extension or Trunk DN.
#[derive(Clone, Debug, Serialize)]
pub struct Dn {
    /// Number or name.
    pub dn: String,
    /// `extension` or `trunk`.
    pub kind: &'static str,
    /// In service?
    pub in_service: bool,
    /// Why it is in the state it is in.
    pub reason: String,
    /// Contacts registered, or 1 for a static contact.
    pub contacts: usize,
}

/// `tandem reg list`: one binding.
#[derive(Clone, Debug, Serialize)]
pub struct Binding {
    /// Number of the Extension.
    pub dn: String,
    /// Contact URI.
    pub contact: String,
    /// Preference, 0 to 1000 (thousandths of `q`).
    pub q: u16,
    /// Seconds until it expires.
    pub expires_s: u64,
    /// Transport and address requests to it go to.
    pub reached_at: String,
    /// Call-ID of the REGISTER that made it.
    pub call_id: String,
    /// `+sip.instance`, if the phone names one.
    pub instance: Option<String>,
    /// `reg-id`: which flow of the instance it is.
    pub reg_id: Option<u32>,
    /// The proxies on the way to it, as a Route header has them.
    pub path: Option<String>,
    /// Reached where its REGISTER came from, whatever its contact says.
    pub nat: bool,
    /// Why it is not called, if it is not.
    pub quarantine: Option<&'static str>,
    /// Seconds until it is removed, if it is not called.
    pub removed_in_s: Option<u64>,
}

/// `tandem call list`: one call.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// `CallUUID`.
    pub call_uuid: String,
    /// Call-ID of the caller's leg.
    pub sip_call_id: String,
    /// Caller.
    pub from: String,
    /// Number dialled.
    pub to: String,
    /// `routing`, `ringing`, `established`, `ending`.
    pub state: &'static str,
    /// Seconds since the INVITE arrived.
    pub age_s: u64,
    /// Devices at the callee's end: DN or trunk.
    pub devices: Vec<String>,
}

/// `tandem trunk list`: one trunk.
#[derive(Clone, Debug, Serialize)]
pub struct Trunk {
    /// Name.
    pub name: String,
    /// `contact`.
    pub contact: String,
    /// Is it the peer trunk?
    pub peer: bool,
    /// `in-service`, `probing` or `out-of-service`.
    pub state: &'static str,
    /// Why it is in that state.
    pub reason: String,
    /// Seconds since it entered that state.
    pub since_s: u64,
    /// The places that its contact leads to; none while a name in it has not been located.
    pub targets: Vec<Target>,
    /// `oos-check`, s.
    pub oos_check_s: u32,
    /// `oos-force`, s.
    pub oos_force_s: u32,
    /// Calls with a leg over it.
    pub calls: usize,
    /// `capacity`; 0 is as many as come.
    pub capacity: u32,
    /// `max-calls-per-second`; 0 is as many as come.
    pub max_calls_per_second: u32,
    /// Calls that these limits have kept away since the server started.
    pub refused: u64,
}

/// One place that a trunk's contact leads to (RFC 3263).
#[derive(Clone, Debug, Serialize)]
pub struct Target {
    /// `UDP`, `TCP` or `TLS`.
    pub transport: &'static str,
    /// Address and port.
    pub addr: String,
    /// Priority of its SRV record; 0 without one.
    pub priority: u16,
    /// Weight of its SRV record; 0 without one.
    pub weight: u16,
    /// `in-service`, `probing` or `out-of-service`.
    pub state: &'static str,
    /// Why it is in that state.
    pub reason: String,
    /// Seconds since it entered that state.
    pub since_s: u64,
    /// Seconds for which it asked by Retry-After to be left alone; 0: it takes calls.
    pub left_alone_s: u64,
}

/// `tandem agent list`: one agent who is logged in.
#[derive(Clone, Debug, Serialize)]
pub struct Agent {
    /// AgentID.
    pub agent_id: String,
    /// DN at which he is logged in.
    pub dn: String,
    /// `NotReady`, `Ready`, `BusyReady` …
    pub state: &'static str,
    /// Work mode.
    pub work_mode: &'static str,
    /// `ReasonCode`, if he gave one.
    pub reason: Option<String>,
    /// Seconds in this state.
    pub since_s: u64,
    /// Seconds until a timed state ends.
    pub until_s: Option<u64>,
    /// Seconds since his login.
    pub login_s: u64,
    /// Calls at his DN.
    pub calls: usize,
    /// May a queue offer him a call now?
    pub available: bool,
    /// Is his phone in service here?
    pub phone_in_service: bool,
    /// Is his phone registered here and suspected to be gone? Queues offer him nothing then.
    pub phone_suspected: bool,
    /// Queues that he named at his login.
    pub queues: Vec<String>,
}

/// `tandem agent why`: why an agent gets the calls that he gets, or none.
#[derive(Clone, Debug, Serialize)]
pub struct AgentWhy {
    /// What was asked for: an AgentID or a DN.
    pub asked: String,
    /// The agent, if one is logged in.
    pub agent: Option<Agent>,
    /// Steps in order; the last one is now.
    pub steps: Vec<Step>,
}

/// `tandem queue list`: one ACD Queue or Routing Point.
#[derive(Clone, Debug, Serialize)]
pub struct Queue {
    /// Number.
    pub queue: String,
    /// `acd-queue` or `routing-point`.
    pub kind: &'static str,
    /// Calls that wait.
    pub waiting: usize,
    /// Of these, calls that ring at an agent.
    pub offered: usize,
    /// Longest wait now, s.
    pub longest_wait_s: u64,
    /// Agents that serve it and are logged in.
    pub agents: usize,
    /// Of these, available now.
    pub available: usize,
}

/// `tandem session list`: one session of a CTI client.
#[derive(Clone, Debug, Serialize)]
pub struct Session {
    /// Its number, for people; what the client resumes it by is not shown.
    pub session: u64,
    /// User name.
    pub person: String,
    /// Role.
    pub role: tandem_cti::Role,
    /// What the client says it is.
    pub application: String,
    /// Is a connection open?
    pub connected: bool,
    /// DNs that it has registered.
    pub dns: usize,
    /// `EventSequenceNumber` of the last event.
    pub last: u64,
    /// Seconds since it was opened.
    pub age_s: u64,
}

/// `tandem migrate --status`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Migration {
    /// `none`, `moving`, `standing`, `paused`, `rolling back`, `waits for the peer`.
    pub state: &'static str,
    /// The other site.
    pub to: Option<String>,
    /// Who asked last.
    pub by: Option<String>,
    /// Seconds since it began.
    pub since_s: Option<u64>,
    /// The agent group that is meant; all agents if none.
    pub group: Option<String>,
    /// So many of a hundred go now.
    pub percent: u8,
    /// So many are to go.
    pub target: u8,
    /// So many more, or fewer, at once.
    pub step: u8,
    /// Seconds between steps.
    pub every_s: u64,
    /// Seconds until the next step, if there is one.
    pub next_step_s: Option<u64>,
    /// New calls that were sent to the peer.
    pub calls_sent: u64,
    /// New calls that stayed.
    pub calls_kept: u64,
    /// Agents logged in here.
    pub agents_here: usize,
    /// Agents who were logged out and belong at the peer.
    pub agents_gone: usize,
    /// Agents who leave when their work is done.
    pub agents_leaving: usize,
    /// The first of them, and what they are waited for.
    pub leaving: Vec<DrainAgent>,
}

/// `tandem why`: what was decided about one call, and from what.
#[derive(Clone, Debug, Serialize)]
pub struct Why {
    /// `CallUUID`.
    pub call_uuid: String,
    /// Session UUIDs (RFC 7989) of the caller and, once he is answered, of who answered.
    pub session_ids: Vec<String>,
    /// Call-IDs of its legs, the caller's first.
    pub sip_call_ids: Vec<String>,
    /// Is the call still there?
    pub alive: bool,
    /// Steps in order.
    pub steps: Vec<Step>,
}

/// One step of [`Why`].
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// When, ms since the Unix epoch.
    pub unix_ms: u64,
    /// What was decided.
    pub text: String,
    /// What was considered and why it was, or was not, taken.
    pub considered: Vec<String>,
}
