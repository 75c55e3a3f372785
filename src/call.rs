//! One call: its deadline, its attempts, and what a failure of one attempt means for the whole.
//!
//! Both transports ask the same [`Call`] what to do next, so a call behaves the same on each.

use std::time::{Duration, Instant};

use crate::error::{CallReport, Error, ErrorKind, Result};
use crate::script::Form;

/// Asks whether the caller wants out (Ctrl-C). Called while a call waits, about ten times a second.
pub type Interrupt = fn() -> bool;

/// The longest that the first attempt goes on without a byte from the server.
pub const PATIENCE: Duration = Duration::from_secs(1);

const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// How often a request follows where it is sent before it pauses: nodes that disagree send it round.
const REDIRECTIONS: u32 = 5;

/// Why one attempt failed, and what it leaves behind.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What went wrong, in words.
    pub error: Error,
    /// Whether some of the request may have reached the server.
    pub sent: bool,
    /// Whether another attempt may help.
    pub retry: Retry,
    /// Whether it failed because nothing came in time.
    pub timed_out: bool,
    /// Whether the server could not be reached, or went away.
    pub lost: bool,
}

/// When to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Without a pause, if it was the first attempt: a connection that lay idle was dead.
    AtOnce,
    /// Without a pause for the first few times: another server was named that has the key.
    Elsewhere,
    /// After a pause.
    Later,
    /// Never: trying again cannot help.
    Never,
}

impl Failure {
    /// An attempt that failed before anything was sent.
    pub fn before_sending(error: Error, retry: Retry) -> Self {
        Self { error, sent: false, retry, timed_out: false, lost: false }
    }
}

/// How an attempt is to be made, after those that were before it.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// How scripts are named.
    pub form: Form,
    silences: u32,
}

impl Manner {
    /// Returns how long to bear a server's silence: twice as long after each silence, since a
    /// request may simply take a busy server so long.
    pub fn patience(self, first: Duration) -> Duration {
        first.saturating_mul(1 << self.silences.min(6))
    }

    /// Returns how to make an attempt that is one of several calls.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let text = self.form == Form::Source || other.form == Form::Source;
        let form = if text { Form::Source } else { Form::Digest };
        Self { form, silences: self.silences.max(other.silences) }
    }
}

/// A call on its way.
#[derive(Debug)]
pub struct Call {
    operation: &'static str,
    started: Instant,
    deadline: Instant,
    attempts: u32,
    began: Instant,
    /// Attempts at the request that is on its way; a plan may have several requests.
    tries: u32,
    /// A write was sent and its reply not read: until a reply comes the outcome is unknown.
    doubt: bool,
    /// Times that a server which was there did not answer a request.
    silences: u32,
    tries_once: bool,
    /// How the attempt before failed, if this request had one.
    setback: Option<Error>,
    /// What is to be said if replicas lack what was written.
    shortage: Option<Error>,
}

impl Call {
    /// Begins a call that ends, one way or the other, within `timeout`.
    pub fn begin(operation: &'static str, timeout: Duration) -> Self {
        Self::begin_at(operation, Instant::now(), timeout)
    }

    /// Begins a call whose time has been running since `started`.
    pub fn begin_at(operation: &'static str, started: Instant, timeout: Duration) -> Self {
        Self {
            operation,
            started,
            deadline: started + timeout,
            attempts: 0,
            began: started,
            tries: 0,
            doubt: false,
            silences: 0,
            // A health check says how things are now, not how they may be after five seconds.
            tries_once: operation == "ping",
            setback: None,
            shortage: None,
        }
    }

    /// Has the call's time stand still: `span` of it does not count.
    pub fn put_off(&mut self, span: Duration) {
        for moment in [&mut self.started, &mut self.began, &mut self.deadline] {
            *moment += span;
        }
    }

    /// Returns when the call has to be over.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Returns how scripts are named in this attempt: a second one may reach a server that was
    /// restarted and knows none.
    pub fn form(&self) -> Form {
        if self.tries > 1 { Form::Source } else { Form::Digest }
    }

    /// Returns how this attempt is to be made.
    pub fn manner(&self) -> Manner {
        Manner { form: self.form(), silences: self.silences }
    }

    /// Counts an attempt, which begins now; the first one began with the call.
    pub fn attempt(&mut self) {
        if self.attempts > 0 {
            self.began = Instant::now();
        }
        self.attempts += 1;
        self.tries += 1;
    }

    /// Returns when the attempt began.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// Begins the next request of the plan: the one before was answered, which ends every doubt.
    pub fn next_request(&mut self) {
        self.tries = 0;
        self.doubt = false;
        self.setback = None;
    }

    /// Takes note that the request, which writes, may have been applied without its reply being read.
    pub fn doubt(&mut self) {
        self.doubt = true;
    }

    /// Takes a failed attempt of a request; returns how long to pause before the next one.
    ///
    /// # Errors
    /// The error of the whole call, when there is to be no next attempt.
    pub fn after(
        &mut self,
        failure: &Failure,
        writes: bool,
        op_id: impl FnOnce() -> Option<String>,
    ) -> Result<Duration> {
        self.doubt |= failure.sent && writes;
        self.silences += u32::from(failure.sent && failure.timed_out);
        let left = self.deadline.saturating_duration_since(Instant::now());
        let pause = match failure.retry {
            Retry::AtOnce if self.tries == 1 => Duration::ZERO,
            Retry::Elsewhere if self.tries <= REDIRECTIONS => Duration::ZERO,
            Retry::AtOnce | Retry::Elsewhere | Retry::Later => pause(self.tries),
            Retry::Never => left,
        };
        // An attempt that has no time to be answered would only leave a doubt.
        if pause + SHORTEST_PAUSE < left && !self.tries_once {
            self.setback = Some(failure.error.clone());
            return Ok(pause);
        }
        let out_of_time = failure.retry != Retry::Never && !self.tries_once;
        // Of an attempt that the deadline cut short before it sent, only the time is known.
        let cut_short = failure.timed_out && !failure.sent && left < SHORTEST_PAUSE;
        let error = self.setback.as_ref().filter(|_| cut_short).unwrap_or(&failure.error);
        Err(self.fail(error, failure.timed_out || out_of_time, op_id))
    }

    /// Makes the error that ends the call of one that was met, whatever was left in doubt before.
    ///
    /// A conflict leaves none: the script that tells it has looked for this write first.
    pub fn fail(
        &self,
        error: &Error,
        timed_out: bool,
        op_id: impl FnOnce() -> Option<String>,
    ) -> Error {
        let settled = matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::Conflict { .. });
        if !self.doubt || settled {
            return self.report(error, timed_out);
        }
        let message = format!(
            "the {} was sent and may or may not have been applied ({error}); load the memory to \
             see, or repeat an append with the error's op_id",
            self.operation
        );
        let error = Error::new(ErrorKind::OutcomeUnknown { op_id: op_id() }, message);
        self.report(&error, timed_out)
    }

    /// Takes note of whether replicas lack what the request wrote.
    pub fn note_replicas(&mut self, shortage: Option<Error>) {
        self.shortage = shortage;
    }

    /// Checks that enough replicas have what was written.
    ///
    /// # Errors
    /// [`ErrorKind::NotEnoughReplicas`]; the primary has the write all the same.
    pub fn check_replicas(&self) -> Result<()> {
        self.shortage.as_ref().map_or(Ok(()), |error| Err(self.report(error, false)))
    }

    /// Adds what is known of this call to an error that ends it.
    pub fn report(&self, error: &Error, timed_out: bool) -> Error {
        let (operation, attempts) = (self.operation, self.attempts);
        let elapsed = self.started.elapsed();
        error.clone().in_call(CallReport { operation, attempts, elapsed, timed_out })
    }
}

/// Returns the pause after `attempts` attempts: doubling, capped, with full jitter so that clients
/// of one server that went away do not all come back at once.
fn pause(attempts: u32) -> Duration {
    let doubled = SHORTEST_PAUSE.saturating_mul(1 << attempts.saturating_sub(1).min(8));
    let longest = doubled.min(LONGEST_PAUSE);
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    longest.mul_f64(f64::from(random) / f64::from(u32::MAX)).max(SHORTEST_PAUSE / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(sent: bool, retry: Retry) -> Failure {
        let error = Error::new(ErrorKind::Unavailable, "no server");
        Failure { error, sent, retry, timed_out: false, lost: true }
    }

    #[test]
    fn a_lost_reply_of_a_write_leaves_a_doubt_that_later_failures_keep() {
        let mut call = Call::begin("append", Duration::from_secs(60));
        call.attempt();
        assert!(call.after(&failure(true, Retry::Later), true, || None).is_ok());
        call.attempt();
        let error =
            call.after(&failure(false, Retry::Never), true, || Some("id".into())).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::OutcomeUnknown { op_id: Some("id".into()) });
        assert_eq!(error.call().attempts, 2);
    }

    #[test]
    fn a_lost_reply_of_a_read_leaves_none() {
        let mut call = Call::begin("load", Duration::ZERO);
        let error = call.after(&failure(true, Retry::Later), false, || None).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Unavailable);
        assert!(error.call().timed_out);
    }

    #[test]
    fn patience_grows_with_silences_and_not_with_other_failures() {
        let mut call = Call::begin("load", Duration::from_secs(60));
        for (failure, seconds) in [
            (failure(true, Retry::Later), 1),
            (Failure { timed_out: true, ..failure(false, Retry::Later) }, 1),
            (Failure { timed_out: true, ..failure(true, Retry::Later) }, 2),
            (Failure { timed_out: true, ..failure(true, Retry::Later) }, 4),
        ] {
            call.after(&failure, false, || None).unwrap();
            assert_eq!(call.manner().patience(PATIENCE), Duration::from_secs(seconds));
        }
    }

    #[test]
    fn an_attempt_that_the_deadline_cuts_short_tells_what_failed_before() {
        let mut call = Call::begin("append", Duration::from_secs(60));
        let error = Error::new(ErrorKind::ServerBusy, "max number of clients reached");
        call.after(&Failure::before_sending(error, Retry::Later), true, || None).unwrap();
        call.deadline = Instant::now();
        let cut_short = Failure { timed_out: true, ..failure(false, Retry::Later) };
        let error = call.after(&cut_short, true, || None).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::ServerBusy);
        assert!(error.call().timed_out);
    }

    #[test]
    fn pauses_grow_and_stay_bounded() {
        for attempts in 0..100 {
            assert!(pause(attempts) <= LONGEST_PAUSE);
        }
    }
}
