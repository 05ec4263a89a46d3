//! Anchored legs: those whose media a media server carries, because their device speaks as browsers do and the other
//! party does not, or because the configuration wants them so.
//!
//! The media server stands in the leg, not in the call: to the rest of the call an anchored leg is a phone that speaks
//! plain RTP from the server's address. So whatever happens to calls (forks, hold, transfer, conference, music) happens
//! to anchored legs as to any other. Every session description of such a leg is described by the media server before
//! it goes on, between the transaction layer and the call on its way in, and behind the transaction layer on its way
//! out; messages of one leg keep their order meanwhile.
//!
//! | file | what |
//! |---|---|
//! | `order` | what is asked of the media server |
//! | `leg` | one leg, and the messages of it that wait |
//! | `music` | what a device hears that is put on hold |
//! | `roles` | offer or answer |
//! | `stored` | what another process goes on with |
//! | `text` | messages and descriptions, rewritten |

mod leg;
mod music;
mod order;
mod profile;
mod roles;
mod stored;
mod text;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use smallvec::SmallVec;
use tandem_peer::{ChangeLog, Replicated};
use tandem_sip::{Envelope, Flow, Message, Received, Transmit, TxnId};

use self::leg::{Anchor, Held, message_of};
use self::stored::take_up;
pub use order::{AnchorId, AnchorNews, AnchorOrder, End, Part, Profile, Seat, Speaks};
pub use profile::{MediaChoice, MediaOption};
pub use stored::Kept;

use crate::arena::Key;
use crate::ids::Tag;
use crate::limits::{ANCHOR_LINGER, ANCHOR_PATIENCE, ANCHOR_SWEEP_EVERY, MAX_ANCHOR_WAITING, MAX_ANCHORS};
use crate::rooms::{Device, Use};
use crate::time::Now;

/// Why the media of a leg cannot be carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unbridged {
    /// For whoever asks why.
    pub why: Arc<str>,
    /// A media server refused; otherwise none works.
    pub refused: bool,
}

impl Unbridged {
    /// There is no `[media]` in the configuration.
    #[must_use]
    pub fn unconfigured() -> Self {
        Self { why: "no media server is configured ([media])".into(), refused: false }
    }

    /// The status that a caller is told.
    #[must_use]
    pub fn status(&self) -> u16 {
        if self.refused { 488 } else { 503 }
    }

    /// `Warning` (RFC 3261 20.43).
    #[must_use]
    pub fn warning(&self) -> String {
        format!("399 tandem \"{}\"", self.why.replace(['"', '\\'], "'"))
    }
}

/// What goes on now.
#[derive(Debug)]
pub enum Ready {
    /// A message from a device.
    In(Received<Use>),
    /// The INVITE that opened this call, as callees are told it.
    Caller(Key, Result<Message, Unbridged>),
    /// The INVITE of a device that takes part in a call that is there, as the call is told it.
    Taker(Box<Taker>),
    /// A request of a device is refused.
    Refuse(Received<Use>, Unbridged),
    /// A request to a device never left: it is refused as if by the device.
    Answer {
        /// Where it was to go.
        flow: Flow,
        /// The refusal.
        message: Message,
        /// Our tag in the dialog.
        own: Option<Tag>,
        /// Why.
        why: Unbridged,
    },
    /// The answer to a re-INVITE in the leg with this tag of ours could not be told: its sender was refused instead.
    Refused(Tag, Unbridged),
    /// The leg with this tag of ours has no media, and ends.
    HangUp(Tag, Unbridged),
}

/// An INVITE with `Replaces` whose sender is known.
#[derive(Debug)]
pub struct Taker {
    /// Its transaction.
    pub txn: TxnId,
    /// Where it came from.
    pub flow: Flow,
    /// It.
    pub message: Message,
    /// Who sent it.
    pub device: Device,
}

/// What goes on now, or leaves.
#[expect(clippy::large_enum_variant, reason = "it lives for a moment; a box would be made for each message")]
enum Next {
    Ready(Ready),
    Out(Transmit),
}

/// By what a leg is looked for among the calls.
pub(crate) struct Lives<'a> {
    /// Our tag in it.
    pub(crate) own: Option<Tag>,
    /// The call that it began in.
    pub(crate) call: Key,
    /// Its Call-ID.
    pub(crate) call_id: &'a [u8],
}

/// All anchored legs of a node.
#[derive(Debug, Default)]
pub struct Anchors {
    legs: BTreeMap<AnchorId, Anchor>,
    by_call_id: BTreeMap<Box<[u8]>, SmallVec<[AnchorId; 1]>>,
    next: u64,
    /// Messages that wait, of all legs.
    waiting: usize,
    timers: BTreeSet<(Instant, AnchorId)>,
    sweep_at: Option<Instant>,
    orders: VecDeque<AnchorOrder>,
    ready: VecDeque<Ready>,
    /// Messages to devices that go on.
    out: VecDeque<Transmit>,
    /// Call-IDs of legs that have left a call.
    left: Vec<Box<[u8]>>,
    /// Legs whose session was lost, and who are not described anew yet.
    lost: BTreeSet<AnchorId>,
    /// Legs whose records may not say what they are.
    changed: BTreeSet<AnchorId>,
    /// `default-music`: what legs that begin from now on hear while they are held.
    pub(crate) music: Option<Arc<str>>,
}

impl Anchors {
    /// Whether there is none, as on a server that no browser uses.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.legs.is_empty()
    }

    /// None yet; each will hear this while it is held.
    #[must_use]
    pub fn with_music(music: Option<Arc<str>>) -> Self {
        Self { music, ..Self::default() }
    }

    /// Anchored legs, without those that ended.
    #[must_use]
    pub fn len(&self) -> usize {
        self.legs.values().filter(|leg| leg.ended.is_none()).count()
    }

    /// Anchors the leg of a call that an INVITE makes. False: there are too many.
    pub(crate) fn begin(
        &mut self,
        call: Key,
        names: [&[u8]; 2],
        own: Option<Tag>,
        profile: Profile,
        now: Now,
    ) -> bool {
        if self.legs.len() >= MAX_ANCHORS {
            return false;
        }
        let id = self.next_id();
        let mut leg = Anchor::new(id, call, names, profile);
        leg.own = own;
        leg.music.file.clone_from(&self.music);
        self.add(leg, now);
        true
    }

    fn next_id(&mut self) -> AnchorId {
        let id = AnchorId(self.next);
        self.next += 1;
        id
    }

    fn add(&mut self, leg: Anchor, now: Now) {
        self.by_call_id.entry(leg.call_id.clone()).or_default().push(leg.id);
        self.legs.insert(leg.id, leg);
        self.sweep_at.get_or_insert(now.mono + ANCHOR_SWEEP_EVERY);
    }

    /// Takes up the stored leg of a call; without one its session ends. False: there are too many.
    pub(crate) fn restore(
        &mut self,
        call: Option<Key>,
        kept: Replicated<Kept>,
        log: &mut ChangeLog,
        now: Now,
    ) -> bool {
        if self.legs.len() >= MAX_ANCHORS {
            return false;
        }
        let id = self.next_id();
        self.orders.push_back(take_up(id, &kept));
        match call {
            Some(call) => self.add(Anchor::restored(id, call, kept), now),
            None => {
                kept.delete(log);
                self.orders.push_back(AnchorOrder::Release { id });
            }
        }
        true
    }

    /// Whatever is stored has been taken up.
    pub(crate) fn all_taken_up(&mut self) {
        self.orders.push_back(AnchorOrder::AllTakenUp);
    }

    /// Whether the leg of a device that made this INVITE is anchored.
    pub(crate) fn has(&self, invite: &Message) -> bool {
        invite.envelope().is_ok_and(|env| self.find(&env).is_some())
    }

    /// Brings records up to date.
    pub(crate) fn keep(&mut self, log: &mut ChangeLog, next_record: &mut u64) {
        for id in std::mem::take(&mut self.changed) {
            if let Some(leg) = self.legs.get_mut(&id) {
                leg.keep(log, next_record);
            }
        }
    }

    /// The same for the leg of a caller, whose INVITE then waits for [`Ready::Caller`] if it has a description.
    pub(crate) fn begin_caller(
        &mut self,
        call: Key,
        own: Tag,
        profile: Profile,
        invite: &Message,
        now: Now,
    ) -> bool {
        let Ok(env) = invite.envelope() else { return false };
        let names = [env.call_id, env.from_tag.unwrap_or_default()];
        if !self.begin(call, names, Some(own), profile, now) {
            return false;
        }
        if let Some(id) = self.find(&env) {
            self.came(id, Held::Caller(invite.clone()), now);
        }
        true
    }

    /// The same for who takes part in a call that is there: his INVITE waits for [`Ready::Taker`], also without a
    /// description.
    pub(crate) fn begin_taker(&mut self, call: Key, profile: Profile, taker: Taker, now: Now) -> bool {
        let message = taker.message.clone();
        let Ok(env) = message.envelope() else { return false };
        let names = [env.call_id, env.from_tag.unwrap_or_default()];
        if self.find(&env).is_some() || !self.begin(call, names, None, profile, now) {
            return false;
        }
        if let Some(id) = self.find(&env) {
            self.came(id, Held::Taker(Box::new(taker)), now);
        }
        true
    }

    fn came(&mut self, id: AnchorId, invite: Held, now: Now) {
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.came = true;
        }
        self.hold(id, invite);
        self.run(id, now);
    }

    fn find(&self, env: &Envelope<'_>) -> Option<AnchorId> {
        let ids = self.by_call_id.get(env.call_id)?;
        let is = |tag: Option<&[u8]>, leg: &Anchor| tag == Some(&*leg.tag);
        let mine = |id: &&AnchorId| {
            self.legs.get(id).is_some_and(|leg| is(env.from_tag, leg) || is(env.to_tag, leg))
        };
        ids.iter().find(mine).copied()
    }

    /// Takes what a device sent; gives it back if it need not wait.
    pub(crate) fn incoming(&mut self, received: Received<Use>, now: Now) -> Option<Received<Use>> {
        let Some(message) = message_of(&received).filter(|message| self.concerns(message.body())) else {
            return Some(received);
        };
        let Some(id) = message.envelope().ok().filter(in_dialog).and_then(|env| self.find(&env)) else {
            return Some(received);
        };
        if !self.legs.get(&id).is_some_and(|leg| leg.keeps(End::Far, message)) {
            return Some(received);
        }
        if self.hold(id, Held::In(received)) {
            self.run(id, now);
        }
        None
    }

    /// Takes what is to be sent; gives it back if it need not wait.
    pub(crate) fn outgoing(&mut self, transmit: Transmit, now: Now) -> Option<Transmit> {
        let bare = transmit.payload.ends_with(b"\r\n\r\n");
        if !self.concerns(if bare { b"" } else { b"." }) {
            return Some(transmit);
        }
        let Ok(message) = Message::parse(transmit.payload.clone()) else { return Some(transmit) };
        let found = message.envelope().ok().and_then(|env| {
            let own = if message.is_request() { env.from_tag } else { env.to_tag };
            Some((self.find(&env)?, own.and_then(Tag::parse)))
        });
        let Some((id, own)) = found else { return Some(transmit) };
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.own = own.or(leg.own);
            let again = |held: &Held| matches!(held, Held::Out(out, _) if out.payload == transmit.payload);
            if leg.waiting.iter().any(again) {
                return None;
            }
            if !leg.keeps(End::Near, &message) {
                return Some(transmit);
            }
        }
        if self.hold(id, Held::Out(transmit, message)) {
            self.run(id, now);
        }
        None
    }

    /// Whether a message with this body could have to wait.
    fn concerns(&self, body: &[u8]) -> bool {
        !self.legs.is_empty() && (self.waiting > 0 || !body.is_empty())
    }

    /// Puts a message behind those that wait. False: there are too many, and it is as lost on the way.
    fn hold(&mut self, id: AnchorId, held: Held) -> bool {
        let Some(leg) = self.legs.get_mut(&id) else { return false };
        if leg.waiting.len() >= MAX_ANCHOR_WAITING {
            return false;
        }
        leg.waiting.push_back(held);
        self.waiting += 1;
        true
    }

    fn run(&mut self, id: AnchorId, now: Now) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let (before, asked) = (leg.waiting.len(), leg.asked.is_some());
        let mut ready = SmallVec::new();
        leg.run(now.mono + ANCHOR_PATIENCE, &mut ready, &mut self.orders);
        self.changed.insert(id);
        self.orders.extend(leg.music.poll(id));
        self.sort(ready);
        let Some(leg) = self.legs.get(&id) else { return };
        self.waiting = self.waiting.saturating_sub(before.saturating_sub(leg.waiting.len()));
        if let Some(question) = leg.asked.as_ref().filter(|_| !asked) {
            self.timers.insert((question.until, id));
        }
    }

    fn sort(&mut self, next: impl IntoIterator<Item = Next>) {
        for next in next {
            match next {
                Next::Out(transmit) => self.out.push_back(transmit),
                Next::Ready(ready) => self.ready.push_back(ready),
            }
        }
    }

    /// What the media server says. `address`: of this server, for the origin of what it tells.
    pub(crate) fn news(&mut self, news: AnchorNews, address: &str, now: Now) {
        match news {
            AnchorNews::Described { id, turn, sdp } => {
                let settled = self.settle(id, turn, now, |leg| match leg.described(address, &sdp) {
                    Ok(ready) => [ready, None],
                    Err(why) => leg.failed(why),
                });
                if settled {
                    self.lost.remove(&id);
                }
            }
            AnchorNews::Failed { id, turn, why, refused } => {
                self.settle(id, turn, now, |leg| leg.failed(Unbridged { why, refused }));
            }
            AnchorNews::Placed { id, seat } => {
                if let Some(leg) = self.legs.get_mut(&id) {
                    leg.placed(seat);
                    // The description that follows is stored with it.
                    self.changed.extend(leg.asked.is_none().then_some(id));
                }
            }
            AnchorNews::Lost { id } => {
                self.changed.insert(id);
                if let Some(leg) = self.legs.get_mut(&id).filter(|leg| leg.ended.is_none()) {
                    leg.forget();
                    self.lost.insert(id);
                }
            }
        }
    }

    /// False: nobody waits for that any more.
    fn settle(
        &mut self,
        id: AnchorId,
        turn: u32,
        now: Now,
        outcome: impl FnOnce(&mut Anchor) -> [Option<Next>; 2],
    ) -> bool {
        let Some(leg) = self.legs.get_mut(&id) else { return false };
        let Some(asked) = leg.asked.as_ref().filter(|asked| asked.turn == turn) else { return false };
        self.timers.remove(&(asked.until, id));
        let before = leg.waiting.len();
        let next = outcome(leg);
        self.waiting = self.waiting.saturating_sub(before.saturating_sub(leg.waiting.len()));
        self.sort(next.into_iter().flatten());
        self.run(id, now);
        true
    }

    /// A leg with this Call-ID has left a call: it is over, unless it goes on in another.
    pub(crate) fn left(&mut self, call_id: &[u8]) {
        if self.by_call_id.contains_key(call_id) {
            self.left.push(call_id.into());
        }
    }

    /// Ends those legs that have left a call and are in no other; see [`Anchors::handle_timeout`].
    pub(crate) fn settle_left(&mut self, now: Now, lives: impl Fn(Lives<'_>) -> bool) {
        for call_id in std::mem::take(&mut self.left) {
            let ids = self.by_call_id.get(&call_id).map(SmallVec::as_slice).unwrap_or_default();
            if !ids.iter().filter_map(|id| self.legs.get(id)).any(|leg| lives(leg.lives())) {
                self.end(&call_id, now);
            }
        }
    }

    fn end(&mut self, call_id: &[u8], now: Now) {
        let Some(ids) = self.by_call_id.get(call_id) else { return };
        for id in ids.clone() {
            let Some(leg) = self.legs.get_mut(&id).filter(|leg| leg.ended.is_none()) else { continue };
            leg.ended = Some(now.mono);
            self.timers.insert((now.mono + ANCHOR_LINGER, id));
            self.lost.remove(&id);
            self.changed.insert(id);
            self.orders.push_back(AnchorOrder::Release { id });
        }
    }

    fn drop_leg(&mut self, id: AnchorId) {
        let Some(leg) = self.legs.remove(&id) else { return };
        self.waiting = self.waiting.saturating_sub(leg.waiting.len());
        if let Some(asked) = leg.asked {
            self.timers.remove(&(asked.until, id));
        }
        if let Some(ids) = self.by_call_id.get_mut(&leg.call_id) {
            ids.retain(|own| *own != id);
            if ids.is_empty() {
                self.by_call_id.remove(&leg.call_id);
            }
        }
        self.lost.remove(&id);
        if self.legs.is_empty() {
            self.sweep_at = None;
        }
    }

    /// The next moment at which there is something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let first = self.timers.first().map(|(at, _)| *at);
        [first, self.sweep_at].into_iter().flatten().min()
    }

    /// Runs what is due. `lives`: whether a leg is still in some call.
    pub(crate) fn handle_timeout(&mut self, now: Now, lives: impl Fn(Lives<'_>) -> bool) {
        while let Some((at, id)) = self.timers.first().copied().filter(|(at, _)| *at <= now.mono) {
            self.timers.remove(&(at, id));
            let Some(leg) = self.legs.get(&id) else { continue };
            match &leg.asked {
                Some(asked) if asked.until == at => {
                    let (turn, why) = (asked.turn, "the media server is too slow".into());
                    let refused = false;
                    self.timers.insert((at, id));
                    self.news(AnchorNews::Failed { id, turn, why, refused }, "", now);
                }
                Some(_) | None if leg.ended.is_some() => self.drop_leg(id),
                Some(_) | None => {}
            }
        }
        if self.sweep_at.is_some_and(|at| at <= now.mono) {
            self.sweep_at = Some(now.mono + ANCHOR_SWEEP_EVERY);
            let gone = |leg: &&Anchor| {
                // Who takes part in a call is none of its legs before his INVITE has been described.
                leg.ended.is_none() && leg.waiting.is_empty() && !lives(leg.lives())
            };
            let gone: Vec<Box<[u8]>> =
                self.legs.values().filter(gone).map(|leg| leg.call_id.clone()).collect();
            for call_id in gone {
                self.end(&call_id, now);
            }
        }
    }

    /// What is asked of the media server next.
    pub(crate) fn poll_order(&mut self) -> Option<AnchorOrder> {
        self.orders.pop_front()
    }

    /// What leaves next.
    pub(crate) fn poll_out(&mut self) -> Option<Transmit> {
        self.out.pop_front()
    }

    /// What goes on next.
    pub(crate) fn poll_ready(&mut self) -> Option<Ready> {
        self.ready.pop_front()
    }

    /// Legs whose media are lost, with our tag in them.
    pub(crate) fn lost(&self) -> Vec<(AnchorId, Option<Tag>)> {
        self.lost.iter().map(|id| (*id, self.legs.get(id).and_then(|leg| leg.own))).collect()
    }

    /// Nothing more need be done about a lost leg.
    pub(crate) fn found(&mut self, id: AnchorId) {
        self.lost.remove(&id);
    }

    /// Whether some leg is lost.
    pub(crate) fn has_lost(&self) -> bool {
        !self.lost.is_empty()
    }
}

/// Whether the message belongs to a dialog, made or in the making: the INVITE that opens a call does not.
fn in_dialog(env: &Envelope<'_>) -> bool {
    env.to_tag.is_some()
}
