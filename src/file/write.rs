//! The verbs that write: save, append, pop, touch, delete.

use rustix::fs::OFlags;

use super::anew::Whole;
use super::directory::Directory;
use super::held::{Change, Held};
use super::lock::lock;
use super::names::encode;
use super::session::{Session, now};
use crate::error::Result;
use crate::keyspace::MemoryId;
use crate::message::Message;
use crate::store::{Key, Keyed, Ledger, Mode, Write, Written, check_write, conflict};

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
            let mut live = held.transpose()?.filter(|held| !held.last.commit.is_expired(now()));
            let revision = live.as_ref().map_or(0, |held| held.last.commit.revision);
            // A save carries what is remembered over to the new file.
            if let (Some(held), Mode::Save) = (&mut live, write.mode) {
                held.log.check_keys(&held.last)?;
            }
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
                return self.append(held, write, key);
            }
            let (revision, count) = (revision.saturating_add(1), write.messages.len());
            if let Some(key) = &key {
                ledger.remember(Keyed::new(key.clone(), revision, count, now()), now());
            }
            let whole = Whole {
                id: &write.id,
                messages: &write.messages,
                ledger: &ledger,
                revision,
                expires: self.expiry(write.ttl),
            };
            let written = match &locked {
                Some(locked) => whole.replace(&directory, &name, locked).map(|()| true)?,
                None => whole.create(&directory, &name)?,
            };
            if written {
                if let Some(held) = &live {
                    self.tell_of_torn_end(held);
                }
                return Ok(Written { revision, count, replayed: false });
            }
        }
    }

    fn append(&self, held: &Held<'_>, write: &Write, key: Option<Key>) -> Result<Written> {
        let count = i64::try_from(write.messages.len()).unwrap_or(i64::MAX);
        let messages = write.messages.clone();
        let change =
            Change { messages, count, revisions: 1, key, ttl: write.ttl, ..Change::default() };
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
    pub(super) fn delete(&self, id: &MemoryId, if_revision: Option<u64>) -> Result<bool> {
        let absent = || expect(if_revision, 0).map(|()| false);
        let Some(directory) = Directory::open(&self.options.directory)? else { return absent() };
        let name = encode(id);
        let Some(locked) = lock(&directory, &name, OFlags::RDONLY, self.patience)? else {
            return absent();
        };
        let held = Held::open(&directory, &name, id, &locked);
        if if_revision.is_some() {
            let commit = &held.as_ref().map_err(Clone::clone)?.last.commit;
            expect(if_revision, if commit.is_expired(now()) { 0 } else { commit.revision })?;
        }
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
}

/// Compares the revision that is there with the one that the caller expects.
pub(super) fn expect(if_revision: Option<u64>, actual: u64) -> Result<()> {
    match if_revision {
        Some(expected) if expected != actual => Err(conflict(actual)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::fixture::{Fixture, append, id, save};
    use super::super::lock::Locked;
    use super::*;
    use crate::error::ErrorKind;
    use crate::store::Verb;

    fn keyed(name: &str, texts: &[&str], key: &str) -> Write {
        Write { idempotency_key: Some(key.into()), ..append(name, texts) }
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
        assert_eq!(reused, ErrorKind::Conflict { actual: 102 });
        assert_eq!(fixture.load("a").unwrap(), "[{\"m\":\"saved\"}]");
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
