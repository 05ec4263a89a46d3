//! What requests do to an answered call.

use super::control::{Begun, Operation};
use super::leg::Side;
use super::news::{LegNo, Ticket};
use super::record::EndReason;
use super::{Call, Phase};
use crate::cdr::EndedBy;
use crate::rooms::Rooms;

impl Call {
    /// Does something to an answered call.
    ///
    /// # Errors
    /// 481 for a leg that does not talk, 491 while an exchange of INVITEs is under way that must end first, 501 for what
    /// can only be done before the answer, 503 when a table is full.
    pub(super) fn operate_answered(
        &mut self,
        rooms: &mut Rooms,
        ticket: Ticket,
        operation: Operation,
    ) -> Result<Begun, u16> {
        match operation {
            Operation::Release(leg) => self.release(rooms, leg),
            Operation::Clear => {
                self.hang_up(rooms, Side::Caller, EndedBy::Server, EndReason::Request);
                Ok(Begun::Done)
            }
            Operation::Hold(leg) => self.hold(rooms, ticket, leg),
            Operation::Retrieve(leg) => self.retrieve(rooms, ticket, leg),
            Operation::Dtmf(leg, digits) => self.dtmf(rooms, ticket, leg, &digits),
            Operation::Replace(leg, onward) => self.replace(rooms, leg, onward),
            Operation::Answer(_)
            | Operation::Redirect(_)
            | Operation::Offer(_)
            | Operation::TakeBack
            | Operation::Park(_)
            | Operation::Refuse(_)
            | Operation::Deflect(_)
            | Operation::Treat(_)
            | Operation::Attach(_) => Err(501),
        }
    }

    /// The party at the leg hangs up, by request; the call ends with it.
    fn release(&mut self, rooms: &mut Rooms, leg: LegNo) -> Result<Begun, u16> {
        let Phase::Talk(talking) = &self.phase else { return Err(481) };
        let side = talking.talk.side_of(leg).ok_or(481_u16)?;
        if self.is_referrer(leg) {
            self.referrer_released(rooms, side);
            return Ok(Begun::Done);
        }
        let by = match side {
            Side::Caller => EndedBy::Caller,
            Side::Callee => EndedBy::Callee,
        };
        self.hang_up(rooms, side, by, EndReason::Request);
        Ok(Begun::Done)
    }
}
