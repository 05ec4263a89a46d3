//! Everything a [`Node`](crate::Node) asks of the world. Outputs leave in the order in which they are polled; a
//! `Store` leaves before whatever it justifies, and what it justifies waits for `Input::Persisted`.

use tandem_peer::Batch;
use tandem_sip::Transmit;

use crate::anchor::AnchorOrder;
use crate::cdr::Cdr;
use crate::cti::{LinkId, Outgoing};
use crate::event::Event;
use crate::media::MediaOrder;

/// One thing for the edges to do.
#[derive(Debug)]
pub enum Output {
    /// Make this batch of records durable, then answer `Input::Persisted { seq }`.
    Store(Batch),
    /// Send these bytes.
    Transmit(Transmit),
    /// Something an operator or a desktop wants to know.
    Event(Event),
    /// Tell a client of the CTI interface.
    Cti(Outgoing),
    /// Close a connection of the CTI interface: its session goes on elsewhere.
    CtiClose(LinkId),
    /// Ask a media server to play to a caller, or to stop. A driver without one answers with [`MediaOrder::failed`].
    Media(MediaOrder),
    /// Ask a media server to describe an anchored leg. A driver without one answers with [`AnchorOrder::failed`].
    Anchor(AnchorOrder),
    /// A call is over: its record. Once it is written the driver answers `Input::Recorded`; a process that goes on from what
    /// is stored may give it again, the same, so whoever writes passes over a `CallUUID` that he has.
    Cdr(Box<Cdr>),
}
