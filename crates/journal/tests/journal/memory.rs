//! A disk in memory that loses what a power loss may lose: of every write that no sync covered any part, of every change
//! of names that no sync covered any, in any order.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tandem_journal::{Batch, Disk, Keep, Record};

#[derive(Clone, Debug, Default)]
struct Content {
    /// As a running process reads it.
    now: Vec<u8>,
    /// As a sync left it.
    safe: Vec<u8>,
    /// Writes since, in order.
    since: Vec<(usize, Vec<u8>)>,
}

#[derive(Clone, Debug)]
enum Change {
    Link(String, usize),
    Unlink(String),
    Rename(String, String, usize),
}

#[derive(Clone, Debug, Default)]
struct State {
    files: Vec<Content>,
    names: BTreeMap<String, usize>,
    safe_names: BTreeMap<String, usize>,
    changes: Vec<Change>,
    operations: usize,
    /// This operation and all after it fail.
    dies_at: Option<usize>,
    /// Syncs fail from this operation on, and nothing else does.
    syncs_fail_at: Option<usize>,
    /// Nothing more can be made or grow from this operation on.
    full_at: Option<usize>,
    salt: u32,
}

/// The disk.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<State>>);

fn no_such() -> io::Error {
    io::ErrorKind::NotFound.into()
}

/// Numbers that look random and are the same each time.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below.max(1)
    }
}

impl Memory {
    pub fn operations(&self) -> usize {
        self.0.lock().unwrap().operations
    }

    pub fn dies_at(&self, operation: usize) {
        self.0.lock().unwrap().dies_at = Some(operation);
    }

    /// Nothing is read or written meanwhile.
    pub fn held<T>(&self, act: impl FnOnce() -> T) -> T {
        let _held = self.0.lock().unwrap();
        act()
    }

    pub fn syncs_fail_at(&self, operation: usize) {
        self.0.lock().unwrap().syncs_fail_at = Some(operation);
    }

    pub fn full_at(&self, operation: Option<usize>) {
        self.0.lock().unwrap().full_at = operation;
    }

    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        let state = self.0.lock().unwrap();
        state.names.iter().map(|(name, file)| (name.clone(), state.files[*file].now.clone())).collect()
    }

    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        let mut state = self.0.lock().unwrap();
        let file = state.files.len();
        state.files.push(Content { now: bytes.clone(), safe: bytes, since: Vec::new() });
        state.names.insert(name.to_owned(), file);
        state.safe_names.insert(name.to_owned(), file);
    }

    /// The disk after a power loss, as the dice fall.
    pub fn crashed(&self, dice: &mut Dice) -> Self {
        let state = self.0.lock().unwrap();
        let mut names = state.safe_names.clone();
        for change in &state.changes {
            // What a changed name pointed to is not known to be gone or there: each change by itself.
            if dice.roll(2) == 0 {
                continue;
            }
            match change {
                Change::Link(name, file) => drop(names.insert(name.clone(), *file)),
                Change::Unlink(name) => drop(names.remove(name)),
                Change::Rename(from, to, file) => {
                    names.remove(from);
                    names.insert(to.clone(), *file);
                }
            }
        }
        let after = Self::default();
        for (name, file) in names {
            let content = &state.files[file];
            let mut bytes = content.safe.clone();
            for (at, written) in &content.since {
                // Of each write some sectors.
                for (index, part) in written.chunks(512).enumerate() {
                    let at = at + index * 512;
                    let (whole, some) = (dice.roll(2) == 0, dice.roll(part.len() + 1));
                    let part = if whole { part } else { &part[..some] };
                    if dice.roll(3) > 0 && !part.is_empty() {
                        bytes.resize(bytes.len().max(at + part.len()), 0);
                        bytes[at..at + part.len()].copy_from_slice(part);
                    }
                }
            }
            after.put(&name, bytes);
        }
        after.0.lock().unwrap().salt = state.salt;
        after
    }

    /// The disk after the process was killed and the machine was not.
    pub fn killed(&self) -> Self {
        let state = self.0.lock().unwrap().clone();
        Self(Arc::new(Mutex::new(State {
            dies_at: None,
            syncs_fail_at: None,
            full_at: None,
            operations: 0,
            ..state
        })))
    }

    fn change<T>(&self, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.0.lock().unwrap();
        let operation = state.operations;
        state.operations += 1;
        match state.dies_at {
            Some(at) if operation >= at => Err(io::Error::other("dead")),
            Some(_) | None => act(&mut state),
        }
    }
}

impl State {
    fn is_full(&self) -> bool {
        self.full_at.is_some_and(|at| self.operations > at)
    }
}

impl Disk for Memory {
    type File = usize;

    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from("/memory").join(name)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.0.lock().unwrap().names.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Bytes> {
        let state = self.0.lock().unwrap();
        let file = *state.names.get(name).ok_or_else(no_such)?;
        Ok(Bytes::copy_from_slice(&state.files[file].now))
    }

    fn create(&self, name: &str, room: u64) -> io::Result<usize> {
        self.change(|state| {
            if state.is_full() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            // As open(2) with O_TRUNC: whoever has the file open goes on in the same one.
            let file = state.names.get(name).copied().unwrap_or(state.files.len());
            state.files.resize_with(state.files.len().max(file + 1), Content::default);
            state.files[file] = Content { now: vec![0; room as usize], ..Content::default() };
            state.names.insert(name.to_owned(), file);
            state.changes.push(Change::Link(name.to_owned(), file));
            Ok(file)
        })
    }

    fn write(&self, file: &mut usize, at: u64, bytes: &[u8]) -> io::Result<()> {
        let at = at as usize;
        let write = |state: &mut State, bytes: &[u8]| {
            let content = &mut state.files[*file];
            content.now.resize(content.now.len().max(at + bytes.len()), 0);
            content.now[at..at + bytes.len()].copy_from_slice(bytes);
            content.since.push((at, bytes.to_vec()));
        };
        let written = self.change(|state| {
            if state.is_full() && at + bytes.len() > state.files[*file].now.len() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            write(state, bytes);
            Ok(())
        });
        let mut state = self.0.lock().unwrap();
        if written.is_err() && state.dies_at == Some(state.operations - 1) {
            // The power went while it was written.
            write(&mut state, bytes);
        }
        written
    }

    fn sync(&self, file: &usize) -> io::Result<()> {
        self.change(|state| {
            if state.syncs_fail_at.is_some_and(|at| state.operations > at) {
                // As Linux does it: what was not written is forgotten, and the next sync would succeed.
                state.files[*file].since.clear();
                state.syncs_fail_at = None;
                return Err(io::Error::other("input/output error"));
            }
            let content = &mut state.files[*file];
            content.safe = content.now.clone();
            content.since.clear();
            Ok(())
        })
    }

    fn cut(&self, name: &str, length: u64) -> io::Result<()> {
        self.change(|state| {
            let file = *state.names.get(name).ok_or_else(no_such)?;
            let content = &mut state.files[file];
            content.now.truncate(length as usize);
            content.safe = content.now.clone();
            content.since.clear();
            Ok(())
        })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.change(|state| {
            let file = state.names.remove(from).ok_or_else(no_such)?;
            state.names.insert(to.to_owned(), file);
            state.changes.push(Change::Rename(from.to_owned(), to.to_owned(), file));
            Ok(())
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.change(|state| {
            state.names.remove(name).ok_or_else(no_such)?;
            state.changes.push(Change::Unlink(name.to_owned()));
            Ok(())
        })
    }

    fn sync_names(&self) -> io::Result<()> {
        self.change(|state| {
            state.safe_names = state.names.clone();
            state.changes.clear();
            Ok(())
        })
    }

    fn random(&self) -> io::Result<u32> {
        let mut state = self.0.lock().unwrap();
        state.salt = state.salt.wrapping_add(0x9e37_79b9);
        Ok(state.salt)
    }
}

/// A record at a place, as long as asked for.
pub fn entry(place: u64, length: usize) -> Record {
    let mut text = format!("entry {place} ").into_bytes();
    text.resize(text.len() + length, b'.');
    Record { keep: Keep::Place(place), bytes: text.into() }
}

/// A record that replaces the one before it.
pub fn latest(text: &str) -> Record {
    Record { keep: Keep::Latest(1), bytes: Bytes::copy_from_slice(text.as_bytes()) }
}

/// A batch that waits for the disk.
pub fn batch(token: u64, records: Vec<Record>) -> Batch {
    Batch { token, records, sync: true, ..Batch::default() }
}
