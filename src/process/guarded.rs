//! A lock for what a forked child goes on using.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use super::ProcessId;
#[cfg(test)]
use super::Told;

/// A value behind a lock that no forked child waits for in vain.
///
/// A thread that holds a lock while another one forks is not there in the child to let go of it. So the
/// lock is a process's, and a child has to take it over, which succeeds if nobody held it at the fork.
#[derive(Debug)]
pub struct Guarded<T> {
    /// Never dropped where a thread that is not there may have left it half changed.
    value: Arc<Mutex<T>>,
    /// A process and how far it is, as [`Stage`] writes them.
    claim: AtomicU64,
}

/// How far a process is with taking a lock over.
#[derive(Debug, Clone, Copy)]
enum Stage {
    /// It has it: only threads of this process hold it from then on.
    Taken,
    /// One of its threads is looking.
    Looking,
    /// A thread of another process holds it for ever.
    Lost,
}

impl Stage {
    fn of(self, process: ProcessId) -> u64 {
        process.number() << 2 | self as u64
    }
}

impl<T> Guarded<T> {
    /// Puts `value` behind a lock of this process.
    pub fn new(value: T) -> Self {
        let claim = Stage::Taken.of(ProcessId::current()).into();
        Self { value: Arc::new(Mutex::new(value)), claim }
    }

    /// Waits for the lock. `None` in a process that was forked while another thread held it: what that
    /// was changing is lost there.
    pub fn lock(&self) -> Option<MutexGuard<'_, T>> {
        let process = ProcessId::current();
        let [taken, looking, lost] =
            [Stage::Taken, Stage::Looking, Stage::Lost].map(|stage| stage.of(process));
        loop {
            // Relaxed, here and below: the lock itself orders what is behind it.
            let claim = self.claim.load(Ordering::Relaxed);
            if claim == taken {
                return Some(self.value.lock().unwrap_or_else(PoisonError::into_inner));
            }
            if claim == lost {
                return None;
            }
            if claim == looking {
                std::thread::yield_now();
                continue;
            }
            // Only one thread may look: to another one, the lock in its hands would seem lost.
            let order = Ordering::Relaxed;
            if self.claim.compare_exchange(claim, looking, order, order).is_ok() {
                let guard = match self.value.try_lock() {
                    Ok(guard) => Some(guard),
                    Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
                    Err(TryLockError::WouldBlock) => None,
                };
                self.claim.store(if guard.is_some() { taken } else { lost }, order);
                return guard;
            }
        }
    }
}

#[cfg(test)]
impl<T> Guarded<T> {
    /// Has it be as a child finds it: as one of another process.
    pub(crate) fn set_forked(&self) {
        let elsewhere = Stage::Taken.of(ProcessId(Told::System(0)));
        self.claim.store(elsewhere, Ordering::Relaxed);
    }
}

impl<T: Default> Default for Guarded<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> Drop for Guarded<T> {
    fn drop(&mut self) {
        if self.lock().is_none() {
            std::mem::forget(Arc::clone(&self.value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_has_what_nobody_held_at_the_fork() {
        let guarded = Guarded::new(1);
        *guarded.lock().unwrap() = 2;
        guarded.set_forked();
        *guarded.lock().unwrap() += 1;
        assert_eq!(*guarded.lock().unwrap(), 3);
    }

    #[test]
    fn a_child_is_told_of_what_was_held_at_the_fork_and_never_drops_it() {
        let value = Arc::new(());
        let guarded = Guarded::new(Arc::clone(&value));
        // A guard that is never given back is what a thread leaves that is not there.
        std::mem::forget(guarded.lock().unwrap());
        for _ in 0..2 {
            guarded.set_forked();
            assert!(guarded.lock().is_none());
            assert!(guarded.lock().is_none());
        }
        drop(guarded);
        assert_eq!(Arc::strong_count(&value), 2);
    }

    #[test]
    fn threads_of_a_child_take_it_over_once_and_then_in_turn() {
        let guarded = Guarded::new(0);
        for _ in 0..20 {
            std::thread::scope(|scope| {
                guarded.set_forked();
                for _ in 0..4 {
                    scope.spawn(|| *guarded.lock().unwrap() += 1);
                }
            });
        }
        assert_eq!(*guarded.lock().unwrap(), 80);
    }
}
