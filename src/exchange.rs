//! A call whose requests somebody else sends: with a client of theirs, one command at a time.
//!
//! An [`Exchange`] says what to send and takes what comes of it. Deadline, attempts and doubt are
//! those of every other call; only the sending is not ours.

use std::fmt;
use std::time::{Duration, Instant};

use crate::call::{Call, Failure, Retry};
use crate::error::{Error, ErrorKind, Result};
use crate::keyspace::MemoryId;
use crate::plan::{Command, Plan, Reply, Request, Route, Step};
use crate::script::Form;
use crate::store::Answer;
use crate::transport::{gone, transient_failure};

/// One call on its way.
pub struct Exchange {
    call: Call,
    plan: Box<dyn Plan>,
    memory: Option<MemoryId>,
    /// What was answered to all but some scripts, and which: the server did not know those, so they
    /// are sent once more, as text.
    unknown: Option<(Vec<Reply>, Vec<usize>)>,
    /// When the attempt that is on its way began.
    since: Instant,
    answer: Option<Answer>,
}

impl Exchange {
    pub(crate) fn new(mut call: Call, plan: Box<dyn Plan>, memory: Option<MemoryId>) -> Self {
        call.attempt();
        Self { call, plan, memory, unknown: None, since: Instant::now(), answer: None }
    }

    /// Returns which server the commands go to.
    pub fn route(&self) -> &Route {
        &self.plan.request().route
    }

    /// Returns the commands to send now, and how scripts are named in them.
    pub fn commands(&self) -> (Vec<&Command>, Form) {
        let commands = &self.plan.request().commands;
        match &self.unknown {
            None => (commands.iter().collect(), self.call.form()),
            Some((_, at)) => (at.iter().filter_map(|at| commands.get(*at)).collect(), Form::Source),
        }
    }

    /// Takes the replies, one for each command or each primary; returns how long to pause before
    /// the next commands, if the call is not over.
    ///
    /// `doubtful` says that the commands may have been sent before, and that reply been lost.
    ///
    /// # Errors
    /// The error of the whole call.
    pub fn answered(&mut self, replies: Vec<Reply>, doubtful: bool) -> Result<Duration> {
        if doubtful && self.plan.request().writes {
            self.call.doubt();
        }
        let replies = match self.unknown.take() {
            None => replies,
            Some((mut all, at)) => {
                Request::fill_in(&mut all, &at, replies);
                return self.settle(all);
            }
        };
        let unknown = self.plan.request().to_send_again(&replies);
        if unknown.is_empty() {
            return self.settle(replies);
        }
        self.unknown = Some((replies, unknown));
        Ok(Duration::ZERO)
    }

    /// Takes the failure to get replies; returns how long to pause before the next commands.
    ///
    /// # Errors
    /// The error of the whole call, when there is to be no next attempt.
    pub fn failed(&mut self, failure: &Failure) -> Result<Duration> {
        self.unknown = None;
        let request = self.plan.request();
        let (writes, of_one_server) = (request.writes, matches!(request.route, Route::Server(_)));
        // Whoever sends may have tried for long; another time as long would be over the deadline.
        let left = self.call.deadline().saturating_duration_since(Instant::now());
        let too_long = failure.lost && self.since.elapsed() > left;
        let last = Failure { retry: Retry::Never, timed_out: true, ..failure.clone() };
        let failure = if too_long { &last } else { failure };
        let pause = self.call.after(failure, writes, || self.plan.op_id());
        let pause = pause.map_err(|error| self.named(error))?;
        if of_one_server {
            // It may have been restarted, and would walk its keys in another order.
            return self.gone();
        }
        self.call.attempt();
        self.since = Instant::now() + pause;
        Ok(pause)
    }

    /// Takes that the server of [`route`](Self::route) is not what it was.
    ///
    /// # Errors
    /// The error of the whole call.
    pub fn gone(&mut self) -> Result<Duration> {
        self.settle(gone(self.plan.request()))
    }

    /// Takes the answer, once the call is over.
    pub fn take_answer(&mut self) -> Option<Answer> {
        self.answer.take()
    }

    /// Returns whether the call is over.
    pub fn is_over(&self) -> bool {
        self.answer.is_some()
    }

    fn settle(&mut self, replies: Vec<Reply>) -> Result<Duration> {
        let request = self.plan.request();
        let of_each = replies.iter().find_map(|reply| match (reply, &request.route) {
            (Reply::Array(parts), Route::EveryPrimary) => transient_failure(parts),
            _ => None,
        });
        if let Some(failure) = of_each.or_else(|| transient_failure(&replies)) {
            return self.failed(&failure);
        }
        match self.plan.advance(replies) {
            Err(error) => Err(self.fail(&error, false)),
            Ok(Step::Later(error)) => self.failed(&Failure::before_sending(error, Retry::Later)),
            Ok(Step::Done(answer)) => {
                self.answer = Some(answer);
                Ok(Duration::ZERO)
            }
            Ok(Step::Again) => {
                self.call.next_request();
                if Instant::now() >= self.call.deadline() {
                    let message = "others kept changing the memory until the time was up";
                    return Err(self.fail(&Error::new(ErrorKind::Unavailable, message), true));
                }
                self.call.attempt();
                self.since = Instant::now();
                Ok(Duration::ZERO)
            }
        }
    }

    fn fail(&mut self, error: &Error, timed_out: bool) -> Error {
        let error = self.call.fail(error, timed_out, || self.plan.op_id());
        self.named(error)
    }

    fn named(&self, error: Error) -> Error {
        let operation = error.call().operation;
        error.of_call(operation, self.memory.as_ref().map(MemoryId::as_str))
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("call", &self.call).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::Keyspace;
    use crate::layout::Layout;
    use crate::messages::{Limits, Messages};
    use crate::plan::ServerError;
    use crate::store::{Mode, RedisStore, Scan, StoreOptions, Ttl, Verb, Write, Writer};

    const LIMITS: Limits = Limits { message: 1 << 20, conversation: 1 << 24 };

    fn exchange(verb: Verb) -> Exchange {
        let store = RedisStore::new(StoreOptions {
            keyspace: Keyspace::new("m:").unwrap(),
            layout: Layout::Log,
            ttl: None,
            refresh_on_load: false,
            limits: LIMITS,
        });
        let call = Call::begin(verb.name(), Duration::from_secs(5));
        let plan = store.without_transactions().plan(verb, &Writer::new().unwrap()).unwrap();
        Exchange::new(call, plan, None)
    }

    fn write(mode: Mode, size: usize) -> Exchange {
        let line = format!("{{\"content\":\"{}\"}}", "x".repeat(size));
        let messages = Messages::from_lines(vec![line.into()], 1).unwrap();
        let id = MemoryId::new("a").unwrap();
        exchange(Verb::Write(Write {
            id,
            mode,
            messages,
            if_revision: None,
            idempotency_key: None,
            ttl: Ttl::Setting,
        }))
    }

    fn error(line: &str) -> Vec<Reply> {
        vec![Reply::Error(ServerError::parse(line))]
    }

    fn name(exchange: &Exchange) -> String {
        let (commands, form) = exchange.commands();
        let mut parts = Vec::new();
        commands[0].for_each_part(form, |part| parts.push(part.clone()));
        String::from_utf8(parts[0].to_vec()).unwrap()
    }

    #[test]
    fn a_script_that_is_not_known_is_sent_as_text() {
        let mut append = write(Mode::Append, 1);
        assert_eq!(name(&append), "EVALSHA");
        append.answered(error("NOSCRIPT No matching script"), false).unwrap();
        assert_eq!(name(&append), "EVAL");
        let done = [0, 1, 1].map(Reply::Integer).to_vec();
        append.answered(vec![Reply::Array(done)], false).unwrap();
        assert!(matches!(append.take_answer(), Some(Answer::Written(_))));
    }

    #[test]
    fn a_large_save_is_one_command() {
        let save = write(Mode::Save, 100_000);
        assert_eq!(save.commands().0.len(), 1);
        assert_eq!(name(&save), "EVALSHA");
    }

    #[test]
    fn a_refusal_settles_a_write_unless_its_first_reply_may_be_lost() {
        let refused = |doubtful| {
            let answer = write(Mode::Append, 1).answered(error("NOPERM no"), doubtful);
            answer.unwrap_err().kind().clone()
        };
        assert_eq!(refused(false), ErrorKind::PermissionDenied);
        assert!(matches!(refused(true), ErrorKind::OutcomeUnknown { op_id: Some(_) }));
    }

    #[test]
    fn an_attempt_that_took_longer_than_is_left_is_the_last() {
        let failure = |sent| Failure {
            error: Error::new(ErrorKind::Unavailable, "gone"),
            sent,
            retry: Retry::Later,
            timed_out: false,
            lost: true,
        };
        let mut append = write(Mode::Append, 1);
        append.failed(&failure(false)).unwrap();
        append.since = Instant::now().checked_sub(Duration::from_secs(6)).unwrap();
        let error = append.failed(&failure(false)).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Unavailable);
        assert!(error.call().timed_out);
    }

    #[test]
    fn a_listing_does_not_go_on_where_a_server_failed() {
        let scan = Scan::new(false);
        let keys = Reply::Array(vec![Reply::Text("m:a".into())]);
        let page = Reply::Array(vec![Reply::Text("7".into()), keys]);
        let mut first = exchange(Verb::Page(scan.clone()));
        let primary = Reply::Array(vec![Reply::Text("0".into()), page]);
        first.answered(vec![primary], false).unwrap();
        let mut second = exchange(Verb::Page(scan.clone()));
        assert_eq!(second.route(), &Route::Server("0".into()));
        let error = Error::new(ErrorKind::Unavailable, "gone");
        second.failed(&Failure::before_sending(error, Retry::Later)).unwrap();
        assert!(matches!(second.take_answer(), Some(Answer::Page(Some(ids))) if ids.is_empty()));
        assert_eq!(exchange(Verb::Page(scan)).route(), &Route::EveryPrimary);
    }
}
