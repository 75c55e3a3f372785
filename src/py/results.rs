//! What verbs answer, as Python objects.

use std::time::Duration;

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyType};

use super::collector::Untracked;
use super::error::exception;
use super::message::PyMessage;
use super::messages::PyMessages;
use super::text::make;
use crate::error::Result;
use crate::store::{Answer, Info, Written};

/// What a write did.
#[pyclass(frozen, eq, hash, get_all, module = "redember")]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct WriteResult {
    revision: u64,
    count: usize,
    replayed: bool,
}

#[pymethods]
impl WriteResult {
    #[new]
    #[pyo3(signature = (revision, count, replayed=false))]
    fn new(revision: u64, count: usize, replayed: bool) -> Self {
        Self { revision, count, replayed }
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> (Bound<'py, PyType>, (u64, usize, bool)) {
        (py.get_type::<Self>(), (self.revision, self.count, self.replayed))
    }

    fn __repr__(&self) -> String {
        let Self { revision, count, replayed } = self;
        let replayed = if *replayed { "True" } else { "False" };
        format!("WriteResult(revision={revision}, count={count}, replayed={replayed})")
    }
}

impl From<Written> for WriteResult {
    fn from(written: Written) -> Self {
        let Written { revision, count, replayed } = written;
        Self { revision, count, replayed }
    }
}

/// What is known of a memory without reading its messages.
#[pyclass(frozen, eq, hash, get_all, module = "redember")]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct MemoryInfo {
    messages: usize,
    revision: u64,
    ttl: Option<Duration>,
    bytes: u64,
    layout: String,
}

#[pymethods]
impl MemoryInfo {
    #[new]
    fn new(
        messages: usize,
        revision: u64,
        ttl: Option<Duration>,
        bytes: u64,
        layout: String,
    ) -> Self {
        Self { messages, revision, ttl, bytes, layout }
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> (Bound<'py, PyType>, Fields) {
        let Self { messages, revision, ttl, bytes, layout } = self.clone();
        (py.get_type::<Self>(), (messages, revision, ttl, bytes, layout))
    }

    fn __repr__(&self) -> String {
        let Self { messages, revision, ttl, bytes, layout } = self;
        let ttl = ttl.map_or("None".to_owned(), |ttl| format!("{:.3} s", ttl.as_secs_f64()));
        format!(
            "MemoryInfo(messages={messages}, revision={revision}, ttl={ttl}, bytes={bytes}, \
             layout='{layout}')"
        )
    }
}

impl From<Info> for MemoryInfo {
    fn from(info: Info) -> Self {
        let Info { messages, revision, ttl, bytes, layout } = info;
        // As a `timedelta` tells it: a copy that went through one is to be equal.
        let ttl = ttl.map(|ttl| Duration::new(ttl.as_secs(), ttl.subsec_micros() * 1000));
        Self { messages, revision, ttl, bytes, layout: layout.to_owned() }
    }
}

/// The fields of a [`MemoryInfo`], in order.
type Fields = (usize, u64, Option<Duration>, u64, String);

/// Turns an answer into what Python callers get.
pub(super) fn to_python(py: Python<'_>, answer: Answer) -> PyResult<Bound<'_, PyAny>> {
    match answer {
        Answer::Done | Answer::Page(None) => Ok(py.None().into_bound(py)),
        Answer::Bool(value) => value.into_bound_py_any(py),
        Answer::Count(count) => count.into_bound_py_any(py),
        Answer::Messages(messages) => untracked(py, messages.map(PyMessages::new)),
        Answer::Message(message) => untracked(py, message.map(PyMessage::new)),
        Answer::Written(written) => WriteResult::from(written).into_bound_py_any(py),
        Answer::Info(info) => info.map(MemoryInfo::from).into_bound_py_any(py),
        Answer::Page(Some(ids)) => {
            let ids = ids.iter().map(|id| make(py, id.as_bytes()));
            PyList::new(py, ids.collect::<PyResult<Vec<_>>>()?).map(Bound::into_any)
        }
        Answer::Many(answers) => {
            let each = |answer: Result<Answer>| match answer {
                Ok(answer) => to_python(py, answer),
                Err(error) => Ok(exception(py, &error).into_value(py).into_bound(py).into_any()),
            };
            let answers = answers.into_iter().map(each).collect::<PyResult<Vec<_>>>()?;
            answers.into_bound_py_any(py)
        }
    }
}

fn untracked<T: Untracked>(py: Python<'_>, object: Option<T>) -> PyResult<Bound<'_, PyAny>> {
    object.map(|object| object.untracked(py)).transpose()?.into_bound_py_any(py)
}
