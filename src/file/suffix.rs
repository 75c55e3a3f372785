//! The end of a file, read as far back as somebody asks.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use bytes::Bytes;

/// Bytes read at first: enough for the last commit and, mostly, for the last few messages.
const FIRST_READ: u64 = 16 << 10;

/// The bytes of a file from some offset to where it ended when it was opened.
#[derive(Debug)]
pub(super) struct Suffix<'a> {
    file: &'a File,
    start: u64,
    end: u64,
    bytes: Bytes,
}

impl<'a> Suffix<'a> {
    /// Begins with nothing read.
    pub(super) fn new(file: &'a File) -> io::Result<Self> {
        let end = file.metadata()?.len();
        Ok(Self { file, start: end, end, bytes: Bytes::new() })
    }

    /// Returns the length of the file.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Returns a range of the file, reading what is not read yet.
    ///
    /// Reading back doubles what is held, so that walking back over a file costs O(its length).
    pub(super) fn get(&mut self, range: Range<u64>) -> io::Result<&[u8]> {
        if range.start < self.start {
            let doubled = self.start.saturating_sub((self.end - self.start).max(FIRST_READ));
            self.reach(range.start.min(doubled))?;
        }
        let range =
            narrow(range.start - self.start)?..narrow(range.end.max(range.start) - self.start)?;
        self.bytes.get(range).ok_or_else(changed)
    }

    /// Reads everything from `start`.
    pub(super) fn reach(&mut self, start: u64) -> io::Result<()> {
        if start >= self.start {
            return Ok(());
        }
        let missing = self.start - start;
        let mut bytes = Vec::new();
        bytes
            .try_reserve_exact(narrow(self.end - start)?)
            .map_err(|_| io::ErrorKind::OutOfMemory)?;
        let mut file = self.file;
        file.seek(SeekFrom::Start(start))?;
        file.take(missing).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != missing {
            return Err(changed());
        }
        bytes.extend_from_slice(&self.bytes);
        (self.start, self.bytes) = (start, bytes.into());
        Ok(())
    }

    /// Returns lines of the file, without the last one's newline, sharing what was read.
    ///
    /// Only for a range that was read with [`get`](Self::get) or [`reach`](Self::reach).
    pub(super) fn share(&mut self, lines: Range<u64>) -> io::Result<Bytes> {
        self.get(lines.clone())?;
        let start = narrow(lines.start - self.start)?;
        Ok(self.bytes.slice(start..narrow(lines.end - self.start)?.max(start + 1) - 1))
    }
}

fn narrow(length: u64) -> io::Result<usize> {
    usize::try_from(length).map_err(|_| io::ErrorKind::OutOfMemory.into())
}

/// The file got shorter: a writer has cut a torn tail. Readers look again under the lock.
fn changed() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn any_range_reads_as_it_is_in_the_file() {
        let content: Vec<u8> = (0..=250).cycle().take(100_000).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&content).unwrap();
        let mut suffix = Suffix::new(&file).unwrap();
        for range in [99_990..100_000, 50..60, 99_000..100_000, 0..100_000, 7..7] {
            let bytes = suffix.get(range.start..range.end).unwrap();
            let narrow = |offset| narrow(offset).unwrap();
            assert_eq!(bytes, &content[narrow(range.start)..narrow(range.end)]);
        }
        assert!(suffix.get(99_999..100_001).is_err());
    }

    #[test]
    fn a_file_that_got_shorter_is_told() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![0; 100_000]).unwrap();
        let mut suffix = Suffix::new(&file).unwrap();
        file.set_len(10).unwrap();
        let error = suffix.get(5..100_000).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
