//! Whether a server's replicas can be expected to confirm a write soon.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// So many writes in a row go unconfirmed before replicas count as not answering.
const MISSES: u32 = 3;
/// For how long replicas that do not answer are not asked again.
const REST: Duration = Duration::from_secs(1);
/// For how long a server is not asked that refuses the question.
const LONG_REST: Duration = Duration::from_secs(300);

/// What came of asking for a replica's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Confirmed {
    Yes,
    No,
    /// The server does not let us ask.
    Refused,
}

/// What is known of one server's replicas; one miss is a hiccup, three are a replica that is away.
#[derive(Debug, Default)]
pub(super) struct Confirming(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    has_replicas: bool,
    misses: u32,
    /// Until when they are not asked, since they did not answer.
    rests_until: Option<Instant>,
}

impl Confirming {
    pub(super) fn set_replicas(&self, any: bool) {
        self.state().has_replicas = any;
    }

    /// Returns whether to ask them.
    pub(super) fn is_likely(&self) -> bool {
        let state = self.state();
        state.has_replicas && state.rests_until.is_none_or(|until| until <= Instant::now())
    }

    pub(super) fn note(&self, confirmed: Confirmed) {
        let mut state = self.state();
        state.misses = if confirmed == Confirmed::Yes { 0 } else { state.misses.saturating_add(1) };
        state.rests_until = match confirmed {
            Confirmed::Refused => Some(Instant::now() + LONG_REST),
            Confirmed::No if state.misses >= MISSES => Some(Instant::now() + REST),
            Confirmed::No | Confirmed::Yes => None,
        };
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_replicas() -> Confirming {
        let confirming = Confirming::default();
        confirming.set_replicas(true);
        confirming
    }

    #[test]
    fn nobody_asks_replicas_that_are_not_there() {
        assert!(!Confirming::default().is_likely());
        assert!(with_replicas().is_likely());
    }

    #[test]
    fn a_hiccup_leaves_the_next_write_as_safe_as_any() {
        let confirming = with_replicas();
        for confirmed in [Confirmed::No, Confirmed::No, Confirmed::Yes, Confirmed::No] {
            confirming.note(confirmed);
            assert!(confirming.is_likely());
        }
    }

    #[test]
    fn replicas_that_are_away_are_let_rest() {
        let confirming = with_replicas();
        for _ in 0..MISSES {
            assert!(confirming.is_likely());
            confirming.note(Confirmed::No);
        }
        assert!(!confirming.is_likely());
        confirming.note(Confirmed::Yes); // of a call that was on its way
        assert!(confirming.is_likely());
    }

    #[test]
    fn a_refusal_is_final_for_a_while() {
        let confirming = with_replicas();
        confirming.note(Confirmed::Refused);
        assert!(!confirming.is_likely());
    }
}
