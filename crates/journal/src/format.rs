//! The bytes on the disk, all numbers big-endian.
//!
//! ```text
//! segment   head 40 | frame … | zeros
//! head      magic 8 | version 4 | life 4 | sequence 4 | salt 4 | first frame 8 | zeros 4 | CRC-32 4
//! frame     salt 4 | CRC-32 4 | number 8 | synced 8 | length 4 | records 4 | record … | zeros up to a multiple of 8
//! record    length 4 | keep 1 | place 8 | bytes
//! snapshot  magic 8 | version 4 | life 4 | length 8 | zeros 4 | CRC-32 4 | bytes
//! ```
//!
//! A frame is what went to the disk in one write: it is there as a whole or not at all. It names the first frame that was
//! not known to be synced when it was written, so that a reader can tell a write that a crash cut short from damage to
//! what had been there. A segment's random salt begins each of its frames: nothing that a caller had stored, and nothing
//! that an earlier file left on the disk, looks like a frame.

use bytes::{Buf, BufMut, Bytes};

use crate::batch::{Keep, Record};

/// The version that is written. A file of a later one is refused by name.
pub const VERSION: u32 = 1;
/// Bytes of a segment's head.
pub const HEAD: usize = 40;
/// Bytes of a frame before its records.
pub const FRAME: usize = 32;
/// Bytes of a record before its own.
pub const RECORD: usize = 13;
/// Bytes of a snapshot's head.
pub const SNAPSHOT: usize = 32;

const SEGMENT_MAGIC: [u8; 8] = *b"TNDMLOG\n";
const SNAPSHOT_MAGIC: [u8; 8] = *b"TNDMSNP\n";

/// Why a head is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadHead {
    /// It begins with something else.
    Magic,
    /// A later release wrote it.
    Version(u32),
    /// Its checksum is another.
    Checksum,
}

/// How a segment begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Counts how often the journal was begun anew.
    pub life: u32,
    /// The segment's place in that life.
    pub sequence: u32,
    /// What its frames begin with. Not 0.
    pub salt: u32,
    /// The number of its first frame.
    pub first: u64,
}

/// How a frame begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHead {
    /// Its number in the life of the journal.
    pub number: u64,
    /// Frames before this one were synced when it was written.
    pub synced: u64,
    /// Bytes of its records.
    pub length: u32,
    /// How many records.
    pub records: u32,
}

impl Head {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; HEAD] {
        let mut out = [0; HEAD];
        let mut rest = out.as_mut_slice();
        rest.put_slice(&SEGMENT_MAGIC);
        rest.put_u32(VERSION);
        rest.put_u32(self.life);
        rest.put_u32(self.sequence);
        rest.put_u32(self.salt);
        rest.put_u64(self.first);
        rest.put_u32(0);
        seal(&mut out);
        out
    }

    /// Reads [`encode`](Self::encode) back.
    ///
    /// # Errors
    /// See [`BadHead`].
    pub fn decode(bytes: &[u8]) -> Result<Self, BadHead> {
        let mut rest = opened::<HEAD>(bytes, SEGMENT_MAGIC)?;
        let (life, sequence, salt) = (rest.get_u32(), rest.get_u32(), rest.get_u32());
        Ok(Self { life, sequence, salt, first: rest.get_u64() })
    }
}

/// The head of a snapshot with these bytes, one part after the other.
#[must_use]
pub fn snapshot_head(life: u32, parts: &[impl AsRef<[u8]>]) -> [u8; SNAPSHOT] {
    let mut checksum = crc32fast::Hasher::new();
    parts.iter().for_each(|part| checksum.update(part.as_ref()));
    let mut out = [0; SNAPSHOT];
    let mut rest = out.as_mut_slice();
    rest.put_slice(&SNAPSHOT_MAGIC);
    rest.put_u32(VERSION);
    rest.put_u32(life);
    rest.put_u64(parts.iter().map(|part| part.as_ref().len() as u64).sum());
    rest.put_u32(checksum.finalize());
    seal(&mut out);
    out
}

/// A snapshot's life and bytes, from the whole file.
///
/// # Errors
/// See [`BadHead`]; the checksum is also wrong if the length is.
pub fn snapshot(file: &Bytes) -> Result<(u32, Bytes), BadHead> {
    let mut rest = opened::<SNAPSHOT>(file, SNAPSHOT_MAGIC)?;
    let (life, length, checksum) = (rest.get_u32(), rest.get_u64(), rest.get_u32());
    let bytes = file.slice(SNAPSHOT..);
    if bytes.len() as u64 != length || crc32fast::hash(&bytes) != checksum {
        return Err(BadHead::Checksum);
    }
    Ok((life, bytes))
}

/// Puts the checksum of what is before into the last four bytes.
fn seal(out: &mut [u8]) {
    if let Some((body, checksum)) = out.split_last_chunk_mut::<4>() {
        *checksum = crc32fast::hash(body).to_be_bytes();
    }
}

/// What stands between the version and the checksum, `N` bytes from the first to the last.
fn opened<const N: usize>(bytes: &[u8], magic: [u8; 8]) -> Result<&[u8], BadHead> {
    if !bytes.starts_with(&magic) {
        return Err(BadHead::Magic);
    }
    let version = bytes.get(8..12).ok_or(BadHead::Checksum)?.get_u32();
    // Of a later version nothing else is known, the place of its checksum included.
    if version > VERSION {
        return Err(BadHead::Version(version));
    }
    let head = bytes.get(..N).ok_or(BadHead::Checksum)?;
    let (body, checksum) = head.split_last_chunk::<4>().ok_or(BadHead::Checksum)?;
    match crc32fast::hash(body).to_be_bytes() == *checksum {
        true => body.get(12..).ok_or(BadHead::Checksum),
        false => Err(BadHead::Checksum),
    }
}

/// Appends a frame with these records to `out`.
pub fn put_frame<'a>(
    out: &mut Vec<u8>,
    salt: u32,
    number: u64,
    synced: u64,
    records: impl Iterator<Item = &'a Record>,
) {
    let begin = out.len();
    out.put_u32(salt);
    out.put_bytes(0, 4);
    out.put_u64(number);
    out.put_u64(synced);
    out.put_bytes(0, 8);
    let mut count = 0u32;
    for record in records {
        put_record(out, record);
        count = count.saturating_add(1);
    }
    let length = u32::try_from(out.len() - begin - FRAME).unwrap_or(u32::MAX);
    out.resize(out.len().next_multiple_of(8), 0);
    let Some(frame) = out.get_mut(begin..) else { return };
    if let Some(mut counts) = frame.get_mut(24..FRAME) {
        counts.put_u32(length);
        counts.put_u32(count);
    }
    let checksum = checksum(frame);
    if let Some(mut place) = frame.get_mut(4..8) {
        place.put_u32(checksum);
    }
}

fn put_record(out: &mut Vec<u8>, record: &Record) {
    let (keep, place) = match record.keep {
        Keep::Loose => (0, 0),
        Keep::Place(place) => (1, place),
        Keep::Latest(slot) => (2, slot.into()),
    };
    out.put_u32(u32::try_from(record.bytes.len()).unwrap_or(u32::MAX));
    out.put_u8(keep);
    out.put_u64(place);
    out.put_slice(&record.bytes);
}

/// Of a whole frame, behind its own place.
fn checksum(frame: &[u8]) -> u32 {
    crc32fast::hash(frame.get(8..).unwrap_or_default())
}

/// Reads the frame that begins `bytes`: its head and its whole length. `None` if none does.
#[must_use]
pub fn frame(bytes: &[u8], salt: u32) -> Option<(FrameHead, usize)> {
    let mut rest = bytes.get(..FRAME)?;
    if rest.get_u32() != salt {
        return None;
    }
    let expected = rest.get_u32();
    let (number, synced) = (rest.get_u64(), rest.get_u64());
    let head = FrameHead { number, synced, length: rest.get_u32(), records: rest.get_u32() };
    let whole = usize::try_from(head.length).ok()?.checked_add(FRAME)?.checked_next_multiple_of(8)?;
    let found = checksum(bytes.get(..whole)?);
    (found == expected).then_some((head, whole))
}

/// The records of a frame whose checksum is right, sharing its memory. `None` if they do not fill it exactly.
#[must_use]
pub fn records(frame: &Bytes, head: FrameHead) -> Option<Vec<Record>> {
    let end = FRAME.checked_add(usize::try_from(head.length).ok()?)?;
    let mut rest = (frame.len() >= end).then(|| frame.slice(FRAME..end))?;
    let mut found = Vec::with_capacity(usize::try_from(head.records).ok()?.min(rest.len() / RECORD));
    for _ in 0..head.records {
        let length = usize::try_from(rest.try_get_u32().ok()?).ok()?;
        let (keep, place) = (rest.try_get_u8().ok()?, rest.try_get_u64().ok()?);
        let keep = match keep {
            0 => Keep::Loose,
            1 => Keep::Place(place),
            2 => Keep::Latest(u8::try_from(place).ok()?),
            _ => return None,
        };
        let bytes = (rest.len() >= length).then(|| rest.split_to(length))?;
        found.push(Record { keep, bytes });
    }
    rest.is_empty().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<Record> {
        let record = |keep, text: &'static str| Record { keep, bytes: Bytes::from_static(text.as_bytes()) };
        vec![record(Keep::Latest(7), "identity"), record(Keep::Place(9), ""), record(Keep::Loose, "x")]
    }

    #[test]
    fn heads_are_read_as_they_were_written() {
        let head = Head { life: 2, sequence: 3, salt: 4, first: 5 };
        assert_eq!(Head::decode(&head.encode()), Ok(head));
        let mut file = snapshot_head(6, &["st", "ate"]).to_vec();
        file.extend_from_slice(b"state");
        assert_eq!(snapshot(&file.into()), Ok((6, Bytes::from_static(b"state"))));
    }

    #[test]
    fn no_flipped_bit_of_a_head_goes_unnoticed() {
        let head = Head { life: 2, sequence: 3, salt: 4, first: 5 }.encode();
        let mut file = snapshot_head(6, &["st", "ate"]).to_vec();
        file.extend_from_slice(b"state");
        for bit in 0..HEAD * 8 {
            let mut wrong = head;
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(Head::decode(&wrong).is_err(), "bit {bit}");
        }
        for bit in 0..file.len() * 8 {
            let mut wrong = file.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(snapshot(&wrong.into()).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_later_version_is_refused_by_name() {
        let mut head = Head { life: 2, sequence: 3, salt: 4, first: 5 }.encode();
        head[11] = 2;
        assert_eq!(Head::decode(&head), Err(BadHead::Version(2)));
        assert_eq!(Head::decode(&head[..20]), Err(BadHead::Version(2)), "whatever else it has become");
        assert_eq!(Head::decode(b"#!/bin/sh"), Err(BadHead::Magic));
    }

    #[test]
    fn records_are_read_as_they_were_written() {
        let mut out = vec![1, 2, 3, 4, 5, 6, 7, 8];
        put_frame(&mut out, 77, 5, 4, sample().iter());
        let bytes = Bytes::from(out).slice(8..);
        assert_eq!(bytes.len() % 8, 0, "the next frame begins where a reader looks for one");
        let (head, whole) = frame(&bytes, 77).unwrap();
        assert_eq!((head.number, head.synced, head.records, whole), (5, 4, 3, bytes.len()));
        assert_eq!(records(&bytes, head).unwrap(), sample());
    }

    #[test]
    fn no_flipped_bit_of_a_frame_and_no_foreign_frame_goes_unnoticed() {
        let mut out = Vec::new();
        put_frame(&mut out, 77, 5, 4, sample().iter());
        assert_eq!(frame(&out, 78), None, "of another segment");
        for bit in 0..out.len() * 8 {
            let mut wrong = out.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(frame(&wrong, 77), None, "bit {bit}");
        }
        for end in 0..out.len() {
            assert_eq!(frame(&out[..end], 77), None, "cut at {end}");
        }
    }
}
