//! Makes sense of one segment: bytes in, records out, or what is wrong with it and where.

use std::fmt;

use bytes::Bytes;

use crate::batch::Record;
use crate::format::{self, BadHead, HEAD, Head, VERSION};

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where, bytes from the beginning.
    pub offset: u64,
    /// What.
    pub kind: DamageKind,
}

/// What is wrong at a place of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DamageKind {
    /// The file is something else.
    Foreign,
    /// A later release wrote it, with this version.
    Later(u32),
    /// The head is damaged.
    Head,
    /// The name says another life or sequence than the head.
    Name,
    /// A frame that was on the disk is damaged.
    Frame {
        /// Its number.
        number: u64,
    },
    /// A frame comes that is not next.
    Order {
        /// The one that is next.
        expected: u64,
        /// The one that came.
        found: u64,
    },
    /// The records of a frame do not fill it: its writer was at fault.
    Records,
    /// A snapshot's length or checksum is another.
    Snapshot,
}

const WITH_NOTHING: &str = "bring the file back from a copy, or have the server begin with nothing by moving the state directory away";

impl fmt::Display for DamageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => {
                f.write_str("this is no part of a journal: move it away, or name another state-directory")
            }
            Self::Later(version) => write!(
                f,
                "a later release wrote this (version {version}, this release reads up to {VERSION}): start that release"
            ),
            Self::Head => write!(f, "the head of the file is damaged: {WITH_NOTHING}"),
            Self::Name => write!(f, "the file was renamed: {WITH_NOTHING}"),
            Self::Frame { number } => {
                write!(
                    f,
                    "what was stored here is damaged (frame {number}), and more follows it: {WITH_NOTHING}"
                )
            }
            Self::Order { expected, found } => {
                write!(
                    f,
                    "frame {found} stands where frame {expected} belongs, a part is lost: {WITH_NOTHING}"
                )
            }
            Self::Records => write!(f, "the records here do not fill their frame: {WITH_NOTHING}"),
            Self::Snapshot => write!(f, "the snapshot is damaged: {WITH_NOTHING}"),
        }
    }
}

impl From<BadHead> for DamageKind {
    fn from(bad: BadHead) -> Self {
        match bad {
            BadHead::Magic => Self::Foreign,
            BadHead::Version(version) => Self::Later(version),
            BadHead::Checksum => Self::Head,
        }
    }
}

/// What a segment holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// How it begins.
    pub head: Head,
    /// Its records, in order.
    pub records: Vec<Record>,
    /// The number of the frame that would follow.
    pub next: u64,
    /// Where that would stand.
    pub end: u64,
    /// Bytes behind that, of a write that was never reported done; 0 for a clean end.
    pub torn: u64,
}

/// Reads a whole segment. Only the `last` one may end with a write that a crash cut short.
///
/// # Errors
/// What is wrong with it.
pub fn segment(file: &Bytes, last: bool) -> Result<Segment, Damage> {
    let head = Head::decode(file).map_err(|bad| Damage { offset: 0, kind: bad.into() })?;
    let (mut at, mut next, mut records) = (HEAD, head.first, Vec::new());
    let torn = loop {
        let rest = file.slice(at.min(file.len())..);
        let damage = |kind| Damage { offset: at as u64, kind };
        let Some((frame, whole)) = format::frame(&rest, head.salt) else {
            break tail(&rest, head.salt, next, last).ok_or(damage(DamageKind::Frame { number: next }))?;
        };
        if frame.number != next {
            return Err(damage(DamageKind::Order { expected: next, found: frame.number }));
        }
        records.append(&mut format::records(&rest, frame).ok_or(damage(DamageKind::Records))?);
        at += whole;
        next += 1;
    };
    Ok(Segment { head, records, next, end: at as u64, torn })
}

/// How many bytes are torn off where no frame begins; `None`: what is missing here had been on the disk.
fn tail(rest: &[u8], salt: u32, next: u64, last: bool) -> Option<u64> {
    let Some(written) = rest.iter().rposition(|byte| *byte != 0) else { return Some(0) };
    // A frame is written when all before the one it names were synced: if that is beyond `next`, `next` was there.
    let later = |at: &usize| {
        let (frame, _) = format::frame(rest.get(*at..)?, salt)?;
        (frame.synced > next).then_some(())
    };
    let had_been_there = (8..rest.len()).step_by(8).any(|at| later(&at).is_some());
    (last && !had_been_there).then_some(written as u64 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Keep;

    const HEAD_OF_IT: Head = Head { life: 1, sequence: 1, salt: 99, first: 10 };

    fn record(text: &'static str) -> Record {
        Record { keep: Keep::Loose, bytes: Bytes::from_static(text.as_bytes()) }
    }

    /// Frames with the given (number, synced), and the places where they begin.
    fn file(frames: &[(u64, u64)]) -> (Vec<u8>, Vec<usize>) {
        let mut out = HEAD_OF_IT.encode().to_vec();
        let mut places = Vec::new();
        for (number, synced) in frames {
            places.push(out.len());
            format::put_frame(&mut out, 99, *number, *synced, [record("one"), record("another")].iter());
        }
        (out, places)
    }

    fn read(bytes: &[u8]) -> Result<Segment, Damage> {
        segment(&Bytes::copy_from_slice(bytes), true)
    }

    #[test]
    fn what_was_set_aside_and_never_written_is_a_clean_end() {
        let (mut bytes, _) = file(&[(10, 10), (11, 11)]);
        let end = bytes.len() as u64;
        bytes.resize(4_096, 0);
        let found = read(&bytes).unwrap();
        assert_eq!((found.records.len(), found.next, found.end, found.torn), (4, 12, end, 0));
    }

    #[test]
    fn a_cut_at_any_place_leaves_whole_frames_only() {
        let (bytes, places) = file(&[(10, 10), (11, 11), (12, 12)]);
        for end in HEAD..bytes.len() {
            let whole = places.iter().skip(1).filter(|place| **place <= end).count();
            let found = read(&bytes[..end]).unwrap();
            assert_eq!(found.records.len(), whole * 2, "cut at {end}");
            assert_eq!(found.end as usize, places[whole], "cut at {end}");
            let left =
                bytes[places[whole]..end].iter().rposition(|byte| *byte != 0).map_or(0, |at| at as u64 + 1);
            assert_eq!(found.torn, left, "cut at {end}");
        }
    }

    #[test]
    fn every_flipped_byte_is_damage_or_in_the_last_write() {
        let (bytes, places) = file(&[(10, 10), (11, 11), (12, 12)]);
        for at in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 0x40;
            match read(&wrong) {
                Ok(found) => {
                    assert!(at >= places[2], "byte {at} went unnoticed");
                    assert_eq!((found.records.len(), found.end as usize), (4, places[2]), "byte {at}");
                    assert!(found.torn > 0);
                }
                Err(damage) if at < HEAD => assert_eq!(damage.offset, 0),
                Err(damage) => {
                    let frame = places.iter().rposition(|place| *place <= at).unwrap();
                    let kind = DamageKind::Frame { number: 10 + frame as u64 };
                    assert_eq!(damage, Damage { offset: places[frame] as u64, kind }, "byte {at}");
                }
            }
        }
    }

    #[test]
    fn a_frame_that_no_sync_had_covered_may_be_missing_before_one_that_is_there() {
        let (mut bytes, places) = file(&[(10, 10), (11, 11), (12, 11)]);
        bytes[places[1] + 40] ^= 1;
        let found = read(&bytes).unwrap();
        assert_eq!((found.next, found.end as usize), (11, places[1]));
        assert_eq!(found.torn as usize, bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1 - places[1]);
    }

    #[test]
    fn nothing_is_torn_off_a_segment_that_another_follows() {
        let (bytes, places) = file(&[(10, 10), (11, 11)]);
        assert!(segment(&Bytes::copy_from_slice(&bytes), false).is_ok());
        let cut = segment(&Bytes::copy_from_slice(&bytes[..bytes.len() - 1 - 8]), false).unwrap_err();
        assert_eq!(cut, Damage { offset: places[1] as u64, kind: DamageKind::Frame { number: 11 } });
    }

    #[test]
    fn a_frame_out_of_order_is_said_with_both_numbers() {
        let (bytes, places) = file(&[(10, 10), (12, 11)]);
        let kind = DamageKind::Order { expected: 11, found: 12 };
        assert_eq!(read(&bytes).unwrap_err(), Damage { offset: places[1] as u64, kind });
    }

    #[test]
    fn a_stored_copy_of_a_frame_is_no_frame() {
        let (other, places) = file(&[(11, 11), (12, 12)]);
        let mut out = HEAD_OF_IT.encode().to_vec();
        let stored = Record { keep: Keep::Loose, bytes: Bytes::copy_from_slice(&other[places[0]..]) };
        let salted = Head { salt: 100, ..HEAD_OF_IT };
        out.splice(..HEAD, salted.encode());
        format::put_frame(&mut out, 100, 10, 10, [stored].iter());
        let cut = out.len() - 8;
        let found = read(&out[..cut]).unwrap();
        assert_eq!(
            (found.next, found.end as usize),
            (10, HEAD),
            "the torn write is torn off, whatever it held"
        );
    }
}
