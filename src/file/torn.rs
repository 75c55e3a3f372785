//! Tells what a writer left behind that died from damage to writes that were finished.

use memchr::memmem;

use super::format::{COMMIT, Commit};

/// Returns whether `tail` holds a write that was finished, and so has to be kept.
///
/// `tail` is what follows the record of `last`, the last that is whole, and begins at `end`. A
/// writer cuts it before it writes, so without damage it is of one writer that died: a part of one
/// record, which begins at `end` and whose commit line is the last of it. A whole commit line of a
/// later write therefore says that the write was finished, and that bytes before the line were lost,
/// added or changed. There are two exceptions, both after a power loss:
///
/// - The blocks of one write reach the disk in any order, so the commit line may be there and what is
///   before it may not. Then the line is where it says it is, its record begins at `end`, and blocks
///   that are not there read as zeros, of which JSON has none.
/// - A file system that does not write data before the metadata (ext4 with `data=writeback`, say)
///   can show old blocks in place of new ones. A copy from this file begins before `end`. One from
///   the file that a save or compaction replaced is no newer than `last`. Old blocks of another
///   memory cannot be told: they may be called damage, which loses nothing.
pub(super) fn holds_finished_write(tail: &[u8], end: u64, last: &Commit) -> bool {
    // Not looked for with the newline before it, which may be the byte that was lost.
    memmem::find_iter(tail, COMMIT).any(|at| {
        let Some((commit, _)) = tail.get(at..).and_then(Commit::read) else { return false };
        let body = tail.get(..at).unwrap_or_default();
        let is_in_place = commit.start == end && commit.length == body.len() as u64;
        let is_unfinished = is_in_place && memchr::memchr(0, body).is_some();
        commit.start >= end && age(&commit) > age(last) && !is_unfinished
    })
}

/// Orders the commits of a memory. A touch leaves the revision as it is; one that brings the expiry
/// nearer passes for older, and losing it loses nothing else.
fn age(commit: &Commit) -> (u64, u64) {
    (commit.revision, commit.expires.unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::ops::Range;

    use super::super::fixture::{Fixture, WEEK, append, id, save};
    use super::*;
    use crate::error::ErrorKind;
    use crate::store::{Answer, Verb, Write};

    /// A file with records of every kind, each newer than the one before.
    fn written(fixture: &mut Fixture) -> Vec<u8> {
        fixture.write(save("a", &["saved", "twice"]));
        fixture.write(append("a", &["third"]));
        fixture.write(Write { idempotency_key: Some("k".into()), ..append("a", &["4", "5"]) });
        fixture.apply(Verb::Pop(id("a")));
        fixture.store.options.ttl = Some(WEEK * 2);
        fixture.apply(Verb::Touch(id("a")));
        fixture.store.options.ttl = Some(WEEK * 3);
        fixture.apply(Verb::Touch(id("a")));
        fixture.write(append("a", &["sixth", "seventh"]));
        fs::read(fixture.path("a")).unwrap()
    }

    fn lines(content: &[u8]) -> Vec<Range<usize>> {
        let mut start = 0;
        memchr::memchr_iter(b'\n', content)
            .map(|at| std::mem::replace(&mut start, at + 1)..at + 1)
            .collect()
    }

    fn commit_lines(content: &[u8]) -> Vec<Range<usize>> {
        let mut lines = lines(content);
        lines.retain(|line| content[line.clone()].starts_with(COMMIT));
        lines
    }

    fn without(content: &[u8], range: Range<usize>) -> Vec<u8> {
        [&content[..range.start], &content[range.end..]].concat()
    }

    /// Every verb but list and delete refuses the file and leaves it.
    fn assert_damaged(fixture: &Fixture, content: &[u8], what: &str) {
        fs::write(fixture.path("a"), content).unwrap();
        let verbs = [
            Verb::Load(id("a")),
            Verb::Tail(id("a"), 1),
            Verb::Count(id("a")),
            Verb::Info(id("a")),
            Verb::Exists(id("a")),
            Verb::Write(append("a", &["x"])),
            Verb::Write(save("a", &["x"])),
            Verb::Pop(id("a")),
            Verb::Touch(id("a")),
        ];
        for verb in verbs {
            let name = verb.name();
            let error = fixture.store.apply(verb, || false).expect_err(what);
            assert_eq!(error.kind(), &ErrorKind::Corrupt { index: None }, "{name}: {what}");
            assert!(!error.message().contains("third"), "{error}");
        }
        assert!(fixture.store.take_notices().is_empty(), "{what}");
        assert_eq!(fixture.list(), ["a"], "{what}");
        assert_eq!(fs::read(fixture.path("a")).unwrap(), content, "{what}");
    }

    /// The file reads as `expected`.
    fn assert_reads(fixture: &Fixture, content: &[u8], expected: &str, what: &str) {
        fs::write(fixture.path("a"), content).unwrap();
        assert_eq!(fixture.load("a").as_deref(), Some(expected), "{what}");
    }

    /// The file reads as `expected`, and the next write goes on from there.
    fn assert_torn(fixture: &Fixture, content: &[u8], expected: &str, what: &str) {
        assert_reads(fixture, content, expected, what);
        fixture.write(append("a", &["next"]));
        let next = format!("{},{{\"m\":\"next\"}}]", expected.trim_end_matches(']'));
        assert_eq!(fixture.load("a"), Some(next), "{what}");
        assert_eq!(fixture.store.take_notices().len(), 1, "{what}");
    }

    #[test]
    fn a_byte_lost_or_added_before_the_last_commit_line_is_damage() {
        let mut fixture = Fixture::new();
        let content = written(&mut fixture);
        let last = commit_lines(&content).pop().unwrap().start;
        for at in 0..last {
            assert_damaged(&fixture, &without(&content, at..at + 1), &format!("lost byte {at}"));
            for byte in [b'x', b'\n', 0] {
                let added = [&content[..at], &[byte], &content[at..]].concat();
                assert_damaged(&fixture, &added, &format!("added byte {byte} at {at}"));
            }
        }
        assert!(matches!(fixture.apply(Verb::Delete(id("a"), None)), Answer::Bool(true)));
        assert!(fixture.list().is_empty());
    }

    #[test]
    fn lines_lost_added_or_swapped_before_the_last_commit_line_are_damage() {
        let mut fixture = Fixture::new();
        let content = written(&mut fixture);
        let mut lines = lines(&content);
        assert_eq!(commit_lines(&content).last(), lines.last());
        lines.pop();
        for (number, first) in lines.iter().enumerate() {
            for last in &lines[number..] {
                let lost = first.start..last.end;
                assert_damaged(&fixture, &without(&content, lost.clone()), &format!("{lost:?}"));
            }
            let twice = [&content[..first.end], &content[first.start..]].concat();
            assert_damaged(&fixture, &twice, &format!("{first:?} twice"));
        }
    }

    #[test]
    fn a_changed_byte_in_the_last_write_is_damage_as_long_as_its_commit_line_holds() {
        let mut fixture = Fixture::new();
        let content = written(&mut fixture);
        let [.., before, last] = &commit_lines(&content)[..] else { panic!() };
        for at in before.end..last.start {
            let mut changed = content.clone();
            changed[at] ^= 4;
            assert_damaged(&fixture, &changed, &format!("byte {at}"));
        }
    }

    #[test]
    fn a_last_write_whose_first_blocks_did_not_reach_the_disk_is_torn() {
        let mut fixture = Fixture::new();
        let content = written(&mut fixture);
        let [.., before, last] = &commit_lines(&content)[..] else { panic!() };
        fs::write(fixture.path("a"), &content[..before.end]).unwrap();
        let expected = fixture.load("a").unwrap();
        for from in before.end..last.start {
            for until in from + 1..=last.start {
                let mut holed = content.clone();
                holed[from..until].fill(0);
                assert_reads(&fixture, &holed, &expected, &format!("zeros in {from}..{until}"));
            }
            let mut holed = content.clone();
            holed[from..last.start].fill(0);
            assert_torn(&fixture, &holed, &expected, &format!("zeros from {from}"));
        }
    }

    #[test]
    fn a_lost_block_that_a_finished_write_follows_is_damage() {
        let mut fixture = Fixture::new();
        let content = written(&mut fixture);
        let commits = commit_lines(&content);
        let last = commits.last().unwrap();
        for commit in &commits[..commits.len() - 1] {
            let mut holed = content.clone();
            holed[commit.start..last.start].fill(0);
            assert_damaged(&fixture, &holed, &format!("zeros from {}", commit.start));
        }
    }

    #[test]
    fn a_file_cut_anywhere_is_torn_whatever_garbage_follows() {
        let mut fixture = Fixture::new();
        let content = written(&mut fixture);
        let commits = commit_lines(&content);
        for cut in commits[0].end..content.len() {
            let whole = commits.iter().rfind(|commit| commit.end <= cut).unwrap().end;
            fs::write(fixture.path("a"), &content[..whole]).unwrap();
            let expected = fixture.load("a").unwrap();
            // Old blocks of the file as far as it was whole are no finished writes.
            let garbage: [&[u8]; 6] = [
                &[0; 600],
                b"\n\n\n",
                b"]\n[\"commit\",99,9,9,null,9,0,999,0,0,0]\n",
                &[b"\n".as_slice(), &COMMIT.repeat(100)].concat(),
                &content[..whole],
                &content[commits[0].end..whole],
            ];
            for garbage in garbage.into_iter().filter(|garbage| !garbage.is_empty()) {
                // What completes the commit line that was cut is no garbage.
                let torn = [&content[..cut], garbage].concat();
                if !torn.starts_with(&content[..=cut]) {
                    assert_reads(&fixture, &torn, &expected, &format!("{cut}: {garbage:?}"));
                }
            }
            if cut > whole {
                assert_torn(&fixture, &content[..cut], &expected, &format!("cut at {cut}"));
            }
        }
    }

    #[test]
    fn old_blocks_of_the_file_that_a_save_replaced_are_torn() {
        let mut fixture = Fixture::new();
        let old = written(&mut fixture);
        fixture.write(save("a", &["new"]));
        let new = fs::read(fixture.path("a")).unwrap();
        // At one place they would be where they say they are, and so be writes of this file.
        for at in (0..old.len()).filter(|&at| at != new.len()) {
            assert_reads(
                &fixture,
                &[&new, &old[at..]].concat(),
                "[{\"m\":\"new\"}]",
                &format!("from {at}"),
            );
        }
    }

    #[test]
    fn a_damaged_memory_whose_name_is_a_digest_is_listed() {
        let fixture = Fixture::new();
        let name = "x".repeat(999);
        for text in ["1", "2", "3"] {
            fixture.write(append(&name, &[text]));
        }
        let content = fs::read(fixture.path(&name)).unwrap();
        let second = commit_lines(&content)[1].clone();
        fs::write(fixture.path(&name), without(&content, second)).unwrap();
        assert_eq!(fixture.refused(Verb::Count(id(&name))), ErrorKind::Corrupt { index: None });
        assert_eq!(fixture.list(), [name]);
    }
}
