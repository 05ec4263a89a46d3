//! All calls of a node, and when each wants to be woken.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use smallvec::SmallVec;

use super::{Call, CallTimer, Opening};
use crate::arena::{Arena, Key};
use crate::explain::Explained;
use crate::limits::EMERGENCY_CALLS;
use crate::rooms::Rooms;

/// Entries of `wakes` beyond four for each call from which dead ones are sought.
const TIDY_FROM: usize = 4_096;

/// See the module.
#[derive(Debug)]
pub struct Calls {
    arena: Arena<Slot>,
    bound: usize,
    wakes: BinaryHeap<Reverse<(Instant, Key)>>,
    /// What is left of calls that operations ended; taken after each of them.
    over: VecDeque<Explained>,
}

#[derive(Debug)]
struct Slot {
    call: Box<Call>,
    /// The entry of `wakes` that counts for this call; older ones are dead.
    armed: Option<Instant>,
    /// Trunks over which its legs run, each as often as it has legs there, as the trunks have been told.
    trunks: SmallVec<[Arc<str>; 1]>,
}

impl Slot {
    fn new(call: Call) -> Self {
        Self { call: Box::new(call), armed: None, trunks: SmallVec::new() }
    }

    /// Tells the trunks which legs the call has now.
    fn count(&mut self, rooms: &mut Rooms) {
        if !self.call.trunks().eq(self.trunks.iter()) {
            let now: SmallVec<[Arc<str>; 1]> = self.call.trunks().cloned().collect();
            rooms.trunks.load.changed(&self.trunks, &now);
            self.trunks = now;
        }
    }
}

impl Calls {
    /// A table for at most `bound` calls, and [`EMERGENCY_CALLS`] beyond them for those who call for help.
    #[must_use]
    pub fn new(bound: usize) -> Self {
        Self {
            arena: Arena::new(bound + EMERGENCY_CALLS),
            bound,
            wakes: BinaryHeap::new(),
            over: VecDeque::new(),
        }
    }

    /// Calls now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.arena.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.arena.len() == 0
    }

    /// Whether no further call fits.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.arena.len() >= self.bound
    }

    /// Whether not even an emergency call does.
    #[must_use]
    pub fn is_full_for_help(&self) -> bool {
        self.arena.is_full()
    }

    /// Every call, in order of its slot.
    pub fn iter(&self) -> impl Iterator<Item = &Call> {
        self.arena.iter().map(|(_, slot)| &*slot.call)
    }

    /// The call with this key.
    #[must_use]
    pub fn get(&self, key: Key) -> Option<&Call> {
        self.arena.get(key).map(|slot| &*slot.call)
    }

    /// Notes the `ConnID` under which the CTI interface knows a call from now on, unless it knew it before.
    pub fn known_as(&mut self, key: Key, conn: u64) {
        if let Some(slot) = self.arena.get_mut(key) {
            slot.call.conn.get_or_insert(conn);
        }
    }

    /// Whether no INVITE is under way within the call, so that its dialogs may be changed; a call that is not there is at
    /// rest.
    #[must_use]
    pub fn is_at_rest(&self, key: Key) -> bool {
        self.get(key).is_none_or(Call::is_at_rest)
    }

    /// Keys of every call, in order of the slots.
    #[must_use]
    pub fn keys(&self) -> Vec<Key> {
        self.arena.iter().map(|(key, _)| key).collect()
    }

    /// Opens a call. What is left of it comes back when it is over at once.
    pub fn open(&mut self, rooms: &mut Rooms, opening: Opening) -> Option<Explained> {
        let key = self.arena.insert_with(|key| Slot::new(Call::open(rooms, key, opening)))?;
        let over = self.settle(rooms, key);
        self.run_errands(rooms);
        over
    }

    /// Lets a call handle something. What is left of it comes back when it is over.
    pub fn with(
        &mut self,
        rooms: &mut Rooms,
        key: Key,
        act: impl FnOnce(&mut Call, &mut Rooms),
    ) -> Option<Explained> {
        act(&mut self.arena.get_mut(key)?.call, rooms);
        let over = self.settle(rooms, key);
        self.run_errands(rooms);
        over
    }

    /// Opens a call that an operation makes, unless it fails at once.
    pub(super) fn open_with(
        &mut self,
        rooms: &mut Rooms,
        open: impl FnOnce(&mut Rooms, Key) -> Result<Call, u16>,
    ) -> Result<Key, u16> {
        let mut failed = 503;
        let key = self.arena.try_insert_with(|key| {
            let call = open(rooms, key).map_err(|status| failed = status).ok()?;
            Some(Slot::new(call))
        });
        let key = key.ok_or(failed)?;
        let over = self.settle(rooms, key);
        self.over.extend(over);
        self.run_errands(rooms);
        Ok(key)
    }

    /// Lets a call do what an operation asks for; `None` when there is no such call.
    pub(super) fn act<T>(
        &mut self,
        rooms: &mut Rooms,
        key: Key,
        act: impl FnOnce(&mut Call, &mut Rooms) -> T,
    ) -> Option<T> {
        let outcome = self.touch(rooms, key, act);
        self.run_errands(rooms);
        outcome
    }

    /// The same for one of several calls that are changed together.
    pub(super) fn touch<T>(
        &mut self,
        rooms: &mut Rooms,
        key: Key,
        act: impl FnOnce(&mut Call, &mut Rooms) -> T,
    ) -> Option<T> {
        let outcome = act(&mut self.arena.get_mut(key)?.call, rooms);
        let over = self.settle(rooms, key);
        self.over.extend(over);
        Some(outcome)
    }

    /// A call that is changed together with others, without what follows from the change.
    pub(super) fn in_hand(&mut self, key: Key) -> Option<&mut Call> {
        self.arena.get_mut(key).map(|slot| &mut *slot.call)
    }

    /// What is left of calls that operations ended.
    pub fn poll_over(&mut self) -> Option<Explained> {
        self.over.pop_front()
    }

    fn settle(&mut self, rooms: &mut Rooms, key: Key) -> Option<Explained> {
        let slot = self.arena.get_mut(key)?;
        slot.call.hush(rooms);
        slot.call.takeover_goes_on(rooms);
        slot.call.refer_goes_on(rooms);
        slot.call.keep_life(rooms);
        slot.call.keep_unanswered(rooms);
        slot.call.keep_nailed(rooms);
        slot.count(rooms);
        if slot.call.is_over() {
            let slot = self.arena.remove(key)?;
            rooms.trunks.load.changed(&slot.trunks, &[]);
            let is_aside = slot.call.is_aside();
            // What was decided beside a conversation is told with it.
            return Some(slot.call.conclude(rooms)).filter(|_| !is_aside);
        }
        if let Some((at, _)) = slot.call.poll_timeout()
            && slot.armed.is_none_or(|armed| at < armed)
        {
            slot.armed = Some(at);
            self.wakes.push(Reverse((at, key)));
        }
        None
    }

    /// The next moment at which some call wants to be woken, and what for.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, CallTimer)> {
        let Reverse((at, key)) = self.wakes.peek()?;
        let timer = self.arena.get(*key).and_then(|slot| slot.call.poll_timeout()).map(|(_, timer)| timer);
        Some((*at, timer.unwrap_or(CallTimer::Ring)))
    }

    /// A call that is due, if one is: hand it to [`Calls::with`] and `Call::handle_timeout`.
    pub fn next_due(&mut self, now: Instant) -> Option<Key> {
        loop {
            let Reverse((at, key)) = *self.wakes.peek()?;
            if at > now {
                return None;
            }
            self.wakes.pop();
            let Some(slot) = self.arena.get_mut(key) else { continue };
            if slot.armed == Some(at) {
                slot.armed = None;
                return Some(key);
            }
        }
    }

    /// Drops dead entries from the front, so that [`Calls::poll_timeout`] never names one; and everywhere, once they are
    /// many: a call that ends leaves the entry of its session timer behind.
    pub fn tidy(&mut self) {
        if self.wakes.len() > 4 * self.arena.len() + TIDY_FROM {
            let armed = self.arena.iter().filter_map(|(key, slot)| Some(Reverse((slot.armed?, key))));
            self.wakes = armed.collect();
        }
        while let Some(Reverse((at, key))) = self.wakes.peek()
            && self.arena.get(*key).is_none_or(|slot| slot.armed != Some(*at))
        {
            self.wakes.pop();
        }
    }
}
