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
                header.born.to_string().into()
            }
            Err(_) if self.if_revision.is_none() && line.starts_with(b"redember:") => birth(&line),
            Err(error) => return Err(error),
        };
        let args = vec![line, born];
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

/// Returns the birth that a header says which is not to be understood otherwise, as the script finds it;
/// nothing if it says none.
fn birth(line: &Bytes) -> Bytes {
    const BORN: &[u8] = b" born=";
    let start = memchr::memmem::find(line, BORN).map_or(line.len(), |at| at + BORN.len());
    let end = memchr::memchr(b' ', line.get(start..).unwrap_or_default());
    end.map(|length| line.slice(start..start + length)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_birth_is_found_in_headers_of_any_version_that_say_one() {
        for (line, born) in [
            ("redember:2 rev=x born=wA.0:1 lanes=", "wA.0:1"),
            ("redember:2 rev=x born=wA.0:1", ""),
            ("redember:2 something=else", ""),
            ("redember:2 ", ""),
        ] {
            assert_eq!(birth(&Bytes::from_static(line.as_bytes())), born, "{line}");
        }
    }
}
