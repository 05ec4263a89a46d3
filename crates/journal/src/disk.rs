//! What a journal needs of a disk, and the directory that is one.

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, FcntlArg, OFlag, fallocate, fcntl};

use crate::blocks::Blocks;
use crate::error::{Failure, OpenError};

/// One directory. What is written to a file is safe from a power loss after [`sync`](Self::sync), what was renamed or
/// removed after [`sync_names`](Self::sync_names).
pub trait Disk: Send + Sync + 'static {
    /// An open file.
    type File: Send + fmt::Debug;

    /// Where a file of this name lies, for errors.
    fn path(&self, name: &str) -> PathBuf;
    /// The names of all files, in no order.
    ///
    /// # Errors
    /// What the operating system says, as everywhere here.
    fn names(&self) -> io::Result<Vec<String>>;
    /// A whole file.
    fn read(&self, name: &str) -> io::Result<Bytes>;
    /// A new and empty file in place of any of this name, with room for so many bytes. The room reads as zeros or not at
    /// all. A file with room is written from its beginning to its end, once or more often.
    fn create(&self, name: &str, room: u64) -> io::Result<Self::File>;
    /// Writes all of it at this place.
    fn write(&self, file: &mut Self::File, at: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes what was written safe.
    fn sync(&self, file: &Self::File) -> io::Result<()>;
    /// Ends a file at this length, safely.
    fn cut(&self, name: &str, length: u64) -> io::Result<()>;
    /// Gives a file another name, in place of any that has it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes renaming and removing safe.
    fn sync_names(&self) -> io::Result<()>;
    /// A number that nobody can foresee.
    fn random(&self) -> io::Result<u32>;
}

const LOCK: &str = "lock";

/// A directory of a file system. With its lock held, no other process writes there.
#[derive(Debug)]
pub struct Dir {
    path: PathBuf,
    directory: File,
    _lock: Option<File>,
}

impl Dir {
    /// Makes the directory if it is not there, for its owner alone, and takes its lock. The lock ends with the process,
    /// however it ends.
    ///
    /// # Errors
    /// What the operating system says, or that another process has the lock.
    pub fn lock(path: &Path) -> Result<Self, OpenError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|error| failure("make the directory", path, error))?;
        let file = path.join(LOCK);
        let lock = options().read(true).create(true).truncate(false).open(&file);
        let lock = lock.map_err(|error| failure("open", &file, error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::Locked { path: path.to_owned(), holder: holder(lock) });
            }
            Err(TryLockError::Error(error)) => return Err(failure("lock", &file, error).into()),
        }
        let name = format!("{}\n", std::process::id());
        let named = lock.set_len(0).and_then(|()| lock.write_all_at(name.as_bytes(), 0));
        named.map_err(|error| failure("write", &file, error))?;
        Self::look(path).map(|dir| Self { _lock: Some(lock), ..dir })
    }

    /// The directory for reading only, whoever writes there.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn look(path: &Path) -> Result<Self, OpenError> {
        let directory = File::open(path).map_err(|error| failure("open", path, error))?;
        Ok(Self { path: path.to_owned(), directory, _lock: None })
    }
}

/// Whether another process has the lock of this directory.
#[must_use]
pub fn is_held(path: &Path) -> bool {
    let lock = File::open(path.join(LOCK)).map(|lock| lock.try_lock_shared());
    matches!(lock, Ok(Err(TryLockError::WouldBlock)))
}

fn failure(doing: &'static str, path: &Path, error: io::Error) -> Failure {
    Failure { doing, path: path.to_owned(), error: Arc::new(error) }
}

fn holder(mut lock: File) -> Option<u32> {
    let mut text = String::new();
    lock.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Records hold who calls whom: they are their owner's alone.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

/// An open file of a [`Dir`].
#[derive(Debug)]
pub struct Open {
    file: File,
    /// It is written past the cache.
    blocks: Option<Blocks>,
}

impl Open {
    fn new(path: &Path, past_cache: bool) -> io::Result<Self> {
        let mut options = options();
        options.create(true).truncate(true);
        if past_cache {
            match options.clone().custom_flags(OFlag::O_DIRECT.bits()).open(path) {
                Ok(file) => return Ok(Self { file, blocks: Some(Blocks::default()) }),
                // The file system has nothing but the cache.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self { file: options.open(path)?, blocks: None })
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        match self.blocks.as_mut().map(|blocks| blocks.write(&self.file, at, bytes)) {
            Some(Err(error)) if error.kind() == io::ErrorKind::InvalidInput => {
                fcntl(&self.file, FcntlArg::F_SETFL(OFlag::empty()))?;
                self.blocks = None;
            }
            Some(written) => return written,
            None => {}
        }
        self.file.write_all_at(bytes, at)
    }
}

impl Disk for Dir {
    type File = Open;

    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            // Nothing of a journal has a name that is no text.
            found.extend(entry?.file_name().into_string().ok());
        }
        Ok(found)
    }

    fn read(&self, name: &str) -> io::Result<Bytes> {
        std::fs::read(self.path(name)).map(Bytes::from)
    }

    fn create(&self, name: &str, room: u64) -> io::Result<Open> {
        let open = Open::new(&self.path(name), room > 0)?;
        let room = i64::try_from(room).map_err(|_| io::ErrorKind::InvalidInput)?;
        if room > 0 {
            match fallocate(&open.file, FallocateFlags::empty(), 0, room) {
                // Some file systems set nothing aside: the file grows as it is written.
                Ok(()) | Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(open)
    }

    fn write(&self, file: &mut Open, at: u64, bytes: &[u8]) -> io::Result<()> {
        file.write(at, bytes)
    }

    fn sync(&self, file: &Open) -> io::Result<()> {
        file.file.sync_data()
    }

    fn cut(&self, name: &str, length: u64) -> io::Result<()> {
        let file = options().open(self.path(name))?;
        file.set_len(length)?;
        file.sync_all()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        self.directory.sync_all()
    }

    fn random(&self) -> io::Result<u32> {
        let mut bytes = [0; 4];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(u32::from_be_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn nobody_but_the_owner_reads_what_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/site-a");
        let dir = Dir::lock(&path).unwrap();
        dir.create("file", 4_096).unwrap();
        assert_eq!(mode(&path), 0o700);
        assert_eq!((mode(&path.join("file")), mode(&path.join(LOCK))), (0o600, 0o600));
    }

    #[test]
    fn a_log_goes_on_through_the_cache_where_it_must() {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::lock(folder.path()).unwrap();
        let mut open = dir.create("log", 8_192).unwrap();
        dir.write(&mut open, 0, b"one ").unwrap();
        // A place that whole blocks cannot be made for.
        dir.write(&mut open, 5_000, b"three").unwrap();
        assert!(open.blocks.is_none());
        dir.write(&mut open, 4, b"two").unwrap();
        dir.sync(&open).unwrap();
        let read = dir.read("log").unwrap();
        assert_eq!(
            (&read[..8], &read[5_000..5_006], read.len()),
            (&b"one two\0"[..], &b"three\0"[..], 8_192)
        );
    }

    #[test]
    fn the_second_is_told_who_has_the_directory_and_gets_it_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let first = Dir::lock(folder.path()).unwrap();
        let refused = Dir::lock(folder.path()).unwrap_err();
        let OpenError::Locked { holder, .. } = &refused else { panic!("{refused}") };
        assert_eq!(*holder, Some(std::process::id()));
        assert!(is_held(folder.path()));
        assert!(refused.to_string().contains("state-directory"), "{refused}");
        drop(first);
        assert!(!is_held(folder.path()));
        Dir::lock(folder.path()).unwrap();
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        let refused = Dir::lock(&folder.path().join("file/state")).unwrap_err();
        assert!(refused.to_string().contains("file/state: "), "{refused}");
    }
}
