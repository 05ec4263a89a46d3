//! What a party on the line hears while it waits for somebody else: ringback, or the treatment of the queue where it
//! waits. It has no INVITE that a media server could answer, so it is asked for an offer by an INVITE in its dialog; the
//! server's answer goes into the ACK (RFC 3725 flow I). Whoever answers it meanwhile waits until that is done: one INVITE at
//! a time (RFC 3261 14.1).

use std::time::Instant;

use bytes::Bytes;
use tandem_peer::trunk::CallFailure;
use tandem_sip::{Message, Method, TxnId};

use super::leg::{Ask, Leg};
use super::record::EndReason;
use super::session::description;
use super::setup::{Caller, Setup};
use super::talk::ends_dialog;
use super::{Call, Phase};
use crate::directory::floor::Treatment;
use crate::explain::What;
use crate::limits::MEDIA_PATIENCE;
use crate::rooms::{Rooms, Use};

/// The session of a party on the line with a media server.
#[derive(Debug, Default)]
pub(super) struct Tone {
    /// Our INVITE that has no final response.
    asked: Option<(TxnId, u32)>,
    /// The 2xx that has no ACK yet, and until when the server's answer is waited for.
    answered: Option<Answered>,
    /// What the party offered.
    offer: Option<Bytes>,
}

#[derive(Debug)]
struct Answered {
    txn: TxnId,
    cseq: u32,
    ok: Message,
    until: Instant,
}

impl Setup {
    /// Whether an INVITE is under way with the party on the line, so that none other may be.
    pub(super) fn tone_is_busy(&self) -> bool {
        self.tone.as_ref().is_some_and(|tone| tone.asked.is_some() || tone.answered.is_some())
    }

    /// When the media server has been waited for long enough.
    pub(super) fn tone_due(&self) -> Option<Instant> {
        self.tone.as_ref()?.answered.as_ref().map(|answered| answered.until)
    }

    /// What who waits has offered; `None`: he is to be asked.
    pub(super) fn offered_to_player(&self) -> Option<Bytes> {
        match &self.caller {
            Caller::Invite(..) => Some(Bytes::copy_from_slice(self.request.body())),
            Caller::Leg(..) => self.tone.as_ref()?.offer.clone(),
            Caller::Nobody(_) | Caller::Aside(_) => None,
        }
    }

    /// Asks the party on the line for an offer. False: it cannot be asked now.
    pub(super) fn ask_listener(&mut self, rooms: &mut Rooms, key: crate::arena::Key) -> bool {
        let Caller::Leg(_, leg) = &mut self.caller else { return false };
        if self.tone.as_ref().is_some_and(|tone| tone.asked.is_some() || tone.answered.is_some()) {
            return true;
        }
        if self.accepted.is_some() {
            return false;
        }
        let cseq = leg.dialog.next_cseq();
        let Some(sent) = leg.ask(rooms, &Ask::own(b"INVITE", cseq), Use::ReinviteTo(key)) else {
            rooms.counters.refused_full += 1;
            return false;
        };
        let asked = Some((sent.txn, cseq));
        self.tone = Some(Box::new(Tone { asked, ..Tone::default() }));
        true
    }

    /// The party on the line goes elsewhere: what it offered is acknowledged, and no media flow.
    pub(super) fn end_tone(&mut self, rooms: &mut Rooms) {
        let Some(tone) = self.tone.take() else { return };
        let Caller::Leg(_, leg) = &mut self.caller else { return };
        if let Some(answered) = tone.answered {
            acknowledge(rooms, leg, &answered, None);
        } else if let Some((txn, cseq)) = tone.asked {
            leg.cancel(rooms, txn, cseq);
        }
    }

    fn listener(&mut self) -> Option<(&mut Leg, &mut Tone)> {
        match (&mut self.caller, &mut self.tone) {
            (Caller::Leg(_, leg), Some(tone)) => Some((leg, tone)),
            (Caller::Leg(..) | Caller::Invite(..) | Caller::Nobody(_) | Caller::Aside(_), _) => None,
        }
    }
}

/// The ACK of the party's 2xx, with the media server's answer or one that lets no media flow.
fn acknowledge(rooms: &mut Rooms, leg: &mut Leg, answered: &Answered, played: Option<&[u8]>) {
    let told = played.and_then(|sdp| leg.describe_raw(rooms, sdp));
    let told = told.or_else(|| leg.inactive_answer(rooms, &answered.ok));
    leg.acknowledge_with(rooms, answered.txn, answered.cseq, None, told.as_deref());
}

impl Call {
    /// It rings for a party on the line: that hears so, if `ring-tone` names a file, and a media server plays it.
    pub(super) fn ring_tone(&mut self, rooms: &mut Rooms, setup: &mut Setup) {
        if setup.waiting.is_some() || self.player.is_some() || !matches!(setup.caller, Caller::Leg(..)) {
            return;
        }
        if let Some(file) = rooms.directory.options.ring_tone.clone() {
            // Why it plays nothing is noted.
            let _ = self.play(rooms, setup, &Treatment::Music(file), None);
        }
    }

    /// What a treatment is to who waits: a party on the line makes no ringback by itself.
    pub(super) fn treatment_for(&self, rooms: &Rooms, setup: &Setup, treatment: Treatment) -> Treatment {
        let on_line = matches!(setup.caller, Caller::Leg(..)) && self.nail.is_none();
        match (&treatment, &rooms.directory.options.ring_tone) {
            (Treatment::Ringback, Some(file)) if on_line => Treatment::Music(file.clone()),
            _ => treatment,
        }
    }

    /// A response of the party on the line; false for one that nobody waits for.
    pub(super) fn tone_response(&mut self, rooms: &mut Rooms, txn: TxnId, response: &Message) -> bool {
        let code = response.code().unwrap_or_default();
        let until = rooms.now.mono + MEDIA_PATIENCE;
        let Phase::Setup(setup) = &mut self.phase else { return false };
        let Some((leg, tone)) = setup.listener() else { return false };
        let Some((_, cseq)) = tone.asked.filter(|(own, _)| *own == txn) else { return false };
        if code < 200 {
            return true;
        }
        tone.asked = None;
        if code < 300 {
            leg.confirmed(response, rooms.now);
            let answered = Answered { txn, cseq, ok: response.detach(), until };
            if description(response).is_some() {
                (tone.offer, tone.answered) = (Some(Bytes::copy_from_slice(response.body())), Some(answered));
                self.order_player(rooms);
                return true;
            }
            leg.acknowledge(rooms, txn, cseq, None);
        }
        self.not_heard(rooms, format!("the phone on the line does not listen ({code})"));
        if ends_dialog(Method::Invite, code) {
            self.left_by_waiting(rooms, crate::cdr::EndedBy::Network, EndReason::Status(code), true);
        } else {
            self.tone_rests(rooms);
        }
        true
    }

    /// The INVITE to the party on the line got no response; false if that was not what it was for.
    pub(super) fn tone_unanswered(&mut self, rooms: &mut Rooms, txn: TxnId, how: CallFailure) -> bool {
        let Phase::Setup(setup) = &mut self.phase else { return false };
        let Some((_, tone)) = setup.listener() else { return false };
        if tone.asked.take_if(|(own, _)| *own == txn).is_none() {
            return false;
        }
        self.not_heard(rooms, "the phone on the line does not answer".to_owned());
        match how {
            CallFailure::Timeout => {
                self.left_by_waiting(rooms, crate::cdr::EndedBy::Network, EndReason::NoResponse, true);
            }
            CallFailure::Transport => self.tone_rests(rooms),
        }
        true
    }

    fn not_heard(&mut self, rooms: &mut Rooms, why: String) {
        if let Phase::Setup(setup) = &mut self.phase {
            setup.tone = None;
        }
        self.note(rooms, What::NotPlayed(why.into()));
        self.player_failed(rooms);
    }

    /// The media server answers the party on the line, or does not.
    pub(super) fn answer_listener(&mut self, rooms: &mut Rooms, played: Option<&[u8]>) {
        let Phase::Setup(setup) = &mut self.phase else { return };
        let Some((leg, tone)) = setup.listener() else { return };
        if let Some(answered) = tone.answered.take() {
            acknowledge(rooms, leg, &answered, played);
        }
        if played.is_none() {
            setup.tone = None;
        }
        self.tone_rests(rooms);
    }

    pub(super) fn tone_timeout(&mut self, rooms: &mut Rooms) {
        let Phase::Setup(setup) = &self.phase else { return };
        if setup.tone_due().is_some_and(|at| at <= rooms.now.mono) {
            self.note(rooms, What::NotPlayed("the media server is too slow".into()));
            self.player_failed(rooms);
            self.answer_listener(rooms, None);
        }
    }

    /// No INVITE is under way with the party on the line: whoever waits to be connected with it is.
    fn tone_rests(&mut self, rooms: &mut Rooms) {
        self.release_answer(rooms);
        self.connect_waiting_line(rooms);
    }
}
