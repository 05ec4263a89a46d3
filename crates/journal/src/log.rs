//! Writes a journal so that [`recover`](crate::recover) can read it whatever is cut short: every step leaves either
//! what was there before or what is there after.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use crate::batch::{Keep, Parts, Record};
use crate::disk::Disk;
use crate::error::Failure;
use crate::format::{self, FRAME, HEAD, Head, RECORD};
use crate::limits::SNAPSHOT_STEP;
use crate::recover::{Kept, Plan, log_name, snapshot_name, unfinished};

/// The log of one life of a journal, open at its end.
///
/// After a failure it must not be written to any more: whether what was written is on the disk is not known, and after a
/// failed sync the operating system does not know it either. [`anew`](Log::anew) begins another.
#[derive(Debug)]
pub struct Log<D: Disk> {
    disk: Arc<D>,
    life: u32,
    /// Full segments, oldest first.
    kept: VecDeque<Kept>,
    current: Current<D::File>,
    /// The number of the next frame.
    next: u64,
    /// Frames before this one are safe.
    synced: u64,
    latest: BTreeMap<u8, Bytes>,
    /// Places before this one are not needed.
    first_needed: u64,
    /// Bytes set aside for a segment.
    segment: u64,
    /// Made ahead, to become the next segment.
    spare: Option<Spare<D::File>>,
    /// It has been asked for, once a segment.
    spare_asked: bool,
    buffer: Vec<u8>,
}

/// A file of zeros. Overwriting them changes nothing but the bytes: a sync has no lengths and no maps of blocks to write,
/// and takes half the time.
#[derive(Debug)]
pub struct Spare<F> {
    file: F,
    room: u64,
}

/// The name under which a spare lies: that of an unfinished segment.
const SPARE: &str = "spare.log.new";

/// Makes a spare of this length.
///
/// # Errors
/// What the disk refused.
pub fn spare<D: Disk>(disk: &D, room: u64) -> Result<Spare<D::File>, Failure> {
    let mut file = disk.create(SPARE, room).map_err(failed(disk, "make", SPARE))?;
    let zeros = vec![0; SNAPSHOT_STEP];
    let mut at = 0;
    while at < room {
        let left = usize::try_from(room - at).unwrap_or(usize::MAX);
        let part = zeros.get(..left).unwrap_or(&zeros);
        disk.write(&mut file, at, part).map_err(failed(disk, "write", SPARE))?;
        disk.sync(&file).map_err(failed(disk, "sync", SPARE))?;
        at += part.len() as u64;
    }
    Ok(Spare { file, room })
}

#[derive(Debug)]
struct Current<F> {
    file: F,
    kept: Kept,
    salt: u32,
    /// Bytes set aside.
    room: u64,
}

fn failed<D: Disk>(disk: &D, doing: &'static str, name: &str) -> impl FnOnce(io::Error) -> Failure {
    let path = disk.path(name);
    move |error| Failure { doing, path, error: Arc::new(error) }
}

impl<D: Disk> Log<D> {
    /// Goes on behind what was recovered, in a segment of its own, and removes what a crash left behind.
    ///
    /// # Errors
    /// What the disk refused.
    pub fn resume(disk: Arc<D>, plan: Plan, segment: u64) -> Result<Self, Failure> {
        if let Some((name, length)) = &plan.cut {
            disk.cut(name, *length).map_err(failed(&*disk, "cut", name))?;
        }
        // What is there may be so for this process only, if the one before was killed; and then it is no reason yet to
        // remove anything.
        disk.sync_names().map_err(failed(&*disk, "sync", ""))?;
        for name in &plan.leftovers {
            disk.remove(name).map_err(failed(&*disk, "remove", name))?;
        }
        let sequence = plan.kept.last().map_or(1, |last| last.sequence.saturating_add(1));
        let life = plan.life.max(1);
        let spare = Some(spare(&*disk, segment)?);
        let current = begin(&*disk, spare, (life, sequence), plan.next, &carried(&plan.latest), segment)?;
        let mut log = Self {
            disk,
            life,
            kept: plan.kept.into(),
            current,
            next: plan.next,
            synced: 0,
            latest: plan.latest,
            first_needed: 0,
            segment,
            spare: None,
            spare_asked: false,
            buffer: Vec::new(),
        };
        log.begun();
        Ok(log)
    }

    /// The frames with which a segment was begun are safe.
    fn begun(&mut self) {
        self.next += 1;
        self.synced = self.next;
        self.spare_asked = self.spare.is_some();
    }

    /// Writes records, all of them or none. They are safe after [`sync`](Self::sync). Returns the bytes written.
    ///
    /// # Errors
    /// What the disk refused.
    pub fn append<'a>(&mut self, records: impl Iterator<Item = &'a Record> + Clone) -> Result<u64, Failure> {
        self.buffer.clear();
        format::put_frame(&mut self.buffer, self.current.salt, self.next, self.synced, records.clone());
        let length = self.buffer.len() as u64;
        if self.current.kept.bytes + length > self.current.room && self.current.kept.bytes > HEAD as u64 {
            self.rotate(length)?;
            self.buffer.clear();
            format::put_frame(&mut self.buffer, self.current.salt, self.next, self.synced, records.clone());
        }
        let name = self.current_name();
        let written = self.disk.write(&mut self.current.file, self.current.kept.bytes, &self.buffer);
        written.map_err(failed(&*self.disk, "write", &name))?;
        self.current.kept.bytes += length;
        self.next += 1;
        self.note(records);
        Ok(length)
    }

    fn note<'a>(&mut self, records: impl Iterator<Item = &'a Record>) {
        for record in records {
            match record.keep {
                Keep::Loose => {}
                Keep::Place(place) => self.current.kept.top = self.current.kept.top.max(Some(place)),
                Keep::Latest(slot) => drop(self.latest.insert(slot, record.bytes.clone())),
            }
        }
    }

    /// Makes everything safe that was appended.
    ///
    /// # Errors
    /// What the disk refused. Nothing of it counts as safe then, now or later.
    pub fn sync(&mut self) -> Result<(), Failure> {
        if self.is_safe() {
            return Ok(());
        }
        let name = self.current_name();
        self.disk.sync(&self.current.file).map_err(failed(&*self.disk, "sync", &name))?;
        self.synced = self.next;
        Ok(())
    }

    /// Nothing waits for a sync.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        self.synced == self.next
    }

    /// Begins the next segment, with room for so much more than its beginning.
    fn rotate(&mut self, length: u64) -> Result<(), Failure> {
        self.sync()?;
        let full = self.current.kept;
        let name = self.current_name();
        let sequence = full.sequence.saturating_add(1);
        let carried = carried(&self.latest);
        let carried_bytes = carried.iter().map(|record| RECORD + record.bytes.len()).sum::<usize>();
        let room = self.segment.max((HEAD + FRAME + carried_bytes).next_multiple_of(8) as u64 + length);
        let spare = self.spare.take().filter(|spare| spare.room >= room);
        self.current = begin(&*self.disk, spare, (self.life, sequence), self.next, &carried, room)?;
        self.kept.push_back(full);
        self.begun();
        self.disk.cut(&name, full.bytes).map_err(failed(&*self.disk, "cut", &name))
    }

    /// Removes the segments whose records all have places before this one.
    ///
    /// # Errors
    /// What the disk refused.
    pub fn forget(&mut self, first_needed: u64) -> Result<(), Failure> {
        self.first_needed = self.first_needed.max(first_needed);
        while let Some(oldest) = self.kept.front().copied() {
            if oldest.top.is_some_and(|top| top >= self.first_needed) {
                break;
            }
            let name = log_name(self.life, oldest.sequence);
            self.disk.remove(&name).map_err(failed(&*self.disk, "remove", &name))?;
            // One after the other: a later one that is gone while an earlier one is there would be a gap.
            self.disk.sync_names().map_err(failed(&*self.disk, "sync", ""))?;
            self.kept.pop_front();
        }
        Ok(())
    }

    /// Begins another life of the journal: what was stored before is void once this returns, and all of it is still there
    /// if it fails.
    ///
    /// # Errors
    /// What the disk refused.
    pub fn anew(&mut self, snapshot: Option<&Parts>, records: &[Record]) -> Result<(), Failure> {
        let life = self.life.saturating_add(1);
        if let Some(parts) = snapshot {
            write_snapshot(&*self.disk, life, parts)?;
        }
        let spare = Some(spare(&*self.disk, self.segment)?);
        let current = begin(&*self.disk, spare, (life, 1), 0, records, self.segment)?;
        self.spare = None;
        let void: Vec<String> = self.names().chain([snapshot_name(self.life)]).collect();
        (self.life, self.current, self.next, self.first_needed) = (life, current, 0, 0);
        self.kept.clear();
        self.latest.clear();
        self.note(records.iter());
        self.begun();
        for name in &void {
            match self.disk.remove(name) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed(&*self.disk, "remove", name)(error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// A [`spare`] of this length is wanted, for [`give`](Self::give). Asks once a segment: what failed may go well later.
    pub fn spare_wanted(&mut self) -> Option<u64> {
        let wanted = !self.spare_asked && self.spare.is_none() && self.current.kept.bytes > self.segment / 8;
        self.spare_asked |= wanted;
        wanted.then_some(self.segment)
    }

    /// Hands over what [`spare_wanted`](Self::spare_wanted) asked for.
    pub fn give(&mut self, spare: Spare<D::File>) {
        self.spare = Some(spare);
    }

    /// Which life of the journal this is.
    #[must_use]
    pub fn life(&self) -> u32 {
        self.life
    }

    /// Segments, and bytes in them.
    #[must_use]
    pub fn size(&self) -> (usize, u64) {
        let kept = self.kept.iter().map(|kept| kept.bytes).sum::<u64>();
        (self.kept.len() + 1, kept + self.current.kept.bytes)
    }

    fn names(&self) -> impl Iterator<Item = String> {
        let sequences = self.kept.iter().map(|kept| kept.sequence).chain([self.current.kept.sequence]);
        sequences.map(|sequence| log_name(self.life, sequence))
    }

    fn current_name(&self) -> String {
        log_name(self.life, self.current.kept.sequence)
    }
}

fn carried(latest: &BTreeMap<u8, Bytes>) -> Vec<Record> {
    latest.iter().map(|(slot, bytes)| Record { keep: Keep::Latest(*slot), bytes: bytes.clone() }).collect()
}

/// A new segment that begins with these records, made of a spare or with this room; it is safe when this returns.
fn begin<D: Disk>(
    disk: &D,
    spare: Option<Spare<D::File>>,
    (life, sequence): (u32, u32),
    first: u64,
    records: &[Record],
    room: u64,
) -> Result<Current<D::File>, Failure> {
    let name = log_name(life, sequence);
    // A frame never begins like the zeros behind the last one.
    let salt = disk.random().map_err(failed(disk, "read a random number for", &name))?.max(1);
    let mut bytes = Head { life, sequence, salt, first }.encode().to_vec();
    format::put_frame(&mut bytes, salt, first, first, records.iter());
    let length = bytes.len() as u64;
    let (new, mut file, room) = match spare {
        Some(Spare { file, room }) => (SPARE.to_owned(), file, room),
        None => {
            let new = unfinished(&name);
            let file = disk.create(&new, room).map_err(failed(disk, "make", &new))?;
            (new, file, room)
        }
    };
    disk.write(&mut file, 0, &bytes).map_err(failed(disk, "write", &new))?;
    disk.sync(&file).map_err(failed(disk, "sync", &new))?;
    disk.rename(&new, &name).map_err(failed(disk, "rename", &new))?;
    disk.sync_names().map_err(failed(disk, "sync", ""))?;
    Ok(Current { file, kept: Kept { sequence, top: None, bytes: length }, salt, room })
}

/// Puts a snapshot in place of the one of the same life. It is safe when this returns.
///
/// # Errors
/// What the disk refused; the snapshot from before is there then.
pub fn write_snapshot<D: Disk>(disk: &D, life: u32, parts: &Parts) -> Result<(), Failure> {
    let name = snapshot_name(life);
    let new = unfinished(&name);
    let mut file = disk.create(&new, 0).map_err(failed(disk, "make", &new))?;
    let mut at = 0;
    let head = format::snapshot_head(life, &parts.0);
    let steps = parts.0.iter().flat_map(|part| part.chunks(SNAPSHOT_STEP));
    for part in [head.as_slice()].into_iter().chain(steps) {
        disk.write(&mut file, at, part).map_err(failed(disk, "write", &new))?;
        disk.sync(&file).map_err(failed(disk, "sync", &new))?;
        at += part.len() as u64;
    }
    disk.rename(&new, &name).map_err(failed(disk, "rename", &new))?;
    disk.sync_names().map_err(failed(disk, "sync", ""))
}
