//! Pop: find the last chunk, read it, then take its last message away if nobody wrote in between.
//!
//! The message travels to the caller in the read, so a repeated removal has nothing to hand out and
//! needs no memory on the server beyond the lane.

use std::sync::Arc;

use bytes::Bytes;

use super::read::{header, read_header};
use super::redis_store::{StoreOptions, command};
use super::write::{Identity, Status, stale};
use super::{Answer, Writer};
use crate::error::{Error, Result};
use crate::message::{Message, Messages};
use crate::plan::{Command, Plan, Replies, Reply, Request, Step};
use crate::script;

pub(super) struct Pop {
    options: StoreOptions,
    key: Bytes,
    writer: Arc<Writer>,
    request: Request,
    /// Position of the chunk that was read.
    last: usize,
    taking: Option<(Message, Identity)>,
}

impl Pop {
    pub(super) fn new(options: &StoreOptions, key: Bytes, writer: &Arc<Writer>) -> Self {
        let request = Request::read([read_header(&key), read_chunk(&key, 1)]);
        let (options, writer) = (options.clone(), writer.clone());
        Self { options, key, writer, request, last: 1, taking: None }
    }

    /// Asks for the header and the chunk at `last`, which the header must then name as the last.
    fn ask_for(&mut self, last: usize) -> Step {
        self.request = Request::read([read_header(&self.key), read_chunk(&self.key, last)]);
        self.last = last;
        Step::Again
    }

    /// Reads the last message; the next request takes it away.
    fn read(&mut self, mut replies: Replies) -> Result<Step> {
        let header = header(&mut replies)?;
        let Some(header) = header.filter(|header| header.count > 0) else {
            return Ok(Step::Done(Answer::Message(None)));
        };
        let chunk = replies.take()?.text()?.unwrap_or_default();
        if self.last != header.chunks {
            // Another write came in between, or the first guess was wrong: read the right chunk.
            return Ok(self.ask_for(header.chunks));
        }
        let messages = Messages::from_lines(vec![chunk.clone()], 0)?;
        let Some(last) = messages.len().checked_sub(1).and_then(|at| messages.get(at)) else {
            return Err(Error::corrupt("the last chunk of the memory is empty"));
        };
        let rest = chunk.len().saturating_sub(last.as_bytes().len() + 1);
        let identity = Identity::Own(self.writer.lane(&self.key));
        let mut args = identity.arguments(&self.options, Some(header.revision));
        args.push((last.as_bytes().len() + 1).to_string().into());
        args.push(chunk.slice(..rest));
        let key = self.key.clone();
        self.request = Request::write(Command::Script { script: &script::POP, key, args });
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
        let Some((message, _lane)) = self.taking.take() else { return self.read(replies) };
        match Status::read(replies.take()?)? {
            Status::Written(_) => Ok(Step::Done(Answer::Message(Some(message)))),
            Status::Conflict(_) => Ok(self.ask_for(self.last)),
            Status::Stale | Status::Reused => Err(stale()),
        }
    }
}

fn read_chunk(key: &Bytes, position: usize) -> Command {
    command("LINDEX", key, [position.to_string().into()])
}
