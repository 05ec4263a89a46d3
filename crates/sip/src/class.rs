//! Character classes of RFC 3261 25.1, one bit each in one table: the scanners look at every byte of a message.

const TOKEN: u8 = 1 << 0;
const LWS: u8 = 1 << 1;
const HOST: u8 = 1 << 2;
const VALUE: u8 = 1 << 3;
const URI: u8 = 1 << 4;
const USER: u8 = 1 << 5;
const URI_PARAM: u8 = 1 << 6;
const DISPLAY: u8 = 1 << 7;

static CLASSES: [u8; 256] = table();

#[expect(
    clippy::indexing_slicing,
    reason = "evaluated at compile time, where a bad index is a compile error"
)]
const fn table() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = classes(byte as u8);
        byte += 1;
    }
    table
}

const fn classes(byte: u8) -> u8 {
    let alphanumeric = byte.is_ascii_alphanumeric();
    let unreserved =
        alphanumeric || matches!(byte, b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')');
    let token =
        alphanumeric || matches!(byte, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~');
    let lws = matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    // The underscore stands in the names of containers and service records.
    let host = alphanumeric || matches!(byte, b'-' | b'.' | b'_');
    // More than a token: hosts, and what devices put into parameters without quoting it.
    let value =
        byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'<' | b'>' | b'\\') || byte >= 0x80;
    let uri = byte.is_ascii_graphic()
        && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}');
    // `#` is dialled by phones that do not escape it.
    let user =
        unreserved || matches!(byte, b'%' | b'&' | b'=' | b'+' | b'$' | b',' | b';' | b'?' | b'/' | b'#');
    let uri_param = unreserved || matches!(byte, b'%' | b'[' | b']' | b'/' | b':' | b'&' | b'+' | b'$');
    // More than tokens, but nothing that moves the end of an element.
    let display = !byte.is_ascii_control() && !matches!(byte, b',' | b';' | b'"' | b'\\' | b'>') || lws;
    bit(token, TOKEN)
        | bit(lws, LWS)
        | bit(host, HOST)
        | bit(value, VALUE)
        | bit(uri, URI)
        | bit(user, USER)
        | bit(uri_param, URI_PARAM)
        | bit(display, DISPLAY)
}

const fn bit(member: bool, class: u8) -> u8 {
    if member { class } else { 0 }
}

#[inline]
fn is(byte: u8, class: u8) -> bool {
    CLASSES.get(usize::from(byte)).is_some_and(|classes| classes & class != 0)
}

/// `token`.
#[inline]
#[must_use]
pub fn is_token(byte: u8) -> bool {
    is(byte, TOKEN)
}

/// Linear whitespace, the bytes of a fold included.
#[inline]
#[must_use]
pub fn is_lws(byte: u8) -> bool {
    is(byte, LWS)
}

/// A host name.
#[inline]
pub(crate) fn is_host(byte: u8) -> bool {
    is(byte, HOST)
}

/// An unquoted parameter value of a header.
#[inline]
pub(crate) fn is_value(byte: u8) -> bool {
    is(byte, VALUE)
}

/// What may stand in a URI of any scheme (RFC 2396 2.4.3 lists the others).
#[inline]
#[must_use]
pub fn is_uri(byte: u8) -> bool {
    is(byte, URI)
}

/// `user`, escapes included.
#[inline]
pub(crate) fn is_user(byte: u8) -> bool {
    is(byte, USER)
}

/// `paramchar` of a URI parameter, escapes included.
#[inline]
pub(crate) fn is_uri_param(byte: u8) -> bool {
    is(byte, URI_PARAM)
}

/// A display name without quotes.
#[inline]
pub(crate) fn is_display(byte: u8) -> bool {
    is(byte, DISPLAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(class: impl Fn(u8) -> bool) -> String {
        (0..=0x7f).filter(|b| class(*b) && !b.is_ascii_alphanumeric()).map(char::from).collect()
    }

    #[test]
    fn each_class_holds_what_the_grammar_says() {
        assert_eq!(members(is_token), "!%'*+-._`~");
        assert_eq!(members(is_lws), "\t\n\r ");
        assert_eq!(members(is_user), "!#$%&'()*+,-./;=?_~");
        assert_eq!(members(is_uri_param), "!$%&'()*+-./:[]_~");
        assert_eq!(members(is_uri), "!#$%&'()*+,-./:;=?@[]_~");
        assert_eq!(members(is_host), "-._");
    }

    #[test]
    fn no_class_but_values_and_display_names_reaches_beyond_ascii() {
        for byte in 0x80..=0xff {
            assert!(is_value(byte) && is_display(byte));
            assert!(
                !is_token(byte) && !is_uri(byte) && !is_user(byte) && !is_host(byte) && !is_uri_param(byte)
            );
        }
    }
}
