//! What facts of the call room mean to one call, fact by fact (the event sequences of the T-Library's call models).

use std::sync::Arc;

use smallvec::smallvec;
use tandem_cti::{CallState, CallType, DnRole, Event, EventName, PartyState, Value};

use super::compound::Work;
use super::events::{Out, Sight};
use super::happening::Happening;
use super::order::{NOBODY, Order};
use super::party::{Leg, Party};
use super::record::TCall;
use crate::arena::Key;
use crate::call::{EndReason, Far, LegNo};
use crate::limits::MAX_PARTIES;

/// How a party leaves.
pub(super) type Leaving = (EventName, CallState);

const RELEASED: Leaving = (EventName::Released, CallState::Ok);
const ABANDONED: Leaving = (EventName::Abandoned, CallState::Ok);

fn with_state(state: CallState) -> impl FnOnce(&mut Event) {
    move |event| event.call_state = Some(state)
}

fn third(dn: Option<&Arc<str>>) -> impl FnOnce(&mut Event) {
    move |event| event.third_party_dn = dn.map(|dn| dn.as_ref().to_owned())
}

impl TCall {
    /// An INVITE goes to a device.
    pub(super) fn offer(&mut self, out: &mut Out, sight: Sight<'_>, key: Key, no: LegNo, to: Far) {
        let (name, inside) = match to {
            Far::Extension(dn) => (dn, true),
            Far::Trunk(_) => (Arc::clone(&self.dialled), false),
            Far::Mixer(_) => return,
        };
        match (self.kind, inside) {
            (CallType::Internal | CallType::Unknown, false) => self.kind = CallType::Outbound,
            (CallType::Outbound, true) => self.kind = CallType::Internal,
            _ => {}
        }
        let leg = Leg { at: Some(key), no, rings: false };
        if let Some(party) = self.called(&name).and_then(|place| self.parties.get_mut(place)) {
            return party.legs.push(leg);
        }
        if self.parties.len() >= MAX_PARTIES {
            return;
        }
        if let Some(at) = self.waits.clone() {
            out.tell_at(sight, self, &at, EventName::Diverted, third(Some(&name)));
            self.offered = Some(Arc::clone(&name));
        }
        let role = if self.mover.is_some() { DnRole::NewParty } else { DnRole::Destination };
        let queue = self.queue.clone();
        let party = Party {
            name: Arc::clone(&name),
            inside,
            role,
            state: PartyState::Alerting,
            told: false,
            queue,
            legs: smallvec![leg],
        };
        self.parties.push(party);
        if inside {
            out.began(self, &name);
        }
    }

    pub(super) fn ring(&mut self, out: &mut Out, sight: Sight<'_>, key: Key, no: LegNo) {
        let Some(place) = self.at_leg(key, no) else { return };
        let Some(party) = self.parties.get_mut(place) else { return };
        if let Some(leg) = party.legs.iter_mut().find(|leg| leg.at == Some(key) && leg.no == no) {
            leg.rings = true;
        }
        if party.is_called() && !party.told {
            party.told = true;
            out.tell(sight, self, place, EventName::Ringing, |_| {});
        }
    }

    /// A leg answered. The one who was called hears of it first; who talks already hears that his other party changed.
    pub(super) fn answer(&mut self, out: &mut Out, sight: Sight<'_>, key: Key, no: LegNo) {
        let Some(place) = self.at_leg(key, no) else { return };
        self.ring(out, sight, key, no);
        let Some(party) = self.parties.get_mut(place) else { return };
        match party.state {
            PartyState::Dialing if !party.told => {
                party.told = true;
                out.tell(sight, self, place, EventName::Dialing, |_| {});
                return;
            }
            PartyState::Alerting => {}
            PartyState::Dialing
            | PartyState::Queued
            | PartyState::Busy
            | PartyState::Connected
            | PartyState::Held
            | PartyState::Failed => return,
        }
        party.legs.retain(|leg| leg.at == Some(key) && leg.no == no);
        let name = Arc::clone(&party.name);
        if self.offered.take_if(|offered| *offered == name).is_some() {
            self.waits = None;
            out.happenings.push_back(Happening::OfferAnswered { conn: self.conn, dn: name });
        }
        self.establish(out, sight, place);
        let mover = self.mover.take();
        let joined = self.parties.get(place).is_some_and(|party| party.role == DnRole::NewParty);
        // A transfer to somebody who rang was told when it was made.
        let is_known = joined && mover.is_none();
        for other in (0..self.parties.len()).filter(|other| *other != place) {
            let Some(party) = self.parties.get(other) else { continue };
            match party.state {
                PartyState::Dialing => self.establish(out, sight, other),
                PartyState::Connected | PartyState::Held if is_known => {}
                PartyState::Connected | PartyState::Held => {
                    out.tell(sight, self, other, EventName::PartyChanged, |event| {
                        event.call_state = Some(CallState::Transferred);
                        third(mover.as_ref())(event);
                    });
                }
                PartyState::Alerting | PartyState::Queued | PartyState::Busy | PartyState::Failed => {}
            }
        }
    }

    fn establish(&mut self, out: &mut Out, sight: Sight<'_>, place: usize) {
        let Some(party) = self.parties.get_mut(place) else { return };
        party.state = PartyState::Connected;
        party.told = true;
        if party.inside {
            let dn = Arc::clone(&party.name);
            out.happenings.push_back(Happening::Established { dn, conn: self.conn });
        }
        out.tell(sight, self, place, EventName::Established, |_| {});
    }

    pub(super) fn hold(&mut self, out: &mut Out, sight: Sight<'_>, (key, no): (Key, LegNo), held: bool) {
        let (from, to, name) = if held {
            (PartyState::Connected, PartyState::Held, EventName::Held)
        } else {
            (PartyState::Held, PartyState::Connected, EventName::Retrieved)
        };
        let Some(place) = self.at_leg(key, no) else { return };
        let Some(party) = self.parties.get_mut(place).filter(|party| party.state == from) else { return };
        party.state = to;
        out.tell(sight, self, place, name, |_| {});
    }

    /// A leg that was called ended unanswered.
    pub(super) fn miss(
        &mut self,
        out: &mut Out,
        sight: Sight<'_>,
        (key, no): (Key, LegNo),
        status: u16,
        reason: EndReason,
    ) {
        let Some((place, name)) = self.drop_leg(key, no) else { return };
        let offered = self.offered.as_ref().is_some_and(|offered| *offered == name);
        self.status = status;
        let redirected = out.asks(self.conn, &name, |work| matches!(work, Work::Redirect));
        let how = match (reason, status) {
            (EndReason::CallerGone, _) => ABANDONED,
            (_, 300..=399) | (EndReason::TakenOver, _) => (EventName::Released, CallState::Redirected),
            _ if offered || redirected => (EventName::Released, CallState::Redirected),
            (EndReason::RingTimeout, _) | (_, 408 | 480) => (EventName::Released, CallState::NoAnswer),
            _ => RELEASED,
        };
        self.leave(out, sight, place, how);
    }

    /// Every place was tried in vain, and the call waits again.
    pub(super) fn unplaced(&mut self, out: &mut Out, sight: Sight<'_>, status: u16) {
        self.not_taken(out, sight);
        let Some(at) = self.waits.clone() else { return };
        let offered = self.offered.take();
        // Where no phone could be called at all nobody was told that the call left its queue.
        let told = offered.is_some();
        out.happenings.push_back(Happening::OfferFailed { conn: self.conn, dn: offered, status });
        if told && sight.directory.routing_point(&at).is_none() {
            self.returned(out, sight, &at);
        }
    }

    /// Those whom the call was offered to leave it.
    fn not_taken(&mut self, out: &mut Out, sight: Sight<'_>) {
        while let Some(place) = self.parties.iter().position(Party::is_called) {
            self.leave(out, sight, place, (EventName::Released, CallState::Redirected));
        }
    }

    /// The call is back in its queue, where it had its place all the time.
    fn returned(&mut self, out: &mut Out, sight: Sight<'_>, at: &Arc<str>) {
        out.tell_at(sight, self, at, EventName::Queued, |event| {
            event.extensions.insert("ReturnedToQueue".to_owned(), Value::Int(1));
        });
    }

    /// An answered leg ended, or the caller's before an answer.
    pub(super) fn end(&mut self, out: &mut Out, sight: Sight<'_>, key: Key, no: LegNo) {
        let Some((place, name)) = self.drop_leg(key, no) else { return };
        if self.dialling() == Some(place) {
            return self.given_up(out, sight, RELEASED);
        }
        if out.asks(self.conn, &name, |work| matches!(work, Work::SingleStep)) {
            self.mover = Some(Arc::clone(&name));
        }
        if self.mover.as_ref() == Some(&name) {
            return self.leave(out, sight, place, (EventName::Released, CallState::Transferred));
        }
        self.leave(out, sight, place, RELEASED);
    }

    /// The caller was refused, or whoever else was left waiting for an answer.
    pub(super) fn fail(&mut self, out: &mut Out, sight: Sight<'_>, key: Key, status: u16) {
        let how = (EventName::Released, failure(status));
        self.status = status;
        if let Some(place) = self.dialling() {
            if matches!(status, 486 | 600) && self.parties.get(place).is_some_and(|party| party.told) {
                out.tell(sight, self, place, EventName::DestinationBusy, with_state(CallState::Busy));
            }
            return self.given_up(out, sight, how);
        }
        let here = |party: &Party| party.legs.iter().any(|leg| leg.at == Some(key));
        while let Some(place) = self.parties.iter().position(here) {
            self.leave(out, sight, place, how);
        }
    }

    /// The caller leaves before an answer: first those who rang, then the queue, then himself.
    fn given_up(&mut self, out: &mut Out, sight: Sight<'_>, how: Leaving) {
        while let Some(place) = self.parties.iter().position(Party::is_called) {
            self.leave(out, sight, place, ABANDONED);
        }
        self.abandon_queue(out, sight);
        if let Some(place) = self.dialling() {
            self.leave(out, sight, place, how);
        }
    }

    /// The call waits at a queue or routing point.
    pub(super) fn park(&mut self, out: &mut Out, sight: Sight<'_>, at: Arc<str>) {
        self.dialled = Arc::clone(&at);
        self.queue = Some(Arc::clone(&at));
        self.waits = Some(Arc::clone(&at));
        if sight.directory.routing_point(&at).is_none() {
            out.tell_at(sight, self, &at, EventName::Queued, |_| {});
        }
        let user_data = self.user_data.clone();
        out.happenings.push_back(Happening::Waits { conn: self.conn, at, user_data });
    }

    /// The call leaves where it waited for somewhere else, for good.
    pub(super) fn divert(&mut self, out: &mut Out, sight: Sight<'_>, from: &Arc<str>, to: Option<&str>) {
        if self.waits.take_if(|at| *at == *from).is_none() {
            return;
        }
        if let Some(to) = to {
            self.dialled = Arc::from(to);
        }
        // An offer has diverted it from there already: it comes back first, or nobody could tell where it went.
        let redirected = self.offered.take().is_some();
        if redirected {
            if sight.directory.routing_point(from).is_some() {
                return;
            }
            self.not_taken(out, sight);
            self.returned(out, sight, from);
        }
        out.tell_at(sight, self, from, EventName::Diverted, |event| {
            event.third_party_dn = to.map(str::to_owned);
            if redirected {
                event.call_state = Some(CallState::Redirected);
            }
        });
    }

    /// Nobody waits at the queue any more.
    pub(super) fn abandon_queue(&mut self, out: &mut Out, sight: Sight<'_>) {
        let Some(at) = self.waits.take() else { return };
        self.offered = None;
        out.tell_at(sight, self, &at, EventName::Abandoned, |_| {});
        out.happenings.push_back(Happening::Left { conn: self.conn, at });
    }

    /// Nothing is left of a call beneath: whoever was only there leaves.
    pub(super) fn over(&mut self, out: &mut Out, sight: Sight<'_>, key: Key) {
        self.keys.retain(|(known, _)| *known != key);
        for party in &mut self.parties {
            party.legs.retain(|leg| leg.at != Some(key));
        }
        self.stays();
        while let Some(place) = self.parties.iter().position(|party| party.legs.is_empty()) {
            if self.dialling() == Some(place) {
                self.given_up(out, sight, RELEASED);
            } else {
                self.leave(out, sight, place, RELEASED);
            }
        }
        if self.parties.is_empty() {
            self.abandon_queue(out, sight);
        }
    }

    /// A leg is gone; tells whose it was if it was his last.
    fn drop_leg(&mut self, key: Key, no: LegNo) -> Option<(usize, Arc<str>)> {
        let place = self.at_leg(key, no)?;
        let party = self.parties.get_mut(place)?;
        party.legs.retain(|leg| leg.at != Some(key) || leg.no != no);
        party.legs.is_empty().then(|| (place, Arc::clone(&party.name)))
    }

    /// A party leaves. Agents hear of it before its clients do, so that after-call work is told first.
    pub(super) fn leave(&mut self, out: &mut Out, sight: Sight<'_>, place: usize, how: Leaving) {
        let Some(party) = self.parties.get(place) else { return };
        let (name, told) = (Arc::clone(&party.name), party.told);
        if party.inside {
            out.ended(self.conn, &name);
        }
        if told {
            let (event, state) = how;
            out.tell(sight, self, place, event, with_state(state));
        }
        let left = self.parties.remove(place);
        self.gone = Some((left.name, left.role));
        if !self.conference || !told {
            return;
        }
        let by = out.who_deletes(self.conn).unwrap_or_else(|| Arc::clone(&name));
        for rest in 0..self.parties.len() {
            out.tell(sight, self, rest, EventName::PartyDeleted, |event| {
                event.other_dn = Some(name.as_ref().to_owned());
                event.other_dn_role = Some(left.role);
                event.third_party_dn = Some(by.as_ref().to_owned());
            });
        }
        // Nobody stays in a conference alone.
        if let [last] = self.parties.as_slice()
            && let Some((key, leg)) = last.reached()
        {
            out.orders.push_back(Order::Release { ticket: NOBODY, key, leg });
        }
    }
}

/// `CallState` of a caller whose call came to nothing.
fn failure(status: u16) -> CallState {
    match status {
        486 | 600 => CallState::Busy,
        408 | 480 => CallState::NoAnswer,
        _ => CallState::GeneralError,
    }
}
