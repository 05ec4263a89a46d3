//! SUBSCRIBE, and NOTIFY both ways: who may watch what, what a watcher is told, and what a mailbox says.

use std::sync::Arc;
use std::time::Duration;

use tandem_peer::replica::Change;
use tandem_peer::trunk::CallFailure;
use tandem_sip::dialog::Order;
use tandem_sip::{Builder, Dialog, Flow, HeaderName, Message, TxnId, Uri};

use super::{Node, Restored};
use crate::arena::Key;
use crate::call::{Call, Calls, DialogNames, Incoming, Leg, LegNo, behind_nat};
use crate::cti::calls::{Beneath, Happening};
use crate::directory::DnId;
use crate::events::{
    Ended, EventType, NotKept, Package, SUMMARY_TYPE, Subscription, Told, Wanted, dialog_info, reg_info,
};
use crate::explain::{Explained, Trace, What};
use crate::limits::{MAX_ENTITY_BYTES, MAX_NOTIFIED_AT_ONCE, RESTORED_NOTIFIES_PER_S};
use crate::reject::Reject;
use crate::rooms::{Device, Rooms, Use};

impl Node {
    /// SUBSCRIBE outside a dialog.
    pub(super) fn subscribe(&mut self, incoming: &Incoming<'_>) -> Result<(), Reject> {
        let Incoming { txn, flow, message: request, env } = *incoming;
        let wanted = Wanted::of(request)?;
        let (watcher, _) = self.origin(flow, request, env)?;
        match self.admit(watcher, &wanted, incoming) {
            Ok(mut subscription) => {
                if subscription.ended.is_none() {
                    subscription.keep(&mut self.rooms);
                }
                subscription.accept(&mut self.rooms, txn, flow, request, env);
                self.rooms.counters.subscribes += 1;
                // A full table was seen before.
                self.events.insert(subscription);
                Ok(())
            }
            Err(reject) => {
                self.explain_refusal(watcher, wanted.event.package, incoming, &reject);
                Err(reject)
            }
        }
    }

    fn admit(
        &mut self,
        watcher: Device,
        wanted: &Wanted,
        incoming: &Incoming<'_>,
    ) -> Result<Subscription, Reject> {
        let Incoming { flow, message: request, env, .. } = *incoming;
        let entity = request.request_uri().unwrap_or_default();
        if entity.len() > MAX_ENTITY_BYTES {
            return Err(Reject::new(414));
        }
        let directory = Arc::clone(&self.rooms.directory);
        let watched = Uri::parse(entity).ok().and_then(|uri| directory.find(&uri.user_unescaped()?));
        let watched = watched.ok_or_else(|| Reject::because(404, "No Such Extension"))?;
        self.may_watch(watcher, wanted.event.package, watched)?;
        let number = directory.extension(watched).map(|e| Arc::clone(&e.number)).unwrap_or_default();
        let name = Rooms::shared_name(&directory, watcher).unwrap_or_default();
        if !self.events.has_room(&name) {
            self.rooms.counters.refused_full += 1;
            return Err(Reject::full());
        }
        let tag = self.rooms.ids.tag();
        let dialog =
            Dialog::uas(request, env, &tag.text()).map_err(|_| Reject::because(400, "Bad Contact"))?;
        let nat = behind_nat(&self.rooms.directory, watcher, &dialog, env, flow.remote);
        let leg = Leg::new(dialog, flow, watcher, nat);
        let names = [number, name];
        Ok(Subscription::new(wanted.clone(), names, entity, leg, tag, self.rooms.now.mono))
    }

    /// Whether a device may watch this of an Extension.
    fn may_watch(&self, watcher: Device, package: Package, watched: DnId) -> Result<(), Reject> {
        let refused = || Reject::because(403, "Not Allowed to Watch");
        let directory = &self.rooms.directory;
        let owner = watcher == Device::Extension(watched);
        let allowed = match (package, watcher) {
            _ if owner => true,
            (Package::Dialog, Device::Extension(_)) => {
                let name = Rooms::name_of(directory, watcher);
                directory.dialog_watchers(watched).may(name)
            }
            (Package::Dialog | Package::Reg, Device::Trunk(id)) => {
                directory.trunk(id).is_some_and(|trunk| trunk.identity.trusted)
            }
            (Package::Reg | Package::MessageSummary, Device::Extension(_)) => false,
            (Package::MessageSummary, Device::Trunk(_)) | (_, Device::Mixer) => false,
        };
        if allowed { Ok(()) } else { Err(refused()) }
    }

    /// Keeps why a SUBSCRIBE was refused, for `tandem why`.
    fn explain_refusal(
        &mut self,
        watcher: Device,
        package: Package,
        incoming: &Incoming<'_>,
        reject: &Reject,
    ) {
        let Incoming { message: request, env, .. } = *incoming;
        self.rooms.counters.subscribes_refused += 1;
        let mut trace = Trace::default();
        let entity = String::from_utf8_lossy(request.request_uri().unwrap_or_default()).into();
        let why = reject.reason.unwrap_or_else(|| crate::rooms::phrase(reject.status));
        let what =
            What::NotSubscribed { watcher, package: package.as_str(), entity, status: reject.status, why };
        trace.note(self.rooms.now.unix_ms, what);
        let uuid = self.rooms.ids.uuid();
        self.keep(Some(Explained {
            conn: None,
            uuid,
            session_ids: [0, 0],
            call_ids: vec![String::from_utf8_lossy(env.call_id).into()],
            directory: Arc::clone(&self.rooms.directory),
            trace,
        }));
    }

    /// SUBSCRIBE within a subscription's dialog: it is refreshed, or ended (RFC 6665 4.2.1.4).
    pub(super) fn resubscribe(&mut self, key: Key, incoming: &Incoming<'_>) -> Result<(), Reject> {
        let Incoming { txn, flow, message: request, env } = *incoming;
        let wanted = Wanted::of(request);
        let now = self.rooms.now.mono;
        let Self { events, rooms, .. } = self;
        let outcome = events.change(key, |subscription| {
            let dialog = &mut subscription.leg.dialog;
            if !dialog.matches(env) || subscription.ended.is_some() {
                return Err(Reject::new(481));
            }
            if dialog.accept_request(env.cseq.number) != Order::New {
                return Err(Reject::because(500, "CSeq Out Of Order"));
            }
            let wanted = wanted?;
            if wanted.event != subscription.event {
                return Err(Reject::because(481, "Another Event"));
            }
            subscription.leg.heard_by(flow);
            subscription.leg.renew(request);
            subscription.lasts(wanted.expires_s, now);
            if subscription.ended.is_none() {
                subscription.keep(rooms);
            }
            subscription.accept(rooms, txn, flow, request, env);
            Ok(())
        });
        outcome.unwrap_or_else(|| Err(Reject::new(481)))
    }

    /// What changed at calls may be seen by watchers of the Extension's lamp.
    pub(super) fn lamp_changes(&mut self, happening: &Happening) {
        match happening {
            Happening::Event { dn, .. }
            | Happening::Began { dn, .. }
            | Happening::Became { dn, .. }
            | Happening::Established { dn, .. }
            | Happening::Ended { dn, .. } => self.events.touch(Package::Dialog, dn),
            Happening::Answer { .. }
            | Happening::Refused { .. }
            | Happening::WrapUp { .. }
            | Happening::Waits { .. }
            | Happening::Left { .. }
            | Happening::OfferAnswered { .. }
            | Happening::OfferFailed { .. } => {}
        }
    }

    /// Tells watchers what is due.
    pub(super) fn run_events(&mut self) {
        let wanted = self.events.watches_contacts();
        while let Some(dn) = self.rooms.registrar.pop_changed(wanted) {
            if let Some(extension) = self.rooms.directory.extension(dn) {
                self.events.touch(Package::Reg, &extension.number);
            }
        }
        for _ in 0..MAX_NOTIFIED_AT_ONCE {
            let Some(key) = self.events.next_due(self.rooms.now.mono) else { break };
            self.notify(key);
        }
    }

    fn notify(&mut self, key: Key) {
        let now = self.rooms.now.mono;
        self.events.change(key, |subscription| subscription.expire(now));
        if !self.events.get(key).is_some_and(|subscription| subscription.is_due(now)) {
            // Another turn is set for it.
            self.events.change(key, |_| ());
            return;
        }
        let rooms = &self.rooms;
        match self.events.change(key, |subscription| subscription.reaches(rooms)) {
            Some(Some(true)) => {}
            Some(Some(false)) | None => return,
            Some(None) => return self.watcher_lost(key),
        }
        let Some(subscription) = self.events.get(key) else { return };
        let (body, told) = match self.document(subscription) {
            Some(document) => document,
            None if subscription.ended.is_some() => (None, Told::Nothing),
            None => {
                self.events.change(key, Subscription::rests);
                return;
            }
        };
        let Self { events, rooms, .. } = self;
        let sent = events.change(key, |subscription| {
            let sent = subscription.notify(rooms, key, body.as_deref());
            if sent && body.is_some() {
                subscription.version = subscription.version.wrapping_add(1) & 0x7fff_ffff;
            }
            subscription.told = told;
            sent
        });
        if sent == Some(false) {
            self.rooms.counters.refused_full += 1;
            self.no_watcher(key);
        }
    }

    /// Takes a subscription out.
    fn no_watcher(&mut self, key: Key) -> Option<Subscription> {
        let mut over = self.events.remove(key)?;
        over.forget(&mut self.rooms.log);
        Some(over)
    }

    /// Takes up what was stored of subscriptions and mailboxes. Each watcher is told everything, one after the other.
    pub(super) fn restore_watchers(
        &mut self,
        mailboxes: &[Change],
        watchers: &[Change],
        restored: &mut Restored,
    ) {
        for change in mailboxes.iter().chain(watchers) {
            self.rooms.next_record = self.rooms.next_record.max(change.key.id);
        }
        for change in mailboxes {
            if !self.events.mailboxes.restore(change) {
                restored.unread(change.key);
            }
        }
        let mut next_at = self.rooms.now.mono;
        for change in watchers {
            let subscription = Subscription::restored(&mut self.rooms, change, next_at);
            match subscription.and_then(|subscription| self.events.insert(subscription)) {
                Some(_) => next_at += Duration::from_secs(1) / RESTORED_NOTIFIES_PER_S,
                None => restored.unread(change.key),
            }
        }
        restored.watchers = self.events.len();
        // The configuration may be another one.
        self.events_adopt();
    }

    /// What a watcher is to be told, and what he then knows. `None`: he knows it already.
    fn document(&self, subscription: &Subscription) -> Option<(Option<Vec<u8>>, Told)> {
        match subscription.ended {
            Some(Ended::NoResource | Ended::Rejected) => return Some((None, Told::Nothing)),
            Some(Ended::Timeout) | None => {}
        }
        match subscription.event.package {
            Package::Dialog => self.dialog_document(subscription),
            Package::Reg => self.reg_document(subscription),
            Package::MessageSummary => {
                let said = self.events.mailboxes.of(&subscription.watched).cloned();
                let known = matches!(&subscription.told, Told::Summary(told) if *told == said);
                let body = said.as_deref().map(<[u8]>::to_vec);
                (!known || subscription.ended.is_some()).then_some((body, Told::Summary(said)))
            }
        }
    }

    fn dialog_document(&self, subscription: &Subscription) -> Option<(Option<Vec<u8>>, Told)> {
        let lamps = self.floor.tcalls.lamps(&subscription.watched, &self.calls);
        let (full, shown) = match &subscription.told {
            Told::Lamps(told) if subscription.ended.is_none() => (false, dialog_info::changes(told, &lamps)),
            Told::Lamps(_) | Told::Nothing | Told::Contacts(_) | Told::Summary(_) => (true, lamps.clone()),
        };
        if !full && shown.is_empty() {
            return None;
        }
        let document = dialog_info::Document {
            version: subscription.version,
            full,
            entity: &subscription.entity,
            number: &subscription.watched,
            host: &self.rooms.lines.sent_by,
        };
        Some((Some(document.print(&shown)), Told::Lamps(lamps)))
    }

    fn reg_document(&self, subscription: &Subscription) -> Option<(Option<Vec<u8>>, Told)> {
        let dn = self.rooms.directory.find(subscription.watched.as_bytes())?;
        let bindings = self.rooms.registrar.numbered(dn);
        let now: Vec<(reg_info::Contact, u64)> = bindings
            .map(|(id, binding)| (reg_info::Contact::of(id, binding), binding.updated_unix_ms()))
            .collect();
        let told: &[reg_info::Contact] = match &subscription.told {
            Told::Contacts(told) => told,
            Told::Nothing | Told::Lamps(_) | Told::Summary(_) => &[],
        };
        let first = !matches!(subscription.told, Told::Contacts(_)) || subscription.ended.is_some();
        let same = told.len() == now.len() && told.iter().zip(&now).all(|(old, (is, _))| old.is_like(is));
        if same && !first {
            return None;
        }
        let unix_ms = self.rooms.now.unix_ms;
        let body = reg_info::print(subscription.version, &subscription.entity, told, &now, unix_ms);
        Some((Some(body), Told::Contacts(now.into_iter().map(|(contact, _)| contact).collect())))
    }

    /// A NOTIFY was answered.
    pub(super) fn notified(&mut self, key: Key, txn: TxnId, code: u16, response: &Message) {
        let now = self.rooms.now.mono;
        let stays = self.events.change(key, |subscription| subscription.answered(txn, code, response, now));
        if stays == Some(false) {
            self.watcher_lost(key);
        }
    }

    /// A NOTIFY got no answer, or could not be sent. A phone that registered again is tried where it is now.
    pub(super) fn notify_failed(&mut self, key: Key, txn: TxnId, how: CallFailure) {
        let Some(subscription) = self.events.get(key) else { return };
        if how == CallFailure::Timeout {
            return self.watcher_lost(key);
        }
        let target = subscription.leg.dialog.remote_target();
        let dn = self.rooms.directory.find(subscription.watcher.as_bytes());
        let now_at = dn.and_then(|dn| {
            let mut bindings = self.rooms.registrar.bindings(dn);
            bindings.find(|b| b.reachable() && b.uri() == target).map(|binding| binding.flow())
        });
        let now = self.rooms.now.mono;
        if self.events.change(key, |subscription| subscription.undelivered(txn, now_at, now)) == Some(false) {
            self.watcher_lost(key);
        }
    }

    /// The subscription is over; one that was to last is counted as lost.
    fn watcher_lost(&mut self, key: Key) {
        let over = self.no_watcher(key);
        self.rooms.counters.watchers_lost += u64::from(over.is_some_and(|s| s.ended.is_none()));
    }

    /// A new configuration is in force: who watches what is no more, or what he may not watch any more, is told so.
    pub(super) fn events_adopt(&mut self) {
        let directory = Arc::clone(&self.rooms.directory);
        let log = &mut self.rooms.log;
        self.events.mailboxes.forget(|dn| directory.find(dn.as_bytes()).is_none(), log);
        let now = self.rooms.now.mono;
        let over: Vec<(Key, Ended)> = self
            .events
            .iter()
            .filter_map(|(key, subscription)| Some((key, self.no_longer(subscription)?)))
            .collect();
        self.events.touch_contacts();
        for (key, why) in over {
            self.events.change(key, |subscription| subscription.end(why, now));
        }
    }

    fn no_longer(&self, subscription: &Subscription) -> Option<Ended> {
        let directory = &self.rooms.directory;
        let Some(watched) = directory.find(subscription.watched.as_bytes()) else {
            return Some(Ended::NoResource);
        };
        let name = &subscription.watcher;
        let extension = directory.find(name.as_bytes()).map(Device::Extension);
        let watcher = extension.or_else(|| directory.trunk_named(name).map(Device::Trunk));
        let may = watcher.is_some_and(|w| self.may_watch(w, subscription.event.package, watched).is_ok());
        (!may).then_some(Ended::Rejected)
    }

    /// NOTIFY outside a dialog: a mailbox says what waits in it (RFC 3842 3.10), if it is the one that
    /// `mwi-source` names.
    pub(super) fn unsolicited(&mut self, incoming: &Incoming<'_>) -> Result<(), Reject> {
        let Incoming { txn, flow, message: request, env } = *incoming;
        let source = self.rooms.directory.options.events.mwi_source.clone();
        let is_summary = EventType::of(request).is_ok_and(|event| event.package == Package::MessageSummary);
        let Some(source) = source.filter(|_| is_summary) else { return Err(Reject::new(481)) };
        let (sender, _) = self.origin(flow, request, env)?;
        if *Rooms::name_of(&self.rooms.directory, sender) != *source {
            return Err(Reject::because(403, "Not the mwi-source"));
        }
        let directory = Arc::clone(&self.rooms.directory);
        let uri = request.request_uri().and_then(|uri| Uri::parse(uri).ok());
        let dn = uri.and_then(|uri| directory.find(&uri.user_unescaped()?));
        let dn = dn.ok_or_else(|| Reject::because(404, "No Such Extension"))?;
        let kind = request.header(HeaderName::ContentType).unwrap_or_default();
        if !kind.get(..SUMMARY_TYPE.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(SUMMARY_TYPE)) {
            return Err(Reject::new(415).with(HeaderName::Accept, SUMMARY_TYPE));
        }
        let number = directory.extension(dn).map(|e| Arc::clone(&e.number)).unwrap_or_default();
        let summary = bytes::Bytes::copy_from_slice(request.body());
        let record = self.rooms.record_id();
        match self.events.mailboxes.says(&number, summary, record, &mut self.rooms.log) {
            Ok(_) => {}
            Err(NotKept::TooLong) => return Err(Reject::new(413)),
            Err(NotKept::Full) => return Err(Reject::full()),
        }
        self.rooms.respond(txn, flow, request, &Reject::new(200));
        self.events.touch(Package::MessageSummary, &number);
        self.light_mailbox_lamp(dn);
        Ok(())
    }

    /// Tells the phones of an Extension what waits in its mailbox, unasked, unless they subscribed to it.
    pub(super) fn light_mailbox_lamp(&mut self, dn: DnId) {
        let Self { events, rooms, .. } = self;
        let Some(number) = rooms.directory.extension(dn).map(|e| Arc::clone(&e.number)) else { return };
        if !rooms.directory.options.events.mwi_implicit_notify || events.has(Package::MessageSummary, &number)
        {
            return;
        }
        let Some(summary) = events.mailboxes.of(&number) else { return };
        let contacts: Vec<(Box<[u8]>, Flow)> = rooms
            .registrar
            .bindings(dn)
            .filter(|binding| binding.reachable())
            .map(|binding| (binding.uri().into(), binding.flow()))
            .collect();
        for (uri, flow) in contacts {
            let Some((txn, branch)) = rooms.endpoint.reserve() else {
                rooms.counters.refused_full += 1;
                return;
            };
            let payload = print_lamp(rooms, (&number, &uri), flow, branch.as_ref(), summary);
            let method = tandem_sip::Method::Notify;
            rooms.endpoint.start(txn, method, flow, payload, Use::Nobody, rooms.now.mono);
            rooms.counters.notifies += 1;
        }
    }
}

impl Beneath for Calls {
    fn hides(&self, key: Key) -> bool {
        self.get(key).is_some_and(Call::hides_parties)
    }

    fn dialog(&self, key: Key, leg: LegNo) -> Option<DialogNames> {
        self.get(key)?.dialog_names(leg)
    }
}

fn print_lamp(
    rooms: &mut Rooms,
    (number, uri): (&str, &[u8]),
    flow: Flow,
    branch: &[u8],
    summary: &[u8],
) -> bytes::Bytes {
    let (tag, call_id) = (rooms.ids.tag().text(), rooms.ids.call_id().text());
    let lines = &rooms.lines;
    let ours: [&[u8]; 5] = [b"<sip:", number.as_bytes(), b"@", lines.sent_by.as_bytes(), b">"];
    let ours = ours.concat();
    let mut builder = Builder::request(&mut rooms.scratch, b"NOTIFY", uri);
    builder
        .via(flow.transport, lines.via(flow), branch)
        .number(HeaderName::MaxForwards, 70)
        .parts(HeaderName::From, &[&ours, b";tag=", &tag])
        .header(HeaderName::To, &ours)
        .header(HeaderName::CallId, &call_id)
        .cseq(1, b"NOTIFY")
        .header(HeaderName::Contact, lines.contact(flow))
        .header(HeaderName::Event, Package::MessageSummary.as_str().as_bytes())
        .header(HeaderName::SubscriptionState, b"active")
        .header(HeaderName::ContentType, SUMMARY_TYPE);
    builder.finish(summary)
}
