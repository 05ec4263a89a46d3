//! Graceful migration in shares: so many of a hundred new calls for queues and routing points go to the peer, and so many
//! of a hundred agents are logged out, idle ones first, as a drain does it; in steps, and back again.
//!
//! It holds only while the peer is in service. When the peer is lost, calls stay here and whoever was logged out may log in
//! again; nothing of it has to be called off first.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tandem_cti::{ErrorCode, KvList, Refusal};
use tandem_peer::continuity::Mode;
use tandem_peer::replica::{Change, ChangeLog, Replicated};

use super::floor::desk;
use super::migrate_record::{Migrating, Moved};
use super::{Node, Restored};
use crate::agent::{self, Drained, LogoutBy, View, drained};
use crate::directory::Directory;
use crate::event::{Event, MigrationNews};
use crate::input::{Migrate, MigrateOrder};
use crate::limits::{MAX_DRAIN_LINES, MAX_MIGRATED};
use crate::share::Share;
use crate::time::Now;
use crate::view;

/// How often a migration looks whether a step is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often agents are counted anew, and callers who wait at a site that has no agents any more are handed over.
const COUNT_EVERY: Duration = Duration::from_secs(30);

/// A migration that is under way, or stands.
#[derive(Debug)]
pub(super) struct Migration {
    to: Box<str>,
    by: Box<str>,
    since_unix_ms: u64,
    group: Option<Arc<str>>,
    target: u8,
    step: u8,
    every: Duration,
    step_at: Instant,
    paused: bool,
    /// DNs of agents who are logged out when their work is done, in the order in which they were chosen.
    leaving: BTreeMap<Arc<str>, u64>,
    chosen: u64,
    /// Those who were logged out, by AgentID, and in which order.
    gone: BTreeMap<Arc<str>, Replicated<Moved>>,
    gone_in_order: VecDeque<Arc<str>>,
    /// Leaving agents whose state changed.
    changed: Vec<Arc<str>>,
    look_at: Instant,
    count_at: Instant,
    /// What another process would go on from.
    record: Option<Replicated<Migrating>>,
}

impl Migration {
    /// The same, of what is stored of it; nobody is chosen yet.
    fn of(stored: Migrating, now: Now) -> Self {
        let Migrating { to, by, since_unix_ms, group, target, step, every_ms, paused, percent: _ } = stored;
        let every = Duration::from_millis(every_ms);
        Self {
            to,
            by,
            since_unix_ms,
            group,
            target,
            step,
            every,
            step_at: now.mono + every,
            paused,
            leaving: BTreeMap::new(),
            chosen: 0,
            gone: BTreeMap::new(),
            gone_in_order: VecDeque::new(),
            changed: Vec::new(),
            look_at: now.mono,
            count_at: now.mono,
            record: None,
        }
    }

    /// What is to be stored of it.
    fn stands(&self, percent: u8) -> Migrating {
        Migrating {
            to: self.to.clone(),
            by: self.by.clone(),
            since_unix_ms: self.since_unix_ms,
            group: self.group.clone(),
            target: self.target,
            step: self.step,
            every_ms: u64::try_from(self.every.as_millis()).unwrap_or(u64::MAX),
            paused: self.paused,
            percent,
        }
    }

    fn has_gone(&mut self, agent: Replicated<Moved>, log: &mut ChangeLog) {
        self.gone_in_order.push_back(Arc::clone(&agent.agent_id));
        self.gone.insert(Arc::clone(&agent.agent_id), agent);
        if self.gone_in_order.len() > MAX_MIGRATED
            && let Some(first) = self.gone_in_order.pop_front()
        {
            self.is_back(&first, log);
        }
    }

    /// Whether this agent was gone, and is not any more.
    fn is_back(&mut self, agent_id: &str, log: &mut ChangeLog) -> bool {
        self.gone.remove(agent_id).map(|agent| agent.delete(log)).is_some()
    }

    /// It is over: nothing is stored of it any more.
    fn forget(self, log: &mut ChangeLog) {
        self.gone.into_values().for_each(|agent| drop(agent.delete(log)));
        self.record.into_iter().for_each(|record| drop(record.delete(log)));
    }
}

impl Node {
    /// Why an order cannot be carried out.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn may_migrate(&self, order: &MigrateOrder) -> Result<(), String> {
        let MigrateOrder::To(wanted) = order else {
            return self.migration.as_ref().map(|_| ()).ok_or_else(|| "no migration is under way".to_owned());
        };
        let directory = &self.rooms.directory;
        if self.is_draining() {
            return Err("the server is being drained: everything goes to the other site already".to_owned());
        }
        let less = self.migration.as_ref().is_some_and(|now| wanted.percent <= now.target);
        if self.mode() != Mode::Peered && !less {
            return Err(match directory.options.dr_peer_trunk {
                None => "this server has no peer: set dr-peer-trunk".to_owned(),
                Some(_) => "the peer trunk is out of service: nothing can be moved there now".to_owned(),
            });
        }
        if let Some(group) = &wanted.group {
            members(directory, Some(group)).map_err(|()| format!("no agent group is called {group}"))?;
        }
        match &self.migration {
            Some(now) if now.group != wanted.group => {
                let scope = |group: &Option<Arc<str>>| match group {
                    Some(group) => format!("of agent group {group}"),
                    None => "of the whole site".to_owned(),
                };
                Err(format!(
                    "a migration {} is under way: roll it back, or abort it, before one {} begins",
                    scope(&now.group),
                    scope(&wanted.group)
                ))
            }
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn migrate_order(&mut self, order: MigrateOrder) {
        if self.may_migrate(&order).is_err() {
            return;
        }
        match order {
            MigrateOrder::To(wanted) => self.migrate_to(wanted),
            MigrateOrder::Pause { by, paused } => {
                let now = self.rooms.now.mono;
                let Some(migration) = &mut self.migration else { return };
                if migration.paused != paused {
                    migration.paused = paused;
                    migration.step_at = now + migration.every;
                    let news = if paused { MigrationNews::Paused } else { MigrationNews::Resumed };
                    self.migration_news(news, by);
                    self.leaving_go_or_stay();
                }
            }
            MigrateOrder::Abort { by } => self.end_migration(MigrationNews::Aborted, by),
        }
        self.keep_migration();
    }

    /// Stores how the migration stands, if that has changed.
    fn keep_migration(&mut self) {
        let rooms = &mut self.rooms;
        let (Some(migration), Some(share)) = (&mut self.migration, &rooms.share) else { return };
        let stands = migration.stands(share.percent());
        match &mut migration.record {
            Some(record) if **record == stands => {}
            Some(record) => record.update(&mut rooms.log, |record| *record = stands),
            None => {
                let id = rooms.record_id();
                migration.record = Some(Replicated::create(id, stands, &mut rooms.log));
            }
        }
    }

    /// Goes on with the migration of the process before; the next step is a whole interval away.
    pub(super) fn restore_migration(
        &mut self,
        changes: &[Change],
        moved: &[Change],
        restored: &mut Restored,
    ) {
        let now = self.rooms.now;
        for change in changes.iter().chain(moved) {
            self.rooms.next_record = self.rooms.next_record.max(change.key.id);
        }
        for change in changes {
            let Some(record) = Replicated::<Migrating>::restore(change) else {
                restored.unread(change.key);
                continue;
            };
            let stored = (*record).clone();
            let mut share = Share::of(queues(&self.rooms.directory, stored.group.as_ref()));
            share.set(stored.percent);
            restored.migrating = Some((stored.to.clone(), stored.percent));
            self.rooms.share = Some(share);
            self.migration = Some(Migration { record: Some(record), ..Migration::of(stored, now) });
        }
        for change in moved {
            let Some(agent) = Replicated::<Moved>::restore(change) else {
                restored.unread(change.key);
                continue;
            };
            match &mut self.migration {
                Some(migration) => {
                    migration.has_gone(agent, &mut self.rooms.log);
                    restored.moved += 1;
                }
                None => drop(agent.delete(&mut self.rooms.log)),
            }
        }
        // The configuration may be another one.
        self.migration_adopts();
    }

    fn migrate_to(&mut self, wanted: Migrate) {
        let now = self.rooms.now;
        let Migrate { to, by, percent, group, step, every } = wanted;
        let percent = percent.min(100);
        if self.migration.is_none() {
            if percent == 0 {
                return;
            }
            self.rooms.share = Some(Share::of(queues(&self.rooms.directory, group.as_ref())));
        }
        let news = if self.migration.is_none() { MigrationNews::Started } else { MigrationNews::Changed };
        let begun = Migrating {
            to: to.clone(),
            by: by.clone(),
            since_unix_ms: now.unix_ms,
            group,
            target: percent,
            step: 100,
            every_ms: 0,
            paused: false,
            percent: 0,
        };
        let migration = self.migration.get_or_insert_with(|| Migration::of(begun, now));
        (migration.target, migration.step, migration.every) = (percent, step.clamp(1, 100), every);
        (migration.by, migration.to, migration.paused) = (by.clone(), to, false);
        (migration.step_at, migration.look_at) = (now.mono, now.mono);
        self.migration_news(news, by);
        self.leaving_go_or_stay();
        self.run_migration();
    }

    fn migration_news(&mut self, news: MigrationNews, by: Box<str>) {
        let Some(migration) = &self.migration else { return };
        let percent = self.rooms.share.as_ref().map_or(0, Share::percent);
        let (to, target) = (migration.to.clone(), migration.target);
        self.rooms.report(Event::Migration { news, by, to, percent, target });
    }

    /// Nothing more goes; who was logged out may come back.
    pub(super) fn end_migration(&mut self, news: MigrationNews, by: Box<str>) {
        self.migration_news(news, by);
        self.rooms.share = None;
        if let Some(migration) = self.migration.take() {
            self.are_offered_again(migration.leaving.keys());
            migration.forget(&mut self.rooms.log);
        }
    }

    /// These agents are not to leave any more.
    fn are_offered_again<'a>(&mut self, dns: impl Iterator<Item = &'a Arc<str>>) {
        if self.is_draining() {
            return;
        }
        for dn in dns {
            if self.floor.agents.at(dn).is_some_and(|agent| agent.available) {
                self.available(dn);
            }
        }
    }

    /// The next moment at which the migration is looked at.
    pub(super) fn migration_timeout(&self) -> Option<Instant> {
        self.migration.as_ref().map(|migration| migration.look_at)
    }

    /// Runs the migration's timers.
    pub(super) fn run_migration(&mut self) {
        let now = self.rooms.now.mono;
        if self.migration.as_ref().is_some_and(|migration| migration.look_at <= now) {
            self.look_at_migration(now);
            self.keep_migration();
        }
    }

    fn look_at_migration(&mut self, now: Instant) {
        let Some(migration) = &mut self.migration else { return };
        migration.look_at = now + LOOK_EVERY;
        if self.rooms.trunks.mode() != Mode::Peered {
            // The steps go on a whole interval after the peer is back. What is to come back comes at once: nothing is there.
            migration.step_at = now + migration.every;
            let (target, by) = (migration.target, migration.by.clone());
            if let Some(share) = self.rooms.share.as_mut().filter(|share| share.percent() > target) {
                share.set(target);
                if target == 0 {
                    self.end_migration(MigrationNews::RolledBack, by);
                }
            }
            return;
        }
        let (step_at, target, step, paused) =
            (migration.step_at, migration.target, migration.step, migration.paused);
        let Some(share) = &mut self.rooms.share else { return };
        let percent = share.percent();
        if paused {
            return;
        }
        let steps = percent != target && step_at <= now;
        if steps {
            let next = if percent < target {
                percent.saturating_add(step).min(target)
            } else {
                percent.saturating_sub(step).max(target)
            };
            share.set(next);
            migration.step_at = now + migration.every;
            migration.count_at = now;
            let by = migration.by.clone();
            self.migration_news(MigrationNews::Step, by.clone());
            if next == 0 {
                return self.end_migration(MigrationNews::RolledBack, by);
            }
        }
        self.count_agents();
    }

    /// Chooses who leaves, or may stay after all.
    fn count_agents(&mut self) {
        let now = self.rooms.now.mono;
        let (Some(migration), Some(share)) = (&mut self.migration, &self.rooms.share) else { return };
        if migration.count_at > now {
            return;
        }
        migration.count_at = now + COUNT_EVERY;
        let percent = usize::from(share.percent());
        let Ok(members) = members(&self.rooms.directory, migration.group.as_ref()) else { return };
        let is_meant = |agent: &View| members.as_ref().is_none_or(|ids| ids.contains(&agent.agent_id));
        let here: Vec<View> = self.floor.agents.list().into_iter().filter(is_meant).collect();
        let dns: BTreeSet<&Arc<str>> = here.iter().map(|agent| &agent.dn).collect();
        migration.leaving.retain(|dn, _| dns.contains(dn));
        let moved = migration.leaving.len() + migration.gone.len();
        let all = here.len() + migration.gone.len();
        // To the nearest agent, so that half of three are two; but calls that stay need somebody.
        let wanted =
            ((all * percent + 50) / 100).min(if percent < 100 { all.saturating_sub(1) } else { all });
        if moved > wanted {
            self.let_stay(moved - wanted);
        } else {
            let mut others: Vec<&View> =
                here.iter().filter(|agent| !migration.leaving.contains_key(&agent.dn)).collect();
            let supervision = &self.floor.supervision;
            let idle =
                |agent: &View| drained(agent) == Drained::LogOut && supervision.offer_at(&agent.dn).is_none();
            // Idle ones first, and of those who is not Ready before who serves callers.
            others.sort_by_key(|agent| (!idle(agent), agent.available, agent.idle_since_unix_ms));
            let chosen: Vec<(Arc<str>, bool)> = others
                .iter()
                .take(wanted - moved)
                .map(|agent| (Arc::clone(&agent.dn), idle(agent)))
                .collect();
            for (dn, _) in chosen {
                migration.chosen += 1;
                migration.leaving.insert(Arc::clone(&dn), migration.chosen);
                migration.changed.push(dn);
            }
        }
        self.hand_over_unattended();
    }

    /// Callers who wait where nobody serves them any more go to the peer.
    fn hand_over_unattended(&mut self) {
        for (conn, at) in self.floor.queues.undecided() {
            let share = self.rooms.share.as_ref();
            let meant = share.is_some_and(|share| {
                share.is_everything() || share.means(&at) && self.floor.queues.is_unattended(&at)
            });
            if meant {
                self.hand_over(conn, &at);
            }
        }
    }

    /// So many fewer: first those who were to leave, the last chosen first, then those who are gone, who may log in again.
    fn let_stay(&mut self, mut fewer: usize) {
        let Some(migration) = &mut self.migration else { return };
        let mut stay: Vec<(u64, Arc<str>)> =
            migration.leaving.iter().map(|(dn, at)| (*at, Arc::clone(dn))).collect();
        stay.sort_unstable_by(|a, b| b.cmp(a));
        stay.truncate(fewer);
        for (_, dn) in &stay {
            migration.leaving.remove(dn);
        }
        fewer -= stay.len();
        while fewer > 0
            && let Some(agent) = migration.gone_in_order.pop_back()
        {
            fewer -= usize::from(migration.is_back(&agent, &mut self.rooms.log));
        }
        let stay: Vec<Arc<str>> = stay.into_iter().map(|(_, dn)| dn).collect();
        self.are_offered_again(stay.iter());
    }

    /// Whether agents are moved now.
    fn moves(&self) -> bool {
        self.mode() == Mode::Peered && self.migration.as_ref().is_some_and(|migration| !migration.paused)
    }

    /// Whether this agent is offered no more calls because he leaves.
    pub(super) fn leaves_with_migration(&self, dn: &str) -> bool {
        self.moves() && self.migration.as_ref().is_some_and(|migration| migration.leaving.contains_key(dn))
    }

    /// The migration was paused or goes on, or the peer was lost or is back: those who leave are looked at, or offered calls.
    pub(super) fn leaving_go_or_stay(&mut self) {
        let moves = self.moves();
        let Some(migration) = &mut self.migration else { return };
        let leaving: Vec<Arc<str>> = migration.leaving.keys().cloned().collect();
        if moves {
            migration.changed.extend(leaving);
        } else {
            self.are_offered_again(leaving.iter());
        }
    }

    /// An agent's state or calls changed.
    pub(super) fn migration_sees(&mut self, dn: &Arc<str>) {
        if let Some(migration) = self.migration.as_mut().filter(|m| m.leaving.contains_key(dn)) {
            migration.changed.push(Arc::clone(dn));
        }
    }

    /// An agent was logged out, by whatever.
    pub(super) fn migration_sees_logout(&mut self, dn: &str, agent_id: &Arc<str>) {
        let Some(migration) = &mut self.migration else { return };
        if migration.leaving.remove(dn).is_some() && !migration.gone.contains_key(agent_id) {
            let moved = Moved { agent_id: Arc::clone(agent_id) };
            let moved = Replicated::create(self.rooms.record_id(), moved, &mut self.rooms.log);
            migration.has_gone(moved, &mut self.rooms.log);
        }
    }

    /// An agent logged in: whoever was gone is not.
    pub(super) fn migration_sees_login(&mut self, agent_id: &str) {
        if let Some(migration) = &mut self.migration
            && migration.is_back(agent_id, &mut self.rooms.log)
        {
            migration.gone_in_order.retain(|gone| **gone != *agent_id);
        }
    }

    /// Looks at one leaving agent, when the rooms are silent, and logs him out if his work is done. False: there was none.
    pub(super) fn migrate_next_agent(&mut self) -> bool {
        let Some(dn) = self.migration.as_mut().and_then(|migration| migration.changed.pop()) else {
            return false;
        };
        let leaves = self.leaves_with_migration(&dn) && self.floor.supervision.offer_at(&dn).is_none();
        if leaves && self.floor.agents.at(&dn).is_some_and(|agent| drained(&agent) == Drained::LogOut) {
            let (desk, nothing) = (&mut desk!(self, agent), KvList::new);
            let by = LogoutBy::GracefulShutdown;
            // He is logged in, and a logout that nobody asked for is never refused.
            let _ = self.floor.agents.logout(desk, &dn, by, None, nothing(), nothing());
        }
        true
    }

    /// What a login is told that belongs at the other site.
    pub(super) fn migration_refuses(&self, agent_id: &str) -> Result<(), Refusal> {
        let Some(migration) = self.migration.as_ref().filter(|_| self.mode() == Mode::Peered) else {
            return Ok(());
        };
        let all = self.rooms.share.as_ref().is_some_and(|share| share.percent() == 100)
            && !migration.paused
            && members(&self.rooms.directory, migration.group.as_ref())
                .is_ok_and(|members| members.is_none_or(|ids| ids.contains(agent_id)));
        if all || migration.gone.contains_key(agent_id) {
            let text = format!("agent {agent_id} was moved to the site {}: log in there", migration.to);
            return Err(Refusal::because(ErrorCode::AdminShutdown, text));
        }
        Ok(())
    }

    /// A new configuration: a migration whose group, or whose peer, is not in it has nothing to do any more.
    pub(super) fn migration_adopts(&mut self) {
        let Some(migration) = &self.migration else { return };
        let (directory, group) = (&self.rooms.directory, migration.group.as_ref());
        if directory.options.dr_peer_trunk.is_none() || members(directory, group).is_err() {
            return self.end_migration(MigrationNews::Aborted, "the configuration".into());
        }
        let queues = queues(directory, group);
        if let Some(share) = &mut self.rooms.share {
            share.are(queues);
        }
    }

    /// One line of it for `tandem status`.
    pub(super) fn migration_line(&self) -> Option<String> {
        let migration = self.migration.as_ref()?;
        let percent = self.rooms.share.as_ref().map_or(0, Share::percent);
        Some(format!("{}: {percent} % to {}", self.migration_state(migration, percent), migration.to))
    }

    fn migration_state(&self, migration: &Migration, percent: u8) -> &'static str {
        match (self.mode() == Mode::Peered, migration.paused, percent.cmp(&migration.target)) {
            (false, ..) => "waits for the peer",
            (true, true, _) => "paused",
            (true, false, std::cmp::Ordering::Less) => "moving",
            (true, false, std::cmp::Ordering::Greater) => "rolling back",
            (true, false, std::cmp::Ordering::Equal) => "standing",
        }
    }

    /// `tandem migrate --status`.
    #[must_use]
    pub fn migration_status(&self, now: Now) -> view::Migration {
        let share = self.rooms.share.as_ref();
        let (Some(migration), Some(share)) = (&self.migration, share) else {
            return view::Migration { state: "none", ..view::Migration::default() };
        };
        let percent = share.percent();
        let state = self.migration_state(migration, percent);
        let steps = matches!(state, "moving" | "rolling back");
        let members = members(&self.rooms.directory, migration.group.as_ref()).ok().flatten();
        let mut agents = self.floor.agents.list();
        agents.retain(|agent| members.as_ref().is_none_or(|ids| ids.contains(&agent.agent_id)));
        let leaving = agents.iter().filter(|agent| migration.leaving.contains_key(&agent.dn));
        view::Migration {
            state,
            to: Some(migration.to.to_string()),
            by: Some(migration.by.to_string()),
            since_s: Some(now.unix_ms.saturating_sub(migration.since_unix_ms) / 1000),
            group: migration.group.as_ref().map(ToString::to_string),
            percent,
            target: migration.target,
            step: migration.step,
            every_s: migration.every.as_secs(),
            next_step_s: steps
                .then(|| migration.step_at.saturating_duration_since(now.mono).as_secs_f64().ceil() as u64),
            calls_sent: share.sent,
            calls_kept: share.kept,
            agents_here: agents.len(),
            agents_gone: migration.gone.len(),
            agents_leaving: migration.leaving.len(),
            leaving: leaving.take(MAX_DRAIN_LINES).map(|agent| super::drain::left(agent, now)).collect(),
        }
    }
}

/// The AgentIDs that are meant; `None` is everybody.
fn members(directory: &Directory, group: Option<&Arc<str>>) -> Result<Option<BTreeSet<Arc<str>>>, ()> {
    let Some(name) = group else { return Ok(None) };
    let group = directory.floor().groups.iter().find(|group| group.name == *name).ok_or(())?;
    Ok(Some(group.agents.iter().cloned().collect()))
}

/// The queues whose calls are meant: those that the group serves; `None` is all of them, and the routing points.
fn queues(directory: &Directory, group: Option<&Arc<str>>) -> Option<BTreeSet<Arc<str>>> {
    let name = group?;
    let served = directory.floor().queues.iter().filter(|queue| queue.groups.contains(name));
    Some(served.map(|queue| Arc::clone(&queue.number)).collect())
}
