//! Incoming calls: ring, answer, refuse, be cancelled.

use std::collections::BTreeMap;

use super::Ua;
use super::client::PATIENCE;
use super::leg::{By, Dialog, Leg, Phase, Role};
use super::offer::Direction;
use super::profile::OnCall;
use super::reliable;
use crate::text::{Text, uri_of, user_of};
use crate::time::{At, ms};
use crate::wire::Packet;

impl Ua {
    pub(super) fn take_invite(&mut self, request: &Text, packet: &Packet, now: At) {
        let at = self.admit(request, packet);
        let id = self.next_leg;
        self.next_leg += 1;
        let from = request.get("From").unwrap_or_default();
        let dialog = Dialog {
            call_id: request.call_id().to_owned(),
            local: format!("{};tag={}", request.get("To").unwrap_or_default(), self.dice.hex()),
            remote: from.to_owned(),
            target: request.contact().unwrap_or_default().to_owned(),
            routes: request.all("Record-Route").map(|r| uri_of(r).to_owned()).collect(),
            local_cseq: 0,
            remote_cseq: request.cseq().map_or(0, |(n, _)| n),
        };
        let leg = Leg {
            id,
            mark: request.mark().unwrap_or_default(),
            role: Role::Callee,
            phase: Phase::Calling,
            since: now,
            end: None,
            code: 0,
            answers: Vec::new(),
            number: user_of(uri_of(from)).to_owned(),
            site: packet.from,
            others: Vec::new(),
            answers_at_once: request.get("Call-Info").is_some_and(|info| info.contains("answer-after=0")),
            superseded: false,
            redirected: 0,
            challenged: 0,
            heard: vec![format!("INVITE{}", if request.body.is_empty() { "" } else { " with body" })],
            told: Vec::new(),
            leaves_when_told: false,
            leaves_with: None,
            numbers: BTreeMap::new(),
            hold_again_at: None,
            bye_again_at: None,
            session: None,
            act_at: Some(now + self.first_wait()),
            dialog,
            ack: None,
        };
        let is_busy = self.profile.one_line && self.legs.values().any(|leg| !leg.is_over());
        self.legs.insert(id, leg);
        if let Some(server) = self.servers.get_mut(at) {
            server.leg = Some(id);
        }
        if is_busy {
            self.refuse(id, 486, now);
        }
    }

    fn first_wait(&self) -> std::time::Duration {
        match self.profile.on_call {
            OnCall::Refuse { after, .. } => after.min(self.profile.ring_after),
            OnCall::Answer { .. } | OnCall::RingOn | OnCall::SendOn { .. } => self.profile.ring_after,
        }
    }

    pub(super) fn leg_timeout(&mut self, id: u64, now: At) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if leg.bye_again_at.is_some_and(|at| at <= now) {
            leg.bye_again_at = None;
            self.hang_up_dialog(id, now);
            return;
        }
        if leg.hold_again_at.is_some_and(|at| at <= now) {
            leg.hold_again_at = None;
            self.reinvite(id, Direction::SendOnly, now);
            return;
        }
        if leg.phase == Phase::Talking && self.session_timeout(id, now) {
            return;
        }
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.act_at = None;
        match (leg.role, leg.phase) {
            (_, Phase::Talking) => self.hang_up(id, now),
            (Role::Callee, Phase::Calling) => self.ring(id, now),
            (Role::Callee, Phase::Ringing) => match self.profile.on_call {
                OnCall::Answer { .. } => self.answer(id, now),
                OnCall::Refuse { code, .. } => self.refuse(id, code, now),
                OnCall::SendOn { to, .. } => self.send_on(id, to, now),
                OnCall::RingOn => {}
            },
            (_, Phase::Cancelling | Phase::Answered | Phase::Ending | Phase::Over)
            | (Role::Caller, Phase::Calling | Phase::Ringing) => {}
        }
    }

    fn pending_invite(&self, id: u64) -> Option<usize> {
        self.servers.iter().position(|s| s.leg == Some(id) && s.is_pending_invite())
    }

    fn ring(&mut self, id: u64, now: At) {
        let Some(at) = self.pending_invite(id) else { return };
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.enter(Phase::Ringing, now);
        if leg.answers_at_once {
            return self.answer(id, now);
        }
        match self.profile.on_call {
            OnCall::Answer { after } | OnCall::SendOn { after, .. } => leg.act_at = Some(now + after),
            OnCall::Refuse { code, after } if after <= self.profile.ring_after => {
                self.refuse(id, code, now);
                return;
            }
            OnCall::Refuse { after, .. } => {
                leg.act_at = Some(now + (after.saturating_sub(self.profile.ring_after)));
            }
            OnCall::RingOn => {}
        }
        let (code, contact, body) = (
            if self.profile.early_media { 183 } else { 180 },
            self.contact(),
            self.body(id, Direction::SendRecv),
        );
        let early = self.profile.early_media;
        let number = self.numbers_its_own(at);
        let fill = |r: Text| {
            let r = reliable::numbered(r.with("Contact", contact), number);
            if early { r.with_sdp(body) } else { r }
        };
        self.respond(at, code, fill, now);
        if let (Some(number), Some(server)) = (number, self.servers.get_mut(at)) {
            server.responded_reliably(number, now);
        }
    }

    /// Answers a ringing call.
    pub fn answer(&mut self, id: u64, now: At) {
        let Some(at) = self.pending_invite(id) else { return };
        let (contact, body) = (self.contact(), self.body(id, Direction::SendRecv));
        let waits = self.servers.get(at).is_some_and(super::Server::is_unacknowledged);
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if waits {
            // RFC 3262 3: not before what was sent reliably is acknowledged.
            leg.act_at = Some(now + ms(20));
            return;
        }
        leg.code = 200;
        leg.enter(Phase::Answered, now);
        let allow = self.allow();
        self.accept(at, id, |r| r.with("Contact", contact).with("Allow", allow).with_sdp(body), now);
    }

    /// Refuses a ringing call.
    pub fn refuse(&mut self, id: u64, code: u16, now: At) {
        let Some(at) = self.pending_invite(id) else { return };
        self.respond(at, code, |r| r, now);
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.code = code;
            leg.finish(By::Us, now);
        }
    }

    /// Sends a ringing call on.
    fn send_on(&mut self, id: u64, to: &str, now: At) {
        let Some(at) = self.pending_invite(id) else { return };
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.code = 302;
        leg.finish(By::Us, now);
        let contact = format!("<sip:{to}@{}>", leg.site);
        self.respond(at, 302, |r| r.with("Contact", contact), now);
    }

    pub(super) fn take_cancel(&mut self, request: &Text, packet: &Packet, now: At) {
        let invite = self.servers.iter().position(|s| {
            s.request.method() == "INVITE"
                && s.request.branch() == request.branch()
                && s.request.sent_by() == request.sent_by()
        });
        let at = self.admit(request, packet);
        let Some(invite) = invite else {
            self.respond(at, 481, |r| r, now);
            return;
        };
        self.respond(at, 200, |r| r, now);
        let Some(server) = self.servers.get(invite).filter(|s| s.is_pending_invite()) else { return };
        let leg = server.leg;
        if self.profile.manners.answers_after_cancel {
            return;
        }
        self.respond(invite, 487, |r| r, now);
        if let Some(leg) = leg.and_then(|id| self.legs.get_mut(&id)).filter(|leg| leg.is_early()) {
            leg.code = 487;
            leg.finish(By::Them, now);
        }
    }

    /// The ACK to a 2xx.
    pub(super) fn take_ack(&mut self, ack: &Text, now: At) {
        let talks = self.profile.talks;
        let Some(leg) = self.legs.values_mut().find(|leg| leg.dialog.owns(ack)) else { return };
        let (id, cseq) = (leg.id, ack.cseq().map_or(0, |(n, _)| n));
        let server = self.servers.iter_mut().find(|s| {
            s.leg == Some(id)
                && s.request.method() == "INVITE"
                && s.request.cseq().is_some_and(|(number, _)| number == cseq)
        });
        let fresh = server.is_some_and(super::Server::acknowledged);
        if !fresh {
            return;
        }
        leg.heard.push(format!("ACK{}", if ack.body.is_empty() { "" } else { " with body" }));
        if leg.phase == Phase::Answered {
            leg.enter(Phase::Talking, now);
            leg.act_at = talks.map(|talks| now + talks);
        }
    }

    /// BYE, whatever else is going on; repeated for as long as nobody answers it.
    pub(super) fn hang_up_dialog(&mut self, id: u64, now: At) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Some(to) = leg.dialog.next_hop() else {
            leg.finish(By::Us, now);
            return;
        };
        // Whoever ends a call that he has answered no longer says that he answers.
        for server in self.servers.iter_mut().filter(|s| s.leg == Some(id) && s.request.method() == "INVITE")
        {
            server.acknowledged();
        }
        leg.act_at = None;
        leg.dialog.local_cseq += 1;
        let bye = leg.dialog.request("BYE", leg.dialog.local_cseq);
        leg.enter(Phase::Ending, now);
        self.send_request(bye, to, super::Purpose::Bye(id), PATIENCE, now);
    }
}
