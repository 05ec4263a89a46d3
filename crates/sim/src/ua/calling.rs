//! Outgoing calls: preferred site first, the other when it is silent or refuses with 503; 302 and challenges followed;
//! CANCEL at any moment.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::Ua;
use super::client::{PATIENCE, Purpose};
use super::digest::Challenge;
use super::leg::{By, Dialog, Leg, Phase, Role};
use super::offer::{Direction, sdp};
use super::reliable::RELIABLE;
use crate::text::{Mark, Text, address_of};
use crate::time::At;

impl Ua {
    /// Calls a number. The leg's number; it may change site until it is answered.
    pub fn call(&mut self, number: &str, label: u32, now: At) -> u64 {
        let mut sites = self.sites_in_order(now);
        let first = if sites.is_empty() { self.profile.addr } else { sites.remove(0) };
        let uri = format!("sip:{number}@{first}");
        self.open_leg(number, Mark { label, attempt: 1 }, first, sites, &uri, 0, now)
    }

    /// Preferred site first (or each in turn), those that a phone is registered with before those it is not.
    fn sites_in_order(&mut self, now: At) -> Vec<SocketAddr> {
        let mut sites = self.profile.sites.clone();
        if self.profile.load_share && !sites.is_empty() {
            let turn = self.next_site % sites.len();
            sites.rotate_left(turn);
            self.next_site += 1;
        } else if self.bindings.iter().any(|b| b.is_registered(now)) {
            sites.sort_by_key(|site| !self.is_registered_at(*site, now));
        }
        sites
    }

    #[expect(clippy::too_many_arguments, reason = "each is one column of the new leg")]
    fn open_leg(
        &mut self,
        number: &str,
        mark: Mark,
        site: SocketAddr,
        others: Vec<SocketAddr>,
        uri: &str,
        redirected: u8,
        now: At,
    ) -> u64 {
        let id = self.next_leg;
        self.next_leg += 1;
        let own = &self.profile.number;
        let dialog = Dialog {
            call_id: format!("{}@{}", self.dice.hex(), self.profile.addr.ip()),
            local: format!("\"{mark}\" <sip:{own}@{}>;tag={}", site.ip(), self.dice.hex()),
            remote: format!("<sip:{number}@{}>", site.ip()),
            target: uri.to_owned(),
            ..Dialog::default()
        };
        let leg = Leg {
            id,
            mark,
            role: Role::Caller,
            phase: Phase::Calling,
            since: now,
            end: None,
            code: 0,
            answers: Vec::new(),
            number: number.to_owned(),
            site,
            others,
            answers_at_once: false,
            superseded: false,
            redirected,
            challenged: 0,
            heard: Vec::new(),
            told: Vec::new(),
            leaves_when_told: false,
            leaves_with: None,
            numbers: BTreeMap::new(),
            hold_again_at: None,
            bye_again_at: None,
            session: None,
            act_at: None,
            dialog,
            ack: None,
        };
        self.legs.insert(id, leg);
        self.send_invite(id, None, now);
        id
    }

    fn send_invite(&mut self, id: u64, authorization: Option<(&str, String)>, now: At) {
        let (contact, hops) = (self.contact(), self.profile.max_forwards);
        let (allow, offer) = (self.allow(), self.body(id, Direction::SendRecv));
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.dialog.local_cseq += 1;
        let mut request = leg
            .dialog
            .request_with_hops("INVITE", leg.dialog.local_cseq, hops)
            .with("Contact", contact)
            .with("Allow", allow);
        if let Some(name) = self.profile.reliable.as_caller() {
            request = request.with(name, RELIABLE);
        }
        if let Some((name, value)) = authorization {
            request = request.with(name, value);
        }
        if !self.profile.delayed_offer {
            request = request.with_sdp(offer);
        }
        // With another site to try a device is less patient than Timer B.
        let patience = if leg.others.is_empty() { PATIENCE } else { self.profile.call_timeout };
        let site = leg.site;
        let request = self.asks_for_session(request, None);
        self.send_request(request, site, Purpose::Invite(id), patience, now);
    }

    pub(super) fn body(&self, id: u64, direction: Direction) -> String {
        let mark = self.legs.get(&id).map_or(Mark::default(), |leg| leg.mark);
        sdp(mark, self.profile.addr, direction, self.profile.padding)
    }

    pub(super) fn invite_answered(&mut self, id: u64, response: &Text, code: u16, now: At) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if code < 200 {
            if leg.superseded || leg.phase == Phase::Cancelling {
                self.send_cancel(id, now);
            } else if code > 100 && leg.is_early() {
                if !self.takes_provisional(id, response, now) {
                    return;
                }
                let Some(leg) = self.legs.get_mut(&id) else { return };
                leg.code = code;
                leg.heard.push(format!("{code}{}", if response.body.is_empty() { "" } else { " with body" }));
                leg.enter(Phase::Ringing, now);
            }
            return;
        }
        if code < 300 {
            self.answered(id, response, now);
            return;
        }
        let cancelled = leg.superseded || leg.phase == Phase::Cancelling;
        leg.code = code;
        match code {
            _ if cancelled => leg.finish(By::Us, now),
            401 | 407 if leg.challenged < 2 => self.answer_challenge(id, response, code, now),
            300..=399 if self.profile.follows_redirect && leg.redirected < 5 => {
                self.follow(id, response, now);
            }
            503 if !leg.others.is_empty() => self.next_site_for(id, now),
            _ => leg.finish(By::Them, now),
        }
    }

    /// Each 2xx is acknowledged, the same way each time; only the first dialog is kept.
    fn answered(&mut self, id: u64, response: &Text, now: At) {
        let contact = self.contact();
        let talks = self.profile.talks;
        let body = self.body(id, Direction::SendRecv);
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let tag = response.to_tag().unwrap_or_default().to_owned();
        let repeated = leg.answers.contains(&tag);
        let unwanted = leg.superseded || leg.phase == Phase::Cancelling || leg.phase == Phase::Over;
        let second = !repeated && !leg.answers.is_empty();
        if !repeated {
            leg.answers.push(tag);
        }
        if second {
            self.faults.push(format!("{} got a second answer to {}", self.profile.name, leg.mark));
        }
        if !repeated && !second {
            leg.dialog.confirm(response);
        }
        let mut dialog = leg.dialog.clone();
        dialog.confirm(response);
        let cseq = response.cseq().map_or(0, |(n, _)| n);
        let mut ack = dialog.request("ACK", cseq).with("Contact", contact);
        if !response.body.is_empty() && self.profile.delayed_offer {
            ack = ack.with_sdp(body);
        }
        if !repeated && !second && !unwanted {
            leg.code = 200;
            leg.heard.push(format!("200{}", if response.body.is_empty() { "" } else { " with body" }));
            leg.enter(Phase::Talking, now);
            leg.act_at = talks.map(|talks| now + talks);
            self.session_confirmed(id, response, now);
        }
        self.acknowledge(id, cseq, ack, &dialog, repeated);
        if unwanted && !repeated {
            if let Some(leg) = self.legs.get_mut(&id) {
                leg.code = 200;
            }
            self.hang_up_dialog(id, now);
        } else if second {
            let bye = dialog.request("BYE", dialog.local_cseq + 1);
            if let Some(to) = dialog.next_hop() {
                self.send_request(bye, to, Purpose::CleanUp, PATIENCE, now);
            }
        }
    }

    /// Sends the ACK to a 2xx; a repeated 2xx gets the bytes of the first ACK again.
    pub(super) fn acknowledge(&mut self, id: u64, cseq: u32, mut ack: Text, dialog: &Dialog, repeated: bool) {
        let over = self.over();
        let Some(to) = dialog.next_hop().filter(|_| !self.profile.manners.never_acknowledges) else { return };
        let kept = self.legs.get(&id).and_then(|leg| leg.ack.clone());
        let wire = match kept {
            Some((number, wire)) if repeated && number == cseq => wire,
            _ => {
                let via = self.via(over);
                ack.headers.insert(0, ("Via".into(), via));
                crate::wire::Wire::print(&ack)
            }
        };
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.ack = Some((cseq, wire.clone()));
        }
        self.emit(wire, to, over);
    }

    fn answer_challenge(&mut self, id: u64, response: &Text, code: u16, now: At) {
        let (asks, answers) = match code {
            401 => ("WWW-Authenticate", "Authorization"),
            _ => ("Proxy-Authenticate", "Proxy-Authorization"),
        };
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.challenged += 1;
        let Some(mut challenge) = response.all(asks).find_map(Challenge::parse) else {
            leg.finish(By::Them, now);
            return;
        };
        let uri = leg.dialog.target.clone();
        let value = challenge.answer(&self.profile.number, &self.profile.password, "INVITE", &uri);
        self.send_invite(id, Some((answers, value)), now);
    }

    fn follow(&mut self, id: u64, response: &Text, now: At) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Some((uri, to)) = response.contact().and_then(|uri| Some((uri.to_owned(), address_of(uri)?)))
        else {
            leg.finish(By::Them, now);
            return;
        };
        leg.finish(By::Them, now);
        let uri =
            if self.profile.strips_parameters { uri.split(';').next().unwrap_or(&uri).into() } else { uri };
        let (number, mark, redirected) = (leg.number.clone(), leg.mark, leg.redirected + 1);
        self.open_leg(&number, mark, to, Vec::new(), &uri, redirected, now);
    }

    fn next_site_for(&mut self, id: u64, now: At) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let mut others = std::mem::take(&mut leg.others);
        let site = others.remove(0);
        let (number, redirected) = (leg.number.clone(), leg.redirected);
        let mark = Mark { attempt: leg.mark.attempt + 1, ..leg.mark };
        leg.superseded = true;
        leg.finish(By::Silence, now);
        let uri = format!("sip:{number}@{site}");
        self.open_leg(&number, mark, site, others, &uri, redirected, now);
    }

    /// Nothing final came in time.
    pub(super) fn invite_unanswered(&mut self, id: u64, now: At) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let silent = leg.phase == Phase::Calling;
        if silent && !leg.others.is_empty() {
            self.next_site_for(id, now);
        } else {
            leg.finish(By::Silence, now);
        }
    }

    /// The user hangs up, whatever the phase: CANCEL, BYE, or a refusal.
    pub fn hang_up(&mut self, id: u64, now: At) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        match (leg.role, leg.phase) {
            (_, Phase::Over | Phase::Ending | Phase::Cancelling) => {}
            (_, Phase::Talking | Phase::Answered) => self.hang_up_dialog(id, now),
            (Role::Caller, Phase::Calling | Phase::Ringing) => {
                leg.enter(Phase::Cancelling, now);
                leg.others.clear();
                self.send_cancel(id, now);
            }
            (Role::Callee, Phase::Calling | Phase::Ringing) => self.refuse(id, 486, now),
        }
    }

    /// RFC 3261 9.1: a CANCEL waits for a provisional response.
    fn send_cancel(&mut self, id: u64, now: At) {
        let purpose = Purpose::Invite(id);
        let Some(client) = self.clients.iter_mut().find(|c| c.purpose == purpose && c.is_proceeding()) else {
            return;
        };
        let branch = client.branch.clone();
        let Ok(invite) = client.wire.text.as_ref().clone() else { return };
        let (to, over) = (client.to, client.over);
        if self.clients.iter().any(|c| c.branch == branch && c.method == "CANCEL") {
            return;
        }
        if let Some(client) = self.clients.iter_mut().find(|c| c.branch == branch) {
            client.cancelled(now);
        }
        let mut cancel = Text::request("CANCEL", invite.uri().unwrap_or_default());
        for name in ["Via", "From", "To", "Call-ID", "Route", "Max-Forwards"] {
            for value in invite.all(name) {
                cancel = cancel.with(name, value);
            }
        }
        let cseq = invite.cseq().map_or(0, |(n, _)| n);
        cancel = cancel.with("CSeq", format!("{cseq} CANCEL"));
        let wire = crate::wire::Wire::print(&cancel);
        self.clients.push(super::Client::new(wire.clone(), to, over, Purpose::CleanUp, PATIENCE, now));
        self.emit(wire, to, over);
    }
}
