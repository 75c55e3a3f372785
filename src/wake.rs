//! A file descriptor that one thread makes readable to wake another.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// An eventfd on Linux, a pipe elsewhere.
#[derive(Debug)]
pub(crate) struct Wake {
    read: OwnedFd,
    #[cfg(not(target_os = "linux"))]
    write: OwnedFd,
}

#[cfg(target_os = "linux")]
impl Wake {
    pub(crate) fn new() -> io::Result<Self> {
        use rustix::event::{EventfdFlags, eventfd};
        let read = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { read })
    }

    /// Makes the descriptor readable.
    pub(crate) fn ring(&self) {
        // It can only fail when the counter is full, and then the loop is awake already.
        let _ = rustix::io::write(&self.read, &1_u64.to_ne_bytes());
    }
}

#[cfg(not(target_os = "linux"))]
impl Wake {
    pub(crate) fn new() -> io::Result<Self> {
        let (read, write) = rustix::pipe::pipe()?;
        rustix::io::ioctl_fionbio(&read, true)?;
        rustix::io::ioctl_fionbio(&write, true)?;
        Ok(Self { read, write })
    }

    /// Makes the descriptor readable.
    pub(crate) fn ring(&self) {
        // It can only fail when the pipe is full, and then the loop is awake already.
        let _ = rustix::io::write(&self.write, &[1]);
    }
}

impl Wake {
    /// Makes the descriptor unreadable again.
    pub(crate) fn quiet(&self) {
        let mut counter = [0; 8];
        let _ = rustix::io::read(&self.read, &mut counter);
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }
}
