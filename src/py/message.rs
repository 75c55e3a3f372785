//! `Message`: Python's view of one message, read when it is touched.

use std::hash::{DefaultHasher, Hash, Hasher};

use pyo3::IntoPyObjectExt;
use pyo3::basic::CompareOp;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyMapping, PyString, PyTuple};

use super::collector::Untracked;
use super::refusal::Refusal;
use super::{decode, encode, error};
use crate::error::Error;
use crate::message::Message;

/// Members of a message that have an attribute of their own.
const NAMED: [&str; 5] = ["role", "content", "tool_calls", "tool_call_id", "name"];

/// One message of a conversation, immutable.
#[pyclass(frozen, name = "Message", module = "redember")]
#[derive(Debug)]
pub(super) struct PyMessage(Message);

impl Untracked for PyMessage {}

impl PyMessage {
    pub(super) fn new(message: Message) -> Self {
        Self(message)
    }

    pub(super) fn core(&self) -> &Message {
        &self.0
    }

    fn member<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        decode::member(py, &self.0, name)
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

/// Makes the exception for a member that is not acceptable.
fn refused(py: Python<'_>, member: &str, problem: &str) -> PyErr {
    error::exception(py, &Error::invalid_message(format!("message.{member}"), problem))
}

/// Builds a message of members and extra ones, in that order.
fn build<'py, const N: usize>(
    py: Python<'py>,
    members: [(&str, Bound<'py, PyAny>); N],
    extra: Option<&Bound<'py, PyDict>>,
) -> PyResult<PyMessage> {
    let mut names = Vec::new();
    for (name, value) in extra.into_iter().flat_map(PyDictMethods::iter) {
        let name = name.extract::<String>().map_err(|error| {
            let refusal = Refusal::no_utf8(py, error).under(|| ".(key)".to_owned());
            refusal.raise(py, "message")
        })?;
        if members.iter().any(|(taken, _)| *taken == name) {
            return Err(refused(py, &name, "it is given twice"));
        }
        names.push((name, value));
    }
    let extra = names.iter().map(|(name, value)| (name.as_str(), value.clone()));
    encode::members(py, members.into_iter().chain(extra)).map(PyMessage)
}

#[pymethods]
impl PyMessage {
    #[classattr]
    #[allow(non_upper_case_globals, reason = "Python's name for it")]
    const __match_args__: (&'static str, &'static str) = ("role", "content");

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
            return Err(refused(py, "role", "it is text"));
        }
        for (key, value) in [("tool_call_id", &tool_call_id), ("name", &name)] {
            if value.as_ref().is_some_and(|value| !value.is_instance_of::<PyString>()) {
                return Err(refused(py, key, "it is text"));
            }
        }
        if tool_calls.as_ref().is_some_and(|value| {
            !value.is_instance_of::<PyList>() && !value.is_instance_of::<PyTuple>()
        }) {
            return Err(refused(py, "tool_calls", "it is a list"));
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

    /// Make a message of the user.
    #[staticmethod]
    #[pyo3(signature = (content, **extra))]
    fn user(
        py: Python<'_>,
        content: Bound<'_, PyAny>,
        extra: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        Self::of_role(py, "user", content, extra)
    }

    /// Make a message of the model; pass `tool_calls` when it calls tools.
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

    /// Make an instruction to the model.
    #[staticmethod]
    #[pyo3(signature = (content, **extra))]
    fn system(
        py: Python<'_>,
        content: Bound<'_, PyAny>,
        extra: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        Self::of_role(py, "system", content, extra)
    }

    /// Make the result of the tool call `tool_call_id`.
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

    /// Make a message of any mapping of JSON values; it need not have a role.
    #[staticmethod]
    fn from_dict(message: &Bound<'_, PyAny>) -> PyResult<Self> {
        encode::message(message).map(Self)
    }

    /// Make a message of the text of one JSON object, which is kept as it is.
    #[staticmethod]
    fn from_json(py: Python<'_>, text: &str) -> PyResult<Self> {
        Message::from_json(text).map(Self).map_err(|failure| error::exception(py, &failure))
    }

    /// Who speaks; `None` when the message has no role of type text.
    #[getter]
    fn role<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyString>>> {
        self.text(py, "role")
    }

    /// What is said: text, a list of parts, or `None`.
    #[getter]
    fn content<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.member(py, "content")
    }

    /// The tool calls, or `None`.
    #[getter]
    fn tool_calls<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.member(py, "tool_calls")
    }

    /// The call that a tool message answers, or `None`.
    #[getter]
    fn tool_call_id<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyString>>> {
        self.text(py, "tool_call_id")
    }

    /// Name of the speaker, or `None`.
    #[getter]
    fn name<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyString>>> {
        self.text(py, "name")
    }

    /// Every further member.
    #[getter]
    fn extra<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let fields = self.0.fields().map_err(|failure| error::exception(py, &failure))?;
        let extra = PyDict::new(py);
        for (name, text) in fields.iter().filter(|(name, _)| !NAMED.contains(name)) {
            extra.set_item(name, decode::value(py, text.get().as_bytes())?)?;
        }
        Ok(extra)
    }

    /// Return the message as a new dict, in the shape of OpenAI's chat messages.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        decode::message(py, &self.0)
    }

    /// Return the message as it is stored.
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
pub(super) fn equals(
    py: Python<'_>,
    message: &Message,
    other: &Bound<'_, PyAny>,
) -> PyResult<Option<bool>> {
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
