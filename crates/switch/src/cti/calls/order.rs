//! What requests about calls order the call room to do.

use std::sync::Arc;

use tandem_cti::KvList;

use crate::arena::Key;
use crate::call::{LegNo, Ticket};

/// The ticket of an operation that nobody waits for.
pub const NOBODY: Ticket = Ticket(0);

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
    /// The call carries this from now on, should it be sent on.
    Attach {
        /// Call.
        key: Key,
        /// All of its user data.
        user_data: KvList,
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
