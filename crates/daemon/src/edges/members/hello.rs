//! What a member says of itself when a link is made, and again when it has found its group.
//!
//! ```text
//! major 1 | minor 1 | fields: tag 1 | length 2 | value
//! ```
//!
//! Within a major version fields only come in addition: who does not know one skips it.

use std::fmt;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tandem_quorum::{Kind, MemberId, frame};

const MAJOR: u8 = 1;
const MINOR: u8 = 0;

/// Longest text in a field, bytes. A longer one is cut where it is written and refused where it is read.
const MAX_TEXT: usize = 255;

const ID: u8 = 1;
const KIND: u8 = 2;
const GROUP: u8 = 3;
const NAME: u8 = 4;
const RELEASE: u8 = 5;
const ADDRESS: u8 = 6;
const FRAMES: u8 = 7;
const ONLY: u8 = 8;

/// What a member says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// Which member it is.
    pub id: MemberId,
    /// What it is for.
    pub kind: Kind,
    /// The group that it belongs to; 0: none yet.
    pub group: u64,
    /// The configured name of the server, or of the witness.
    pub name: String,
    /// Its release.
    pub version: String,
    /// Where the others reach it, `host:port`.
    pub address: String,
}

/// An introduction, and what else is said first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) introduction: Introduction,
    /// The oldest and the newest version of frames that the member understands.
    frames: (u8, u8),
    /// Nothing else will follow: somebody wants to know who is there.
    pub(super) only: bool,
}

/// Why a member cannot be spoken with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadHello {
    /// It does not introduce itself as members do.
    Unreadable,
    /// Of another major version.
    Version(u8),
    /// It understands other frames.
    Frames {
        /// The oldest.
        oldest: u8,
        /// The newest.
        newest: u8,
    },
}

impl fmt::Display for BadHello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable => {
                f.write_str("it does not introduce itself as a member does: is it Tandem's port for members?")
            }
            Self::Version(major) => {
                let older = if *major > MAJOR { "this member" } else { "the other" };
                write!(
                    f,
                    "it speaks version {major} of the members' links, this release {MAJOR}: upgrade {older}"
                )
            }
            Self::Frames { oldest, newest } => {
                let older = if *oldest > frame::VERSION { "this member" } else { "the other" };
                let (ours, last) = (frame::OLDEST, frame::VERSION);
                write!(
                    f,
                    "it speaks versions {oldest} to {newest} of frames, this release {ours} to {last}: upgrade {older}"
                )
            }
        }
    }
}

impl std::error::Error for BadHello {}

impl Hello {
    /// What this release says. `only`: nothing will follow.
    pub(super) fn new(introduction: Introduction, only: bool) -> Self {
        Self { introduction, frames: (frame::OLDEST, frame::VERSION), only }
    }

    pub(super) fn encode(&self, out: &mut BytesMut) {
        let Introduction { id, kind, group, name, version, address } = &self.introduction;
        out.put_slice(&[MAJOR, MINOR]);
        put(out, ID, &id.0.to_be_bytes());
        put(out, KIND, &[u8::from(*kind == Kind::Witness)]);
        put(out, GROUP, &group.to_be_bytes());
        for (tag, text) in [(NAME, name), (RELEASE, version), (ADDRESS, address)] {
            put(out, tag, within(text).as_bytes());
        }
        put(out, FRAMES, &[self.frames.0, self.frames.1]);
        put(out, ONLY, &[self.only.into()]);
    }

    /// # Errors
    /// See [`BadHello`].
    pub(super) fn decode(mut bytes: Bytes) -> Result<Self, BadHello> {
        let (major, _minor) = (bytes.try_get_u8(), bytes.try_get_u8());
        let major = major.map_err(|_| BadHello::Unreadable)?;
        if major != MAJOR {
            return Err(BadHello::Version(major));
        }
        let hello = Self::fields(bytes).ok_or(BadHello::Unreadable)?;
        let (oldest, newest) = hello.frames;
        if oldest > frame::VERSION || newest < frame::OLDEST {
            return Err(BadHello::Frames { oldest, newest });
        }
        Ok(hello)
    }

    fn fields(mut bytes: Bytes) -> Option<Self> {
        let (mut id, mut kind, mut group, mut frames, mut only) = (None, None, 0, None, false);
        let (mut name, mut version, mut address) = (String::new(), String::new(), String::new());
        while bytes.has_remaining() {
            let (tag, length) = (bytes.try_get_u8().ok()?, usize::from(bytes.try_get_u16().ok()?));
            if bytes.len() < length {
                return None;
            }
            let mut value = bytes.split_to(length);
            match tag {
                ID => id = Some(MemberId(value.try_get_u64().ok()?)).filter(|id| id.0 != 0),
                KIND => kind = Some(if value.try_get_u8().ok()? == 0 { Kind::Server } else { Kind::Witness }),
                GROUP => group = value.try_get_u64().ok()?,
                NAME => name = text(&value)?,
                RELEASE => version = text(&value)?,
                ADDRESS => address = text(&value)?,
                FRAMES => frames = Some((value.try_get_u8().ok()?, value.try_get_u8().ok()?)),
                ONLY => only = value.try_get_u8().ok()? != 0,
                _ => {}
            }
        }
        let introduction = Introduction { id: id?, kind: kind?, group, name, version, address };
        Some(Self { introduction, frames: frames?, only })
    }
}

fn put(out: &mut BytesMut, tag: u8, value: &[u8]) {
    out.put_u8(tag);
    out.put_u16(u16::try_from(value.len()).unwrap_or(u16::MAX));
    out.put_slice(value);
}

fn within(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_TEXT)).unwrap_or(text)
}

/// A text that can stand in a line of the log.
fn text(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    let fine = text.len() <= MAX_TEXT && !text.chars().any(char::is_control);
    fine.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Hello {
        let (name, version, address) = ("b".to_owned(), "9.9".to_owned(), "192.0.2.12:5070".to_owned());
        let introduction =
            Introduction { id: MemberId(9), kind: Kind::Witness, group: 7, name, version, address };
        Hello::new(introduction, true)
    }

    fn encoded(hello: &Hello) -> BytesMut {
        let mut out = BytesMut::new();
        hello.encode(&mut out);
        out
    }

    #[test]
    fn a_later_release_is_understood_although_it_says_more() {
        let mut later = encoded(&hello());
        later[1] = MINOR + 1;
        put(&mut later, 200, b"something new");
        assert_eq!(Hello::decode(later.freeze()), Ok(hello()));
    }

    #[test]
    fn releases_that_cannot_understand_each_other_say_which_is_the_older() {
        let mut other = encoded(&hello());
        other[0] = MAJOR + 1;
        let refused = Hello::decode(other.freeze()).unwrap_err();
        assert!(refused.to_string().ends_with("upgrade this member"), "{refused}");
        let newer = Hello { frames: (frame::VERSION + 1, frame::VERSION + 2), ..hello() };
        let refused = Hello::decode(encoded(&newer).freeze()).unwrap_err();
        assert!(refused.to_string().ends_with("upgrade this member"), "{refused}");
        let older = Hello { frames: (0, 0), ..hello() };
        let refused = Hello::decode(encoded(&older).freeze()).unwrap_err();
        assert!(refused.to_string().ends_with("upgrade the other"), "{refused}");
    }

    #[test]
    fn what_lacks_a_field_or_would_spoil_the_log_is_no_hello() {
        let whole = encoded(&hello()).freeze();
        for end in 0..whole.len() {
            let cut = Hello::decode(whole.slice(..end));
            // Only the last field may be left out.
            assert!(cut.is_err() || end == whole.len() - 4, "cut at {end}");
        }
        let mut nobody = hello();
        nobody.introduction.id = MemberId(0);
        assert_eq!(Hello::decode(encoded(&nobody).freeze()), Err(BadHello::Unreadable));
        let mut forged = hello();
        forged.introduction.name = "b\nERROR all is lost".to_owned();
        assert_eq!(Hello::decode(encoded(&forged).freeze()), Err(BadHello::Unreadable));
        let mut long = hello();
        long.introduction.name = "ü".repeat(200);
        let read = Hello::decode(encoded(&long).freeze()).unwrap();
        assert_eq!(read.introduction.name, "ü".repeat(127), "cut where it is written");
    }
}
