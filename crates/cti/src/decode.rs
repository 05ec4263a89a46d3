//! Reading requests, in two steps: is it a JSON object at all, and which attributes of the request it names are right.
//! What fails in the first step cannot be answered; what fails in the second gets an `EventError`.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};

use crate::closest::closest;
use crate::limits::{MAX_NAME_BYTES, MAX_PASSWORD_BYTES, MAX_REQUEST_BYTES};
use crate::value::KvList;
use crate::word::{AddressType, ControlMode, RegisterMode, RouteType, TreatmentType, WorkMode};
use crate::{ErrorCode, Refusal, Request};

/// Letters of what a client wrote that a refusal repeats.
const MAX_QUOTED: usize = 64;

/// What a phone's keys send (RFC 4733).
const DTMF: &str = "0123456789*#ABCD";

/// A frame that is no request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// Nothing that could be answered: the connection is to be closed, with this as the reason.
    Fatal(Fatal),
    /// A request that is refused.
    Malformed(Malformed),
}

/// Why a frame ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fatal {
    /// More than [`MAX_REQUEST_BYTES`].
    TooLong,
    /// Not JSON.
    NotJson,
    /// JSON, but no object.
    NotAnObject,
}

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the frame is longer than 262144 bytes",
            Self::NotJson => "the frame is not JSON",
            Self::NotAnObject => "the frame is not a JSON object",
        })
    }
}

/// A request that is refused before anybody has looked at what it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// `ReferenceID`, if it could be read.
    pub reference_id: Option<u32>,
    /// What is wrong.
    pub refusal: Refusal,
}

/// Reads a request.
///
/// # Errors
/// A frame that is no JSON object is fatal. An unknown request is refused with 51; an attribute that is missing,
/// unknown, of the wrong type or too large with 53. Both name the culprit.
pub fn decode(text: &str) -> Result<Request, Unreadable> {
    if text.len() > MAX_REQUEST_BYTES {
        return Err(Unreadable::Fatal(Fatal::TooLong));
    }
    let json = serde_json::from_str(text).map_err(|_| Unreadable::Fatal(Fatal::NotJson))?;
    let Json::Object(members) = json else { return Err(Unreadable::Fatal(Fatal::NotAnObject)) };
    let reference_id =
        members.get("ReferenceID").and_then(Json::as_u64).and_then(|id| u32::try_from(id).ok());
    read(Members { members, expected: Vec::new() })
        .map_err(|refusal| Unreadable::Malformed(Malformed { reference_id, refusal }))
}

fn read(mut members: Members) -> Result<Request, Refusal> {
    let name: String = members.needed("request")?;
    let request = Request::read(&name, &mut members);
    let Some(request) = request else {
        let known = closest(&name, Request::NAMES.iter().map(|(name, _)| *name));
        let message = format!("request {} is not known{}", quoted(&name), did_you_mean(known));
        return Err(Refusal::because(ErrorCode::UnsupOper, message));
    };
    let request = request?;
    members.end(&name)?;
    Ok(request)
}

/// The members of a request that have not been read yet. A member that is null is none.
#[derive(Debug)]
pub(crate) struct Members {
    members: Map<String, Json>,
    expected: Vec<&'static str>,
}

impl Members {
    fn take(&mut self, name: &'static str) -> Option<Json> {
        self.expected.push(name);
        self.members.remove(name).filter(|value| !value.is_null())
    }

    /// An attribute that must be there.
    pub fn needed<T: Attribute>(&mut self, name: &'static str) -> Result<T, Refusal> {
        match self.take(name) {
            Some(value) => T::read(name, value),
            None => Err(invalid(format!("attribute {name} is missing"))),
        }
    }

    /// An attribute that may be there.
    pub fn optional<T: Attribute>(&mut self, name: &'static str) -> Result<Option<T>, Refusal> {
        self.take(name).map(|value| T::read(name, value)).transpose()
    }

    /// Nothing may be left that nobody asked for.
    fn end(self, request: &str) -> Result<(), Refusal> {
        let Some((unknown, _)) = self.members.into_iter().find(|(_, value)| !value.is_null()) else {
            return Ok(());
        };
        let known = closest(&unknown, self.expected);
        let message = format!("{request} has no attribute {}{}", quoted(&unknown), did_you_mean(known));
        Err(invalid(message))
    }
}

fn did_you_mean(known: Option<&str>) -> String {
    known.map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}

/// A 53.
pub(crate) fn invalid(message: String) -> Refusal {
    Refusal::because(ErrorCode::InvalidAttr, message)
}

/// What a client wrote, fit for a message.
pub(crate) fn quoted(text: &str) -> String {
    let mut short: String =
        text.chars().take(MAX_QUOTED).map(|c| if c.is_control() { '?' } else { c }).collect();
    if text.chars().count() > MAX_QUOTED {
        short.push('…');
    }
    short
}

/// What an attribute's value may be.
pub(crate) trait Attribute: Sized {
    /// Reads it; the refusal names the attribute.
    fn read(name: &str, value: Json) -> Result<Self, Refusal>;

    /// The text that it is, if it is one.
    fn text(&self) -> Option<&str> {
        None
    }
}

impl Attribute for String {
    fn read(name: &str, value: Json) -> Result<Self, Refusal> {
        let Json::String(text) = value else {
            return Err(invalid(format!("attribute {name}: expected a string")));
        };
        let is_password = name == "Password";
        let longest = if is_password { MAX_PASSWORD_BYTES } else { MAX_NAME_BYTES };
        if text.len() > longest {
            return Err(invalid(format!("attribute {name}: longer than {longest} bytes")));
        }
        if text.is_empty() && !is_password {
            return Err(invalid(format!("attribute {name}: empty")));
        }
        if text.chars().any(char::is_control) {
            return Err(invalid(format!("attribute {name}: contains a control character")));
        }
        if name == "DTMFDigits" && !text.chars().all(|digit| DTMF.contains(digit)) {
            return Err(invalid(format!("attribute {name}: only {DTMF} can be sent")));
        }
        Ok(text)
    }

    fn text(&self) -> Option<&str> {
        Some(self)
    }
}

impl Attribute for KvList {
    fn read(name: &str, value: Json) -> Result<Self, Refusal> {
        crate::value::read_list(name, value)
    }
}

fn plain<T: DeserializeOwned>(name: &str, value: Json, expected: &str) -> Result<T, Refusal> {
    serde_json::from_value(value).map_err(|_| invalid(format!("attribute {name}: expected {expected}")))
}

impl Attribute for u32 {
    fn read(name: &str, value: Json) -> Result<Self, Refusal> {
        plain(name, value, "a whole number from 0 to 4294967295")
    }
}

impl Attribute for u64 {
    fn read(name: &str, value: Json) -> Result<Self, Refusal> {
        plain(name, value, "a whole number from 0 to 18446744073709551615")
    }
}

/// A word of a vocabulary. The refusal lists the vocabulary.
fn word<T: DeserializeOwned>(name: &str, value: &Json) -> Result<T, Refusal> {
    let Json::String(text) = value else {
        return Err(invalid(format!("attribute {name}: expected a string")));
    };
    let written = quoted(text);
    serde_json::from_value(Json::String(written))
        .map_err(|error| invalid(format!("attribute {name}: {}", error.to_string().replace('`', ""))))
}

macro_rules! words {
    ($($word:ty),*) => {
        $(impl Attribute for $word {
            fn read(name: &str, value: Json) -> Result<Self, Refusal> {
                word(name, &value)
            }
        })*
    };
}

words!(AddressType, ControlMode, RegisterMode, RouteType, TreatmentType, WorkMode);
