//! INVITEs of an earlier process that nobody waits for any more: each is cancelled until its phone has given a final
//! response, and whoever answers all the same is acknowledged and hung up on (RFC 3261 9.1, 13.2.2.4). The CANCEL was
//! printed and stored with the INVITE, for it must name the INVITE's own branch.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tandem_sip::{Builder, Flow, HeaderName, Message, Method};

use super::branch::Stranger;
use crate::rooms::{Rooms, Use};
use crate::stored::GONE;

/// See the module. By Call-ID of the INVITE, which is this server's own and has no other one.
#[derive(Debug, Default)]
pub struct Takebacks {
    all: BTreeMap<Box<[u8]>, Takeback>,
}

#[derive(Debug)]
struct Takeback {
    flow: Flow,
    cancel: Message,
    /// When the CANCEL goes again, unless it was answered.
    again_at: Option<Instant>,
    interval: Duration,
    until: Instant,
}

impl Takebacks {
    /// When there is something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.all.values().map(|takeback| takeback.again_at.unwrap_or(takeback.until)).min()
    }
}

impl Rooms {
    /// Cancels an INVITE of an earlier process. Where its connection went with that, nothing can be sent before its phone
    /// says something.
    pub(super) fn take_back(&mut self, flow: Flow, cancel: &Bytes) {
        let Ok(cancel) = Message::parse(cancel.clone()) else { return };
        let Ok(env) = cancel.envelope() else { return };
        let (call_id, timers) = (Box::from(env.call_id), self.directory.options.timers);
        let takeback = Takeback {
            flow,
            again_at: (flow.conn != GONE).then_some(self.now.mono),
            interval: timers.t1,
            until: self.now.mono + timers.patience(),
            cancel,
        };
        self.takebacks.all.insert(call_id, takeback);
    }

    /// Sends what is due.
    pub(crate) fn run_takebacks(&mut self) {
        let now = self.now.mono;
        self.takebacks.all.retain(|_, takeback| takeback.until > now);
        for takeback in self.takebacks.all.values_mut() {
            if takeback.again_at.is_some_and(|at| at <= now) {
                self.endpoint.send(takeback.flow, takeback.cancel.bytes().clone());
                takeback.interval *= 2;
                takeback.again_at = Some(now + takeback.interval).filter(|at| *at < takeback.until);
            }
        }
    }

    /// A response to such an INVITE, or to its CANCEL; false for any other.
    pub(crate) fn taken_back(&mut self, response: &Message, flow: Flow) -> bool {
        let (Ok(env), Some(code)) = (response.envelope(), response.code()) else { return false };
        let Some(takeback) = self.takebacks.all.get_mut(env.call_id) else { return false };
        match (env.cseq.method, code) {
            (Method::Invite, 200..300) => {
                takeback.again_at = None;
                if let Some((txn, _)) = self.endpoint.reserve() {
                    self.endpoint.release(txn);
                    Stranger::unknown(flow).hang_up(self, txn, response, Use::Nobody);
                }
            }
            (Method::Invite, 300..) => {
                takeback.again_at = None;
                let ack = ack_of(&takeback.cancel, response);
                let to = if takeback.flow.conn == GONE { flow } else { takeback.flow };
                if let Some(ack) = ack {
                    self.endpoint.send(to, ack);
                }
            }
            (Method::Cancel, 200..) => takeback.again_at = None,
            (_, _) => {}
        }
        true
    }
}

/// The ACK of a refusal (RFC 3261 17.1.1.3): as the CANCEL, with the To of the refusal.
fn ack_of(cancel: &Message, refusal: &Message) -> Option<Bytes> {
    let mut scratch = Vec::new();
    let number = cancel.envelope().ok()?.cseq.number;
    let mut builder = Builder::request(&mut scratch, b"ACK", cancel.request_uri()?);
    for name in [HeaderName::Via, HeaderName::Route, HeaderName::MaxForwards, HeaderName::From] {
        builder.copy(cancel, name);
    }
    builder.copy(refusal, HeaderName::To).copy(cancel, HeaderName::CallId).cseq(number, b"ACK");
    Some(builder.finish(b""))
}
