//! A call over a nailed-up connection: it borrows the leg, whose phone is on the line already, and connects it by an
//! INVITE in the dialog that is there. The phone does not ring. When the call ends the leg goes back, and no BYE is sent.
//! The leg of who takes a ringing call (`pickup`) is connected likewise; it is the call's own, and is hung up on.

use std::time::Duration;

use tandem_peer::continuity::InPathOutcome;
use tandem_peer::trunk::CallFailure;
use tandem_sip::dialog::{Dialog, Order};
use tandem_sip::{Flow, Message, Method, TxnId};

use super::best::{Best, mapped};
use super::exchange::Answered;
use super::incoming::Incoming;
use super::leg::{Ask, Leg, Side, behind_nat};
use super::make::Wanted;
use super::nailed::{Back, Errand};
use super::news::{Far, LegNo, News};
use super::record::{EndReason, LegFacts, LegId};
use super::reply::print_answer;
use super::setup::{Caller, Setup};
use super::{Call, Phase};
use crate::cdr::EndedBy;
use crate::directory::DnId;
use crate::explain::What;
use crate::limits::MAX_LEGS;
use crate::reject::Reject;
use crate::rooms::{Device, Rooms, Use};

/// A nailed-up connection that a call is being connected over.
#[derive(Debug)]
pub(super) struct Borrowed {
    pub(super) no: LegNo,
    pub(super) device: Device,
    /// The leg; absent while it is on its way.
    leg: Option<Box<Leg>>,
    /// The INVITE to it.
    invite: Option<Invite>,
}

impl Borrowed {
    /// One whose leg is on its way.
    pub(super) fn coming(no: LegNo, device: Device) -> Self {
        Self { no, device, leg: None, invite: None }
    }

    /// The leg, if it is the call's own.
    pub(super) fn own_leg(&self) -> Option<&Leg> {
        self.leg.as_deref().filter(|leg| leg.nailed.is_none())
    }
}

#[derive(Clone, Copy, Debug)]
struct Invite {
    txn: TxnId,
    cseq: u32,
    offered: bool,
}

impl Call {
    /// Tries the nailed-up connection of a DN, if it has one. `None`: it has none, and its phone is rung. 486: another
    /// call runs over it.
    pub(super) fn try_line(
        &mut self,
        rooms: &mut Rooms,
        setup: &mut Setup,
        dn: DnId,
    ) -> Option<Result<(), u16>> {
        if rooms.nailed.is_empty() {
            return None;
        }
        let number = &self.directory.extension(dn)?.number;
        rooms.nailed.state(number)?;
        let no = LegNo::try_from(self.legs.len()).ok().filter(|no| *no <= MAX_LEGS);
        let Some(no) = no else { return Some(Err(503)) };
        let device = Device::Extension(dn);
        if rooms.nailed.claim(number, self.key).is_none() {
            self.note(rooms, What::LineBusy(device));
            return Some(Err(486));
        }
        self.note(rooms, What::OverLine(device));
        self.legs.push(LegFacts::new(device, LegId::Theirs(Box::default())));
        setup.line = Some(Box::new(Borrowed::coming(no, device)));
        self.tell(rooms, News::Offered { leg: no, to: Far::of(&self.directory, device) });
        Some(Ok(()))
    }

    /// The same for the phone of who makes a call: it is the call's first leg.
    pub(super) fn try_own_line(
        &self,
        rooms: &mut Rooms,
        setup: &mut Setup,
        dn: DnId,
    ) -> Option<Result<(), u16>> {
        let number = &self.directory.extension(dn)?.number;
        rooms.nailed.state(number)?;
        if rooms.nailed.claim(number, self.key).is_none() {
            return Some(Err(486));
        }
        let device = Device::Extension(dn);
        setup.line = Some(Box::new(Borrowed::coming(0, device)));
        Some(Ok(()))
    }

    /// The leg has come. It is left where it is if it is not wanted any more.
    pub(super) fn borrowed(&mut self, rooms: &mut Rooms, lent: &mut Option<Leg>) {
        let Some(mut setup) = self.take_setup() else { return };
        let Some(mut line) = setup.line.take().filter(|line| line.leg.is_none()) else {
            self.phase = Phase::Setup(setup);
            return;
        };
        let Some(leg) = lent.take() else {
            return self.line_failed(rooms, setup, &line, 480, EndReason::Status(480));
        };
        if let Some(facts) = self.legs.get_mut(usize::from(line.no)) {
            facts.id = LegId::Theirs(leg.dialog.call_id().into());
        }
        if let Some(tag) = crate::ids::Tag::parse(leg.dialog.local_tag())
            && !self.tags.contains(&tag)
        {
            self.own_tag(rooms, tag);
        }
        match std::mem::replace(&mut setup.caller, Caller::Nobody(Box::default())) {
            Caller::Nobody(wanted) => self.own_line_taken(rooms, leg, *wanted),
            other @ (Caller::Invite(..) | Caller::Leg(..) | Caller::Aside(_)) => {
                setup.caller = other;
                line.leg = Some(Box::new(leg));
                self.connect_line(rooms, setup, line);
            }
        }
    }

    fn own_line_taken(&mut self, rooms: &mut Rooms, leg: Leg, wanted: Wanted) {
        if let Some(facts) = self.legs.first_mut() {
            (facts.status, facts.answered) = (200, Some(rooms.now.unix_ms));
            let device = facts.device;
            self.note(rooms, What::OverLine(device));
        }
        self.tell(rooms, News::Answered { leg: 0 });
        self.go_from_own_phone(rooms, leg, wanted);
    }

    /// Sends the INVITE in the leg's dialog: with the caller's offer, or without any.
    fn connect_line(&mut self, rooms: &mut Rooms, mut setup: Box<Setup>, mut line: Box<Borrowed>) {
        if setup.tone_is_busy() {
            setup.line = Some(line);
            self.phase = Phase::Setup(setup);
            return;
        }
        let Some(leg) = &mut line.leg else { return };
        let offers = matches!(setup.caller, Caller::Invite(..)) && !setup.request.body().is_empty();
        let mut sdp = None;
        if offers {
            let Some((session, described)) = leg.described(rooms, &setup.request, None) else {
                self.send_line_home(rooms, &mut line, false);
                return self.line_failed(rooms, setup, &line, 488, EndReason::Status(488));
            };
            leg.session = Some(session);
            sdp = Some(described);
        }
        let cseq = leg.dialog.next_cseq();
        let ask = Ask { sdp: sdp.as_deref(), ..Ask::own(b"INVITE", cseq) };
        let Some(sent) = leg.ask(rooms, &ask, Use::ReinviteTo(self.key)) else {
            rooms.counters.refused_full += 1;
            self.send_line_home(rooms, &mut line, false);
            return self.line_failed(rooms, setup, &line, 503, EndReason::Status(503));
        };
        line.invite = Some(Invite { txn: sent.txn, cseq, offered: offers });
        setup.line = Some(line);
        self.phase = Phase::Setup(setup);
    }

    /// The leg that came while the party that waits had an INVITE under way.
    pub(super) fn connect_waiting_line(&mut self, rooms: &mut Rooms) {
        let Some(mut setup) = self.take_setup() else { return };
        match setup.line.take() {
            Some(line) if line.leg.is_some() && line.invite.is_none() => {
                self.connect_line(rooms, setup, line);
            }
            line => {
                setup.line = line;
                self.phase = Phase::Setup(setup);
            }
        }
    }

    /// A response of the phone on the line; false for one that nobody waits for.
    pub(super) fn line_response(&mut self, rooms: &mut Rooms, txn: TxnId, response: &Message) -> bool {
        let code = response.code().unwrap_or_default();
        if !self.awaits_line(txn) {
            return false;
        }
        if code < 200 {
            return true;
        }
        let Some(mut setup) = self.take_setup() else { return false };
        let Some(mut line) = setup.line.take() else { return false };
        if code < 300 {
            self.line_answered(rooms, *setup, *line, code, response);
            return true;
        }
        self.note(rooms, What::Refused(line.device, code));
        if code == 491 {
            // Its own INVITE met ours: there is nothing wrong with the connection.
            self.send_line_home(rooms, &mut line, false);
        } else {
            self.give_line_up(rooms, &mut line, EndedBy::Callee, EndReason::Status(code), true);
        }
        let told = if code == 491 { 480 } else { code };
        self.line_failed(rooms, setup, &line, told, EndReason::Status(code));
        true
    }

    fn awaits_line(&self, txn: TxnId) -> bool {
        let Phase::Setup(setup) = &self.phase else { return false };
        let invite = setup.line.as_ref().and_then(|line| line.invite);
        invite.is_some_and(|invite| invite.txn == txn)
    }

    fn line_answered(&mut self, rooms: &mut Rooms, setup: Setup, line: Borrowed, code: u16, ok: &Message) {
        let (Some(mut leg), Some(invite)) = (line.leg, line.invite) else { return };
        leg.confirmed(ok, rooms.now);
        leg.timer.say(setup.request.body());
        self.note(rooms, What::Answered(line.device));
        rooms.counters.calls_answered += 1;
        self.leg_answered(rooms, line.no, code);
        match setup.caller {
            Caller::Invite(server, flow) => {
                self.leg_answered(rooms, 0, code);
                self.tell(rooms, News::Answered { leg: line.no });
                let (txn, cseq) = (invite.txn, invite.cseq);
                let Some(mut caller) = self.caller_leg(&setup, flow) else { return };
                caller.begin_session(rooms, &self.directory, &setup.request, ok.body());
                let like = (ok, &self.passage_back(line.no));
                let beside = (&caller.timer, None);
                let ok = print_answer(rooms, &setup.request, flow, code, like, setup.tag, beside);
                let Some(ok) = ok else { return };
                if !self.tags.contains(&setup.tag) {
                    self.own_tag(rooms, setup.tag);
                }
                let answered = Answered {
                    from: Side::Caller,
                    server,
                    server_cseq: setup.request.envelope().map(|env| env.cseq.number).unwrap_or(0),
                    client: txn,
                    client_cseq: cseq,
                    code,
                    ok,
                    again_at: rooms.now.mono,
                    interval: Duration::ZERO,
                    give_up_at: rooms.now.mono,
                    gone: None,
                };
                self.begin_talk(rooms, [caller, *leg], answered);
            }
            Caller::Leg(no, waiting) => {
                self.refer_succeeded(rooms);
                self.tell(rooms, News::Answered { leg: line.no });
                let waiting = (no, *waiting);
                self.begin_join(rooms, waiting, (line.no, *leg), ok, invite.txn, invite.cseq);
            }
            Caller::Nobody(_) | Caller::Aside(_) => {}
        }
    }

    pub(super) fn leg_answered(&mut self, rooms: &Rooms, no: LegNo, code: u16) {
        if let Some(facts) = self.legs.get_mut(usize::from(no)) {
            (facts.status, facts.answered) = (code, Some(rooms.now.unix_ms));
        }
    }

    fn caller_leg(&self, setup: &Setup, flow: Flow) -> Option<Leg> {
        let asked = setup.request.envelope().ok()?;
        let dialog = Dialog::uas(&setup.request, &asked, &setup.tag.text()).ok()?;
        let device = self.legs.first()?.device;
        let nat = behind_nat(&self.directory, device, &dialog, &asked, flow.remote);
        Some(Leg::new(dialog, flow, device, nat))
    }

    /// The INVITE to the phone got no response; false if that was not what it was for.
    pub(super) fn line_unanswered(&mut self, rooms: &mut Rooms, txn: TxnId, how: CallFailure) -> bool {
        let (status, reason) = match how {
            CallFailure::Timeout => (408, EndReason::NoResponse),
            CallFailure::Transport => (480, EndReason::TransportFailed),
        };
        self.rest_unanswered(rooms, txn, reason);
        if !self.awaits_line(txn) {
            return false;
        }
        let Some(mut setup) = self.take_setup() else { return false };
        let Some(mut line) = setup.line.take() else { return false };
        self.note(rooms, What::Unreachable(line.device, reason));
        self.give_line_up(rooms, &mut line, EndedBy::Network, reason, true);
        self.line_failed(rooms, setup, &line, status, reason);
        true
    }

    /// A request of the phone on the line while it is being connected; false for any other.
    pub(super) fn request_on_line(&mut self, rooms: &mut Rooms, incoming: &Incoming<'_>) -> bool {
        let Phase::Setup(setup) = &mut self.phase else { return false };
        let line = setup.line.as_mut().and_then(|line| line.leg.as_mut());
        let Some(leg) = line.filter(|leg| leg.dialog.matches(incoming.env)) else { return false };
        if leg.dialog.accept_request(incoming.env.cseq.number) != Order::New {
            incoming.answer(rooms, &Reject::because(500, "CSeq Out Of Order"));
            return true;
        }
        match incoming.env.cseq.method {
            Method::Bye => {
                incoming.answer(rooms, &Reject::new(200));
                let Some(mut setup) = self.take_setup() else { return true };
                let Some(mut line) = setup.line.take() else { return true };
                self.give_line_up(rooms, &mut line, EndedBy::Callee, EndReason::Bye, false);
                self.line_failed(rooms, setup, &line, 480, EndReason::Bye);
            }
            Method::Options => incoming.answer_options(rooms),
            Method::Invite
            | Method::Update
            | Method::Ack
            | Method::Cancel
            | Method::Info
            | Method::Prack
            | Method::Message
            | Method::Notify
            | Method::Register
            | Method::Subscribe
            | Method::Refer
            | Method::Publish
            | Method::Other => incoming.answer(rooms, &Reject::new(491)),
        }
        true
    }

    /// The call is taken away from the line.
    pub(super) fn drop_line(&mut self, rooms: &mut Rooms, setup: &mut Setup, status: u16, reason: EndReason) {
        let Some(mut line) = setup.line.take() else { return };
        self.send_line_home(rooms, &mut line, true);
        let by = if reason == EndReason::CallerGone { EndedBy::Caller } else { EndedBy::Server };
        self.line_missed(rooms, &line, status, by, reason);
    }

    /// The DN did not take the call.
    pub(super) fn line_failed(
        &mut self,
        rooms: &mut Rooms,
        mut setup: Box<Setup>,
        line: &Borrowed,
        status: u16,
        reason: EndReason,
    ) {
        self.line_missed(rooms, line, status, EndedBy::Callee, reason);
        setup.offer_best(Best::own(mapped(status)));
        self.branch_lost(rooms, setup, InPathOutcome::Status { code: status, drain_marked: false });
    }

    fn line_missed(
        &mut self,
        rooms: &mut Rooms,
        line: &Borrowed,
        status: u16,
        by: EndedBy,
        reason: EndReason,
    ) {
        if line.no == 0 {
            return;
        }
        if let Some(facts) = self.legs.get_mut(usize::from(line.no)) {
            facts.status = status;
        }
        self.leg_ended(rooms, usize::from(line.no), by, reason);
        self.tell(rooms, News::Missed { leg: line.no, status, reason });
    }

    /// Sends the leg back as it came; an INVITE that is out is taken back.
    fn send_line_home(&mut self, rooms: &mut Rooms, line: &mut Borrowed, asks: bool) {
        let (Some(mut leg), invite) = (line.leg.take(), line.invite.take()) else { return };
        if leg.nailed.is_none() {
            if let Some(Invite { txn, cseq, .. }) = invite.filter(|_| asks) {
                leg.cancel(rooms, txn, cseq);
            }
            self.hang_up_on(rooms, &mut leg);
            return self.depart(leg.dialog);
        }
        let back = match invite.filter(|_| asks) {
            Some(Invite { txn, cseq, offered }) => {
                leg.cancel(rooms, txn, cseq);
                Back::Asked { txn, offered, rests: true }
            }
            None => Back::Resting,
        };
        self.send_home(rooms, *leg, back);
    }

    /// The connection ends: its phone is hung up on, unless it was the phone that hung up.
    fn give_line_up(
        &mut self,
        rooms: &mut Rooms,
        line: &mut Borrowed,
        by: EndedBy,
        reason: EndReason,
        bye: bool,
    ) {
        let (Some(mut leg), invite) = (line.leg.take(), line.invite.take()) else { return };
        self.lose(rooms, &mut leg, by, reason);
        if bye {
            self.hang_up_on(rooms, &mut leg);
        } else if let Some(invite) = invite {
            leg.cancel(rooms, invite.txn, invite.cseq);
        }
    }

    /// A leg is gone that was lent, if it was: it is not given back.
    pub(super) fn lose(&self, rooms: &mut Rooms, leg: &mut Leg, by: EndedBy, reason: EndReason) {
        if let Some(line) = leg.nailed.take() {
            rooms.nailed.send(Errand::Lost { line, by, reason });
        }
    }

    /// The leg at this side is gone at its far end.
    pub(super) fn lose_side(&mut self, rooms: &mut Rooms, side: Side, by: EndedBy, reason: EndReason) {
        let Phase::Talk(talking) = &mut self.phase else { return };
        let Some(line) = talking.talk.leg(side).nailed else { return };
        rooms.nailed.send(Errand::Lost { line, by, reason });
        talking.talk.update(&mut rooms.log, |talk| talk.leg_mut(side).nailed = None);
    }

    /// Gives a lent leg back.
    pub(super) fn send_home(&mut self, rooms: &mut Rooms, leg: Leg, back: Back) {
        let Some(line) = leg.nailed else { return };
        self.forget_tag(leg.dialog.local_tag());
        rooms.nailed.send(Errand::Home { line, leg: Box::new(leg), back });
    }
}

impl Setup {
    /// Whether somebody is being offered the call.
    pub(super) fn is_offered(&self) -> bool {
        !self.branches.is_empty() || self.line.is_some()
    }
}
