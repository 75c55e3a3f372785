//! `Messages`: Python's view of a conversation that stays bytes until it is touched.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::IntoPyObjectExt;
use pyo3::basic::CompareOp;
use pyo3::exceptions::{PyIndexError, PyOverflowError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PySlice, PyString, PyTuple, PyType};

use super::collector::Untracked;
use super::encode::Texts;
use super::message::{PyMessage, equals};
use super::{decode, encode};
use crate::messages::{Limits, Messages};

/// An argument that may be left out; `None` is a value like any other, and here a wrong one.
struct Given<'py>(Option<Bound<'py, PyAny>>);

impl<'py> FromPyObject<'_, 'py> for Given<'py> {
    type Error = Infallible;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> Result<Self, Self::Error> {
        Ok(Self(Some(value.to_owned())))
    }
}

/// An immutable conversation: the stored bytes, and messages made when they are touched.
#[pyclass(frozen, sequence, name = "Messages", module = "redember")]
#[derive(Debug)]
pub(super) struct PyMessages(Messages);

impl Untracked for PyMessages {}

impl PyMessages {
    pub(super) fn new(messages: Messages) -> Self {
        Self(messages)
    }

    pub(super) fn core(&self) -> &Messages {
        &self.0
    }

    /// Registers the class as a `collections.abc.Sequence`.
    pub(super) fn register(py: Python<'_>) -> PyResult<()> {
        let sequence = py.import("collections.abc")?.getattr("Sequence")?;
        sequence.call_method1("register", (py.get_type::<Self>(),)).map(drop)
    }

    fn at(&self, index: isize) -> PyResult<PyMessage> {
        let length = self.0.len();
        let position =
            if index < 0 { length.checked_add_signed(index) } else { Some(index.unsigned_abs()) };
        let message = position.and_then(|position| self.0.get(position));
        message.map(PyMessage::new).ok_or_else(out_of_range)
    }

    /// Yields the positions of messages equal to `value`.
    fn positions<'a>(
        &'a self,
        value: &'a Bound<'_, PyAny>,
    ) -> impl Iterator<Item = PyResult<usize>> + 'a {
        (0..self.0.len()).filter_map(move |position| {
            let message = self.0.get(position)?;
            match equals(value.py(), &message, value) {
                Ok(Some(true)) => Some(Ok(position)),
                Ok(_) => None,
                Err(failure) => Some(Err(failure)),
            }
        })
    }
}

#[pymethods]
impl PyMessages {
    #[new]
    #[pyo3(signature = (messages=Given(None)))]
    fn py_new(messages: Given<'_>) -> PyResult<Self> {
        let limits = Limits { message: encode::MOST_BYTES, conversation: encode::MOST_BYTES };
        let Given(messages) = messages;
        let messages = messages
            .map(|messages| encode::messages(&messages, limits, Texts::Once))
            .transpose()?;
        Ok(Self(messages.unwrap_or_default()))
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __getitem__<'py>(
        &self,
        py: Python<'py>,
        index: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let Ok(slice) = index.cast::<PySlice>() else {
            let index = index.extract().map_err(|error: PyErr| {
                if error.is_instance_of::<PyOverflowError>(py) { out_of_range() } else { error }
            })?;
            return Ok(self.at(index)?.untracked(py)?.into_any());
        };
        let bounds = slice.indices(isize::try_from(self.0.len()).unwrap_or(isize::MAX))?;
        let start = bounds.start.unsigned_abs();
        let messages = if bounds.step == 1 {
            self.0.slice(start..start + bounds.slicelength)
        } else {
            let positions = (0..bounds.slicelength)
                .filter_map(|number| {
                    bounds.start.checked_add(bounds.step * isize::try_from(number).ok()?)
                })
                .map(isize::unsigned_abs);
            self.0.pick(positions)
        };
        Ok(Self(messages).untracked(py)?.into_any())
    }

    fn __iter__(&self) -> Iter {
        Iter { messages: self.0.clone(), next: 0.into(), forward: true }
    }

    fn __reversed__(&self) -> Iter {
        Iter { messages: self.0.clone(), next: 0.into(), forward: false }
    }

    fn __contains__(&self, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.positions(value).next().transpose().map(|found| found.is_some())
    }

    fn __add__(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        if value.try_iter().is_err() {
            return Ok(py.NotImplemented());
        }
        joined(&self.0, &Self::py_new(Given(Some(value.clone())))?.0).into_py_any(py)
    }

    fn __radd__(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        if value.try_iter().is_err() {
            return Ok(py.NotImplemented());
        }
        joined(&Self::py_new(Given(Some(value.clone())))?.0, &self.0).into_py_any(py)
    }

    fn __richcmp__<'py>(
        &self,
        py: Python<'py>,
        other: &Bound<'py, PyAny>,
        operator: CompareOp,
    ) -> PyResult<Py<PyAny>> {
        let sequence = other.cast_exact::<Self>().is_ok()
            || other.is_instance_of::<PyList>()
            || other.is_instance_of::<PyTuple>();
        if !sequence || !matches!(operator, CompareOp::Eq | CompareOp::Ne) {
            return Ok(py.NotImplemented());
        }
        let mut equal = self.0.len() == other.len()?;
        for (position, item) in other.try_iter()?.enumerate() {
            let Some(message) = self.0.get(position).filter(|_| equal) else { break };
            equal = equals(py, &message, &item?)?.unwrap_or(false);
        }
        (equal == matches!(operator, CompareOp::Eq)).into_py_any(py)
    }

    fn __repr__(&self) -> String {
        format!("{:?}", self.0)
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> (Bound<'py, PyType>, (Vec<PyMessage>,)) {
        let messages = (0..self.0.len()).filter_map(|at| self.0.get(at)).map(PyMessage::new);
        (py.get_type::<Self>(), (messages.collect(),))
    }

    /// Return every message as a new dict, in the shape of OpenAI's chat messages.
    fn to_dicts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        decode::messages(py, &self.0)
    }

    /// Return the conversation as one JSON array, spliced from the stored texts.
    fn to_json<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        super::text::make(py, &self.0.to_json())
    }

    /// Return the index of the first message equal to `value`.
    #[pyo3(signature = (value, start=0, stop=isize::MAX))]
    fn index(&self, value: &Bound<'_, PyAny>, start: isize, stop: isize) -> PyResult<usize> {
        let length = self.0.len();
        let bound = |bound: isize| {
            if bound < 0 { length.saturating_add_signed(bound) } else { bound.unsigned_abs() }
        };
        for position in self.positions(value) {
            let position = position?;
            if position >= bound(start) && position < bound(stop) {
                return Ok(position);
            }
        }
        Err(PyValueError::new_err("there is no such message"))
    }

    /// Return how many messages equal `value`.
    fn count(&self, value: &Bound<'_, PyAny>) -> PyResult<usize> {
        self.positions(value).try_fold(0, |count, found| found.map(|_| count + 1))
    }
}

fn out_of_range() -> PyErr {
    PyIndexError::new_err("message index out of range")
}

/// Returns the messages of one conversation and then those of another; the bytes are shared.
fn joined(first: &Messages, second: &Messages) -> PyMessages {
    let messages =
        |part: &Messages| (0..part.len()).filter_map(|at| part.get(at)).collect::<Vec<_>>();
    PyMessages(messages(first).into_iter().chain(messages(second)).collect())
}

/// Walks a conversation, making each message when its turn comes.
#[pyclass(frozen, module = "redember._core")]
#[derive(Debug)]
struct Iter {
    messages: Messages,
    next: AtomicUsize,
    forward: bool,
}

#[pymethods]
impl Iter {
    #[expect(clippy::self_named_constructors, reason = "Python's name for it")]
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyMessage>>> {
        // Relaxed: each step only needs a number of its own.
        let step = self.next.fetch_add(1, Ordering::Relaxed);
        let position = if self.forward {
            step
        } else {
            self.messages.len().wrapping_sub(step.wrapping_add(1)) // beyond the end after the first
        };
        let message = self.messages.get(position);
        message.map(|message| PyMessage::new(message).untracked(py)).transpose()
    }

    fn __length_hint__(&self) -> usize {
        let done = self.next.load(Ordering::Relaxed);
        self.messages.len().saturating_sub(done)
    }
}
