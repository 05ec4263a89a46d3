//! Session descriptions that this server writes or amends.

use std::net::IpAddr;

use super::{Direction, Line, Media, Sdp};

/// The `o=` line of one session of this server's own (RFC 8866 5.2): the identifier stays, the version grows with every
/// description that is sent (RFC 3264 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// Session identifier.
    pub id: u64,
    /// Session version.
    pub version: u64,
    /// Address or name of this server.
    pub address: &'a str,
}

impl Origin<'_> {
    /// `IN IP4 address`, or IP6.
    fn place(&self) -> String {
        let bare = self.address.trim_start_matches('[').trim_end_matches(']');
        let family = if matches!(bare.parse(), Ok(IpAddr::V6(_))) { "IP6" } else { "IP4" };
        format!("IN {family} {bare}")
    }

    fn line(&self) -> String {
        format!("o=- {} {} {}\r\n", self.id, self.version, self.place())
    }
}

impl Sdp<'_> {
    /// The same description with an origin of this server's own, byte for byte otherwise.
    #[must_use]
    pub fn with_origin(&self, origin: &Origin<'_>) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.text.len() + 64);
        for line in self.lines() {
            if line.letter == b'o' {
                out.extend_from_slice(origin.line().as_bytes());
            } else {
                out.extend_from_slice(line.whole);
            }
        }
        out
    }

    /// The same description with every medium flowing this way.
    #[must_use]
    pub fn with_direction(&self, way: Direction) -> Vec<u8> {
        let attribute = format!("a={}\r\n", way.as_str());
        let mut out = Vec::with_capacity(self.text.len() + 32);
        let mut in_media = false;
        let close = |out: &mut Vec<u8>| {
            if !out.ends_with(b"\n") {
                // A text may end within its last line's end.
                out.truncate(out.strip_suffix(b"\r").unwrap_or(out).len());
                out.extend_from_slice(b"\r\n");
            }
            out.extend_from_slice(attribute.as_bytes());
        };
        for line in self.lines() {
            if line.letter == b'a' && Direction::parse(line.value).is_some() {
                continue;
            }
            if line.letter == b'm' && std::mem::replace(&mut in_media, true) {
                close(&mut out);
            }
            out.extend_from_slice(line.whole);
        }
        close(&mut out);
        out
    }

    /// The answer that accepts this offer and lets nothing flow: each medium with the first of its formats, its own
    /// transport, the discard port and `a=inactive`. A medium that is refused stays refused, and so is one whose keys
    /// would have to be agreed on by DTLS, which this server cannot do.
    #[must_use]
    pub fn inactive_answer(&self, origin: &Origin<'_>) -> Vec<u8> {
        let mut out = format!("v=0\r\n{}s=-\r\nc={}\r\n", origin.line(), origin.place()).into_bytes();
        let is_time = |line: &Line<'_>| line.letter == b't';
        let mut timed = false;
        for line in self.lines().take_while(|line| line.letter != b'm').filter(is_time) {
            put(&mut out, &[b"t=", line.value]);
            timed = true;
        }
        if !timed {
            put(&mut out, &[b"t=0 0"]);
        }
        let mut current: Option<(Media<'_>, &[u8])> = None;
        let mut keyed = false;
        for line in self.lines() {
            if let Some(media) = Some(line).filter(|l| l.letter == b'm').and_then(|l| Media::parse(l.value)) {
                close_medium(&mut out, current);
                let format = media.format(&self.lines_of(line));
                current = Some((media, format));
                keyed = false;
                let port: &[u8] = if media.is_refused() { b"0" } else { b"9" };
                put(&mut out, &[b"m=", media.kind, b" ", port, b" ", media.transport, b" ", format]);
                continue;
            }
            let Some((_, format)) = current.filter(|(media, _)| !media.is_refused()) else { continue };
            let describes = |name: &[u8]| {
                let value = line.value.strip_prefix(name).filter(|_| line.letter == b'a');
                value.and_then(|value| value.split(|byte| *byte == b' ').next()) == Some(format)
            };
            let is_key = line.letter == b'a' && line.value.starts_with(b"crypto:");
            if describes(b"rtpmap:")
                || describes(b"fmtp:")
                || (is_key && !std::mem::replace(&mut keyed, true))
            {
                put(&mut out, &[b"a=", line.value]);
            }
        }
        close_medium(&mut out, current);
        out
    }

    /// The attribute lines of the medium that `head` begins.
    fn lines_of(&self, head: Line<'_>) -> Vec<Line<'_>> {
        let mut lines = self.lines().skip_while(|line| !std::ptr::eq(line.whole, head.whole));
        lines.next();
        lines.take_while(|line| line.letter != b'm').collect()
    }
}

impl<'a> Media<'a> {
    /// Whether its answer has to refuse it.
    fn is_refused(&self) -> bool {
        self.port == b"0" || self.transport.windows(4).any(|part| part.eq_ignore_ascii_case(b"/TLS"))
    }

    /// The first format that carries the medium itself: not telephone events, comfort noise or repair.
    fn format(&self, lines: &[Line<'_>]) -> &'a [u8] {
        let mut formats = self.formats.split(|byte| *byte == b' ').filter(|format| !format.is_empty());
        let is_side = |format: &[u8]| {
            format == b"13"
                || lines.iter().any(|line| line.letter == b'a' && names_side_format(line.value, format))
        };
        let first = formats.clone().next().unwrap_or_default();
        formats.find(|format| !is_side(format)).unwrap_or(first)
    }
}

/// Whether this `rtpmap` says that the format only accompanies another one.
fn names_side_format(value: &[u8], format: &[u8]) -> bool {
    let Some(rest) = value.strip_prefix(b"rtpmap:") else { return false };
    let mut words = rest.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let (number, name) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let name = name.split(|byte| *byte == b'/').next().unwrap_or_default();
    let side: [&[u8]; 5] = [b"telephone-event", b"CN", b"rtx", b"red", b"ulpfec"];
    number == format && side.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn close_medium(out: &mut Vec<u8>, media: Option<(Media<'_>, &[u8])>) {
    if media.is_some_and(|(media, _)| !media.is_refused()) {
        put(out, &[b"a=inactive"]);
    }
}

fn put(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
    out.extend_from_slice(b"\r\n");
}
