//! Two parties who were called one after the other are connected.

use tandem_peer::Replicated;
use tandem_sip::{Message, TxnId};

use super::arrange::Offer;
use super::exchange::Exchange;
use super::leg::{Leg, Side};
use super::news::LegNo;
use super::record::EndReason;
use super::session_id;
use super::{Call, Phase, Talking};
use crate::cdr::EndedBy;
use crate::rooms::Rooms;

impl Call {
    /// Connects the party that waits with the one that has just answered an INVITE without an offer: `answer` is its 2xx
    /// to `invite`. Should the one that waits refuse, both are released.
    pub(super) fn begin_join(
        &mut self,
        rooms: &mut Rooms,
        waiting: (LegNo, Leg),
        answered: (LegNo, Leg),
        answer: &Message,
        invite: TxnId,
        cseq: u32,
    ) {
        // Whoever has the lower number stands at the caller's end.
        let side = if answered.0 < waiting.0 { Side::Caller } else { Side::Callee };
        let mut legs = [waiting, answered].map(|(no, mut leg)| {
            leg.number(no, &self.directory);
            leg
        });
        if side == Side::Caller {
            legs.reverse();
        }
        let [one, two] = &mut legs;
        session_id::introduce(self.uuid, [one, two]);
        self.session_ids = [one.session_ids.party, two.session_ids.party];
        let talk = self.talk_of(rooms, legs, &Exchange::Idle);
        let talk = Replicated::create(rooms.record_id(), talk, &mut rooms.log);
        let talking =
            Talking { talk, exchange: Exchange::Idle, audit: [None, None], alone: None, taken_up: false };
        self.phase = Phase::Talk(Box::new(talking));
        let offer = Offer { side, txn: invite, cseq, ok: answer.detach() };
        if !self.arrange_with(rooms, offer) {
            self.hang_up(rooms, Side::Caller, EndedBy::Server, EndReason::Status(503));
        }
    }
}
