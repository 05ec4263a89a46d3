//! Contact lines of the answer to a REGISTER (RFC 3261 10.3 step 8), printed without an allocation.

use tandem_sip::{Builder, HeaderName, Params, lexer};

use super::binding::Binding;
use crate::time::Now;

/// `Contact: <uri>;params;q=0.5;expires=60`. What has less than a second left has one: 0 would say it is gone.
/// `more` are further parameters, each with its leading `;`.
pub(super) fn contact_line(binding: &Binding, more: &[u8], builder: &mut Builder<'_>, now: Now) {
    let left_s = binding.expires().remaining(now.unix_ms).as_secs().max(1);
    let (expires, q) = (Decimal::of(left_s), q_text(binding.q()));
    let parts: [&[u8]; 8] =
        [b"<", binding.uri(), b">", binding.params(), q.as_slice(), b";expires=", expires.as_slice(), more];
    builder.parts(HeaderName::Contact, &parts);
}

/// Contact parameters that this server says itself.
const OURS: [&[u8]; 4] = [b"q", b"expires", b"pub-gruu", b"temp-gruu"];

/// The parameters that are told back as they came: all but those that this server says itself.
pub(super) fn kept_params(params: Params<'_>, out: &mut Vec<u8>) {
    for (name, value) in params {
        if OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
            continue;
        }
        out.push(b';');
        out.extend_from_slice(name);
        if let Some(value) = value {
            out.push(b'=');
            lexer::unfold_into(out, value);
        }
    }
}

/// A short text on the stack.
struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Text<N> {
    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    fn push(&mut self, byte: u8) {
        if let Some(slot) = self.bytes.get_mut(self.len) {
            *slot = byte;
            self.len += 1;
        }
    }
}

type Decimal = Text<20>;

impl Decimal {
    fn of(number: u64) -> Self {
        let mut text = Self { bytes: [0; 20], len: 0 };
        let mut unit = 1u64;
        while number / unit >= 10 {
            unit *= 10;
        }
        while unit > 0 {
            text.push(b'0' + (number / unit % 10) as u8);
            unit /= 10;
        }
        text
    }
}

/// `;q=1`, `;q=0.75`, `;q=0`.
fn q_text(thousandths: u16) -> Text<8> {
    let mut text = Text { bytes: [0; 8], len: 0 };
    b";q=".iter().for_each(|b| text.push(*b));
    let digit = |unit: u16| b'0' + (thousandths / unit % 10) as u8;
    text.push(digit(1000));
    let fraction = [digit(100), digit(10), digit(1)];
    let shown = fraction.iter().rposition(|d| *d != b'0').map_or(0, |last| last + 1);
    if shown > 0 {
        text.push(b'.');
    }
    fraction.iter().take(shown).for_each(|d| text.push(*d));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q_is_printed_as_short_as_it_is() {
        let cases = [
            (1000, ";q=1"),
            (0, ";q=0"),
            (500, ";q=0.5"),
            (50, ";q=0.05"),
            (123, ";q=0.123"),
            (100, ";q=0.1"),
        ];
        for (q, text) in cases {
            assert_eq!(q_text(q).as_slice(), text.as_bytes());
        }
    }

    #[test]
    fn numbers_are_printed_in_decimal() {
        for number in [0, 1, 9, 10, 99, 3600, u64::MAX] {
            assert_eq!(Decimal::of(number).as_slice(), number.to_string().as_bytes());
        }
    }
}
