//! Calls. A [`Call`] is a struct and a `match`: this server stands between the caller's leg and the callee's, each a
//! dialog of its own (B2BUA, RFC 7092), so that neither side sees the other's topology.
//!
//! | file | what |
//! |---|---|
//! | `setup` | from the INVITE to its answer: places tried in turn, forked branches |
//! | `waiting` | a call that waits at a queue or routing point |
//! | `anchored` | legs whose media a media server carries |
//! | `parked` | an INVITE of a party that waits on the line |
//! | `player`, `tone` | what a media server plays to its caller; the same to a party on the line |
//! | `make` | a call that a request makes: the caller's own phone first |
//! | `steer` | what requests do to a call before it is answered |
//! | `branch`, `losers` | one INVITE to one possible callee; those that did not win |
//! | `spare` | the next target of a trunk that has several |
//! | `carried` | user data and ConnID, to and from the peer site |
//! | `reliable` | reliable provisional responses where only one side knows them |
//! | `early` | early dialogs, one of ours for each of theirs |
//! | `reached` | over which connections its parties are reached |
//! | `redirect` | a callee sends the call on (3xx) |
//! | `best`, `reply` | which refusal the caller is told, and how |
//! | `talk`, `exchange` | the answered call: two dialogs, and the INVITE that is under way within them |
//! | `operate` | what requests do to it |
//! | `arrange`, `join`, `hold`, `telling` | INVITEs, INFO and NOTIFY of this server's own within it |
//! | `nailed`, `line`, `resting`, `renailed` | nailed-up connections: the table's part, the borrowing call's, the lending one's, their records |
//! | `transfer` | legs that leave one call for another: transfer, conference |
//! | `refer`, `referred`, `aside` | a party leaves for somebody who is called beside the conversation: REFER, one-step transfer |
//! | `update` | which offers may cross, and UPDATE for a side that takes none |
//! | `takeover`, `pickup` | somebody takes a party's place, or a call that rings elsewhere: INVITE with `Replaces` |
//! | `relay` | other requests within the dialogs, passed to the other side |
//! | `way` | where requests within a dialog go whose next hop is a name |
//! | `timer`, `refresh` | the session timer of each leg (RFC 4028), and what it does |
//! | `session` | descriptions of this server's own |
//! | `stored`, `life`, `restored` | the record of an answered call, and the call taken up again from it |
//! | `unanswered`, `takeback` | the same of a call in set-up, and of phones that rang |
//! | `teardown`, `closing` | how an answered call ends, and what it then still owes |
//! | `headers`, `hide` | what is passed from leg to leg and what is not |
//! | `presented`, `privacy`, `passage`, `history` | who calls and from where it was sent on, as each callee is told; what of his words passes to whom |
//! | `session_id` | Session-ID from end to end |
//! | `credentials` | a trunk's challenge is answered |

mod anchored;
mod arrange;
mod aside;
mod best;
mod branch;
mod carried;
mod closing;
pub mod control;
mod credentials;
mod early;
mod exchange;
mod flows;
mod headers;
mod hide;
mod history;
mod hold;
mod incoming;
mod join;
mod leg;
mod life;
mod line;
mod losers;
mod make;
mod nailed;
mod news;
mod operate;
mod parked;
mod passage;
mod pickup;
mod player;
mod presented;
mod privacy;
mod reached;
mod record;
mod redirect;
mod refer;
mod referred;
mod refresh;
mod relay;
mod reliable;
mod renailed;
mod repeated;
mod reply;
mod resting;
mod restored;
mod session;
mod session_id;
mod setup;
mod spare;
mod steer;
mod stored;
mod suspect;
mod table;
mod takeback;
mod takeover;
mod talk;
mod teardown;
mod telling;
mod timer;
mod tone;
mod transfer;
mod unanswered;
mod update;
mod waiting;
mod way;

use std::sync::Arc;
use std::time::Instant;

use smallvec::SmallVec;
use tandem_peer::Replicated;
use tandem_peer::audit::AuditRound;
use tandem_sip::{Flow, Message, TxnId};

pub use anchored::media_of;
pub use arrange::Aim;
pub use aside::Beside;
use best::mapped;
pub use branch::{Bound, Branch, Stranger, Target};
use closing::Closing;
pub use exchange::Exchange;
pub use headers::{OWN, SUPPORTED, has_marker, unsupported, unsupported_beside};
pub use history::{SentOn, WhySentOn};
pub use hold::Hold;
pub use incoming::Incoming;
pub use leg::{Leg, Side, address, behind_nat};
pub use nailed::{Line, Lines, NailUp};
pub use news::{Carried, Far, LegNo, News, Ticket};
pub use pickup::DialogNames;
pub use presented::Presented;
pub use privacy::{Privacy, is_private};
pub use record::{EndReason, LegFacts};
pub use redirect::Redirected;
pub use referred::{ReferTo, Referred, Replaces};
pub(crate) use renailed::Nailed;
pub(crate) use repeated::Repeated;
pub use restored::TakenUp;
pub use session::{Session, description};
pub use session_id::SessionIds;
pub use setup::{Opening, Stage};
pub use table::Calls;
pub use takeback::Takebacks;
pub use talk::Talk;
pub use unanswered::{Concluded, Resumed, Unanswered};

use crate::arena::Key;
use crate::cdr::{Cdr, EndedBy};
use crate::directory::{Directory, DnId};
use crate::explain::{Explained, Trace, What};
use crate::ids::Tag;
use crate::rooms::{Device, Fact, Rooms};
use crate::time::Now;
use crate::view;

use setup::Setup;
use telling::Telling;

/// One call.
#[derive(Debug)]
pub struct Call {
    key: Key,
    uuid: u128,
    /// `ConnID` under which the CTI interface knew it first, for `tandem why`.
    conn: Option<u64>,
    directory: Arc<Directory>,
    started: Now,
    from: Box<[u8]>,
    to: Box<[u8]>,
    phase: Phase,
    /// What an ended call still owes.
    closing: Option<Box<Closing>>,
    /// Branches that were not chosen and still owe a final response.
    losers: Vec<Branch>,
    /// Relayed requests that wait for their answer.
    pending: Vec<Pending>,
    next_pending: u16,
    /// Requests of this server's own to the parties.
    tellings: Vec<Telling>,
    /// Dialogs that were ended while the call goes on.
    departed: Vec<tandem_sip::Dialog>,
    /// What plays to a caller who waits.
    player: Option<Box<player::Player>>,
    /// Players that the call has had.
    players: u8,
    /// The request that asked for the call, where it waits for the two to be connected.
    asked: Option<Ticket>,
    /// BYEs that wait for their answer.
    byes: u8,
    /// Local tags that lead here.
    tags: SmallVec<[Tag; 2]>,
    /// Facts of the legs: the caller's, then one for each branch.
    legs: SmallVec<[LegFacts; 2]>,
    /// What it carries to the peer site, if anything.
    carried: Option<Box<Carried>>,
    /// A party asked not to be named.
    private: bool,
    /// A party is leaving it for somebody else.
    referral: Option<Box<refer::Referral>>,
    /// A party that was replaced, and is expected to hang up.
    lingering: Option<Box<refer::Lingering>>,
    /// Somebody wants a party's place.
    takeover: Option<Box<takeover::Takeover>>,
    /// Somebody takes it away from where it rings.
    taker: Option<Box<pickup::Taker>>,
    /// Whoever is called in it is to join this conversation.
    aside_of: Option<Key>,
    /// Session UUIDs of its caller and, once it is answered, of who answered.
    session_ids: [u128; 2],
    /// Numbers that it was sent on from, oldest first.
    sent_on: Vec<SentOn>,
    /// What is stored of it while nobody has answered.
    unanswered: Option<Box<unanswered::Kept>>,
    /// It is a nailed-up connection.
    nail: Option<Box<resting::Nail>>,
    trace: Trace,
}

/// Who calls, by name.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The configuration that his device belongs to.
    pub directory: Arc<Directory>,
    /// His number.
    pub number: Box<[u8]>,
}

/// Where the call stands.
#[derive(Debug)]
enum Phase {
    /// Looking for somebody who answers.
    Setup(Box<Setup>),
    /// Answered.
    Talk(Box<Talking>),
    /// Nothing is left but the answers to what was sent last.
    Ending,
}

/// An answered call: what must survive this process, and what need not.
#[derive(Debug)]
struct Talking {
    talk: Replicated<Talk>,
    exchange: Exchange,
    audit: [Option<Box<Audit>>; 2],
    /// The other party has left for another call: the side that is left, and since when.
    alone: Option<(Side, Instant)>,
    /// An earlier process answered it.
    taken_up: bool,
}

/// An OPTIONS in the dialog of a leg whose trunk was lost.
#[derive(Clone, Copy, Debug)]
struct Audit {
    /// The round it belongs to, and its place in it.
    round: AuditRound,
    place: u32,
    /// When it is asked (again); `None` while a question is out.
    ask_at: Option<Instant>,
}

/// A relayed request other than INVITE.
#[derive(Debug)]
struct Pending {
    id: u16,
    /// Side that sent it.
    from: Side,
    /// Our tag in it.
    to: Tag,
    server: TxnId,
    client: TxnId,
    request: Message,
    flow: Flow,
    /// `RAck` as it is passed on.
    rack: Option<Box<[u8]>>,
    /// It went by TCP for its size.
    by_tcp_for_size: bool,
    /// It was challenged before.
    challenged: bool,
}

/// Which of a call's timers is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallTimer {
    /// `ring-timeout`.
    Ring,
    /// A trunk's target has been silent for so long that the next one is tried.
    NextTarget,
    /// A waiting caller is told again that he waits.
    Waiting,
    /// A 2xx that is not acknowledged is sent again, or given up (RFC 3261 13.3.1.4).
    Answer,
    /// A re-INVITE rings but is never decided.
    Reinvite,
    /// An INVITE of this server's own goes again, or is taken back.
    Arranging,
    /// A party that was left alone is released.
    Alone,
    /// An audit is due, or stays unanswered.
    Audit,
    /// A reliable provisional response is sent again, or given up.
    Provisional,
    /// A session is refreshed, or was not.
    Session,
    /// A party that was replaced has not hung up.
    Referrer,
}

impl Call {
    /// Its key in the table.
    #[must_use]
    pub fn key(&self) -> Key {
        self.key
    }

    /// The next moment at which [`Call::handle_timeout`] has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, CallTimer)> {
        let own = match &self.phase {
            Phase::Setup(setup) => setup.poll_timeout(),
            Phase::Talk(talking) => talking.poll_timeout(),
            Phase::Ending => self.closing.as_ref().and_then(|closing| closing.poll_timeout()),
        };
        [own, self.lingers_until(), self.taker_due()].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// Runs what is due.
    pub fn handle_timeout(&mut self, rooms: &mut Rooms) {
        self.lingering_timeout(rooms);
        self.taker_timeout(rooms);
        match &self.phase {
            Phase::Setup(_) => self.setup_timeout(rooms),
            Phase::Talk(_) => self.talk_timeout(rooms),
            Phase::Ending => self.closing_timeout(rooms),
        }
    }

    /// Who calls: the device, as it was configured when the call began, and the number.
    #[must_use]
    pub fn caller(&self) -> (Device, Caller) {
        let device = self.legs.first().map_or(Device::Extension(DnId(u32::MAX)), |leg| leg.device);
        (device, Caller { directory: Arc::clone(&self.directory), number: self.from.clone() })
    }

    /// Our tag towards the caller; the answer to his CANCEL carries the same as that to his INVITE (RFC 3261 9.2).
    #[must_use]
    pub fn caller_tag(&self) -> Option<Tag> {
        match &self.phase {
            Phase::Setup(setup) => Some(setup.refusal_tag()),
            Phase::Talk(talking) => Tag::parse(talking.talk.leg(Side::Caller).dialog.local_tag()),
            Phase::Ending => None,
        }
    }

    /// Whether it has ended, though something may still be owed to its parties.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        matches!(self.phase, Phase::Ending)
    }

    /// Whether a party asked not to be named to others (RFC 3323).
    #[must_use]
    pub fn hides_parties(&self) -> bool {
        self.private
    }

    /// Its `CallUUID`.
    #[must_use]
    pub fn uuid(&self) -> u128 {
        self.uuid
    }

    /// Whether nothing of the call is left.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_closed() && self.losers.is_empty() && self.pending.is_empty() && self.taker.is_none()
    }

    /// Whether it is answered and runs over this device.
    #[must_use]
    pub fn runs_over(&self, device: Device) -> bool {
        match &self.phase {
            Phase::Talk(talking) => talking.talk.legs.iter().any(|leg| leg.device == device),
            Phase::Setup(_) | Phase::Ending => false,
        }
    }

    /// Names of the trunks that its legs run over, as often as there are such legs.
    pub(super) fn trunks(&self) -> impl Iterator<Item = &Arc<str>> {
        let legs = self.legs.iter().filter(|leg| leg.ended.is_none());
        legs.filter_map(|leg| match leg.device {
            Device::Trunk(id) => Some(&self.directory.trunk(id)?.name),
            Device::Extension(_) | Device::Mixer => None,
        })
    }

    /// Trunk names at its two ends while it lasts.
    #[must_use]
    pub fn uses_trunk(&self, name: &str) -> bool {
        let is = |device: Device| {
            matches!(device, Device::Trunk(_)) && Rooms::name_of(&self.directory, device) == name
        };
        !matches!(self.phase, Phase::Ending)
            && self.legs.iter().any(|leg| leg.ended.is_none() && is(leg.device))
    }

    /// The Extension of a leg, if that is still called so.
    #[must_use]
    pub fn extension_at(&self, leg: LegNo) -> Option<DnId> {
        let device = self.legs.get(usize::from(leg))?.device;
        if let Device::Extension(dn) = device { Some(dn) } else { None }
    }

    /// The Extension that rings, or rang last.
    #[must_use]
    pub fn rings_at(&self) -> Option<DnId> {
        let called = self.legs.iter().skip(1).rev();
        called.map(|leg| leg.device).find_map(|device| match device {
            Device::Extension(dn) => Some(dn),
            Device::Trunk(_) | Device::Mixer => None,
        })
    }

    fn tell(&self, rooms: &mut Rooms, news: News) {
        if self.is_mute(&news) || self.is_heard_elsewhere(&news) {
            return;
        }
        match &mut rooms.overheard {
            Some(overheard) => overheard.push((self.key, news)),
            None => rooms.facts.push(Fact::Call(self.key, news)),
        }
    }

    fn note(&mut self, rooms: &Rooms, what: What) {
        self.trace.note(rooms.now.unix_ms, what);
    }

    /// Notes how the call's way was found, and puts it on the account that it says.
    fn note_way(&mut self, rooms: &mut Rooms, steps: Vec<What>) {
        for step in steps {
            if let What::External(dn) = &step {
                rooms.ledger.charge(self.uuid, dn, rooms.now);
            } else if let What::Emergency(number) = &step {
                rooms.help_is_called(self.uuid, &self.from, number);
            }
            self.note(rooms, step);
        }
    }

    fn leg_ended(&mut self, rooms: &mut Rooms, place: usize, by: EndedBy, reason: EndReason) {
        let side = if place == 0 { Side::Caller } else { Side::Callee };
        let Some(leg) = self.legs.get_mut(place) else { return };
        if leg.ended.is_none() {
            leg.ended = Some((rooms.now.unix_ms, by, reason));
            if !rooms.anchors.is_empty() {
                rooms.anchors.left(leg.call_id().as_bytes());
            }
            self.trace.note(rooms.now.unix_ms, What::Ended(side, by, reason));
        }
    }

    /// Everything that stays of it: its record, and why it went where it went.
    pub fn conclude(mut self, rooms: &mut Rooms) -> Explained {
        self.denail(rooms);
        let answered = self.legs.first().and_then(|leg| leg.answered);
        rooms.ledger.ended(self.uuid, answered, rooms.now);
        for tag in &self.tags {
            // Another call may have the dialog by now.
            if rooms.tags.get(tag) == Some(&self.key) {
                rooms.tags.remove(tag);
            }
        }
        let end = rooms.now.unix_ms;
        if !rooms.anchors.is_empty() {
            self.legs.iter().for_each(|leg| rooms.anchors.left(leg.call_id().as_bytes()));
        }
        let legs = self.legs.iter().enumerate();
        let legs = legs.map(|(place, leg)| leg.record(&self.directory, place, end)).collect();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let cdr = Cdr {
            call_uuid: format!("{:032x}", self.uuid),
            server: self.directory.server.name.to_string(),
            from: text(&self.from),
            to: text(&self.to),
            start_unix_ms: self.started.unix_ms,
            end_unix_ms: self.ended_unix_ms(end),
            session_id: self.session_id(),
            legs,
        };
        let asked = self.asked.take();
        self.done(rooms, asked, Err(0));
        self.tell(rooms, News::Over);
        let record = self.concluded();
        // The record of a conversation has the legs that were called beside it.
        if self.aside_of.is_none() {
            rooms.facts.push(Fact::Ended(Box::new(cdr)));
            if let Some(record) = record {
                rooms.unwritten.add(self.uuid, record, &mut rooms.log);
            }
        } else if let Some(record) = record {
            record.delete(&mut rooms.log);
        }
        let call_ids = self.call_ids();
        Explained {
            conn: self.conn,
            uuid: self.uuid,
            session_ids: self.session_ids,
            call_ids,
            directory: self.directory,
            trace: std::mem::take(&mut self.trace),
        }
    }

    /// When its last leg ended: the same whoever writes the record.
    fn ended_unix_ms(&self, now_unix_ms: u64) -> u64 {
        let ends = self.legs.iter().map(|leg| leg.ended.map_or(now_unix_ms, |(at, ..)| at));
        ends.max().unwrap_or(now_unix_ms)
    }

    /// Its Session-ID as the caller's messages have it.
    fn session_id(&self) -> String {
        let [caller, callee] = self.session_ids;
        format!("{caller:032x};remote={callee:032x}")
    }

    /// Call-IDs of its legs, the caller's first.
    #[must_use]
    pub fn call_ids(&self) -> Vec<Box<str>> {
        self.legs.iter().map(LegFacts::call_id).collect()
    }

    /// Why it went where it went, so far.
    #[must_use]
    pub fn explained(&self) -> Explained {
        let call_ids = self.call_ids();
        let directory = Arc::clone(&self.directory);
        let trace = self.trace.clone();
        let (conn, uuid, session_ids) = (self.conn, self.uuid, self.session_ids);
        Explained { conn, uuid, session_ids, call_ids, directory, trace }
    }

    /// The line of `tandem call list`.
    #[must_use]
    pub fn view(&self, now: Now) -> view::Call {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        view::Call {
            call_uuid: format!("{:032x}", self.uuid),
            sip_call_id: self.legs.first().map(|leg| leg.call_id().into()).unwrap_or_default(),
            from: text(&self.from),
            to: text(&self.to),
            state: match &self.phase {
                Phase::Setup(_) if self.nail.is_some() => "nailed-up",
                Phase::Setup(setup) if setup.waits_at().is_some() => "waiting",
                Phase::Setup(setup) if setup.is_ringing() => "ringing",
                Phase::Setup(_) => "routing",
                Phase::Talk(_) => "established",
                Phase::Ending => "ending",
            },
            age_s: now.unix_ms.saturating_sub(self.started.unix_ms) / 1000,
            devices: self
                .legs
                .iter()
                .skip(1)
                .filter(|leg| leg.ended.is_none())
                .map(|leg| Rooms::name_of(&self.directory, leg.device).to_owned())
                .collect(),
        }
    }
}
