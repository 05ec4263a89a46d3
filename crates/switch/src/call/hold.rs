//! Hold: by request, where this server parks both parties, and by a party's own phone, whose re-INVITE or UPDATE says so
//! (RFC 3264 8.4, RFC 6337 5.3).

use std::fmt;

use tandem_sip::Message;

use super::arrange::{Aim, Move};
use super::control::Begun;
use super::exchange::Exchange;
use super::leg::Side;
use super::news::{LegNo, News, Ticket};
use super::session::description;
use super::{Call, Phase};
use crate::explain::What;
use crate::rooms::{Device, Rooms};

/// How a party holds the other one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hold {
    /// Not at all.
    #[default]
    No = 0,
    /// Its phone does.
    Phone = 1,
    /// This server does, by request: what the phones offer each other meanwhile flows nowhere.
    Request = 2,
}

impl Hold {
    pub(super) fn read(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::No,
            1 => Self::Phone,
            2 => Self::Request,
            _ => return None,
        })
    }
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Join => f.write_str("the two parties are connected"),
            Self::Hold(side) => write!(f, "the {side} party holds the other, by request"),
            Self::Retrieve(side) => write!(f, "the {side} party takes the call back, by request"),
            Self::Reoffer => f.write_str("the two parties are offered their media anew"),
            Self::Park => f.write_str("the party that is left waits"),
            Self::Refresh(side) => write!(f, "the {side} session is refreshed"),
        }
    }
}

impl Call {
    /// The party at the leg puts the other one on hold.
    ///
    /// # Errors
    /// 481 for a leg that does not talk, 491 while an exchange of INVITEs is under way, 503 when a table is full.
    pub(super) fn hold(&mut self, rooms: &mut Rooms, ticket: Ticket, leg: LegNo) -> Result<Begun, u16> {
        let side = self.free_side(leg)?;
        let Phase::Talk(talking) = &self.phase else { return Err(481) };
        if talking.talk.leg(side).holds != Hold::No {
            return Ok(Begun::Done);
        }
        if self.phone_holds(rooms, side) {
            return self.notify(rooms, ticket, side, b"hold");
        }
        let moves = [Move::Park(side.other()), Move::Park(side)];
        self.later(rooms, Aim::Hold(side), ticket, &moves)
    }

    /// The party at the leg takes the call back.
    ///
    /// # Errors
    /// As [`Call::hold`].
    pub(super) fn retrieve(&mut self, rooms: &mut Rooms, ticket: Ticket, leg: LegNo) -> Result<Begun, u16> {
        let side = self.free_side(leg)?;
        let Phase::Talk(talking) = &self.phase else { return Err(481) };
        match talking.talk.leg(side).holds {
            Hold::No => Ok(Begun::Done),
            Hold::Phone if self.phone_holds(rooms, side) => self.notify(rooms, ticket, side, b"talk"),
            Hold::Phone | Hold::Request => {
                self.later(rooms, Aim::Retrieve(side), ticket, &[Move::Connect(side)])
            }
        }
    }

    fn later(&mut self, rooms: &mut Rooms, aim: Aim, ticket: Ticket, moves: &[Move]) -> Result<Begun, u16> {
        if self.arrange(rooms, aim, Some(ticket), moves) { Ok(Begun::Later) } else { Err(503) }
    }

    /// The side of a leg whose dialogs are at rest.
    pub(super) fn free_side(&self, leg: LegNo) -> Result<Side, u16> {
        let Phase::Talk(talking) = &self.phase else { return Err(481) };
        let side = talking.talk.side_of(leg).ok_or(481_u16)?;
        match talking.exchange {
            Exchange::Idle if talking.alone.is_some_and(|(left, _)| left != side) => Err(481),
            Exchange::Idle => Ok(side),
            Exchange::Relayed(_) | Exchange::Answered(_) | Exchange::Arranging(_) => Err(491),
        }
    }

    /// Whether the phone at this side holds and takes back by itself when it is told to (`sip-cti-control` names `hold`).
    fn phone_holds(&self, rooms: &Rooms, side: Side) -> bool {
        let Phase::Talk(talking) = &self.phase else { return false };
        let Some(Device::Extension(id)) = rooms.now_called(&self.directory, talking.talk.leg(side).device)
        else {
            return false;
        };
        rooms.directory.extension(id).is_some_and(|extension| extension.class.answer.notify_hold)
    }

    /// Whether no INVITE is under way between answered parties.
    pub(super) fn is_at_rest(&self) -> bool {
        match &self.phase {
            Phase::Talk(talking) => matches!(talking.exchange, Exchange::Idle),
            Phase::Setup(_) | Phase::Ending => true,
        }
    }

    /// Whether this server's own INVITEs are under way.
    pub(super) fn is_arranging(&self) -> bool {
        matches!(&self.phase, Phase::Talk(talking) if matches!(talking.exchange, Exchange::Arranging(_)))
    }

    /// A party's description was accepted by the other side: it may have put it on hold, or taken it back. What this
    /// server holds by request stays held.
    pub(super) fn hold_by_phone(&mut self, rooms: &mut Rooms, side: Side, request: &Message) {
        let Phase::Talk(talking) = &self.phase else { return };
        let Some(described) = description(request).filter(|_| !talking.talk.is_parked()) else { return };
        let (was, holds) = (talking.talk.leg(side).holds != Hold::No, described.is_hold());
        if was != holds {
            self.note(rooms, What::HeldByPhone(side, holds));
        }
        self.set_hold(rooms, side, if holds { Hold::Phone } else { Hold::No });
    }

    pub(super) fn set_hold(&mut self, rooms: &mut Rooms, side: Side, holds: Hold) {
        let Phase::Talk(talking) = &mut self.phase else { return };
        let before = talking.talk.leg(side).holds;
        if before == holds {
            return;
        }
        talking.talk.update(&mut rooms.log, |talk| talk.leg_mut(side).holds = holds);
        let leg = talking.talk.leg(side).no;
        match (before, holds) {
            (Hold::No, Hold::Phone | Hold::Request) => self.tell(rooms, News::Held { leg }),
            (Hold::Phone | Hold::Request, Hold::No) => self.tell(rooms, News::Retrieved { leg }),
            (Hold::No, Hold::No) | (Hold::Phone | Hold::Request, Hold::Phone | Hold::Request) => {}
        }
    }
}
