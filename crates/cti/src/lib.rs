//! The CTI interface in words: what a desktop, a supervisor or a routing application says to the server and hears from
//! it, by the names of the T-Library, carried as JSON, one message a WebSocket text frame.
//!
//! This crate is the one definition of the schema. The server, the statistics service and test desktops speak it; the
//! JSON Schema and the AsyncAPI document are generated from it.

mod carries;
mod closest;
mod code;
mod decode;
mod encode;
mod event;
pub mod limits;
mod name;
mod request;
mod value;
mod word;

pub use carries::Carries;
pub use code::{ErrorCode, Refusal};
pub use decode::{Fatal, Malformed, Unreadable, decode};
pub use encode::{Body, encode};
pub use event::{Event, PartyInfo, Resumed};
pub use name::EventName;
pub use request::*;
pub use value::{KvList, Value};
pub use word::*;
