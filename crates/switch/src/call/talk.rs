//! The answered call: two dialogs, and the exchange of INVITEs within them. At most one INVITE is under way at a time
//! (RFC 3261 14.2); its 2xx is repeated until the ACK comes (13.3.1.4), and the ACK is passed to the other side.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tandem_peer::Replicated;
use tandem_peer::replica::{Reader, Record, Writer};
use tandem_sip::{Flow, HeaderName, Message, Method, TxnId, response_to};

use super::leg::{Ask, Leg, Side};
use super::record::EndReason;
use super::{Audit, Call, CallTimer, Phase, Talking, headers};
use crate::cdr::EndedBy;
use crate::reject::Reject;
use crate::rooms::{Rooms, Use, own_headers};

/// What must survive of an answered call.
#[derive(Debug)]
pub struct Talk {
    /// `CallUUID`.
    pub uuid: u128,
    /// The caller's user.
    pub from: Box<[u8]>,
    /// The dialled user.
    pub to: Box<[u8]>,
    /// When the INVITE arrived, ms since the Unix epoch.
    pub started_unix_ms: u64,
    /// When it was answered, ms since the Unix epoch.
    pub answered_unix_ms: u64,
    /// The caller's leg and the callee's.
    pub legs: [Leg; 2],
}

impl Talk {
    /// The leg at one end.
    #[must_use]
    pub fn leg(&self, side: Side) -> &Leg {
        let [caller, callee] = &self.legs;
        match side {
            Side::Caller => caller,
            Side::Callee => callee,
        }
    }

    /// The leg at one end.
    pub fn leg_mut(&mut self, side: Side) -> &mut Leg {
        let [caller, callee] = &mut self.legs;
        match side {
            Side::Caller => caller,
            Side::Callee => callee,
        }
    }
}

impl Record for Talk {
    const KIND: u8 = 2;

    fn encode(&self, out: &mut Writer<'_>) {
        out.bytes(&self.uuid.to_be_bytes());
        out.bytes(&self.from);
        out.bytes(&self.to);
        out.u64(self.started_unix_ms);
        out.u64(self.answered_unix_ms);
        for leg in &self.legs {
            leg.encode(out);
        }
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Reader::new(bytes);
        let talk = Self {
            uuid: u128::from_be_bytes(fields.bytes()?.try_into().ok()?),
            from: fields.bytes()?.into(),
            to: fields.bytes()?.into(),
            started_unix_ms: fields.u64()?,
            answered_unix_ms: fields.u64()?,
            legs: [Leg::decode(&mut fields)?, Leg::decode(&mut fields)?],
        };
        fields.end()?;
        Some(talk)
    }
}

/// The INVITE that is under way, if one is.
#[derive(Debug)]
pub enum Exchange {
    /// None.
    Idle,
    /// A re-INVITE was passed on and has no final response.
    Relayed {
        /// Side that sent it.
        from: Side,
        /// Its transaction.
        server: TxnId,
        /// Where it came from.
        flow: Flow,
        /// It.
        request: Box<Message>,
        /// Transaction of the passed-on INVITE.
        client: TxnId,
        /// CSeq of the passed-on INVITE.
        client_cseq: u32,
    },
    /// A 2xx was passed back and waits for its ACK.
    Answered {
        /// Side that owes the ACK.
        from: Side,
        /// Transaction of its INVITE.
        server: TxnId,
        /// CSeq of its INVITE.
        server_cseq: u32,
        /// Transaction of the other side's INVITE, to be acknowledged in turn.
        client: TxnId,
        /// Its CSeq.
        client_cseq: u32,
        /// Status of the 2xx.
        code: u16,
        /// The 2xx.
        ok: Bytes,
        /// When it is sent again.
        again_at: Instant,
        /// Interval of the repetitions.
        interval: Duration,
        /// When the ACK is given up.
        give_up_at: Instant,
    },
}

impl Talking {
    pub(super) fn poll_timeout(&self) -> Option<(Instant, CallTimer)> {
        let exchange = match &self.exchange {
            Exchange::Idle | Exchange::Relayed { .. } => None,
            Exchange::Answered { again_at, give_up_at, .. } => {
                Some(((*again_at).min(*give_up_at), CallTimer::Answer))
            }
        };
        let audit = self.audit.iter().flatten().map(Audit::due).min().map(|at| (at, CallTimer::Audit));
        [exchange, audit].into_iter().flatten().min_by_key(|(at, _)| *at)
    }
}

impl Call {
    /// The call is answered: stores it, then passes the 2xx to the caller.
    #[expect(clippy::too_many_arguments, reason = "one call site; each value is a fact of the answer")]
    pub(super) fn begin_talk(
        &mut self,
        rooms: &mut Rooms,
        legs: [Leg; 2],
        client: TxnId,
        server: TxnId,
        code: u16,
        ok: Bytes,
        server_cseq: u32,
    ) {
        let talk = Talk {
            uuid: self.uuid,
            from: self.from.clone(),
            to: self.to.clone(),
            started_unix_ms: self.started.unix_ms,
            answered_unix_ms: rooms.now.unix_ms,
            legs,
        };
        let id = rooms.record_id();
        let talk = Replicated::create(id, talk, &mut rooms.log);
        rooms.endpoint.respond(server, code, ok.clone(), rooms.now.mono);
        let exchange = answered(rooms, Side::Caller, server, server_cseq, client, 1, code, ok);
        self.phase = Phase::Talk(Box::new(Talking { talk, exchange, audit: [None, None] }));
    }

    /// A re-INVITE from one side (RFC 3261 14.2).
    pub(super) fn reinvite(
        &mut self,
        rooms: &mut Rooms,
        side: Side,
        txn: TxnId,
        flow: Flow,
        request: &Message,
    ) {
        let Phase::Talk(talking) = &mut self.phase else { return };
        let refusal = match &talking.exchange {
            Exchange::Idle => None,
            Exchange::Relayed { from, .. } if *from == side => {
                Some(Reject::new(500).with(HeaderName::RetryAfter, rooms.ids.below(11).to_string()))
            }
            Exchange::Relayed { .. } | Exchange::Answered { .. } => Some(Reject::new(491)),
        };
        if let Some(refusal) = refusal {
            return rooms.respond(txn, flow, request, &refusal);
        }
        let cseq = talking.talk.update(&mut rooms.log, |talk| {
            let leg = talk.leg_mut(side);
            leg.dialog.refresh_target(request);
            leg.aim();
            talk.leg_mut(side.other()).dialog.next_cseq()
        });
        let hops = request.envelope().ok().and_then(|env| env.max_forwards).unwrap_or(70).saturating_sub(1);
        let ask = Ask { like: Some(request), max_forwards: hops, ..Ask::own(b"INVITE", cseq) };
        let Some(client) = talking.talk.leg(side.other()).ask(rooms, &ask, Use::ReinviteTo(self.key)) else {
            rooms.counters.refused_full += 1;
            return rooms.respond(txn, flow, request, &Reject::full());
        };
        rooms.endpoint.attach(txn, Use::ReinviteFrom(self.key));
        rooms.respond(txn, flow, request, &Reject::new(100));
        let request = Box::new(request.detach());
        talking.exchange =
            Exchange::Relayed { from: side, server: txn, flow, request, client, client_cseq: cseq };
    }

    /// A response to a passed-on re-INVITE; whether one was expected.
    pub fn reinvite_response(&mut self, rooms: &mut Rooms, txn: TxnId, response: &Message) -> bool {
        let Some(code) = response.code() else { return true };
        let Phase::Talk(talking) = &mut self.phase else { return false };
        let (from, server, flow, client_cseq) = match &talking.exchange {
            Exchange::Relayed { from, server, flow, client, client_cseq, .. } if *client == txn => {
                (*from, *server, *flow, *client_cseq)
            }
            Exchange::Answered { client, .. } if *client == txn => return true,
            Exchange::Idle | Exchange::Answered { .. } | Exchange::Relayed { .. } => return false,
        };
        let relayed = std::mem::replace(&mut talking.exchange, Exchange::Idle);
        let Exchange::Relayed { request, .. } = relayed else {
            return false;
        };
        let Some(payload) = pass_back(rooms, &request, flow, code, response) else { return true };
        rooms.endpoint.respond(server, code, payload.clone(), rooms.now.mono);
        let server_cseq = request.envelope().map(|env| env.cseq.number).unwrap_or(0);
        if code < 200 {
            talking.exchange = Exchange::Relayed { from, server, flow, request, client: txn, client_cseq };
        } else if code < 300 {
            talking.talk.update(&mut rooms.log, |talk| {
                let leg = talk.leg_mut(from.other());
                leg.dialog.refresh_target(response);
                leg.aim();
            });
            talking.exchange = answered(rooms, from, server, server_cseq, txn, client_cseq, code, payload);
        } else if matches!(code, 408 | 481) {
            self.dialog_gone(rooms, from.other(), EndReason::Status(code));
        }
        true
    }

    /// The passed-on re-INVITE got no response at all.
    pub fn reinvite_unanswered(&mut self, rooms: &mut Rooms, txn: TxnId) {
        let Phase::Talk(talking) = &mut self.phase else { return };
        let Exchange::Relayed { from, server, flow, request, client, .. } = &talking.exchange else { return };
        if *client != txn {
            return;
        }
        let far = from.other();
        rooms.respond(*server, *flow, request, &Reject::new(408));
        talking.exchange = Exchange::Idle;
        self.dialog_gone(rooms, far, EndReason::NoResponse);
    }

    /// A party cancels its re-INVITE: the passed-on one is cancelled, and its 487 is passed back.
    pub fn reinvite_cancelled(&mut self, rooms: &mut Rooms) {
        let Phase::Talk(talking) = &self.phase else { return };
        let Exchange::Relayed { from, client, client_cseq, .. } = &talking.exchange else { return };
        talking.talk.leg(from.other()).cancel(rooms, *client, *client_cseq);
    }

    /// An ACK for a 2xx, from whichever side owes it.
    pub fn acknowledged(&mut self, rooms: &mut Rooms, ack: &Message) {
        let (Phase::Talk(talking), Ok(env)) = (&mut self.phase, ack.envelope()) else { return };
        let sender = [Side::Caller, Side::Callee]
            .into_iter()
            .find(|side| talking.talk.leg(*side).dialog.matches(&env));
        let Some(side) = sender else { return };
        let Exchange::Answered { from, server_cseq, client, client_cseq, .. } = &talking.exchange else {
            return;
        };
        if *from != side || *server_cseq != env.cseq.number {
            return;
        }
        let (invite, cseq) = (*client, *client_cseq);
        talking.talk.leg(side.other()).acknowledge(rooms, invite, cseq, Some(ack));
        talking.exchange = Exchange::Idle;
    }

    /// Whether a 2xx is the winner's, repeated before the caller acknowledged it.
    pub(super) fn answered_again(&self, env: &tandem_sip::Envelope<'_>) -> bool {
        let Phase::Talk(talking) = &self.phase else { return false };
        talking.talk.leg(Side::Callee).owns(env)
    }

    pub(super) fn talk_timeout(&mut self, rooms: &mut Rooms) {
        let now = rooms.now.mono;
        let Phase::Talk(talking) = &mut self.phase else { return };
        match &mut talking.exchange {
            Exchange::Idle | Exchange::Relayed { .. } => {}
            Exchange::Answered { give_up_at, from, .. } if *give_up_at <= now => {
                let side = *from;
                return self.hang_up(rooms, side, EndedBy::Network, EndReason::NoAck, None);
            }
            Exchange::Answered { server, code, ok, again_at, interval, .. } => {
                if *again_at <= now {
                    rooms.endpoint.respond(*server, *code, ok.clone(), now);
                    *interval = (*interval * 2).min(rooms.directory.options.timers.t2);
                    *again_at = now + *interval;
                }
            }
        }
        self.audit_timeout(rooms);
    }
}

#[expect(clippy::too_many_arguments, reason = "builds one enum variant")]
fn answered(
    rooms: &Rooms,
    from: Side,
    server: TxnId,
    server_cseq: u32,
    client: TxnId,
    client_cseq: u32,
    code: u16,
    ok: Bytes,
) -> Exchange {
    let timers = rooms.directory.options.timers;
    let now = rooms.now.mono;
    let (again_at, give_up_at) = (now + timers.t1, now + timers.patience());
    Exchange::Answered {
        from,
        server,
        server_cseq,
        client,
        client_cseq,
        code,
        ok,
        again_at,
        interval: timers.t1,
        give_up_at,
    }
}

/// Prints a response to a relayed request of one side from the other side's response.
pub(super) fn pass_back(
    rooms: &mut Rooms,
    request: &Message,
    flow: Flow,
    code: u16,
    response: &Message,
) -> Option<Bytes> {
    let env = request.envelope().ok()?;
    let reason = response.reason().unwrap_or_else(|| crate::rooms::phrase(code).as_bytes());
    let lines = &rooms.lines;
    let mut builder = response_to(&mut rooms.scratch, request, &env, code, reason, None, Some(flow.remote));
    if code < 300 && matches!(env.cseq.method, Method::Invite | Method::Update) {
        own_headers(&mut builder, lines.contact(flow.transport));
    }
    headers::relay(&mut builder, response);
    Some(builder.finish(response.body()))
}
