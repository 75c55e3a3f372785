//! How many threads the asyncio calls of one place may keep.
//!
//! What takes long (files, batches) is done by threads of the runtime, which all places share. Those of a
//! server that hangs must not keep all of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;

use crate::error::{CallReport, Error, ErrorKind, Result};
use crate::process::ProcessId;

/// Calls of one place that have a thread at a time.
const SEATS: usize = 8;

/// The threads that calls of one place may have.
#[derive(Debug)]
pub(crate) struct Seats(ArcSwap<OfProcess>);

/// Those of one process: a forked child has none of the threads that have taken its parent's.
#[derive(Debug)]
struct OfProcess {
    process: ProcessId,
    free: Arc<Semaphore>,
}

impl OfProcess {
    fn new() -> Arc<Self> {
        let free = Arc::new(Semaphore::new(SEATS));
        Arc::new(Self { process: ProcessId::current(), free })
    }
}

impl Default for Seats {
    fn default() -> Self {
        Self(ArcSwap::new(OfProcess::new()))
    }
}

impl Seats {
    /// Takes a seat, until which other calls may have to end; `started` is when the call began.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if none is free within `timeout`.
    pub(crate) async fn take(
        &self,
        operation: &'static str,
        started: Instant,
        timeout: Duration,
    ) -> Result<OwnedSemaphorePermit> {
        let mut ours = self.0.load_full();
        if ours.process != ProcessId::current() {
            ours = OfProcess::new();
            self.0.store(ours.clone());
        }
        let free = ours.free.clone().acquire_owned();
        let taken = match started.checked_add(timeout) {
            Some(until) => timeout_at(until.into(), free).await,
            None => Ok(free.await),
        };
        taken.ok().and_then(std::result::Result::ok).ok_or_else(|| {
            let message = format!(
                "{SEATS} such calls were under way all the while and none ended; nothing was sent: make \
                 fewer at once, or find out what keeps them"
            );
            let elapsed = started.elapsed();
            let report = CallReport { operation, attempts: 0, elapsed, timed_out: true };
            Error::new(ErrorKind::Unavailable, message).in_call(report)
        })
    }
}
