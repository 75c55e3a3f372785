//! What the scripts that write answer, and what their refusals mean to a caller.

use bytes::Bytes;

use super::Written;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::Reply;

/// What a script that writes answered.
pub(super) enum Status {
    Written(Written),
    /// It left this header behind.
    Stored(Bytes),
    /// It left the header behind that came with it.
    StoredNext,
    Conflict(u64),
    Stale,
    Reused(u64),
    /// Of a save: what it relies on is not there, be it the known header or the chunks to commit.
    NotThere,
    /// Only of a document: how many messages it has is not known.
    NotCounted,
    /// The memory lacks chunks that its header counts, and was left as it was.
    Incomplete,
}

impl Status {
    pub(super) fn read(reply: Reply) -> Result<Self> {
        match reply {
            Reply::Text(line) => return Ok(Self::Stored(line)),
            Reply::Integer(0) => return Ok(Self::StoredNext),
            _ => {}
        }
        let mut parts = crate::plan::Replies::new(reply.array()?);
        let status = parts.take()?.integer()?;
        let revision = parts.take()?.unsigned()?;
        let count = usize::try_from(parts.take()?.unsigned()?).unwrap_or(usize::MAX);
        match status {
            0 | 1 => Ok(Self::Written(Written { revision, count, replayed: status == 1 })),
            2 | 5 => Ok(Self::Conflict(revision)),
            3 => Ok(Self::Stale),
            4 => Ok(Self::Reused(revision)),
            6 => Ok(Self::NotThere),
            7 => Ok(Self::NotCounted),
            8 => Ok(Self::Incomplete),
            _ => Err(Error::corrupt("a redember script gave an answer of another version")),
        }
    }
}

/// Another revision than the caller expected.
pub(crate) fn conflict(actual: u64) -> Error {
    Error::new(
        ErrorKind::Conflict { actual },
        if actual == 0 {
            "there is no such memory: leave if_revision out, or pass 0, to make it".to_owned()
        } else {
            format!("the memory is at revision {actual}: load it again and repeat the change")
        },
    )
}

/// Chunks are missing that the header counts.
pub(super) fn incomplete() -> Error {
    Error::corrupt(
        "the stored memory is damaged: chunks are missing that its header counts; nothing was changed: \
         save a whole conversation in its place, or delete it",
    )
}

/// The lane went on after the write that is being repeated.
pub(crate) fn stale() -> Error {
    Error::new(
        ErrorKind::OutcomeUnknown { op_id: None },
        "later writes have passed the one that is being repeated, so whether it was applied can no \
         longer be told; load the memory to see",
    )
}

/// An idempotency key came with other messages than the first time.
pub(crate) fn reused(actual: u64) -> Error {
    Error::new(
        ErrorKind::Conflict { actual },
        "this idempotency_key was used before with other messages; nothing was written: use a new \
         key for a new append",
    )
}
