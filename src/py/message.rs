//! `Message` and `Messages`: Python's view of a conversation that stays bytes until it is touched.

use std::hash::{DefaultHasher, Hash, Hasher};

use pyo3::IntoPyObjectExt;
use pyo3::basic::CompareOp;
use pyo3::exceptions::{PyIndexError, PyOverflowError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyMapping, PySlice, PyString, PyTuple, PyType};

use super::{decode, encode, error};
use crate::error::Error;
use crate::message::{Limits, Message, Messages};

/// Members of a message that have an attribute of their own.
const NAMED: [&str; 5] = ["role", "content", "tool_calls", "tool_call_id", "name"];

/// One message of a conversation, immutable.
#[pyclass(frozen, name = "Message", module = "redember")]
#[derive(Debug)]
pub(super) struct PyMessage(Message);

impl PyMessage {
    pub(super) fn new(message: Message) -> Self {
        Self(message)
    }

    pub(super) fn core(&self) -> &Message {
        &self.0
    }

    fn member<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let fields = self.0.fields().map_err(|failure| error::exception(py, &failure))?;
        fields.get(name).map(|text| decode::value(py, text.get())).transpose()
    }

    /// Returns a member that counts only when it is text.
    fn text<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyString>>> {
        Ok(self.member(py, name)?.and_then(|value| value.cast_into::<PyString>().ok()))
    }

    fn of_role(
        py: Python<'_>,
        role: &str,
        content: Bound<'_, PyAny>,
        extra: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let role = PyString::new(py, role).into_any();
        build(py, [("role", role), ("content", content)], extra)
    }
}

/// Builds a message of members and extra ones, in that order.
fn build<'py, const N: usize>(
    py: Python<'py>,
    members: [(&str, Bound<'py, PyAny>); N],
    extra: Option<&Bound<'py, PyDict>>,
) -> PyResult<PyMessage> {
    let mut names = Vec::new();
    for (name, value) in extra.into_iter().flat_map(PyDictMethods::iter) {
        let name = name.extract::<String>()?;
        if members.iter().any(|(taken, _)| *taken == name) {
            let failure = Error::invalid_message(format!("message.{name}"), "it is given twice");
            return Err(error::exception(py, &failure));
        }
        names.push((name, value));
    }
    let extra = names.iter().map(|(name, value)| (name.as_str(), value.clone()));
    encode::members(py, members.into_iter().chain(extra)).map(PyMessage)
}

#[pymethods]
impl PyMessage {
    #[new]
    #[pyo3(signature = (role, content=None, *, tool_calls=None, tool_call_id=None, name=None, **extra))]
    fn py_new<'py>(
        py: Python<'py>,
        role: Bound<'py, PyAny>,
        content: Option<Bound<'py, PyAny>>,
        tool_calls: Option<Bound<'py, PyAny>>,
        tool_call_id: Option<Bound<'py, PyAny>>,
        name: Option<Bound<'py, PyAny>>,
        extra: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Self> {
        if !role.is_instance_of::<PyString>() {
            let failure = Error::invalid_message("message.role", "a role is text");
            return Err(error::exception(py, &failure));
        }
        let members = PyDict::new(py);
        for (key, value) in
            [("tool_calls", tool_calls), ("tool_call_id", tool_call_id), ("name", name)]
        {
            if let Some(value) = value {
                members.set_item(key, value)?;
            }
        }
        if let Some(extra) = extra {
            members.update(extra.cast::<PyMapping>()?)?;
        }
        let content = content.unwrap_or_else(|| py.None().into_bound(py));
        build(py, [("role", role), ("content", content)], Some(&members))
    }

    #[staticmethod]
    #[pyo3(signature = (content, **extra))]
    fn user(
        py: Python<'_>,
        content: Bound<'_, PyAny>,
        extra: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        Self::of_role(py, "user", content, extra)
    }

    #[staticmethod]
    #[pyo3(signature = (content=None, **extra))]
    fn assistant<'py>(
        py: Python<'py>,
        content: Option<Bound<'py, PyAny>>,
        extra: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Self> {
        let content = content.unwrap_or_else(|| py.None().into_bound(py));
        Self::of_role(py, "assistant", content, extra)
    }

    #[staticmethod]
    #[pyo3(signature = (content, **extra))]
    fn system(
        py: Python<'_>,
        content: Bound<'_, PyAny>,
        extra: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        Self::of_role(py, "system", content, extra)
    }

    #[staticmethod]
    #[pyo3(signature = (content, tool_call_id, **extra))]
    fn tool<'py>(
        py: Python<'py>,
        content: Bound<'py, PyAny>,
        tool_call_id: Bound<'py, PyAny>,
        extra: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Self> {
        let role = intern!(py, "tool").clone().into_any();
        let members = [("role", role), ("content", content), ("tool_call_id", tool_call_id)];
        build(py, members, extra)
    }

    #[staticmethod]
    fn from_dict(message: &Bound<'_, PyAny>) -> PyResult<Self> {
        encode::message(message).map(Self)
    }

    #[staticmethod]
    fn from_json(py: Python<'_>, text: &str) -> PyResult<Self> {
        Message::from_json(text).map(Self).map_err(|failure| error::exception(py, &failure))
    }

    #[getter]
    fn role<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyString>>> {
        self.text(py, "role")
    }

    #[getter]
    fn content<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.member(py, "content")
    }

    #[getter]
    fn tool_calls<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.member(py, "tool_calls")
    }

    #[getter]
    fn tool_call_id<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyString>>> {
        self.text(py, "tool_call_id")
    }

    #[getter]
    fn name<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyString>>> {
        self.text(py, "name")
    }

    #[getter]
    fn extra<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let fields = self.0.fields().map_err(|failure| error::exception(py, &failure))?;
        let extra = PyDict::new(py);
        for (name, text) in fields.iter().filter(|(name, _)| !NAMED.contains(name)) {
            extra.set_item(name, decode::value(py, text.get())?)?;
        }
        Ok(extra)
    }

    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        decode::message(py, &self.0)
    }

    fn to_json(&self, py: Python<'_>) -> PyResult<&str> {
        self.0.as_str().map_err(|failure| error::exception(py, &failure))
    }

    fn __richcmp__<'py>(
        &self,
        py: Python<'py>,
        other: &Bound<'py, PyAny>,
        operator: CompareOp,
    ) -> PyResult<Py<PyAny>> {
        let Some(equal) = equals(py, &self.0, other)? else { return Ok(py.NotImplemented()) };
        match operator {
            CompareOp::Eq => equal.into_py_any(py),
            CompareOp::Ne => (!equal).into_py_any(py),
            _ => Ok(py.NotImplemented()),
        }
    }

    /// Of the members that are text in equal messages too, however those are spelt.
    fn __hash__(&self, py: Python<'_>) -> PyResult<u64> {
        let mut hasher = DefaultHasher::new();
        for name in ["role", "content", "tool_call_id"] {
            self.text(py, name)?.map(|text| text.to_string()).hash(&mut hasher);
        }
        Ok(hasher.finish())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let size = self.0.as_bytes().len();
        Ok(match self.text(py, "role") {
            Ok(Some(role)) => format!("Message(role={}, {size} bytes)", role.repr()?),
            _ => format!("Message({size} bytes)"),
        })
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (&str,))> {
        Ok((py.get_type::<Self>().getattr(intern!(py, "from_json"))?, (self.to_json(py)?,)))
    }
}

/// Compares a message with another, or with a mapping; `None` where that makes no sense.
fn equals(py: Python<'_>, message: &Message, other: &Bound<'_, PyAny>) -> PyResult<Option<bool>> {
    if let Ok(other) = other.cast_exact::<PyMessage>() {
        let other = other.get().core();
        if message.as_bytes() == other.as_bytes() {
            return Ok(Some(true));
        }
        return decode::message(py, message)?.eq(decode::message(py, other)?).map(Some);
    }
    if other.cast::<PyMapping>().is_ok() {
        return decode::message(py, message)?.eq(other).map(Some);
    }
    Ok(None)
}

/// An argument that may be left out; `None` is a value like any other, and here a wrong one.
struct Given<'py>(Option<Bound<'py, PyAny>>);

impl<'py> FromPyObject<'_, 'py> for Given<'py> {
    type Error = std::convert::Infallible;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> Result<Self, Self::Error> {
        Ok(Self(Some(value.to_owned())))
    }
}

/// An immutable conversation: the stored bytes, and messages made when they are touched.
#[pyclass(frozen, sequence, name = "Messages", module = "redember")]
#[derive(Debug)]
pub(super) struct PyMessages(Messages);

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
        message.map(PyMessage).ok_or_else(out_of_range)
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
        let limits = Limits { message: usize::MAX, conversation: usize::MAX };
        let Given(messages) = messages;
        let messages = messages.map(|messages| encode::messages(&messages, limits)).transpose()?;
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
            return Ok(Bound::new(py, self.at(index)?)?.into_any());
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
        Ok(Bound::new(py, Self(messages))?.into_any())
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
        let messages = (0..self.0.len()).filter_map(|at| self.0.get(at)).map(PyMessage);
        (py.get_type::<Self>(), (messages.collect(),))
    }

    fn to_dicts<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        decode::messages(py, &self.0)
    }

    fn to_json<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        let json = String::from_utf8(self.0.to_json()).map_err(|_| {
            let failure = Error::corrupt("a stored message is not UTF-8");
            error::exception(py, &failure)
        })?;
        Ok(PyString::new(py, &json))
    }

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
    next: std::sync::atomic::AtomicUsize,
    forward: bool,
}

#[pymethods]
impl Iter {
    #[expect(clippy::self_named_constructors, reason = "Python's name for it")]
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(&self) -> Option<PyMessage> {
        // Relaxed: each step only needs a number of its own.
        let step = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let position = if self.forward {
            step
        } else {
            self.messages.len().checked_sub(step.checked_add(1)?)?
        };
        self.messages.get(position).map(PyMessage)
    }

    fn __length_hint__(&self) -> usize {
        let done = self.next.load(std::sync::atomic::Ordering::Relaxed);
        self.messages.len().saturating_sub(done)
    }
}
