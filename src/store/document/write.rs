//! Save and append: one script, applied once however often it is sent.
//!
//! An append to a document that somebody else wrote last reads it first: nobody else can say how
//! many messages it has, nor whether it is whole.

use std::sync::Arc;

use bytes::Bytes;

use super::Keys;
use super::read::{Found, read_info};
use crate::error::Result;
use crate::layout::document::{self, Form};
use crate::plan::{Plan, Replies, Reply, Request, Step};
use crate::script;
use crate::store::identity::Identity;
use crate::store::status::{Status, conflict, reused, stale};
use crate::store::{Answer, Mode, Write, Writer};

/// Returns the plan of a save or an append.
///
/// # Errors
/// [`ErrorKind::InvalidMessage`](crate::error::ErrorKind::InvalidMessage) for what a document
/// cannot hold.
pub(in crate::store) fn plan(
    ttl: &Bytes,
    key: Bytes,
    write: &Write,
    writer: &Arc<Writer>,
) -> Result<Box<dyn Plan>> {
    let text = match write.mode {
        Mode::Save => document::write(&write.messages, Form::Compact)?,
        Mode::Append => document::write_elements(&write.messages, Form::Compact)?,
    };
    let identity = Identity::of(write, &key, writer);
    let mut plan = DocumentPlan {
        args: identity.arguments(ttl, write.if_revision),
        keys: Keys::of(key),
        mode: write.mode,
        identity,
        count: write.messages.len(),
        text: text.into(),
        verified: Verified::default(),
        reading: false,
        request: Request::read([]),
    };
    plan.request = plan.write();
    Ok(Box::new(plan))
}

/// What the caller knows of a document that it has read, as scripts take it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Verified {
    pub(super) revision: u64,
    pub(super) count: usize,
}

impl Verified {
    pub(super) fn arguments(self) -> [Bytes; 2] {
        [self.revision.to_string().into(), self.count.to_string().into()]
    }
}

struct DocumentPlan {
    keys: Keys,
    mode: Mode,
    identity: Identity,
    args: Vec<Bytes>,
    count: usize,
    text: Bytes,
    verified: Verified,
    /// Whether the request reads the document, and does not write to it.
    reading: bool,
    request: Request,
}

impl DocumentPlan {
    fn write(&self) -> Request {
        let content = [self.count.to_string().into(), self.text.clone()];
        let args = self.args.iter().cloned();
        Request::write([match self.mode {
            Mode::Save => self.keys.script(&script::DOCUMENT_SAVE, args.chain(content)),
            Mode::Append => {
                let args = args.chain(self.verified.arguments()).chain(content);
                self.keys.script(&script::DOCUMENT_APPEND, args)
            }
        }])
    }

    fn read(&mut self, reply: Reply) -> Result<Step> {
        self.verified = Found::read(reply)?.map_or_else(Verified::default, |found| Verified {
            revision: found.revision,
            count: found.messages,
        });
        self.reading = false;
        self.request = self.write();
        Ok(Step::Again)
    }
}

impl Plan for DocumentPlan {
    fn request(&self) -> &Request {
        &self.request
    }

    fn advance(&mut self, replies: Vec<Reply>) -> Result<Step> {
        let reply = Replies::new(replies).take()?;
        if self.reading {
            return self.read(reply);
        }
        match Status::read(reply)? {
            Status::Written(written) => Ok(Step::Done(Answer::Written(written))),
            Status::Conflict(actual) => Err(conflict(actual)),
            Status::Reused(actual) => Err(reused(actual)),
            Status::Stale
            | Status::Stored(_)
            | Status::StoredNext
            | Status::NotThere
            | Status::Incomplete => Err(stale()),
            Status::NotCounted => {
                self.request = Request::read([read_info(&self.keys.document, false)]);
                self.reading = true;
                Ok(Step::Again)
            }
        }
    }

    fn op_id(&mut self) -> Option<String> {
        (self.mode == Mode::Append).then(|| self.identity.op_id())
    }
}
