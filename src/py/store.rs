//! The classes through which the Python layer reaches the core.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyString;

use super::batch::{Kind, PyBatch};
use super::bridge::{self, Handle};
use super::client::PyClient;
use super::encode::{self, Texts};
use super::error::exception;
use super::foreign::{self, ForeignStore};
use super::port;
use crate::backend::{Backend, Place};
use crate::error::{Error, Result};
use crate::file::{FileOptions, FileStore};
use crate::in_memory::{InMemoryOptions, InMemoryStore};
use crate::keyspace::{Keyspace, MemoryId};
use crate::layout::Layout;
use crate::messages::Limits;
use crate::store::{Lease, Mode, RedisStore, Scan, StoreOptions, Ttl, Verb, Write, check_key};

/// One listing of ids on its way.
#[pyclass(frozen, module = "redember._core")]
#[derive(Debug)]
pub(super) struct Listing(Arc<Scan>);

#[pymethods]
impl Listing {
    /// Whether an id may have come twice.
    #[getter]
    fn is_forgetful(&self) -> bool {
        self.0.is_forgetful()
    }
}

/// The verbs, blocking.
#[pyclass(frozen, module = "redember._core")]
#[derive(Debug)]
pub(super) struct Store {
    pub(super) place: Handle,
    pub(super) limits: Limits,
}

/// The verbs as futures of the running asyncio loop.
#[pyclass(frozen, module = "redember._core")]
#[derive(Debug)]
pub(super) struct AsyncStore {
    place: Handle,
    limits: Limits,
}

/// Makes a store on a Redis server.
#[pyfunction]
#[pyo3(signature = (client, *, prefix, layout, ttl, refresh_on_load, message_limit, conversation_limit))]
#[expect(clippy::too_many_arguments, reason = "settings, all keywords")]
pub(super) fn redis_store(
    py: Python<'_>,
    client: &PyClient,
    prefix: &str,
    layout: &str,
    ttl: Option<f64>,
    refresh_on_load: bool,
    message_limit: usize,
    conversation_limit: usize,
) -> PyResult<Store> {
    let limits = Limits { message: message_limit, conversation: conversation_limit };
    let keyspace = checked(py, Keyspace::new(prefix))?;
    let ttl = ttl.map(|ttl| span(py, ttl)).transpose()?;
    let layout = layout_named(py, layout)?;
    let store = RedisStore::new(StoreOptions { keyspace, layout, ttl, refresh_on_load, limits });
    let backend = Backend::new(Place::Redis(client.client.clone(), store));
    Ok(Store { place: Handle { backend, login: client.login.clone() }, limits })
}

/// Makes a store in files.
#[pyfunction]
#[pyo3(signature = (path, *, layout, ttl, refresh_on_load, timeout, message_limit, conversation_limit))]
#[expect(clippy::too_many_arguments, reason = "settings, all keywords")]
pub(super) fn file_store(
    py: Python<'_>,
    path: PathBuf,
    layout: &str,
    ttl: Option<f64>,
    refresh_on_load: bool,
    timeout: f64,
    message_limit: usize,
    conversation_limit: usize,
) -> PyResult<Store> {
    let limits = Limits { message: message_limit, conversation: conversation_limit };
    let store = FileStore::new(FileOptions {
        directory: path,
        layout: layout_named(py, layout)?,
        ttl: ttl.map(|ttl| span(py, ttl)).transpose()?,
        refresh_on_load,
        lock_timeout: span(py, timeout)?,
        limits,
    });
    let backend = Backend::new(Place::Files(store));
    Ok(Store { place: Handle { backend, login: None }, limits })
}

/// Makes a store in this process.
#[pyfunction]
#[pyo3(signature = (*, ttl, refresh_on_load, message_limit, conversation_limit))]
pub(super) fn memory_store(
    py: Python<'_>,
    ttl: Option<f64>,
    refresh_on_load: bool,
    message_limit: usize,
    conversation_limit: usize,
) -> PyResult<Store> {
    let limits = Limits { message: message_limit, conversation: conversation_limit };
    let ttl = ttl.map(|ttl| span(py, ttl)).transpose()?;
    let store = InMemoryStore::new(InMemoryOptions { ttl, refresh_on_load, limits });
    let backend = Backend::new(Place::Memory(store));
    Ok(Store { place: Handle { backend, login: None }, limits })
}

/// Returns the same store with awaitable verbs.
#[pyfunction]
pub(super) fn to_async(store: &Store) -> AsyncStore {
    AsyncStore { place: store.place.clone(), limits: store.limits }
}

/// The verbs of a store class: each makes a verb and lets `$drive` run it.
///
/// A macro, since `#[pymethods]` cannot be generic: all classes have the same methods, and differ in
/// who drives them and in what comes back, an answer or a future of it.
macro_rules! verbs {
    ($class:ty, $drive:path, $drive_part:path) => {
        #[pymethods]
        impl $class {
            fn load<'py>(
                &self,
                py: Python<'py>,
                memory_id: &Bound<'py, PyAny>,
            ) -> PyResult<Bound<'py, PyAny>> {
                $drive(py, &self.place, Verb::Load(id(memory_id)?))
            }

            fn tail<'py>(
                &self,
                py: Python<'py>,
                memory_id: &Bound<'py, PyAny>,
                n: &Bound<'py, PyAny>,
            ) -> PyResult<Bound<'py, PyAny>> {
                $drive(py, &self.place, Verb::Tail(id(memory_id)?, whole("n", n)?))
            }

            fn save<'py>(
                &self,
                py: Python<'py>,
                memory_id: &Bound<'py, PyAny>,
                messages: &Bound<'py, PyAny>,
                if_revision: Option<&Bound<'py, PyAny>>,
                ttl: Option<(Option<f64>,)>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let write = Write {
                    id: id(memory_id)?,
                    mode: Mode::Save,
                    messages: encode::messages(messages, self.limits, Texts::Again)?,
                    if_revision: revision(if_revision)?,
                    idempotency_key: None,
                    ttl: given_ttl(py, ttl)?,
                };
                $drive(py, &self.place, Verb::Write(write))
            }

            fn append<'py>(
                &self,
                py: Python<'py>,
                memory_id: &Bound<'py, PyAny>,
                messages: &Bound<'py, PyAny>,
                if_revision: Option<&Bound<'py, PyAny>>,
                idempotency_key: Option<&Bound<'py, PyAny>>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let write = Write {
                    id: id(memory_id)?,
                    mode: Mode::Append,
                    messages: encode::messages(messages, self.limits, Texts::Once)?,
                    if_revision: revision(if_revision)?,
                    idempotency_key: key(idempotency_key)?,
                    ttl: Ttl::Setting,
                };
                $drive(py, &self.place, Verb::Write(write))
            }

            fn pop<'py>(
                &self,
                py: Python<'py>,
                memory_id: &Bound<'py, PyAny>,
            ) -> PyResult<Bound<'py, PyAny>> {
                $drive(py, &self.place, Verb::Pop(id(memory_id)?))
            }

            fn delete<'py>(
                &self,
                py: Python<'py>,
                memory_id: &Bound<'py, PyAny>,
                if_revision: Option<&Bound<'py, PyAny>>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let verb = Verb::Delete(id(memory_id)?, revision(if_revision)?);
                $drive(py, &self.place, verb)
            }

            fn exists<'py>(
                &self,
                py: Python<'py>,
                memory_id: &Bound<'py, PyAny>,
            ) -> PyResult<Bound<'py, PyAny>> {
                $drive(py, &self.place, Verb::Exists(id(memory_id)?))
            }

            fn count<'py>(
                &self,
                py: Python<'py>,
                memory_id: &Bound<'py, PyAny>,
            ) -> PyResult<Bound<'py, PyAny>> {
                $drive(py, &self.place, Verb::Count(id(memory_id)?))
            }

            fn info<'py>(
                &self,
                py: Python<'py>,
                memory_id: &Bound<'py, PyAny>,
            ) -> PyResult<Bound<'py, PyAny>> {
                $drive(py, &self.place, Verb::Info(id(memory_id)?))
            }

            fn touch<'py>(
                &self,
                py: Python<'py>,
                memory_id: &Bound<'py, PyAny>,
            ) -> PyResult<Bound<'py, PyAny>> {
                $drive(py, &self.place, Verb::Touch(id(memory_id)?))
            }

            fn hold_lease<'py>(
                &self,
                py: Python<'py>,
                memory_id: &Bound<'py, PyAny>,
                token: &Bound<'py, PyAny>,
                seconds: f64,
            ) -> PyResult<Bound<'py, PyAny>> {
                let token = text("token", token)?.to_owned();
                let lease = Lease { id: id(memory_id)?, token, span: Some(span(py, seconds)?) };
                $drive(py, &self.place, Verb::Lease(lease))
            }

            fn release_lease<'py>(
                &self,
                py: Python<'py>,
                memory_id: &Bound<'py, PyAny>,
                token: &Bound<'py, PyAny>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let token = text("token", token)?.to_owned();
                let lease = Lease { id: id(memory_id)?, token, span: None };
                $drive(py, &self.place, Verb::Lease(lease))
            }

            fn load_many(
                &self,
                py: Python<'_>,
                memory_ids: &Bound<'_, PyAny>,
            ) -> PyResult<PyBatch> {
                begin(py, &self.place.backend, Kind::Load, memory_ids, self.limits)
            }

            fn delete_many(
                &self,
                py: Python<'_>,
                memory_ids: &Bound<'_, PyAny>,
            ) -> PyResult<PyBatch> {
                begin(py, &self.place.backend, Kind::Delete, memory_ids, self.limits)
            }

            fn save_many(
                &self,
                py: Python<'_>,
                items: &Bound<'_, PyAny>,
                ttl: Option<(Option<f64>,)>,
            ) -> PyResult<PyBatch> {
                let kind = Kind::Save(given_ttl(py, ttl)?);
                begin(py, &self.place.backend, kind, items, self.limits)
            }

            fn append_many(
                &self,
                py: Python<'_>,
                items: &Bound<'_, PyAny>,
                idempotency_key: Option<&Bound<'_, PyAny>>,
            ) -> PyResult<PyBatch> {
                let key = key(idempotency_key)?;
                checked(py, key.as_deref().map_or(Ok(()), check_key))?;
                begin(py, &self.place.backend, Kind::Append(key), items, self.limits)
            }

            fn advance<'py>(
                &self,
                py: Python<'py>,
                batch: &PyBatch,
            ) -> PyResult<Option<Bound<'py, PyAny>>> {
                $drive_part(py, &self.place, batch)
            }

            fn page<'py>(&self, py: Python<'py>, listing: &Listing) -> PyResult<Bound<'py, PyAny>> {
                $drive(py, &self.place, Verb::Page(listing.0.clone()))
            }

            fn ping<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
                $drive(py, &self.place, Verb::Ping)
            }

            fn listing(&self) -> Listing {
                Listing(self.place.backend.scan())
            }

            fn close(&self) {
                self.place.backend.close();
            }
        }
    };
}

verbs!(Store, bridge::wait, bridge::wait_part);
verbs!(AsyncStore, port::awaitable, port::awaitable_part);
verbs!(ForeignStore, foreign::run, foreign::run_part);

fn checked<T>(py: Python<'_>, result: Result<T>) -> PyResult<T> {
    result.map_err(|error| exception(py, &error))
}

/// Begins a call about many memories.
fn begin(
    py: Python<'_>,
    backend: &Backend,
    kind: Kind,
    items: &Bound<'_, PyAny>,
    limits: Limits,
) -> PyResult<PyBatch> {
    checked(py, backend.check_open().map_err(|error| error.of_call(kind.name(), None)))?;
    PyBatch::new(kind, items, limits)
}

pub(super) fn id(value: &Bound<'_, PyAny>) -> PyResult<MemoryId> {
    checked(value.py(), MemoryId::new(text("memory ID", value)?))
}

fn key(value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<String>> {
    value.map(|value| text("idempotency_key", value).map(str::to_owned)).transpose()
}

/// Takes text that UTF-8 can hold.
fn text<'a>(name: &str, value: &'a Bound<'_, PyAny>) -> PyResult<&'a str> {
    let problem =
        |problem: &str| exception(value.py(), &Error::invalid(format!("{name} {problem}")));
    let text = value.cast::<PyString>().map_err(|_| problem("must be text"))?;
    text.to_str().map_err(|_| problem("holds a lone surrogate, which UTF-8 cannot hold"))
}

fn revision(value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<u64>> {
    value.map(|value| whole("if_revision", value)).transpose()
}

/// Takes a whole number that is not negative.
fn whole<T: for<'a, 'py> FromPyObject<'a, 'py>>(
    name: &str,
    value: &Bound<'_, PyAny>,
) -> PyResult<T> {
    value.extract().map_err(|_| {
        let error = Error::invalid(format!("{name} must be a whole number from 0 to 2**64 - 1"));
        exception(value.py(), &error)
    })
}

/// Takes a time to live that was given in a tuple of its own; without it the setting counts.
fn given_ttl(py: Python<'_>, ttl: Option<(Option<f64>,)>) -> PyResult<Ttl> {
    match ttl {
        None => Ok(Ttl::Setting),
        Some((ttl,)) => Ok(Ttl::Given(ttl.map(|ttl| span(py, ttl)).transpose()?)),
    }
}

/// Takes the layout of that name.
fn layout_named(py: Python<'_>, name: &str) -> PyResult<Layout> {
    let known = [Layout::Log, Layout::Document].into_iter().find(|layout| layout.name() == name);
    checked(py, known.ok_or_else(|| Error::invalid("layout must be log or document")))
}

pub(super) fn span(py: Python<'_>, seconds: f64) -> PyResult<Duration> {
    let span = Duration::try_from_secs_f64(seconds);
    checked(py, span.map_err(|_| Error::invalid("a time span must be positive and finite")))
}
