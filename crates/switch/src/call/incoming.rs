//! What a call is handed: a message, with what was already read of it.

use tandem_sip::{Envelope, Flow, HeaderName, Message, TxnId};

use super::headers::SUPPORTED;
use crate::reject::Reject;
use crate::rooms::{ALLOW, Rooms};

/// A request within a dialog.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// Its server transaction.
    pub txn: TxnId,
    /// Where it came from.
    pub flow: Flow,
    /// It.
    pub message: &'a Message,
    /// Its mandatory headers.
    pub env: &'a Envelope<'a>,
}

impl Incoming<'_> {
    /// Answers it without a body.
    pub fn answer(&self, rooms: &mut Rooms, reject: &Reject) {
        rooms.respond(self.txn, self.flow, self.message, reject);
    }

    /// Answers OPTIONS within a dialog that has nobody at its other end: with what this server itself can do (RFC 3261 11.2).
    pub fn answer_options(&self, rooms: &mut Rooms) {
        let can = Reject::new(200)
            .with(HeaderName::Allow, ALLOW)
            .with(HeaderName::Accept, b"application/sdp")
            .with(HeaderName::Supported, SUPPORTED);
        self.answer(rooms, &can);
    }
}

/// A response to an INVITE of ours.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// Its status.
    pub code: u16,
    /// It.
    pub message: &'a Message,
    /// Its mandatory headers.
    pub env: &'a Envelope<'a>,
    /// Where it came from.
    pub flow: Flow,
}

impl<'a> Answer<'a> {
    /// Joins a response and its envelope.
    #[must_use]
    pub fn new(message: &'a Message, env: &'a Envelope<'a>, flow: Flow) -> Option<Self> {
        Some(Self { code: message.code()?, message, env, flow })
    }

    /// Whether it is a 2xx.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        (200..300).contains(&self.code)
    }
}

/// Max-Forwards of a request that is passed on.
#[must_use]
pub fn hops(request: &Message) -> u8 {
    request.envelope().ok().and_then(|env| env.max_forwards).unwrap_or(70).saturating_sub(1)
}
