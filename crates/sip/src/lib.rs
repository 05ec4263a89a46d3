//! What a SIP message is, and how transactions and dialogs live. Pure: no socket, no clock, no randomness of its own.

pub mod auth;
pub mod builder;
pub mod cseq;
pub mod dialog;
pub mod endpoint;
pub mod error;
pub mod flow;
pub mod framer;
pub mod header_name;
pub mod host;
pub mod lexer;
pub mod limits;
pub mod message;
pub mod name_addr;
pub mod params;
pub mod rsip_bridge;
pub mod start_line;
pub mod txn;
pub mod uri;
pub mod via;

pub use builder::{Builder, response_to};
pub use cseq::CSeq;
pub use dialog::{Dialog, LocalIdentity, Order, ViaLine};
pub use endpoint::{Branch, Endpoint, Event, Received, Transmit, TxnId};
pub use error::{HeaderFault, ParseError, ParseErrorKind};
pub use flow::{Flow, Transport};
pub use framer::{FrameError, Framed, Framer};
pub use header_name::HeaderName;
pub use host::Host;
pub use message::{Envelope, Header, Message};
pub use name_addr::NameAddr;
pub use params::Params;
pub use start_line::{Method, StartLine};
pub use txn::{TimerName, Timers};
pub use uri::{Scheme, Uri};
pub use via::Via;
