//! Tail: the last messages, and little more of the memory than those.
//!
//! A script finds out which chunks hold them. Where the header is known, that is known beforehand, and
//! two plain commands read them at a third of the cost for the server: the chunks, and then the
//! header. If that still is the one that was known before, nobody has written in between, since every
//! write makes a header that never was there before.

use std::sync::Arc;

use bytes::Bytes;

use super::read::{read_header, read_last, refreshed};
use super::redis_store::command;
use super::{Answer, Writer};
use crate::decimal::decimal;
use crate::error::Result;
use crate::layout::{CHUNK_BYTES, Header, Line, read_log_tail};
use crate::messages::Messages;
use crate::plan::{Command, Plan, Replies, Reply, Request, Step};

pub(super) struct Tail {
    key: Bytes,
    count: usize,
    writer: Arc<Writer>,
    /// The header that was seen last, and whether a request has relied on it.
    known: Option<(Arc<Line>, bool)>,
    /// Whether the script was asked.
    asked: bool,
    request: Request,
}

impl Tail {
    /// Reads the end of the memory under `key`; with `refresh`, or `one_by_one`, by the script.
    pub(super) fn new(
        key: Bytes,
        count: usize,
        refresh: Option<Command>,
        one_by_one: bool,
        writer: &Arc<Writer>,
    ) -> Self {
        let seen = writer.known(&key);
        let may_rely = refresh.is_none() && !one_by_one;
        let range = seen.as_ref().filter(|seen| may_rely && seen.is_settled);
        let range = range.and_then(|seen| last_chunks(seen.line.header(), count));
        let request = match range {
            Some((first, last)) => {
                let range = [first, last].map(decimal);
                Request::read([command("LRANGE", &key, range), read_header(&key)])
            }
            None => refreshed(read_last(&key, count), refresh),
        };
        let known = seen.map(|seen| (seen.line, range.is_some()));
        Self { key, count, writer: writer.clone(), known, asked: range.is_none(), request }
    }

    /// Takes the chunks that were thought to be the last ones, and the header; `None` if that is
    /// another one, the messages are too few, or chunks are missing: then others come before them.
    fn read_known(&self, known: &Line, mut replies: Replies) -> Result<Option<Messages>> {
        let chunks = replies.take()?.texts()?;
        if replies.take()?.text()?.as_ref() != Some(known.text()) {
            return Ok(None);
        }
        let asked = last_chunks(known.header(), self.count);
        if asked.is_none_or(|(first, last)| chunks.len() <= last - first) {
            return Ok(None);
        }
        let wanted = self.count.min(known.header().count);
        let messages = Messages::from_lines(chunks, 0)?;
        Ok((messages.len() >= wanted).then(|| messages.last(wanted)))
    }

    /// Takes what the script found.
    fn read(&self, mut replies: Replies) -> Result<Option<Messages>> {
        let elements = replies.take()?.texts()?;
        let Some(line) = elements.first() else {
            self.writer.forget(&self.key);
            return Ok(None);
        };
        // Where others write, or chunks hold less than thought, the script is asked at once.
        let is_settled = match &self.known {
            None => true,
            Some((known, relied)) => !relied && known.text() == line,
        };
        self.writer.learn(&self.key, line, is_settled);
        read_log_tail(elements, self.count).map(|(_, messages)| Some(messages))
    }
}

impl Plan for Tail {
    fn request(&self) -> &Request {
        &self.request
    }

    fn advance(&mut self, replies: Vec<Reply>) -> Result<Step> {
        // What is damaged is forgotten, so that a save writes all of it.
        self.take(Replies::new(replies)).inspect_err(|_| self.writer.forget(&self.key))
    }
}

impl Tail {
    fn take(&mut self, replies: Replies) -> Result<Step> {
        let found = match &self.known {
            Some((known, _)) if !self.asked => self.read_known(known, replies)?,
            _ => return self.read(replies).map(|found| Step::Done(Answer::Messages(found))),
        };
        if found.is_some() {
            return Ok(Step::Done(Answer::Messages(found)));
        }
        self.asked = true;
        self.request = Request::read([read_last(&self.key, self.count)]);
        Ok(Step::Again)
    }
}

/// Returns the first and the last of the chunks that hold the last `count` messages, if that can be
/// told: those of the open run hold a message at least, and the one before it is full as a rule.
fn last_chunks(header: &Header, count: usize) -> Option<(usize, usize)> {
    let wanted = count.min(header.count);
    let (run, before) = (header.open, wanted.saturating_sub(header.open.messages));
    let average = usize::try_from(header.bytes).ok()?.checked_div(header.count)?;
    if wanted == 0 || before.checked_mul(average)? > CHUNK_BYTES / 4 * 3 {
        return None;
    }
    let chunks = if before > 0 { run.chunks + 1 } else { wanted.min(run.chunks) };
    Some(((header.chunks + 1).saturating_sub(chunks).max(1), header.chunks))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Open;

    #[test]
    fn the_run_and_one_chunk_before_it_are_what_can_be_told() {
        let open = Open { chunks: 3, bytes: 1200, messages: 6 };
        let header = Header { count: 60, bytes: 18_000, chunks: 5, open, ..Header::default() };
        for (count, range) in [
            (0, None),
            (1, Some((5, 5))),
            (2, Some((4, 5))),
            (6, Some((3, 5))),
            (7, Some((2, 5))),
            (25, Some((2, 5))),
            (26, None),
            (1000, None),
        ] {
            assert_eq!(last_chunks(&header, count), range, "{count}");
        }
        let short = Header { count: 6, bytes: 1200, chunks: 3, ..header };
        assert_eq!(last_chunks(&short, 20), Some((1, 3)));
        assert_eq!(last_chunks(&Header::default(), 20), None);
    }
}
