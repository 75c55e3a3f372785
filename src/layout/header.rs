//! The first element of a `log` memory: one line of text.
//!
//! ```text
//! redember:1 rev=7 count=12 total=12 skip=0 bytes=3456 chunks=4 open=3/410/5 born=wA1.0:1 lanes=;wA1.0:9:7:12
//! ```
//!
//! A person reads it in `redis-cli`, and a Lua script edits it with string patterns, which is why
//! it is not JSON. Anything after the lanes belongs to later versions and is kept.

use std::str;
use std::sync::Arc;

use super::{CHUNK_BYTES, FOLD_CHUNKS};
use crate::decimal::digits;
use crate::error::{Error, Result};
use crate::messages::Chunk;

/// The header of a `log` memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header {
    /// One more on every write that changed something; the first write makes it 1.
    pub revision: u64,
    /// Messages a reader sees.
    pub count: usize,
    /// The position after the last message: messages written since the last save, less those
    /// popped. Equal to `count` as long as nothing was trimmed.
    pub total: u64,
    /// Messages at the head of the first chunk that were trimmed and are not to be shown.
    pub skip: usize,
    /// Bytes of the messages as stored, one separator each.
    pub bytes: u64,
    /// Chunks that belong to the memory; elements beyond them were never committed.
    pub chunks: usize,
    /// The run of small chunks at the tail that the next fold will join.
    pub open: Open,
    /// Identity of the write that created this memory; a memory made anew has another.
    pub born: Arc<str>,
}

/// The run of small chunks at the tail of a memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Open {
    /// How many chunks.
    pub chunks: usize,
    /// Their bytes, one separator a message.
    pub bytes: usize,
    /// Their messages.
    pub messages: usize,
}

impl Open {
    /// Returns whether a chunk of this size may join the run; its end comes before the one that does not.
    pub(super) fn takes(&self, size: usize) -> bool {
        self.chunks < FOLD_CHUNKS && self.bytes + size < CHUNK_BYTES
    }

    /// Returns the run with a chunk more.
    #[must_use]
    pub(super) fn and(self, chunk: &Chunk) -> Self {
        Self {
            chunks: self.chunks + 1,
            bytes: self.bytes + chunk.size(),
            messages: self.messages + chunk.messages,
        }
    }

    /// Returns the run behind chunks that were written at once.
    pub(super) fn after(chunks: &[Chunk]) -> Self {
        match chunks.last() {
            Some(last) if last.size() < CHUNK_BYTES => Self::default().and(last),
            _ => Self::default(),
        }
    }
}

impl Header {
    /// Reads a header line.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`](crate::error::ErrorKind::Corrupt) if the line is no header of
    /// version 1.
    pub fn parse(line: &[u8]) -> Result<Self> {
        let rest = line.strip_prefix(b"redember:").ok_or_else(foreign)?;
        let Some(rest) = rest.strip_prefix(b"1 ") else { return Err(other_version(rest)) };
        let mut fields = Fields(rest);
        let revision = fields.number(b"rev=", b' ')?;
        let count = fields.number(b"count=", b' ')?;
        let total = fields.number(b"total=", b' ')?;
        let skip = fields.number(b"skip=", b' ')?;
        let bytes = fields.number(b"bytes=", b' ')?;
        let chunks = fields.number(b"chunks=", b' ')?;
        let open = Open {
            chunks: fields.number(b"open=", b'/')?,
            bytes: fields.number(b"", b'/')?,
            messages: fields.number(b"", b' ')?,
        };
        let born = fields.text(b"born=", b' ')?;
        let is_name = |born: &&str| born.bytes().all(|byte| byte.is_ascii_graphic());
        let born = str::from_utf8(born).ok().filter(is_name).ok_or_else(foreign)?.into();
        if !fields.0.starts_with(b"lanes=") {
            return Err(foreign());
        }
        Ok(Self { revision, count, total, skip, bytes, chunks, open, born })
    }

    /// Writes all fields, up to where the lanes are to follow.
    pub(super) fn write_fields(&self, out: &mut Vec<u8>) {
        push_number(out, "redember:1 rev=", self.revision);
        push_number(out, " count=", self.count as u64);
        push_number(out, " total=", self.total);
        push_number(out, " skip=", self.skip as u64);
        push_number(out, " bytes=", self.bytes);
        push_number(out, " chunks=", self.chunks as u64);
        push_number(out, " open=", self.open.chunks as u64);
        push_number(out, "/", self.open.bytes as u64);
        push_number(out, "/", self.open.messages as u64);
        for part in [" born=", &self.born, " lanes="] {
            out.extend_from_slice(part.as_bytes());
        }
    }
}

/// Writes a name and a number.
pub(super) fn push_number(out: &mut Vec<u8>, name: &str, number: u64) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(digits(number, &mut [0; 20]));
}

/// What is left of a header line. Read byte by byte: every load reads one. Names are arrays, so that
/// comparing them takes no call.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// Takes the text between `name` and the next `end`.
    fn text<const N: usize>(&mut self, name: &[u8; N], end: u8) -> Result<&'a [u8]> {
        let value = self.0.strip_prefix(name).ok_or_else(foreign)?;
        let length = value.iter().position(|byte| *byte == end).ok_or_else(foreign)?;
        let (text, rest) = value.split_at_checked(length).ok_or_else(foreign)?;
        self.0 = rest.get(1..).unwrap_or_default();
        Ok(text)
    }

    /// Takes a number of at most 15 digits: the scripts count in doubles, and refuse longer ones too.
    #[inline]
    fn number<T, const N: usize>(&mut self, name: &[u8; N], end: u8) -> Result<T>
    where
        T: TryFrom<u64>,
    {
        let rest = self.0.strip_prefix(name).ok_or_else(foreign)?;
        let mut number = 0;
        for (at, byte) in rest.iter().enumerate() {
            match byte {
                b'0'..=b'9' if at < 15 => number = number * 10 + u64::from(byte - b'0'),
                byte if *byte == end && at > 0 => {
                    self.0 = rest.get(at + 1..).unwrap_or_default();
                    return T::try_from(number).map_err(|_| foreign());
                }
                _ => break,
            }
        }
        Err(foreign())
    }
}

/// The error for a line that begins as a header does, and then has another version.
fn other_version(rest: &[u8]) -> Error {
    let digits = rest.split(|byte| *byte == b' ').next().unwrap_or_default();
    match str::from_utf8(digits) {
        Ok(version) if !matches!(version, "" | "1") && digits.iter().all(u8::is_ascii_digit) => {
            Error::corrupt(format!(
                "the memory has storage format version {version}; this version of redember reads \
                 version 1: upgrade redember"
            ))
        }
        _ => foreign(),
    }
}

fn foreign() -> Error {
    Error::corrupt(
        "the key holds a list that is not a redember memory (its first element is no redember \
         header); nothing was changed. Use another prefix, or delete the key if it is not needed",
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINE: &str = "redember:1 rev=7 count=12 total=13 skip=1 bytes=3456 chunks=4 open=3/410/5 \
                        born=wA1.0:1 lanes=;wA1.0:9:7:12:1763914200 {\"later\":\"version\"}";

    #[test]
    fn every_field_is_read_and_what_follows_is_left_alone() {
        let header = Header::parse(LINE.as_bytes()).unwrap();
        assert_eq!(
            header,
            Header {
                revision: 7,
                count: 12,
                total: 13,
                skip: 1,
                bytes: 3456,
                chunks: 4,
                open: Open { chunks: 3, bytes: 410, messages: 5 },
                born: "wA1.0:1".into(),
            }
        );
    }

    #[test]
    fn a_later_version_is_named_and_anything_else_is_foreign() {
        let error = Header::parse(b"redember:2 anything").unwrap_err();
        assert!(error.message().contains("version 2"), "{error}");
        let whole = LINE.split(" {").next().unwrap();
        for line in ["", "hello", "redember:", "redember:x", "redember:1", &LINE[..60]] {
            assert!(Header::parse(line.as_bytes()).is_err(), "{line}");
        }
        assert!(Header::parse(whole.as_bytes()).is_ok());
        for number in ["9999999999999999", "9".repeat(40).as_str(), "-1", ""] {
            let line = whole.replace("total=13", &format!("total={number}"));
            assert!(Header::parse(line.as_bytes()).is_err(), "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(line in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Header::parse(&line);
        }
    }
}
