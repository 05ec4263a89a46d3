//! Calls as the T-Library sees them: a ConnID and its parties, whatever the dialogs beneath do.

use std::sync::Arc;

use tandem_cti::{Event, KvList, PartyInfo, Refusal, Request};
use tandem_peer::ChangeLog;

use super::SessionId;
use crate::arena::Key;
use crate::call::{LegNo, News, Ticket};
use crate::directory::Directory;
use crate::time::Now;

/// What a change of a call may look at and write to.
#[derive(Debug)]
pub struct Desk<'a> {
    /// What is configured.
    pub directory: &'a Directory,
    /// Where changes are logged.
    pub log: &'a mut ChangeLog,
    /// The moment.
    pub now: Now,
}

/// Where an operation's destination is, as dialled.
pub type Dialled = Box<str>;

/// What the call room is to do. The node carries it out and gives the outcome to [`TCalls::done`], unless the call room
/// reports it later ([`News::Done`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Call the DN first, then the destination; the outcome is told by `News` of a new call with this ticket.
    Make {
        /// Ticket.
        ticket: Ticket,
        /// DN that calls.
        from: Arc<str>,
        /// Whom.
        to: Dialled,
        /// A consultation: refused where new calls are, and never forwarded away from an agent.
        consult: bool,
    },
    /// Make the phone of a ringing leg answer.
    Answer {
        /// Ticket.
        ticket: Ticket,
        /// Call.
        key: Key,
        /// The leg.
        leg: LegNo,
    },
    /// End one leg; a call of two ends with it.
    Release {
        /// Ticket.
        ticket: Ticket,
        /// Call.
        key: Key,
        /// The leg.
        leg: LegNo,
    },
    /// End the whole call.
    Clear {
        /// Ticket.
        ticket: Ticket,
        /// Call.
        key: Key,
    },
    /// The party at the leg holds.
    Hold {
        /// Ticket.
        ticket: Ticket,
        /// Call.
        key: Key,
        /// The leg.
        leg: LegNo,
    },
    /// It takes the call back.
    Retrieve {
        /// Ticket.
        ticket: Ticket,
        /// Call.
        key: Key,
        /// The leg.
        leg: LegNo,
    },
    /// Join what is left of two calls when their common party leaves both: `kept` of the first stays, `moved` of the
    /// second becomes its other party; both other legs are ended.
    Transfer {
        /// Ticket.
        ticket: Ticket,
        /// The held call.
        key: Key,
        /// Its leg that stays.
        kept: LegNo,
        /// The consultation.
        consult: Key,
        /// Its leg that moves.
        moved: LegNo,
    },
    /// End one leg of an answered call and look for somebody else for the other.
    Replace {
        /// Ticket.
        ticket: Ticket,
        /// Call.
        key: Key,
        /// The leg that leaves.
        leg: LegNo,
        /// For whom.
        to: Dialled,
    },
    /// Take a ringing call away from where it rings.
    Redirect {
        /// Ticket.
        ticket: Ticket,
        /// Call.
        key: Key,
        /// Where it goes.
        to: Dialled,
    },
    /// Send a waiting call on (`TRouteCall`).
    Route {
        /// Ticket.
        ticket: Ticket,
        /// Call.
        key: Key,
        /// Where it goes; `None`: it is refused.
        to: Option<Dialled>,
    },
    /// Put the legs of a call, and of a consultation, into one conference.
    Conference {
        /// Ticket.
        ticket: Ticket,
        /// The held call.
        key: Key,
        /// The consultation.
        consult: Key,
        /// Its leg that joins; the other one of it is ended.
        moved: LegNo,
    },
    /// DTMF towards a leg.
    Dtmf {
        /// Ticket.
        ticket: Ticket,
        /// Call.
        key: Key,
        /// The leg that hears it.
        leg: LegNo,
        /// Digits.
        digits: Box<str>,
    },
    /// Play something to a waiting caller.
    Treat {
        /// Ticket.
        ticket: Ticket,
        /// Call.
        key: Key,
        /// What.
        treatment: crate::directory::floor::Treatment,
    },
}

/// What follows from the calls, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Happening {
    /// An event of a DN. `time` and `sequence` are filled in when it is told.
    Event {
        /// Whose.
        dn: Arc<str>,
        /// It.
        event: Box<Event>,
        /// The client whose request it answers.
        asked: Option<(SessionId, Option<u32>)>,
    },
    /// A request came to nothing after all.
    Refused {
        /// Whose.
        to: SessionId,
        /// Its `ReferenceID`.
        reference_id: Option<u32>,
        /// Why.
        refusal: Refusal,
    },
    /// A call began at an Extension.
    Began {
        /// DN.
        dn: Arc<str>,
        /// Call.
        conn: u64,
        /// By the options, or because it came through a queue or routing point.
        business: bool,
    },
    /// It was answered there.
    Established {
        /// DN.
        dn: Arc<str>,
        /// Call.
        conn: u64,
    },
    /// It left the Extension. The `EventReleased` or `EventAbandoned` follows this, so that after-call work is told
    /// before it.
    Ended {
        /// DN.
        dn: Arc<str>,
        /// Call.
        conn: u64,
    },
    /// A call waits at a queue or routing point.
    Waits {
        /// Call.
        conn: u64,
        /// Where.
        at: Arc<str>,
        /// Its user data.
        user_data: KvList,
    },
    /// It does not wait there any more: abandoned, or routed elsewhere by request.
    Left {
        /// Call.
        conn: u64,
        /// Where it was.
        at: Arc<str>,
    },
    /// The agent to whom a queue offered it answered.
    OfferAnswered {
        /// Call.
        conn: u64,
        /// DN.
        dn: Arc<str>,
    },
    /// He did not.
    OfferFailed {
        /// Call.
        conn: u64,
        /// DN.
        dn: Arc<str>,
        /// Final status of his leg; 487 when the offer was taken back.
        status: u16,
    },
}

/// See the module.
#[derive(Debug, Default)]
pub struct TCalls {}

impl TCalls {
    /// A fact of the call room.
    pub fn news(&mut self, _desk: &mut Desk<'_>, _key: Key, _news: News) {}

    /// A request about calls by a client that may make it. The events that answer it carry its reference.
    ///
    /// # Errors
    /// 56 for an unknown ConnID, 496 for a state that does not allow it, 53 for an attribute that means nothing.
    pub fn request(
        &mut self,
        _desk: &mut Desk<'_>,
        _session: SessionId,
        _request: &Request,
    ) -> Result<Option<Order>, Refusal> {
        Ok(None)
    }

    /// The outcome of an order that the call room could decide at once.
    pub fn done(&mut self, _desk: &mut Desk<'_>, _ticket: Ticket, _outcome: Result<(), Refusal>) {}

    /// The call beneath a ConnID that waits or is offered, and its user data.
    #[must_use]
    pub fn key_of(&self, _conn: u64) -> Option<Key> {
        None
    }

    /// What the call carries when it is sent on.
    #[must_use]
    pub fn user_data(&self, _conn: u64) -> KvList {
        KvList::new()
    }

    /// Calls at a DN.
    #[must_use]
    pub fn at(&self, _dn: &str) -> Vec<PartyInfo> {
        Vec::new()
    }

    /// Whether a call is at a DN.
    #[must_use]
    pub fn is_busy(&self, _dn: &str) -> bool {
        false
    }

    /// Parties of a call.
    #[must_use]
    pub fn parties(&self, _conn: u64) -> Vec<PartyInfo> {
        Vec::new()
    }

    /// What follows, oldest first.
    pub fn poll(&mut self) -> Option<Happening> {
        None
    }
}

/// How a ConnID is written.
#[must_use]
pub fn conn_id(conn: u64) -> String {
    format!("{conn:016x}")
}

/// The ConnID of a written one.
#[must_use]
pub fn parse_conn_id(text: &str) -> Option<u64> {
    (text.len() == 16).then(|| u64::from_str_radix(text, 16).ok())?
}
