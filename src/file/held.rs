//! Writes one record at the end of a memory's file.

use std::os::unix::fs::FileExt;

use super::anew::Whole;
use super::directory::Directory;
use super::format::{Commit, keys_line, write_body};
use super::lock::Locked;
use super::log::{Log, Record};
use super::session::{Session, now};
use crate::error::{ErrorKind, Result};
use crate::keyspace::MemoryId;
use crate::messages::Messages;
use crate::store::{Key, Keyed, Ttl};

/// A file is rewritten when it is larger than twice its messages and this much: the line of keys,
/// which is no message, can take 28 KiB.
const SLACK_BYTES: u64 = 64 << 10;

/// A memory's file, locked and read.
pub(super) struct Held<'a> {
    pub(super) directory: &'a Directory<'a>,
    pub(super) name: &'a str,
    pub(super) id: &'a MemoryId,
    pub(super) locked: &'a Locked,
    pub(super) log: Log<'a>,
    pub(super) last: Record,
}

/// What a record does to a memory; by default it only restarts the time to live.
#[derive(Default)]
pub(super) struct Change {
    /// Messages put at the end.
    pub(super) messages: Messages,
    /// How many they are; -1 takes the last one away.
    pub(super) count: i64,
    /// Bytes of the message taken away, with its newline.
    pub(super) popped: u64,
    /// 0 for a touch, which is no write to those who count them.
    pub(super) revisions: u64,
    pub(super) key: Option<Key>,
    pub(super) ttl: Ttl,
}

impl<'a> Held<'a> {
    pub(super) fn open(
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
        log.check_keys(&last)?;
        let ledger = log.ledger(&last, now())?;
        let Commit { revision, expires, .. } = last.commit;
        Whole { id: self.id, messages: &messages, ledger: &ledger, revision, expires }.replace(
            self.directory,
            self.name,
            self.locked,
        )
    }
}

impl Session<'_> {
    /// Writes a record after the last one and waits until the disk has it.
    pub(super) fn record(&self, held: &Held<'_>, change: Change) -> Result<Commit> {
        let place = held.directory.place(held.name);
        let start = held.last.end;
        let before = &held.last.commit;
        let count = before.count.checked_add_signed(change.count);
        let left = before.bytes.checked_sub(change.popped);
        let (Some(count), Some(left)) = (count, left) else {
            return Err(place.corrupt("its last commit counts less than it holds"));
        };
        let revision = before.revision.saturating_add(change.revisions);
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
            bytes: left.saturating_add(body.messages),
            expires: self.expiry(change.ttl),
            change: change.count,
            keys: if keys.is_empty() { before.keys } else { start + body.messages },
            start,
            length: body.length,
            body_crc: body.crc,
        };
        bytes.extend_from_slice(&commit.line());
        self.put(held, &bytes)?;
        let base = held.log.base();
        let size = start + bytes.len() as u64;
        if overgrown(size, commit.bytes.saturating_add(base))
            > overgrown(start, before.bytes.saturating_add(base))
        {
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

    /// Leaves a notice if a writer that died left something behind, which is gone now.
    pub(super) fn tell_of_torn_end(&self, held: &Held<'_>) {
        let torn = held.log.end() - held.last.end;
        if torn > 0 {
            let place = held.directory.place(held.name);
            self.notices.add(format!(
                "cut {torn} bytes of an unfinished write from {place}; every finished write is \
                 still there"
            ));
        }
    }

    /// Cuts what a writer left behind that died, then writes `record`. If that fails, the record is
    /// taken back: the descriptor is not trusted to make it durable later.
    fn put(&self, held: &Held<'_>, record: &[u8]) -> Result<()> {
        let place = held.directory.place(held.name);
        let end = held.last.end;
        if held.log.end() > end {
            held.locked.set_len(end).map_err(|error| place.fault("cut the torn end of", error))?;
            self.tell_of_torn_end(held);
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

/// Returns 0 for a file that is not worth a rewrite, and else one more than the times it has doubled
/// since it was.
///
/// A rewrite is tried where this grows, and not at each write after one that failed: it may have
/// failed because of damage or a full disk, which last, and reads the whole file every time.
fn overgrown(size: u64, live: u64) -> u32 {
    let limit = live.saturating_mul(2).saturating_add(SLACK_BYTES);
    (size / limit).checked_ilog2().map_or(0, |doublings| doublings + 1)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::super::fixture::{Fixture, append, id, save};
    use super::super::format::COMMIT;
    use super::*;
    use crate::store::{Answer, Verb, Write};

    /// Appends `bytes` to a file as a writer that died would leave them.
    fn tear(path: &Path, bytes: &[u8]) {
        let mut content = fs::read(path).unwrap();
        content.extend_from_slice(bytes);
        fs::write(path, content).unwrap();
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
                5 => Answer::Written(fixture.write(Write {
                    idempotency_key: Some("k".into()),
                    ..append("a", &["with", "key"])
                })),
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
            tear(fixture.path("a").as_path(), bytes);
            fixture.write(save("a", &["four"]));
            assert_eq!(fixture.store.take_notices().len(), 1);
        }
    }

    #[test]
    fn damage_before_the_last_write_is_told_and_left_as_it_is() {
        let fixture = Fixture::new();
        fixture.write(save("a", &["first", "second"]));
        fixture.write(append("a", &["third"]));
        fixture.write(append("a", &["fourth"]));
        let content = fs::read(fixture.path("a")).unwrap();
        let last = memchr::memmem::rfind(&content, COMMIT).unwrap();
        for at in 0..content.len() {
            let mut damaged = content.clone();
            damaged[at] ^= 4;
            fs::write(fixture.path("a"), &damaged).unwrap();
            match fixture.store.apply(Verb::Load(id("a")), || false) {
                Ok(Answer::Messages(Some(messages))) => {
                    // Only the last commit line can be taken for a torn one.
                    assert_eq!(messages.len(), 3, "byte {at}");
                    assert!(at >= last, "byte {at}");
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
        assert!(matches!(fixture.apply(Verb::Delete(id("a"), None)), Answer::Bool(true)));
    }

    /// Touches the memory until its file would have been written anew, and returns whether it was.
    fn is_compacted(fixture: &Fixture) -> bool {
        let limit = fixture.path("a").metadata().unwrap().len() * 2 + SLACK_BYTES;
        let length = || fixture.path("a").metadata().unwrap().len();
        let mut before = length();
        while length() >= before && before < limit + 1000 {
            before = length();
            fixture.apply(Verb::Touch(id("a")));
        }
        length() < before
    }

    /// Every verb that reads a message refuses the file as it is now, and no rewrite vouches for it.
    fn assert_damaged(fixture: &Fixture) {
        let content = fs::read(fixture.path("a")).unwrap();
        for verb in [Verb::Load(id("a")), Verb::Tail(id("a"), 1), Verb::Pop(id("a"))] {
            assert_eq!(fixture.refused(verb), ErrorKind::Corrupt { index: None });
            assert_eq!(fs::read(fixture.path("a")).unwrap(), content);
        }
    }

    #[test]
    fn damage_in_a_first_record_that_a_pop_reached_into_is_told_and_left_as_it_is() {
        let fixture = Fixture::new();
        fixture.write(save("a", &["first", "second", "third"]));
        fixture.apply(Verb::Pop(id("a")));
        assert!(is_compacted(&fixture));
        fixture.write(save("a", &["first", "second", "third"]));
        fixture.apply(Verb::Pop(id("a")));
        let content = fs::read(fixture.path("a")).unwrap();
        let body = memchr::memmem::find(&content, b"{").unwrap()
            ..memchr::memmem::find(&content, COMMIT).unwrap();
        for at in body {
            let mut damaged = content.clone();
            damaged[at] ^= 4;
            fs::write(fixture.path("a"), &damaged).unwrap();
            assert_damaged(&fixture);
        }
        assert!(!is_compacted(&fixture));
        assert_damaged(&fixture);
    }

    #[test]
    fn a_load_checks_a_large_first_record_that_a_pop_reached_into() {
        let fixture = Fixture::new();
        let long = "x".repeat(70 << 10);
        fixture.write(save("a", &[&long, "second", "third"]));
        fixture.apply(Verb::Pop(id("a")));
        let mut content = fs::read(fixture.path("a")).unwrap();
        let at = memchr::memmem::find(&content, b"xxxx").unwrap();
        content[at] = b'y';
        fs::write(fixture.path("a"), &content).unwrap();
        assert_eq!(fixture.refused(Verb::Load(id("a"))), ErrorKind::Corrupt { index: None });
        // Nothing of it is wanted, nor read.
        assert!(matches!(fixture.apply(Verb::Tail(id("a"), 1)), Answer::Messages(Some(_))));
    }

    #[test]
    fn damage_in_a_line_of_keys_is_not_carried_over_to_a_new_file() {
        let fixture = Fixture::new();
        fixture.write(save("a", &["first"]));
        fixture.write(Write { idempotency_key: Some("k".into()), ..append("a", &["second"]) });
        // No message of that record is left to be read.
        fixture.apply(Verb::Pop(id("a")));
        let mut content = fs::read(fixture.path("a")).unwrap();
        let keys = b"[\"keys\",0,[[\"";
        let at = memchr::memmem::find(&content, keys).unwrap() + keys.len();
        content[at] = if content[at] == b'A' { b'B' } else { b'A' };
        fs::write(fixture.path("a"), &content).unwrap();
        assert_eq!(
            fixture.refused(Verb::Write(save("a", &["new"]))),
            ErrorKind::Corrupt { index: None }
        );
        assert_eq!(fs::read(fixture.path("a")).unwrap(), content);
        assert!(!is_compacted(&fixture));
    }

    #[test]
    fn a_rewrite_that_failed_is_tried_again_once_the_file_has_doubled() {
        let sizes = (1..2000).map(|pages| pages << 12);
        let tries = sizes.scan(0, |before, size| {
            let now = overgrown(size, 1000);
            Some(std::mem::replace(before, now) < now)
        });
        assert_eq!(tries.filter(|&tried| tried).count(), 7);
        assert_eq!(overgrown(u64::MAX, u64::MAX), 1);
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
}
