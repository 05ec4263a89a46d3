//! Event notification (RFC 6665): who watches what here, and when each watcher is to be told.
//!
//! The table knows subscriptions and their clocks, not calls or registrations: [`Events::touch`] says that something
//! watched may have changed, [`Events::next_due`] names the subscriptions whose turn it is. A watcher has at most one
//! NOTIFY under way and at most one a second; what changes meanwhile is told together.
//!
//! Subscriptions are stored, and what mailboxes said: after a restart or a takeover each watcher is told all of it anew.

pub mod dialog_info;
mod mailbox;
mod package;
pub mod reg_info;
mod stored;
mod subscription;
mod xml;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use foldhash::fast::RandomState;
use smallvec::SmallVec;

pub use mailbox::{Mailboxes, NotKept, SUMMARY_TYPE};
pub use package::{ALLOW_EVENTS, EventType, Package};
pub(crate) use stored::{Kept, MAILBOX_KIND};
pub use subscription::{Ended, Subscription, Told, Wanted};

use crate::arena::{Arena, Key};
use crate::ids::Tag;
use crate::limits::{MAX_SUBSCRIPTIONS, MAX_SUBSCRIPTIONS_PER_WATCHER};

type Map<K, V> = HashMap<K, V, RandomState>;
/// Subscriptions to one package, by the number that is watched.
type Watched = Map<Arc<str>, SmallVec<[Key; 2]>>;

/// See the module.
#[derive(Debug)]
pub struct Events {
    table: Arena<Slot>,
    dialog: Watched,
    reg: Watched,
    summary: Watched,
    watchers: Map<Arc<str>, usize>,
    tags: Map<Tag, Key>,
    wakes: BTreeSet<(Instant, Key)>,
    /// What mailboxes said last.
    pub mailboxes: Mailboxes,
}

#[derive(Debug)]
struct Slot {
    subscription: Box<Subscription>,
    /// Its entry in `wakes`.
    wake: Option<Instant>,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            table: Arena::new(MAX_SUBSCRIPTIONS),
            dialog: Map::default(),
            reg: Map::default(),
            summary: Map::default(),
            watchers: Map::default(),
            tags: Map::default(),
            wakes: BTreeSet::new(),
            mailboxes: Mailboxes::default(),
        }
    }
}

impl Events {
    /// Whether a further subscription of this watcher fits.
    #[must_use]
    pub fn has_room(&self, watcher: &str) -> bool {
        let held = self.watchers.get(watcher).copied().unwrap_or(0);
        !self.table.is_full() && held < MAX_SUBSCRIPTIONS_PER_WATCHER
    }

    /// Takes a subscription in. Nothing comes back when the table, or this watcher's share of it, is full.
    pub fn insert(&mut self, subscription: Subscription) -> Option<Key> {
        let watcher = Arc::clone(&subscription.watcher);
        let held = self.watchers.get(&watcher).copied().unwrap_or(0);
        if held >= MAX_SUBSCRIPTIONS_PER_WATCHER {
            return None;
        }
        let (package, tag) = (subscription.event.package, subscription.tag);
        let watched = Arc::clone(&subscription.watched);
        let slot = Slot { subscription: Box::new(subscription), wake: None };
        let key = self.table.insert_with(|_| slot)?;
        self.watchers.insert(watcher, held + 1);
        self.tags.insert(tag, key);
        self.of_mut(package).entry(watched).or_default().push(key);
        self.arm(key);
        Some(key)
    }

    /// Takes one out.
    pub fn remove(&mut self, key: Key) -> Option<Subscription> {
        let Slot { subscription, wake } = self.table.remove(key)?;
        if let Some(at) = wake {
            self.wakes.remove(&(at, key));
        }
        self.tags.remove(&subscription.tag);
        if let Some(count) = self.watchers.get_mut(&subscription.watcher) {
            *count -= 1;
            if *count == 0 {
                self.watchers.remove(&subscription.watcher);
            }
        }
        let watched = self.of_mut(subscription.event.package);
        if let Some(keys) = watched.get_mut(&subscription.watched) {
            keys.retain(|known| *known != key);
            if keys.is_empty() {
                watched.remove(&subscription.watched);
            }
        }
        Some(*subscription)
    }

    /// The subscription with this key.
    #[must_use]
    pub fn get(&self, key: Key) -> Option<&Subscription> {
        self.table.get(key).map(|slot| &*slot.subscription)
    }

    /// Changes one, and sets its clock anew.
    pub fn change<R>(&mut self, key: Key, change: impl FnOnce(&mut Subscription) -> R) -> Option<R> {
        let outcome = change(&mut self.table.get_mut(key)?.subscription);
        self.arm(key);
        Some(outcome)
    }

    /// The subscription that our tag in a request belongs to.
    #[must_use]
    pub fn by_tag(&self, tag: Tag) -> Option<Key> {
        self.tags.get(&tag).copied()
    }

    /// Whether anybody watches the dialogs of a DN.
    #[must_use]
    pub fn is_watched(&self, dn: &str) -> bool {
        !self.dialog.is_empty() && self.dialog.contains_key(dn)
    }

    /// Whether anybody watches the contacts of a DN.
    #[must_use]
    pub fn watches_contacts(&self) -> bool {
        !self.reg.is_empty()
    }

    /// The contacts of any DN may have changed.
    pub fn touch_contacts(&mut self) {
        let keys = self.iter().filter(|(_, subscription)| subscription.event.package == Package::Reg);
        for key in keys.map(|(key, _)| key).collect::<Vec<_>>() {
            self.change(key, Subscription::touch);
        }
    }

    /// Whether anybody is subscribed to this of a DN.
    #[must_use]
    pub fn has(&self, package: Package, dn: &str) -> bool {
        self.of(package).contains_key(dn)
    }

    /// Something of a DN may have changed: its watchers are told as soon as their turn comes.
    pub fn touch(&mut self, package: Package, dn: &str) {
        let Some(keys) = self.of(package).get(dn) else { return };
        for key in keys.clone() {
            self.change(key, Subscription::touch);
        }
    }

    /// Every subscription, in order of its slot.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &Subscription)> {
        self.table.iter().map(|(key, slot)| (key, &*slot.subscription))
    }

    /// Subscriptions to a package.
    #[must_use]
    pub fn count(&self, package: Package) -> usize {
        self.iter().filter(|(_, subscription)| subscription.event.package == package).count()
    }

    /// Subscriptions to all packages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Is nobody subscribed to anything?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// When the next turn comes.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.wakes.first().map(|(at, _)| *at)
    }

    /// A subscription whose turn it is; it has no other turn until it is changed.
    pub fn next_due(&mut self, now: Instant) -> Option<Key> {
        let (at, key) = *self.wakes.first().filter(|(at, _)| *at <= now)?;
        self.wakes.remove(&(at, key));
        if let Some(slot) = self.table.get_mut(key) {
            slot.wake = None;
        }
        Some(key)
    }

    fn arm(&mut self, key: Key) {
        let Some(slot) = self.table.get_mut(key) else { return };
        let wake = slot.subscription.wake();
        if slot.wake == wake {
            return;
        }
        if let Some(at) = slot.wake {
            self.wakes.remove(&(at, key));
        }
        slot.wake = wake;
        self.wakes.extend(wake.map(|at| (at, key)));
    }

    fn of(&self, package: Package) -> &Watched {
        match package {
            Package::Dialog => &self.dialog,
            Package::Reg => &self.reg,
            Package::MessageSummary => &self.summary,
        }
    }

    fn of_mut(&mut self, package: Package) -> &mut Watched {
        match package {
            Package::Dialog => &mut self.dialog,
            Package::Reg => &mut self.reg,
            Package::MessageSummary => &mut self.summary,
        }
    }
}
