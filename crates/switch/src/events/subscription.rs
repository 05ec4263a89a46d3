//! One subscription: its dialog, its clock, and what its watcher was told last.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tandem_peer::replica::{Change, ChangeLog, Replicated};
use tandem_sip::dialog::ViaLine;
use tandem_sip::{Envelope, Flow, HeaderName, Message, TxnId, response_to};

use super::dialog_info::Lamp;
use super::package::{EventType, check_accept, granted};
use super::reg_info::Contact;
use super::stored::{Kept, Watching};
use crate::arena::Key;
use crate::call::Leg;
use crate::ids::Tag;
use crate::limits::{NOTIFY_INTERVAL, RESTORED_GRACE, RESTORED_WATCH_STEP, WATCHER_LOOKED_FOR_EVERY};
use crate::reject::Reject;
use crate::rooms::{Rooms, Use};
use crate::stored::GONE;
use crate::time::Deadline;

/// Why a subscription ends, as `Subscription-State` says it (RFC 6665 4.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Its time is over, or its watcher ended it, or asked once only.
    Timeout,
    /// What was watched is no more.
    NoResource,
    /// The watcher may not watch it any more.
    Rejected,
}

impl Ended {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::NoResource => "noresource",
            Self::Rejected => "rejected",
        }
    }
}

/// What a watcher was told last.
#[derive(Clone, Debug)]
pub enum Told {
    /// Nothing: the next document is a full one, and is sent whatever it says.
    Nothing,
    /// Calls.
    Lamps(Vec<Lamp>),
    /// Contacts.
    Contacts(Vec<Contact>),
    /// A summary; none if the mailbox has said nothing yet.
    Summary(Option<Bytes>),
}

/// See the module.
#[derive(Debug)]
pub struct Subscription {
    /// What is subscribed to.
    pub event: EventType,
    /// Number of the Extension that is watched.
    pub watched: Arc<str>,
    /// The URI that was subscribed to.
    pub entity: Box<[u8]>,
    /// Number of the Extension, or name of the Trunk, that watches.
    pub watcher: Arc<str>,
    /// The dialog, and where its NOTIFYs go.
    pub leg: Leg,
    /// Our tag in it.
    pub tag: Tag,
    /// What the watcher was told last.
    pub told: Told,
    /// Number of the next document.
    pub version: u32,
    /// The end that is to be told; `None` while it lasts.
    pub ended: Option<Ended>,
    until: Instant,
    next_at: Instant,
    dirty: bool,
    /// NOTIFY that waits for its answer.
    sent: Option<TxnId>,
    /// The connection was replaced since the last NOTIFY that arrived.
    reconnected: bool,
    /// What another process would go on from.
    record: Option<Replicated<Kept>>,
    /// It is taken up from its record, and has told nothing since.
    taken_up: bool,
    /// Until when a watcher whose connection went with an earlier process is waited for.
    away_until: Instant,
}

/// What a SUBSCRIBE asks for, once it was found good.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What is subscribed to.
    pub event: EventType,
    /// For how long, s; 0 ends it, or asks once.
    pub expires_s: u32,
}

impl Wanted {
    /// What a SUBSCRIBE asks for.
    ///
    /// # Errors
    /// 489, 406, 423 and 400: see [`EventType::of`] and the functions beside it.
    pub fn of(request: &Message) -> Result<Self, Reject> {
        let event = EventType::of(request)?;
        check_accept(request, event.package)?;
        let expires_s = granted(request, event.package)?;
        Ok(Self { event, expires_s })
    }
}

impl Subscription {
    /// A subscription whose first NOTIFY is due at once. `leg` is the dialog that the SUBSCRIBE opened with `tag`.
    #[must_use]
    pub fn new(
        wanted: Wanted,
        [watched, watcher]: [Arc<str>; 2],
        entity: &[u8],
        leg: Leg,
        tag: Tag,
        now: Instant,
    ) -> Self {
        let mut subscription = Self {
            event: wanted.event,
            watched,
            entity: entity.into(),
            watcher,
            leg,
            tag,
            told: Told::Nothing,
            version: 0,
            ended: None,
            until: now,
            next_at: now,
            dirty: true,
            sent: None,
            reconnected: false,
            record: None,
            taken_up: false,
            away_until: now,
        };
        subscription.lasts(wanted.expires_s, now);
        subscription
    }

    /// Takes one up from its record. Its watcher is told everything at `next_at`; one whose time was over meanwhile has a
    /// while to say that it goes on. `None`: it cannot be read.
    #[must_use]
    pub(crate) fn restored(rooms: &mut Rooms, change: &Change, next_at: Instant) -> Option<Self> {
        let mut record = Replicated::<Kept>::restore(change)?;
        let mut stored = None;
        record.let_go(|kept| stored = kept.0.take());
        let Watching { event, watched, entity, watcher, mut leg, version, until } = *stored?;
        let tag = Tag::parse(leg.dialog.local_tag())?;
        leg.resume(rooms);
        leg.dialog.skip_cseq(RESTORED_WATCH_STEP);
        let grace = Deadline::after(rooms.now.unix_ms, RESTORED_GRACE);
        let away_until = rooms.now.instant_of(grace);
        Some(Self {
            event,
            watched,
            entity,
            watcher,
            leg,
            tag,
            told: Told::Nothing,
            version: version.wrapping_add(RESTORED_WATCH_STEP) & 0x7fff_ffff,
            ended: None,
            until: rooms.now.instant_of(until.max(grace)),
            next_at,
            dirty: true,
            sent: None,
            reconnected: false,
            record: Some(record),
            taken_up: true,
            away_until,
        })
    }

    /// Stores it as it is now.
    pub(crate) fn keep(&mut self, rooms: &mut Rooms) {
        let left = self.until.saturating_duration_since(rooms.now.mono);
        let mut leg = self.leg.clone();
        leg.name = Some(Arc::clone(&self.watcher));
        let watching = Watching {
            event: self.event.clone(),
            watched: Arc::clone(&self.watched),
            entity: self.entity.clone(),
            watcher: Arc::clone(&self.watcher),
            leg,
            version: self.version,
            until: Deadline::after(rooms.now.unix_ms, left),
        };
        let kept = Kept(Some(Box::new(watching)));
        let record = match self.record.take() {
            Some(mut record) => {
                record.update(&mut rooms.log, |record| *record = kept);
                record
            }
            None => Replicated::create(rooms.record_id(), kept, &mut rooms.log),
        };
        self.record.insert(record).let_go(|kept| kept.0 = None);
    }

    /// It is over: nothing is stored of it any more.
    pub(crate) fn forget(&mut self, log: &mut ChangeLog) {
        self.record.take().into_iter().for_each(|record| drop(record.delete(log)));
    }

    /// Whether its watcher can be told. A phone whose connection went with an earlier process comes back by itself: it is
    /// looked for again. `None`: it has been waited for long enough.
    pub(crate) fn reaches(&mut self, rooms: &Rooms) -> Option<bool> {
        if self.leg.flow.conn != GONE {
            return Some(true);
        }
        let now = rooms.now.mono;
        if let Some(flow) = self.leg.way_now(rooms) {
            self.leg.flow = flow;
            return Some(true);
        }
        self.next_at = now + WATCHER_LOOKED_FOR_EVERY;
        (self.ended.is_none() && now < self.away_until).then_some(false)
    }

    /// It lasts for so long from now on; 0 ends it. What is watched is told in full (RFC 6665 4.2.1.2).
    pub fn lasts(&mut self, seconds: u32, now: Instant) {
        self.until = now + Duration::from_secs(seconds.into());
        if seconds == 0 {
            self.ended = Some(Ended::Timeout);
        }
        self.told = Told::Nothing;
        self.dirty = true;
        // The answer to a SUBSCRIBE is not held back by the pace of news.
        self.next_at = now;
    }

    /// It ends; its watcher is told at once.
    pub fn end(&mut self, why: Ended, now: Instant) {
        self.ended.get_or_insert(why);
        (self.dirty, self.next_at) = (true, now);
    }

    /// What is watched may have changed.
    pub fn touch(&mut self) {
        self.dirty = true;
    }

    /// Seconds that it still lasts.
    #[must_use]
    pub fn left_s(&self, now: Instant) -> u64 {
        self.until.saturating_duration_since(now).as_secs()
    }

    /// When its turn comes: not while a NOTIFY waits for its answer.
    pub(super) fn wake(&self) -> Option<Instant> {
        if self.sent.is_some() {
            return None;
        }
        Some(if self.dirty { self.next_at.min(self.until) } else { self.until })
    }

    /// Its time is over: that is told.
    pub fn expire(&mut self, now: Instant) {
        if self.until <= now {
            self.ended.get_or_insert(Ended::Timeout);
        }
    }

    /// There was nothing new to tell.
    pub fn rests(&mut self) {
        self.dirty = false;
    }

    /// Whether a NOTIFY may go now. It is asked again when it is not.
    #[must_use]
    pub fn is_due(&self, now: Instant) -> bool {
        self.sent.is_none() && (self.ended.is_some() || (self.dirty && self.next_at <= now))
    }

    /// Sends a NOTIFY with this body, or without one. False: there is no room for its transaction.
    pub fn notify(&mut self, rooms: &mut Rooms, key: Key, body: Option<&[u8]>) -> bool {
        let Some((txn, branch)) = rooms.endpoint.reserve() else { return false };
        let cseq = self.leg.dialog.next_cseq();
        if std::mem::take(&mut self.taken_up) {
            // Should this process die as well, the next one's numbers are higher than these.
            self.keep(rooms);
        }
        let mut flow = self.leg.flow;
        let mut payload = self.print(rooms, flow, (cseq, branch.as_ref()), body);
        let wanted = rooms.endpoint.pick_transport(flow, payload.len());
        if wanted.transport != flow.transport && !self.reconnected {
            flow = wanted;
            payload = self.print(rooms, flow, (cseq, branch.as_ref()), body);
        }
        rooms.endpoint.start(
            txn,
            tandem_sip::Method::Notify,
            flow,
            payload,
            Use::Notify(key),
            rooms.now.mono,
        );
        rooms.counters.notifies += 1;
        self.sent = Some(txn);
        self.dirty = false;
        self.next_at = rooms.now.mono + NOTIFY_INTERVAL;
        true
    }

    fn print(
        &self,
        rooms: &mut Rooms,
        flow: Flow,
        (cseq, branch): (u32, &[u8]),
        body: Option<&[u8]>,
    ) -> Bytes {
        let via = ViaLine { transport: flow.transport, sent_by: rooms.lines.via(flow), branch };
        let left = self.until.saturating_duration_since(rooms.now.mono).as_secs();
        let state = match self.ended {
            None => format!("active;expires={left}"),
            Some(why) => format!("terminated;reason={}", why.as_str()),
        };
        let mut builder = self.leg.dialog.request(&mut rooms.scratch, b"NOTIFY", cseq, via, 70);
        builder
            .header(HeaderName::Contact, rooms.lines.contact(flow))
            .header(HeaderName::Event, &self.event.print())
            .header(HeaderName::SubscriptionState, state.as_bytes());
        let Some(body) = body else { return builder.finish(b"") };
        builder.header(HeaderName::ContentType, self.event.package.content_type().as_bytes());
        builder.finish(body)
    }

    /// A NOTIFY was answered. False: the watcher is not there any more, or wants no more (RFC 6665 4.2.2).
    pub fn answered(&mut self, txn: TxnId, code: u16, response: &Message, now: Instant) -> bool {
        if self.sent != Some(txn) {
            return true;
        }
        self.sent = None;
        if (200..300).contains(&code) {
            self.reconnected = false;
            return self.ended.is_none();
        }
        let later = response.header(HeaderName::RetryAfter);
        let later = later.and_then(|value| {
            let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
            tandem_sip::lexer::number(value.get(..digits)?)
        });
        match later {
            Some(seconds) if self.ended.is_none() && !matches!(code, 481 | 489) => {
                self.told = Told::Nothing;
                self.dirty = true;
                self.next_at = now + Duration::from_secs(seconds.clamp(1, 3_600));
                true
            }
            Some(_) | None => false,
        }
    }

    /// A NOTIFY could not be sent. True: there is another way, and it goes again.
    pub fn undelivered(&mut self, txn: TxnId, now_at: Option<Flow>, now: Instant) -> bool {
        if self.sent != Some(txn) {
            return true;
        }
        self.sent = None;
        if std::mem::replace(&mut self.reconnected, true) {
            return false;
        }
        let other_way = match now_at.filter(|flow| *flow != self.leg.flow) {
            Some(flow) => {
                self.leg.flow = flow;
                true
            }
            // What outgrew UDP goes by UDP now.
            None => self.leg.reconnect() || !self.leg.flow.transport.is_reliable(),
        };
        (self.told, self.dirty, self.next_at) = (Told::Nothing, true, now);
        other_way
    }

    /// The 200 to a SUBSCRIBE of this dialog.
    pub fn accept(&self, rooms: &mut Rooms, txn: TxnId, flow: Flow, request: &Message, env: &Envelope<'_>) {
        let (tag, source) = (self.tag.text(), Some(flow.remote));
        let left = self.left_s(rooms.now.mono);
        let lines = &rooms.lines;
        let mut builder = response_to(&mut rooms.scratch, request, env, 200, b"OK", Some(&tag), source);
        builder
            .copy(request, HeaderName::RecordRoute)
            .header(HeaderName::Contact, lines.contact(flow))
            .number(HeaderName::Expires, left);
        let payload = builder.finish(b"");
        rooms.endpoint.respond(txn, 200, payload, rooms.now.mono);
    }
}
