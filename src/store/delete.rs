//! Delete: read which memory is there, then delete that one.
//!
//! A bare `DEL` looks harmless to repeat and is not: if its reply is lost and the memory is written
//! anew, the repetition deletes what nobody asked to delete. So the script deletes only the memory
//! whose header is the one that was read; where it has changed, the plan reads again.

use bytes::Bytes;

use super::Answer;
use super::read::read_header;
use super::status::conflict;
use crate::error::Result;
use crate::layout::Header;
use crate::plan::{Command, Plan, Replies, Reply, Request, Step};
use crate::script;

pub(super) struct Delete {
    key: Bytes,
    if_revision: Option<u64>,
    request: Request,
}

impl Delete {
    pub(super) fn new(key: Bytes, if_revision: Option<u64>) -> Self {
        Self { request: Request::read([read_header(&key)]), key, if_revision }
    }

    fn read(&mut self, mut replies: Replies) -> Result<Step> {
        let Some(line) = replies.take()?.text()? else {
            self.expect(0)?;
            return Ok(Step::Done(Answer::Bool(false)));
        };
        // A damaged memory of ours can be deleted, and one of a later version; nothing else.
        let born = match Header::parse(&line) {
            Ok(header) => {
                self.expect(header.revision)?;
                header.born.to_string()
            }
            Err(_) if self.if_revision.is_none() && line.starts_with(b"redember:") => String::new(),
            Err(error) => return Err(error),
        };
        let args = vec![line, born.into()];
        let key = self.key.clone();
        self.request = Request::write([Command::Script { script: &script::DELETE, key, args }]);
        Ok(Step::Again)
    }

    /// Compares the revision that is there with the one that the caller expects.
    fn expect(&self, actual: u64) -> Result<()> {
        match self.if_revision {
            Some(expected) if expected != actual => Err(conflict(actual)),
            _ => Ok(()),
        }
    }
}

impl Plan for Delete {
    fn request(&self) -> &Request {
        &self.request
    }

    fn advance(&mut self, replies: Vec<Reply>) -> Result<Step> {
        let mut replies = Replies::new(replies);
        if !self.request.writes {
            return self.read(replies);
        }
        // 0: a lost reply hid that it was deleted, or another caller was first. Gone either way.
        match replies.take()?.integer()? {
            -1 => {
                self.request = Request::read([read_header(&self.key)]);
                Ok(Step::Again)
            }
            _ => Ok(Step::Done(Answer::Bool(true))),
        }
    }
}
