//! The bindings of every DN, and two indexes over them: who expires next, and who is reached over which connection.

use std::collections::{BTreeSet, VecDeque};

use smallvec::SmallVec;
use tandem_peer::replica::Replicated;

use super::binding::Binding;
use super::pulse::{Kind, Pulses};
use crate::directory::DnId;
use crate::time::Deadline;

/// The bindings of one address of record, by `q` descending, then most recent first.
pub(super) type Aor = SmallVec<[Replicated<Binding>; 1]>;

/// See the module. A DN without bindings costs one word.
#[derive(Debug, Default)]
pub(super) struct Store {
    aors: Vec<Option<Box<Aor>>>,
    /// The earliest end of a binding of each DN that has any.
    by_expiry: BTreeSet<(Deadline, DnId)>,
    by_connection: BTreeSet<(u64, DnId)>,
    /// Bindings that are sent something now and then.
    pub pulses: Pulses,
    len: usize,
    /// DNs whose bindings changed, while somebody wants to know.
    changed: Option<Vec<DnId>>,
    /// DNs with a binding.
    registered: usize,
    /// DNs all of whose bindings are in quarantine since a moment ago, or are not any more; the same one perhaps twice.
    turned: VecDeque<DnId>,
}

/// What the indexes hold of one DN.
#[derive(Debug, Default, PartialEq, Eq)]
struct Keys {
    expiry: Option<Deadline>,
    connections: SmallVec<[u64; 2]>,
    pulses: SmallVec<[(u64, Kind); 1]>,
    len: usize,
    /// All of them are in quarantine.
    suspended: bool,
}

impl Keys {
    fn of(aor: &Aor) -> Self {
        Self {
            expiry: aor.iter().map(|b| b.ends()).min(),
            connections: aor.iter().map(|b| b.flow().conn).filter(|conn| *conn != 0).collect(),
            pulses: aor.iter().filter_map(|b| Some((b.key().id, pulse_of(b)?))).collect(),
            len: aor.len(),
            suspended: is_suspended(aor),
        }
    }
}

/// Whether there are bindings, and every one is in quarantine.
pub(super) fn is_suspended(bindings: &[Replicated<Binding>]) -> bool {
    !bindings.is_empty() && !bindings.iter().any(|binding| binding.reachable())
}

/// What a binding is sent something for, if at all. A connection needs nothing to stay open; who is put away is asked over
/// it all the same, for an open one proves that somebody is there only when he answers.
fn pulse_of(binding: &Binding) -> Option<Kind> {
    if !binding.reachable() {
        return binding.may_answer().then_some(Kind::Ghost);
    }
    (binding.nat() && !binding.flow().transport.is_reliable()).then_some(Kind::KeepAlive)
}

impl Store {
    /// Room for this many DNs.
    pub fn new(dns: usize) -> Self {
        Self { aors: std::iter::repeat_with(|| None).take(dns).collect(), ..Self::default() }
    }

    /// Bindings of all DNs.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// DNs with a binding.
    pub const fn registered(&self) -> usize {
        self.registered
    }

    /// A DN whose last way to be reached went into quarantine, or came back.
    pub fn pop_turned(&mut self) -> Option<DnId> {
        self.turned.pop_front()
    }

    /// The bindings of one DN.
    pub fn get(&self, dn: DnId) -> &[Replicated<Binding>] {
        self.aors.get(dn.0 as usize).and_then(Option::as_deref).map_or(&[], |aor| aor.as_slice())
    }

    /// Changes the bindings of one DN and keeps the indexes true. The one door through which they change; `None` if
    /// there is no such DN.
    pub fn change<R>(&mut self, dn: DnId, change: impl FnOnce(&mut Aor) -> R) -> Option<R> {
        let slot = self.aors.get_mut(dn.0 as usize)?;
        let mut aor = slot.take().unwrap_or_default();
        let before = Keys::of(&aor);
        let answer = change(&mut aor);
        let after = Keys::of(&aor);
        if !aor.is_empty() {
            *slot = Some(aor);
        }
        self.reindex(dn, &before, &after);
        if let Some(changed) = &mut self.changed
            && changed.last() != Some(&dn)
        {
            changed.push(dn);
        }
        Some(answer)
    }

    /// The moment at which the next binding expires.
    pub fn next_expiry(&self) -> Option<Deadline> {
        self.by_expiry.first().map(|(deadline, _)| *deadline)
    }

    /// Takes a DN out of the index that has a binding that is past its time; the change that removes the binding
    /// puts it back where it then belongs. Whatever that change does, a loop over this ends.
    pub fn pop_expired(&mut self, now_unix_ms: u64) -> Option<DnId> {
        let (deadline, dn) = *self.by_expiry.first()?;
        (deadline.is_past(now_unix_ms) && self.by_expiry.remove(&(deadline, dn))).then_some(dn)
    }

    /// The same for a DN that is reached over this connection.
    pub fn pop_over(&mut self, conn: u64) -> Option<DnId> {
        let key = *self.by_connection.range((conn, DnId(0))..=(conn, DnId(u32::MAX))).next()?;
        self.by_connection.remove(&key).then_some(key.1)
    }

    /// The DNs that are reached over this connection.
    pub fn over(&self, conn: u64) -> impl Iterator<Item = DnId> {
        self.by_connection.range((conn, DnId(0))..=(conn, DnId(u32::MAX))).map(|(_, dn)| *dn)
    }

    /// A DN whose bindings changed. `wanted`: whether somebody will ask for those that change from now on.
    pub fn pop_changed(&mut self, wanted: bool) -> Option<DnId> {
        let dn = self.changed.as_mut().and_then(Vec::pop);
        if wanted != self.changed.is_some() && dn.is_none() {
            self.changed = wanted.then(Vec::new);
        }
        dn
    }

    /// Takes every DN that has bindings out, in order.
    pub fn into_aors(self) -> impl Iterator<Item = (DnId, Aor)> {
        (0u32..).zip(self.aors).filter_map(|(id, aor)| Some((DnId(id), *aor?)))
    }

    fn reindex(&mut self, dn: DnId, before: &Keys, after: &Keys) {
        self.len = self.len + after.len - before.len;
        self.registered = self.registered + usize::from(after.len > 0) - usize::from(before.len > 0);
        if before.suspended != after.suspended {
            self.turned.push_back(dn);
        }
        if before.expiry != after.expiry {
            if let Some(deadline) = before.expiry {
                self.by_expiry.remove(&(deadline, dn));
            }
            if let Some(deadline) = after.expiry {
                self.by_expiry.insert((deadline, dn));
            }
        }
        if before.connections != after.connections {
            for conn in &before.connections {
                self.by_connection.remove(&(*conn, dn));
            }
            self.by_connection.extend(after.connections.iter().map(|conn| (*conn, dn)));
        }
        if before.pulses != after.pulses {
            for (binding, _) in before.pulses.iter().filter(|(id, _)| after.pulses.iter().all(|p| p.0 != *id))
            {
                self.pulses.end(*binding);
            }
            for (binding, kind) in after.pulses.iter().filter(|pulse| !before.pulses.contains(pulse)) {
                self.pulses.begin(*binding, dn, *kind);
            }
        }
    }
}
