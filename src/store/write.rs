//! Save and append: one script, one round trip, applied once however often it is sent.
//!
//! A script takes the header apart and makes the next one, which is most of its work. A writer that has
//! seen the header makes the next one itself; where another header is there, the script goes its way.

use std::sync::Arc;

use bytes::Bytes;

use super::content::Content;
use super::identity::Identity;
use super::known::Seen;
use super::status::{Status, conflict, reused, stale};
use super::{Answer, Mode, Write, Writer, Written};
use crate::decimal::{decimal, from_the_end};
use crate::error::{Error, Result};
use crate::layout::{Author, Extension, Header, Line, cut};
use crate::messages::{Chunk, Messages};
use crate::plan::{Command, Plan, Reply, Request, Step};
use crate::script::{self, Script};

/// From this size on, a save of a memory whose header is known pushes its chunks and commits them: as
/// arguments of a script they would cost the server a microsecond a KiB, and a transaction costs it one.
const STAGED_BYTES: usize = 1 << 10;
/// The same, where the header is not known: it takes one more script.
const BEGUN_BYTES: usize = 4 << 10;
/// The most chunks that a save of a known memory has as arguments of its script.
const FEW_CHUNKS: usize = 1000;

/// Returns the plan of a save or an append; it sends saves as `transactions`, if it may.
pub(super) fn plan(
    ttl: Bytes,
    key: Bytes,
    write: &Write,
    writer: &Arc<Writer>,
    transactions: bool,
) -> Box<dyn Plan> {
    let identity = Identity::of(write, &key, writer);
    let is_at = |revision: u64| write.if_revision.is_none_or(|expected| expected == revision);
    let seen = writer.known(&key);
    let seen = seen.filter(|seen| seen.line.is_short() && is_at(seen.line.header().revision));
    let mut plan = WritePlan {
        ttl,
        writer: writer.clone(),
        key,
        mode: write.mode,
        identity,
        if_revision: write.if_revision,
        may_be_first: is_at(0),
        transactions,
        messages: write.messages.clone(),
        content: None,
        extension: None,
        chunks: Vec::new(),
        known: None,
        next: None,
        stage: Stage::Whole,
        request: Request::read([]),
    };
    plan.begin(seen);
    Box::new(plan)
}

/// How a write is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// As what it adds to the messages that it has in common with what is there.
    Extended,
    /// As arguments of one script.
    Whole,
    /// Pushed as it is, behind the header that it makes, and committed by a small script that comes with
    /// it: in one transaction where there may be no memory yet.
    Staged,
    /// Pushed before; the server did not know the script that commits.
    Committed,
}

struct WritePlan {
    key: Bytes,
    mode: Mode,
    writer: Arc<Writer>,
    identity: Identity,
    if_revision: Option<u64>,
    /// Whether there need be no memory yet.
    may_be_first: bool,
    ttl: Bytes,
    transactions: bool,
    messages: Messages,
    /// Of a save: what the messages are.
    content: Option<Content>,
    extension: Option<Extension>,
    /// All messages, unless it is an extension that is sent.
    chunks: Vec<Chunk>,
    /// The header that the writer saw last, unless that cannot be the one to change.
    known: Option<Arc<Line>>,
    /// What this write makes of it, or of nothing; `None` where a script has to say.
    next: Option<Line>,
    stage: Stage,
    request: Request,
}

impl WritePlan {
    /// Chooses how to send it first, by what was seen in its place.
    fn begin(&mut self, seen: Option<Seen>) {
        let (line, before, is_settled) = match seen {
            Some(Seen { line, content, is_settled }) => (Some(line), content, is_settled),
            None => (None, None, false),
        };
        self.known = line;
        // Whoever sends commands one by one does not say when it has to connect anew.
        if self.mode == Mode::Save && self.transactions {
            let (content, goes_on) = self.writer.compare(&self.messages, before);
            self.content = Some(content);
            let known = self.known.as_ref().filter(|_| goes_on && is_settled);
            self.extension = known.and_then(|known| Extension::of(known.header(), &self.messages));
        }
        if self.extension.is_some() {
            self.send(Stage::Extended);
        }
        if self.next.is_none() {
            self.extension = None;
            self.send_all();
        }
    }

    /// Sends all messages.
    fn send_all(&mut self) {
        let (may_transact, staged_from) = match self.known {
            Some(_) => (true, STAGED_BYTES),
            None => (self.writer.may_send_transactions(), BEGUN_BYTES),
        };
        let is_staged = self.mode == Mode::Save
            && self.messages.size() >= staged_from
            && self.transactions
            && may_transact;
        self.chunks = cut(&self.messages);
        self.send(if is_staged { Stage::Staged } else { Stage::Whole });
    }

    fn send(&mut self, stage: Stage) {
        self.stage = stage;
        self.next = self.next_line();
        self.request = self.next_request();
    }

    fn author(&self) -> Author<'_> {
        Author { lane: self.identity.lane(), token: self.identity.token() }
    }

    fn next_line(&self) -> Option<Line> {
        let known = self.known.as_deref();
        let is_told = self.stage != Stage::Whole || known.is_some() || self.may_be_first;
        match (self.mode, self.chunks.as_slice()) {
            _ if !is_told || !self.identity.is_next(known) => None,
            _ if self.stage == Stage::Extended => {
                Line::extended(known?, self.author(), self.extension.as_ref()?)
            }
            (Mode::Append, [chunk]) => Line::appended(known, self.author(), chunk),
            (Mode::Save, chunks) if (1..=FEW_CHUNKS).contains(&chunks.len()) => {
                Line::saved(known, self.author(), chunks)
            }
            _ => None,
        }
    }

    fn next_request(&self) -> Request {
        match (self.stage, &self.next, &self.extension) {
            (Stage::Extended, Some(next), Some(extension)) => {
                Request::write([self.extend(next, extension)])
            }
            (Stage::Staged, Some(next), _) => self.staged(next),
            (Stage::Committed, Some(next), _) => Request::write([self.commit(next)]),
            _ => Request::write([self.script()]),
        }
    }

    /// Returns what adds to the messages that stay.
    fn extend(&self, next: &Line, extension: &Extension) -> Command {
        let before = self.known.as_ref().map_or(0, |known| known.header().chunks);
        let mut args = self.identity.arguments(&self.ttl, self.if_revision);
        args.extend([self.expected(), next.text().clone()]);
        args.extend([before, extension.kept].map(decimal));
        args.extend(extension.chunks.iter().map(|chunk| chunk.text.clone()));
        self.run(&script::EXTEND, args)
    }

    /// Returns what pushes the next header and the chunks behind what is there, and commits them.
    ///
    /// Nobody sees what is pushed behind a header, so pushing need not be one step with the rest. Making
    /// a memory has to be.
    fn staged(&self, next: &Line) -> Request {
        let word = |word: &'static str| Command::Plain(vec![Bytes::from_static(word.as_bytes())]);
        let mut push = Vec::with_capacity(3 + self.chunks.len());
        push.extend([Bytes::from_static(b"RPUSHX"), self.key.clone(), next.text().clone()]);
        push.extend(self.chunks.iter().map(|chunk| chunk.text.clone()));
        let (push, commit) = (Command::Plain(push), self.commit(next));
        if !self.may_be_begun() {
            return Request::write([push, commit]);
        }
        let begin = self.run(&script::COMMIT, vec![self.ttl.clone(), self.expected()]);
        Request::write([word("MULTI"), begin, push, commit, word("EXEC")])
    }

    /// Returns whether a memory is to be made where there is none.
    fn may_be_begun(&self) -> bool {
        self.known.is_none() && self.may_be_first
    }

    /// Returns the header that is thought to be there: the known one, or that of the empty memory which
    /// this write makes where there is none.
    fn expected(&self) -> Bytes {
        match &self.known {
            Some(known) => known.text().clone(),
            None => Line::empty(self.author()),
        }
    }

    fn run(&self, script: &'static Script, args: Vec<Bytes>) -> Command {
        Command::Script { script, key: self.key.clone(), args }
    }

    /// Returns the arguments that scripts take which get the messages, too.
    fn arguments(&self) -> Vec<Bytes> {
        let in_last = self.chunks.last().map_or(0, |chunk| chunk.messages);
        let numbers = [self.messages.len(), in_last].map(decimal);
        let mut args = self.identity.arguments(&self.ttl, self.if_revision);
        args.extend(numbers);
        args
    }

    fn script(&self) -> Command {
        let script = match self.mode {
            Mode::Save => &script::SAVE,
            Mode::Append => &script::APPEND,
        };
        let mut args = self.arguments();
        args.extend(match &self.next {
            Some(next) => {
                let known = self.known.as_ref().map(|known| known.text().clone());
                let length = next.header().chunks + 1;
                [known.unwrap_or_default(), next.text().clone(), decimal(length)]
            }
            None => [Bytes::new(), Bytes::new(), Bytes::from_static(b"0")],
        });
        args.extend(self.chunks.iter().map(|chunk| chunk.text.clone()));
        self.run(script, args)
    }

    fn commit(&self, next: &Line) -> Command {
        let mut args = self.identity.arguments(&self.ttl, self.if_revision);
        let place = from_the_end(self.chunks.len() + 1);
        args.extend([self.expected(), next.text().clone(), place]);
        self.run(&script::COMMIT, args)
    }

    /// Takes the reply of the script that writes; `None` where it did not run.
    fn script_reply(&self, replies: Vec<Reply>) -> Option<Reply> {
        let last = replies.into_iter().next_back();
        if self.stage != Stage::Staged || !self.may_be_begun() {
            return last;
        }
        match last {
            Some(Reply::Array(replies)) => replies.into_iter().next_back(),
            _ => None,
        }
    }
}

/// Ends a write that was applied, and led to this header.
fn applied(&Header { revision, count, .. }: &Header) -> Step {
    Step::Done(Answer::Written(Written { revision, count, replayed: false }))
}

impl Plan for WritePlan {
    fn request(&self) -> &Request {
        &self.request
    }

    fn advance(&mut self, replies: Vec<Reply>) -> Result<Step> {
        let is_transaction = self.stage == Stage::Staged && self.may_be_begun();
        if is_transaction && matches!(replies.first(), Some(Reply::Error(_))) {
            self.writer.send_no_transactions();
        }
        let stage = match (self.stage, self.script_reply(replies)) {
            (Stage::Staged, Some(Reply::Error(error))) if error.code == "NOSCRIPT" => {
                Stage::Committed
            }
            (Stage::Whole | Stage::Extended, None) => {
                return Err(Error::corrupt("the server gave no answer"));
            }
            (Stage::Whole | Stage::Extended, Some(reply))
            | (_, Some(reply @ (Reply::Array(_) | Reply::Text(_) | Reply::Integer(_)))) => {
                match Status::read(reply)? {
                    Status::Stored(line) => {
                        // Had the known header been there, the next one would have been taken.
                        let is_settled = self.known.is_none() || self.next.is_none();
                        self.writer.learn_written(&self.key, &line, is_settled, self.content);
                        return Ok(applied(&Header::parse(&line)?));
                    }
                    Status::StoredNext => {
                        let next = self.next.take();
                        let next = next.ok_or_else(|| Error::corrupt("nothing was asked for"))?;
                        let step = applied(next.header());
                        let (line, content) = (Arc::new(next), self.content);
                        self.writer.remember(&self.key, Seen { line, is_settled: true, content });
                        return Ok(step);
                    }
                    Status::Written(written) => {
                        self.writer.forget(&self.key);
                        return Ok(Step::Done(Answer::Written(written)));
                    }
                    Status::Conflict(actual) => return Err(conflict(actual)),
                    Status::Stale => return Err(stale()),
                    Status::Reused(actual) => return Err(reused(actual)),
                    Status::NotThere if self.stage == Stage::Extended => {
                        self.extension = None;
                        self.send_all();
                        return Ok(Step::Again);
                    }
                    // The memory that was known is gone, as a rule: one is made to push to.
                    Status::NotThere if self.known.take().is_some() && self.may_be_begun() => {
                        Stage::Staged
                    }
                    Status::NotThere | Status::NotCounted => Stage::Whole,
                }
            }
            // The transaction was refused: the whole write in one script says why, or succeeds.
            _ => Stage::Whole,
        };
        self.send(stage);
        Ok(Step::Again)
    }

    fn op_id(&mut self) -> Option<String> {
        (self.mode == Mode::Append).then(|| self.identity.op_id())
    }
}
