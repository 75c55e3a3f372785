//! How a conversation lies in Redis. No I/O here: bytes in, bytes out.
//!
//! `log` is one LIST: a header line, then chunks of JSON lines. `document` is one STRING, a JSON
//! array. See `docs/storage-format.md`.

mod cut;
pub mod document;
mod extend;
mod header;
mod line;

use bytes::Bytes;

pub use cut::cut;
pub use extend::Extension;
pub use header::{Header, Open};
pub use line::{Author, Line};

use crate::error::{Error, Result};
use crate::messages::Messages;

/// How a store writes its memories. It reads either layout.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Layout {
    /// A header and chunks of messages: what this project is about.
    #[default]
    Log,
    /// One JSON array, which a Go program can read and write too.
    Document,
}

impl Layout {
    /// Returns the one that this is not.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Log => Self::Document,
            Self::Document => Self::Log,
        }
    }

    /// Returns the layout's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Document => "document",
        }
    }
}

/// The size up to which small chunks gather in the open run and are folded.
///
/// Short enough for the scripts: Lua hashes every byte of a string that it makes, about 1 µs a KiB,
/// so a fold and the reading of a tail cost by the byte. With the message that fills it and what
/// Redis adds, a chunk mostly fits into an allocation of 8 KiB.
pub const CHUNK_BYTES: usize = 15 << 9;
/// How many chunks a run of small ones may have.
pub const FOLD_CHUNKS: usize = 32;
/// A run whose chunks are as large as that on average, or larger, is not folded.
pub const SMALL_BYTES: usize = 1 << 10;
/// The longest header that a writer keeps: a longer one is slower to send along than to take apart.
pub const KNOWN_BYTES: usize = 2048;

/// A whole `log` memory, as it was read.
#[derive(Debug)]
pub struct Log {
    /// What it says of itself.
    pub header: Header,
    /// All that a reader sees.
    pub messages: Messages,
    /// Bytes of the chunks that the header counts to the open run, one separator each.
    run: usize,
}

impl Log {
    /// Returns whether the messages lie as the header says, as whoever adds to them relies on.
    pub fn is_coherent(&self) -> bool {
        let Header { count, bytes, open, .. } = self.header;
        let run = count.checked_sub(open.messages).map(|first| self.messages.bytes(first..count));
        self.run == open.bytes
            && run == Some(open.bytes)
            && self.messages.bytes(0..count) as u64 == bytes
    }
}

/// Reads the elements of a whole `log` memory: the header, then every chunk.
///
/// # Errors
/// [`ErrorKind::Corrupt`](crate::error::ErrorKind::Corrupt) if the header is not ours or the chunks do not hold what it says.
pub fn read_log(mut elements: Vec<Bytes>) -> Result<Log> {
    if elements.is_empty() {
        return Err(Error::corrupt("the stored list has no header"));
    }
    let header = Header::parse(&elements.remove(0))?;
    elements.truncate(header.chunks);
    let run = elements.iter().rev().take(header.open.chunks).map(|chunk| chunk.len() + 1).sum();
    let messages = Messages::from_lines(elements, header.skip)?;
    if messages.len() != header.count {
        let (counted, found) = (header.count, messages.len());
        return Err(incomplete(&format!(
            "its header counts {counted} messages, {found} are there"
        )));
    }
    Ok(Log { header, messages, run })
}

/// Reads the header and the last chunks of a `log` memory; returns its last `count` messages.
///
/// # Errors
/// [`ErrorKind::Corrupt`](crate::error::ErrorKind::Corrupt) if the header is not ours or the chunks hold less than asked for.
pub fn read_log_tail(mut elements: Vec<Bytes>, count: usize) -> Result<(Header, Messages)> {
    if elements.is_empty() {
        return Err(Error::corrupt("the stored list has no header"));
    }
    let header = Header::parse(&elements.remove(0))?;
    let wanted = count.min(header.count);
    let messages = Messages::from_lines(elements, 0)?;
    if messages.len() < wanted {
        let counted = header.count;
        return Err(incomplete(&format!(
            "its header counts {counted} messages, not all of the last {wanted} are there"
        )));
    }
    Ok((header, messages.last(wanted)))
}

fn incomplete(what: &str) -> Error {
    Error::corrupt(format!("the stored memory is damaged: {what}; nothing was changed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str =
        "redember:1 rev=2 count=2 total=2 skip=0 bytes=16 chunks=2 open=2/16/2 born=w.0:1 lanes=";

    #[test]
    fn a_whole_memory_is_a_header_and_chunks() {
        let log = read_log(vec![HEADER.into(), "{\"a\":1}".into(), "{\"a\":2}".into()]).unwrap();
        assert_eq!((log.header.revision, log.messages.len()), (2, 2));
        assert!(log.is_coherent());
    }

    #[test]
    fn a_header_that_says_otherwise_of_the_run_or_the_bytes_is_told() {
        let chunks = ["{\"a\":1}\n{\"a\":2}", "{\"a\":3}", "{\"a\":4}"];
        for (fields, is_coherent) in [
            ("bytes=32 chunks=3 open=2/16/2", true),
            ("bytes=32 chunks=3 open=3/32/4", true),
            ("bytes=32 chunks=3 open=0/0/0", true),
            ("bytes=32 chunks=3 open=2/16/1", false),
            ("bytes=32 chunks=3 open=3/32/3", false),
            ("bytes=32 chunks=3 open=1/16/2", false),
            ("bytes=32 chunks=3 open=2/15/2", false),
            ("bytes=32 chunks=3 open=0/32/4", false),
            ("bytes=33 chunks=3 open=2/16/2", false),
            ("bytes=32 chunks=3 open=2/16/9", false),
        ] {
            let header =
                format!("redember:1 rev=2 count=4 total=4 skip=0 {fields} born=w.0:1 lanes=");
            let elements = [header.as_str()].into_iter().chain(chunks);
            let log = read_log(elements.map(|it| it.to_owned().into()).collect()).unwrap();
            assert_eq!(log.is_coherent(), is_coherent, "{fields}");
        }
    }

    #[test]
    fn missing_messages_are_told_and_not_hidden() {
        let error = read_log(vec![HEADER.into(), "{\"a\":1}".into()]).unwrap_err();
        assert!(error.message().contains("counts 2 messages, 1 are there"), "{error}");
        let error = read_log_tail(vec![HEADER.into(), "{\"a\":1}".into()], 2).unwrap_err();
        assert!(error.message().contains("counts 2 messages, not all of the last 2 "), "{error}");
        let error = read_log_tail(vec![HEADER.into()], 1).unwrap_err();
        assert!(error.message().contains("counts 2 messages, not all of the last 1 "), "{error}");
        assert!(read_log(vec![]).is_err());
    }

    #[test]
    fn elements_that_were_never_committed_are_passed_over() {
        let elements =
            vec![HEADER.into(), "{\"a\":1}".into(), "{\"a\":2}".into(), "{\"a\":3}".into()];
        let log = read_log(elements).unwrap();
        assert_eq!(log.messages.len(), 2);
        assert!(log.is_coherent());
    }

    #[test]
    fn a_tail_is_never_longer_than_the_memory() {
        let elements = vec![HEADER.into(), "{\"a\":0}\n{\"a\":1}\n{\"a\":2}".into()];
        let (_, messages) = read_log_tail(elements, 20).unwrap();
        assert_eq!(messages.len(), 2);
    }
}
