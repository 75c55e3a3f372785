//! A file descriptor that one thread makes readable to wake another's event loop.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// An eventfd on Linux, a pipe elsewhere.
#[derive(Debug)]
pub(super) struct Wake {
    read: OwnedFd,
    #[cfg(not(target_os = "linux"))]
    write: OwnedFd,
}

#[cfg(target_os = "linux")]
impl Wake {
    pub(super) fn new() -> io::Result<Self> {
        use rustix::event::{EventfdFlags, eventfd};
        let read = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { read })
    }

    /// Makes the descriptor readable.
    pub(super) fn ring(&self) {
        // It can only fail when the counter is full, and then the loop is awake already.
        let _ = rustix::io::write(&self.read, &1_u64.to_ne_bytes());
    }
}

#[cfg(not(target_os = "linux"))]
impl Wake {
    pub(super) fn new() -> io::Result<Self> {
        let (read, write) = rustix::pipe::pipe()?;
        rustix::io::ioctl_fionbio(&read, true)?;
        rustix::io::ioctl_fionbio(&write, true)?;
        Ok(Self { read, write })
    }

    /// Makes the descriptor readable.
    pub(super) fn ring(&self) {
        // It can only fail when the pipe is full, and then the loop is awake already.
        let _ = rustix::io::write(&self.write, &[1]);
    }
}

impl Wake {
    /// Returns the descriptor to watch.
    pub(super) fn descriptor(&self) -> RawFd {
        self.read.as_raw_fd()
    }

    /// Makes the descriptor unreadable again.
    pub(super) fn quiet(&self) {
        let mut counter = [0; 8];
        let _ = rustix::io::read(&self.read, &mut counter);
    }
}
