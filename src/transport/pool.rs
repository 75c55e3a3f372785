//! A small pool of blocking connections: last in, first out, never more than its size.
//!
//! Health is told by use, not by an extra `PING`: a connection that fails is dropped, and the call
//! goes on with another. One that the server closed while it lay idle is seen without asking. Nothing runs in the background, so a fork leaves nothing half done.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::address::{Address, Bounds};
use super::connection::{Connection, failure};
use super::gate::{Gate, Turn};
use super::{retired, stream};
use crate::call::{Failure, Retry};
use crate::error::{Error, ErrorKind};

/// Idle connections are dropped after this long: many servers and proxies drop them by then.
const MAX_IDLE: Duration = Duration::from_secs(240);
/// Connections are replaced at this age, so that a changed address or password is noticed.
const MAX_LIFE: Duration = Duration::from_secs(3600);
/// How long a connection that was given back is taken to be as it was, by calls that read: asking the
/// system takes a fifth of what a client adds to a round trip. One that was closed meanwhile costs
/// a read an attempt, but would leave a write in doubt.
const TRUSTED: Duration = Duration::from_micros(250);
/// How often a call that waits for a connection looks for Ctrl-C.
const SLICE: Duration = Duration::from_millis(50);

/// A pool of connections to one server.
#[derive(Debug)]
pub(super) struct Pool {
    address: Address,
    gate: Arc<Gate>,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Idle>,
    open: usize,
    /// Calls that wait for a connection: while there are none, giving one back wakes nobody, which
    /// would be a system call.
    waiting: usize,
    closed: bool,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    opened: Instant,
    since: Instant,
}

impl State {
    /// Drops the connections that lay idle for too long or lived for too long.
    fn drop_old(&mut self, now: Instant) {
        let before = self.idle.len();
        self.idle.retain(|idle| now - idle.since < MAX_IDLE && now - idle.opened < MAX_LIFE);
        self.open -= before - self.idle.len();
    }
}

/// How many connections a pool has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// The most it may open.
    pub size: usize,
    /// Open now, idle ones included.
    pub open: usize,
    /// Waiting for a call.
    pub idle: usize,
}

/// A connection on loan. It is dropped unless it is given back with [`Lease::keep`].
#[derive(Debug)]
pub(super) struct Lease<'a> {
    pool: &'a Pool,
    connection: Option<Connection>,
    opened: Instant,
}

impl Pool {
    /// Makes an empty pool.
    pub(super) fn new(address: Address, gate: Arc<Gate>) -> Self {
        Self { address, gate, state: Mutex::default(), freed: Condvar::new() }
    }

    /// Takes a connection: an idle one, a new one, or the next that is given back; to write on it, or
    /// only to read.
    pub(super) fn lease(&self, writes: bool, bounds: Bounds) -> Result<Lease<'_>, Failure> {
        let mut now = bounds.began;
        let mut state = self.lock();
        loop {
            if state.closed {
                return Err(retired(&self.address));
            }
            state.drop_old(now);
            if let Some(Idle { connection, opened, since }) = state.idle.pop() {
                drop(state); // asking the system takes long enough for other calls to queue up
                let is_trusted = !writes && now.saturating_duration_since(since) < TRUSTED;
                let is_stale = !is_trusted && connection.is_stale();
                let lease = Lease { pool: self, connection: Some(connection), opened };
                if !is_stale {
                    return Ok(lease);
                }
                drop(lease);
                state = self.lock();
                continue;
            }
            if state.open < self.size() {
                state.open += 1;
                drop(state);
                // From here on the lease gives the place back, whatever happens.
                let mut lease = Lease { pool: self, connection: None, opened: now };
                lease.connection = Some(self.open(bounds)?);
                return Ok(lease);
            }
            if now >= bounds.deadline {
                return Err(Failure::before_sending(self.exhausted(), Retry::Later));
            }
            let slice = SLICE.min(bounds.deadline - now);
            state.waiting += 1;
            let waited = self.freed.wait_timeout(state, slice);
            let (mut woken, _) = waited.unwrap_or_else(PoisonError::into_inner);
            woken.waiting -= 1;
            // The lock is let go first: the interpreter may be waiting for it, and we for that.
            drop(woken);
            if (bounds.interrupt)() {
                let error = Error::new(ErrorKind::Interrupted, "interrupted");
                return Err(Failure::before_sending(error, Retry::Never));
            }
            state = self.lock();
            now = Instant::now();
        }
    }

    /// Opens a connection, when it is this call's turn.
    fn open(&self, bounds: Bounds) -> Result<Connection, Failure> {
        loop {
            match self.gate.turn(bounds.began) {
                Turn::Now => break,
                Turn::Over(failure) => return Err(failure),
                Turn::At(next) => {
                    let until = next.min(bounds.deadline);
                    let pause = until.saturating_duration_since(Instant::now());
                    stream::pause(pause, bounds.interrupt)
                        .map_err(|error| failure(&self.address, "", &error, false, Retry::Never))?;
                    // All that wait would come at once, each too late to be answered.
                    if Instant::now() >= bounds.deadline {
                        return Err(self.too_late());
                    }
                }
            }
        }
        Connection::open(&self.address, bounds).inspect_err(|failure| self.gate.refuse(failure))
    }

    /// Says why a call did not connect whose turn had not come in time. It has seen nothing of the server
    /// itself, so nobody else has to wait for longer.
    fn too_late(&self) -> Failure {
        self.gate.refusal().unwrap_or_else(|| {
            let cause = "it went away, and others were to try first until the time was up";
            let error = self.address.unreachable("cannot connect to", cause);
            Failure { timed_out: true, ..Failure::before_sending(error, Retry::Later) }
        })
    }

    /// Closes the idle connections and refuses new loans; those on loan end with their calls.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.open -= state.idle.len();
        state.idle.clear();
        drop(state);
        self.freed.notify_all();
    }

    /// Drops the idle connections.
    pub(super) fn drop_idle(&self) {
        let mut state = self.lock();
        state.open -= state.idle.len();
        state.idle.clear();
    }

    /// In a forked child: closes this process's copies of the parent's idle sockets.
    ///
    /// Nothing is sent on them. The lock may be held by a thread that the child does not have.
    pub(super) fn abandon(&self) {
        if let Ok(mut state) = self.state.try_lock() {
            state.idle.clear();
        }
    }

    /// Returns how many connections there are.
    pub(super) fn status(&self) -> Status {
        let state = self.lock();
        Status { size: self.size(), open: state.open, idle: state.idle.len() }
    }

    /// Lets the next call have the place or the connection that has become free.
    fn wake_one(&self, state: MutexGuard<'_, State>) {
        let anybody = state.waiting > 0;
        drop(state);
        if anybody {
            self.freed.notify_one();
        }
    }

    fn size(&self) -> usize {
        self.address.settings.options.pool_size
    }

    fn exhausted(&self) -> Error {
        Error::new(
            ErrorKind::Unavailable,
            format!(
                "all {} connections to {} are in use; raise pool_size, or make fewer calls at once",
                self.size(),
                self.address
            ),
        )
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease<'_> {
    pub(super) fn connection(&mut self) -> Option<&mut Connection> {
        self.connection.as_mut()
    }

    /// Gives the connection back: it has no reply outstanding.
    pub(super) fn keep(mut self) {
        let mut state = self.pool.lock();
        if let Some(connection) = self.connection.take() {
            if state.closed {
                state.open -= 1;
            } else {
                let since = Instant::now();
                state.idle.push(Idle { connection, opened: self.opened, since });
            }
        }
        self.pool.wake_one(state);
        std::mem::forget(self);
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        state.open -= 1;
        self.pool.wake_one(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{ClientOptions, Endpoint};
    use crate::transport::Settings;
    use crate::transport::address::Role;

    #[test]
    fn a_call_whose_turn_comes_too_late_neither_connects_nor_makes_others_wait() {
        let settings = Settings::new(ClientOptions::default());
        let endpoint = Endpoint::tcp("127.0.0.1", 1); // a connection to it would be refused
        let address = Address { endpoint, role: Role::Only, settings };
        let gate = Arc::new(Gate::default());
        let pool = Pool::new(address, gate.clone());
        (0..20).for_each(|_| gate.set_back());
        let began = Instant::now();
        let (deadline, patience) = (began + Duration::from_millis(1), Duration::from_secs(1));
        let bounds = Bounds { began, deadline, patience, interrupt: || false };
        let failure = pool.open(bounds).unwrap_err();
        assert!(failure.error.to_string().contains("others were to try first"));
        assert!(failure.timed_out && !failure.sent && !failure.lost);
        assert!(gate.refusal().is_none(), "nothing was tried");
    }
}
