//! Slots with a generation: a key of something that has gone never finds its successor.

use slab::Slab;

/// Names one live entry of an [`Arena`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    slot: u32,
    generation: u32,
}

/// Entries of one kind.
#[derive(Debug)]
pub struct Arena<T> {
    slots: Slab<(u32, T)>,
    next: u32,
    bound: usize,
}

impl<T> Arena<T> {
    /// An arena for at most `bound` entries.
    #[must_use]
    pub fn new(bound: usize) -> Self {
        Self { slots: Slab::new(), next: 0, bound }
    }

    /// Puts an entry in; `None` when the arena is full.
    pub fn insert_with(&mut self, make: impl FnOnce(Key) -> T) -> Option<Key> {
        self.try_insert_with(|key| Some(make(key)))
    }

    /// Puts an entry in, if there is one; `None` when there is not, or when the arena is full.
    pub fn try_insert_with(&mut self, make: impl FnOnce(Key) -> Option<T>) -> Option<Key> {
        if self.is_full() {
            return None;
        }
        let entry = self.slots.vacant_entry();
        let key = Key { slot: u32::try_from(entry.key()).ok()?, generation: self.next };
        self.next = self.next.wrapping_add(1);
        entry.insert((key.generation, make(key)?));
        Some(key)
    }

    /// The entry, if it is still there.
    #[must_use]
    pub fn get(&self, key: Key) -> Option<&T> {
        let (generation, value) = self.slots.get(key.slot as usize)?;
        (*generation == key.generation).then_some(value)
    }

    /// The entry, if it is still there.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let (generation, value) = self.slots.get_mut(key.slot as usize)?;
        (*generation == key.generation).then_some(value)
    }

    /// Takes the entry out.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        self.get(key)?;
        self.slots.try_remove(key.slot as usize).map(|(_, value)| value)
    }

    /// Every entry, in order of the slots.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.slots.iter().filter_map(|(slot, (generation, value))| {
            Some((Key { slot: u32::try_from(slot).ok()?, generation: *generation }, value))
        })
    }

    /// Entries now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether no further entry fits.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.slots.len() >= self.bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_key_does_not_find_the_next_tenant_of_its_slot() {
        let mut arena = Arena::new(1);
        let first = arena.insert_with(|_| 'a').unwrap();
        assert!(arena.is_full() && arena.insert_with(|_| 'b').is_none());
        assert_eq!(arena.remove(first), Some('a'));
        let second = arena.insert_with(|_| 'c').unwrap();
        assert_eq!((arena.get(first), arena.get(second)), (None, Some(&'c')));
        assert_eq!(arena.remove(first), None);
    }
}
