//! Why a call went where it went: the steps of each call, kept as facts and put into words only when somebody asks.

use std::collections::VecDeque;
use std::sync::Arc;

use tandem_peer::continuity::{Decision, DrForward, Mode};

use crate::call::{Aim, EndReason, Side};
use crate::cdr::EndedBy;
use crate::directory::Directory;
use crate::limits::{MAX_EXPLAINED, MAX_STEPS};
use crate::rooms::{Device, Rooms};
use crate::share::Turn;
use crate::trunks::Full;
use crate::view;

/// One thing that was decided or seen.
#[derive(Clone, Debug)]
pub enum What {
    /// The INVITE was accepted for routing.
    Arrived {
        /// Who calls.
        origin: Device,
        /// How he was recognised.
        known_by: KnownBy,
    },
    /// The dialled number is this Extension.
    IsExtension(Device),
    /// The dialled number matched the dial rule at this place of the plan.
    MatchedRule(usize),
    /// The call leaves the switch, on the account of this Extension.
    External(Arc<str>),
    /// It may not, because of this limit of the Extension.
    TollBarred(Box<(Arc<str>, crate::guard::TollRule)>),
    /// An emergency call, sent to the emergency trunks with this number.
    Emergency(Box<str>),
    /// Deliver here or at the peer.
    Continuity {
        /// The decision.
        decision: Decision,
        /// Mode when it was made.
        mode: Mode,
        /// `dr-forward` in effect.
        dr_forward: DrForward,
    },
    /// Graceful migration is under way: the call's turn.
    Migrates(Turn),
    /// Nothing to send the call to at this device: out of service, not registered, or its name does not resolve.
    PassedOver(Device, Absent),
    /// An INVITE went to this device.
    Offered(Device),
    /// The call came over this trunk, and a limit of it is reached.
    TrunkFull(Device, Full),
    /// The device refused.
    Refused(Device, u16),
    /// The device challenged this server, which answered with its credentials.
    Challenged(Device, u16),
    /// The device did not answer at all.
    Unreachable(Device, EndReason),
    /// Nobody was reached at the registered contacts: the peer site is tried.
    AsksPeer,
    /// The in-path forward came back and the call is delivered here.
    FellBack(u16),
    /// The device answered.
    Answered(Device),
    /// The server was started anew, or took over, and goes on with the call.
    TakenUp,
    /// A request made the call; the phone of this DN is called first.
    Made(Device),
    /// It is a connection that is nailed up to the phone of this DN.
    NailedUp(Device),
    /// It goes over the connection that is nailed up to this device.
    OverLine(Device),
    /// Another call runs over that connection.
    LineBusy(Device),
    /// The call waits at this queue or routing point.
    Parked(Arc<str>),
    /// A media server was asked to play this file.
    ToPlay(Arc<str>),
    /// It plays.
    Plays,
    /// It has played the file to its end.
    Played,
    /// The caller has ringback instead of what was to be played, because of this.
    NotPlayed(Arc<str>),
    /// The media of a leg cannot be carried, because of this.
    Unbridged(Arc<str>),
    /// The media server that carried the media of a side was lost; another one takes them.
    MediaLost(Side),
    /// Nobody took the offer; this was the best refusal.
    Unplaced(u16),
    /// A request sent the call on to this number.
    SentOn(Box<[u8]>),
    /// The phone was asked to answer.
    AskedToAnswer(Device),
    /// The caller was answered with this final status.
    Failed(u16),
    /// A leg was audited because the trunk it runs over was lost.
    Audited(Side),
    /// An operation by INVITEs of this server's own ended so, with the status that it met.
    Arranged(Aim, Option<u16>),
    /// A side's phone put the other party on hold (true), or took it back.
    HeldByPhone(Side, bool),
    /// A party was sent a request of this server's own.
    Told(Side, &'static str),
    /// A leg of another call came, over this device.
    TookOver(Device),
    /// The device sent the call on to this number (3xx).
    Redirected(Device, Box<[u8]>),
    /// This device wants the place of the party at this side (`Replaces`).
    TakesOver(Side, Device),
    /// The call rang at the first device, and the second one takes it (`Replaces`).
    PickedUp(Device, Device),
    /// A side's phone transfers the other party to this number.
    Refers(Side, Box<[u8]>),
    /// Nobody came in its place: this was why.
    ReferFailed(u16),
    /// The party at this side leaves for whoever is called.
    Replaced(Side),
    /// The party goes to the conference mixer.
    ToMixer(Arc<str>),
    /// A SUBSCRIBE was refused.
    NotSubscribed {
        /// Who wanted to watch.
        watcher: Device,
        /// What.
        package: &'static str,
        /// The URI that he asked for.
        entity: Box<str>,
        /// Status that he was told.
        status: u16,
        /// Why.
        why: &'static str,
    },
    /// A side's leg ended.
    Ended(Side, EndedBy, EndReason),
}

/// How a caller was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownBy {
    /// Source address and port are a trunk's contact.
    TrunkAddress,
    /// Source address lies in a trunk's networks.
    TrunkNetwork,
    /// The request came by the flow of a registered contact of this DN, or authentication is off.
    Registration,
    /// Digest credentials.
    Credentials,
    /// Authentication is off for calls.
    Trust,
    /// He asks for help, and `without-credentials` of `[emergency]` says that he is believed.
    Emergency,
}

/// Why a device could not be offered the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// Its trunk or static contact is out of service.
    OutOfService,
    /// No contact is registered.
    NotRegistered,
    /// Each of its contacts is in quarantine, over a connection that is gone.
    Suspended,
    /// The name in its contact has no address.
    Unresolved,
    /// The call is for a sips: URI, and it is not reached over TLS.
    NotSecure,
    /// Its 503 asked by Retry-After to be left alone for a while.
    LeftAlone,
    /// A limit of the trunk is reached.
    Full(Full),
}

/// One step.
#[derive(Clone, Debug)]
struct Step {
    unix_ms: u64,
    what: What,
}

/// Steps that room is made for at once.
const ROOM: usize = 3;

/// The steps of one call.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    steps: Vec<Step>,
}

impl Trace {
    /// Notes a step; beyond [`MAX_STEPS`] it is dropped.
    pub fn note(&mut self, unix_ms: u64, what: What) {
        if self.steps.len() < MAX_STEPS {
            // Most calls take five: to double the room would leave much of it empty for as long as they last.
            if self.steps.len() == self.steps.capacity() {
                self.steps.reserve_exact(ROOM);
            }
            self.steps.push(Step { unix_ms, what });
        }
    }

    /// Takes in the steps of another call, in their order.
    pub fn absorb(&mut self, other: Self) {
        self.steps.extend(other.steps);
        self.steps.sort_by_key(|step| step.unix_ms);
        self.steps.truncate(MAX_STEPS);
    }

    /// In words, with what became of the call at queues: of steps of one moment those come after the call's arrival there
    /// and before where it went from there.
    fn render(&self, directory: &Directory, at_queues: Vec<view::Step>) -> Vec<view::Step> {
        let mut parked = false;
        let own = self.steps.iter().map(|step| {
            let rank = if parked { 2 } else { 0 };
            parked |= matches!(step.what, What::Parked(_));
            (rank, render(step, directory))
        });
        let mut steps: Vec<(u8, view::Step)> = own.collect();
        steps.extend(at_queues.into_iter().map(|step| (1, step)));
        steps.sort_by_key(|(rank, step)| (step.unix_ms, *rank));
        steps.into_iter().map(|(_, step)| step).collect()
    }
}

/// What is kept of a call that is over.
#[derive(Debug)]
pub struct Explained {
    /// `ConnID` under which the CTI interface knew it first.
    pub conn: Option<u64>,
    /// `CallUUID`.
    pub uuid: u128,
    /// Session UUIDs (RFC 7989) of the caller and of who answered; 0 is none.
    pub session_ids: [u128; 2],
    /// Call-IDs of the legs, the caller's first.
    pub call_ids: Vec<Box<str>>,
    /// The configuration under which it ran.
    pub directory: Arc<Directory>,
    /// Its steps.
    pub trace: Trace,
}

impl Explained {
    /// In words, with what became of it at queues.
    #[must_use]
    pub fn view(&self, alive: bool, at_queues: Vec<view::Step>) -> view::Why {
        view::Why {
            call_uuid: format!("{:032x}", self.uuid),
            session_ids: self
                .session_ids
                .iter()
                .filter(|id| **id != 0)
                .map(|id| format!("{id:032x}"))
                .collect(),
            sip_call_ids: self.call_ids.iter().map(|id| id.to_string()).collect(),
            alive,
            steps: self.trace.render(&self.directory, at_queues),
        }
    }

    /// Whether this is the call with that Call-ID, `CallUUID`, session UUID or `ConnID`.
    #[must_use]
    pub fn is(&self, id: &str) -> bool {
        let is_conn = |conn: u64| id.len() == 16 && u64::from_str_radix(id, 16) == Ok(conn);
        self.call_ids.iter().any(|own| &**own == id)
            || u128::from_str_radix(id, 16)
                .is_ok_and(|id| id == self.uuid || (id != 0 && self.session_ids.contains(&id)))
            || self.conn.is_some_and(is_conn)
    }
}

/// The latest calls that are over.
#[derive(Debug, Default)]
pub struct Archive {
    calls: VecDeque<Explained>,
}

impl Archive {
    /// Keeps one more; the oldest beyond `bound` (at most [`MAX_EXPLAINED`]) are forgotten.
    pub fn keep(&mut self, mut explained: Explained, bound: usize) {
        explained.trace.steps.shrink_to_fit();
        self.calls.push_back(explained);
        while self.calls.len() > bound.min(MAX_EXPLAINED) {
            self.calls.pop_front();
        }
    }

    /// The latest call with this Call-ID, `CallUUID` or `ConnID`.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Explained> {
        self.calls.iter().rev().find(|call| call.is(id))
    }
}

/// A device and what it is called.
fn named(directory: &Directory, device: Device) -> String {
    let kind = match device {
        Device::Extension(_) => "Extension",
        Device::Trunk(_) => "Trunk",
        Device::Mixer => "Mixer",
    };
    format!("{kind} {}", Rooms::name_of(directory, device))
}

/// The dial rule that matched, and those that did not.
fn matched(directory: &Directory, place: usize) -> (String, Vec<String>) {
    let rule = directory.dial_plan().get(place);
    let before = directory.dial_plan().iter().take(place);
    let (prefix, strip, add) = rule.map_or(("", 0, ""), |r| (&*r.prefix, r.strip, &*r.add));
    let text = format!("dial plan: prefix '{prefix}', strip {strip}, add '{add}'");
    (text, before.map(|r| format!("no: prefix '{}'", r.prefix)).collect())
}

/// The rules that a decision went through.
fn weighed(decision: &Decision) -> Vec<String> {
    let told = |(rule, matched)| format!("{}: {rule}", if matched { "yes" } else { "no" });
    decision.considered().map(told).collect()
}

/// An Extension may not call outside.
fn barred_by(dn: &str, rule: &impl std::fmt::Display) -> String {
    format!("Extension {dn} may not call there now: {rule}")
}

/// A SUBSCRIBE that was refused.
fn not_subscribed(what: &What, directory: &Directory) -> String {
    let What::NotSubscribed { watcher, package, entity, status, why } = what else { return String::new() };
    format!("{} may not subscribe to {package} of {entity}: {status} {why}", named(directory, *watcher))
}

/// A step that a media server takes.
fn of_media(what: &What) -> String {
    if let What::ToPlay(file) = what {
        format!("the media server is asked to play {file}")
    } else if let What::NotPlayed(why) = what {
        format!("nothing is played, ringback instead: {why}")
    } else if let What::Unbridged(why) = what {
        format!("the media cannot be carried: {why}")
    } else if let What::MediaLost(side) = what {
        format!("the media server of the {side} leg was lost: both parties are offered another one")
    } else if matches!(what, What::Plays) {
        "the media server plays to the caller".to_owned()
    } else {
        "the media server has played to the end; ringback".to_owned()
    }
}

/// A step by which phones send a call elsewhere.
fn of_transfer(what: &What, directory: &Directory) -> String {
    if let What::Redirected(device, to) = what {
        let to = String::from_utf8_lossy(to);
        format!("{} redirected the call to {to}", named(directory, *device))
    } else if let What::TakesOver(side, device) = what {
        format!("{} takes the place of the {side} party (Replaces)", named(directory, *device))
    } else if let What::PickedUp(rang, device) = what {
        let (device, rang) = (named(directory, *device), named(directory, *rang));
        format!("{device} takes the call, which rang at {rang} (Replaces)")
    } else if let What::Refers(side, to) = what {
        format!("the {side} phone transfers the call to {} (REFER)", String::from_utf8_lossy(to))
    } else if let What::ReferFailed(status) = what {
        format!("the transfer came to nothing ({status})")
    } else if let What::TakenUp = what {
        "the server was started anew, or took over, and goes on with it".to_owned()
    } else if let What::Replaced(side) = what {
        format!("the {side} party leaves the call to whoever is called")
    } else {
        String::new()
    }
}

/// What the peer site has to do with it.
fn of_peer(what: &What) -> String {
    if let What::FellBack(status) = what {
        return match status {
            0 => "the peer did not answer the forwarded call; delivered here".to_owned(),
            status => format!("the peer refused the forwarded call with {status}; delivered here"),
        };
    }
    "no registered contact was reached here, and the phone may be at the peer: sent over the peer trunk"
        .to_owned()
}

fn render(step: &Step, directory: &Directory) -> view::Step {
    let name = |device: Device| named(directory, device);
    let mut considered = Vec::new();
    let text = match &step.what {
        What::Arrived { origin, known_by } => format!("call from {}, known by {known_by}", name(*origin)),
        What::IsExtension(device) => format!("the number is {}", name(*device)),
        What::MatchedRule(place) => {
            let (text, others) = matched(directory, *place);
            considered = others;
            text
        }
        What::Continuity { decision, mode, dr_forward } => {
            considered = weighed(decision);
            format!("{decision} (mode {mode}, dr-forward {dr_forward})")
        }
        What::External(dn) => format!("an external call, on the account of Extension {dn}"),
        What::TollBarred(barred) => barred_by(&barred.0, &barred.1),
        What::Emergency(number) => format!("an emergency call: {number} at the emergency trunks"),
        What::Migrates(turn) => turn.to_string(),
        What::PassedOver(device, absent) => format!("{} passed over: {absent}", name(*device)),
        What::Offered(device) => format!("offered to {}", name(*device)),
        What::TrunkFull(device, full) => format!("{} takes no further call: {full}", name(*device)),
        What::Refused(device, status) => format!("{} refused with {status}", name(*device)),
        What::Challenged(device, status) => {
            format!("{} challenged with {status}; answered with its credentials", name(*device))
        }
        What::Unreachable(device, reason) => format!("{} gave no answer: {reason}", name(*device)),
        What::AsksPeer | What::FellBack(_) => of_peer(&step.what),
        What::Answered(device) => format!("answered by {}", name(*device)),
        What::Made(device) => format!("made by request for {}, whose phone is called first", name(*device)),
        What::NailedUp(device) => format!("a connection nailed up to {}", name(*device)),
        What::OverLine(device) => format!("goes over the connection nailed up to {}", name(*device)),
        What::LineBusy(device) => format!("{}: a call runs over its nailed-up connection", name(*device)),
        What::Parked(at) => {
            let kind = if directory.queue(at).is_some() { "queue" } else { "routing point" };
            format!("parked at {kind} {at}")
        }
        What::ToPlay(_)
        | What::Plays
        | What::Played
        | What::NotPlayed(_)
        | What::Unbridged(_)
        | What::MediaLost(_) => of_media(&step.what),
        What::Unplaced(status) => format!("nobody took the offer ({status}); parked again"),
        What::SentOn(to) => format!("sent on to {} by request", String::from_utf8_lossy(to)),
        What::AskedToAnswer(device) => format!("{} was asked to answer", name(*device)),
        What::Failed(status) => format!("caller answered with {status}"),
        What::Arranged(aim, None) => aim.to_string(),
        What::Arranged(aim, Some(status)) => format!("in vain ({status}): {aim}"),
        What::HeldByPhone(side, true) => format!("the {side} phone put the other party on hold"),
        What::HeldByPhone(side, false) => format!("the {side} phone took the other party back"),
        What::Told(side, what) => format!("the {side} phone was sent {what}, by request"),
        What::TookOver(device) => format!("{} came from another call, by request", name(*device)),
        What::Redirected(..)
        | What::TakesOver(..)
        | What::PickedUp(..)
        | What::Refers(..)
        | What::ReferFailed(_)
        | What::TakenUp
        | What::Replaced(_) => of_transfer(&step.what, directory),
        What::ToMixer(mixer) => format!("the party goes to mixer {mixer}"),
        What::Audited(side) => format!("the {side} leg was audited: its trunk is out of service"),
        What::NotSubscribed { .. } => not_subscribed(&step.what, directory),
        What::Ended(side, by, reason) => format!("the {side} leg ended ({}): {reason}", by.as_str()),
    };
    view::Step { unix_ms: step.unix_ms, text, considered }
}

impl std::fmt::Display for KnownBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::TrunkAddress => "the trunk's own address",
            Self::TrunkNetwork => "a source network of the trunk",
            Self::Registration => "its registered contact",
            Self::Credentials => "its credentials",
            Self::Trust => "its From header (authenticate-requests does not name invite)",
            Self::Emergency => {
                "its From header, as it is an emergency call ([emergency] without-credentials)"
            }
        })
    }
}

impl std::fmt::Display for Absent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::OutOfService => "out of service",
            Self::NotRegistered => "no contact is registered",
            Self::Suspended => "every contact is in quarantine, and its connection is gone",
            Self::Unresolved => "the name in its contact does not resolve",
            Self::LeftAlone => "it answered 503 and asked by Retry-After to be left alone for now",
            Self::Full(full) => return write!(f, "{full}"),
            Self::NotSecure => "the call is for a sips: URI, and this way is without TLS",
        })
    }
}
