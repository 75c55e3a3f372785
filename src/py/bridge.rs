//! Where calls leave the interpreter and answers come back. The only file that blocks, spawns,
//! attaches, detaches or names the runtime.
//!
//! Blocking calls detach once, for the whole call. Asyncio calls are spawned on a tokio runtime;
//! their answers queue up in a [`Port`], one for each event loop, which wakes the loop through a file
//! descriptor. A burst of answers costs one wake-up, and no thread but the loop's own ever runs
//! Python code, so nothing can attach to an interpreter that is ending.
#![expect(clippy::disallowed_methods, reason = "this is the file the bans point to")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;
use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use tokio::runtime::{Builder, Runtime};

use super::login::LoginSource;
use super::{error, results};
use crate::backend::Backend;
use crate::error::Result;
use crate::store::{Answer, Ask, mended};
use crate::wake::Wake;

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

/// Runs what is asked on the runtime; returns a future of the running event loop.
pub(super) fn awaitable<'py>(
    py: Python<'py>,
    Handle { backend, login }: &Handle,
    ask: impl Into<Ask>,
) -> PyResult<Bound<'py, PyAny>> {
    let ask = ask.into();
    let event_loop = running_loop(py)?;
    let port = port(py, &event_loop)?;
    let future = event_loop.call_method0(intern!(py, "create_future"))?;
    let mut again = None;
    if let Some(login) = login {
        again = Some(Again { used: login.current(py)?, login: login.clone(), ask: ask.clone() });
    }
    let (backend, first) = (backend.clone(), None);
    let expected = Expected { future: future.clone().unbind(), backend, again, first };
    port.get().send(expected, ask)?;
    Ok(future)
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
fn tell_notices(py: Python<'_>, backend: &Backend) -> PyResult<()> {
    for notice in backend.take_notices() {
        let logging = py.import(intern!(py, "logging"))?;
        let logger = logging.call_method1(intern!(py, "getLogger"), ("redember",))?;
        logger.call_method1(intern!(py, "warning"), ("%s", notice))?;
    }
    Ok(())
}

/// The answers that are on their way to one event loop.
#[pyclass(frozen, weakref, module = "redember._core")]
#[derive(Debug)]
struct Port {
    mailbox: Arc<Mailbox>,
    expected: Mutex<HashMap<u64, Expected>>,
    next: AtomicU64,
}

#[derive(Debug)]
struct Expected {
    future: Py<PyAny>,
    backend: Arc<Backend>,
    again: Option<Again>,
    /// What the first try came to, where this is the second.
    first: Option<Result<Answer>>,
}

/// What to try once more, should the password have changed.
#[derive(Debug)]
struct Again {
    login: Arc<LoginSource>,
    /// The number of the login that the server may refuse.
    used: u64,
    ask: Ask,
}

/// The part of a [`Port`] that the runtime's thread sees: it holds nothing of Python's.
#[derive(Debug)]
struct Mailbox {
    answers: Mutex<Vec<(u64, Result<Answer>)>>,
    /// Whether the loop has been woken for answers that it has not taken yet.
    rung: AtomicBool,
    wake: Wake,
}

impl Mailbox {
    fn deliver(&self, ticket: u64, answer: Result<Answer>) {
        lock(&self.answers).push((ticket, answer));
        // AcqRel, with the swap in `take`: either the loop sees this answer, or it is woken again.
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.wake.ring();
        }
    }

    fn take(&self) -> Vec<(u64, Result<Answer>)> {
        self.wake.quiet();
        self.rung.swap(false, Ordering::AcqRel);
        std::mem::take(&mut lock(&self.answers))
    }
}

impl Port {
    fn new() -> std::io::Result<Self> {
        let mailbox =
            Mailbox { answers: Mutex::default(), rung: AtomicBool::new(false), wake: Wake::new()? };
        Ok(Self { mailbox: Arc::new(mailbox), expected: Mutex::default(), next: AtomicU64::new(0) })
    }

    /// Has the runtime run what is asked; the answer is expected here.
    fn send(&self, expected: Expected, ask: Ask) -> PyResult<()> {
        let call = expected.backend.clone().run_async(ask);
        // Relaxed: tickets only have to differ.
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        lock(&self.expected).insert(ticket, expected);
        let mailbox = self.mailbox.clone();
        runtime()?.spawn(async move { mailbox.deliver(ticket, call.await) });
        Ok(())
    }

    fn hand_out(&self, py: Python<'_>, ticket: u64, answer: Result<Answer>) -> PyResult<()> {
        let expected = lock(&self.expected).remove(&ticket);
        let Some(Expected { future, backend, again, first }) = expected else { return Ok(()) };
        let future = future.bind(py);
        // A cancelled future wants no answer.
        if !future.call_method0(intern!(py, "done"))?.is_truthy()? {
            let refused = again.and_then(|Again { login, used, ask }| {
                ask.refused(&answer).map(|ask| (login.after(py, used), ask))
            });
            let answer = match refused {
                None => {
                    let answer = match first {
                        None => answer,
                        Some(first) => mended(first, answer),
                    };
                    answer.map_err(|failure| error::exception(py, &failure))
                }
                Some((Err(raised), _)) => Err(raised),
                Some((Ok(_), ask)) => {
                    let (future, first) = (future.clone().unbind(), Some(answer));
                    return self.send(Expected { future, backend, again: None, first }, ask);
                }
            };
            match answer.and_then(|answer| results::to_python(py, answer)) {
                Ok(answer) => future.call_method1(intern!(py, "set_result"), (answer,))?,
                Err(raised) => future.call_method1(intern!(py, "set_exception"), (raised,))?,
            };
        }
        tell_notices(py, &backend)
    }
}

#[pymethods]
impl Port {
    /// Hands out the answers that have come; the event loop calls it.
    fn drain(&self, py: Python<'_>) {
        for (ticket, answer) in self.mailbox.take() {
            // One that fails must not keep the others from being handed out.
            if let Err(raised) = self.hand_out(py, ticket, answer) {
                raised.write_unraisable(py, None);
            }
        }
    }
}

/// Returns the port of an event loop, opening it at the loop's first call.
fn port<'py>(py: Python<'py>, event_loop: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Port>> {
    static PORTS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let ports = PORTS.get_or_try_init(py, || {
        let class = py.import("weakref")?.getattr("WeakKeyDictionary")?;
        class.call0().map(Bound::unbind)
    })?;
    let ports = ports.bind(py);
    let known = ports.call_method1(intern!(py, "get"), (event_loop,))?;
    if let Ok(port) = known.cast_into::<Port>() {
        return Ok(port);
    }
    // A port keeps the futures of calls on their way, and they keep their loop: one that was closed
    // meanwhile is let go here.
    for other in
        ports.call_method0(intern!(py, "keys"))?.try_iter()?.collect::<PyResult<Vec<_>>>()?
    {
        if other.call_method0(intern!(py, "is_closed"))?.is_truthy()? {
            ports.call_method1(intern!(py, "pop"), (other, py.None()))?;
        }
    }
    let port = Bound::new(py, Port::new()?)?;
    let descriptor = port.get().mailbox.wake.as_fd().as_raw_fd();
    let drain = port.getattr(intern!(py, "drain"))?;
    event_loop.call_method1(intern!(py, "add_reader"), (descriptor, drain))?;
    ports.set_item(event_loop, &port)?;
    Ok(port)
}

fn running_loop(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    static GET: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    GET.import(py, "asyncio", "get_running_loop")?.call0()
}

/// Returns this process's runtime, made at the first asyncio call.
///
/// After a fork the parent's is left alone: its threads are not in the child, and dropping it would
/// wait for them.
fn runtime() -> PyResult<Arc<ProcessRuntime>> {
    static RUNTIME: ArcSwapOption<ProcessRuntime> = ArcSwapOption::const_empty();
    let current = RUNTIME.load_full();
    let process = std::process::id();
    if let Some(current) = current.as_ref().filter(|current| current.process == process) {
        return Ok(current.clone());
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(8)
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

fn runtime_of(process: u32, current: Option<Arc<ProcessRuntime>>) -> PyResult<Arc<ProcessRuntime>> {
    current
        .filter(|current| current.process == process)
        .ok_or_else(|| PyRuntimeError::new_err("the process forked while the runtime was starting"))
}

struct ProcessRuntime {
    process: u32,
    runtime: Runtime,
}

impl ProcessRuntime {
    fn spawn(&self, call: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(call);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
