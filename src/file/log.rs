//! Reads a memory's file from its end: the last commit says what the memory is.
//!
//! A record is some bytes and the commit line after them. It counts once the line is there, whole,
//! and its checksums hold; what a writer left behind that died half way has no such line at its
//! end and is passed over.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use memchr::memmem;

use super::format::{COMMIT, Commit, First, MAX_COMMIT, parse_first_line, parse_keys_line};
use super::place::Place;
use super::suffix::Suffix;
use super::torn::holds_finished_write;
use crate::error::{Error, ErrorKind, Result};
use crate::keyspace::MemoryId;
use crate::messages::Messages;
use crate::store::{Ledger, MAX_KEYS};

/// At least this much is read to find a commit line.
const COMMIT_READ: u64 = MAX_COMMIT as u64;

/// A line is read in steps of this many bytes, doubled each time.
const LINE_READ: usize = 512;

/// A first record of at most this many bytes is checked even where only its end is wanted. A larger one
/// would be read only for that, and a tail of a long conversation would take as long as a load.
const CHECKED_BYTES: u64 = 64 << 10;

/// A record of the file.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) commit: Commit,
    /// Where its commit line begins.
    line: u64,
    /// Where the next record begins.
    pub(super) end: u64,
}

/// An open file that holds a memory.
#[derive(Debug)]
pub(super) struct Log<'a> {
    place: Place<'a>,
    file: &'a File,
    suffix: Suffix<'a>,
    id: MemoryId,
    /// Where the first record begins. That record was written before the file got its name, so it
    /// is never torn, and a large one is not read only to check it.
    base: u64,
}

impl<'a> Log<'a> {
    /// Reads the first line.
    pub(super) fn open(place: Place<'a>, file: &'a File) -> Result<Self> {
        let suffix = Suffix::new(file).map_err(|error| read_error(place, error))?;
        let line = read_line(file, 0).map_err(|error| read_error(place, error))?;
        let base = line.len() as u64 + 1;
        match parse_first_line(&line) {
            First::Memory(id) => {
                let id = MemoryId::new(&id).map_err(|_| place.corrupt("its id is empty"))?;
                Ok(Self { place, file, suffix, id, base })
            }
            First::Version(version) => Err(Error::corrupt(format!(
                "{place} is of format version {version}, which this version of redember cannot \
                 read; it was left as it is: use the version that wrote it"
            ))),
            First::Foreign => Err(place.corrupt("its first line is not that of a memory")),
        }
    }

    /// Opens the file of `id`.
    pub(super) fn of(id: &MemoryId, place: Place<'a>, file: &'a File) -> Result<Self> {
        let log = Self::open(place, file)?;
        if log.id == *id {
            Ok(log)
        } else {
            Err(place.corrupt("it holds the memory of another id than its name says"))
        }
    }

    /// Returns the id of the memory.
    pub(super) fn id(&self) -> &MemoryId {
        &self.id
    }

    /// Returns the length of the file.
    pub(super) fn end(&self) -> u64 {
        self.suffix.end()
    }

    /// Returns where the first record begins.
    pub(super) fn base(&self) -> u64 {
        self.base
    }

    /// Finds the last record that is whole; what follows it is torn, or the file is damaged.
    pub(super) fn last(&mut self) -> Result<Record> {
        let mut before = self.end();
        while let Some(line) = self.find_commit(before)? {
            if let Some(record) = self.record_at(line)?
                && (record.commit.start == self.base || self.is_whole(&record)?)
            {
                self.check_torn(&record)?;
                return Ok(record);
            }
            before = line;
        }
        Err(self.place.corrupt("it holds no whole write"))
    }

    /// Reads the last `wanted` messages, and little more of the file than those.
    ///
    /// Every record that a message comes from is checked, but for a large first one of which only the
    /// end is wanted.
    pub(super) fn messages(&mut self, last: &Record, wanted: usize) -> Result<Messages> {
        let wanted = last.commit.count.min(wanted as u64);
        if wanted == last.commit.count {
            self.suffix.reach(self.base).map_err(|error| read_error(self.place, error))?;
        }
        let mut newest_first = Vec::new();
        let (mut missing, mut popped) = (wanted, 0_u64);
        let mut record = last.clone();
        while missing > 0 {
            let change = record.commit.change;
            match u64::try_from(change) {
                Err(_) => popped = popped.saturating_add(change.unsigned_abs()),
                Ok(added) => {
                    let skip = added.min(popped);
                    let take = missing.min(added - skip);
                    if take > 0 {
                        newest_first.push(self.lines(&record, added, skip, take)?);
                    }
                    popped -= skip;
                    missing -= take;
                }
            }
            if missing > 0 {
                record = self.before(&record)?;
            }
        }
        let segments = newest_first.into_iter().rev().map(|range| self.suffix.share(range));
        let segments = segments.collect::<io::Result<_>>();
        let segments = segments.map_err(|error| read_error(self.place, error))?;
        let messages = Messages::from_lines(segments, 0).map_err(|error| {
            Error::new(error.kind().clone(), format!("{}: {error}", self.place))
        })?;
        if messages.len() as u64 == wanted { Ok(messages) } else { Err(self.miscounted()) }
    }

    /// Reads what is remembered of writes with a key.
    pub(super) fn ledger(&self, last: &Record, now: u64) -> Result<Ledger> {
        let mut newest_first = Vec::new();
        let mut at = last.commit.keys;
        while at > 0 && newest_first.len() < MAX_KEYS {
            let line = read_line(self.file, at).map_err(|error| read_error(self.place, error))?;
            let Some((previous, keys)) = parse_keys_line(&line).filter(|keys| keys.0 < at) else {
                return Err(self.place.corrupt("a line of keys cannot be read"));
            };
            at = if keys.iter().any(|keyed| keyed.until < now) { 0 } else { previous };
            newest_first.extend(keys.into_iter().rev());
        }
        let mut ledger = Ledger::default();
        for keyed in newest_first.into_iter().rev() {
            ledger.remember(keyed, now);
        }
        Ok(ledger)
    }

    /// Fails if a record with a line of keys is damaged. Whoever writes the file anew asks this first:
    /// the copy gets a checksum of its own, which damage would hold under from then on.
    pub(super) fn check_keys(&mut self, last: &Record) -> Result<()> {
        let mut record = last.clone();
        // In the records before the first line of keys, this offset is 0.
        while record.commit.keys > 0 {
            if record.commit.keys >= record.commit.start {
                self.check(&record)?;
            }
            if record.commit.start == self.base {
                break;
            }
            record = self.before(&record)?;
        }
        Ok(())
    }

    /// Refuses a file with finished writes after its last whole record: cutting what follows that
    /// would lose them.
    fn check_torn(&mut self, last: &Record) -> Result<()> {
        let tail = self.get(last.end..self.end())?;
        if holds_finished_write(tail, last.end, &last.commit) {
            let problem = format!(
                "something was lost, added or changed after byte {}, where finished writes are",
                last.end
            );
            return Err(self.place.corrupt(&problem));
        }
        Ok(())
    }

    /// Returns where the last line before `before` begins that looks like a commit.
    fn find_commit(&mut self, before: u64) -> Result<Option<u64>> {
        // The newline before the line is part of what is looked for: it may be the first line's.
        let floor = self.base - 1;
        let finder = memmem::FinderRev::new(&NEEDLE);
        let mut from = before;
        while from > floor {
            from = step_back(from, before, floor);
            if let Some(at) = finder.rfind(self.get(from..before)?) {
                return Ok(Some(from + at as u64 + 1));
            }
        }
        Ok(None)
    }

    /// Reads the commit line at `line`; `None` if it is torn or damaged.
    fn record_at(&mut self, line: u64) -> Result<Option<Record>> {
        let until = self.end().min(line + COMMIT_READ);
        let base = self.base;
        let read = Commit::read(self.get(line..until)?);
        let placed = read.filter(|(commit, _)| {
            commit.start >= base && commit.start.checked_add(commit.length) == Some(line)
        });
        Ok(placed.map(|(commit, length)| Record { commit, line, end: line + length as u64 }))
    }

    /// Returns the record before `record`.
    fn before(&mut self, record: &Record) -> Result<Record> {
        let end = record.commit.start;
        if end == self.base {
            return Err(self.miscounted());
        }
        let from = end.saturating_sub(COMMIT_READ).max(self.base - 1);
        let bytes = self.get(from..end - 1)?;
        let line = memchr::memrchr(b'\n', bytes).map(|at| from + at as u64 + 1);
        let before = match line {
            Some(line) => self.record_at(line)?.filter(|before| before.end == end),
            None => None,
        };
        let before = before.ok_or_else(|| self.place.corrupt("an earlier write is damaged"))?;
        if before.commit.count.checked_add_signed(record.commit.change) == Some(record.commit.count)
        {
            Ok(before)
        } else {
            Err(self.miscounted())
        }
    }

    /// Returns whether the bytes of a record are those that its writer meant.
    fn is_whole(&mut self, record: &Record) -> Result<bool> {
        let body = self.get(record.commit.start..record.line)?;
        Ok(crc32fast::hash(body) == record.commit.body_crc)
    }

    fn check(&mut self, record: &Record) -> Result<()> {
        if self.is_whole(record)? {
            Ok(())
        } else {
            Err(self.place.corrupt("the checksum of a write does not hold"))
        }
    }

    /// Returns where the last `take` messages of a record lie that added `added`, after leaving
    /// out the last `skip`.
    fn lines(&mut self, record: &Record, added: u64, skip: u64, take: u64) -> Result<Range<u64>> {
        let Commit { start, keys, length, .. } = record.commit;
        // A pop leaves messages out at the end: what is left is still all that the record has.
        let reaches_start = skip + take == added;
        // Of a large first record only the end may be wanted, and then no more of it is read.
        if reaches_start || start != self.base || length <= CHECKED_BYTES {
            self.check(record)?;
        }
        let end = if keys >= start { keys.min(record.line) } else { record.line };
        let end = self.lines_back(start, end, skip)?;
        let begin = if reaches_start { start } else { self.lines_back(start, end, take)? };
        Ok(begin..end)
    }

    /// Returns where the last `lines` lines before `end` begin; none of them before `floor`.
    fn lines_back(&mut self, floor: u64, end: u64, lines: u64) -> Result<u64> {
        let Some(nth) = lines.checked_sub(1) else { return Ok(end) };
        let nth = usize::try_from(nth).map_err(|_| self.miscounted())?;
        let mut from = end;
        while from > floor {
            from = step_back(from, end, floor);
            let bytes = self.get(from..end - 1)?;
            let mut newlines = memchr::memrchr_iter(b'\n', bytes);
            if let Some(at) = newlines.nth(nth) {
                return Ok(from + at as u64 + 1);
            }
        }
        let inner = memchr::memchr_iter(b'\n', self.get(floor..end.max(floor + 1) - 1)?).count();
        if end > floor && inner == nth { Ok(floor) } else { Err(self.miscounted()) }
    }

    fn get(&mut self, range: Range<u64>) -> Result<&[u8]> {
        self.suffix.get(range).map_err(|error| read_error(self.place, error))
    }

    fn miscounted(&self) -> Error {
        self.place.corrupt("it does not hold the messages that its commits count")
    }
}

/// A newline and [`COMMIT`].
const NEEDLE: [u8; COMMIT.len() + 1] = *b"\n[\"commit\",";

/// Returns where to look from next, having looked from `from`: twice as far back from `end`.
fn step_back(from: u64, end: u64, floor: u64) -> u64 {
    from.saturating_sub((end - from).max(COMMIT_READ)).max(floor)
}

/// Reads the line that begins at `offset`, without its newline.
fn read_line(file: &File, offset: u64) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    loop {
        let held = line.len();
        line.resize(held + held.max(LINE_READ), 0);
        let fresh = line.get_mut(held..).unwrap_or_default();
        let read = file.read_at(fresh, offset + held as u64)?;
        line.truncate(held + read);
        if let Some(length) = memchr::memchr(b'\n', line.get(held..).unwrap_or_default()) {
            line.truncate(held + length);
            return Ok(line);
        }
        if read == 0 {
            return Ok(line);
        }
    }
}

fn read_error(place: Place<'_>, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => place.corrupt("it ends before the messages it counts"),
        io::ErrorKind::OutOfMemory => {
            let message = format!("{place} is too large for the memory of this machine");
            Error::new(ErrorKind::TooLarge, message)
        }
        _ => place.fault("read", error),
    }
}
