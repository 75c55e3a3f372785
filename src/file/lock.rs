//! The lock of one memory, held by a process or thread while it writes.
//!
//! It is `flock` on the memory's file, taken on a descriptor of the call's own: two threads exclude
//! each other as two processes do, and the system lets go of it when a process dies.

use std::fs::File;
use std::ops::Deref;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, poll};
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

use super::directory::Directory;
use crate::call::Interrupt;
use crate::error::{Error, ErrorKind, Result};

const SHORTEST_PAUSE: Duration = Duration::from_micros(50);

/// `flock` does not queue those who poll, so a waiter has to look often to get its turn between
/// two writes of a busy one.
const LONGEST_PAUSE: Duration = Duration::from_millis(1);

/// How long a call waits for a lock, and how its caller calls it back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub(super) started: Instant,
    pub(super) timeout: Duration,
    pub(super) interrupt: Interrupt,
}

/// A file whose lock is held.
#[derive(Debug)]
pub(super) struct Locked(File);

impl Locked {
    /// Takes the lock of `file` if it is free.
    pub(super) fn try_lock(file: File) -> Result<Self, (File, Errno)> {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self(file)),
            Err(error) => Err((file, error)),
        }
    }
}

impl Deref for Locked {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // Closing is not enough: a child forked meanwhile holds a copy of the descriptor, and
        // with it the lock. If this fails, closing still frees it where there is no such child.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

/// Opens and locks the file `name`; `None` if there is none.
///
/// A save puts a new file in the place of the one whose lock it holds, so whoever gets a lock looks
/// whether the name still leads to that file, and if not, begins again.
pub(super) fn lock(
    directory: &Directory<'_>,
    name: &str,
    access: OFlags,
    patience: Patience,
) -> Result<Option<Locked>> {
    loop {
        let Some(file) = directory.open_file(name, access)? else { return Ok(None) };
        let locked = wait(directory, name, file, patience)?;
        if directory.still_names(name, &locked)? {
            return Ok(Some(locked));
        }
    }
}

fn wait(
    directory: &Directory<'_>,
    name: &str,
    mut file: File,
    patience: Patience,
) -> Result<Locked> {
    let mut pause = SHORTEST_PAUSE;
    loop {
        file = match Locked::try_lock(file) {
            Ok(locked) => return Ok(locked),
            Err((file, Errno::WOULDBLOCK | Errno::INTR)) => file,
            Err((_, error)) => return Err(directory.place(name).fault("lock", error)),
        };
        let place = directory.place(name);
        if (patience.interrupt)() {
            let message = format!("interrupted while waiting for the lock of {place}");
            return Err(Error::new(ErrorKind::Interrupted, message));
        }
        if patience.started.elapsed() >= patience.timeout {
            let message = format!(
                "{place} stayed locked by another writer for the time the call may take; nothing \
                 was changed: try again, or find the process that holds it"
            );
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        // A signal ends the pause early, and then `interrupt` is asked at once.
        let _ = Timespec::try_from(pause).map(|pause| poll(&mut [], Some(&pause)));
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patience(timeout: Duration, interrupt: Interrupt) -> Patience {
        Patience { started: Instant::now(), timeout, interrupt }
    }

    #[test]
    fn a_held_lock_ends_in_unavailable_or_interrupted_and_a_freed_one_is_taken() {
        let root = tempfile::tempdir().unwrap();
        let directory = Directory::open(root.path()).unwrap().unwrap();
        std::fs::write(root.path().join("a"), "").unwrap();
        let take = |patience| lock(&directory, "a", OFlags::RDWR, patience);
        let held = take(patience(Duration::ZERO, || false)).unwrap().unwrap();
        let error = take(patience(Duration::from_millis(20), || false)).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Unavailable);
        let error = take(patience(Duration::from_secs(60), || true)).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Interrupted);
        drop(held);
        assert!(take(patience(Duration::ZERO, || false)).unwrap().is_some());
    }

    #[test]
    fn a_lock_of_a_file_that_was_replaced_meanwhile_is_not_taken_for_the_new_one() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("a"), "old").unwrap();
        let directory = Directory::open(root.path()).unwrap().unwrap();
        let take =
            || lock(&directory, "a", OFlags::RDWR, patience(Duration::from_secs(60), || false));
        let held = take().unwrap().unwrap();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| take().unwrap().unwrap().metadata().unwrap().len());
            std::fs::write(root.path().join("b"), "newer").unwrap();
            std::fs::rename(root.path().join("b"), root.path().join("a")).unwrap();
            drop(held);
            assert_eq!(waiter.join().unwrap(), 5);
        });
    }
}
