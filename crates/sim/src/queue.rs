//! What will happen, in order of time and, at one moment, in order of arrival.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::BinaryHeap;

use crate::time::At;

/// A queue of things to come.
#[derive(Debug)]
pub struct Queue<T> {
    order: BinaryHeap<Reverse<(At, u64)>>,
    items: BTreeMap<u64, T>,
    next: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { order: BinaryHeap::new(), items: BTreeMap::new(), next: 0 }
    }
}

impl<T> Queue<T> {
    /// Puts a thing in its place.
    pub fn push(&mut self, at: At, item: T) {
        self.order.push(Reverse((at, self.next)));
        self.items.insert(self.next, item);
        self.next += 1;
    }

    /// When the next thing happens.
    #[must_use]
    pub fn next_at(&self) -> Option<At> {
        self.order.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes the next thing.
    pub fn pop(&mut self) -> Option<(At, T)> {
        let Reverse((at, number)) = self.order.pop()?;
        Some((at, self.items.remove(&number)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::ms;

    #[test]
    fn things_at_one_moment_keep_their_order() {
        let mut queue = Queue::default();
        let soon = At::START + ms(1);
        queue.push(soon, 'b');
        queue.push(At::START, 'a');
        queue.push(soon, 'c');
        let order: String = std::iter::from_fn(|| queue.pop()).map(|(_, item)| item).collect();
        assert_eq!(order, "abc");
    }
}
