//! What members send to each other: a head, a payload, and a checksum over both.
//!
//! ```text
//! magic 2 | version 1 | kind 1 | group 8 | generation 4 | boot 8 | from 8 | to 8 | length 4 | payload | CRC-32 4
//! ```
//!
//! A frame of a later version is refused by name, so that the older member can say who must be upgraded. Within a
//! version, payloads only grow at their end.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use crate::limits::MAX_FRAME;
use crate::roster::MemberId;
use crate::wire::Take;

/// The version that is sent.
pub const VERSION: u8 = 1;

/// The oldest version that is understood.
pub const OLDEST: u8 = 1;

/// Bytes before the payload. The last four of them are its length.
pub const HEAD: usize = 44;

/// Bytes behind the payload.
pub const TAIL: usize = 4;

const MAGIC: u16 = 0x5451;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A message of the engine.
    Message,
    /// A part of a snapshot.
    Chunk,
    /// How much of a snapshot has come.
    ChunkGot,
    /// The receiver's generation is a thing of the past.
    Superseded,
    /// The receiver does not belong to the group any more.
    Dismissed,
    /// The sender has stopped and the receiver has everything: it is to take over by its own sole vote.
    Relinquished,
}

const KINDS: [(u8, Kind); 6] = [
    (1, Kind::Message),
    (2, Kind::Chunk),
    (3, Kind::ChunkGot),
    (4, Kind::Superseded),
    (5, Kind::Dismissed),
    (6, Kind::Relinquished),
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    pub(crate) group: u64,
    pub(crate) generation: u32,
    /// Another number after each start of the sender.
    pub(crate) boot: u64,
    pub(crate) from: MemberId,
    pub(crate) to: MemberId,
    pub(crate) payload: Bytes,
}

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadFrame {
    /// Not of a member of an HA group at all.
    Magic,
    /// Of a release that this one does not understand.
    Version(u8),
    /// Shorter or longer than it says, or longer than any frame.
    Length,
    /// The checksum is another.
    Checksum,
    /// Of a kind that this release does not know.
    Kind(u8),
    /// The payload is not what the kind says.
    Payload,
}

impl fmt::Display for BadFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic => f.write_str("these bytes are not of an HA group"),
            Self::Version(version) => {
                write!(
                    f,
                    "the member speaks version {version}, this release {OLDEST} to {VERSION}: upgrade this one"
                )
            }
            Self::Length => f.write_str("a frame has another length than it says"),
            Self::Checksum => f.write_str("the checksum of a frame is wrong"),
            Self::Kind(kind) => write!(f, "a frame is of unknown kind {kind}"),
            Self::Payload => f.write_str("a frame holds no message"),
        }
    }
}

impl std::error::Error for BadFrame {}

/// The whole length of the frame that begins with `head`, or `None` until [`HEAD`] bytes are there: how an edge cuts a
/// stream into frames.
///
/// # Errors
/// The stream carries no frames of this release.
pub fn length(head: &[u8]) -> Result<Option<usize>, BadFrame> {
    let Some(head) = head.get(..HEAD) else { return Ok(None) };
    let mut take = Take::new(Bytes::copy_from_slice(head));
    let (magic, version) = (take.u16(), take.u8());
    if magic != Some(MAGIC) {
        return Err(BadFrame::Magic);
    }
    let known = version.filter(|version| (OLDEST..=VERSION).contains(version));
    known.ok_or(BadFrame::Version(version.unwrap_or(0)))?;
    let payload = head.get(HEAD - 4..).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
    let payload = payload.and_then(|length| usize::try_from(length).ok()).ok_or(BadFrame::Length)?;
    match payload.checked_add(HEAD + TAIL).filter(|whole| *whole <= MAX_FRAME) {
        Some(whole) => Ok(Some(whole)),
        None => Err(BadFrame::Length),
    }
}

/// Who a frame says it is from, once [`HEAD`] bytes are there: an edge makes sure that the connection is that member's.
#[must_use]
pub fn sender(head: &[u8]) -> Option<MemberId> {
    let from = head.get(24..32)?.try_into().ok()?;
    Some(MemberId(u64::from_be_bytes(from)))
}

/// Whether a frame is one of many that make a whole, so that the others may overtake it: a part of a snapshot.
#[must_use]
pub fn is_bulk(head: &[u8]) -> bool {
    let chunk = KINDS.iter().find(|(_, kind)| *kind == Kind::Chunk).map(|(number, _)| *number);
    head.get(3).copied() == chunk
}

impl Frame {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(HEAD + self.payload.len() + TAIL);
        let kind = KINDS.iter().find(|(_, kind)| *kind == self.kind).map_or(0, |(number, _)| *number);
        out.put_u16(MAGIC);
        out.put_u8(VERSION);
        out.put_u8(kind);
        out.put_u64(self.group);
        out.put_u32(self.generation);
        out.put_u64(self.boot);
        out.put_u64(self.from.0);
        out.put_u64(self.to.0);
        out.put_u32(u32::try_from(self.payload.len()).unwrap_or(u32::MAX));
        out.put_slice(&self.payload);
        let checksum = crc32fast::hash(&out);
        out.put_u32(checksum);
        out.freeze()
    }

    /// Reads one whole frame; the payload shares its memory.
    pub(crate) fn decode(bytes: &Bytes) -> Result<Self, BadFrame> {
        let whole = length(bytes)?.filter(|whole| *whole == bytes.len()).ok_or(BadFrame::Length)?;
        let body = bytes.slice(..whole - TAIL);
        let mut tail = Take::new(bytes.slice(whole - TAIL..));
        if tail.u32() != Some(crc32fast::hash(&body)) {
            return Err(BadFrame::Checksum);
        }
        let mut take = Take::new(body);
        Self::fields(&mut take).ok_or(BadFrame::Length)?.map(|frame| Self { payload: take.rest(), ..frame })
    }

    fn fields(take: &mut Take) -> Option<Result<Self, BadFrame>> {
        let _ = take.bytes(3)?;
        let number = take.u8()?;
        let (group, generation, boot) = (take.u64()?, take.u32()?, take.u64()?);
        let (from, to, _) = (MemberId(take.u64()?), MemberId(take.u64()?), take.u32()?);
        let known = KINDS.iter().find(|(known, _)| *known == number).ok_or(BadFrame::Kind(number));
        Some(known.map(|(_, kind)| Self {
            kind: *kind,
            group,
            generation,
            boot,
            from,
            to,
            payload: Bytes::new(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Frame {
        let (from, to) = (MemberId(7), MemberId(9));
        let payload = Bytes::from_static(b"payload");
        Frame { kind: Kind::Chunk, group: 3, generation: 2, boot: 5, from, to, payload }
    }

    #[test]
    fn a_frame_is_read_as_it_was_written() {
        let bytes = frame().encode();
        assert_eq!(length(&bytes), Ok(Some(bytes.len())));
        assert_eq!(length(&bytes[..HEAD - 1]), Ok(None), "an edge waits for the head");
        assert_eq!(sender(&bytes), Some(MemberId(7)));
        assert!(
            is_bulk(&bytes) && !is_bulk(&Frame { kind: Kind::Message, ..frame() }.encode()) && !is_bulk(&[])
        );
        assert_eq!(Frame::decode(&bytes), Ok(frame()));
    }

    #[test]
    fn no_flipped_bit_goes_unnoticed() {
        let bytes = frame().encode();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut wrong = bytes.to_vec();
                wrong[at] ^= 1 << bit;
                assert!(Frame::decode(&wrong.into()).is_err(), "byte {at} bit {bit}");
            }
        }
        for end in 0..bytes.len() {
            assert!(Frame::decode(&bytes.slice(..end)).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn a_later_version_is_refused_by_name() {
        let mut later = frame().encode().to_vec();
        later[2] = VERSION + 1;
        let refused = Frame::decode(&later.into()).unwrap_err();
        assert_eq!(refused, BadFrame::Version(VERSION + 1));
        assert!(refused.to_string().contains("upgrade this one"), "{refused}");
    }
}
