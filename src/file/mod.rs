//! The store that keeps memories in files: one JSON-Lines file each, no server.
//!
//! # The file
//!
//! `<name>.jsonl`, where the name is the id with every byte but `a-z 0-9 _ -` and a `.` that is not
//! the first written as `%` and two lower-case hexadecimal digits. A name of more than 200 bytes is
//! replaced by `%~` and the SHA-256 of the id in hexadecimal. Every line is JSON and ends in a
//! newline:
//!
//! ```text
//! ["redember",1,"user-alice"]
//! {"role":"user","content":"hi"}
//! ["commit",1,1,31,1795535276473,1,0,28,31,2095629519,4095592605]
//! {"role":"assistant","content":"hello"}
//! ["keys",0,[["l0ytLdYDgnsG6eav-j3gPQ","nrWDb6GwNLuqzenxpr3hXQ",2,2,1795535276473]]]
//! ["commit",2,2,70,1795535276473,1,162,123,122,3535127611,1197665399]
//! ```
//!
//! The first line holds the format's version and the id. After it come records: messages, which are
//! the lines that begin with `{`, at most one line of keys, and a commit line. The commit line makes
//! the record valid, and the last valid one says what the memory is. Its fields:
//!
//! | field | |
//! |---|---|
//! | revision | one more on every write, not on a touch |
//! | count | messages in the memory |
//! | bytes | of those messages, with a newline each |
//! | expires | milliseconds since 1970, or `null` |
//! | change | messages that this record adds; `-1` takes the last one away |
//! | keys | offset of the newest line of keys, 0 for none |
//! | start | offset of the record |
//! | length | bytes of the record before the commit line |
//! | body CRC | CRC-32 (IEEE) of those bytes |
//! | line CRC | CRC-32 of the commit line's bytes before this field's comma |
//!
//! A line of keys holds the offset of the one before it (0: none) and, for each write with an
//! idempotency key, oldest first: the first 16 bytes, in unpadded URL-safe base64, of the SHA-256 of
//! the key and of the messages (each followed by a newline), the write's revision and count, and
//! when it is forgotten. 256 keys are remembered, for 24 hours.
//!
//! # Writing
//!
//! An append, pop or touch writes one record at the end and waits for `fdatasync`. A save, the
//! first write and a compaction write a file anew under a temporary name (`.tmp-` and 24 random
//! digits), wait for `fsync`, give it the memory's name and wait for `fsync` of the directory. Its
//! first record is thereby whole or not there at all. Writers hold `flock` on the memory's file.
//!
//! # After a crash
//!
//! What lies after the last valid commit was never answered for, as long as it holds no commit line
//! of a later write whose line CRC holds: a writer that died left a part of one record, and the
//! commit line is the end of that. Readers pass it over; the next write cuts it and leaves a notice.
//! The one record of which a power loss can leave the commit line and not all that is before it is
//! told by the zeros in their place.
//!
//! Anything else is damage: a byte or line was lost, added or changed in writes that were answered
//! for. Every verb that comes upon it is [`ErrorKind::Corrupt`], except that a list shows the memory
//! and a delete removes it; nothing is cut, and the file stays as it is. What a call reads of messages
//! is checked, and so is what a save or compaction carries over. One thing is not: where a tail or a pop
//! needs only the end of a first record of more than 64 KiB, which a save, compaction or first write
//! left, it does not read all of it to check that end. A load does.
//!
//! An expired memory reads as absent, and its file is removed by some later write.

mod anew;
mod directory;
mod document;
#[cfg(test)]
pub(crate) mod fixture;
mod format;
mod held;
mod lease;
mod lock;
mod log;
mod names;
mod notices;
mod owner;
mod place;
mod read;
mod session;
mod suffix;
mod sweep;
mod temporary;
mod torn;
mod write;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::call::Interrupt;
use crate::error::{CallReport, Error, ErrorKind, Result};
use crate::layout::Layout;
use crate::messages::Limits;
use crate::store::{Answer, Batch, Ids, Verb};

use directory::Directory;
use lock::Patience;
use notices::Notices;
use session::Session;
use sweep::Sweep;

/// How a [`FileStore`] keeps its memories.
#[derive(Debug, Clone)]
pub struct FileOptions {
    /// Where the files are. Made at the first write, for its owner alone; one that other users
    /// can write to or that belongs to another user is refused.
    pub directory: PathBuf,
    /// How it writes memories.
    pub layout: Layout,
    /// Time to live, restarted on every write; `None` keeps memories until they are deleted.
    /// Documents are always kept: their format has no place for a time.
    pub ttl: Option<Duration>,
    /// Whether a load restarts the time to live too, where that moves it by a thousandth or more.
    pub refresh_on_load: bool,
    /// How long a write waits for other writers of the same memory.
    pub lock_timeout: Duration,
    /// How large messages and conversations may be.
    pub limits: Limits,
}

/// Keeps memories in the files of one directory.
///
/// Holds no memory's file open between calls, so a fork, a deleted directory and several stores on
/// one directory need no care.
#[derive(Debug)]
pub struct FileStore {
    options: FileOptions,
    notices: Notices,
    sweep: Sweep,
}

impl FileStore {
    /// Makes a store with `options`; does no I/O.
    pub fn new(options: FileOptions) -> Self {
        Self { options, notices: Notices::default(), sweep: Sweep::default() }
    }

    /// Applies a verb; blocks. `interrupt` is asked while waiting for a lock.
    ///
    /// # Errors
    /// [`ErrorKind`] `InvalidArgument`, `TooLarge`, `Conflict`; `Storage`, `StorageFull`; `Corrupt`;
    /// `Unavailable` if the lock was not free in time, `Interrupted`; `OutcomeUnknown` if the disk
    /// failed so late that the write can neither be promised nor taken back.
    pub fn apply(&self, verb: Verb, interrupt: Interrupt) -> Result<Answer> {
        self.apply_since(Instant::now(), verb, interrupt)
    }

    /// Applies a verb of a call whose time has been running since `started`; blocks.
    pub(crate) fn apply_since(
        &self,
        started: Instant,
        verb: Verb,
        interrupt: Interrupt,
    ) -> Result<Answer> {
        let operation = verb.name();
        self.answer(verb, Patience { started, timeout: self.options.lock_timeout, interrupt })
            .map_err(|error| {
                let timed_out = *error.kind() == ErrorKind::Unavailable;
                let elapsed = started.elapsed();
                error.in_call(CallReport { operation, attempts: 1, elapsed, timed_out })
            })
    }

    /// Returns how long a call waits for the lock of a memory.
    pub(crate) fn lock_timeout(&self) -> Duration {
        self.options.lock_timeout
    }

    /// Applies the verbs of a batch, one after the other; blocks.
    ///
    /// # Errors
    /// [`ErrorKind::Interrupted`].
    pub fn apply_all(&self, batch: Batch, interrupt: Interrupt) -> Result<Vec<Result<Answer>>> {
        let apply = |verb| {
            if interrupt() {
                return Err(Error::new(ErrorKind::Interrupted, "interrupted"));
            }
            match self.apply(verb, interrupt) {
                Err(error) if *error.kind() == ErrorKind::Interrupted => Err(error),
                answer => Ok(answer),
            }
        };
        batch.verbs.into_iter().map(apply).collect()
    }

    /// Takes what there is to tell people: which file had an unfinished write cut off, and how
    /// many bytes.
    pub fn take_notices(&self) -> Vec<String> {
        self.notices.take()
    }

    fn answer(&self, verb: Verb, patience: Patience) -> Result<Answer> {
        let session = Session { options: &self.options, notices: &self.notices, patience };
        Ok(match verb {
            Verb::Load(id) => Answer::Messages(session.read_either(&id, usize::MAX)?),
            Verb::Tail(id, count) => Answer::Messages(session.read_either(&id, count)?),
            Verb::Exists(id) => Answer::Bool(session.info_of_either(&id)?.is_some()),
            Verb::Count(id) => {
                Answer::Count(session.info_of_either(&id)?.map_or(0, |info| info.messages))
            }
            Verb::Info(id) => Answer::Info(session.info_of_either(&id)?),
            Verb::Page(scan) => {
                let ids = scan.take_only_page().then(|| session.ids()).transpose()?;
                Answer::Page(ids.map(Ids::from_iter))
            }
            Verb::Write(write) => {
                session.check_layout(&write.id)?;
                let written = match self.options.layout {
                    Layout::Log => session.write(&write)?,
                    Layout::Document => session.write_document(&write)?,
                };
                self.sweep.after_write(&self.options.directory);
                Answer::Written(written)
            }
            Verb::Pop(id) => {
                session.check_layout(&id)?;
                Answer::Message(match self.options.layout {
                    Layout::Log => session.pop(&id)?,
                    Layout::Document => session.pop_document(&id)?,
                })
            }
            Verb::Touch(id) => {
                session.check_layout(&id)?;
                Answer::Bool(match self.options.layout {
                    Layout::Log => session.touch(&id)?,
                    Layout::Document => session.has_document(&id)?,
                })
            }
            Verb::Delete(id, if_revision) => {
                session.check_layout(&id)?;
                let deleted = match self.options.layout {
                    Layout::Log => session.delete(&id, if_revision)?,
                    Layout::Document => session.delete_document(&id, if_revision)?,
                };
                session.drop_ended_lease(&id);
                Answer::Bool(deleted)
            }
            Verb::Lease(lease) => Answer::Bool(session.lease(&lease)?),
            Verb::Ping => {
                Directory::check(&self.options.directory)?;
                Answer::Done
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::fixture::{Fixture, WEEK, append, eventually, id, save};
    use super::*;
    use crate::store::{Scan, Write};

    #[test]
    fn reads_of_what_is_not_there_make_nothing() {
        let fixture = Fixture::new();
        assert_eq!(fixture.load("a"), None);
        assert_eq!(fixture.info("a"), None);
        assert!(fixture.list().is_empty());
        for verb in [Verb::Touch(id("a")), Verb::Delete(id("a"), None), Verb::Exists(id("a"))] {
            assert!(matches!(fixture.apply(verb), Answer::Bool(false)));
        }
        assert!(matches!(fixture.apply(Verb::Pop(id("a"))), Answer::Message(None)));
        assert!(matches!(fixture.apply(Verb::Ping), Answer::Done));
        assert!(!fixture.store.options.directory.exists());
    }

    #[test]
    fn files_are_for_their_owner_alone_and_no_temporary_file_stays() {
        let fixture = Fixture::new();
        fixture.write(append("a", &["1"]));
        fixture.write(save("a", &["2"]));
        let directory = &fixture.store.options.directory;
        assert_eq!(directory.metadata().unwrap().mode() & 0o777, 0o700);
        assert_eq!(fixture.path("a").metadata().unwrap().mode() & 0o777, 0o600);
        assert_eq!(directory.read_dir().unwrap().count(), 1);
    }

    #[test]
    fn a_file_is_json_lines_as_documented() {
        let fixture = Fixture::with(|options| options.ttl = None);
        fixture.write(append("user", &["hi"]));
        fixture.write(append("user", &["ho"]));
        let content = std::fs::read_to_string(fixture.path("user")).unwrap();
        let lines: Vec<&str> = content.lines().collect();
        let [first, hi, one, ho, two] = lines[..] else { panic!("{content}") };
        assert_eq!(
            (first, hi, ho),
            ("[\"redember\",1,\"user\"]", "{\"m\":\"hi\"}", "{\"m\":\"ho\"}")
        );
        assert!(one.starts_with("[\"commit\",1,1,11,null,1,0,22,11,"), "{one}");
        let start = content.find(ho).unwrap();
        assert!(two.starts_with(&format!("[\"commit\",2,2,22,null,1,0,{start},11,")), "{two}");
    }

    #[test]
    fn an_expired_memory_is_absent_and_a_write_begins_anew() {
        let fixture = Fixture::with(|options| options.ttl = Some(Duration::from_millis(1)));
        // The first write of a store sweeps.
        fixture.write(append("b", &["old"]));
        fixture.write(append("a", &["old"]));
        eventually(|| fixture.load("a").is_none());
        assert!(fixture.path("a").exists());
        assert!(fixture.list().is_empty());
        assert!(matches!(fixture.apply(Verb::Touch(id("a"))), Answer::Bool(false)));
        assert!(matches!(fixture.apply(Verb::Pop(id("a"))), Answer::Message(None)));
        let written = fixture.write(Write { if_revision: Some(0), ..append("a", &["new"]) });
        assert_eq!((written.revision, written.count), (1, 1));
        eventually(|| fixture.load("a").is_none());
        assert!(matches!(fixture.apply(Verb::Delete(id("a"), None)), Answer::Bool(false)));
        assert!(!fixture.path("a").exists());
    }

    #[test]
    fn expired_files_are_swept_by_later_writes() {
        let mut fixture = Fixture::with(|options| options.ttl = Some(Duration::from_millis(1)));
        for number in 0..10 {
            fixture.write(append(&number.to_string(), &["old"]));
        }
        eventually(|| fixture.list().is_empty());
        fixture.store.options.ttl = None;
        for _ in 0..130 {
            fixture.write(append("live", &["new"]));
        }
        assert_eq!(fixture.store.options.directory.read_dir().unwrap().count(), 1);
    }

    #[test]
    fn a_load_restarts_the_time_to_live_only_where_that_is_asked_for() {
        let mut fixture = Fixture::with(|options| options.ttl = Some(Duration::from_secs(60)));
        fixture.write(append("a", &["1"]));
        let length = || fixture.path("a").metadata().unwrap().len();
        let before = length();
        fixture.load("a");
        assert_eq!(length(), before);
        fixture.store.options.ttl = Some(WEEK);
        fixture.load("a");
        assert!(fixture.info("a").unwrap().ttl < Some(Duration::from_secs(61)));
        fixture.store.options.refresh_on_load = true;
        fixture.load("a");
        let info = fixture.info("a").unwrap();
        assert!(info.ttl > Some(WEEK / 2));
        assert_eq!(info.revision, 1);
        let refreshed = fixture.path("a").metadata().unwrap().len();
        fixture.load("a");
        assert_eq!(fixture.path("a").metadata().unwrap().len(), refreshed);
    }

    #[test]
    fn long_and_strange_ids_are_listed_as_they_are() {
        let fixture = Fixture::new();
        let mut ids = vec![
            "..".to_owned(),
            "a/b".into(),
            "A".into(),
            "a".into(),
            "ü\0\n".into(),
            "x".repeat(999),
        ];
        for name in &ids {
            fixture.write(append(name, &["1"]));
        }
        ids.sort_unstable();
        assert_eq!(fixture.list(), ids);
    }

    #[test]
    fn a_listing_has_one_page() {
        let fixture = Fixture::new();
        fixture.write(append("a", &["1"]));
        let scan = Scan::new(false);
        assert!(matches!(fixture.apply(Verb::Page(scan.clone())), Answer::Page(Some(_))));
        assert!(matches!(fixture.apply(Verb::Page(scan)), Answer::Page(None)));
    }

    #[test]
    fn threads_that_append_at_once_lose_nothing() {
        let fixture = Fixture::new();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    // The first writes race for the creation of the file.
                    for _ in 0..25 {
                        fixture.write(append("a", &["x"]));
                        assert!(fixture.load("a").is_some());
                    }
                });
            }
            scope.spawn(|| {
                for _ in 0..10 {
                    fixture.write(save("b", &["x", "y"]));
                }
            });
        });
        let info = fixture.info("a").unwrap();
        assert_eq!((info.messages, info.revision), (200, 200));
        assert_eq!(fixture.info("b").unwrap().revision, 10);
    }

    #[test]
    fn an_error_tells_its_call() {
        let fixture = Fixture::new();
        let write = Write { if_revision: Some(3), ..append("a", &["1"]) };
        let error = fixture.store.apply(Verb::Write(write), || false).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Conflict { actual: 0 });
        assert_eq!((error.call().operation, error.call().attempts), ("append", 1));
    }
}
