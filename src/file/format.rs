//! The lines of a memory's file that are not messages. No I/O here: bytes in, bytes out.

use std::io::{self, Write};

use crc32fast::Hasher;

use crate::messages::Messages;
use crate::store::{Key, Keyed, Ledger};

/// Version of the format, in the first line of every file.
const VERSION: u64 = 1;

/// How a commit line begins; no message can, as messages are objects.
pub(super) const COMMIT: &[u8] = b"[\"commit\",";

/// More than the longest commit line.
pub(super) const MAX_COMMIT: usize = 256;

/// Messages are written to a file in pieces of about this many bytes.
const PIECE_BYTES: usize = 64 << 10;

/// Returns the first line of the file of `id`, with its newline.
pub(super) fn first_line(id: &str) -> Vec<u8> {
    format!("[\"redember\",{VERSION},{}]\n", serde_json::Value::from(id)).into_bytes()
}

/// What a first line says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum First {
    /// The file holds the memory of this id.
    Memory(String),
    /// The file is of another version.
    Version(u64),
    /// The file is not one of ours.
    Foreign,
}

/// Reads a first line.
pub(super) fn parse_first_line(line: &[u8]) -> First {
    match serde_json::from_slice::<(String, u64, serde_json::Value)>(line) {
        Ok((tag, VERSION, serde_json::Value::String(id))) if tag == "redember" => First::Memory(id),
        Ok((tag, version, _)) if tag == "redember" && version != VERSION => First::Version(version),
        _ => First::Foreign,
    }
}

/// A commit line: it ends a record and says what the memory is from then on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Commit {
    /// One more than before on every write.
    pub(super) revision: u64,
    /// Messages in the memory.
    pub(super) count: u64,
    /// Bytes of those messages, with one newline each.
    pub(super) bytes: u64,
    /// When the memory expires, in milliseconds since 1970.
    pub(super) expires: Option<u64>,
    /// Messages that the record adds; negative: that it takes away from the end.
    pub(super) change: i64,
    /// Where the newest line of keys begins; 0 when there is none.
    pub(super) keys: u64,
    /// Where the record begins.
    pub(super) start: u64,
    /// Bytes of the record before this line. With `start` it says where the line is: a copy of it
    /// elsewhere in the file, such as in blocks the file system gave back, is no commit.
    pub(super) length: u64,
    /// CRC-32 of the record's bytes before this line.
    pub(super) body_crc: u32,
}

type CommitFields<'a> = (&'a str, u64, u64, u64, Option<u64>, i64, u64, u64, u64, u32, u32);

impl Commit {
    /// Returns the line, with its newline. Its last field is the CRC-32 of all bytes before that
    /// field's comma.
    pub(super) fn line(&self) -> Vec<u8> {
        let Self { revision, count, bytes, expires, change, keys, start, length, body_crc } = self;
        let expires = expires.map_or_else(|| "null".to_owned(), |at| at.to_string());
        let fields = format!(
            "[\"commit\",{revision},{count},{bytes},{expires},{change},{keys},{start},{length},{body_crc}"
        );
        format!("{fields},{}]\n", crc32fast::hash(fields.as_bytes())).into_bytes()
    }

    /// Reads a line without its newline; `None` if it is no commit line or a damaged one.
    fn parse(line: &[u8]) -> Option<Self> {
        let (tag, revision, count, bytes, expires, change, keys, start, length, body_crc, crc) =
            serde_json::from_slice::<CommitFields<'_>>(line).ok()?;
        let fields = line.get(..memchr::memrchr(b',', line)?)?;
        (tag == "commit" && crc == crc32fast::hash(fields)).then_some(Self {
            revision,
            count,
            bytes,
            expires,
            change,
            keys,
            start,
            length,
            body_crc,
        })
    }

    /// Reads the commit line that `bytes` begin with, and returns its length with the newline too;
    /// `None` if there is none, or a torn or damaged one.
    pub(super) fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let bytes = bytes.get(..MAX_COMMIT).unwrap_or(bytes);
        let length = memchr::memchr(b'\n', bytes)?;
        Some((Self::parse(bytes.get(..length)?)?, length + 1))
    }

    /// Returns whether the memory has expired at `now`.
    pub(super) fn is_expired(&self, now: u64) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }
}

/// Length and CRC-32 of what [`write_body`] wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Body {
    /// Bytes of messages; the line of keys, if there is one, begins after them.
    pub(super) messages: u64,
    /// Bytes in all.
    pub(super) length: u64,
    pub(super) crc: u32,
}

/// Writes a record up to its commit line: the messages, then a line of keys unless it is empty.
pub(super) fn write_body(
    out: &mut impl Write,
    messages: &Messages,
    keys: &[u8],
) -> io::Result<Body> {
    let mut hasher = Hasher::new();
    let mut length = 0;
    let mut put = |bytes: &[u8]| {
        hasher.update(bytes);
        length += bytes.len() as u64;
        out.write_all(bytes)
    };
    for piece in messages.pieces(PIECE_BYTES) {
        put(&piece.text)?;
        put(b"\n")?;
    }
    put(keys)?;
    Ok(Body { messages: length - keys.len() as u64, length, crc: hasher.finalize() })
}

/// Returns a line of keys, with its newline; `previous` is where the one before it begins.
/// Nothing is returned for no keys.
pub(super) fn keys_line<'a>(previous: u64, keys: impl Iterator<Item = &'a Keyed>) -> Vec<u8> {
    let entry = |keyed: &Keyed| {
        let Keyed { key: Key { name, content }, revision, count, until } = keyed;
        format!("[\"{name}\",\"{content}\",{revision},{count},{until}]")
    };
    let entries: Vec<String> = keys.map(entry).collect();
    if entries.is_empty() {
        return Vec::new();
    }
    format!("[\"keys\",{previous},[{}]]\n", entries.join(",")).into_bytes()
}

/// Returns the line of keys that a whole new record needs to carry `ledger` on.
pub(super) fn ledger_line(ledger: &Ledger) -> Vec<u8> {
    keys_line(0, ledger.iter())
}

/// Reads a line of keys; returns where the one before it begins, and the keys, oldest first.
pub(super) fn parse_keys_line(line: &[u8]) -> Option<(u64, Vec<Keyed>)> {
    type Entry = (String, String, u64, usize, u64);
    let (tag, previous, entries) = serde_json::from_slice::<(&str, u64, Vec<Entry>)>(line).ok()?;
    let keyed = |(name, content, revision, count, until): Entry| Keyed {
        key: Key { name, content },
        revision,
        count,
        until,
    };
    (tag == "keys").then(|| (previous, entries.into_iter().map(keyed).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit() -> Commit {
        Commit {
            revision: 7,
            count: 12,
            bytes: 1834,
            expires: Some(1_767_225_600_000),
            change: -1,
            keys: 0,
            start: 153,
            length: 40,
            body_crc: u32::MAX,
        }
    }

    #[test]
    fn a_commit_line_reads_back() {
        for expires in [None, Some(u64::MAX)] {
            let commit = Commit { expires, ..commit() };
            let line = commit.line();
            assert!(line.starts_with(COMMIT) && line.ends_with(b"]\n"));
            assert_eq!(Commit::parse(line.trim_ascii_end()), Some(commit));
        }
    }

    #[test]
    fn a_commit_line_with_any_byte_changed_is_none() {
        let line = commit().line();
        let line = line.trim_ascii_end();
        for index in 0..line.len() {
            let mut changed = line.to_vec();
            changed[index] ^= 1;
            assert_eq!(Commit::parse(&changed), None, "byte {index}");
        }
    }

    #[test]
    fn a_first_line_names_its_id_and_version() {
        for id in ["user", "ü\n\"\\\u{7f}\u{1f}"] {
            let line = first_line(id);
            assert_eq!(memchr::memchr_iter(b'\n', &line).count(), 1);
            assert_eq!(parse_first_line(line.trim_ascii_end()), First::Memory(id.into()));
        }
        assert_eq!(parse_first_line(b"[\"redember\",2,{}]"), First::Version(2));
        assert_eq!(parse_first_line(b"{\"role\":\"user\"}"), First::Foreign);
    }

    #[test]
    fn keys_read_back_and_no_keys_take_no_line() {
        let key = Key { name: "n".into(), content: "c".into() };
        let keyed = [Keyed::new(key.clone(), 1, 2, 3), Keyed::new(key, 4, 5, 6)];
        let line = keys_line(99, keyed.iter());
        assert_eq!(parse_keys_line(&line), Some((99, keyed.to_vec())));
        assert_eq!(keys_line(99, [].iter()), b"");
    }
}
