//! The exchange of INVITEs within an answered call. At most one INVITE is under way at a time (RFC 3261 14.2); its 2xx
//! is repeated until the ACK comes (13.3.1.4), and the ACK is passed to the other side.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tandem_sip::{Envelope, Flow, Message, Method, TxnId};

use super::arrange::Arranging;
use super::leg::Side;
use super::{CallTimer, Talking};
use crate::rooms::Rooms;

/// The INVITE that is under way, if one is.
#[derive(Debug)]
pub enum Exchange {
    /// None.
    Idle,
    /// A re-INVITE was passed on and has no final response.
    Relayed(Box<Relayed>),
    /// A 2xx was passed back and waits for its ACK.
    Answered(Box<Answered>),
    /// This server brings something about by INVITEs of its own.
    Arranging(Box<Arranging>),
}

/// A re-INVITE that was passed on.
#[derive(Debug)]
pub struct Relayed {
    /// Side that sent it.
    pub(super) from: Side,
    /// Its transaction.
    pub(super) server: TxnId,
    /// Where it came from.
    pub(super) flow: Flow,
    /// It.
    pub(super) request: Message,
    /// Transaction of the passed-on INVITE.
    pub(super) client: TxnId,
    /// CSeq of the passed-on INVITE.
    pub(super) client_cseq: u32,
    /// It went by TCP for its size.
    pub(super) by_tcp_for_size: bool,
    /// It carries the answer to a challenge.
    pub(super) challenged: bool,
    /// When it is taken back, should the far end ring but never decide (RFC 3261 16.6, timer C).
    pub(super) until: Option<Instant>,
}

/// A 2xx that was passed back.
#[derive(Debug)]
pub struct Answered {
    /// Side that owes the ACK.
    pub(super) from: Side,
    /// Transaction of its INVITE.
    pub(super) server: TxnId,
    /// CSeq of its INVITE.
    pub(super) server_cseq: u32,
    /// Transaction of the other side's INVITE, to be acknowledged in turn.
    pub(super) client: TxnId,
    /// Its CSeq.
    pub(super) client_cseq: u32,
    /// Status of the 2xx.
    pub(super) code: u16,
    /// The 2xx.
    pub(super) ok: Bytes,
    /// When it is sent again.
    pub(super) again_at: Instant,
    /// Interval of the repetitions.
    pub(super) interval: Duration,
    /// When the ACK is given up.
    pub(super) give_up_at: Instant,
    /// The transaction was that of an earlier process: the response is repeated to here, and nothing ends for want of
    /// an ACK.
    pub(super) gone: Option<Flow>,
}

impl Exchange {
    /// Whether the INVITE that is out carries an offer.
    pub(super) fn has_offered(&self) -> bool {
        match self {
            Self::Relayed(relayed) => !relayed.request.body().is_empty(),
            Self::Arranging(arranging) => arranging.offer.is_some(),
            Self::Idle | Self::Answered(_) => false,
        }
    }
}

impl Relayed {
    /// Whether it is an UPDATE that went to a side which takes INVITE only.
    pub(super) fn is_update(&self) -> bool {
        self.request.method() == Some(Method::Update)
    }
}

impl Answered {
    /// Starts the repetitions of a 2xx that was just sent.
    pub(super) fn repeating(mut self, rooms: &Rooms) -> Box<Self> {
        let timers = rooms.directory.options.timers;
        self.interval = timers.t1;
        self.again_at = rooms.now.mono + timers.t1;
        self.give_up_at = rooms.now.mono + timers.patience();
        Box::new(self)
    }

    pub(super) fn due(&self) -> Instant {
        self.again_at.min(self.give_up_at)
    }

    /// Sends the 2xx again if it is time. False: it is given up.
    pub(super) fn repeat(&mut self, rooms: &mut Rooms) -> bool {
        let now = rooms.now.mono;
        if self.give_up_at <= now {
            return false;
        }
        if self.again_at <= now {
            match self.gone {
                Some(flow) => rooms.endpoint.send(flow, self.ok.clone()),
                None => rooms.endpoint.respond(self.server, self.code, self.ok.clone(), now),
            }
            self.interval = (self.interval * 2).min(rooms.directory.options.timers.t2);
            self.again_at = now + self.interval;
        }
        true
    }

    /// Whether it is a refusal: its ACK is nobody else's business.
    pub(super) fn is_refusal(&self) -> bool {
        self.code >= 300
    }

    /// Whether an ACK of the side that owes it is the one that is waited for.
    pub(super) fn is_acknowledged_by(&self, side: Side, ack: &Envelope<'_>) -> bool {
        self.from == side && self.server_cseq == ack.cseq.number
    }
}

impl Talking {
    pub(super) fn poll_timeout(&self) -> Option<(Instant, CallTimer)> {
        let exchange = match &self.exchange {
            Exchange::Idle => None,
            Exchange::Relayed(relayed) => relayed.until.map(|at| (at, CallTimer::Reinvite)),
            Exchange::Answered(answered) => Some((answered.due(), CallTimer::Answer)),
            Exchange::Arranging(arranging) => arranging.due().map(|at| (at, CallTimer::Arranging)),
        };
        let audit = self.audit.iter().flatten().map(|audit| audit.due()).min();
        let audit = audit.map(|at| (at, CallTimer::Audit));
        let alone = self.alone.map(|(_, since)| (since, CallTimer::Alone));
        let session = self.session_due().map(|at| (at, CallTimer::Session));
        [exchange, audit, alone, session].into_iter().flatten().min_by_key(|(at, _)| *at)
    }
}
