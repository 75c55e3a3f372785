//! Pop: read the document, then write it without its last message if nobody wrote in between.

use std::sync::Arc;

use bytes::Bytes;

use super::Keys;
use super::read::{Found, read_info};
use super::write::Verified;
use crate::error::{Error, Result};
use crate::layout::document::{self, Ending, Form};
use crate::message::Message;
use crate::plan::{Plan, Replies, Reply, Request, Step};
use crate::script;
use crate::store::identity::Identity;
use crate::store::redis_store::StoreOptions;
use crate::store::status::{Status, stale};
use crate::store::{Answer, Writer};

pub(in crate::store) struct Pop {
    options: StoreOptions,
    keys: Keys,
    writer: Arc<Writer>,
    request: Request,
    taking: Option<(Message, Identity)>,
}

impl Pop {
    pub(in crate::store) fn new(options: &StoreOptions, key: Bytes, writer: &Arc<Writer>) -> Self {
        let request = Request::read([read_info(&key, true)]);
        let (options, writer) = (options.clone(), writer.clone());
        Self { options, keys: Keys::of(key), writer, request, taking: None }
    }

    /// Reads the last message; the next request takes it away.
    fn read(&mut self, reply: Reply) -> Result<Step> {
        let found = Found::read(reply)?.filter(|found| found.messages > 0);
        let Some(Found { messages, revision, value, .. }) = found else {
            return Ok(Step::Done(Answer::Message(None)));
        };
        let ending = Ending::find(&value, 1).ok_or_else(unreadable)?;
        let start = ending.last_start().ok_or_else(unreadable)?;
        let message = document::read_last(&value, &ending)?.get(0).ok_or_else(unreadable)?;
        let left = document::shortened(&value, messages, start, Form::Compact);
        // The server has all but the bracket that closes what is left.
        let kept = left.iter().zip(value.iter()).take_while(|(left, old)| left == old).count();
        let identity = Identity::Own(self.writer.lane(&self.keys.document));
        let mut args = identity.arguments(&self.options.ttl_argument(), Some(revision));
        args.extend(Verified { revision, count: messages }.arguments());
        args.push(kept.to_string().into());
        args.push(Bytes::from(left).slice(kept..));
        self.request = Request::write([self.keys.script(&script::DOCUMENT_POP, args)]);
        self.taking = Some((message, identity));
        Ok(Step::Again)
    }
}

impl Plan for Pop {
    fn request(&self) -> &Request {
        &self.request
    }

    fn advance(&mut self, replies: Vec<Reply>) -> Result<Step> {
        let reply = Replies::new(replies).take()?;
        let Some((message, _lane)) = self.taking.take() else { return self.read(reply) };
        match Status::read(reply)? {
            Status::Written(_) => Ok(Step::Done(Answer::Message(Some(message)))),
            Status::Conflict(_) => {
                self.request = Request::read([read_info(&self.keys.document, true)]);
                Ok(Step::Again)
            }
            _ => Err(stale()),
        }
    }
}

fn unreadable() -> Error {
    Error::corrupt("the stored document has no end that can be read")
}
