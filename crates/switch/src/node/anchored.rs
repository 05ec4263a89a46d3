//! Messages of anchored legs, on their way between the transaction layer and the calls.

use tandem_sip::Received;

use super::Node;
use crate::anchor::{AnchorNews, Lives, Ready, Unbridged};
use crate::arena::Key;
use crate::call::Calls;
use crate::ids::Tag;
use crate::output::Output;
use crate::reject::Reject;
use crate::rooms::{Rooms, Use};
use tandem_sip::HeaderName;

impl Node {
    /// What the media server says.
    pub(super) fn anchor_news(&mut self, news: AnchorNews) {
        let rooms = &mut self.rooms;
        rooms.anchors.news(news, &rooms.directory.server.sip_address, rooms.now);
    }

    /// What has been described goes on. True: something did.
    pub(super) fn run_anchors(&mut self) -> bool {
        if self.rooms.anchors.is_empty() {
            return false;
        }
        let mut ran = self.reoffer_lost();
        while let Some(ready) = self.rooms.anchors.poll_ready() {
            ran = true;
            match ready {
                Ready::In(received) => self.take(received),
                Ready::Caller(key, outcome) => {
                    self.call(key, |call, rooms| call.caller_described(rooms, outcome));
                }
                Ready::Taker(taker) => self.replace_described(&taker),
                Ready::Refuse(received, why) => self.refuse_undescribed(received, &why),
                Ready::Answer { flow, message, own, why } => {
                    if let Some(key) = self.call_with(own) {
                        self.call(key, |call, rooms| call.unbridged(rooms, &why));
                    }
                    let received = self.rooms.endpoint.receive(flow, message, self.rooms.now.mono);
                    self.take(received);
                }
                Ready::HangUp(own, why) => {
                    if let Some(key) = self.call_with(Some(own)) {
                        self.call(key, |call, rooms| call.without_media(rooms, own, &why));
                    }
                }
            }
        }
        ran
    }

    fn call_with(&self, own: Option<Tag>) -> Option<Key> {
        self.rooms.tags.get(&own?).copied()
    }

    fn refuse_undescribed(&mut self, received: Received<Use>, why: &Unbridged) {
        let Received::Request { txn, flow, message } = received else { return };
        if let Some(key) = self.call_of(&message) {
            self.call(key, |call, rooms| call.unbridged(rooms, why));
        }
        let refusal = Reject::new(488).with(HeaderName::Warning, why.warning());
        self.rooms.respond(txn, flow, &message, &refusal);
    }

    /// Calls whose media were lost are negotiated anew, each as soon as its dialogs are at rest.
    fn reoffer_lost(&mut self) -> bool {
        if !self.rooms.anchors.has_lost() {
            return false;
        }
        let mut ran = false;
        for (id, own) in self.rooms.anchors.lost() {
            let key = self.call_with(own);
            let call = key.and_then(|key| self.calls.get(key));
            let (Some(call), Some(key), Some(own)) = (call, key, own) else {
                self.rooms.anchors.found(id);
                continue;
            };
            if call.is_setting_up() || !self.calls.is_at_rest(key) {
                continue;
            }
            self.rooms.anchors.found(id);
            ran = true;
            self.call(key, |call, rooms| call.reoffer(rooms, own));
        }
        ran
    }

    /// Legs that left their calls.
    pub(super) fn settle_anchors(&mut self) {
        let Self { rooms, calls, .. } = self;
        let Rooms { anchors, tags, now, .. } = rooms;
        anchors.settle_left(*now, |leg| lives(calls, leg.own.and_then(|own| tags.get(&own)).copied(), &leg));
    }

    pub(super) fn run_anchor_timers(&mut self) {
        let Self { rooms, calls, .. } = self;
        let Rooms { anchors, tags, now, .. } = rooms;
        anchors
            .handle_timeout(*now, |leg| lives(calls, leg.own.and_then(|own| tags.get(&own)).copied(), &leg));
    }

    /// Gives the outbox what is to be sent, and the media server what is asked of it.
    pub(super) fn transmit(&mut self) {
        let now = self.rooms.now;
        self.transmit_described();
        while let Some(transmit) = self.rooms.endpoint.poll_transmit() {
            if self.rooms.anchors.is_empty() {
                self.put(Output::Transmit(transmit));
                continue;
            }
            if let Some(transmit) = self.rooms.anchors.outgoing(transmit, now) {
                self.put(Output::Transmit(transmit));
            }
            self.transmit_described();
        }
        while let Some(order) = self.rooms.anchors.poll_order() {
            self.put(Output::Anchor(order));
        }
    }

    fn transmit_described(&mut self) {
        while let Some(transmit) = self.rooms.anchors.poll_out() {
            self.put(Output::Transmit(transmit));
        }
    }
}

/// Whether a leg is in the call that our tag in it leads to, or in the one that it began in.
fn lives(calls: &Calls, by_tag: Option<Key>, leg: &Lives<'_>) -> bool {
    calls.get(by_tag.unwrap_or(leg.call)).is_some_and(|call| call.has_leg(leg.call_id))
}
