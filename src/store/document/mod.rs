//! The verbs on documents: one plan each.
//!
//! A document has no room for what makes a write repeatable, so that lies beside it under a key of
//! its own, the *fence*: the lanes of the last writes, and the revision and count that the last of
//! them led to. Scripts change both in one step.

mod delete;
mod fence;
mod pop;
mod read;
mod write;

use bytes::Bytes;

pub(super) use delete::Delete;
pub(super) use pop::Pop;
pub(super) use read::{count, exists, info, load, tail, touch};
pub(super) use write::plan as write;

use super::redis_store::StoreOptions;
use crate::plan::Command;
use crate::script::Script;

/// The two keys of a document.
#[derive(Debug, Clone)]
struct Keys {
    document: Bytes,
    fence: Bytes,
}

impl Keys {
    fn of(key: Bytes) -> Self {
        Self { fence: fence::of(&key), document: key }
    }

    /// Returns the command of a script on both keys.
    fn script(&self, script: &'static Script, args: impl IntoIterator<Item = Bytes>) -> Command {
        let args = [self.fence.clone()].into_iter().chain(args).collect();
        Command::Script { script, key: self.document.clone(), args }
    }
}

/// Returns the command that restarts the time to live of a document.
pub(super) fn restart_ttl(options: &StoreOptions, key: &Bytes) -> Command {
    let args = vec![options.ttl_argument()];
    Command::Script { script: &crate::script::DOCUMENT_TOUCH, key: key.clone(), args }
}
