//! What requests may do to calls from outside (third-party call control, RFC 3725), by call and leg.

use std::sync::Arc;
use std::time::Duration;

use tandem_cti::KvList;

use super::news::{Carried, LegNo, Ticket};
use super::setup::Stage;
use super::table::Calls;
use super::{Call, Phase};
use crate::arena::Key;
use crate::directory::DnId;
use crate::directory::floor::Treatment;
use crate::explain::What;
use crate::rooms::Rooms;
use crate::routing::Onwards;

/// A call that a request makes: the DN's phone is called first, then the destination.
#[derive(Debug)]
pub struct Make {
    /// The request.
    pub ticket: Ticket,
    /// DN that calls.
    pub from: DnId,
    /// Number to call, as dialled.
    pub to: Box<[u8]>,
    /// Places to try once the DN's phone has answered, in order.
    pub stages: Vec<Stage>,
    /// The number is this queue or routing point: the call waits there instead.
    pub park: Option<Arc<str>>,
    /// How they were found.
    pub steps: Vec<What>,
    /// How long each of the two may ring.
    pub ring_timeout: Duration,
    /// What the call carries.
    pub carried: Carried,
}

/// Where a call goes on.
#[derive(Debug)]
pub struct Onward {
    /// Number, as dialled or chosen.
    pub to: Box<[u8]>,
    /// Places to try, in order.
    pub stages: Vec<Stage>,
    /// How they were found.
    pub steps: Vec<What>,
    /// How long it may ring there; for an agent `agent-no-answer-timeout` is the queue's affair.
    pub ring_timeout: Duration,
    /// What the call carries.
    pub carried: Carried,
}

/// An operation on one call.
#[derive(Debug)]
pub enum Operation {
    /// Make the phone of a ringing leg answer: NOTIFY with `Event: talk` in its early dialog.
    Answer(LegNo),
    /// End the leg; the call ends with it.
    Release(LegNo),
    /// End the call.
    Clear,
    /// The party at the leg puts the other on hold.
    Hold(LegNo),
    /// It takes the call back.
    Retrieve(LegNo),
    /// End one leg of an answered call; the other goes on to somebody else, or waits at a queue or routing point.
    Replace(LegNo, Onwards),
    /// Take a ringing call away from where it rings, or send a waiting one on, for good.
    Redirect(Onward),
    /// Offer a waiting call; when it is not taken it waits again ([`News::Unplaced`](super::News)).
    Offer(Onward),
    /// Take an offer back: the call waits again.
    TakeBack,
    /// Let a call that rings or waits wait at this queue or routing point from now on.
    Park(Arc<str>),
    /// Refuse a waiting call with this status.
    Refuse(u16),
    /// Redirect a waiting caller by 302 to this Contact: only one who waits for a final response.
    Deflect(Box<[u8]>),
    /// DTMF towards the leg.
    Dtmf(LegNo, Box<str>),
    /// What a waiting caller hears.
    Treat(Treatment),
    /// What the call carries from now on.
    Attach(KvList),
}

/// What an operation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It is done.
    Done,
    /// [`News::Done`](super::News::Done) tells how it ended.
    Later,
}

impl Calls {
    /// Makes a call. It is told as [`News::Opened`](super::News::Opened) with the ticket.
    ///
    /// # Errors
    /// The SIP status that it met: 480 when the DN has no reachable contact, 503 when a table is full. There is no call
    /// then, and nothing is told of one.
    pub fn make(&mut self, rooms: &mut Rooms, make: Make) -> Result<Key, u16> {
        self.open_with(rooms, |rooms, key| Call::make(rooms, key, make))
    }

    /// Does something to a call.
    ///
    /// # Errors
    /// A SIP status: 481 for an unknown call or leg, 491 while an exchange of INVITEs is under way that must end first,
    /// 501 for what its state does not allow.
    pub fn operate(
        &mut self,
        rooms: &mut Rooms,
        key: Key,
        ticket: Ticket,
        operation: Operation,
    ) -> Result<Begun, u16> {
        self.act(rooms, key, |call, rooms| call.operate(rooms, ticket, operation)).unwrap_or(Err(481))
    }
}

impl Call {
    fn operate(&mut self, rooms: &mut Rooms, ticket: Ticket, operation: Operation) -> Result<Begun, u16> {
        match (&self.phase, operation) {
            (_, Operation::Attach(user_data)) => {
                self.attach(user_data);
                Ok(Begun::Done)
            }
            (Phase::Setup(_), Operation::Treat(treatment)) => self.treat(rooms, ticket, &treatment),
            (Phase::Setup(_), operation) => self.operate_early(rooms, operation).map(|()| Begun::Done),
            (Phase::Talk(_), operation) => self.operate_answered(rooms, ticket, operation),
            (Phase::Ending, _) => Err(481),
        }
    }
}
