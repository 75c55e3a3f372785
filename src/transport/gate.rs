//! Lets few connections be tried at a time where the last ones have failed.
//!
//! Every call pauses between its own attempts, but a thousand calls at once are still a storm for a
//! server that is just coming back. So calls that need a connection to a server in trouble take
//! turns, and those that wait share the failure of the one whose turn it is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::call::{Failure, Retry};

/// The shortest and the longest time between two turns.
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_millis(100);

/// The turns at connecting to one server.
#[derive(Debug, Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    /// Whether anything has failed since the server last answered: calls that succeed take no lock.
    troubled: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// Failures since the server last answered.
    setbacks: u32,
    /// When the next turn is.
    next: Option<Instant>,
    /// How the last attempt to connect failed, and when.
    refused: Option<(Instant, Failure)>,
}

/// What a call that needs a connection may do.
#[derive(Debug)]
pub(super) enum Turn {
    /// Connect.
    Now,
    /// Ask again at this time.
    At(Instant),
    /// Nothing: somebody has just tried.
    Over(Failure),
}

impl Gate {
    /// Says whether a call that has waited since `since` may connect.
    pub(super) fn turn(&self, since: Instant) -> Turn {
        let mut state = self.lock();
        if let Some((at, failure)) = &state.refused
            && *at >= since
        {
            return Turn::Over(failure.clone());
        }
        let now = Instant::now();
        match state.next {
            Some(next) if now < next => Turn::At(next),
            Some(_) => {
                state.next = Some(now + state.interval());
                Turn::Now
            }
            None => Turn::Now,
        }
    }

    /// Returns how the last attempt to connect failed, if it did.
    pub(super) fn refusal(&self) -> Option<Failure> {
        self.lock().refused.as_ref().map(|(_, failure)| failure.clone())
    }

    /// Takes note of an attempt to connect that failed.
    pub(super) fn refuse(&self, failure: &Failure) {
        if failure.retry == Retry::Never {
            return; // the server is there, and its answer is this caller's alone
        }
        self.set_back();
        // Whoever shares it has sent nothing, and has not seen the server go away once more.
        let shared = Failure { sent: false, lost: false, ..failure.clone() };
        self.lock().refused = Some((Instant::now(), shared));
    }

    /// Takes note that the server could not be reached, or went away.
    pub(super) fn set_back(&self) {
        let mut state = self.lock();
        state.setbacks = state.setbacks.saturating_add(1);
        state.next = Some(Instant::now() + state.interval());
        // Relaxed, here and below: a hint; the lock guards what counts.
        self.troubled.store(true, Ordering::Relaxed);
    }

    /// Takes note that the server has answered.
    pub(super) fn clear(&self) {
        if self.troubled.load(Ordering::Relaxed) {
            *self.lock() = State::default();
            self.troubled.store(false, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn interval(&self) -> Duration {
        SHORTEST.saturating_mul(1 << self.setbacks.saturating_sub(1).min(8)).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};

    fn failure() -> Failure {
        let error = Error::new(ErrorKind::Unavailable, "refused");
        Failure { error, sent: true, retry: Retry::Later, timed_out: false, lost: true }
    }

    #[test]
    fn all_may_connect_to_a_server_that_answers() {
        let gate = Gate::default();
        assert!((0..100).all(|_| matches!(gate.turn(Instant::now()), Turn::Now)));
    }

    #[test]
    fn turns_at_a_server_in_trouble_grow_apart_until_it_answers() {
        let gate = Gate::default();
        for _ in 0..20 {
            gate.set_back();
        }
        let Turn::At(next) = gate.turn(Instant::now()) else { panic!("no pause") };
        assert!(next <= Instant::now() + LONGEST);
        assert!(next > Instant::now() + LONGEST / 2);
        gate.clear();
        assert!(matches!(gate.turn(Instant::now()), Turn::Now));
    }

    #[test]
    fn who_waits_shares_the_failure_and_who_comes_later_does_not() {
        let gate = Gate::default();
        let since = Instant::now();
        gate.refuse(&failure());
        let Turn::Over(shared) = gate.turn(since) else { panic!("not shared") };
        assert!(!shared.sent && !shared.lost);
        let later = Instant::now() + SHORTEST;
        assert!(!matches!(gate.turn(later), Turn::Over(_)));
    }
}
