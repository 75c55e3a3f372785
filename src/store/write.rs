//! Save and append: one script, one round trip, applied once however often it is sent.
//!
//! A script takes the header apart and makes the next one, which is most of its work. A writer that has
//! seen the header makes the next one itself; where another header is there, the script goes its way.

use std::sync::Arc;

use bytes::Bytes;

use super::content::Content;
use super::identity::Identity;
use super::known::Seen;
use super::sent::Sent;
use super::status::{Status, conflict, incomplete, reused, stale};
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
/// The most chunks that a save has as arguments of its script together with the header that it makes: Lua's
/// stack takes no more than about 8000. What is pushed has no such limit.
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
        creates: is_at(0),
        transactions,
        messages: write.messages.clone(),
        content: None,
        chunks: Vec::new(),
        known: None,
        sent: Sent::Script { next: None },
        request: Request::read([]),
    };
    plan.begin(seen);
    Box::new(plan)
}

struct WritePlan {
    key: Bytes,
    mode: Mode,
    writer: Arc<Writer>,
    identity: Identity,
    if_revision: Option<u64>,
    /// Whether it makes the memory where there is none: a revision that it expects may forbid that.
    creates: bool,
    ttl: Bytes,
    transactions: bool,
    messages: Messages,
    /// Of a save: what the messages are.
    content: Option<Content>,
    /// All messages, unless it is an extension that is sent.
    chunks: Vec<Chunk>,
    /// The header that the writer saw last, unless that cannot be the one to change.
    known: Option<Arc<Line>>,
    sent: Sent,
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
            if goes_on
                && is_settled
                && self.is_next()
                && let Some(sent) = self.extension()
            {
                return self.send(sent);
            }
        }
        self.send_all();
    }

    /// Returns whether nothing in the known header says that this write may be a repetition.
    fn is_next(&self) -> bool {
        self.identity.is_next(self.known.as_deref())
    }

    /// Returns what it adds to the known memory, if that can be told.
    fn extension(&self) -> Option<Sent> {
        let known = self.known.as_deref()?;
        let extension = Extension::of(known.header(), &self.messages)?;
        let next = Line::extended(known, self.author(), &extension)?;
        Some(Sent::Extension { extension, next })
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
            && may_transact
            && self.is_next();
        self.chunks = cut(&self.messages);
        self.send(if is_staged { self.staged() } else { self.scripted() });
    }

    fn send(&mut self, sent: Sent) {
        self.request = self.request_of(&sent);
        self.sent = sent;
    }

    fn author(&self) -> Author<'_> {
        Author { lane: self.identity.lane(), token: self.identity.token() }
    }

    /// Returns all messages as they are pushed and committed: in one transaction with what makes a memory,
    /// where there may be none.
    fn staged(&self) -> Sent {
        let known = self.known.as_deref();
        match Line::saved(known, self.author(), &self.chunks) {
            Some(next) if known.is_none() && self.creates => Sent::Transaction { next },
            Some(next) => Sent::Push { next },
            None => self.scripted(),
        }
    }

    /// Returns all messages as arguments of one script.
    fn scripted(&self) -> Sent {
        let known = self.known.as_deref();
        let is_foreseen = (known.is_some() || self.creates) && self.is_next();
        let next = match (self.mode, self.chunks.as_slice()) {
            _ if !is_foreseen => None,
            (Mode::Append, [chunk]) => Line::appended(known, self.author(), chunk),
            (Mode::Save, chunks) if (1..=FEW_CHUNKS).contains(&chunks.len()) => {
                Line::saved(known, self.author(), chunks)
            }
            _ => None,
        };
        Sent::Script { next }
    }

    fn request_of(&self, sent: &Sent) -> Request {
        let word = |word: &'static str| Command::Plain(vec![Bytes::from_static(word.as_bytes())]);
        match sent {
            Sent::Extension { extension, next } => Request::write([self.extend(next, extension)]),
            Sent::Script { next } => Request::write([self.script(next.as_ref())]),
            Sent::Push { next } => Request::write([self.push(next), self.commit(next)]),
            Sent::Transaction { next } => {
                let begin = self.run(&script::COMMIT, vec![self.ttl.clone(), self.expected()]);
                let (push, commit) = (self.push(next), self.commit(next));
                Request::write([word("MULTI"), begin, push, commit, word("EXEC")])
            }
            Sent::Commit { next } => Request::write([self.commit(next)]),
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

    /// Returns what pushes the next header and the chunks behind what is there.
    ///
    /// Nobody sees what is pushed behind a header, so pushing need not be one step with the rest. Making
    /// a memory has to be.
    fn push(&self, next: &Line) -> Command {
        let mut push = Vec::with_capacity(3 + self.chunks.len());
        push.extend([Bytes::from_static(b"RPUSHX"), self.key.clone(), next.text().clone()]);
        push.extend(self.chunks.iter().map(|chunk| chunk.text.clone()));
        Command::Plain(push)
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

    fn script(&self, next: Option<&Line>) -> Command {
        let script = match self.mode {
            Mode::Save => &script::SAVE,
            Mode::Append => &script::APPEND,
        };
        let mut args = self.arguments();
        args.extend(match next {
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

    /// Sends what is to follow where the script that commits did not run.
    fn go_on_after(&mut self, reply: Option<&Reply>) {
        let is_unknown = matches!(reply, Some(Reply::Error(error)) if error.code == "NOSCRIPT");
        let sent = std::mem::replace(&mut self.sent, Sent::Script { next: None });
        let sent = match sent {
            Sent::Push { next } | Sent::Transaction { next } if is_unknown => Sent::Commit { next },
            // It was refused: the whole write in one script says why, or succeeds.
            _ => self.scripted(),
        };
        self.send(sent);
    }

    /// Reads what the script that writes has answered.
    fn read(&mut self, status: Status) -> Result<Step> {
        let sent = std::mem::replace(&mut self.sent, Sent::Script { next: None });
        let was_extension = matches!(sent, Sent::Extension { .. });
        let next = sent.next();
        match status {
            Status::Stored(line) => {
                // Had the known header been there, the next one would have been taken.
                let is_settled = self.known.is_none() || next.is_none();
                self.writer.learn_written(&self.key, &line, is_settled, self.content);
                return Ok(applied(&Header::parse(&line)?));
            }
            Status::StoredNext => {
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
            Status::Incomplete => {
                self.writer.forget(&self.key);
                return Err(incomplete());
            }
            Status::NotThere if was_extension => self.send_all(),
            // The memory that was known is gone, as a rule: one is made to push to.
            Status::NotThere if self.known.take().is_some() && self.creates => {
                self.send(self.staged());
            }
            Status::NotThere | Status::NotCounted => self.send(self.scripted()),
        }
        Ok(Step::Again)
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
        let is_transaction = matches!(self.sent, Sent::Transaction { .. });
        if is_transaction && matches!(replies.first(), Some(Reply::Error(_))) {
            self.writer.send_no_transactions();
        }
        match (self.sent.reply(replies), &self.sent) {
            (None, Sent::Script { .. } | Sent::Extension { .. }) => {
                Err(Error::corrupt("the server gave no answer"))
            }
            (Some(reply), Sent::Script { .. } | Sent::Extension { .. })
            | (Some(reply @ (Reply::Array(_) | Reply::Text(_) | Reply::Integer(_))), _) => {
                self.read(Status::read(reply)?)
            }
            (reply, _) => {
                self.go_on_after(reply.as_ref());
                Ok(Step::Again)
            }
        }
    }

    fn op_id(&mut self) -> Option<String> {
        (self.mode == Mode::Append).then(|| self.identity.op_id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::MemoryId;
    use crate::store::Ttl;

    /// Returns the plan of a save of so many messages, each of which is a chunk of its own.
    fn save(chunks: usize, if_revision: Option<u64>, transactions: bool) -> Box<dyn Plan> {
        let line = format!("{{\"x\":\"{}\"}}", "y".repeat(256 << 10));
        let one = Messages::from_lines(vec![line.into()], 0).unwrap();
        let write = Write {
            id: MemoryId::new("m").unwrap(),
            mode: Mode::Save,
            messages: one.pick(std::iter::repeat_n(0, chunks)),
            if_revision,
            idempotency_key: None,
            ttl: Ttl::Setting,
        };
        assert_eq!(cut(&write.messages).len(), chunks);
        let ttl = Bytes::from_static(b"0");
        plan(ttl, Bytes::from_static(b"m"), &write, &Writer::new().unwrap(), transactions)
    }

    fn queued() -> Reply {
        Reply::Text(Bytes::from_static(b"QUEUED"))
    }

    #[test]
    fn a_first_save_of_very_many_chunks_is_read_as_what_was_sent() {
        let mut plan = save(FEW_CHUNKS + 1, None, true);
        assert_eq!(plan.request().commands.len(), 5, "a transaction");
        let executed = Reply::Array(vec![Reply::Integer(0), Reply::Integer(1), Reply::Integer(0)]);
        let replies = vec![queued(), queued(), queued(), queued(), executed];
        let Step::Done(Answer::Written(written)) = plan.advance(replies).unwrap() else {
            panic!("the save is over");
        };
        assert_eq!((written.revision, written.count), (1, FEW_CHUNKS + 1));
    }

    #[test]
    fn one_that_expects_a_revision_is_pushed_and_makes_no_memory() {
        let mut plan = save(2, Some(7), true);
        assert_eq!(plan.request().commands.len(), 2);
        let conflict = Reply::Array(vec![Reply::Integer(2), Reply::Integer(9), Reply::Integer(1)]);
        assert!(plan.advance(vec![Reply::Integer(0), conflict]).is_err());
    }

    #[test]
    fn a_script_with_very_many_chunks_says_itself_what_it_makes() {
        let mut plan = save(FEW_CHUNKS + 1, None, false);
        assert_eq!(plan.request().commands.len(), 1);
        let answer = vec![Reply::Integer(0), Reply::Integer(1), Reply::Integer(1001)];
        assert!(matches!(plan.advance(vec![Reply::Array(answer)]), Ok(Step::Done(_))));
    }

    #[test]
    fn a_transaction_that_was_refused_becomes_a_script() {
        let mut plan = save(1, None, true);
        let refused = || Reply::Error(crate::plan::ServerError::parse("NOPERM no MULTI"));
        let replies = (0..5).map(|_| refused()).collect();
        assert!(matches!(plan.advance(replies), Ok(Step::Again)));
        assert_eq!(plan.request().commands.len(), 1);
        assert!(matches!(plan.advance(vec![Reply::Integer(0)]), Ok(Step::Done(_))));
    }
}
