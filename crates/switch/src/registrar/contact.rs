//! What a REGISTER asks for: its Contact and Expires headers (RFC 3261 10.2, 20.10, 20.19).

use smallvec::SmallVec;
use tandem_sip::{HeaderName, Message, NameAddr, Params, Scheme, Uri, lexer};

use crate::directory::Options;
use crate::limits::{MALFORMED_EXPIRES_S, MAX_CONTACT_BYTES};
use crate::reject::Reject;

/// `q` of a contact that names none, in thousandths: preferred as much as any (RFC 3261 16.6).
const Q_DEFAULT: u16 = 1000;

/// Intervals of an hour and more are never too brief (RFC 3261 10.3 step 7).
const NEVER_TOO_BRIEF_S: u32 = 3600;

/// One contact of a REGISTER.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contact<'a> {
    pub uri: Uri<'a>,
    pub params: Params<'a>,
    /// Thousandths, 0 to 1000.
    pub q: u16,
    /// Granted, seconds; 0 removes the binding.
    pub expires_s: u32,
    /// `+sip.instance` without its quotes: the same for a phone whatever address it has (RFC 5626 4.1).
    pub instance: Option<&'a [u8]>,
    /// `reg-id`: which of its flows this is; 0 if it names none, or no instance (RFC 5626 6).
    pub reg_id: u32,
}

impl Contact<'_> {
    /// Shortens the time that is granted by so many thousandths. What is short already stays.
    pub fn shorten(&mut self, thousandths: u32, options: &Options) {
        let less = u64::from(self.expires_s) * u64::from(thousandths) / 1000;
        let shorter = self.expires_s.saturating_sub(u32::try_from(less).unwrap_or(0));
        self.expires_s = shorter.max(options.min_expires_s.min(self.expires_s));
    }
}

/// What is asked.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "lives on the stack for one request; a box would be an allocation"
)]
pub(super) enum Asked<'a> {
    /// No Contact: tell the bindings, change nothing.
    Fetch,
    /// `Contact: *` with `Expires: 0`: remove all bindings.
    RemoveAll,
    /// Add, refresh or remove these, in this order.
    Change(SmallVec<[Contact<'a>; 2]>),
}

/// Reads what is asked. More contacts than `most` are refused before any is compared with another.
pub(super) fn read<'a>(request: &'a Message, options: &Options, most: usize) -> Result<Asked<'a>, Reject> {
    let header = request.header(HeaderName::Expires).map(delta_seconds);
    let mut contacts = SmallVec::new();
    let mut star = false;
    for (n, value) in request.values(HeaderName::Contact).enumerate() {
        if n >= most {
            return Err(too_many());
        }
        if value == b"*" {
            star = true;
        } else {
            contacts.push(read_contact(value, header, options)?);
        }
        if star && n > 0 {
            return Err(Reject::because(400, "Contact * Must Stand Alone"));
        }
    }
    match (star, header) {
        (true, Some(0)) => Ok(Asked::RemoveAll),
        (true, _) => Err(Reject::because(400, "Contact * Needs Expires: 0")),
        (false, _) if contacts.is_empty() => Ok(Asked::Fetch),
        (false, _) => Ok(Asked::Change(contacts)),
    }
}

/// More contacts than the address of record may have.
pub(super) fn too_many() -> Reject {
    Reject::because(403, "Too Many Contacts")
}

fn read_contact<'a>(value: &'a [u8], header: Option<u32>, options: &Options) -> Result<Contact<'a>, Reject> {
    let malformed = || Reject::because(400, "Malformed Contact");
    let address = NameAddr::parse(value).map_err(|_| malformed())?;
    let uri = address.uri().map_err(|_| malformed())?;
    match uri.scheme {
        Scheme::Sip | Scheme::Sips => {}
        Scheme::Tel | Scheme::Other => return Err(Reject::because(400, "Contact Is Not a SIP URI")),
    }
    if address.uri.len() + address.params.raw().len() > MAX_CONTACT_BYTES {
        return Err(Reject::because(400, "Contact Too Long"));
    }
    let asked = match address.params.get(b"expires") {
        Some(value) => delta_seconds(&lexer::unquote(value.unwrap_or_default())),
        None => header.unwrap_or(options.default_expires_s),
    };
    let expires_s = granted(asked, options)?;
    let q = address.params.value(b"q").map_or(Q_DEFAULT, read_q);
    let instance = instance_of(&address.params);
    let reg_id = address.params.number(b"reg-id").and_then(|id| u32::try_from(id).ok()).unwrap_or(0);
    let reg_id = if instance.is_some() { reg_id } else { 0 };
    Ok(Contact { uri, params: address.params, q, expires_s, instance, reg_id })
}

/// The instance that contact parameters name.
pub(super) fn instance_of<'a>(params: &Params<'a>) -> Option<&'a [u8]> {
    let value = params.get(b"+sip.instance")??;
    let bare = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value);
    (!bare.is_empty()).then_some(bare)
}

fn granted(asked_s: u32, options: &Options) -> Result<u32, Reject> {
    let floor_s = options.min_expires_s;
    if asked_s > 0 && asked_s < floor_s && asked_s < NEVER_TOO_BRIEF_S {
        return Err(Reject::new(423).with(HeaderName::MinExpires, floor_s.to_string()));
    }
    Ok(asked_s.min(options.max_expires_s))
}

/// Seconds; what is not a number counts as an hour (RFC 3261 20.10), one that is too large as the largest.
fn delta_seconds(value: &[u8]) -> u32 {
    let value = lexer::trim(value);
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return MALFORMED_EXPIRES_S;
    }
    lexer::number(value).and_then(|n| u32::try_from(n).ok()).unwrap_or(u32::MAX)
}

/// `qvalue` in thousandths. Digits beyond the third are ignored; what is no `qvalue` counts as none.
fn read_q(value: &[u8]) -> u16 {
    let (whole, fraction) = match value {
        [whole] => (whole, &[][..]),
        [whole, b'.', fraction @ ..] => (whole, fraction),
        _ => return Q_DEFAULT,
    };
    if !fraction.iter().all(u8::is_ascii_digit) {
        return Q_DEFAULT;
    }
    match whole {
        b'0' => fraction.iter().chain(b"000").take(3).fold(0, |q, digit| q * 10 + u16::from(digit - b'0')),
        _ => Q_DEFAULT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q_is_read_in_thousandths() {
        let cases: [(&[u8], u16); 12] = [
            (b"1", 1000),
            (b"1.000", 1000),
            (b"0", 0),
            (b"0.", 0),
            (b"0.5", 500),
            (b"0.05", 50),
            (b"0.123", 123),
            (b"0.9999", 999),
            (b"2", 1000),
            (b"0,5", 1000),
            (b"0.x", 1000),
            (b"", 1000),
        ];
        for (text, q) in cases {
            assert_eq!(read_q(text), q, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn a_malformed_interval_is_an_hour_and_a_huge_one_the_largest() {
        for text in [&b""[..], b"-1", b"1.5", b"soon", b"0x10"] {
            assert_eq!(delta_seconds(text), 3600);
        }
        assert_eq!(delta_seconds(b" 60 "), 60);
        assert_eq!(delta_seconds(b"4294967296"), u32::MAX);
        assert_eq!(delta_seconds(b"99999999999999999999999999"), u32::MAX);
    }
}
