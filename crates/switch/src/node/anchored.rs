//! Messages of anchored legs, on their way between the transaction layer and the calls.

use std::collections::BTreeMap;

use tandem_peer::Replicated;
use tandem_peer::replica::Change;
use tandem_sip::Received;

use super::Node;
use super::restore::Restored;
use crate::anchor::{AnchorNews, Kept, Lives, Ready, Unbridged};
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
                Ready::Refused(own, why) => {
                    if let Some(key) = self.call_with(Some(own)) {
                        self.call(key, |call, rooms| call.refused_instead(rooms, own, &why));
                    }
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
        rooms.anchors.keep(&mut rooms.log, &mut rooms.next_record);
    }

    /// Takes up the media of stored legs, each with its call: that has its dialogs back by now, and has sent nothing yet.
    pub(super) fn restore_anchors(&mut self, changes: &[Change], restored: &mut Restored) {
        let Self { rooms, calls, .. } = self;
        let mut by_call_id = BTreeMap::new();
        for key in calls.keys().into_iter().filter(|_| !changes.is_empty()) {
            let names = calls.get(key).into_iter().flat_map(|call| call.live_call_ids());
            by_call_id.extend(names.map(|name| (name, key)));
        }
        for change in changes {
            let Some(kept) = Replicated::<Kept>::restore(change) else {
                restored.unread(change.key);
                continue;
            };
            rooms.next_record = rooms.next_record.max(change.key.id);
            let by_tag = kept.own().and_then(|own| rooms.tags.get(&own)).copied();
            let by_tag =
                by_tag.filter(|key| calls.get(*key).is_some_and(|call| call.has_leg(kept.call_id())));
            let key = by_tag.or_else(|| by_call_id.get(kept.call_id()).copied());
            restored.anchored += usize::from(key.is_some());
            if !rooms.anchors.restore(key, kept, &mut rooms.log, rooms.now) {
                restored.unread(change.key);
            }
        }
        if rooms.directory.options.media {
            rooms.anchors.all_taken_up();
        }
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
