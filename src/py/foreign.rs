//! The verbs on a client of the caller's own, which Python code asks for each command.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use pyo3::exceptions::{PyBaseException, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet, PyString, PyTuple,
};

use super::batch::PyBatch;
use super::error::exception;
use super::refusal::type_name;
use super::results;
use super::store::Store;
use crate::backend::Backend;
use crate::call::{Failure, Retry};
use crate::error::{Error, ErrorKind, Result};
use crate::exchange::Exchange;
use crate::messages::Limits;
use crate::plan::{Reply, Route, ServerError};
use crate::store::{Ask, Verb};

/// The verbs, driven by a function of Python's: blocking or coroutines, as that function is.
#[pyclass(frozen, module = "redember._core")]
#[derive(Debug)]
pub(super) struct ForeignStore {
    pub(super) place: Errand,
    pub(super) limits: Limits,
}

/// A backend, and the function that carries an exchange to its end.
#[derive(Debug)]
pub(super) struct Errand {
    pub(super) backend: Arc<Backend>,
    drive: Py<PyAny>,
    drive_all: Py<PyAny>,
}

/// Returns the same store with verbs that call `drive` with an exchange, or `drive_all` with many.
#[pyfunction]
pub(super) fn to_foreign(store: &Store, drive: Py<PyAny>, drive_all: Py<PyAny>) -> ForeignStore {
    let backend = store.place.backend.clone();
    ForeignStore { place: Errand { backend, drive, drive_all }, limits: store.limits }
}

/// Has Python run what is asked; returns what it returns, an answer or a coroutine.
pub(super) fn run<'py>(
    py: Python<'py>,
    Errand { backend, drive, drive_all }: &Errand,
    ask: impl Into<Ask>,
) -> PyResult<Bound<'py, PyAny>> {
    match ask.into() {
        Ask::One(verb) => drive.bind(py).call1((exchange(py, backend, verb, Instant::now())?,)),
        Ask::Many(batch) => {
            let (backend, started) = (backend.clone(), batch.started());
            let verbs = Mutex::new(batch.verbs.into_iter());
            drive_all.bind(py).call1((PyExchanges { backend, started, verbs },))
        }
    }
}

/// Has Python run the next part of a batch; `None` if there are no more.
pub(super) fn run_part<'py>(
    py: Python<'py>,
    errand: &Errand,
    batch: &PyBatch,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    batch.next(py)?.map(|part| run(py, errand, part)).transpose()
}

fn exchange(
    py: Python<'_>,
    backend: &Backend,
    verb: Verb,
    started: Instant,
) -> PyResult<PyExchange> {
    let exchange = backend.exchange(verb, started).map_err(|error| exception(py, &error))?;
    Ok(PyExchange(Mutex::new(exchange)))
}

/// Many calls, each to be begun when the one before it is over.
#[pyclass(frozen, name = "Exchanges", module = "redember._core")]
#[derive(Debug)]
pub(super) struct PyExchanges {
    backend: Arc<Backend>,
    started: Instant,
    verbs: Mutex<std::vec::IntoIter<Verb>>,
}

#[pymethods]
impl PyExchanges {
    /// Begins the next call; `None` after the last one.
    fn begin(&self, py: Python<'_>) -> PyResult<Option<PyExchange>> {
        let verb = self.verbs.lock().unwrap_or_else(PoisonError::into_inner).next();
        verb.map(|verb| exchange(py, &self.backend, verb, self.started)).transpose()
    }
}

/// One call on its way.
#[pyclass(frozen, name = "Exchange", module = "redember._core")]
#[derive(Debug)]
pub(super) struct PyExchange(Mutex<Exchange>);

/// To every primary, to the server with this label, or, if neither, to the one with the key; and
/// the commands.
type Errands<'py> = (bool, Option<String>, Vec<Bound<'py, PyTuple>>);

#[pymethods]
impl PyExchange {
    /// Returns what to send now, and where; `None` when the call is over.
    fn request<'py>(&self, py: Python<'py>) -> PyResult<Option<Errands<'py>>> {
        let exchange = self.lock();
        if exchange.is_over() {
            return Ok(None);
        }
        let (commands, form) = exchange.commands();
        let commands = commands.into_iter().map(|command| {
            let mut parts: Vec<Bound<'py, PyAny>> = Vec::new();
            command.for_each_part(form, |part| {
                // The name is text, as redis-py's own commands have it.
                parts.push(match std::str::from_utf8(part) {
                    Ok(name) if parts.is_empty() => PyString::new(py, name).into_any(),
                    _ => PyBytes::new(py, part).into_any(),
                });
            });
            PyTuple::new(py, parts)
        });
        let commands = commands.collect::<PyResult<_>>()?;
        let (every, server) = match exchange.route() {
            Route::Key => (false, None),
            Route::EveryPrimary => (true, None),
            Route::Server(label) => (false, Some(label.clone())),
        };
        Ok(Some((every, server, commands)))
    }

    /// Takes the replies; returns how many seconds to pause before the next request.
    fn answered(&self, replies: &Bound<'_, PyList>, doubtful: bool) -> PyResult<f64> {
        let py = replies.py();
        let replies = replies.iter().map(|reply| read(&reply)).collect::<PyResult<_>>()?;
        pause(py, self.lock().answered(replies, doubtful))
    }

    /// Takes that there is no such server any more; returns like `answered`.
    fn gone(&self, py: Python<'_>) -> PyResult<f64> {
        pause(py, self.lock().gone())
    }

    /// Takes that no reply could be had, and why; returns like `answered`.
    fn failed(
        &self,
        py: Python<'_>,
        reason: String,
        sent: bool,
        timed_out: bool,
        again: bool,
    ) -> PyResult<f64> {
        let error = Error::new(ErrorKind::Unavailable, reason);
        let retry = if again { Retry::Later } else { Retry::Never };
        let failure = Failure { error, sent, retry, timed_out, lost: again };
        pause(py, self.lock().failed(&failure))
    }

    /// Returns the answer, once.
    fn answer<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let answer = self.lock().take_answer();
        let missing = || PyTypeError::new_err("the call is not over, or its answer was taken");
        results::to_python(py, answer.ok_or_else(missing)?)
    }
}

impl PyExchange {
    fn lock(&self) -> MutexGuard<'_, Exchange> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pause(py: Python<'_>, step: Result<std::time::Duration>) -> PyResult<f64> {
    step.map(|pause| pause.as_secs_f64()).map_err(|error| exception(py, &error))
}

/// Reads a reply as a client hands it out: raw, decoded, or made into Python's own collections.
fn read(value: &Bound<'_, PyAny>) -> PyResult<Reply> {
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Ok(Reply::Text(Bytes::copy_from_slice(bytes.as_bytes())));
    }
    if value.is_none() {
        return Ok(Reply::Nil);
    }
    if let Ok(flag) = value.cast::<PyBool>() {
        return Ok(Reply::Integer(flag.is_true().into()));
    }
    if value.is_instance_of::<PyInt>() || value.is_instance_of::<PyFloat>() {
        let text = || Ok(Reply::Text(value.str()?.to_string_lossy().into_owned().into()));
        return value.extract().map_or_else(|_| text(), |number| Ok(Reply::Integer(number)));
    }
    if let Ok(text) = value.cast::<PyString>() {
        // What was no UTF-8 has become lone surrogates, and becomes bytes again.
        let bytes = text.call_method1("encode", ("utf-8", "surrogateescape"))?;
        return Ok(Reply::Text(Bytes::copy_from_slice(bytes.extract()?)));
    }
    if value.is_instance_of::<PyBaseException>() {
        return Ok(Reply::Error(ServerError::parse(&value.str()?.to_string_lossy())));
    }
    if let Ok(pairs) = value.cast::<PyDict>() {
        let items = pairs.iter().flat_map(|(name, value)| [name, value]);
        return items.map(|item| read(&item)).collect::<PyResult<_>>().map(Reply::Array);
    }
    let is_collection = value.is_instance_of::<PyList>()
        || value.is_instance_of::<PyTuple>()
        || value.is_instance_of::<PySet>()
        || value.is_instance_of::<PyFrozenSet>();
    if !is_collection {
        // No server says such a thing, and no plan expects it: the call ends with these words.
        let detail = format!("the client handed out a {} as a reply", type_name(value));
        return Ok(Reply::Error(ServerError { code: "ERR".to_owned(), detail }));
    }
    let items = value.try_iter()?.map(|item| read(&item?));
    items.collect::<PyResult<_>>().map(Reply::Array)
}
