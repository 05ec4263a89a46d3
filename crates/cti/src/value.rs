//! Lists of key-value pairs: user data, reasons, extensions (`TKVList`).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::Refusal;
use crate::decode::{invalid, quoted};
use crate::limits::{MAX_KEY_BYTES, MAX_LIST_BYTES, MAX_LIST_DEPTH};

/// A list of key-value pairs. Keys are unique here and come in their own order.
pub type KvList = BTreeMap<String, Value>;

/// One value of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Value {
    /// A whole number.
    Int(i64),
    /// A string.
    Text(String),
    /// A list within the list.
    List(KvList),
}

impl Value {
    /// The string, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Int(_) | Self::List(_) => None,
        }
    }

    /// The number, if it is one, or a string that is one.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
            Self::List(_) => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

/// Reads the list of an attribute and holds it to its bounds. A number or list counts 8 bytes.
pub(crate) fn read_list(name: &str, value: Json) -> Result<KvList, Refusal> {
    let Json::Object(members) = value else {
        return Err(invalid(format!("attribute {name}: expected an object")));
    };
    let mut room = MAX_LIST_BYTES;
    read_pairs(name, members, &mut room, MAX_LIST_DEPTH)
}

fn read_pairs(
    name: &str,
    members: serde_json::Map<String, Json>,
    room: &mut usize,
    depth: usize,
) -> Result<KvList, Refusal> {
    let mut pairs = KvList::new();
    for (key, value) in members {
        if key.is_empty() || key.len() > MAX_KEY_BYTES {
            let message =
                format!("attribute {name}: a key has 1 to {MAX_KEY_BYTES} bytes, not {}", key.len());
            return Err(invalid(message));
        }
        let weight = key.len() + value.as_str().map_or(8, str::len);
        let Some(left) = room.checked_sub(weight) else {
            return Err(invalid(format!("attribute {name}: more than {MAX_LIST_BYTES} bytes in all")));
        };
        *room = left;
        let value = match value {
            Json::String(text) => Value::Text(text),
            Json::Number(number) => match number.as_i64() {
                Some(number) => Value::Int(number),
                None => return Err(not_a_value(name, &key)),
            },
            Json::Object(_) if depth <= 1 => {
                return Err(invalid(format!("attribute {name}: lists lie more than {MAX_LIST_DEPTH} deep")));
            }
            Json::Object(inner) => Value::List(read_pairs(name, inner, room, depth - 1)?),
            Json::Null | Json::Bool(_) | Json::Array(_) => return Err(not_a_value(name, &key)),
        };
        pairs.insert(key, value);
    }
    Ok(pairs)
}

fn not_a_value(name: &str, key: &str) -> Refusal {
    invalid(format!("attribute {name}: {} must be a string, a whole number or an object", quoted(key)))
}
