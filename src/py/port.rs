//! Where asyncio calls begin and their answers come back: one [`Port`] for each event loop.
//!
//! A call is driven on the loop's own thread, by the port's reactor, which the loop watches through
//! one file descriptor. What takes long (files, batches, large conversations) is driven by the
//! runtime's threads. No thread but the loop's own ever runs Python code.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use super::batch::PyBatch;
use super::bridge::{Handle, ProcessRuntime, runtime, tell_notices};
use super::login::LoginSource;
use super::{error, results};
use crate::backend::Backend;
use crate::error::{Error, ErrorKind, Result};
use crate::reactor::{Bell, Reactor};
use crate::store::{Answer, Ask, mended};

/// Begins what is asked; returns a future of the running event loop.
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
    // What need not wait is not answered at once, either: other tasks get their turn.
    let is_local = expected.backend.is_local();
    if port.get().begin(expected, ask) == Begun::Alone && !is_local {
        port.get().go_on(py)?;
    } else if !port.get().due.load(Ordering::Relaxed) {
        // Calls of many tasks travel together: they have all begun before the loop comes to this.
        let drain = port.getattr(intern!(py, "drain"))?;
        event_loop.call_method1(intern!(py, "call_soon"), (drain,))?;
        port.get().due.store(true, Ordering::Relaxed);
    }
    Ok(future)
}

/// Begins the next part of a batch; `None` if there are no more.
pub(super) fn awaitable_part<'py>(
    py: Python<'py>,
    handle: &Handle,
    batch: &PyBatch,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    batch.next(py)?.map(|part| awaitable(py, handle, part)).transpose()
}

/// The calls of one event loop that are on their way.
#[pyclass(frozen, weakref, module = "redember._core")]
#[derive(Debug)]
struct Port {
    runtime: Arc<ProcessRuntime>,
    reactor: Arc<Reactor>,
    answers: Arc<Answers>,
    expected: Mutex<HashMap<u64, Expected>>,
    next: AtomicU64,
    /// Whether the loop was asked to drain the port soon.
    due: AtomicBool,
}

/// Answers that have come, and the tickets of their calls.
type Answers = Mutex<Vec<(u64, Result<Answer>)>>;

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

/// Whether a call that begins is the only one.
#[derive(Debug, PartialEq, Eq)]
enum Begun {
    Alone,
    WithOthers,
}

impl Port {
    fn new() -> PyResult<Self> {
        let (answers, expected, next, due) = Default::default();
        Ok(Self { runtime: runtime()?, reactor: Reactor::new()?, answers, expected, next, due })
    }

    /// Begins what is asked; the answer is expected here, after a turn of the reactor.
    fn begin(&self, expected: Expected, ask: Ask) -> Begun {
        let backend = expected.backend.clone();
        // Relaxed: tickets only have to differ.
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        let begun = {
            let mut calls = lock(&self.expected);
            calls.insert(ticket, expected);
            if calls.len() == 1 { Begun::Alone } else { Begun::WithOthers }
        };
        let delivery = Delivery {
            ticket: Some(ticket),
            answers: self.answers.clone(),
            bell: self.reactor.bell().clone(),
        };
        if backend.is_quick(&ask) {
            let home = Some(Arc::downgrade(&self.reactor));
            self.reactor.invite(async move { delivery.make(backend.run_at(home, ask).await) });
        } else {
            self.runtime.spawn(async move { delivery.make(backend.run_at(None, ask).await) });
        }
        begun
    }

    /// Has the reactor take a turn, and hands out the answers that have come.
    fn go_on(&self, py: Python<'_>) -> PyResult<()> {
        if !self.take_turn() {
            return Ok(());
        }
        let mut wants_out = Ok(());
        // Taken before anything runs that could come back here, or keep others waiting for the lock.
        let answers = std::mem::take(&mut *lock(&self.answers));
        for (ticket, answer) in answers {
            // One that fails must not keep the others from being handed out.
            match self.hand_out(py, ticket, answer) {
                Err(raised) if raised.is_instance_of::<PyException>(py) => {
                    raised.write_unraisable(py, None);
                }
                Err(raised) => wants_out = Err(raised), // a signal's handler raised it
                Ok(()) => {}
            }
        }
        wants_out
    }

    /// Has the reactor take a turn; returns whether it has.
    fn take_turn(&self) -> bool {
        let is_ours = self.runtime.is_ours(); // a forked child would take what its parent waits for
        if is_ours {
            let _surrounded = self.runtime.surround();
            self.reactor.turn();
        }
        is_ours
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
                    self.begin(Expected { future, backend, again: None, first }, ask);
                    self.reactor.bell().ring();
                    return Ok(());
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
    /// Goes on with what can go on; the event loop calls it.
    fn drain(&self, py: Python<'_>) -> PyResult<()> {
        self.due.store(false, Ordering::Relaxed);
        self.go_on(py)
    }
}

/// Where the answer to one call goes. It holds nothing of Python's.
struct Delivery {
    ticket: Option<u64>,
    answers: Arc<Answers>,
    bell: Arc<Bell>,
}

impl Delivery {
    fn make(mut self, answer: Result<Answer>) {
        self.give(answer);
    }

    fn give(&mut self, answer: Result<Answer>) {
        if let Some(ticket) = self.ticket.take() {
            lock(&self.answers).push((ticket, answer));
            self.bell.ring();
        }
    }
}

impl Drop for Delivery {
    /// A call that panicked has no answer, and somebody who waits for one.
    fn drop(&mut self) {
        let kind = ErrorKind::OutcomeUnknown { op_id: None };
        self.give(Err(Error::new(kind, "the call ended in a bug of redember; please report it")));
    }
}

/// Closes connections of the running event loop, if one is running here, that nobody holds any more.
///
/// Whoever closes a client may be a handler of a signal, or what an answer is handed to: answers that have
/// come are left to the loop, which the bell wakes, since the turn has taken what would have.
pub(super) fn let_go(py: Python<'_>) -> PyResult<()> {
    let Ok(event_loop) = running_loop(py) else { return Ok(()) };
    let known = ports(py)?.call_method1(intern!(py, "get"), (event_loop,))?;
    if let Ok(port) = known.cast_into::<Port>()
        && port.get().take_turn()
    {
        port.get().reactor.bell().ring();
    }
    Ok(())
}

/// Returns the ports of all event loops.
fn ports(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static PORTS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let ports = PORTS.get_or_try_init(py, || {
        let class = py.import("weakref")?.getattr("WeakKeyDictionary")?;
        class.call0().map(Bound::unbind)
    })?;
    Ok(ports.bind(py))
}

/// Returns the port of an event loop, opening it at the loop's first call.
fn port<'py>(py: Python<'py>, event_loop: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Port>> {
    let ports = ports(py)?;
    let known = ports.call_method1(intern!(py, "get"), (event_loop,))?;
    // After a fork the loop's own thread may go on in the child, with a port of the parent's.
    if let Ok(port) = known.cast_into::<Port>()
        && port.get().runtime.is_ours()
    {
        return Ok(port);
    }
    // A port keeps the futures of calls on their way, and they keep their loop: one that was closed
    // meanwhile is let go here, with its connections.
    for other in ports.call_method0(intern!(py, "keyrefs"))?.try_iter()? {
        let other = other?.call0()?;
        if !other.is_none() && other.call_method0(intern!(py, "is_closed"))?.is_truthy()? {
            ports.call_method1(intern!(py, "pop"), (other, py.None()))?;
        }
    }
    let port = Bound::new(py, Port::new()?)?;
    let drain = port.getattr(intern!(py, "drain"))?;
    let descriptor = port.get().reactor.descriptor();
    event_loop.call_method1(intern!(py, "add_reader"), (descriptor, drain))?;
    ports.set_item(event_loop, &port)?;
    Ok(port)
}

fn running_loop(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    static GET: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    GET.import(py, "asyncio", "get_running_loop")?.call0()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
