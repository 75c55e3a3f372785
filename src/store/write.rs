//! Save and append: one script, one round trip, applied once however often it is sent.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;

use super::redis_store::StoreOptions;
use super::{Answer, Key, Lane, Mode, Write, Writer, Written};
use crate::error::{Error, ErrorKind, Result};
use crate::layout::CHUNK_BYTES;
use crate::plan::{Command, Plan, Reply, Request, Step};
use crate::script;

/// Seconds for which a server remembers the last write of a lane.
const LANE_SECONDS: &str = "600";
/// Seconds for which a server remembers a caller's idempotency key.
const KEY_SECONDS: &str = "86400";

/// Who a write is, to the server: two writes with the same lane and token are one write.
#[derive(Debug)]
pub(super) enum Identity {
    /// A lane of this process, held until the write is over.
    Own(Lane),
    /// A name that the caller gave, or the lane of an earlier write that is being repeated.
    Given { lane: String, token: String, seconds: &'static str },
}

impl Identity {
    /// Returns the identity of `write` in the memory under `key`.
    fn of(write: &Write, key: &Bytes, writer: &Arc<Writer>) -> Self {
        if let Some((lane, number)) = write.idempotency_key.as_deref().and_then(split_op_id) {
            return Self::Given { lane: lane.into(), token: number.into(), seconds: LANE_SECONDS };
        }
        match Key::of(write) {
            None => Self::Own(writer.lane(key)),
            Some(Key { name, content }) => {
                Self::Given { lane: format!("i{name}"), token: content, seconds: KEY_SECONDS }
            }
        }
    }

    fn lane(&self) -> &str {
        match self {
            Self::Own(lane) => lane.name(),
            Self::Given { lane, .. } => lane,
        }
    }

    fn token(&self) -> String {
        match self {
            Self::Own(lane) => lane.number().to_string(),
            Self::Given { token, .. } => token.clone(),
        }
    }

    fn seconds(&self) -> &'static str {
        match self {
            Self::Own(_) => LANE_SECONDS,
            Self::Given { seconds, .. } => seconds,
        }
    }

    /// Returns the first five arguments of every script that writes.
    pub(super) fn arguments(&self, options: &StoreOptions, if_revision: Option<u64>) -> Vec<Bytes> {
        vec![
            options.ttl_argument(),
            self.lane().to_owned().into(),
            self.token().into(),
            Bytes::from_static(self.seconds().as_bytes()),
            if_revision.map_or(Bytes::from_static(b"-1"), |revision| revision.to_string().into()),
        ]
    }
}

/// Splits an operation id of an earlier write: `w<name>.<lane>:<number>`.
fn split_op_id(key: &str) -> Option<(&str, &str)> {
    let (lane, number) = key.split_once(':')?;
    let (name, index) = lane.strip_prefix('w')?.split_once('.')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let named = URL_SAFE_NO_PAD.decode(name).is_ok_and(|name| name.len() == 9);
    (named && digits(index) && digits(number)).then_some((lane, number))
}

/// Returns the plan of a save or an append.
pub(super) fn plan(
    options: &StoreOptions,
    key: Bytes,
    write: &Write,
    writer: &Arc<Writer>,
) -> Box<dyn Plan> {
    let identity = Identity::of(write, &key, writer);
    let chunks = write.messages.chunks(CHUNK_BYTES);
    let mut args = identity.arguments(options, write.if_revision);
    args.reserve(chunks.len() + 2);
    args.push(write.messages.len().to_string().into());
    args.push(chunks.last().map_or(0, |chunk| chunk.messages).to_string().into());
    args.extend(chunks.into_iter().map(|chunk| chunk.text));
    let script = match write.mode {
        Mode::Save => &script::SAVE,
        Mode::Append => &script::APPEND,
    };
    let request = Request::write(Command::Script { script, key, args });
    Box::new(WritePlan { request, identity, appends: write.mode == Mode::Append })
}

struct WritePlan {
    request: Request,
    identity: Identity,
    appends: bool,
}

impl Plan for WritePlan {
    fn request(&self) -> &Request {
        &self.request
    }

    fn advance(&mut self, replies: Vec<Reply>) -> Result<Step> {
        let mut replies = crate::plan::Replies::new(replies);
        match Status::read(replies.take()?)? {
            Status::Written(written) => Ok(Step::Done(Answer::Written(written))),
            Status::Conflict(actual) => Err(conflict(actual)),
            Status::Stale => Err(stale()),
            Status::Reused(actual) => Err(reused(actual)),
        }
    }

    fn op_id(&mut self) -> Option<String> {
        if let Identity::Own(lane) = &mut self.identity
            && self.appends
        {
            lane.retire();
        }
        self.appends.then(|| format!("{}:{}", self.identity.lane(), self.identity.token()))
    }
}

/// What a script that writes answered.
pub(super) enum Status {
    Written(Written),
    Conflict(u64),
    Stale,
    Reused(u64),
}

impl Status {
    pub(super) fn read(reply: Reply) -> Result<Self> {
        let mut parts = crate::plan::Replies::new(reply.array()?);
        let status = parts.take()?.integer()?;
        let revision = parts.take()?.unsigned()?;
        let count = usize::try_from(parts.take()?.unsigned()?).unwrap_or(usize::MAX);
        match status {
            0 | 1 => Ok(Self::Written(Written { revision, count, replayed: status == 1 })),
            2 | 5 => Ok(Self::Conflict(revision)),
            3 => Ok(Self::Stale),
            4 => Ok(Self::Reused(revision)),
            _ => Err(Error::corrupt("a redember script gave an answer of another version")),
        }
    }
}

/// Another revision than the caller expected.
pub(crate) fn conflict(actual: u64) -> Error {
    Error::new(
        ErrorKind::Conflict { actual },
        format!("the memory is at revision {actual}: load it again and repeat the change"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_operation_id_is_read_as_one() {
        let id = "wAAAAAAAAAAAA.3:17";
        assert_eq!(split_op_id(id), Some(("wAAAAAAAAAAAA.3", "17")));
        for key in ["", "order-17", "w:1", "wAAAA.3:17", "wAAAAAAAAAAAA.3:", "wAAAAAAAAAAAA.x:1"] {
            assert_eq!(split_op_id(key), None, "{key}");
        }
    }
}
