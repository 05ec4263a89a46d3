//! A file that is written from its beginning to its end past the cache of the operating system (open(2), `O_DIRECT`): in whole
//! blocks, from memory that lies as they do. A sync has then nothing to look for, which halves what it costs.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes of a block: as many as any disk has, or a multiple of it.
const BLOCK: usize = 4_096;
/// Bytes that are written at once, the block before them apart.
const PART: usize = 1 << 20;
/// Bytes of memory that are kept for the next write.
const KEPT: usize = 64 << 10;

/// What is known of the end of the file, and the memory from which it is written.
#[derive(Debug, Default)]
pub struct Blocks {
    /// Where the last write ended.
    end: u64,
    /// What is in the last block before that.
    begun: Vec<u8>,
    memory: Vec<u8>,
}

impl Blocks {
    /// Writes these bytes, behind what was written last or at the beginning of a block. Zeros fill the last block.
    ///
    /// # Errors
    /// What the operating system says; `InvalidInput` also if it does not write past its cache, or for another place.
    pub fn write(&mut self, file: &File, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut at = at;
        for part in bytes.chunks(PART) {
            self.part(file, at, part)?;
            at += part.len() as u64;
        }
        Ok(())
    }

    fn part(&mut self, file: &File, at: u64, bytes: &[u8]) -> io::Result<()> {
        if at.is_multiple_of(BLOCK as u64) {
            self.begun.clear();
        } else if at != self.end {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let (before, end) = (self.begun.len(), self.begun.len() + bytes.len());
        let length = end.next_multiple_of(BLOCK);
        let blocks = lying(&mut self.memory, length)?;
        let (head, rest) = blocks.split_at_mut(before);
        let (body, zeros) = rest.split_at_mut(bytes.len());
        head.copy_from_slice(&self.begun);
        body.copy_from_slice(bytes);
        zeros.fill(0);
        file.write_all_at(blocks, at - before as u64)?;
        self.end = at + bytes.len() as u64;
        self.begun.clear();
        self.begun.extend(blocks.iter().take(end).skip(end - end % BLOCK));
        if self.memory.len() > KEPT {
            self.memory = Vec::new();
        }
        Ok(())
    }
}

/// So many bytes of it that begin where a block of memory does.
fn lying(memory: &mut Vec<u8>, length: usize) -> io::Result<&mut [u8]> {
    if memory.len() < length + BLOCK {
        *memory = vec![0; length + BLOCK];
    }
    let offset = memory.as_ptr().align_offset(BLOCK);
    memory.get_mut(offset..offset + length).ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;

    #[test]
    fn what_is_written_in_parts_of_any_length_is_read_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let file = OpenOptions::new().write(true).create_new(true).open(&path).unwrap();
        let mut blocks = Blocks::default();
        let mut whole = Vec::new();
        for (number, length) in [1, 4_095, 1, 8_191, 4_096, PART + 5, 0, 300].into_iter().enumerate() {
            let part = vec![u8::try_from(number).unwrap() + 1; length];
            blocks.write(&file, whole.len() as u64, &part).unwrap();
            whole.extend(part);
            let mut read = std::fs::read(&path).unwrap();
            assert_eq!(read.len() % BLOCK, 0, "whole blocks");
            assert!(read.split_off(whole.len()).iter().all(|byte| *byte == 0), "and zeros behind the end");
            assert!(read == whole, "after part {number}");
        }
        assert!(blocks.memory.len() <= KEPT);
    }

    #[test]
    fn a_place_whose_block_is_not_known_is_refused_and_a_new_beginning_is_none() {
        let file = tempfile::tempfile().unwrap();
        let mut blocks = Blocks::default();
        blocks.write(&file, 0, &[1; 100]).unwrap();
        let refused = blocks.write(&file, 99, &[2; 10]).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        blocks.write(&file, 0, &[3; 10]).unwrap();
        blocks.write(&file, 10, &[4; 10]).unwrap();
        assert_eq!(blocks.begun, [vec![3; 10], vec![4; 10]].concat());
    }
}
