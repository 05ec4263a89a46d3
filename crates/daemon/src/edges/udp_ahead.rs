//! Datagrams that are read ahead of the `Node`, so that calls wait behind no storm of registrations in the kernel's
//! buffer: REGISTER, SUBSCRIBE and PUBLISH wait here, everything else is handled as it is read. OPTIONS does not wait,
//! for by it trunks and the peer find out whether this server lives.
//!
//! Sources take turns. Each may hold as much as is still free (dynamic thresholds, Choudhury and Hahne 1998): one alone
//! gets half of the room, two a third each, and there is always a place for one more. What finds none is dropped; its
//! sender repeats it (RFC 3261 17.1.2.2).

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use tandem_switch::guard::source_of;

use crate::limits::{MAX_SPARE_QUEUES, READ_AHEAD_BYTES, READ_AHEAD_EACH};

/// A datagram as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Position of the socket that it came to.
    pub socket: usize,
    /// Where it came from.
    pub remote: SocketAddr,
    /// What it says.
    pub bytes: Bytes,
}

impl Datagram {
    fn cost(&self) -> usize {
        self.bytes.len() + READ_AHEAD_EACH
    }

    /// Whether it may wait: the sender has time, and repeats what is lost for half a minute.
    pub fn may_wait(&self) -> bool {
        let begins = self.bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
        let line = begins.and_then(|at| self.bytes.get(at..)).unwrap_or_default();
        [&b"REGISTER "[..], b"SUBSCRIBE ", b"PUBLISH "].iter().any(|method| line.starts_with(method))
    }
}

/// What waits of one source.
#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Datagram>,
    held: usize,
}

/// See the module.
#[derive(Debug, Default)]
pub struct ReadAhead {
    sources: HashMap<IpAddr, Queue>,
    /// Each source that has something, once.
    turns: VecDeque<IpAddr>,
    /// Bytes of all, with what it costs to hold them.
    held: usize,
    len: usize,
    /// Queues that are used again.
    spare: Vec<Queue>,
}

impl ReadAhead {
    /// A datagram waits behind those of its source. False: there is no room for it.
    pub fn push(&mut self, datagram: Datagram) -> bool {
        let (source, cost) = (source_of(datagram.remote.ip()), datagram.cost());
        let of_source = self.sources.get(&source).map_or(0, |queue| queue.held);
        if of_source + cost > READ_AHEAD_BYTES.saturating_sub(self.held) {
            return false;
        }
        let Self { sources, turns, spare, .. } = self;
        let queue = sources.entry(source).or_insert_with(|| {
            turns.push_back(source);
            spare.pop().unwrap_or_default()
        });
        queue.waiting.push_back(datagram);
        queue.held += cost;
        self.held += cost;
        self.len += 1;
        true
    }

    /// The oldest of the source whose turn it is.
    pub fn pop(&mut self) -> Option<Datagram> {
        let source = self.turns.pop_front()?;
        let queue = self.sources.get_mut(&source)?;
        let datagram = queue.waiting.pop_front()?;
        queue.held -= datagram.cost();
        self.held -= datagram.cost();
        self.len -= 1;
        if !queue.waiting.is_empty() {
            self.turns.push_back(source);
        } else if let Some(empty) = self.sources.remove(&source)
            && self.spare.len() < MAX_SPARE_QUEUES
        {
            self.spare.push(empty);
        }
        Some(datagram)
    }

    /// How many wait.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether none waits.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(source: &str, text: &str) -> Datagram {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        Datagram { socket: 0, remote: SocketAddr::new(source.parse().unwrap(), 5060), bytes }
    }

    /// So many of one source find room.
    fn flood(ahead: &mut ReadAhead, source: &str) -> usize {
        (0..1_000_000).take_while(|_| ahead.push(datagram(source, "REGISTER sip:a SIP/2.0\r\n"))).count()
    }

    #[test]
    fn what_begins_and_refreshes_registrations_and_subscriptions_may_wait() {
        for text in ["REGISTER sip:a SIP/2.0\r\n", "\r\n\r\nREGISTER sip:a", "SUBSCRIBE sip:a", "PUBLISH x"] {
            assert!(datagram("192.0.2.1", text).may_wait(), "{text}");
        }
        for text in [
            "INVITE sip:a",
            "BYE sip:a",
            "OPTIONS sip:a",
            "SIP/2.0 200 OK",
            "register sip:a",
            "REGISTERS x",
            "",
        ] {
            assert!(!datagram("192.0.2.1", text).may_wait(), "{text}");
        }
    }

    #[test]
    fn sources_take_turns_and_each_keeps_its_order() {
        let mut ahead = ReadAhead::default();
        for text in ["a1", "a2", "a3"] {
            assert!(ahead.push(datagram("192.0.2.1", text)));
        }
        assert!(ahead.push(datagram("192.0.2.2", "b1")));
        assert!(ahead.push(datagram("::ffff:192.0.2.2", "b2")));
        assert_eq!(ahead.len(), 5);
        let order: Vec<Bytes> = std::iter::from_fn(|| ahead.pop()).map(|datagram| datagram.bytes).collect();
        assert_eq!(order, ["a1", "b1", "a2", "b2", "a3"]);
        assert!(ahead.is_empty() && ahead.sources.is_empty() && ahead.held == 0);
    }

    #[test]
    fn one_flooding_source_gets_half_and_leaves_room_for_others() {
        let mut ahead = ReadAhead::default();
        let first = flood(&mut ahead, "192.0.2.1");
        assert!(ahead.held <= READ_AHEAD_BYTES / 2 && ahead.held > READ_AHEAD_BYTES * 49 / 100);
        let second = flood(&mut ahead, "192.0.2.2");
        assert!(second > first * 49 / 100 && second <= first / 2 + 1, "{second} of {first}");
        assert!(ahead.push(datagram("192.0.2.3", "REGISTER sip:a SIP/2.0\r\n")));
    }

    #[test]
    fn a_flood_of_sources_does_not_pass_the_bound() {
        let mut ahead = ReadAhead::default();
        let large = "REGISTER ".to_owned() + &"x".repeat(40_000);
        for n in 0..2_000u32 {
            ahead.push(datagram(&IpAddr::from(n.to_be_bytes()).to_string(), &large));
        }
        assert!(ahead.held <= READ_AHEAD_BYTES && ahead.len() * 40_000 > READ_AHEAD_BYTES / 2);
        while ahead.pop().is_some() {}
        assert_eq!((ahead.held, ahead.len(), ahead.spare.len()), (0, 0, MAX_SPARE_QUEUES));
        assert!(flood(&mut ahead, "192.0.2.1") > 1_000, "what was served makes room");
    }
}
