//! Pop: read the last chunk, then take its last message away if nobody wrote in between.
//!
//! The message travels to the caller in the read, so a repeated removal has nothing to hand out and
//! needs no memory on the server beyond the lane.

use std::sync::Arc;

use bytes::Bytes;

use super::identity::Identity;
use super::read::read_last;
use super::redis_store::StoreOptions;
use super::status::{Status, incomplete, stale};
use super::{Answer, Writer};
use crate::decimal::decimal;
use crate::error::{Error, Result};
use crate::layout::Header;
use crate::message::Message;
use crate::messages::Messages;
use crate::plan::{Command, Plan, Replies, Reply, Request, Step};
use crate::script;

pub(super) struct Pop {
    options: StoreOptions,
    key: Bytes,
    writer: Arc<Writer>,
    request: Request,
    taking: Option<(Message, Identity)>,
}

impl Pop {
    pub(super) fn new(options: &StoreOptions, key: Bytes, writer: &Arc<Writer>) -> Self {
        let request = Request::read([read_last(&key, 1)]);
        Self { options: options.clone(), key, writer: writer.clone(), request, taking: None }
    }

    /// Reads the last message; the next request takes it away.
    fn read(&mut self, mut replies: Replies) -> Result<Step> {
        let mut elements = replies.take()?.texts()?.into_iter();
        let header = elements.next().map(|line| Header::parse(&line)).transpose()?;
        let Some(header) = header.filter(|header| header.count > 0) else {
            return Ok(Step::Done(Answer::Message(None)));
        };
        let chunk = elements.next_back().unwrap_or_default();
        let messages = Messages::from_lines(vec![chunk.clone()], 0)?;
        let Some(last) = messages.len().checked_sub(1).and_then(|at| messages.get(at)) else {
            return Err(Error::corrupt("the last chunk of the memory is empty"));
        };
        let rest = chunk.len().saturating_sub(last.as_bytes().len() + 1);
        let identity = Identity::Own(self.writer.lane(&self.key));
        let mut args = identity.arguments(&self.options.ttl_argument(), Some(header.revision));
        args.push(decimal(last.as_bytes().len() + 1));
        args.push(chunk.slice(..rest));
        args.push(header.born.to_string().into());
        let key = self.key.clone();
        self.request = Request::write([Command::Script { script: &script::POP, key, args }]);
        self.taking = Some((last, identity));
        Ok(Step::Again)
    }
}

impl Plan for Pop {
    fn request(&self) -> &Request {
        &self.request
    }

    fn advance(&mut self, replies: Vec<Reply>) -> Result<Step> {
        let mut replies = Replies::new(replies);
        let Some((message, _lane)) = self.taking.take() else {
            return self.read(replies).inspect_err(|_| self.writer.forget(&self.key));
        };
        match Status::read(replies.take()?)? {
            Status::Stored(line) => {
                self.writer.learn(&self.key, &line, true);
                Ok(Step::Done(Answer::Message(Some(message))))
            }
            Status::Written(_) => Ok(Step::Done(Answer::Message(Some(message)))),
            Status::Conflict(_) => {
                self.request = Request::read([read_last(&self.key, 1)]);
                Ok(Step::Again)
            }
            Status::Incomplete => {
                self.writer.forget(&self.key);
                Err(incomplete())
            }
            Status::Stale
            | Status::Reused(_)
            | Status::StoredNext
            | Status::NotThere
            | Status::NotCounted => Err(stale()),
        }
    }
}
