//! What must hold after every step, whatever happens.

use std::collections::BTreeMap;

#[derive(Default)]
pub struct Checks {
    /// What each place of the log holds, by the first that said so.
    history: BTreeMap<u64, (u32, u64)>,
    /// What the outside has been told is kept, in order.
    pub told: Vec<u64>,
    /// Who served in which epoch.
    epochs: BTreeMap<u32, usize>,
    /// Leases of processes that died with them: what the kernel still does in their name.
    ghosts: BTreeMap<usize, u64>,
    /// A takeover by hand may lose what was told, and have two serve: the operator said so.
    pub by_hand: bool,
}

impl Checks {
    /// One place of the log holds the same at everybody.
    pub fn applied(&mut self, machine: usize, index: u64, epoch: u32, value: u64) {
        if self.by_hand {
            return;
        }
        let known = *self.history.entry(index).or_insert((epoch, value));
        assert_eq!(known, (epoch, value), "machine {machine} has something else at {index}");
    }

    pub fn told(&mut self, value: u64) {
        self.told.push(value);
    }

    /// Whoever begins to serve knows everything that the outside was told, and no epoch has two servers.
    pub fn serves(&mut self, machine: usize, epoch: u32, resumed: bool, state: &[(u64, u64)]) {
        let before = self.epochs.insert(epoch, machine);
        assert!(before.is_none_or(|before| before == machine), "two servers in epoch {epoch}");
        assert_eq!(before.is_some(), resumed, "epoch {epoch} begins once");
        let newest = self.epochs.keys().next_back().copied();
        if self.by_hand {
            return;
        }
        assert_eq!(newest, Some(epoch), "machine {machine} serves in an epoch of the past");
        self.all_told(machine, state);
    }

    pub fn all_told(&self, machine: usize, state: &[(u64, u64)]) {
        let mut kept: Vec<u64> = state.iter().map(|(_, value)| *value).collect();
        kept.sort_unstable();
        let lost: Vec<&u64> = self.told.iter().filter(|value| kept.binary_search(value).is_err()).collect();
        assert!(lost.is_empty(), "machine {machine} lacks {lost:?}, which the outside was told of");
    }

    pub fn died(&mut self, machine: usize, lease_until: Option<u64>) {
        if let Some(until) = lease_until {
            self.ghosts.insert(machine, until);
        }
    }

    pub fn started(&mut self, machine: usize) {
        let _ = machine;
    }

    /// At most one may serve at any instant: the living, the paused, and what outlives a process.
    pub fn leases(&self, now: u64, ends: &[Option<u64>]) -> Option<String> {
        let holds = |machine: usize| {
            let alive = ends.get(machine).copied().flatten().is_some_and(|end| now < end);
            alive || self.ghosts.get(&machine).is_some_and(|end| now < *end)
        };
        let holders: Vec<usize> = (0..ends.len()).filter(|machine| holds(*machine)).collect();
        (holders.len() > 1 && !self.by_hand).then(|| format!("{holders:?} all may serve at {now}"))
    }
}
