//! Where blocking calls leave the interpreter, and the runtime that asyncio calls lean on. The only
//! file of `src/py` that blocks, spawns, attaches, detaches or names the runtime.
//!
//! Blocking calls detach once, for the whole call; a batch attaches again for its next items. No thread of
//! the runtime ever runs Python code, so nothing can attach to an interpreter that is ending.
#![expect(clippy::disallowed_methods, reason = "this is the file the bans point to")]

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwapOption;
use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError};
use pyo3::intern;
use pyo3::prelude::*;
use tokio::runtime::{Builder, EnterGuard, Runtime};

use super::batch::PyBatch;
use super::login::LoginSource;
use super::{error, results};
use crate::backend::Backend;
use crate::process::ProcessId;
use crate::store::{Ask, mended};

thread_local! {
    /// The exception of the signal handler that ended a blocking call.
    static INTERRUPT: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

/// A backend, and who tells it the password where that changes.
#[derive(Debug, Clone)]
pub(super) struct Handle {
    pub(super) backend: Arc<Backend>,
    pub(super) login: Option<Arc<LoginSource>>,
}

/// Runs what is asked on the calling thread, detached from the interpreter; Ctrl-C ends it.
pub(super) fn wait<'py>(
    py: Python<'py>,
    Handle { backend, login }: &Handle,
    ask: impl Into<Ask>,
) -> PyResult<Bound<'py, PyAny>> {
    let ask = ask.into();
    let run = |ask| py.detach(|| backend.run(ask, interrupted));
    let answer = match login {
        None => run(ask),
        Some(login) => {
            let used = login.current(py)?;
            let answer = run(ask.clone());
            match ask.refused(&answer) {
                None => answer,
                Some(again) => {
                    login.after(py, used)?;
                    mended(answer, run(again))
                }
            }
        }
    };
    tell_notices(py, backend)?;
    answer
        .map_err(|failure| error::exception(py, &failure))
        .and_then(|answer| results::to_python(py, answer))
}

/// Runs the next part of a batch, of which the rest is taken while the server works on its beginning;
/// `None` if there are no more.
pub(super) fn wait_part<'py>(
    py: Python<'py>,
    handle: &Handle,
    batch: &PyBatch,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Handle { backend, login: None } = handle else {
        // What the server refuses for the login's sake is asked once more, as a whole.
        return batch.next(py)?.map(|part| wait(py, handle, part)).transpose();
    };
    let Some(part) = batch.begin(py)? else { return Ok(None) };
    let mut more = || {
        if !batch.grows() {
            return Vec::new();
        }
        let asked = Instant::now();
        Python::attach(|py| batch.more(py, asked.elapsed()))
    };
    let answer = py.detach(|| backend.run_growing(part, &mut more, interrupted));
    tell_notices(py, backend)?;
    batch.check()?;
    answer
        .map_err(|failure| error::exception(py, &failure))
        .and_then(|answer| results::to_python(py, answer).map(Some))
}

/// Takes the exception that ended the last interrupted call of this thread.
pub(super) fn take_interrupt() -> PyErr {
    INTERRUPT.take().unwrap_or_else(|| PyKeyboardInterrupt::new_err(()))
}

/// Runs pending signal handlers; returns whether one raised.
fn interrupted() -> bool {
    Python::attach(|py| match py.check_signals() {
        Ok(()) => false,
        Err(raised) => {
            INTERRUPT.set(Some(raised));
            true
        }
    })
}

/// Logs what a backend has to tell people.
pub(super) fn tell_notices(py: Python<'_>, backend: &Backend) -> PyResult<()> {
    for notice in backend.take_notices() {
        let logging = py.import(intern!(py, "logging"))?;
        let logger = logging.call_method1(intern!(py, "getLogger"), ("redember",))?;
        logger.call_method1(intern!(py, "warning"), ("%s", notice))?;
    }
    Ok(())
}

/// Returns this process's runtime, made at the first asyncio call.
///
/// After a fork the parent's is left alone: its threads are not in the child, and dropping it would
/// wait for them.
pub(super) fn runtime() -> PyResult<Arc<ProcessRuntime>> {
    static RUNTIME: ArcSwapOption<ProcessRuntime> = ArcSwapOption::const_empty();
    let current = RUNTIME.load_full();
    let process = ProcessId::current();
    if let Some(current) = current.as_ref().filter(|current| current.process == process) {
        return Ok(current.clone());
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("redember")
        .enable_all()
        .build()
        .map_err(|failure| {
            PyRuntimeError::new_err(format!("cannot start the runtime: {failure}"))
        })?;
    let fresh = Arc::new(ProcessRuntime { process, runtime });
    let previous = RUNTIME.compare_and_swap(&current, Some(fresh));
    // Leaked on purpose, once for each fork.
    std::mem::forget(previous.clone());
    runtime_of(process, RUNTIME.load_full())
}

fn runtime_of(
    process: ProcessId,
    current: Option<Arc<ProcessRuntime>>,
) -> PyResult<Arc<ProcessRuntime>> {
    current
        .filter(|current| current.process == process)
        .ok_or_else(|| PyRuntimeError::new_err("the process forked while the runtime was starting"))
}

/// The runtime of one process.
#[derive(Debug)]
pub(super) struct ProcessRuntime {
    process: ProcessId,
    runtime: Runtime,
}

impl ProcessRuntime {
    /// Returns whether it was made in this process, and not before a fork.
    pub(super) fn is_ours(&self) -> bool {
        self.process == ProcessId::current()
    }

    /// Has a thread of the runtime run `call`.
    pub(super) fn spawn(&self, call: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(call);
    }

    /// Lets futures that this thread polls use the runtime's timers and threads.
    pub(super) fn surround(&self) -> EnterGuard<'_> {
        self.runtime.enter()
    }
}
