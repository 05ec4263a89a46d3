//! What travels: printed bytes together with their plain-text view.

use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use tandem_sip::rsip_bridge;

use crate::text::{Start, Text};

/// How a packet travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Over {
    /// A datagram.
    Udp,
    /// A whole message on a TCP connection.
    Tcp,
}

/// Printed bytes and, when they are well formed, what they say.
#[derive(Clone, Debug)]
pub struct Wire {
    /// The bytes.
    pub bytes: Bytes,
    /// The message, or what is wrong with the bytes.
    pub text: Rc<Result<Text, String>>,
}

impl Wire {
    /// Reads bytes.
    #[must_use]
    pub fn read(bytes: Bytes) -> Self {
        let text = Rc::new(Text::parse(&bytes));
        Self { bytes, text }
    }

    /// Prints a message with the printer of another SIP stack, so that the server's parser is never fed by a printer
    /// that shares its author's assumptions.
    #[must_use]
    pub fn print(text: &Text) -> Self {
        Self::read(print(text))
    }
}

/// One packet on the way.
#[derive(Clone, Debug)]
pub struct Packet {
    /// How it travels.
    pub over: Over,
    /// Source, as its sender sees it.
    pub from: SocketAddr,
    /// Destination, as its sender sees it.
    pub to: SocketAddr,
    /// What it carries.
    pub wire: Wire,
}

fn print(text: &Text) -> Bytes {
    let headers: Vec<(&str, &str)> = text.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let body = text.body.as_bytes();
    match &text.start {
        // What the other stack cannot print stays empty, and whoever receives it reports it as unreadable.
        Start::Request { method, uri } => {
            rsip_bridge::print_request(method, uri, &headers, body).unwrap_or_default()
        }
        Start::Status { code, .. } => {
            rsip_bridge::print_response(*code, rsip_bridge::reason_phrase(*code), &headers, body)
        }
    }
}
