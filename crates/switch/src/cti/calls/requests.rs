//! Requests about calls, checked against the state of their call and turned into orders.

use std::sync::Arc;

use smallvec::SmallVec;
use tandem_cti::{
    ErrorCode, Event, EventName, KvList, PartyState, Refusal, Request, RouteType, TApplyTreatment,
    TDeleteFromConference, TMakeCall, TRouteCall, TSendDTMF, TreatmentType,
};

use super::compound::{Alternate, Consult, Mute, Reconnect, Transfer, Work};
use super::events::Pending;
use super::order::{Dialled, NOBODY, Order};
use super::party::Party;
use super::record::TCall;
use super::{Desk, TCalls, data, parse_conn_id};
use crate::arena::Key;
use crate::call::{Carried, LegNo, Ticket};
use crate::cti::SessionId;
use crate::directory::floor::Treatment;
use crate::limits::{MAX_CALLS, MAX_DESTINATION, MAX_PARTIES};
use crate::media::is_file_name;

/// What a request comes to at once.
type Answer = Result<Option<Order>, Refusal>;

/// Who asks.
#[derive(Clone, Copy)]
struct Asking<'a> {
    session: SessionId,
    reference_id: Option<u32>,
    dn: &'a str,
}

/// A party that a request is about.
struct At<'a> {
    call: &'a TCall,
    place: usize,
    party: &'a Party,
    key: Key,
    leg: LegNo,
}

impl At<'_> {
    fn other(&self) -> Result<&Party, Refusal> {
        self.call.other(self.place).ok_or_else(|| state("the call has no other party that could be meant"))
    }

    /// A destination that is no party of the call: nobody is connected with himself.
    fn third(&self, to: &str) -> Result<Box<str>, Refusal> {
        if self.call.parties.iter().any(|party| *party.name == *to) {
            return Err(Refusal::because(ErrorCode::TargDnInv, "OtherDN is a party of the call already"));
        }
        destination(to, ErrorCode::TargDnInv)
    }

    fn must_be(&self, wanted: PartyState, not: &'static str) -> Result<(), Refusal> {
        if self.party.state == wanted { Ok(()) } else { Err(state(not)) }
    }
}

fn state(why: &'static str) -> Refusal {
    Refusal::because(ErrorCode::InvCallState, why)
}

fn attribute(why: &'static str) -> Refusal {
    Refusal::because(ErrorCode::InvalidAttr, why)
}

impl TCalls {
    /// A request about calls by a client that may make it. The events that answer it carry its reference. Any order
    /// beyond the first comes from [`TCalls::poll_order`].
    ///
    /// # Errors
    /// 56 for an unknown ConnID or a DN that is no party, 496 for a state that does not allow it, 43 for a state that is
    /// there already, 53 for an attribute that means nothing, 71 or 177 for a destination that is no number, 166 for a
    /// conference without a mixer or a full table.
    pub fn request(&mut self, desk: &mut Desk<'_>, session: SessionId, request: &Request) -> Answer {
        let reference_id = request.reference_id();
        let by = |dn| Asking { session, reference_id, dn };
        match request {
            Request::TMakeCall(r) => self.make_call(desk, by(&r.this_dn), r),
            Request::TAnswerCall(r) => self.answer_call(by(&r.this_dn), &r.conn_id),
            Request::TReleaseCall(r) => self.release_call(by(&r.this_dn), &r.conn_id),
            Request::THoldCall(r) => self.hold_call(by(&r.this_dn), &r.conn_id),
            Request::TRetrieveCall(r) => self.retrieve_call(by(&r.this_dn), &r.conn_id),
            Request::TAlternateCall(r) => self.alternate(by(&r.this_dn), &r.conn_id, &r.held_conn_id),
            Request::TReconnectCall(r) => self.reconnect(by(&r.this_dn), &r.conn_id, &r.held_conn_id),
            Request::TInitiateTransfer(r) => {
                self.consult(by(&r.this_dn), &r.conn_id, (&r.other_dn, r.user_data.as_ref()), Work::Consult)
            }
            Request::TInitiateConference(r) => {
                self.consult(by(&r.this_dn), &r.conn_id, (&r.other_dn, r.user_data.as_ref()), Work::Consult)
            }
            Request::TMuteTransfer(r) => {
                if self.party(by(&r.this_dn), &r.conn_id)?.call.conference {
                    return Err(Refusal::because(ErrorCode::UnsupOper, "a conference cannot be transferred"));
                }
                let mute = |consult| Work::Mute(Mute { consult, moved: None });
                self.consult(by(&r.this_dn), &r.conn_id, (&r.other_dn, r.user_data.as_ref()), mute)
            }
            Request::TSingleStepTransfer(r) => {
                self.single_step(desk, by(&r.this_dn), &r.conn_id, (&r.other_dn, r.user_data.as_ref()))
            }
            Request::TCompleteTransfer(r) => self.complete(by(&r.this_dn), &r.conn_id, &r.consult_conn_id),
            Request::TCompleteConference(r) => {
                self.confer(desk, by(&r.this_dn), &r.conn_id, &r.consult_conn_id)
            }
            Request::TDeleteFromConference(r) => self.delete(by(&r.this_dn), r),
            Request::TRedirectCall(r) => self.redirect(desk, by(&r.this_dn), &r.conn_id, &r.other_dn),
            Request::TClearCall(r) => self.clear_call(by(&r.this_dn), &r.conn_id),
            Request::TRouteCall(r) => self.route(desk, by(&r.this_dn), r),
            Request::TAttachUserData(r) => self.set_data(desk, by(&r.this_dn), &r.conn_id, |data| {
                data.extend(r.user_data.clone());
                Ok(())
            }),
            Request::TUpdateUserData(r) => self.set_data(desk, by(&r.this_dn), &r.conn_id, |data| {
                *data = r.user_data.clone();
                Ok(())
            }),
            Request::TDeleteUserData(r) => self.set_data(desk, by(&r.this_dn), &r.conn_id, |data| {
                data.clear();
                Ok(())
            }),
            Request::TDeletePair(r) => self.set_data(desk, by(&r.this_dn), &r.conn_id, |data| {
                data.remove(&r.key).map(|_| ()).ok_or_else(|| attribute("the call has no such key"))
            }),
            Request::TSendDTMF(r) => self.dtmf(by(&r.this_dn), r),
            Request::TApplyTreatment(r) => self.treat(by(&r.this_dn), r),
            Request::TQueryCall(r) => {
                self.query_call(session, r.reference_id, &r.conn_id, r.this_dn.as_deref())
            }
            Request::TOpenServer(_)
            | Request::TQueryServer(_)
            | Request::TQueryAddress(_)
            | Request::TRegisterAddress(_)
            | Request::TUnregisterAddress(_)
            | Request::TAgentLogin(_)
            | Request::TAgentLogout(_)
            | Request::TAgentSetReady(_)
            | Request::TAgentSetNotReady(_)
            | Request::TPrivateRequest(_) => Err(ErrorCode::UnsupOper.into()),
        }
    }

    fn party(&self, by: Asking<'_>, conn: &str) -> Result<At<'_>, Refusal> {
        let unknown = || Refusal::because(ErrorCode::InvConnid, "no call with this ConnID is at this DN");
        let call = parse_conn_id(conn).and_then(|conn| self.call(conn)).ok_or_else(unknown)?;
        let place = call.named(by.dn).ok_or_else(unknown)?;
        let party = call.parties.get(place).filter(|party| party.inside).ok_or_else(unknown)?;
        let (key, leg) = party.reached().ok_or_else(unknown)?;
        Ok(At { call, place, party, key, leg })
    }

    /// The call that waits at a queue or routing point.
    fn waiting(&self, by: Asking<'_>, conn: &str) -> Result<(u64, Key, Arc<str>), Refusal> {
        let call = parse_conn_id(conn).and_then(|conn| self.call(conn)).ok_or(ErrorCode::InvConnid)?;
        let at = call.waits.clone().filter(|at| **at == *by.dn);
        let at = at.ok_or_else(|| state("the call does not wait at this DN"))?;
        let (key, _) = call.keys.first().ok_or(ErrorCode::InvConnid)?;
        Ok((call.conn, *key, at))
    }

    fn keep(&mut self, by: Asking<'_>, conns: &[u64], answer: EventName, work: Work) -> Ticket {
        self.out.keep(Pending {
            session: by.session,
            reference_id: by.reference_id,
            dn: by.dn.into(),
            conn: conns.first().copied().unwrap_or_default(),
            answer,
            answered: false,
            calls: SmallVec::from_slice(conns),
            work,
        })
    }

    fn make_call(&mut self, desk: &Desk<'_>, by: Asking<'_>, r: &TMakeCall) -> Answer {
        let from = desk.directory.find(by.dn.as_bytes()).and_then(|id| desk.directory.extension(id));
        let from = Arc::clone(&from.ok_or(ErrorCode::NotConfigured)?.number);
        let to = destination(&r.other_dn, ErrorCode::InvCaldDn)?;
        let user_data = r.user_data.clone().unwrap_or_default();
        data::check(&user_data)?;
        if self.calls.len() >= MAX_CALLS {
            return Err(ErrorCode::ResUnavail.into());
        }
        let carried = self.carried(user_data);
        let ticket = self.keep(by, &[], EventName::Dialing, Work::Make(carried));
        Ok(Some(Order::Make { ticket, from, to, consult: false }))
    }

    fn carried(&mut self, user_data: KvList) -> Carried {
        Carried { user_data, conn_id: Some(self.new_conn()) }
    }

    fn answer_call(&mut self, by: Asking<'_>, conn: &str) -> Answer {
        let at = self.party(by, conn)?;
        at.must_be(PartyState::Alerting, "the call does not ring at this DN")?;
        if !at.party.told {
            return Err(state("the call does not ring at this DN yet"));
        }
        let (key, leg, conn) = (at.key, at.leg, at.call.conn);
        let ticket = self.keep(by, &[conn], EventName::Established, Work::Plain);
        Ok(Some(Order::Answer { ticket, key, leg }))
    }

    fn release_call(&mut self, by: Asking<'_>, conn: &str) -> Answer {
        let at = self.party(by, conn)?;
        let (key, leg, conn) = (at.key, at.leg, at.call.conn);
        let rest = at.party.legs.iter().filter_map(|other| Some((other.at?, other.no)));
        let rest: SmallVec<[(Key, LegNo); 1]> = rest.filter(|other| *other != (key, leg)).collect();
        let ticket = self.keep(by, &[conn], EventName::Released, Work::Plain);
        for (key, leg) in rest {
            self.out.orders.push_back(Order::Release { ticket: NOBODY, key, leg });
        }
        Ok(Some(Order::Release { ticket, key, leg }))
    }

    fn hold_call(&mut self, by: Asking<'_>, conn: &str) -> Answer {
        let at = self.party(by, conn)?;
        if at.party.state == PartyState::Held {
            return Err(ErrorCode::InSameState.into());
        }
        at.must_be(PartyState::Connected, "only an answered call can be held")?;
        let (key, leg, conn) = (at.key, at.leg, at.call.conn);
        let ticket = self.keep(by, &[conn], EventName::Held, Work::Plain);
        Ok(Some(Order::Hold { ticket, key, leg }))
    }

    fn retrieve_call(&mut self, by: Asking<'_>, conn: &str) -> Answer {
        let at = self.party(by, conn)?;
        if at.party.state == PartyState::Connected {
            return Err(ErrorCode::InSameState.into());
        }
        at.must_be(PartyState::Held, "the call is not held")?;
        let (key, leg, conn) = (at.key, at.leg, at.call.conn);
        let ticket = self.keep(by, &[conn], EventName::Retrieved, Work::Plain);
        Ok(Some(Order::Retrieve { ticket, key, leg }))
    }

    /// The active and the held call of a DN.
    fn two(&self, by: Asking<'_>, active: &str, held: &str) -> Result<(At<'_>, At<'_>), Refusal> {
        let (active, held) = (self.party(by, active)?, self.party(by, held)?);
        if active.call.conn == held.call.conn {
            return Err(state("both ConnIDs name one call"));
        }
        held.must_be(PartyState::Held, "the call named as held is not")?;
        Ok((active, held))
    }

    fn alternate(&mut self, by: Asking<'_>, active: &str, held: &str) -> Answer {
        let (at, held) = self.two(by, active, held)?;
        at.must_be(PartyState::Connected, "the active call is not answered")?;
        let (key, leg, conn, held_conn) = (at.key, at.leg, at.call.conn, held.call.conn);
        let work = Work::Alternate(Alternate { held_conn, holding: true });
        let ticket = self.keep(by, &[conn, held_conn], EventName::Retrieved, work);
        Ok(Some(Order::Hold { ticket, key, leg }))
    }

    fn reconnect(&mut self, by: Asking<'_>, active: &str, held: &str) -> Answer {
        let (at, held) = self.two(by, active, held)?;
        let (key, leg, conn, held_conn) = (at.key, at.leg, at.call.conn, held.call.conn);
        let work = Work::Reconnect(Reconnect { held_conn, releasing: true });
        let ticket = self.keep(by, &[conn, held_conn], EventName::Retrieved, work);
        Ok(Some(Order::Release { ticket, key, leg }))
    }

    fn consult(
        &mut self,
        by: Asking<'_>,
        conn: &str,
        (to, user_data): (&str, Option<&KvList>),
        work: impl FnOnce(Consult) -> Work,
    ) -> Answer {
        let at = self.party(by, conn)?;
        if !at.party.talks() {
            return Err(state("the call is not answered"));
        }
        let (key, leg, conn) = (at.key, at.leg, at.call.conn);
        let holding = at.party.state == PartyState::Connected;
        let from = Arc::clone(&at.party.name);
        let to = at.third(to)?;
        let user_data = user_data.cloned().unwrap_or_default();
        data::check(&user_data)?;
        if self.calls.len() >= MAX_CALLS {
            return Err(ErrorCode::ResUnavail.into());
        }
        let carried = self.carried(user_data);
        let consult = Consult { to: to.clone(), carried, holding, held: holding };
        let ticket = self.keep(by, &[conn], EventName::Dialing, work(consult));
        Ok(Some(if holding {
            Order::Hold { ticket, key, leg }
        } else {
            Order::Make { ticket, from, to, consult: true }
        }))
    }

    fn single_step(
        &mut self,
        desk: &mut Desk<'_>,
        by: Asking<'_>,
        conn: &str,
        (to, user_data): (&str, Option<&KvList>),
    ) -> Answer {
        let at = self.party(by, conn)?;
        if !at.party.talks() || at.call.conference {
            return Err(state("only an answered call of two can be transferred"));
        }
        at.other()?;
        let (key, leg, conn) = (at.key, at.leg, at.call.conn);
        let to = at.third(to)?;
        self.attach_and_dial(desk, conn, user_data, &to)?;
        let ticket = self.keep(by, &[conn], EventName::Released, Work::SingleStep);
        Ok(Some(Order::Replace { ticket, key, leg, to }))
    }

    /// The held call and the consultation of a DN that are to be joined: the leg that stays, and the one that moves.
    fn joined(&self, by: Asking<'_>, conn: &str, consult: &str) -> Result<(At<'_>, At<'_>), Refusal> {
        let (consult, at) = self.two(by, consult, conn)?;
        let other = consult.other()?;
        if consult.call.waits.is_some() {
            return Err(state("the consulted queue has not found an agent yet"));
        }
        if !other.told && other.inside {
            return Err(state("the consulted party does not ring yet"));
        }
        if at.call.parties.iter().any(|party| party.name == other.name && other.inside) {
            return Err(state("the consulted party is in the held call, too"));
        }
        Ok((at, consult))
    }

    fn complete(&mut self, by: Asking<'_>, conn: &str, consult: &str) -> Answer {
        let (at, consult) = self.joined(by, conn, consult)?;
        if at.call.conference || consult.call.conference {
            return Err(Refusal::because(ErrorCode::UnsupOper, "a conference cannot be transferred"));
        }
        let gone = || state("a party of the calls is gone");
        let (key, kept) = at.other()?.reached().ok_or_else(gone)?;
        let (consult_key, moved) = consult.other()?.reached().ok_or_else(gone)?;
        let (conn, consult_conn) = (at.call.conn, consult.call.conn);
        let work = Work::Transfer(Transfer { consult_conn, moved: (consult_key, moved), joins: false });
        let ticket = self.keep(by, &[conn, consult_conn], EventName::Released, work);
        Ok(Some(Order::Transfer { ticket, key, kept, consult: consult_key, moved }))
    }

    fn confer(&mut self, desk: &Desk<'_>, by: Asking<'_>, conn: &str, consult: &str) -> Answer {
        let (at, consult) = self.joined(by, conn, consult)?;
        let other = consult.other()?;
        if !other.talks() || consult.call.conference {
            return Err(state("the consulted party has not answered"));
        }
        if desk.directory.floor().mixer.is_none() {
            return Err(Refusal::because(ErrorCode::ResUnavail, "no conference mixer is configured"));
        }
        if at.call.parties.len() >= MAX_PARTIES {
            return Err(Refusal::because(ErrorCode::ResUnavail, "the conference is full"));
        }
        let (consult_key, moved) = other.reached().ok_or(ErrorCode::InvCallState)?;
        let (key, conn, consult_conn) = (at.key, at.call.conn, consult.call.conn);
        let work = Work::Conference(Transfer { consult_conn, moved: (consult_key, moved), joins: false });
        let ticket = self.keep(by, &[conn, consult_conn], EventName::Released, work);
        Ok(Some(Order::Conference { ticket, key, consult: consult_key, moved }))
    }

    fn delete(&mut self, by: Asking<'_>, r: &TDeleteFromConference) -> Answer {
        let at = self.party(by, &r.conn_id)?;
        if !at.call.conference {
            return Err(state("the call is no conference"));
        }
        if r.other_dn == by.dn {
            return Err(attribute("TReleaseCall leaves a conference"));
        }
        let other = at.call.named(&r.other_dn).and_then(|place| at.call.parties.get(place)?.reached());
        let (key, leg) = other.ok_or_else(|| attribute("OtherDN is no party of the conference"))?;
        let conn = at.call.conn;
        let ticket = self.keep(by, &[conn], EventName::PartyDeleted, Work::Plain);
        Ok(Some(Order::Release { ticket, key, leg }))
    }

    fn redirect(&mut self, desk: &mut Desk<'_>, by: Asking<'_>, conn: &str, to: &str) -> Answer {
        let at = self.party(by, conn)?;
        at.must_be(PartyState::Alerting, "the call does not ring at this DN")?;
        let (key, conn) = (at.key, at.call.conn);
        let to = destination(to, ErrorCode::InvCaldDn)?;
        self.attach_and_dial(desk, conn, None, &to)?;
        let ticket = self.keep(by, &[conn], EventName::Released, Work::Redirect);
        Ok(Some(Order::Redirect { ticket, key, to }))
    }

    fn clear_call(&mut self, by: Asking<'_>, conn: &str) -> Answer {
        let at = self.party(by, conn)?;
        let (key, conn, keys) = (at.key, at.call.conn, at.call.keys.clone());
        let ticket = self.keep(by, &[conn], EventName::Released, Work::Plain);
        for (key, _) in keys.into_iter().filter(|(other, _)| *other != key) {
            self.out.orders.push_back(Order::Clear { ticket: NOBODY, key });
        }
        Ok(Some(Order::Clear { ticket, key }))
    }

    fn route(&mut self, desk: &mut Desk<'_>, by: Asking<'_>, r: &TRouteCall) -> Answer {
        let (conn, key, _) = self.waiting(by, &r.conn_id)?;
        let routed = |work: &Work| matches!(work, Work::Route(_));
        if self.out.asked_of(conn).iter().any(|t| self.out.pending.get(t).is_some_and(|p| routed(&p.work))) {
            return Err(state("the call is being routed already"));
        }
        let to = match (r.route_type.unwrap_or_default(), &r.other_dn) {
            (RouteType::Reject, _) => None,
            (RouteType::Default, Some(to)) => Some(destination(to, ErrorCode::InvCaldDn)?),
            (RouteType::Default, None) => return Err(attribute("OtherDN is missing")),
        };
        if let Some(data) = &r.user_data {
            self.attach(desk, conn, data)?;
        }
        let ticket = self.keep(by, &[conn], EventName::RouteUsed, Work::Route(to.clone()));
        Ok(Some(Order::Route { ticket, key, to }))
    }

    fn dtmf(&mut self, by: Asking<'_>, r: &TSendDTMF) -> Answer {
        let at = self.party(by, &r.conn_id)?;
        let digits = |c: char| c.is_ascii_digit() || matches!(c, '*' | '#' | 'A'..='D');
        let fits = (1..=MAX_DESTINATION).contains(&r.digits.len()) && r.digits.chars().all(digits);
        if !fits {
            return Err(attribute("DTMFDigits may be 1 to 64 of 0-9, *, #, A-D"));
        }
        at.must_be(PartyState::Connected, "the call is not answered, or held")?;
        let other = at.other()?;
        if at.call.conference {
            return Err(state("DTMF goes to one other party, not to a conference"));
        }
        let (key, leg) = other.reached().ok_or(ErrorCode::InvCallState)?;
        let conn = at.call.conn;
        let ticket = self.keep(by, &[conn], EventName::Ack, Work::Plain);
        Ok(Some(Order::Dtmf { ticket, key, leg, digits: r.digits.as_str().into() }))
    }

    fn treat(&mut self, by: Asking<'_>, r: &TApplyTreatment) -> Answer {
        let file = |name: &str, missing| {
            let parameter = r.parameters.as_ref().and_then(|list| list.get(name)?.as_text());
            let file = parameter.ok_or_else(|| attribute(missing))?;
            if !is_file_name(file) {
                return Err(attribute("TreatmentParms names no file of the media directory"));
            }
            Ok(Arc::<str>::from(file))
        };
        let treatment = match r.treatment_type {
            TreatmentType::Music => Treatment::Music(file("MUSIC_DN", "TreatmentParms has no MUSIC_DN")?),
            TreatmentType::PlayAnnouncement => {
                Treatment::Announcement(file("PROMPT", "TreatmentParms has no PROMPT")?)
            }
            TreatmentType::RingBack => Treatment::Ringback,
            TreatmentType::Silence => Treatment::Queued,
        };
        let (conn, key, _) = self.waiting(by, &r.conn_id)?;
        let ticket = self.keep(by, &[conn], EventName::TreatmentApplied, Work::Treat);
        Ok(Some(Order::Treat { ticket, key, treatment }))
    }

    /// Attaches what a request brings, and takes the new number as dialled.
    fn attach_and_dial(
        &mut self,
        desk: &mut Desk<'_>,
        conn: u64,
        data: Option<&KvList>,
        to: &str,
    ) -> Result<(), Refusal> {
        if let Some(data) = data {
            self.attach(desk, conn, data)?;
        }
        self.change(desk, conn, |call, _, _| call.dialled = to.into());
        Ok(())
    }

    fn attach(&mut self, desk: &mut Desk<'_>, conn: u64, more: &KvList) -> Result<(), Refusal> {
        if more.is_empty() {
            return Ok(());
        }
        let mut all = self.user_data(conn);
        all.extend(more.clone());
        data::check(&all)?;
        self.change(desk, conn, |call, out, _| {
            let before = data::wrap_up(&call.user_data);
            call.user_data = all;
            out.data_changed(call, before);
        });
        Ok(())
    }

    /// Changes user data; every party and the queue where the call waits hear of it.
    fn set_data(
        &mut self,
        desk: &mut Desk<'_>,
        by: Asking<'_>,
        conn: &str,
        set: impl FnOnce(&mut KvList) -> Result<(), Refusal>,
    ) -> Answer {
        let (conn, key) = match self.waiting(by, conn) {
            Ok((conn, key, _)) => (conn, key),
            Err(_) => self.party(by, conn).map(|at| (at.call.conn, at.key))?,
        };
        let mut all = self.user_data(conn);
        set(&mut all)?;
        data::check(&all)?;
        let ticket = self.keep(by, &[conn], EventName::AttachedDataChanged, Work::Plain);
        let by = |event: &mut Event| event.third_party_dn = Some(by.dn.to_owned());
        let user_data = all.clone();
        self.change(desk, conn, |call, out, sight| {
            let before = data::wrap_up(&call.user_data);
            call.user_data = all;
            out.data_changed(call, before);
            for place in 0..call.parties.len() {
                if call.parties.get(place).is_some_and(|party| party.told) {
                    out.tell(sight, call, place, EventName::AttachedDataChanged, by);
                }
            }
            // A call that is offered has left the queue, as far as the queue's clients were told.
            if let Some(at) = call.waits.clone().filter(|_| call.offered.is_none()) {
                out.tell_at(sight, call, &at, EventName::AttachedDataChanged, by);
            }
        });
        self.acknowledge(ticket);
        Ok(Some(Order::Attach { key, user_data }))
    }

    /// A request is carried out: whoever has heard no event of it is told so.
    pub(super) fn acknowledge(&mut self, ticket: Ticket) {
        let Some(pending) = self.out.take(ticket) else { return };
        if pending.answered {
            return;
        }
        let mut event = Event::new(EventName::Ack);
        event.this_dn = Some(pending.dn.as_ref().to_owned());
        event.conn_id = Some(super::conn_id(pending.conn));
        self.out.happenings.push_back(super::Happening::Answer {
            to: pending.session,
            reference_id: pending.reference_id,
            event: Box::new(event),
        });
    }

    fn query_call(
        &mut self,
        session: SessionId,
        reference_id: Option<u32>,
        conn: &str,
        dn: Option<&str>,
    ) -> Answer {
        let mut event = self.call_info(conn, None)?;
        event.this_dn = dn.map(str::to_owned);
        self.out.happenings.push_back(super::Happening::Answer {
            to: session,
            reference_id,
            event: Box::new(event),
        });
        Ok(None)
    }
}

/// A destination that can be dialled.
fn destination(text: &str, code: ErrorCode) -> Result<Dialled, Refusal> {
    if text.is_empty() {
        return Err(attribute("OtherDN is empty"));
    }
    let dialable =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '*' | '#' | '-' | '_' | '.' | '!' | '~');
    if text.len() > MAX_DESTINATION || !text.chars().all(dialable) {
        return Err(Refusal::because(code, "OtherDN is no number that can be dialled"));
    }
    Ok(text.into())
}
