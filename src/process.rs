//! Which process this is: what a child must not share with its parent is stamped with it.

mod guarded;

pub use guarded::Guarded;

use std::sync::atomic::{AtomicU32, Ordering};

/// Forks between the program's start and this process, and one more; 0 while nobody counts them.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// A process; a forked child is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessId(Told);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// By those who count forks.
    Forks(u32),
    /// By the system, which takes a call.
    System(u32),
}

impl ProcessId {
    /// Returns the process that asks.
    #[must_use]
    pub fn current() -> Self {
        // Relaxed, here and below: a child begins with one thread, which counted its fork itself.
        match FORKS.load(Ordering::Relaxed) {
            0 => Self(Told::System(std::process::id())),
            forks => Self(Told::Forks(forks)),
        }
    }

    /// Returns a number that none of the processes has which this one was forked from.
    fn number(self) -> u64 {
        match self.0 {
            Told::Forks(forks) => forks.into(),
            Told::System(id) => 1 << 32 | u64::from(id),
        }
    }
}

/// Counts a fork. Whoever has every child call this, before anything else runs in it, and calls it
/// once at the beginning, spares each call the question to the system.
pub fn count_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_the_same_until_a_fork_is_counted() {
        let before = ProcessId::current();
        assert_eq!(ProcessId::current(), before);
        count_fork();
        let after = ProcessId::current();
        assert!(after != before && after == ProcessId::current());
    }
}
