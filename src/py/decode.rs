//! JSON text to Python objects.

use std::cell::Cell;
use std::fmt;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString};
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};

use crate::codec::json::MAX_DEPTH;
use crate::error::{Error, ErrorKind};
use crate::message::{Message, corrupt_json};
use crate::messages::Messages;

/// Decodes one message to a new dict.
pub(super) fn message<'py>(py: Python<'py>, message: &Message) -> PyResult<Bound<'py, PyAny>> {
    let text = message.as_str().map_err(|error| super::error::exception(py, &error))?;
    value(py, text)
}

/// Decodes every message to a new dict.
pub(super) fn messages<'py>(
    py: Python<'py>,
    messages: &Messages,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let mut dicts = Vec::with_capacity(messages.len());
    for (index, line) in messages.lines().enumerate() {
        let text = std::str::from_utf8(line).map_err(|_| corrupt(py, index))?;
        dicts.push(value(py, text).map_err(|error| with_index(py, error, index))?);
    }
    Ok(dicts)
}

/// Decodes any JSON value.
pub(super) fn value<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    let inexact = Cell::new(false);
    let mut parser = serde_json::Deserializer::from_str(text);
    parser.disable_recursion_limit(); // the seed keeps its own, equal to the writer's
    let seed = Seed { py, depth: 0, inexact: &inexact };
    match seed.deserialize(&mut parser).and_then(|value| parser.end().map(|()| value)) {
        // An integer beyond 64 bits reaches a visitor as a rounded float. Python's own parser
        // keeps every digit; it is laxer than ours, which has seen the whole text by now.
        Ok(_) if inexact.get() => py.import("json")?.call_method1("loads", (text,)).map_err(|_| {
            let error = Error::corrupt("a stored message holds a number of too many digits");
            super::error::exception(py, &error)
        }),
        Ok(value) => Ok(value),
        Err(error) => Err(super::error::exception(py, &corrupt_json(&error))),
    }
}

fn corrupt(py: Python<'_>, index: usize) -> PyErr {
    let error = Error::new(
        ErrorKind::Corrupt { index: Some(index) },
        format!("stored message {index} is not UTF-8; it was left as it is"),
    );
    super::error::exception(py, &error)
}

/// Says which of several messages an error is about.
fn with_index(py: Python<'_>, error: PyErr, index: usize) -> PyErr {
    match error.value(py).setattr("index", index) {
        Ok(()) => error,
        Err(failure) => failure,
    }
}

#[derive(Clone, Copy)]
struct Seed<'a, 'py> {
    py: Python<'py>,
    depth: usize,
    inexact: &'a Cell<bool>,
}

impl Seed<'_, '_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom("nested too deep"));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }

    /// Returns `name` as a Python string; the usual ones are made once.
    fn key<'py>(py: Python<'py>, name: &str) -> Bound<'py, PyString> {
        match name {
            "role" => intern!(py, "role").clone(),
            "content" => intern!(py, "content").clone(),
            "tool_calls" => intern!(py, "tool_calls").clone(),
            "tool_call_id" => intern!(py, "tool_call_id").clone(),
            "name" => intern!(py, "name").clone(),
            "type" => intern!(py, "type").clone(),
            "text" => intern!(py, "text").clone(),
            "id" => intern!(py, "id").clone(),
            "function" => intern!(py, "function").clone(),
            "arguments" => intern!(py, "arguments").clone(),
            _ => PyString::new(py, name),
        }
    }
}

impl<'de, 'py> DeserializeSeed<'de> for Seed<'_, 'py> {
    type Value = Bound<'py, PyAny>;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de, 'py> Visitor<'de> for Seed<'_, 'py> {
    type Value = Bound<'py, PyAny>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(self.py.None().into_bound(self.py))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(PyBool::new(self.py, value).to_owned().into_any())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(PyInt::new(self.py, value).into_any())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(PyInt::new(self.py, value).into_any())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53; an integer that large may be rounded
        if value.abs() >= EXACT {
            self.inexact.set(true);
        }
        Ok(PyFloat::new(self.py, value).into_any())
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(PyString::new(self.py, text).into_any())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let inner = self.deeper()?;
        let list = PyList::empty(self.py);
        while let Some(item) = items.next_element_seed(inner)? {
            list.append(item).map_err(A::Error::custom)?;
        }
        Ok(list.into_any())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let inner = self.deeper()?;
        let dict = PyDict::new(self.py);
        while let Some(name) = members.next_key_seed(Name(self.py))? {
            let value = members.next_value_seed(inner)?;
            dict.set_item(name, value).map_err(A::Error::custom)?;
        }
        Ok(dict.into_any())
    }
}

struct Name<'py>(Python<'py>);

impl<'de, 'py> DeserializeSeed<'de> for Name<'py> {
    type Value = Bound<'py, PyString>;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'py> Visitor<'_> for Name<'py> {
    type Value = Bound<'py, PyString>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Seed::key(self.0, text))
    }
}
