//! The transaction layer (RFC 3261 17 and 18): everything from the wire goes in, what must be acted upon comes out.
//!
//! Retransmissions never reach the user, lost messages are sent again, and each transaction ends. The caller owns
//! sockets and clock: it feeds [`Endpoint::receive`] and [`Endpoint::handle_timeout`], and drains
//! [`Endpoint::poll_transmit`] and [`Endpoint::poll_event`] after each call.

mod branch;
mod client;
mod keys;
mod lanes;
mod routing;
mod server;
mod table;
mod tick;

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::error::HeaderFault;
use crate::flow::{Flow, Transport};
use crate::limits;
use crate::message::Message;
use crate::txn::Timers;

pub use branch::Branch;

/// Names a transaction, and never another one after it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TxnId {
    slot: u32,
    generation: u32,
}

/// Bytes to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub flow: Flow,
    /// One message.
    pub payload: Bytes,
}

/// What a message from the wire turned out to be. `flow` is where it came from.
#[derive(Debug)]
pub enum Received<U> {
    /// A retransmission, the ACK of a refusal, a 100, or an unusable ACK: nothing to do.
    Absorbed,
    /// A new request, other than ACK and CANCEL: answer it.
    Request {
        /// Its transaction.
        txn: TxnId,
        /// Its source.
        flow: Flow,
        /// The request.
        message: Message,
    },
    /// A request that also came another way (RFC 3261 8.2.2.2): answer it with 482.
    Merged {
        /// Its transaction.
        txn: TxnId,
        /// Its source.
        flow: Flow,
        /// The request.
        message: Message,
    },
    /// A CANCEL: answer it with 200, or with 481 if there is no INVITE. An INVITE that has its final response is
    /// named too; answering that one again does nothing.
    Cancel {
        /// The transaction of the CANCEL itself.
        txn: TxnId,
        /// The INVITE, and what was attached to it.
        invite: Option<(TxnId, Option<U>)>,
        /// The CANCEL.
        message: Message,
        /// Its source.
        flow: Flow,
    },
    /// An ACK for a 2xx: it belongs to a dialog.
    Ack {
        /// Its source.
        flow: Flow,
        /// The ACK.
        message: Message,
    },
    /// A response to a request of ours: provisional above 100, the final one once, each 2xx to an INVITE.
    Response {
        /// The transaction of the request.
        txn: TxnId,
        /// What was kept with it.
        user: U,
        /// The response.
        message: Message,
        /// Its source.
        flow: Flow,
    },
    /// A response that matches nothing, or has no usable headers: drop it.
    Stray {
        /// Its source.
        flow: Flow,
        /// The response.
        message: Message,
    },
    /// A readable request with a broken mandatory header: answer 400 without a transaction.
    BadRequest {
        /// Its source.
        flow: Flow,
        /// The request.
        message: Message,
        /// What is wrong.
        fault: HeaderFault,
    },
    /// There is no room for another transaction: answer 503 with Retry-After without one.
    Full {
        /// Its source.
        flow: Flow,
        /// The request.
        message: Message,
    },
}

/// What happened without a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<U> {
    /// No final response came in time: as if it were a 408.
    Timeout {
        /// The client transaction, which is over.
        txn: TxnId,
        /// What was kept with it.
        user: U,
    },
    /// The request could not be sent, or its connection is gone: as if it were a 503.
    TransportError {
        /// The client transaction, which is over.
        txn: TxnId,
        /// What was kept with it.
        user: U,
    },
    /// The refusal of an INVITE was never acknowledged.
    AckTimeout {
        /// The server transaction, which is over.
        txn: TxnId,
        /// What was attached to it.
        user: U,
    },
}

/// How often things happened, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages that ended here.
    pub absorbed: u64,
    /// Messages that were sent again, by timer or because their cause came again.
    pub retransmissions: u64,
    /// Responses that matched nothing.
    pub stray: u64,
    /// Requests that came a second way.
    pub merged: u64,
    /// Requests with a broken mandatory header.
    pub bad_requests: u64,
    /// Transactions that found no room.
    pub full: u64,
    /// Timers B, F and H.
    pub timeouts: u64,
    /// Client transactions that lost their transport.
    pub transport_errors: u64,
}

/// The flow of a transaction that is only reserved.
const NOWHERE: Flow = Flow {
    transport: Transport::Udp,
    local: 0,
    remote: SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
    conn: 0,
};

/// All transactions of a server. `U` is what the user wants to be reminded of with each.
#[derive(Debug)]
pub struct Endpoint<U> {
    timers: Timers,
    capacity: usize,
    /// The message at hand may use the whole table.
    reserved: bool,
    table: table::Table<U>,
    keys: keys::RequestKeys,
    scratch: Vec<u8>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event<U>>,
    counters: Counters,
}

impl<U: Copy> Endpoint<U> {
    /// `branch_seed` is random and secret: it makes branches unguessable and the tables safe from chosen keys.
    /// Each timer is brought into 1 ms to 1 min. The table holds [`limits::MAX_TRANSACTIONS`].
    #[must_use]
    pub fn new(timers: Timers, branch_seed: u64) -> Self {
        let usable = |timer: Duration| timer.clamp(Duration::from_millis(1), Duration::from_mins(1));
        let timers = Timers { t1: usable(timers.t1), t2: usable(timers.t2), t4: usable(timers.t4) };
        Endpoint {
            timers,
            capacity: limits::MAX_TRANSACTIONS,
            reserved: false,
            table: table::Table::new(&timers, branch_seed),
            keys: keys::RequestKeys::default(),
            scratch: Vec::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Bounds the number of transactions. The last sixteenth is kept for requests of our own and for those that
    /// belong to a running call.
    pub fn set_capacity(&mut self, transactions: usize) {
        self.capacity = transactions.min(branch::MAX_SLOTS);
    }

    /// Takes a message from the wire.
    pub fn receive(&mut self, flow: Flow, message: Message, now: Instant) -> Received<U> {
        if message.is_request() {
            self.request(flow, message, now)
        } else {
            self.response(flow, message, now)
        }
    }

    /// The same for a request that is as important as those of running calls: one that was [`Received::Full`] before.
    pub fn receive_reserved(&mut self, flow: Flow, message: Message, now: Instant) -> Received<U> {
        self.reserved = true;
        let received = self.receive(flow, message, now);
        self.reserved = false;
        received
    }

    /// How many transactions there may be.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Sends bytes outside any transaction: the ACK for a 2xx.
    pub fn send(&mut self, flow: Flow, payload: Bytes) {
        self.transmits.push_back(Transmit { flow, payload });
    }

    /// The next message to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// What timers and failures brought about.
    pub fn poll_event(&mut self) -> Option<Event<U>> {
        self.events.pop_front()
    }

    /// Where a request of `size` bytes goes that was meant for `flow`: above the MTU, UDP gives way to TCP
    /// (RFC 3261 18.1.1), and the Via must say so. If that ends in [`Event::TransportError`], try UDP again.
    #[must_use]
    pub fn pick_transport(&self, flow: Flow, size: usize) -> Flow {
        routing::pick_transport(flow, size)
    }

    /// What is kept with a transaction.
    #[must_use]
    pub fn user(&self, txn: TxnId) -> Option<U> {
        self.table.get(txn).and_then(|entry| entry.user)
    }

    /// Where a transaction sends its messages.
    #[must_use]
    pub fn flow(&self, txn: TxnId) -> Option<Flow> {
        self.table.get(txn).map(|entry| entry.flow)
    }

    /// Transactions alive.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// True if there is no transaction.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.len() == 0
    }

    /// How often things happened.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The timers in use.
    #[must_use]
    pub fn timers(&self) -> Timers {
        self.timers
    }
}
