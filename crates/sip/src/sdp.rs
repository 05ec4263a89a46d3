//! Session descriptions, as far as third-party call control needs them (RFC 8866, RFC 3264): which way a party's media
//! flow, an answer that lets none flow, and an origin of this server's own. Everything else of an SDP passes through
//! untouched, byte for byte. Reading borrows the body and allocates nothing.

mod write;

#[cfg(test)]
mod tests;

pub use write::Origin;

use crate::limits::MAX_MEDIA;

/// What is wrong with a session description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SdpError {
    /// There is none.
    Empty,
    /// It does not begin with `v=0`.
    Version,
    /// A line is not `letter=value`.
    Line,
    /// There is no `o=` line before the media, or there are two.
    Origin,
    /// An `m=` line lacks its port, transport or formats.
    Media,
    /// More than [`MAX_MEDIA`] media.
    TooManyMedia,
}

impl std::fmt::Display for SdpError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Empty => "no session description",
            Self::Version => "no v=0 at its beginning",
            Self::Line => "a line is not letter=value",
            Self::Origin => "not one o= line before the media",
            Self::Media => "an m= line lacks its port, transport or formats",
            Self::TooManyMedia => "too many media",
        })
    }
}

impl std::error::Error for SdpError {}

/// Which way media flow, seen by whoever describes them (RFC 8866 6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    SendRecv,
    /// Only from the describer.
    SendOnly,
    /// Only to the describer.
    RecvOnly,
    /// Not at all.
    Inactive,
}

impl Direction {
    /// The direction that lets media flow as said.
    #[must_use]
    pub fn of(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// Whether the describer sends.
    #[must_use]
    pub fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether the describer receives.
    #[must_use]
    pub fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The same seen from the other end.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self::of(self.receives(), self.sends())
    }

    /// The attribute.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    fn parse(attribute: &[u8]) -> Option<Self> {
        Some(match attribute {
            b"sendrecv" => Self::SendRecv,
            b"sendonly" => Self::SendOnly,
            b"recvonly" => Self::RecvOnly,
            b"inactive" => Self::Inactive,
            _ => return None,
        })
    }
}

/// A readable session description.
#[derive(Clone, Copy, Debug)]
pub struct Sdp<'a> {
    text: &'a [u8],
}

/// One line: its letter, its value, and all of it with its end.
#[derive(Clone, Copy, Debug)]
struct Line<'a> {
    letter: u8,
    value: &'a [u8],
    whole: &'a [u8],
}

/// An `m=` line.
#[derive(Clone, Copy, Debug)]
struct Media<'a> {
    kind: &'a [u8],
    port: &'a [u8],
    transport: &'a [u8],
    formats: &'a [u8],
}

impl<'a> Sdp<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// See [`SdpError`]; whatever an SDP may say that this server does not need to know is not judged.
    pub fn parse(text: &'a [u8]) -> Result<Self, SdpError> {
        if text.trim_ascii().is_empty() {
            return Err(SdpError::Empty);
        }
        let mut origins = 0_usize;
        let mut media = 0_usize;
        for (place, line) in Lines::of(text).enumerate() {
            let line = line?;
            match line.letter {
                b'v' if place == 0 && line.value == b"0" => {}
                _ if place == 0 => return Err(SdpError::Version),
                b'o' if media == 0 => origins += 1,
                b'o' => return Err(SdpError::Origin),
                b'm' => {
                    Media::parse(line.value).ok_or(SdpError::Media)?;
                    media += 1;
                }
                _ => {}
            }
        }
        if media > MAX_MEDIA {
            return Err(SdpError::TooManyMedia);
        }
        if origins == 1 { Ok(Self { text }) } else { Err(SdpError::Origin) }
    }

    /// Which way the session's media flow: the way of any of them that is not refused (port 0). An address of all zeros
    /// receives nothing (RFC 3264 8.4).
    #[must_use]
    pub fn direction(&self) -> Direction {
        let mut session = Flowing { open: false, way: Direction::SendRecv, reachable: true };
        let mut current: Option<Flowing> = None;
        let (mut sends, mut receives) = (false, false);
        let mut take = |media: Option<Flowing>| {
            let Some(media) = media.filter(|media| media.open) else { return };
            sends |= media.way.sends();
            receives |= media.way.receives() && media.reachable;
        };
        for line in self.lines() {
            if let Some(media) =
                Some(line).filter(|line| line.letter == b'm').and_then(|l| Media::parse(l.value))
            {
                take(current.replace(Flowing { open: media.port != b"0", ..session }));
                continue;
            }
            let at = current.as_mut().unwrap_or(&mut session);
            match line.letter {
                b'a' => at.way = Direction::parse(line.value).unwrap_or(at.way),
                b'c' => at.reachable = !is_nowhere(line.value),
                _ => {}
            }
        }
        take(current);
        Direction::of(sends, receives)
    }

    /// Whether its describer has put the other party on hold: he hears nothing of it.
    #[must_use]
    pub fn is_hold(&self) -> bool {
        !self.direction().receives()
    }

    /// Lines that were seen to be readable.
    fn lines(&self) -> impl Iterator<Item = Line<'a>> + use<'a> {
        Lines::of(self.text).flatten()
    }
}

/// What is known of a media description while it is read.
#[derive(Clone, Copy)]
struct Flowing {
    open: bool,
    way: Direction,
    reachable: bool,
}

fn is_nowhere(connection: &[u8]) -> bool {
    let address = connection.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).nth(2);
    matches!(address.unwrap_or_default(), b"0.0.0.0" | b"::" | b"0:0:0:0:0:0:0:0")
}

impl<'a> Media<'a> {
    fn parse(value: &'a [u8]) -> Option<Self> {
        let (kind, rest) = word(value)?;
        let (port, rest) = word(rest)?;
        let (transport, formats) = word(rest)?;
        let formats = formats.trim_ascii();
        let number = port.split(|byte| *byte == b'/').next().unwrap_or_default();
        let is_port = !number.is_empty() && number.len() <= 5 && number.iter().all(u8::is_ascii_digit);
        (is_port && !formats.is_empty()).then_some(Self { kind, port, transport, formats })
    }
}

/// The first word, and what follows it.
fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.trim_ascii_start();
    let end = text.iter().position(|byte| *byte == b' ').unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end)?;
    (!word.is_empty()).then_some((word, rest))
}

/// Lines, each ended by CRLF, by LF alone as some write it, or by the end of the text. Empty lines at the end are no
/// lines.
struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Lines<'a> {
    fn of(text: &'a [u8]) -> Self {
        Self { rest: text }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Result<Line<'a>, SdpError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.trim_ascii().is_empty() {
            return None;
        }
        let end = self.rest.iter().position(|byte| *byte == b'\n').map_or(self.rest.len(), |end| end + 1);
        let (whole, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        let text = whole.strip_suffix(b"\n").unwrap_or(whole);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let line = match text {
            [letter @ b'a'..=b'z', b'=', value @ ..]
                if !value.iter().any(|byte| matches!(byte, 0 | b'\r')) =>
            {
                Ok(Line { letter: *letter, value, whole })
            }
            _ => Err(SdpError::Line),
        };
        Some(line)
    }
}
