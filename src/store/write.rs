//! Save and append: one script, one round trip, applied once however often it is sent.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;

use super::redis_store::{StoreOptions, command};
use super::{Answer, Key, Lane, Mode, Write, Writer, Written};
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{CHUNK_BYTES, LARGE_CHUNK_BYTES};
use crate::plan::{Command, Plan, Reply, Request, Step};
use crate::script;

/// Seconds for which a server remembers the last write of a lane.
const LANE_SECONDS: &str = "600";
/// Seconds for which a server remembers a caller's idempotency key.
const KEY_SECONDS: &str = "86400";

/// From this size on, a save pushes its chunks and commits them: as arguments of a script they would
/// cost the server several times as much.
const STAGED_BYTES: usize = 24 << 10;

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
    pub(super) fn of(write: &Write, key: &Bytes, writer: &Arc<Writer>) -> Self {
        if let Some((lane, token)) = write.idempotency_key.as_deref().and_then(split_op_id) {
            let seconds = if lane.starts_with('i') { KEY_SECONDS } else { LANE_SECONDS };
            return Self::Given { lane: lane.into(), token: token.into(), seconds };
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

    /// Returns the identity by which the write can be repeated by hand. A lane of this process
    /// rests from now on, so that no later write of it wipes out what tells the outcome.
    pub(super) fn op_id(&mut self) -> String {
        if let Self::Own(lane) = self {
            lane.retire();
        }
        format!("{}:{}", self.lane(), self.token())
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

/// Splits an operation id of an earlier write: `w<name>.<lane>:<number>`, or two digests of a key
/// and its messages, `i<key>:<messages>`.
fn split_op_id(id: &str) -> Option<(&str, &str)> {
    let (lane, token) = id.split_once(':')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).map_or(0, |bytes| bytes.len());
    let ours = match lane.strip_prefix('w').and_then(|name| name.split_once('.')) {
        Some((name, index)) => bytes(name) == 9 && digits(index) && digits(token),
        None => lane.strip_prefix('i').is_some_and(|key| bytes(key) == 16) && bytes(token) == 16,
    };
    ours.then_some((lane, token))
}

/// Returns the plan of a save or an append; it sends large saves as `transactions`, if it may.
pub(super) fn plan(
    options: &StoreOptions,
    key: Bytes,
    write: &Write,
    writer: &Arc<Writer>,
    transactions: bool,
) -> Box<dyn Plan> {
    let identity = Identity::of(write, &key, writer);
    let chunks = write.messages.chunks(CHUNK_BYTES..=LARGE_CHUNK_BYTES);
    let mut args = identity.arguments(options, write.if_revision);
    args.push(write.messages.len().to_string().into());
    args.push(chunks.last().map_or(0, |chunk| chunk.messages).to_string().into());
    let chunks: Vec<Bytes> = chunks.into_iter().map(|chunk| chunk.text).collect();
    let large = write.messages.size() >= STAGED_BYTES;
    let staged = transactions && write.mode == Mode::Save && large;
    let mut plan = WritePlan {
        key,
        mode: write.mode,
        identity,
        args,
        chunks,
        stage: if staged { Stage::Staged } else { Stage::Whole },
        request: Request::read([]),
    };
    plan.request = plan.next_request();
    Box::new(plan)
}

/// How a write is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// As arguments of one script.
    Whole,
    /// Pushed as it is, and committed by a small script in the same transaction.
    Staged,
    /// Pushed before; the server did not know the script that commits.
    Committed,
}

struct WritePlan {
    key: Bytes,
    mode: Mode,
    identity: Identity,
    /// Arguments that every script which writes messages takes.
    args: Vec<Bytes>,
    chunks: Vec<Bytes>,
    stage: Stage,
    request: Request,
}

impl WritePlan {
    fn next_request(&self) -> Request {
        match self.stage {
            Stage::Whole => {
                let script = match self.mode {
                    Mode::Save => &script::SAVE,
                    Mode::Append => &script::APPEND,
                };
                let args = self.args.iter().chain(&self.chunks).cloned().collect();
                Request::write([Command::Script { script, key: self.key.clone(), args }])
            }
            Stage::Staged => {
                let word =
                    |word: &'static str| Command::plain([Bytes::from_static(word.as_bytes())]);
                let staged = self.chunks.iter().cloned().chain([self.marker()]);
                let push = command("RPUSHX", &self.key, staged);
                Request::write([word("MULTI"), push, self.commit(), word("EXEC")])
            }
            Stage::Committed => Request::write([self.commit()]),
        }
    }

    fn commit(&self) -> Command {
        let sizes = self.chunks.iter().map(|chunk| chunk.len() + 1);
        let last = sizes.clone().last().unwrap_or_default();
        let numbers =
            [self.chunks.len(), sizes.sum(), last].map(|number| number.to_string().into());
        let args = self.args.iter().cloned().chain(numbers).chain([self.marker()]).collect();
        Command::Script { script: &script::COMMIT, key: self.key.clone(), args }
    }

    /// Returns what tells this write's staged chunks from another's.
    fn marker(&self) -> Bytes {
        format!("redember:staged {}:{}", self.identity.lane(), self.identity.token()).into()
    }

    /// Takes the reply of the script that writes; `None` where it did not run.
    fn script_reply(&self, replies: Vec<Reply>) -> Option<Reply> {
        let last = replies.into_iter().next_back();
        if self.stage != Stage::Staged {
            return last;
        }
        match last {
            Some(Reply::Array(replies)) => replies.into_iter().next_back(),
            _ => None,
        }
    }
}

impl Plan for WritePlan {
    fn request(&self) -> &Request {
        &self.request
    }

    fn advance(&mut self, replies: Vec<Reply>) -> Result<Step> {
        self.stage = match (self.stage, self.script_reply(replies)) {
            (Stage::Staged, Some(Reply::Error(error))) if error.code == "NOSCRIPT" => {
                Stage::Committed
            }
            (Stage::Whole, None) => return Err(Error::corrupt("the server gave no answer")),
            (Stage::Whole, Some(reply)) | (_, Some(reply @ Reply::Array(_))) => {
                match Status::read(reply)? {
                    Status::Written(written) => return Ok(Step::Done(Answer::Written(written))),
                    Status::Conflict(actual) => return Err(conflict(actual)),
                    Status::Stale => return Err(stale()),
                    Status::Reused(actual) => return Err(reused(actual)),
                    Status::NotStaged | Status::NotCounted => Stage::Whole,
                }
            }
            // The transaction was refused: the whole write in one script says why, or succeeds.
            _ => Stage::Whole,
        };
        self.request = self.next_request();
        Ok(Step::Again)
    }

    fn op_id(&mut self) -> Option<String> {
        (self.mode == Mode::Append).then(|| self.identity.op_id())
    }
}

/// What a script that writes answered.
pub(super) enum Status {
    Written(Written),
    Conflict(u64),
    Stale,
    Reused(u64),
    NotStaged,
    /// Only of a document: how many messages it has is not known.
    NotCounted,
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
            6 => Ok(Self::NotStaged),
            7 => Ok(Self::NotCounted),
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
        let digest = "A".repeat(22);
        assert!(split_op_id(&format!("i{digest}:{digest}")).is_some());
        for key in ["", "order-17", "w:1", "wAAAA.3:17", "wAAAAAAAAAAAA.3:", "wAAAAAAAAAAAA.x:1"] {
            assert_eq!(split_op_id(key), None, "{key}");
        }
    }
}
