//! What a directory holds after whatever happened to its server. Only reads.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::batch::{Keep, Record};
use crate::disk::Disk;
use crate::error::{Failure, OpenError};
use crate::format;
use crate::read::{self, Damage, DamageKind, Segment};

/// The end of a log that a crash cut short: a write that was never reported done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Where it began, bytes from the beginning of the last segment.
    pub offset: u64,
    /// How long it was.
    pub bytes: u64,
}

/// What a journal holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The latest snapshot.
    pub snapshot: Option<Bytes>,
    /// The records, in order. What is kept as the latest comes again at the beginning of each segment.
    pub records: Vec<Bytes>,
    /// What was cut off.
    pub cut: Option<Cut>,
    /// Segments that were read.
    pub segments: usize,
    /// Bytes of them.
    pub bytes: u64,
}

/// A segment that lies there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its place.
    pub sequence: u32,
    /// The highest place of its records that are kept by place.
    pub top: Option<u64>,
    /// Its length.
    pub bytes: u64,
}

/// How to go on writing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The life that is current; 0 for an empty directory.
    pub life: u32,
    /// Its segments.
    pub kept: Vec<Kept>,
    /// The number of the next frame.
    pub next: u64,
    /// The last record of each that is kept as the latest.
    pub latest: BTreeMap<u8, Bytes>,
    /// To be cut at this length, and made safe, before anything else: the last segment.
    pub cut: Option<(String, u64)>,
    /// To be removed: what a crash left behind.
    pub leftovers: Vec<String>,
    /// Bytes of the snapshot's file; 0 for none.
    pub snapshot_bytes: u64,
}

/// What the name of a file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Log { life: u32, sequence: u32 },
    Snapshot { life: u32 },
    Unfinished,
}

/// A segment's name.
#[must_use]
pub fn log_name(life: u32, sequence: u32) -> String {
    format!("{life:08x}-{sequence:08x}.log")
}

/// A snapshot's name.
#[must_use]
pub fn snapshot_name(life: u32) -> String {
    format!("{life:08x}.snapshot")
}

/// The name under which a file is written.
#[must_use]
pub fn unfinished(name: &str) -> String {
    format!("{name}.new")
}

/// `None` for what is none of a journal's; `Some(None)` for what nearly is.
fn parse(name: &str) -> Option<Option<Name>> {
    if name.ends_with(".log.new") || name.ends_with(".snapshot.new") {
        return Some(Some(Name::Unfinished));
    }
    let number = |text: &str| u32::from_str_radix(text, 16).ok();
    let parsed = if let Some(stem) = name.strip_suffix(".log") {
        let log = |(life, sequence)| Some(Name::Log { life: number(life)?, sequence: number(sequence)? });
        stem.split_once('-').and_then(log).filter(
            |found| matches!(found, Name::Log { life, sequence } if log_name(*life, *sequence) == name),
        )
    } else {
        let life = number(name.strip_suffix(".snapshot")?);
        life.filter(|life| snapshot_name(*life) == name).map(|life| Name::Snapshot { life })
    };
    Some(parsed)
}

/// Reads everything that lies there.
///
/// # Errors
/// What is wrong with it.
pub fn recover(disk: &impl Disk) -> Result<(Recovered, Plan), OpenError> {
    let failed = |doing, name: &str| {
        let path = disk.path(name);
        move |error| Failure { doing, path, error: std::sync::Arc::new(error) }
    };
    let mut found = Vec::new();
    for name in disk.names().map_err(failed("read", ""))? {
        match parse(&name) {
            None => {}
            Some(Some(kind)) => found.push((kind, name)),
            Some(None) => return Err(OpenError::Foreign { path: disk.path(&name) }),
        }
    }
    found.sort_unstable();
    let lives = found.iter().filter_map(|(kind, _)| match kind {
        Name::Log { life, .. } => Some(*life),
        Name::Snapshot { .. } | Name::Unfinished => None,
    });
    let life = lives.max().unwrap_or(0);
    let (mut recovered, mut plan) = (Recovered::default(), Plan { life, ..Plan::default() });
    let last = found.iter().rposition(|(kind, _)| matches!(kind, Name::Log { .. }));
    for (at, (kind, name)) in found.iter().enumerate() {
        match kind {
            Name::Log { life, sequence } if *life == plan.life => {
                let file = disk.read(name).map_err(failed("read", name))?;
                take_segment(disk, name, *sequence, &file, last == Some(at), (&mut recovered, &mut plan))?;
            }
            Name::Snapshot { life } if *life == plan.life => {
                let file = disk.read(name).map_err(failed("read", name))?;
                plan.snapshot_bytes = file.len() as u64;
                recovered.snapshot = Some(take_snapshot(disk, name, *life, &file)?);
            }
            Name::Snapshot { .. } if plan.life == 0 => {
                let (path, directory) = (disk.path(&log_name(1, 1)), disk.path(""));
                return Err(OpenError::Missing { path, directory });
            }
            Name::Log { .. } | Name::Snapshot { .. } | Name::Unfinished => plan.leftovers.push(name.clone()),
        }
    }
    Ok((recovered, plan))
}

fn take_snapshot(disk: &impl Disk, name: &str, life: u32, file: &Bytes) -> Result<Bytes, OpenError> {
    let damaged = |kind| OpenError::Damaged { path: disk.path(name), damage: Damage { offset: 0, kind } };
    match format::snapshot(file) {
        Ok((found, bytes)) if found == life => Ok(bytes),
        Ok(_) => Err(damaged(DamageKind::Name)),
        Err(format::BadHead::Checksum) => Err(damaged(DamageKind::Snapshot)),
        Err(bad @ (format::BadHead::Magic | format::BadHead::Version(_))) => Err(damaged(bad.into())),
    }
}

fn take_segment(
    disk: &impl Disk,
    name: &str,
    sequence: u32,
    file: &Bytes,
    last: bool,
    (recovered, plan): (&mut Recovered, &mut Plan),
) -> Result<(), OpenError> {
    let damaged = |damage| OpenError::Damaged { path: disk.path(name), damage };
    let at_head = |kind| damaged(Damage { offset: 0, kind });
    if let Some(before) = plan.kept.last().filter(|before| before.sequence.checked_add(1) != Some(sequence)) {
        let path = disk.path(&log_name(plan.life, before.sequence.saturating_add(1)));
        return Err(OpenError::Missing { path, directory: disk.path("") });
    }
    let Segment { head, records, next, end, torn } = read::segment(file, last).map_err(damaged)?;
    if (head.life, head.sequence) != (plan.life, sequence) {
        return Err(at_head(DamageKind::Name));
    }
    if !plan.kept.is_empty() && head.first != plan.next {
        return Err(at_head(DamageKind::Order { expected: plan.next, found: head.first }));
    }
    plan.next = next;
    let mut top = None;
    for Record { keep, bytes } in records {
        match keep {
            Keep::Loose => {}
            Keep::Place(place) => top = top.max(Some(place)),
            // A copy, so that it does not hold the memory of the whole segment.
            Keep::Latest(slot) => drop(plan.latest.insert(slot, Bytes::copy_from_slice(&bytes))),
        }
        recovered.records.push(bytes);
    }
    plan.kept.push(Kept { sequence, top, bytes: end });
    recovered.segments += 1;
    recovered.bytes += end;
    if torn > 0 {
        recovered.cut = Some(Cut { offset: end, bytes: torn });
    }
    // Also when nothing is behind it: a process that was killed may have left it written and not synced.
    if last {
        plan.cut = Some((name.to_owned(), end));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_were_written() {
        assert_eq!(parse(&log_name(1, 0xab)), Some(Some(Name::Log { life: 1, sequence: 0xab })));
        assert_eq!(parse(&snapshot_name(3)), Some(Some(Name::Snapshot { life: 3 })));
        assert_eq!(parse(&unfinished(&snapshot_name(3))), Some(Some(Name::Unfinished)));
        assert_eq!(parse("lock"), None, "others may lie there");
        for nearly in ["1-2.log", "syslog.log", "+0000001-00000001.log", "backup.snapshot"] {
            assert_eq!(parse(nearly), Some(None), "{nearly}");
        }
    }
}
