//! What members say to each other beside frames: a head and a payload.
//!
//! ```text
//! magic 2 | kind 1 | reserved 1 | length 4 | payload
//! ```
//!
//! Words of a kind that is not known are skipped, so that a later release may say more.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tandem_quorum::{BadFrame, frame};

use super::hello::{BadHello, Hello};
use super::summary::{Digest, Excerpt, SLOTS};
use crate::limits::MAX_MEMBER_WORD;

const MAGIC: [u8; 2] = *b"TL";
const HEAD: usize = 8;

const HELLO: u8 = 1;
const BEAT: u8 = 2;
const REFUSED: u8 = 3;
const DIGEST: u8 = 4;
const PARTS: u8 = 5;
const EXCERPT: u8 = 6;
const WELCOME: u8 = 7;

/// Longest reason that is told, bytes.
const MAX_REASON: usize = 512;

/// A word between two members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// Who the sender is: the first word of all, and said again when it has found its group.
    Hello(Box<Hello>),
    /// The sender has heard who the receiver is, and is linked with it.
    Welcome,
    /// The sender lives, and has nothing to say.
    Beat,
    /// The sender will not be linked with the receiver; it closes the connection.
    Refused(String),
    /// The configuration of the sender, in short.
    Digest(Digest),
    /// The same in parts, because the two differ.
    Parts(Vec<Digest>),
    /// Those keys that stand in parts which differ.
    Excerpt(Excerpt),
}

/// What is cut from a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A frame, whole.
    Frame(Bytes),
    /// A word.
    Word(Word),
    /// A word that this release does not know.
    Unknown,
}

/// Why a stream cannot be cut any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadWord {
    #[error(transparent)]
    Frame(#[from] BadFrame),
    #[error(transparent)]
    Hello(#[from] BadHello),
    #[error("a word is longer than any")]
    Length,
    #[error("a word does not hold what its kind says")]
    Payload,
}

impl Word {
    /// Appends it to what is to be written.
    pub(super) fn encode(&self, out: &mut BytesMut) {
        let begin = out.len();
        out.put_slice(&MAGIC);
        out.put_slice(&[0; HEAD - 2]);
        let kind = match self {
            Self::Hello(hello) => {
                hello.encode(out);
                HELLO
            }
            Self::Welcome => WELCOME,
            Self::Beat => BEAT,
            Self::Refused(why) => {
                let cut = why.floor_char_boundary(MAX_REASON);
                out.put_slice(why.as_bytes().get(..cut).unwrap_or_default());
                REFUSED
            }
            Self::Digest(digest) => {
                out.put_slice(digest);
                DIGEST
            }
            Self::Parts(parts) => {
                parts.iter().for_each(|part| out.put_slice(part));
                PARTS
            }
            Self::Excerpt(excerpt) => {
                excerpt.encode(out);
                EXCERPT
            }
        };
        let length = u32::try_from(out.len() - begin - HEAD).unwrap_or(u32::MAX);
        if let Some(head) = out.get_mut(begin + 2..begin + HEAD) {
            head.copy_from_slice(&[[kind, 0].as_slice(), &length.to_be_bytes()].concat());
        }
    }

    fn decode(kind: u8, payload: Bytes) -> Result<Option<Self>, BadWord> {
        let digest = |bytes: &[u8]| Digest::try_from(bytes).map_err(|_| BadWord::Payload);
        let word = match kind {
            HELLO => Self::Hello(Box::new(Hello::decode(payload)?)),
            WELCOME => Self::Welcome,
            BEAT => Self::Beat,
            REFUSED => {
                let text = std::str::from_utf8(&payload).map_err(|_| BadWord::Payload)?;
                let printable = text.chars().filter(|c| !c.is_control()).take(MAX_REASON);
                Self::Refused(printable.collect())
            }
            DIGEST => Self::Digest(digest(&payload)?),
            PARTS => {
                let parts: Vec<Digest> =
                    payload.chunks(size_of::<Digest>()).map(digest).collect::<Result<_, _>>()?;
                if parts.len() != SLOTS {
                    return Err(BadWord::Payload);
                }
                Self::Parts(parts)
            }
            EXCERPT => Self::Excerpt(Excerpt::decode(payload).ok_or(BadWord::Payload)?),
            _ => return Ok(None),
        };
        Ok(Some(word))
    }
}

/// Takes the next frame or word from the front of what has come, once it is whole.
///
/// # Errors
/// There is no telling where the next begins.
pub(super) fn cut(come: &mut BytesMut) -> Result<Option<Piece>, BadWord> {
    if come.get(..2).is_none_or(|magic| magic != MAGIC) {
        let Some(whole) = frame::length(come)? else { return Ok(None) };
        if come.len() < whole {
            come.reserve(whole - come.len());
            return Ok(None);
        }
        // A copy of its own size, so that what is kept of it does not hold the stream's buffer.
        let frame = Bytes::copy_from_slice(come.get(..whole).unwrap_or_default());
        come.advance(whole);
        return Ok(Some(Piece::Frame(frame)));
    }
    let (Some(kind), Some(length)) = (come.get(2).copied(), come.get(4..HEAD)) else { return Ok(None) };
    let length = length.try_into().map(u32::from_be_bytes).map_err(|_| BadWord::Length)?;
    let length = usize::try_from(length).ok().filter(|length| *length <= MAX_MEMBER_WORD);
    let whole = HEAD + length.ok_or(BadWord::Length)?;
    if come.len() < whole {
        come.reserve(whole - come.len());
        return Ok(None);
    }
    let payload = Bytes::copy_from_slice(come.get(HEAD..whole).unwrap_or_default());
    come.advance(whole);
    Ok(Some(Word::decode(kind, payload)?.map_or(Piece::Unknown, Piece::Word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(word: &Word) -> BytesMut {
        let mut out = BytesMut::new();
        word.encode(&mut out);
        out
    }

    #[test]
    fn words_are_cut_from_a_stream_as_they_were_said_however_it_is_broken() {
        let words = [
            Word::Beat,
            Word::Welcome,
            Word::Refused("no".to_owned()),
            Word::Digest([7; 16]),
            Word::Parts(vec![[9; 16]; SLOTS]),
        ];
        let mut all = BytesMut::new();
        words.iter().for_each(|word| word.encode(&mut all));
        let (mut come, mut cut_off) = (BytesMut::new(), Vec::new());
        for byte in all {
            come.put_u8(byte);
            cut_off.extend(cut(&mut come).unwrap());
        }
        assert_eq!(cut_off, words.map(Piece::Word));
        assert!(come.is_empty());
    }

    #[test]
    fn a_word_that_a_later_release_says_is_skipped() {
        let mut come = encoded(&Word::Refused("what?".to_owned()));
        come[2] = 99;
        Word::Beat.encode(&mut come);
        assert_eq!(cut(&mut come), Ok(Some(Piece::Unknown)));
        assert_eq!(cut(&mut come), Ok(Some(Piece::Word(Word::Beat))));
    }

    #[test]
    fn what_is_too_long_or_neither_word_nor_frame_ends_the_stream() {
        let mut long = encoded(&Word::Beat);
        long[4] = 0xff;
        assert_eq!(cut(&mut long), Err(BadWord::Length));
        let mut other = BytesMut::from("GET / HTTP/1.1\r\nHost: somebody.example\r\nAccept: */*\r\n\r\n");
        assert_eq!(cut(&mut other), Err(BadWord::Frame(BadFrame::Magic)));
        let mut short = encoded(&Word::Digest([7; 16]));
        short[7] = 15;
        assert_eq!(cut(&mut short), Err(BadWord::Payload));
    }

    #[test]
    fn a_reason_cannot_write_lines_into_the_log_of_another() {
        let mut come = encoded(&Word::Refused(format!("no\nERROR all is lost {}", "x".repeat(600))));
        let Ok(Some(Piece::Word(Word::Refused(why)))) = cut(&mut come) else { panic!() };
        assert!(!why.contains('\n') && why.len() <= MAX_REASON, "{why}");
    }
}
