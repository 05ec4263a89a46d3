//! A call that a request makes (RFC 3725 flow IV): the caller's own phone is called first, without an offer; what it
//! offers in its 2xx is answered inactively, and then the destination is called in its name.

use std::sync::Arc;
use std::time::Duration;

use tandem_sip::{Builder, HeaderName, Message};

use super::branch::{Branch, OWN_PHONE, Target};
use super::control::Make;
use super::incoming::Answer;
use super::leg::Leg;
use super::nailed::Back;
use super::news::{Far, News};
use super::record::{EndReason, LegId};
use super::setup::{Caller, Setup, Stage};
use super::{Call, Phase};
use crate::arena::Key;
use crate::cdr::EndedBy;
use crate::directory::{DnId, Extension};
use crate::explain::What;
use crate::rooms::{Device, Rooms, Use};
use crate::routing;

/// Where a call goes once the caller's own phone has answered.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) to: Box<[u8]>,
    pub(super) stages: Vec<Stage>,
    pub(super) ring_timeout: Duration,
    pub(super) park: Option<Arc<str>>,
}

impl Call {
    /// Begins a call that a request makes.
    ///
    /// # Errors
    /// 480 when no contact of the DN can be reached, 503 when no INVITE could be sent.
    pub(super) fn make(rooms: &mut Rooms, key: Key, make: Make) -> Result<Self, u16> {
        let Make { ticket, from, to, stages, park, steps, ring_timeout, carried } = make;
        let wanted = Wanted { to, stages, ring_timeout, park };
        let mut call = Self::call_phone(rooms, key, from, wanted)?;
        call.note_way(rooms, steps);
        call.carry(&carried);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into();
        let (uuid, from, to) = (call.uuid, text(&call.from), text(&call.to));
        let Some(origin) = call.legs.first().map(|leg| Far::of(&call.directory, leg.device)) else {
            return Err(480);
        };
        let ticket = Some(ticket);
        call.tell(rooms, News::Opened { uuid, origin, from, to, parked: None, carried, ticket });
        Ok(call)
    }

    /// Calls a DN's own phone, or takes the connection that is nailed up to it.
    pub(super) fn call_phone(rooms: &mut Rooms, key: Key, from: DnId, wanted: Wanted) -> Result<Self, u16> {
        let (to, ring_timeout) = (wanted.to.clone(), wanted.ring_timeout);
        let directory = Arc::clone(&rooms.directory);
        let device = Device::Extension(from);
        let extension = directory.extension(from).ok_or(480u16)?;
        let request = invitation(rooms, &to, extension.number.as_bytes(), Some(extension)).ok_or(503u16)?;
        let number: Box<[u8]> = extension.number.as_bytes().into();
        let mut call = Self::blank(rooms, key, device, [number, to, Box::default()]);
        call.session_ids[0] = call.uuid;
        let mut setup = Setup::new(rooms, Caller::Nobody(Box::new(wanted)), request, ring_timeout);
        match call.try_own_line(rooms, &mut setup, from) {
            Some(taken) => taken?,
            None => {
                let targets = routing::targets(rooms, &directory, &Stage::Extension(from));
                let targets = targets.map_err(|_| 480u16)?;
                for (id, target) in (OWN_PHONE..=u8::MAX).zip(targets) {
                    call.ring_own(rooms, &mut setup, id, target);
                }
            }
        }
        if !setup.is_offered() {
            rooms.counters.refused_full += 1;
            return Err(503);
        }
        call.note(rooms, What::Made(device));
        rooms.counters.calls += 1;
        call.phase = Phase::Setup(setup);
        Ok(call)
    }

    fn ring_own(&mut self, rooms: &mut Rooms, setup: &mut Setup, id: u8, target: Target) {
        let Some(branch) = Branch::call(rooms, self.key, id, target, &setup.request) else { return };
        self.own_tag(rooms, branch.tag);
        let (device, by) = (branch.target.device, branch.target.flow.transport);
        self.anchor_own(rooms, &branch, device, by);
        if let Some(leg) = self.legs.first_mut().filter(|_| setup.branches.is_empty()) {
            leg.id = LegId::Ours(branch.call_id);
        }
        setup.branches.push(branch);
    }

    /// The caller's own phone took the call: the destination is next.
    pub(super) fn own_phone_answered(
        &mut self,
        rooms: &mut Rooms,
        mut leg: Leg,
        wanted: Wanted,
        branch: &Branch,
        answer: &Answer<'_>,
    ) {
        if let Some(facts) = self.legs.first_mut() {
            facts.id = LegId::Ours(branch.call_id);
            (facts.status, facts.answered) = (answer.code, Some(rooms.now.unix_ms));
        }
        let inactive = leg.inactive_answer(rooms, answer.message);
        leg.acknowledge_with(rooms, branch.txn, branch.cseq, None, inactive.as_deref());
        if inactive.is_none() {
            return self.own_phone_unusable(rooms, leg);
        }
        self.go_from_own_phone(rooms, leg, wanted);
    }

    fn own_phone_unusable(&mut self, rooms: &mut Rooms, mut leg: Leg) {
        let reason = EndReason::UnusableAnswer;
        self.leg_ended(rooms, 0, EndedBy::Server, reason);
        self.hang_up_on(rooms, &mut leg);
        self.denail(rooms);
        self.tell(rooms, News::Ended { leg: 0, by: EndedBy::Server, reason });
        let asked = self.asked.take();
        self.done(rooms, asked, Err(488));
    }

    /// The caller's own phone is on the line: the call goes where it was to go.
    pub(super) fn go_from_own_phone(&mut self, rooms: &mut Rooms, leg: Leg, wanted: Wanted) {
        let number = self.from.clone();
        let Some(request) = invitation(rooms, &number, &wanted.to, None) else {
            return self.own_phone_unusable(rooms, leg);
        };
        let mut setup = Setup::new(rooms, Caller::Leg(0, Box::new(leg)), request, wanted.ring_timeout);
        match wanted.park {
            Some(at) => {
                self.wait_at(rooms, setup, Arc::clone(&at));
                self.tell(rooms, News::Parked { at });
                self.rests(rooms);
            }
            None => {
                setup.stages = wanted.stages.into();
                self.advance(rooms, setup);
            }
        }
    }

    /// Ends the dialog of a leg that is on the line and waits in vain.
    pub(super) fn hang_up_on(&mut self, rooms: &mut Rooms, leg: &mut Leg) {
        if leg.nailed.is_some() {
            return self.send_home(rooms, leg.clone(), Back::Talking);
        }
        let bye = leg.dialog.next_cseq();
        if leg.ask(rooms, &super::leg::Ask::own(b"BYE", bye), Use::Stray(self.key)).is_some() {
            self.byes += 1;
        }
    }
}

/// An INVITE of this server's own, as if `from` had sent it: without an offer. With an Extension it is the one to the
/// phone that makes the call, with what makes it answer by itself.
pub(super) fn invitation(
    rooms: &mut Rooms,
    from: &[u8],
    to: &[u8],
    own: Option<&Extension>,
) -> Option<Message> {
    print_invitation(rooms, from, to, |builder| {
        if let Some(extension) = own {
            extension.class.answer.print(builder);
        }
    })
}

/// What an INVITE of this server's own names besides caller and callee.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Naming<'a> {
    /// `Referred-By` (RFC 3892).
    pub referred_by: Option<&'a [u8]>,
    /// `Replaces` (RFC 3891).
    pub replaces: Option<&'a [u8]>,
    /// The caller is not to be named (`Privacy`, RFC 3323).
    pub private: bool,
}

/// The same with what it names.
pub(super) fn invitation_naming(
    rooms: &mut Rooms,
    from: &[u8],
    to: &[u8],
    naming: &Naming<'_>,
) -> Option<Message> {
    print_invitation(rooms, from, to, |builder| {
        let lines = [(HeaderName::ReferredBy, naming.referred_by), (HeaderName::Replaces, naming.replaces)];
        for (name, value) in lines {
            if let Some(value) = value {
                builder.header(name, value);
            }
        }
        if naming.private {
            builder.header(HeaderName::Privacy, b"id");
        }
    })
}

fn print_invitation(
    rooms: &mut Rooms,
    from: &[u8],
    to: &[u8],
    more: impl FnOnce(&mut Builder<'_>),
) -> Option<Message> {
    let (tag, call_id) = (rooms.ids.tag().text(), rooms.ids.call_id().text());
    let host = rooms.lines.sent_by.as_bytes();
    let (from, to) = (routing::escaped(from), routing::escaped(to));
    let uri = [b"sip:", &*to, b"@", host].concat();
    let mut builder = Builder::request(&mut rooms.scratch, b"INVITE", &uri);
    builder
        .via(tandem_sip::Transport::Udp, host, b"z9hG4bK")
        .number(HeaderName::MaxForwards, 70)
        .parts(HeaderName::From, &[b"<sip:", &from, b"@", host, b">;tag=", &tag])
        .parts(HeaderName::To, &[b"<", &uri, b">"])
        .header(HeaderName::CallId, &call_id)
        .cseq(1, b"INVITE");
    more(&mut builder);
    Message::parse(builder.finish(b"")).ok()
}
