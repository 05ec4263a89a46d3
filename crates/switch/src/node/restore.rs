//! A node built again from its records: after a crash, a restart, or on the server that takes over.
//!
//! What was stored was stored before anybody was told of it, so what comes back is at least what the world knows. Rooms
//! are filled in the order in which they lean on each other: who is registered, calls, clients, agents, what clients know
//! of calls, places in queues. Records that nothing belongs to any more are deleted; those of a kind that this version
//! does not know, and those that it cannot read, stay in the store and are counted.
//!
//! For [`RESTORED_GRACE`] nobody is logged out and no call ends because a phone or a client is not back yet.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use tandem_peer::ChangeLog;
use tandem_peer::continuity::Mode;
use tandem_peer::replica::{Change, Record, RecordKey, Replicated};

use super::Node;
use super::drain_record::Draining;
use super::floor::{desk, with_calls};
use super::migrate_record::{Migrating, Moved};
use crate::agent::{self, Agent, Agents};
use crate::anchor;
use crate::arena::Key;
use crate::call::{Nailed, Resumed, TakenUp, Talk, Unanswered};
use crate::cti::calls::{self, TCall};
use crate::cti::sessions::{Identity, Progress, Registration};
use crate::directory::Directory;
use crate::events::{Kept, MAILBOX_KIND};
use crate::guard::locked::LockedOut;
use crate::limits::{MAX_UNREAD_NAMED, RESTORED_GRACE};
use crate::queue::{self, Place};
use crate::registrar::Binding;
use crate::reject::Reject;
use crate::routing;
use crate::time::{Deadline, Now};
use crate::trunks::believed::Believed;

/// Who writes records from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// The server.
    pub owner: u16,
    /// Higher than the epoch of every record that there is: one that is not is raised.
    pub epoch: u32,
}

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Registered contacts.
    pub bindings: usize,
    /// Calls that go on.
    pub calls: usize,
    /// Calls that nobody had answered, and that wait on or are tried anew.
    pub setups: usize,
    /// Connections nailed up to agents' phones.
    pub nailed: usize,
    /// Calls that had ended, and whose parties are told again.
    pub ending: usize,
    /// Agents logged in.
    pub agents: usize,
    /// Calls that wait in queues and at routing points.
    pub waiting: usize,
    /// Sessions of clients.
    pub sessions: usize,
    /// Legs whose media a media server goes on carrying.
    pub anchored: usize,
    /// Subscriptions of phones: lamps.
    pub watchers: usize,
    /// Trunks and probed devices of which something had become.
    pub trunks: usize,
    /// Trunks and probed devices that are believed to be out of service.
    pub trunks_out: usize,
    /// Sources and users who are still locked out.
    pub locked_out: usize,
    /// Who asked for the graceful shutdown that goes on.
    pub draining: Option<Box<str>>,
    /// The graceful migration that goes on: to which site, and how much of a hundred.
    pub migrating: Option<(Box<str>, u8)>,
    /// Agents whom that has sent there.
    pub moved: usize,
    /// Records of kinds that this version does not know, by kind. They stay in the store.
    pub unknown: BTreeMap<u8, usize>,
    /// Records that could not be read. They stay in the store.
    pub unread: usize,
    /// The first of these.
    pub unread_named: Vec<RecordKey>,
}

impl fmt::Display for Restored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bindings, calls, setups, ending, agents, waiting, sessions, watchers, .. } = self;
        let Self { anchored, nailed, trunks_out, locked_out, draining, migrating, unknown, unread, .. } =
            self;
        write!(
            f,
            "{bindings} registrations, {calls} calls, {setups} in set-up and {ending} that had just ended, {agents} agents, \
             {waiting} waiting calls, {sessions} client sessions, {watchers} subscriptions"
        )?;
        if *anchored > 0 {
            write!(f, ", {anchored} legs at media servers")?;
        }
        if *nailed > 0 {
            write!(f, "; {nailed} connections nailed up to phones")?;
        }
        if *trunks_out > 0 {
            write!(f, "; {trunks_out} trunks and devices are out of service until they answer")?;
        }
        if *locked_out > 0 {
            write!(f, "; {locked_out} lock-outs go on")?;
        }
        if let Some(by) = draining {
            write!(f, "; the graceful shutdown that {by} asked for goes on")?;
        }
        if let Some((to, percent)) = migrating {
            write!(f, "; the migration to {to} goes on, at {percent} %")?;
        }
        if *unread > 0 {
            write!(f, "; {unread} records cannot be read and stay as they are:")?;
            for key in &self.unread_named {
                write!(f, " {}/{:x}", key.kind, key.id)?;
            }
        }
        for (kind, count) in unknown {
            write!(f, "; {count} records of kind {kind} are of a newer version and stay as they are")?;
        }
        Ok(())
    }
}

impl Restored {
    pub(super) fn unread(&mut self, key: RecordKey) {
        self.unread += 1;
        if self.unread_named.len() < MAX_UNREAD_NAMED {
            self.unread_named.push(key);
        }
    }
}

impl Node {
    /// A node with everything that these records hold, each named once, in any order. Drain
    /// [`poll_output`](Self::poll_output) afterwards, as after an input. `seed` is mixed with the epoch, so that no branch,
    /// tag, Call-ID, ConnID or session is given out twice even if it is the same again.
    #[must_use]
    pub fn restored(
        directory: Arc<Directory>,
        seed: [u8; 32],
        term: Term,
        records: impl IntoIterator<Item = Change>,
        now: Now,
    ) -> (Self, Restored) {
        let mut by_kind: BTreeMap<u8, Vec<Change>> = BTreeMap::new();
        let mut epoch = term.epoch;
        for change in records {
            epoch = epoch.max(change.stamp.epoch.saturating_add(1));
            by_kind.entry(change.key.kind).or_default().push(change);
        }
        by_kind.values_mut().for_each(|changes| changes.sort_by_key(|change| change.key.id));
        let mut node = Self::new(directory, mixed(seed, epoch), now);
        node.rooms.log = ChangeLog::new(term.owner, epoch);
        node.floor.sessions.begin_epoch(epoch);
        let timers = node.rooms.directory.options.timers;
        node.orphans_until = Some(now.mono + RESTORED_GRACE + timers.patience());
        node.rooms.registrar.hold_until(Deadline::after(now.unix_ms, RESTORED_GRACE));
        let mut restored = Restored::default();
        node.restore_bindings(&by_kind.remove(&Binding::KIND).unwrap_or_default(), &mut restored);
        node.restore_trunks(&by_kind.remove(&Believed::KIND).unwrap_or_default(), &mut restored);
        node.restore_lock_outs(&by_kind.remove(&LockedOut::KIND).unwrap_or_default(), &mut restored);
        let mut keys = node.restore_calls(&by_kind.remove(&Talk::KIND).unwrap_or_default(), &mut restored);
        let setups = by_kind.remove(&Unanswered::KIND).unwrap_or_default();
        let setups = node.resume_calls(&setups, &mut keys, &mut restored);
        node.restore_nailed(&by_kind.remove(&Nailed::KIND).unwrap_or_default(), &mut restored);
        node.restore_anchors(&by_kind.remove(&anchor::Kept::KIND).unwrap_or_default(), &mut restored);
        for kind in [Identity::KIND, Progress::KIND, Registration::KIND] {
            node.restore_sessions(&by_kind.remove(&kind).unwrap_or_default(), &mut restored);
        }
        node.restore_agents(&by_kind.remove(&Agent::KIND).unwrap_or_default(), &mut restored);
        // Nobody is offered a call before it is known who has one.
        let available = node.floor.agents.withhold();
        node.restore_tcalls(&by_kind.remove(&TCall::KIND).unwrap_or_default(), &keys, &mut restored);
        node.end_half_conferences();
        node.restore_drain(&by_kind.remove(&Draining::KIND).unwrap_or_default(), &mut restored);
        let moved = by_kind.remove(&Moved::KIND).unwrap_or_default();
        node.restore_migration(&by_kind.remove(&Migrating::KIND).unwrap_or_default(), &moved, &mut restored);
        let mailboxes = by_kind.remove(&MAILBOX_KIND).unwrap_or_default();
        node.restore_watchers(&mailboxes, &by_kind.remove(&Kept::KIND).unwrap_or_default(), &mut restored);
        // A phone with one line refuses a second call while it rings for the first.
        node.rooms.run_takebacks();
        let (waiting, others): (Vec<Key>, Vec<Key>) = setups.into_iter().partition(|key| node.waits(*key));
        // Nor before whoever rang for a call that waits has let go of it.
        waiting.into_iter().for_each(|key| node.goes_on(key));
        node.flush();
        node.restore_places(&by_kind.remove(&Place::KIND).unwrap_or_default(), &mut restored);
        node.floor.agents.tell_available(available);
        others.into_iter().for_each(|key| node.goes_on(key));
        restored.unknown = by_kind.into_iter().map(|(kind, changes)| (kind, changes.len())).collect();
        (restored.agents, restored.waiting) = (node.floor.agents.len(), node.floor.queues.waiting());
        restored.sessions = node.floor.sessions.len();
        node.count_routers();
        node.audit_peer();
        node.flush();
        (node, restored)
    }

    fn restore_bindings(&mut self, changes: &[Change], restored: &mut Restored) {
        let rooms = &mut self.rooms;
        for change in changes {
            if !rooms.registrar.restore(change, &rooms.directory, &mut rooms.log) {
                restored.unread(change.key);
            }
        }
        rooms.registrar.settle(rooms.now.mono);
        restored.bindings = rooms.registrar.len();
    }

    fn restore_trunks(&mut self, changes: &[Change], restored: &mut Restored) {
        let rooms = &mut self.rooms;
        for change in changes {
            let next_record = &mut rooms.next_record;
            if !rooms.trunks.restore(change, &rooms.directory, rooms.now, &mut rooms.log, next_record) {
                restored.unread(change.key);
            }
        }
        (restored.trunks, restored.trunks_out) = rooms.trunks.restored(&rooms.directory, rooms.now);
        self.signals.mode_changed(Mode::SingleSite, rooms.trunks.mode(), rooms.now.mono);
    }

    fn restore_lock_outs(&mut self, changes: &[Change], restored: &mut Restored) {
        let rooms = &mut self.rooms;
        let policy = &rooms.directory.options.guard;
        for change in changes {
            rooms.next_record = rooms.next_record.max(change.key.id);
            if !rooms.guard.locks.restore(change, policy, rooms.now, &mut rooms.log) {
                restored.unread(change.key);
            }
        }
        restored.locked_out = rooms.guard.locks.len(rooms.now.mono);
    }

    /// Gives the calls that go on by their `CallUUID`.
    fn restore_calls(&mut self, changes: &[Change], restored: &mut Restored) -> HashMap<u128, Key> {
        let mut keys = HashMap::new();
        for change in changes {
            match self.calls.restore(&mut self.rooms, change) {
                TakenUp::Talks(key, uuid) => {
                    keys.insert(uuid, key);
                    restored.calls += 1;
                }
                TakenUp::Ends => restored.ending += 1,
                TakenUp::Unread => restored.unread(change.key),
            }
        }
        // What calls tell of themselves now was told before, or is told with what clients know of them.
        self.rooms.facts.retain(|fact| !matches!(fact, crate::rooms::Fact::Call(..)));
        keys
    }

    /// Gives the calls that nobody had answered and that may go on.
    fn resume_calls(
        &mut self,
        changes: &[Change],
        keys: &mut HashMap<u128, Key>,
        restored: &mut Restored,
    ) -> Vec<Key> {
        let mut go_on = Vec::new();
        for change in changes {
            match self.calls.resume(&mut self.rooms, change) {
                Resumed::Goes(key, uuid) => {
                    keys.insert(uuid, key);
                    go_on.push(key);
                }
                Resumed::Over => restored.ending += 1,
                Resumed::Unread => restored.unread(change.key),
            }
        }
        restored.setups = go_on.len();
        go_on
    }

    fn restore_nailed(&mut self, changes: &[Change], restored: &mut Restored) {
        for change in changes {
            if self.calls.renail(&mut self.rooms, change) {
                restored.nailed += 1;
            } else {
                restored.unread(change.key);
            }
        }
        self.rooms.nailed.are_taken_up();
    }

    /// Whether a call that nobody had answered waited at a queue or routing point.
    fn waits(&self, key: Key) -> bool {
        self.calls.get(key).and_then(|call| call.resumes_at()).is_some_and(|(waits, ..)| waits.is_some())
    }

    /// A call that nobody had answered waits on where it waited, or looks for somebody anew.
    pub(super) fn goes_on(&mut self, key: Key) {
        let Some((waits, origin, request)) = self.calls.get(key).and_then(|call| call.resumes_at()) else {
            return;
        };
        if let Some(at) = waits {
            self.call(key, |call, rooms| call.waits_on(rooms, at));
            return;
        }
        let Some(request) = request else {
            self.call(key, |call, rooms| call.calls_again(rooms));
            return;
        };
        let found = request
            .envelope()
            .ok()
            .map(|env| routing::route(&mut self.rooms, &self.floor.agents, origin, &request, &env));
        self.call(key, |call, rooms| call.sets_out_again(rooms, found.ok_or_else(Reject::full)));
    }

    fn restore_sessions(&mut self, changes: &[Change], restored: &mut Restored) {
        let rooms = &mut self.rooms;
        for change in changes {
            if !self.floor.sessions.restore(&mut rooms.log, rooms.now, change) {
                restored.unread(change.key);
            }
        }
    }

    fn restore_agents(&mut self, changes: &[Change], restored: &mut Restored) {
        for change in changes {
            let Some(dn) = Agents::dn_in(change) else {
                restored.unread(change.key);
                continue;
            };
            let directory = &self.rooms.directory;
            let id = directory.find(dn.as_bytes());
            let in_service = id.is_some_and(|id| routing::in_service(&self.rooms, directory, id));
            self.floor.agents.restore(&mut desk!(self, agent), change, in_service);
            if let Some(candidate) = self.candidate(&dn) {
                self.floor.queues.agent_in(&mut desk!(self, queue), candidate);
            }
        }
    }

    fn restore_tcalls(&mut self, changes: &[Change], keys: &HashMap<u128, Key>, restored: &mut Restored) {
        let key_of = |uuid: u128| keys.get(&uuid).copied();
        for change in changes {
            let conn = with_calls!(self, |tcalls, desk| tcalls.restore(desk, change, &key_of));
            let Some(conn) = conn else {
                restored.unread(change.key);
                continue;
            };
            for key in self.floor.tcalls.keys_of(conn) {
                self.calls.known_as(key, conn);
            }
        }
    }

    fn restore_places(&mut self, changes: &[Change], restored: &mut Restored) {
        let mut places = Vec::new();
        for change in changes {
            match Replicated::<Place>::restore(change) {
                Some(place) => places.push((place, change)),
                None => restored.unread(change.key),
            }
        }
        // Who is free at once gets whose turn it is.
        places.sort_by_key(|(place, _)| (Reverse(place.priority), place.since_unix_ms));
        for (place, change) in places {
            if self.floor.tcalls.waits_at(place.conn).as_deref() == Some(&*place.at) {
                self.floor.queues.restore(&mut desk!(self, queue), change);
            } else {
                place.delete(&mut self.rooms.log);
            }
        }
    }
}

fn mixed(mut seed: [u8; 32], epoch: u32) -> [u8; 32] {
    for (byte, of_epoch) in seed.iter_mut().zip(epoch.to_be_bytes()) {
        *byte ^= of_epoch;
    }
    seed
}
