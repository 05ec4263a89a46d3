//! What a call carries from site to site: user data and `ConnID`, in private headers of INVITEs over the peer trunk and
//! nowhere else; they are believed only from there. User-to-User (RFC 7433) passes end to end by itself, from
//! whomever, and shows among the user data here.

use tandem_cti::{KvList, Value};
use tandem_sip::{Builder, HeaderName, Message};

use super::Call;
use super::news::Carried;
use crate::limits::MAX_CARRIED_BYTES;
use crate::rooms::{Device, Rooms};

/// User data, a JSON object in which `%` and whatever is not printable ASCII are percent-encoded.
pub(super) const USER_DATA: &[u8] = b"X-Tandem-UserData";
/// `ConnID`, 16 hexadecimal digits.
pub(super) const CONN_ID: &[u8] = b"X-Tandem-ConnID";
/// Key under which a User-to-User header shows.
const USER_TO_USER: &str = "User-to-User";

/// See the module; as it is printed.
#[derive(Clone, Debug)]
pub struct Printed {
    user_data: Option<Box<[u8]>>,
    conn_id: Option<u64>,
}

impl Printed {
    /// Writes the headers.
    pub(super) fn print(&self, builder: &mut Builder<'_>) {
        if let Some(user_data) = &self.user_data {
            builder.raw_header(USER_DATA, user_data);
        }
        if let Some(conn_id) = self.conn_id {
            builder.raw_header(CONN_ID, format!("{conn_id:016x}").as_bytes());
        }
    }
}

impl Call {
    /// What it carries from now on; nothing new leaves it as it is.
    pub(super) fn carry(&mut self, carried: &Carried) {
        if !carried.user_data.is_empty() || carried.conn_id.is_some() {
            self.carried = Some(Box::new(carried.clone()));
        }
    }

    /// The user data that it carries from now on.
    pub(super) fn attach(&mut self, user_data: KvList) {
        self.carried.get_or_insert_default().user_data = user_data;
    }

    /// What an INVITE to this device takes along.
    pub(super) fn carried_to(&self, rooms: &mut Rooms, device: Device) -> Option<Box<Printed>> {
        let carried = self.carried.as_ref()?;
        if !matches!(device, Device::Trunk(id) if self.directory.options.dr_peer_trunk == Some(id)) {
            return None;
        }
        let user_data = print(&carried.user_data);
        let fits = user_data.as_ref().is_none_or(|text| text.len() <= MAX_CARRIED_BYTES);
        rooms.counters.user_data_dropped += u64::from(!fits);
        Some(Box::new(Printed { user_data: user_data.filter(|_| fits), conn_id: carried.conn_id }))
    }
}

/// What an INVITE from this device brings.
pub(super) fn read(rooms: &mut Rooms, request: &Message, origin: Device) -> Carried {
    let mut carried = Carried::default();
    if matches!(origin, Device::Trunk(id) if rooms.directory.options.dr_peer_trunk == Some(id)) {
        let conn_id = request.other(CONN_ID).map(parse_conn_id);
        let user_data = request.other(USER_DATA).map(parse);
        let damaged = matches!(conn_id, Some(None)) || matches!(user_data, Some(None));
        rooms.counters.user_data_dropped += u64::from(damaged);
        carried.conn_id = conn_id.flatten();
        carried.user_data = user_data.flatten().unwrap_or_default();
    }
    if let Some(uui) = request.header(HeaderName::UserToUser) {
        let text = String::from_utf8_lossy(uui).into_owned();
        carried.user_data.insert(USER_TO_USER.to_owned(), Value::Text(text));
    }
    carried
}

fn parse_conn_id(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.len() == 16)?;
    let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(text, 16).ok().filter(|number| digits && *number != 0)
}

/// The user data in words; none if there is nothing but what the User-to-User header tells by itself.
fn print(user_data: &KvList) -> Option<Box<[u8]>> {
    let told: KvList = user_data
        .iter()
        .filter(|(key, _)| *key != USER_TO_USER)
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if told.is_empty() {
        return None;
    }
    let mut out = Vec::new();
    for byte in serde_json::to_vec(&told).ok()? {
        if byte == b'%' || !(0x20..0x7f).contains(&byte) {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        } else {
            out.push(byte);
        }
    }
    Some(out.into())
}

fn parse(text: &[u8]) -> Option<KvList> {
    if text.len() > MAX_CARRIED_BYTES {
        return None;
    }
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        if *first == b'%' {
            let (digits, tail) = tail.split_at_checked(2)?;
            let digits = std::str::from_utf8(digits).ok()?;
            plain.push(u8::from_str_radix(digits, 16).ok()?);
            rest = tail;
        } else {
            plain.push(*first);
            rest = tail;
        }
    }
    serde_json::from_slice(&plain).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(pairs: &[(&str, Value)]) -> KvList {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
    }

    #[test]
    fn user_data_survive_a_header() {
        let inner = Value::List(list(&[("é\r\n", Value::from(-1))]));
        let data = list(&[("a", Value::from("100% \"sure\"")), ("n", Value::from(7)), ("l", inner)]);
        let text = print(&data).unwrap();
        assert!(text.iter().all(|byte| (0x20..0x7f).contains(byte)));
        assert_eq!(parse(&text), Some(data));
    }

    #[test]
    fn what_the_user_to_user_header_tells_is_not_told_twice() {
        let data = list(&[(USER_TO_USER, Value::from("00;encoding=hex"))]);
        assert_eq!(print(&data), None);
    }

    #[test]
    fn damaged_values_mean_nothing() {
        for text in ["", "{", "[]", "{\"a\":", "{\"a\":%2}", "{\"a\":%GG}", "{\"a\":true}", "{\"a\":1}%"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse(&[b' '; MAX_CARRIED_BYTES + 1]), None);
        for text in ["", "0", "zz00000000000001", "00000000000000001", "+000000000000001", "0000000000000000"]
        {
            assert_eq!(parse_conn_id(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse_conn_id(b"00000000000000Ff"), Some(255));
    }
}
