//! Requests within a dialog: hold by re-INVITE, UPDATE, INFO, OPTIONS, REFER and BYE, from either side, with glare.

use super::Ua;
use super::client::{PATIENCE, Purpose};
use super::leg::{By, Phase, Role};
use super::offer::{self, Direction};
use crate::text::Text;
use crate::time::{At, ms, secs};
use crate::wire::Packet;

impl Ua {
    /// Puts the other side on hold (`SendOnly`) or takes it back (`SendRecv`) by re-INVITE.
    pub fn reinvite(&mut self, id: u64, direction: Direction, now: At) {
        let (contact, body) = (self.contact(), self.body(id, direction));
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| leg.phase == Phase::Talking) else { return };
        if self.clients.iter().any(|c| c.purpose == Purpose::Reinvite(id) && c.is_open()) {
            return;
        }
        leg.dialog.local_cseq += 1;
        let Some(to) = leg.dialog.next_hop() else { return };
        let request =
            leg.dialog.request("INVITE", leg.dialog.local_cseq).with("Contact", contact).with_sdp(body);
        let agreed = leg.session;
        let request = if agreed.is_some() { self.asks_for_session(request, agreed) } else { request };
        self.send_request(request, to, Purpose::Reinvite(id), PATIENCE, now);
    }

    /// Sends UPDATE, INFO, OPTIONS, MESSAGE or NOTIFY within the dialog.
    pub fn send_within(&mut self, id: u64, method: &str, now: At) {
        let contact = self.contact();
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| leg.phase == Phase::Talking) else { return };
        leg.dialog.local_cseq += 1;
        let Some(to) = leg.dialog.next_hop() else { return };
        let mut request = leg.dialog.request(method, leg.dialog.local_cseq);
        match method {
            "UPDATE" => request = request.with("Contact", contact),
            "NOTIFY" => {
                request = request
                    .with("Event", "talk")
                    .with("Subscription-State", "active")
                    .with("Contact", contact);
            }
            "INFO" => {
                request = request.with("Content-Type", "application/dtmf-relay");
                request.body = "Signal=5\r\nDuration=160\r\n".into();
            }
            "MESSAGE" => {
                request = request.with("Content-Type", "text/plain");
                request.body = "hello".into();
            }
            _ => {}
        }
        self.send_request(request, to, Purpose::Within(id), PATIENCE, now);
    }

    /// Transfers the call to a number by REFER (RFC 3515); most phones hang up at once.
    pub fn refer(&mut self, id: u64, number: &str, hangs_up: bool, now: At) {
        let contact = self.contact();
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| leg.phase == Phase::Talking) else { return };
        leg.dialog.local_cseq += 1;
        let Some(to) = leg.dialog.next_hop() else { return };
        let request = leg
            .dialog
            .request("REFER", leg.dialog.local_cseq)
            .with("Contact", contact)
            .with("Refer-To", format!("<sip:{number}@{}>", leg.site.ip()));
        self.send_request(request, to, Purpose::Within(id), PATIENCE, now);
        if hangs_up {
            self.hang_up(id, now);
        }
    }

    /// The same, and the device hangs up when it hears that somebody has come. Who consulted somebody (`consulted`) has the
    /// two joined (RFC 5589 7).
    pub fn transfer(&mut self, id: u64, number: &str, consulted: Option<u64>, now: At) {
        let contact = self.contact();
        let replaces = consulted.and_then(|other| self.legs.get(&other)).map(|other| {
            let (dialog, escaped) = (&other.dialog, "%3B");
            let (theirs, ours) = (dialog.remote_tag(), dialog.local_tag());
            let call_id = dialog.call_id.replace('@', "%40");
            format!("?Replaces={call_id}{escaped}to-tag%3D{theirs}{escaped}from-tag%3D{ours}")
        });
        if let Some(other) = consulted.and_then(|other| self.legs.get_mut(&other)) {
            other.leaves_with = Some(id);
        }
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| leg.phase == Phase::Talking) else { return };
        leg.dialog.local_cseq += 1;
        leg.leaves_when_told = true;
        let Some(to) = leg.dialog.next_hop() else { return };
        let refer_to = format!("<sip:{number}@{}{}>", leg.site.ip(), replaces.unwrap_or_default());
        let request = leg.dialog.request("REFER", leg.dialog.local_cseq);
        let request = request.with("Contact", contact).with("Refer-To", refer_to);
        self.send_request(request, to, Purpose::Within(id), PATIENCE, now);
    }

    /// How a transfer goes that the device asked for.
    fn take_progress(&mut self, id: u64, request: &Text, now: At) {
        let code = request.body.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let (Some(leg), Some(code)) = (self.legs.get_mut(&id), code) else { return };
        leg.told.push(code);
        if leg.leaves_when_told && (200..300).contains(&code) {
            let with: Vec<u64> =
                self.legs.values().filter(|leg| leg.leaves_with == Some(id)).map(|leg| leg.id).collect();
            with.into_iter().chain([id]).for_each(|id| self.hang_up(id, now));
        }
    }

    pub(super) fn reinvite_answered(&mut self, id: u64, response: &Text, code: u16, now: At) {
        let contact = self.contact();
        let wait = self.dice.between(ms(0), secs(2));
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Some((cseq, _)) = response.cseq() else { return };
        match code {
            ..200 => {}
            200..300 => {
                let repeated = leg.ack.as_ref().is_some_and(|(number, _)| *number == cseq);
                if !repeated {
                    leg.dialog.refresh(response);
                    leg.heard.push(format!("{code} to re-INVITE"));
                }
                let dialog = leg.dialog.clone();
                if !repeated {
                    self.session_confirmed(id, response, now);
                }
                let ack = dialog.request("ACK", cseq).with("Contact", contact);
                self.acknowledge(id, cseq, ack, &dialog, repeated);
            }
            491 => {
                leg.heard.push("491 to re-INVITE".into());
                if leg.refreshes_by_itself() {
                    return;
                }
                // RFC 3261 14.1: who made the Call-ID waits longer, so that the second try does not collide too.
                let owner = leg.role == Role::Caller;
                leg.hold_again_at =
                    (leg.phase == Phase::Talking).then(|| now + wait + if owner { ms(2100) } else { ms(0) });
            }
            408 | 481 => self.within_unanswered(id, now),
            _ => leg.heard.push(format!("{code} to re-INVITE")),
        }
    }

    pub(super) fn within_answered(&mut self, id: u64, response: &Text, code: u16, now: At) {
        let Some(leg) = self.legs.get_mut(&id).filter(|_| code >= 200) else { return };
        leg.heard.push(format!("{code} to {}", response.method()));
        if code < 300 && response.method() == "UPDATE" {
            return self.session_confirmed(id, response, now);
        }
        if matches!(code, 408 | 481) {
            self.within_unanswered(id, now);
        }
    }

    /// RFC 3261 12.2.1.2: no answer, 408 or 481 ends the dialog.
    pub(super) fn within_unanswered(&mut self, id: u64, now: At) {
        if self.legs.get(&id).is_some_and(|leg| leg.phase == Phase::Talking) {
            self.hang_up_dialog(id, now);
        }
    }

    pub(super) fn bye_answered(&mut self, id: u64, code: u16, now: At) {
        if let Some(leg) = self.legs.get_mut(&id).filter(|_| code >= 200) {
            leg.finish(By::Us, now);
        }
    }

    /// The other side may only be cut off: the BYE is tried again, so that it hears of the end when it is back.
    pub(super) fn bye_unanswered(&mut self, id: u64, now: At) {
        if let Some(leg) = self.legs.get_mut(&id).filter(|leg| !leg.is_over()) {
            leg.bye_again_at = Some(now + secs(10));
        }
    }

    pub(super) fn take_within(&mut self, request: &Text, packet: &Packet, now: At) {
        let at = self.admit(request, packet);
        let Some(leg) = self.legs.values_mut().find(|leg| leg.dialog.owns(request)) else {
            self.respond(at, 481, |r| r, now);
            return;
        };
        let id = leg.id;
        let cseq = request.cseq().map_or(0, |(n, _)| n);
        if leg.is_over() {
            self.respond(at, 481, |r| r, now);
            return;
        }
        if cseq <= leg.dialog.remote_cseq {
            self.respond(at, 500, |r| r, now);
            return;
        }
        leg.dialog.remote_cseq = cseq;
        leg.heard.push(request.method().to_owned());
        if let Some(server) = self.servers.get_mut(at) {
            server.leg = Some(id);
        }
        match request.method() {
            "BYE" => self.take_bye(id, at, now),
            "INVITE" => self.take_reinvite(id, at, request, now),
            "UPDATE" => {
                if let Some(leg) = self.legs.get_mut(&id) {
                    leg.dialog.refresh(request);
                }
                let contact = self.contact();
                self.accept(at, id, |r| r.with("Contact", contact), now);
            }
            "NOTIFY" if request.get("Event") == Some("talk") => {
                self.respond(at, 200, |r| r.with("Allow", offer::ALLOW), now);
                if self.legs.get(&id).is_some_and(|leg| leg.phase == Phase::Ringing) {
                    self.answer(id, now);
                }
            }
            "NOTIFY" if request.get("Event").is_some_and(|event| event.starts_with("refer")) => {
                self.respond(at, 200, |r| r, now);
                self.take_progress(id, request, now);
            }
            "PRACK" => self.take_prack(id, at, request, now),
            _ => self.respond(at, 200, |r| r.with("Allow", offer::ALLOW), now),
        }
    }

    fn take_bye(&mut self, id: u64, at: usize, now: At) {
        if !self.profile.manners.ignores_bye {
            self.respond(at, 200, |r| r, now);
        }
        let pending: Vec<usize> = self
            .servers
            .iter()
            .enumerate()
            .filter(|(_, s)| s.leg == Some(id) && s.is_pending_invite())
            .map(|(place, _)| place)
            .collect();
        for place in pending {
            self.respond(place, 487, |r| r, now);
        }
        // Whoever hears a BYE has no answer of his own left to repeat.
        for server in self.servers.iter_mut().filter(|s| s.leg == Some(id) && s.request.method() == "INVITE")
        {
            server.acknowledged();
        }
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.finish(By::Them, now);
        }
    }

    fn take_reinvite(&mut self, id: u64, at: usize, request: &Text, now: At) {
        let ours = self.clients.iter().any(|c| c.purpose == Purpose::Reinvite(id) && c.is_open());
        let unsettled = self.legs.get(&id).is_some_and(|leg| leg.phase == Phase::Answered);
        if ours || unsettled {
            self.respond(at, 491, |r| r, now);
            return;
        }
        let (contact, body) = (self.contact(), self.body(id, Direction::answering(&request.body)));
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.dialog.refresh(request);
        }
        let allow = self.allow();
        self.accept(at, id, |r| r.with("Contact", contact).with("Allow", allow).with_sdp(body), now);
    }
}
