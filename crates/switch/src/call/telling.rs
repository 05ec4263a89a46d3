//! Requests of this server's own to a party of an answered call: DTMF, one INFO a digit and in their order, and NOTIFY that
//! makes a phone hold or take back by itself (`sip-cti-control`).

use tandem_peer::trunk::CallFailure;
use tandem_sip::{HeaderName, Message, TxnId};

use super::control::Begun;
use super::credentials::{Authorization, Challenged};
use super::leg::{Ask, Own, Side};
use super::news::{LegNo, Ticket};
use super::record::EndReason;
use super::talk::ends_dialog;
use super::{Call, Phase};
use crate::explain::What;
use crate::limits::{MAX_DIGITS, MAX_TELLINGS};
use crate::rooms::{Rooms, Use};

/// A request to a party that waits for its answer.
#[derive(Debug)]
pub(super) struct Telling {
    id: u16,
    pub(super) ticket: Ticket,
    /// Its transaction; `None` while it waits for digits before it.
    pub(super) txn: Option<TxnId>,
    side: Side,
    what: Told,
    challenged: bool,
    by_tcp_for_size: bool,
}

/// What a party is told.
#[derive(Debug)]
enum Told {
    /// Digits, the next one last.
    Digits(Vec<u8>),
    /// `Event` of a NOTIFY.
    Event(&'static [u8]),
}

impl Told {
    fn name(&self) -> &'static str {
        match self {
            Self::Digits(_) => "digits",
            Self::Event(b"hold") => "NOTIFY to hold",
            Self::Event(_) => "NOTIFY to talk",
        }
    }
}

impl Call {
    /// DTMF towards the leg.
    ///
    /// # Errors
    /// 481 for a leg that does not talk, 400 for what is no digit, 413 for too many, 503 when a table is full.
    pub(super) fn dtmf(
        &mut self,
        rooms: &mut Rooms,
        ticket: Ticket,
        leg: LegNo,
        digits: &str,
    ) -> Result<Begun, u16> {
        let Phase::Talk(talking) = &self.phase else { return Err(481) };
        let side = talking.talk.side_of(leg).ok_or(481_u16)?;
        let is_digit =
            |byte: &u8| matches!(byte.to_ascii_uppercase(), b'0'..=b'9' | b'*' | b'#' | b'A'..=b'D');
        if digits.is_empty() || !digits.as_bytes().iter().all(is_digit) {
            return Err(400);
        }
        if digits.len() > MAX_DIGITS {
            return Err(413);
        }
        let digits = digits.bytes().rev().map(|byte| byte.to_ascii_uppercase()).collect();
        self.tell_party(rooms, ticket, side, Told::Digits(digits))
    }

    /// NOTIFY with this `Event`.
    ///
    /// # Errors
    /// 503 when a table is full.
    pub(super) fn notify(
        &mut self,
        rooms: &mut Rooms,
        ticket: Ticket,
        side: Side,
        event: &'static [u8],
    ) -> Result<Begun, u16> {
        self.tell_party(rooms, ticket, side, Told::Event(event))
    }

    fn tell_party(
        &mut self,
        rooms: &mut Rooms,
        ticket: Ticket,
        side: Side,
        what: Told,
    ) -> Result<Begun, u16> {
        if self.tellings.len() >= MAX_TELLINGS {
            rooms.counters.refused_full += 1;
            return Err(503);
        }
        self.note(rooms, What::Told(side, what.name()));
        let id = self.next_pending;
        self.next_pending = self.next_pending.wrapping_add(1);
        let mut telling =
            Telling { id, ticket, txn: None, side, what, challenged: false, by_tcp_for_size: false };
        // Digits do not overtake each other.
        let waits = matches!(telling.what, Told::Digits(_)) && self.digits_of(side).is_some();
        if !waits && !self.send_telling(rooms, &mut telling, None, false) {
            rooms.counters.refused_full += 1;
            return Err(503);
        }
        self.tellings.push(telling);
        Ok(Begun::Later)
    }

    fn send_telling(
        &mut self,
        rooms: &mut Rooms,
        telling: &mut Telling,
        authorization: Option<&Authorization>,
        udp_only: bool,
    ) -> bool {
        let Self { phase: Phase::Talk(talking), key, .. } = self else { return false };
        let side = telling.side;
        let (body, headers);
        let (method, own): (&[u8], Own<'_>) = match &telling.what {
            Told::Digits(digits) => {
                let digit = char::from(digits.last().copied().unwrap_or(b'0'));
                body = format!("Signal={digit}\r\nDuration=160\r\n");
                headers = [(HeaderName::ContentType, &b"application/dtmf-relay"[..])];
                (b"INFO", Own { headers: &headers, body: body.as_bytes() })
            }
            Told::Event(event) => {
                headers = [(HeaderName::Event, *event)];
                (b"NOTIFY", Own { headers: &headers, body: b"" })
            }
        };
        let cseq = talking.talk.update(&mut rooms.log, |talk| talk.leg_mut(side).dialog.next_cseq());
        let ask = Ask { own: Some(own), authorization, udp_only, ..Ask::own(method, cseq) };
        let Some(sent) = talking.talk.leg(side).ask(rooms, &ask, Use::Told(*key, telling.id)) else {
            return false;
        };
        (telling.txn, telling.by_tcp_for_size) = (Some(sent.txn), sent.by_tcp_for_size);
        true
    }

    fn take_telling(&mut self, id: u16) -> Option<Telling> {
        let place = self.tellings.iter().position(|telling| telling.id == id)?;
        Some(self.tellings.remove(place))
    }

    /// The first of the tellings of digits to one side.
    fn digits_of(&mut self, side: Side) -> Option<&mut Telling> {
        let is_digits =
            |telling: &&mut Telling| telling.side == side && matches!(telling.what, Told::Digits(_));
        self.tellings.iter_mut().find(is_digits)
    }

    /// A telling is over; digits that waited for it are next.
    fn telling_over(&mut self, rooms: &mut Rooms, telling: &Telling, outcome: Result<(), u16>) {
        self.done(rooms, Some(telling.ticket), outcome);
        let waiting = self.digits_of(telling.side).filter(|next| next.txn.is_none()).map(|next| next.id);
        let Some(mut next) = waiting.and_then(|id| self.take_telling(id)) else { return };
        if self.send_telling(rooms, &mut next, None, false) {
            self.tellings.insert(0, next);
        } else {
            self.telling_over(rooms, &next, Err(503));
        }
    }

    /// A party answered a request of this server's own.
    pub fn told(&mut self, rooms: &mut Rooms, id: u16, code: u16, response: &Message) {
        let Some(mut telling) = self.take_telling(id) else { return };
        if matches!(code, 401 | 407) && self.answer_telling_challenge(rooms, &mut telling, response) {
            return self.tellings.insert(0, telling);
        }
        let (side, is_notify) = (telling.side, matches!(telling.what, Told::Event(_)));
        let ok = code < 300;
        if let (true, Told::Digits(digits)) = (ok, &mut telling.what) {
            digits.pop();
            if !digits.is_empty() {
                telling.challenged = false;
                if self.send_telling(rooms, &mut telling, None, false) {
                    return self.tellings.insert(0, telling);
                }
                return self.telling_over(rooms, &telling, Err(503));
            }
        }
        self.telling_over(rooms, &telling, if ok { Ok(()) } else { Err(code) });
        let method = if is_notify { tandem_sip::Method::Notify } else { tandem_sip::Method::Info };
        // A phone that has no subscription for the event says 481 to it (RFC 6665 4.1.3); the call lives.
        if !(ok || is_notify && code == 481) && ends_dialog(method, code) {
            self.dialog_gone(rooms, side, EndReason::Status(code));
        }
    }

    fn answer_telling_challenge(
        &mut self,
        rooms: &mut Rooms,
        telling: &mut Telling,
        response: &Message,
    ) -> bool {
        let Phase::Talk(talking) = &self.phase else { return false };
        if std::mem::replace(&mut telling.challenged, true) {
            return false;
        }
        let leg = talking.talk.leg(telling.side);
        let method: &[u8] = match telling.what {
            Told::Digits(_) => b"INFO",
            Told::Event(_) => b"NOTIFY",
        };
        let challenged = Challenged { device: leg.device, response, method, uri: leg.dialog.remote_target() };
        let Some(authorization) = Authorization::answering(rooms, &self.directory, challenged) else {
            return false;
        };
        self.send_telling(rooms, telling, Some(&authorization), false)
    }

    /// A request of this server's own got no answer.
    pub fn untold(&mut self, rooms: &mut Rooms, id: u16, how: CallFailure) {
        let Some(mut telling) = self.take_telling(id) else { return };
        let side = telling.side;
        match how {
            CallFailure::Transport => {
                if (telling.by_tcp_for_size || self.reconnect(rooms, side))
                    && self.send_telling(rooms, &mut telling, None, true)
                {
                    return self.tellings.insert(0, telling);
                }
                self.telling_over(rooms, &telling, Err(500));
            }
            CallFailure::Timeout => {
                self.done(rooms, Some(telling.ticket), Err(408));
                self.dialog_gone(rooms, side, EndReason::NoResponse);
            }
        }
    }
}
