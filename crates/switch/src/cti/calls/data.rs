//! User data of a call: its bounds, its merging, its stored form.

use tandem_cti::{ErrorCode, KvList, Refusal, Value};
use tandem_peer::replica::{Reader, Writer};

use crate::directory::floor::WrapUp;
use crate::limits::{MAX_USER_DATA_BYTES, MAX_USER_DATA_DEPTH, MAX_USER_DATA_KEYS};

#[derive(Default)]
struct Size {
    bytes: usize,
    keys: usize,
    depth: usize,
}

impl Size {
    fn add(&mut self, list: &KvList, depth: usize) {
        self.depth = self.depth.max(depth);
        self.keys += list.len();
        if depth > MAX_USER_DATA_DEPTH {
            return;
        }
        for (key, value) in list {
            self.bytes += key.len();
            match value {
                Value::Int(_) => self.bytes += 8,
                Value::Text(text) => self.bytes += text.len(),
                Value::List(inner) => self.add(inner, depth + 1),
            }
        }
    }
}

/// Whether a call may carry this.
pub(super) fn check(data: &KvList) -> Result<(), Refusal> {
    let mut size = Size::default();
    size.add(data, 1);
    let fault = if size.depth > MAX_USER_DATA_DEPTH {
        "lists in UserData lie too deep within each other"
    } else if size.keys > MAX_USER_DATA_KEYS {
        "UserData has too many keys"
    } else if size.bytes > MAX_USER_DATA_BYTES {
        "UserData is too long"
    } else {
        return Ok(());
    };
    Err(Refusal::because(ErrorCode::InvalidAttr, fault))
}

/// What a call brings from elsewhere, as far as it fits: pairs are taken in order of their keys.
pub(super) fn bounded(data: KvList) -> KvList {
    if check(&data).is_ok() {
        return data;
    }
    let mut kept = KvList::new();
    let mut size = Size::default();
    for (key, value) in data {
        let one = KvList::from([(key, value)]);
        size.add(&one, 1);
        let fits = size.keys <= MAX_USER_DATA_KEYS && size.bytes <= MAX_USER_DATA_BYTES;
        if !fits || size.depth > MAX_USER_DATA_DEPTH {
            break;
        }
        kept.extend(one);
    }
    kept
}

/// Data of a consultation joins that of the call: the call's own wins where both have a key, and what would exceed the
/// bounds stays out.
pub(super) fn merge(into: &mut KvList, from: KvList) {
    if from.is_empty() {
        return;
    }
    let mut size = Size::default();
    size.add(into, 1);
    for (key, value) in from {
        if into.contains_key(&key) {
            continue;
        }
        let one = KvList::from([(key, value)]);
        size.add(&one, 1);
        if size.keys > MAX_USER_DATA_KEYS || size.bytes > MAX_USER_DATA_BYTES {
            return;
        }
        into.extend(one);
    }
}

/// After-call work as the call's data ask for it (`WrapUpTime`, seconds or `untimed`).
pub(super) fn wrap_up(data: &KvList) -> Option<WrapUp> {
    let value = data.get("WrapUpTime")?;
    if value.as_text() == Some("untimed") {
        return Some(WrapUp::Untimed);
    }
    let seconds = u64::try_from(value.as_int()?).ok()?;
    Some(WrapUp::Timed(std::time::Duration::from_secs(seconds)))
}

pub(super) fn encode(data: &KvList, out: &mut Writer<'_>) {
    out.u32(u32::try_from(data.len()).unwrap_or(u32::MAX));
    for (key, value) in data {
        out.str(key);
        match value {
            Value::Int(number) => {
                out.u8(0);
                out.u64(number.cast_unsigned());
            }
            Value::Text(text) => {
                out.u8(1);
                out.str(text);
            }
            Value::List(inner) => {
                out.u8(2);
                encode(inner, out);
            }
        }
    }
}

pub(super) fn decode(fields: &mut Reader<'_>) -> Option<KvList> {
    decode_at(fields, 1)
}

fn decode_at(fields: &mut Reader<'_>, depth: usize) -> Option<KvList> {
    let count = fields.u32()?;
    if depth > MAX_USER_DATA_DEPTH || count as usize > MAX_USER_DATA_KEYS {
        return None;
    }
    let mut data = KvList::new();
    for _ in 0..count {
        let key = fields.str()?.to_owned();
        let value = match fields.u8()? {
            0 => Value::Int(fields.u64()?.cast_signed()),
            1 => Value::Text(fields.str()?.to_owned()),
            2 => Value::List(decode_at(fields, depth + 1)?),
            _ => return None,
        };
        data.insert(key, value);
    }
    Some(data)
}
