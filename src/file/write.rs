//! The verbs that write: save, append, pop, touch, delete.

use rustix::fs::OFlags;

use super::anew::Whole;
use super::directory::Directory;
use super::format::{Commit, keys_line, write_body};
use super::lock::{Locked, lock};
use super::log::{Log, Record};
use super::names::encode;
use super::session::{Session, now};
use crate::error::{ErrorKind, Result};
use crate::keyspace::MemoryId;
use crate::message::{Message, Messages};
use crate::store::{Key, Keyed, Ledger, Mode, Write, Written, check_write};

/// A file is rewritten when it is more than twice as large as its messages, and by this much:
/// the line of keys, which does not count as messages, can take 28 KiB.
const SLACK_BYTES: u64 = 64 << 10;

/// A memory's file, locked and read.
struct Held<'a> {
    directory: &'a Directory<'a>,
    name: &'a str,
    id: &'a MemoryId,
    locked: &'a Locked,
    log: Log<'a>,
    last: Record,
}

/// What a record does to a memory; by default it only restarts the time to live.
#[derive(Default)]
struct Change {
    /// Messages put at the end.
    messages: Messages,
    /// How many they are; -1 takes the last one away.
    count: i64,
    /// Bytes of the message taken away, with its newline.
    popped: u64,
    /// 0 for a touch, which is no write to those who count them.
    revisions: u64,
    key: Option<Key>,
}

impl Session<'_> {
    /// Saves or appends.
    pub(super) fn write(&self, write: &Write) -> Result<Written> {
        check_write(write, self.options.limits)?;
        let key = Key::of(write);
        let directory = Directory::open_or_make(&self.options.directory)?;
        let name = encode(&write.id);
        loop {
            let locked = lock(&directory, &name, OFlags::RDWR, self.patience)?;
            let held =
                locked.as_ref().map(|locked| Held::open(&directory, &name, &write.id, locked));
            let live = held.transpose()?.filter(|held| !held.last.commit.is_expired(now()));
            let revision = live.as_ref().map_or(0, |held| held.last.commit.revision);
            let mut ledger = match &live {
                // A plain append need not know what is remembered.
                Some(held) if key.is_some() || write.mode == Mode::Save => {
                    held.log.ledger(&held.last, now())?
                }
                _ => Ledger::default(),
            };
            if let Some(earlier) = ledger.admit(key.as_ref(), write.if_revision, revision, now())? {
                return Ok(earlier);
            }
            if let (Some(held), Mode::Append) = (&live, write.mode) {
                return self.append(held, &write.messages, key);
            }
            let (revision, count) = (revision + 1, write.messages.len());
            if let Some(key) = &key {
                ledger.remember(Keyed::new(key.clone(), revision, count, now()), now());
            }
            let whole = Whole {
                id: &write.id,
                messages: &write.messages,
                ledger: &ledger,
                revision,
                expires: self.expiry(),
            };
            let is_first = match &locked {
                Some(locked) => whole.replace(&directory, &name, locked).map(|()| true)?,
                None => whole.create(&directory, &name)?,
            };
            if is_first {
                return Ok(Written { revision, count, replayed: false });
            }
        }
    }

    fn append(&self, held: &Held<'_>, messages: &Messages, key: Option<Key>) -> Result<Written> {
        let count = i64::try_from(messages.len()).unwrap_or(i64::MAX);
        let messages = messages.clone();
        let change = Change { messages, count, revisions: 1, key, ..Change::default() };
        let commit = self.record(held, change)?;
        let count = usize::try_from(commit.count).unwrap_or(usize::MAX);
        Ok(Written { revision: commit.revision, count, replayed: false })
    }

    /// Takes the last message away.
    pub(super) fn pop(&self, id: &MemoryId) -> Result<Option<Message>> {
        self.change(id, |session, mut held| {
            let messages = held.log.messages(&held.last, 1)?;
            let Some(message) = messages.get(0) else { return Ok(None) };
            let popped = message.as_bytes().len() as u64 + 1;
            let change = Change { count: -1, popped, revisions: 1, ..Change::default() };
            session.record(&held, change)?;
            Ok(Some(message))
        })
        .map(Option::flatten)
    }

    /// Restarts the time to live; `false` if there is no such memory.
    pub(super) fn touch(&self, id: &MemoryId) -> Result<bool> {
        self.change(id, |session, held| {
            if held.last.commit.expires.is_some() || session.options.ttl.is_some() {
                session.record(&held, Change::default())?;
            }
            Ok(())
        })
        .map(|touched| touched.is_some())
    }

    /// Deletes a memory, damaged or not; `false` if there was none.
    pub(super) fn delete(&self, id: &MemoryId) -> Result<bool> {
        let Some(directory) = Directory::open(&self.options.directory)? else { return Ok(false) };
        let name = encode(id);
        let Some(locked) = lock(&directory, &name, OFlags::RDONLY, self.patience)? else {
            return Ok(false);
        };
        let held = Held::open(&directory, &name, id, &locked);
        let expired = held.is_ok_and(|held| held.last.commit.is_expired(now()));
        let place = directory.place(&name);
        directory.unlink(&name).map_err(|error| place.fault("delete", error))?;
        directory.sync().map_err(|error| place.in_doubt("delete", error))?;
        Ok(!expired)
    }

    /// Runs `change` on a memory that is there and has not expired, under its lock.
    fn change<T>(
        &self,
        id: &MemoryId,
        change: impl FnOnce(&Self, Held<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let Some(directory) = Directory::open(&self.options.directory)? else { return Ok(None) };
        let name = encode(id);
        let Some(locked) = lock(&directory, &name, OFlags::RDWR, self.patience)? else {
            return Ok(None);
        };
        let held = Held::open(&directory, &name, id, &locked)?;
        if held.last.commit.is_expired(now()) {
            return Ok(None);
        }
        change(self, held).map(Some)
    }

    /// Writes a record after the last one and waits until the disk has it.
    fn record(&self, held: &Held<'_>, change: Change) -> Result<Commit> {
        let place = held.directory.place(held.name);
        let start = held.last.end;
        let before = &held.last.commit;
        let count = before.count.checked_add_signed(change.count);
        let left = before.bytes.checked_sub(change.popped);
        let (Some(count), Some(left)) = (count, left) else {
            return Err(place.corrupt("its last commit counts less than it holds"));
        };
        let revision = before.revision + change.revisions;
        let keys = change.key.map_or_else(Vec::new, |key| {
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            keys_line(before.keys, [Keyed::new(key, revision, count, now())].iter())
        });
        let mut bytes = Vec::with_capacity(change.messages.size() + change.messages.len() + 512);
        let body = write_body(&mut bytes, &change.messages, &keys)
            .map_err(|error| place.fault("write", error))?;
        let commit = Commit {
            revision,
            count,
            bytes: left + body.messages,
            expires: self.expiry(),
            change: change.count,
            keys: if keys.is_empty() { before.keys } else { start + body.messages },
            start,
            length: body.length,
            body_crc: body.crc,
        };
        bytes.extend_from_slice(&commit.line());
        self.put(held, &bytes)?;
        if start + bytes.len() as u64 > 2 * commit.bytes + held.log.base() + SLACK_BYTES {
            // The record is durable, in this file or in the new one, so a rewrite that fails is no
            // failure of the write: unless the new file has the name, and may lose it with later
            // writes in it.
            held.compact().or_else(|error| match error.kind() {
                ErrorKind::OutcomeUnknown { .. } => Err(error),
                _ => Ok(()),
            })?;
        }
        Ok(commit)
    }

    /// Cuts what a writer left behind that died, then writes `record`. If that fails, the record is
    /// taken back: the descriptor is not trusted to make it durable later.
    fn put(&self, held: &Held<'_>, record: &[u8]) -> Result<()> {
        use std::os::unix::fs::FileExt;

        let place = held.directory.place(held.name);
        let (end, torn) = (held.last.end, held.log.end() - held.last.end);
        if torn > 0 {
            held.locked.set_len(end).map_err(|error| place.fault("cut the torn end of", error))?;
            self.notices.add(format!(
                "cut {torn} bytes of an unfinished write from {place}; every finished write is \
                 still there"
            ));
        }
        let written = held.locked.write_all_at(record, end);
        written.and_then(|()| held.locked.sync_data()).map_err(|error| {
            match held.locked.set_len(end) {
                Ok(()) => place.fault("write to", error),
                Err(_) => place.in_doubt("write to", error),
            }
        })
    }
}

impl<'a> Held<'a> {
    fn open(
        directory: &'a Directory<'a>,
        name: &'a str,
        id: &'a MemoryId,
        locked: &'a Locked,
    ) -> Result<Self> {
        let mut log = Log::of(id, directory.place(name), locked)?;
        let last = log.last()?;
        Ok(Self { directory, name, id, locked, log, last })
    }

    /// Rewrites the file without what is dead in it: commits, popped messages, forgotten keys.
    fn compact(&self) -> Result<()> {
        let mut log = Log::of(self.id, self.directory.place(self.name), self.locked)?;
        let last = log.last()?;
        let messages = log.messages(&last, usize::MAX)?;
        let ledger = log.ledger(&last, now())?;
        let Commit { revision, expires, .. } = last.commit;
        Whole { id: self.id, messages: &messages, ledger: &ledger, revision, expires }.replace(
            self.directory,
            self.name,
            self.locked,
        )
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::super::tests::{Fixture, append, id, save};
    use super::*;
    use crate::store::{Answer, Verb};

    /// Appends `bytes` to a file as a writer that died would leave them.
    fn tear(path: &Path, bytes: &[u8]) {
        let mut content = fs::read(path).unwrap();
        content.extend_from_slice(bytes);
        fs::write(path, content).unwrap();
    }

    fn keyed(name: &str, texts: &[&str], key: &str) -> Write {
        Write { idempotency_key: Some(key.into()), ..append(name, texts) }
    }

    #[test]
    fn a_file_cut_anywhere_is_the_memory_of_its_last_whole_write() {
        let fixture = Fixture::new();
        let mut states = Vec::new();
        let remember = |states: &mut Vec<(usize, Option<String>)>| {
            let length = fs::read(fixture.path("a")).unwrap().len();
            states.push((length, fixture.load("a")));
        };
        fixture.write(save("a", &["saved", "twice"]));
        remember(&mut states);
        for step in 0..6 {
            match step {
                2 => fixture.apply(Verb::Pop(id("a"))),
                4 => fixture.apply(Verb::Touch(id("a"))),
                5 => Answer::Written(fixture.write(keyed("a", &["with", "key"], "k"))),
                _ => Answer::Written(fixture.write(append("a", &["more", "ü"]))),
            };
            remember(&mut states);
        }
        let content = fs::read(fixture.path("a")).unwrap();
        let base = states[0].0;
        for cut in 0..=content.len() {
            let fixture = Fixture::new();
            fixture.write(append("a", &["x"]));
            fs::write(fixture.path("a"), &content[..cut]).unwrap();
            if cut < base {
                let damaged = fixture.refused(Verb::Load(id("a")));
                assert_eq!(damaged, ErrorKind::Corrupt { index: None }, "cut at {cut}");
                continue;
            }
            let (length, state) = states.iter().rev().find(|state| state.0 <= cut).unwrap();
            assert_eq!(&fixture.load("a"), state, "cut at {cut}");
            fixture.write(append("a", &["next"]));
            let expected =
                format!("{},{{\"m\":\"next\"}}]", state.as_ref().unwrap().trim_end_matches(']'));
            assert_eq!(fixture.load("a"), Some(expected), "cut at {cut}");
            let notices = fixture.store.take_notices();
            assert_eq!(notices.len(), usize::from(cut > *length), "cut at {cut}");
            for notice in notices {
                assert!(notice.contains(&format!("cut {} bytes", cut - length)), "{notice}");
                assert!(notice.contains("a.jsonl") && !notice.contains("more"), "{notice}");
            }
        }
    }

    #[test]
    fn garbage_of_any_kind_after_the_last_write_is_passed_over() {
        let fixture = Fixture::new();
        fixture.write(append("a", &["one"]));
        fixture.write(append("a", &["two"]));
        let content = fs::read(fixture.path("a")).unwrap();
        let last = content.len()
            - 1
            - content.trim_ascii_end().iter().rev().position(|&byte| byte == b'\n').unwrap();
        let garbage: [&[u8]; 6] = [
            b"\0\0\0\0\n\n",
            b"{\"m\":\"torn",
            b"[\"commit\",9,9,9,null,0,0,0,0,0]\n",
            // A copy of an earlier record is not valid at another place.
            &content[last..],
            &content[24..],
            &[b'\n'; 10_000],
        ];
        for bytes in garbage {
            fs::write(fixture.path("a"), &content).unwrap();
            tear(fixture.path("a").as_path(), bytes);
            let two = Some("[{\"m\":\"one\"},{\"m\":\"two\"}]".to_owned());
            assert_eq!(fixture.load("a"), two);
            fixture.write(append("a", &["three"]));
            assert_eq!(fixture.store.take_notices().len(), 1);
            assert!(matches!(fixture.apply(Verb::Count(id("a"))), Answer::Count(3)));
        }
    }

    #[test]
    fn damage_before_the_last_write_is_told_and_left_as_it_is() {
        let fixture = Fixture::new();
        fixture.write(save("a", &["first", "second"]));
        fixture.write(append("a", &["third"]));
        fixture.write(append("a", &["fourth"]));
        let content = fs::read(fixture.path("a")).unwrap();
        for at in 0..content.len() {
            let mut damaged = content.clone();
            damaged[at] ^= 4;
            fs::write(fixture.path("a"), &damaged).unwrap();
            match fixture.store.apply(Verb::Load(id("a")), || false) {
                Ok(Answer::Messages(Some(messages))) => {
                    // Only the last record can be taken for a torn one.
                    assert_eq!(messages.len(), 3, "byte {at}");
                    assert!(at >= content.len() - 80, "byte {at}");
                }
                Err(error) => {
                    assert!(matches!(error.kind(), ErrorKind::Corrupt { .. }), "{error}");
                    assert!(error.message().contains("a.jsonl"), "{error}");
                    assert!(!error.message().contains("second"), "{error}");
                }
                other => panic!("byte {at}: {other:?}"),
            }
            assert_eq!(fs::read(fixture.path("a")).unwrap(), damaged);
        }
        assert!(matches!(fixture.apply(Verb::Delete(id("a"))), Answer::Bool(true)));
    }

    #[test]
    fn a_foreign_file_is_neither_read_nor_written_over() {
        let fixture = Fixture::new();
        fixture.write(append("b", &["x"]));
        for content in
            ["", "[]", "{\"m\":1}\n", "[\"redember\",2,\"a\"]\n", "[\"redember\",1,\"other\"]\n"]
        {
            fs::write(fixture.path("a"), content).unwrap();
            let corrupt = ErrorKind::Corrupt { index: None };
            assert_eq!(fixture.refused(Verb::Load(id("a"))), corrupt);
            assert_eq!(fixture.refused(Verb::Write(save("a", &["x"]))), corrupt);
            assert_eq!(fixture.refused(Verb::Write(append("a", &["x"]))), corrupt);
            assert_eq!(fs::read_to_string(fixture.path("a")).unwrap(), content);
            assert_eq!(fixture.list(), ["a", "b"]);
        }
    }

    #[test]
    fn keys_are_recognised_after_other_writes_a_save_and_a_compaction() {
        let fixture = Fixture::new();
        let first = fixture.write(keyed("a", &["once"], "k"));
        for number in 0..50 {
            fixture.write(append("a", &["other"]));
            fixture.write(keyed("a", &["other"], &number.to_string()));
        }
        let again = fixture.write(keyed("a", &["once"], "k"));
        assert_eq!(again, Written { replayed: true, ..first });
        fixture.write(save("a", &["saved"]));
        assert_eq!(fixture.write(keyed("a", &["once"], "k")), again);
        for _ in 0..2000 {
            fixture.apply(Verb::Touch(id("a")));
        }
        assert_eq!(fixture.write(keyed("a", &["once"], "k")), again);
        let reused = fixture.refused(Verb::Write(keyed("a", &["twice"], "k")));
        assert_eq!(reused, ErrorKind::Conflict { actual: 0 });
        assert_eq!(fixture.load("a").unwrap(), "[{\"m\":\"saved\"}]");
    }

    #[test]
    fn a_file_stays_small_however_often_a_small_memory_is_written() {
        let fixture = Fixture::new();
        for _ in 0..3000 {
            fixture.write(append("a", &["x"]));
            fixture.apply(Verb::Pop(id("a")));
        }
        assert!(fixture.path("a").metadata().unwrap().len() < 2 * SLACK_BYTES);
        assert_eq!(fixture.load("a").unwrap(), "[]");
        assert_eq!(fixture.write(append("a", &["y"])).revision, 6001);
    }

    #[test]
    fn a_failed_write_leaves_the_memory_as_it_was() {
        let fixture = Fixture::new();
        fixture.write(append("a", &["x"]));
        let path = fixture.path("a");
        let directory = path.parent().unwrap();
        // A name that is a directory can be neither locked as a file nor replaced by one.
        fs::create_dir(fixture.path("b")).unwrap();
        assert_eq!(fixture.refused(Verb::Write(save("b", &["x"]))), ErrorKind::Storage);
        assert_eq!(directory.read_dir().unwrap().count(), 2);
        assert_eq!(fixture.list(), ["a"]);
    }

    #[test]
    fn a_lock_held_elsewhere_stops_writes_and_not_reads() {
        let fixture = Fixture::with(|options| options.lock_timeout = std::time::Duration::ZERO);
        fixture.write(append("a", &["x"]));
        let held = Locked::try_lock(fs::File::open(fixture.path("a")).unwrap()).unwrap();
        assert_eq!(fixture.refused(Verb::Write(append("a", &["y"]))), ErrorKind::Unavailable);
        assert_eq!(fixture.load("a").unwrap(), "[{\"m\":\"x\"}]");
        drop(held);
        assert_eq!(fixture.write(append("a", &["y"])).count, 2);
    }
}
