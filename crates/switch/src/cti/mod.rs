//! The CTI interface: clients and what they hear ([`sessions`]), and calls as the T-Library sees them ([`calls`]).

pub mod calls;
pub mod sessions;

use std::sync::Arc;

use tandem_cti::{Event, EventName, Refusal, Request, Role};

/// A connection of a client, numbered by the edge; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// A session of a client: it outlives its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// What the CTI edge tells.
#[derive(Debug)]
pub enum CtiInput {
    /// A person has proven who he is (`TOpenServer`).
    Open {
        /// His connection.
        link: LinkId,
        /// User name.
        person: Arc<str>,
        /// Role.
        role: Role,
        /// What the client is.
        application: Box<str>,
        /// Session that he continues, and the last event that he has.
        resume: Option<(Box<str>, u64)>,
        /// `ReferenceID`.
        reference_id: Option<u32>,
    },
    /// A readable request.
    Request {
        /// The connection.
        link: LinkId,
        /// It.
        request: Box<Request>,
    },
    /// A request that is JSON but no request of the interface: it gets an `EventError`.
    Malformed {
        /// The connection.
        link: LinkId,
        /// `ReferenceID`, if it could be read.
        reference_id: Option<u32>,
        /// What is wrong.
        refusal: Refusal,
    },
    /// The connection is gone, or the client did not read.
    Closed {
        /// The connection.
        link: LinkId,
    },
}

/// An event on its way to a client. The event is shared by all who hear it; sequence and reference are the client's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Connection.
    pub link: LinkId,
    /// `EventSequenceNumber`.
    pub sequence: u64,
    /// `ReferenceID`.
    pub reference_id: Option<u32>,
    /// It.
    pub event: Arc<Event>,
}

/// The event that an agent's news is.
#[must_use]
pub fn agent_event(name: EventName, told: crate::agent::Told) -> Event {
    Event {
        this_dn: Some(told.dn.to_string()),
        agent_id: Some(told.agent_id.to_string()),
        work_mode: Some(told.work_mode),
        reasons: told.reasons,
        extensions: told.extensions,
        ..Event::new(name)
    }
}

/// The event of a DN that went out of service or came back.
#[must_use]
pub fn device_event(name: EventName, dn: &str) -> Event {
    Event { this_dn: Some(dn.to_owned()), ..Event::new(name) }
}
