//! Save and append: one round trip, applied once however often it is sent.
//!
//! An append is one script, with the chunk as an argument. A save is a transaction: a script that
//! writes the header, and commands that insert the chunks behind it, since what passes through a script
//! costs the server several times as much. Both are made for the header that the writer has seen
//! last; where another is there, the script says so or takes it apart itself.

use std::sync::Arc;

use bytes::Bytes;

use super::identity::Identity;
use super::redis_store::{StoreOptions, command};
use super::status::{Status, conflict, reused, stale};
use super::{Answer, Mode, Write, Writer, Written};
use crate::error::{Error, Result};
use crate::layout::{Author, CHUNK_BYTES, Header, LARGE_CHUNK_BYTES, Line};
use crate::messages::Chunk;
use crate::plan::{Command, Plan, Reply, Request, Step};
use crate::script;

/// From this size on, it pays to ask for a header that is not known before a save is sent.
const LARGE_BYTES: usize = 24 << 10;
/// Transactions that are tried before a save goes as a script, which no other write can get ahead of.
const TRANSACTIONS: u32 = 3;

/// Returns the plan of a save or an append; it sends saves as `transactions`, if it may.
pub(super) fn plan(
    options: &StoreOptions,
    key: Bytes,
    write: &Write,
    writer: &Arc<Writer>,
    transactions: bool,
) -> Box<dyn Plan> {
    let identity = Identity::of(write, &key, writer);
    let mut plan = WritePlan {
        ttl: options.ttl_argument(),
        token: identity.token(),
        writer: writer.clone(),
        key,
        mode: write.mode,
        identity,
        if_revision: write.if_revision,
        messages: write.messages.len(),
        chunks: write.messages.chunks(CHUNK_BYTES..=LARGE_CHUNK_BYTES),
        is_known: false,
        next: None,
        stage: Stage::Script,
        transactions: 0,
        request: Request::read([]),
    };
    plan.begin(transactions);
    Box::new(plan)
}

/// How a write is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// As a script, the chunks among its arguments.
    Script,
    /// As a transaction: `next` in the place of a known header, and the chunks behind it.
    Transaction,
    /// Not at all: a script that does nothing tells the header. It goes alone, so that a server
    /// which does not know the script is told it, as it cannot be in a transaction.
    Question,
}

struct WritePlan {
    key: Bytes,
    mode: Mode,
    writer: Arc<Writer>,
    identity: Identity,
    token: String,
    if_revision: Option<u64>,
    ttl: Bytes,
    messages: usize,
    chunks: Vec<Chunk>,
    /// Whether the writer had seen the memory before.
    is_known: bool,
    /// The header that is expected, and what this write makes of it.
    next: Option<(Bytes, Line)>,
    stage: Stage,
    /// Transactions that were sent.
    transactions: u32,
    request: Request,
}

impl WritePlan {
    fn begin(&mut self, transactions: bool) {
        let known = self.writer.known(&self.key).map(|seen| seen.line);
        self.is_known = known.is_some();
        let revision = known.as_ref().map_or(0, |known| known.header().revision);
        let expected = self.if_revision.is_none_or(|expected| expected == revision);
        if expected {
            self.next = self.next_line(known.as_deref());
        }
        if self.mode == Mode::Save && transactions && !self.chunks.is_empty() {
            let size: usize = self.chunks.iter().map(|chunk| chunk.text.len()).sum();
            let is_likely = self.is_known || self.writer.meets_new_memories();
            let (may_guess, is_large) = (expected && is_likely, size >= LARGE_BYTES);
            self.stage = match &self.next {
                Some(_) if may_guess => Stage::Transaction,
                _ if is_large => Stage::Question,
                _ => Stage::Script,
            };
        }
        self.request = self.next_request();
    }

    fn author(&self) -> Author<'_> {
        Author { lane: self.identity.lane(), token: &self.token }
    }

    /// Returns the header that is expected, and what this write makes of it; `None` where a script
    /// has to say.
    fn next_line(&self, known: Option<&Line>) -> Option<(Bytes, Line)> {
        let next = match (self.mode, self.chunks.as_slice()) {
            _ if !self.identity.is_own() => None,
            (Mode::Save, chunks) => Line::saved(known, self.author(), chunks),
            (Mode::Append, [chunk]) => Line::appended(known, self.author(), chunk),
            (Mode::Append, _) => None,
        };
        let expected = known.map_or_else(Bytes::new, |known| known.text().clone());
        next.map(|next| (expected, next))
    }

    fn next_request(&self) -> Request {
        match (self.stage, &self.next) {
            (Stage::Transaction, Some((expected, next))) => self.transaction(expected, next.text()),
            (Stage::Question, _) => {
                // No header is this one, neither ours nor anybody's.
                let Author { lane, token } = self.author();
                let nothing = Bytes::from(format!("redember:asked {lane}:{token}"));
                Request::write([self.swap(&nothing, &nothing)])
            }
            _ => Request::write([self.script()]),
        }
    }

    fn transaction(&self, expected: &Bytes, next: &Bytes) -> Request {
        let word = |word: &'static str| Command::plain([Bytes::from_static(word.as_bytes())]);
        // Each goes right behind the header, so the last one comes first.
        let inserts = self.chunks.iter().rev().map(|chunk| {
            let place = [Bytes::from_static(b"AFTER"), next.clone(), chunk.text.clone()];
            command("LINSERT", &self.key, place)
        });
        let swap = self.swap(expected, next);
        Request::write([word("MULTI"), swap].into_iter().chain(inserts).chain([word("EXEC")]))
    }

    fn swap(&self, expected: &Bytes, next: &Bytes) -> Command {
        let args = vec![self.ttl.clone(), expected.clone(), next.clone()];
        Command::Script { script: &script::SWAP, key: self.key.clone(), args }
    }

    fn script(&self) -> Command {
        let in_last = self.chunks.last().map_or(0, |chunk| chunk.messages);
        let numbers = [self.messages, in_last].map(|number| Bytes::from(number.to_string()));
        let mut args = self.identity.arguments(&self.ttl, self.if_revision);
        args.extend(numbers);
        let script = match self.mode {
            Mode::Save => &script::SAVE,
            Mode::Append => {
                args.extend(match &self.next {
                    Some((expected, next)) => {
                        let length = next.header().chunks + 1;
                        [expected.clone(), next.text().clone(), length.to_string().into()]
                    }
                    None => [Bytes::new(), Bytes::new(), Bytes::from_static(b"0")],
                });
                &script::APPEND
            }
        };
        args.extend(self.chunks.iter().map(|chunk| chunk.text.clone()));
        Command::Script { script, key: self.key.clone(), args }
    }

    /// Takes the reply to the script that does it all.
    fn scripted(&mut self, reply: Option<Reply>) -> Result<Step> {
        let reply = reply.ok_or_else(|| Error::corrupt("the server gave no answer"))?;
        match Status::read(reply)? {
            Status::Stored(line) => {
                // Had another header been expected, it would have been taken.
                let is_settled = !self.is_known || self.next.is_none();
                Ok(self.done(Line::parse(&line)?, is_settled, false))
            }
            Status::StoredNext => self.done_next(false),
            Status::Written(written) => Ok(Step::Done(Answer::Written(written))),
            Status::Conflict(actual) => Err(conflict(actual)),
            Status::Stale | Status::NotCounted => Err(stale()),
            Status::Reused(actual) => Err(reused(actual)),
        }
    }

    /// Takes the reply to a transaction.
    fn transacted(&mut self, reply: Option<Reply>) -> Result<Step> {
        let Some(Reply::Array(replies)) = reply else {
            // It was refused: the script says why, or succeeds.
            return Ok(self.go_on(Stage::Script));
        };
        let mut replies = replies.into_iter();
        match replies.next() {
            Some(Reply::Integer(status)) => {
                for inserted in replies {
                    inserted.integer()?;
                }
                self.done_next(status == 1)
            }
            Some(Reply::Text(line)) => self.met(Some(&line)),
            Some(Reply::Nil) => self.met(None),
            Some(Reply::Error(error)) if error.code == "NOSCRIPT" => {
                Ok(self.go_on(Stage::Question))
            }
            _ => Ok(self.go_on(Stage::Script)),
        }
    }

    /// Takes the header that is there; nothing has been written yet, unless it says so.
    fn met(&mut self, line: Option<&Bytes>) -> Result<Step> {
        let Ok(line) = line.map(|line| Line::parse(line)).transpose() else {
            return Ok(self.go_on(Stage::Script));
        };
        if !self.is_known {
            self.writer.note_new_memory(line.is_none());
        }
        if line.as_ref().is_some_and(|line| line.has_seen(self.author())) {
            // The script answers as it did the first time.
            return Ok(self.go_on(Stage::Script));
        }
        let revision = line.as_ref().map_or(0, |line| line.header().revision);
        self.next = self.next_line(line.as_ref());
        match line {
            Some(line) => self.writer.learn(&self.key, line, false),
            None => self.writer.forget(&self.key),
        }
        if self.if_revision.is_some_and(|expected| expected != revision) {
            return Err(conflict(revision));
        }
        self.transactions += 1;
        let may = self.next.is_some() && self.transactions < TRANSACTIONS;
        Ok(self.go_on(if may { Stage::Transaction } else { Stage::Script }))
    }

    fn go_on(&mut self, stage: Stage) -> Step {
        self.stage = stage;
        self.request = self.next_request();
        Step::Again
    }

    fn done_next(&mut self, replayed: bool) -> Result<Step> {
        let (_, next) = self.next.take().ok_or_else(|| Error::corrupt("nothing was asked for"))?;
        Ok(self.done(next, true, replayed))
    }

    fn done(&self, line: Line, is_settled: bool, replayed: bool) -> Step {
        let Header { revision, count, .. } = *line.header();
        if !self.is_known {
            self.writer.note_new_memory(revision == 1);
        }
        self.writer.learn(&self.key, line, is_settled);
        Step::Done(Answer::Written(Written { revision, count, replayed }))
    }
}

impl Plan for WritePlan {
    fn request(&self) -> &Request {
        &self.request
    }

    fn advance(&mut self, replies: Vec<Reply>) -> Result<Step> {
        let last = replies.into_iter().next_back();
        match (self.stage, last) {
            (Stage::Script, last) => self.scripted(last),
            (Stage::Transaction, last) => self.transacted(last),
            (Stage::Question, Some(Reply::Text(line))) => self.met(Some(&line)),
            (Stage::Question, Some(Reply::Nil)) => self.met(None),
            (Stage::Question, _) => Ok(self.go_on(Stage::Script)),
        }
    }

    fn op_id(&mut self) -> Option<String> {
        (self.mode == Mode::Append).then(|| self.identity.op_id())
    }
}
