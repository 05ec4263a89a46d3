//! INVITEs of an earlier process that nobody waits for any more: each is cancelled until its phone has given a final
//! response, and whoever answers all the same is acknowledged and hung up on (RFC 3261 9.1, 13.2.2.4). The CANCEL was
//! printed and stored with the INVITE, for it must name the INVITE's own branch.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tandem_sip::{Builder, Flow, HeaderName, Message, Method};

use super::branch::Stranger;
use crate::directory::DnId;
use crate::limits::RESTORED_GRACE;
use crate::registrar::Phone;
use crate::rooms::{Rooms, Use};
use crate::stored::GONE;

/// Dialogs of one INVITE that are remembered as hung up on; in any further one each answer has a BYE of its own.
const MAX_HUNG_UP: usize = 4;

/// See the module. By Call-ID of the INVITE, which is this server's own and has no other one.
#[derive(Debug, Default)]
pub struct Takebacks {
    all: BTreeMap<Box<[u8]>, Takeback>,
}

#[derive(Debug)]
struct Takeback {
    flow: Flow,
    /// Whose phone it is, and its instance, when the connection to it is gone.
    missed: Option<(DnId, Option<Box<[u8]>>)>,
    cancel: Message,
    /// When the CANCEL goes again, unless it was answered.
    again_at: Option<Instant>,
    interval: Duration,
    until: Instant,
    /// Tags of those who answered all the same, and have their BYE: what they repeat meanwhile is only acknowledged.
    hung_up: Vec<Box<[u8]>>,
}

impl Takebacks {
    /// When there is something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.all.values().map(|takeback| takeback.again_at.unwrap_or(takeback.until)).min()
    }

    /// Whether nothing is taken back.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

impl Takeback {
    /// Goes by the way there is to the phone now, if there is one, and the phone has not answered.
    fn finds_phone(&mut self, rooms: &Rooms) {
        let Some((dn, instance)) = &self.missed else { return };
        let (transport, target) = (self.flow.transport, self.cancel.request_uri().unwrap_or_default());
        let phone = Phone { transport, target, instance: instance.as_deref() };
        if let Some(flow) = rooms.registrar.way_to(*dn, &phone) {
            (self.flow, self.again_at) = (flow, Some(rooms.now.mono));
        }
    }

    /// The phone has answered.
    fn is_heard(&mut self) {
        (self.again_at, self.missed) = (None, None);
    }
}

impl Rooms {
    /// Cancels an INVITE of an earlier process, which was for one of `called`. Where its connection went with that, the
    /// phone is dialled if it can be, and told when it has registered anew: it would ring for ever.
    pub(super) fn take_back(&mut self, flow: Flow, cancel: &Bytes, called: &[DnId]) {
        let Ok(cancel) = Message::parse(cancel.clone()) else { return };
        let Ok(env) = cancel.envelope() else { return };
        let (call_id, timers) = (Box::from(env.call_id), self.directory.options.timers);
        let target = cancel.request_uri().unwrap_or_default();
        let is_missed = flow.conn == GONE;
        let whose = |dn: &&DnId| self.registrar.is_at(**dn, flow, target);
        let missed = called.iter().find(whose).filter(|_| is_missed).map(|dn| {
            let instance = self.registrar.instance_at(*dn, flow, target);
            (*dn, instance.map(Box::from))
        });
        let patience = if is_missed { RESTORED_GRACE } else { timers.patience() };
        let mut takeback = Takeback {
            flow,
            missed,
            again_at: (!is_missed).then_some(self.now.mono),
            interval: timers.t1,
            until: self.now.mono + patience,
            hung_up: Vec::new(),
            cancel,
        };
        takeback.finds_phone(self);
        self.takebacks.all.insert(call_id, takeback);
    }

    /// A phone of this DN has registered: what it rang for over a connection that is gone is taken back.
    pub(crate) fn phone_rings_no_more(&mut self, dn: DnId) {
        let mut all = std::mem::take(&mut self.takebacks.all);
        let its = |takeback: &&mut Takeback| takeback.missed.as_ref().is_some_and(|(whose, _)| *whose == dn);
        all.values_mut().filter(its).for_each(|takeback| takeback.finds_phone(self));
        self.takebacks.all = all;
        self.run_takebacks();
    }

    /// Sends what is due.
    pub(crate) fn run_takebacks(&mut self) {
        let now = self.now.mono;
        self.takebacks.all.retain(|_, takeback| takeback.until > now);
        for takeback in self.takebacks.all.values_mut() {
            if takeback.again_at.is_some_and(|at| at <= now) {
                self.endpoint.send(takeback.flow, takeback.cancel.bytes().clone());
                takeback.interval *= 2;
                let again = !takeback.flow.transport.is_reliable();
                takeback.again_at = Some(now + takeback.interval).filter(|at| again && *at < takeback.until);
            }
        }
    }

    /// A response to such an INVITE, or to its CANCEL; false for any other.
    pub(crate) fn taken_back(&mut self, response: &Message, flow: Flow) -> bool {
        let (Ok(env), Some(code)) = (response.envelope(), response.code()) else { return false };
        let Some(takeback) = self.takebacks.all.get_mut(env.call_id) else { return false };
        match (env.cseq.method, code) {
            (Method::Invite, 200..300) => {
                takeback.is_heard();
                let tag: Box<[u8]> = env.to_tag.unwrap_or_default().into();
                let again = takeback.hung_up.contains(&tag);
                let full = takeback.hung_up.len() == MAX_HUNG_UP;
                self.hangs_up_on(flow, response, again);
                if let Some(takeback) = self.takebacks.all.get_mut(env.call_id).filter(|_| !again && !full) {
                    takeback.hung_up.push(tag);
                }
            }
            (Method::Invite, 300..) => {
                takeback.is_heard();
                let ack = ack_of(&takeback.cancel, response);
                // Of a phone that made a new connection, that is the one which lives.
                let to = if takeback.flow.transport.is_reliable() { flow } else { takeback.flow };
                if let Some(ack) = ack {
                    self.endpoint.send(to, ack);
                }
            }
            (Method::Cancel, 200..) => takeback.is_heard(),
            (_, _) => {}
        }
        true
    }

    /// Acknowledges who answered all the same, and ends his call unless that is under way.
    fn hangs_up_on(&mut self, flow: Flow, response: &Message, again: bool) {
        let Some((txn, _)) = self.endpoint.reserve() else { return };
        self.endpoint.release(txn);
        let stranger = Stranger::unknown(flow);
        if again {
            stranger.acknowledge(self, txn, response);
        } else {
            stranger.hang_up(self, txn, response, Use::Nobody);
        }
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
