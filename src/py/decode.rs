//! JSON text to Python objects.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString};

use super::text::Texts;
use crate::codec::json::MAX_DEPTH;
use crate::codec::reader::{Malformed, Reader, Token};
use crate::error::Error;
use crate::message::{Message, corrupt_json};
use crate::messages::Messages;

/// Decodes one message to a new dict.
pub(super) fn message<'py>(py: Python<'py>, message: &Message) -> PyResult<Bound<'py, PyAny>> {
    value(py, message.as_bytes())
}

/// Decodes member `name` of a message, and passes over the others; of two the last counts.
pub(super) fn member<'py>(
    py: Python<'py>,
    message: &Message,
    name: &str,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    Builder { py, reader: Reader::new(message.as_bytes()), depth: 0, texts: Texts::default() }
        .member(name)
}

/// Decodes every message to a new dict.
pub(super) fn messages<'py>(
    py: Python<'py>,
    messages: &Messages,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let mut dicts = Vec::with_capacity(messages.len());
    let mut builder = Builder { py, reader: Reader::new(b""), depth: 0, texts: Texts::default() };
    for (index, line) in messages.lines().enumerate() {
        builder.reader.restart(line);
        dicts.push(builder.whole().map_err(|error| with_index(py, error, index))?);
    }
    Ok(dicts)
}

/// Decodes any JSON value.
pub(super) fn value<'py>(py: Python<'py>, text: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    Builder { py, reader: Reader::new(text), depth: 0, texts: Texts::default() }.whole()
}

/// Says which of several messages an error is about.
fn with_index(py: Python<'_>, error: PyErr, index: usize) -> PyErr {
    match error.value(py).setattr("index", index) {
        Ok(()) => error,
        Err(failure) => failure,
    }
}

/// Builds the Python object of one JSON text.
struct Builder<'a, 'py> {
    py: Python<'py>,
    reader: Reader<'a>,
    depth: usize,
    texts: Texts,
}

impl<'py> Builder<'_, 'py> {
    fn whole(&mut self) -> PyResult<Bound<'py, PyAny>> {
        let py = self.py;
        self.depth = 0;
        let value = self.value()?;
        self.reader.end().map_err(|malformed| corrupt_at(py, malformed))?;
        Ok(value)
    }

    fn member(&mut self, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = self.py;
        let corrupt = |malformed| corrupt_at(py, malformed);
        if self.reader.value().map_err(corrupt)? != Token::Object {
            return Err(corrupt(Malformed { at: 0 }));
        }
        self.depth = 1;
        let mut found = None;
        while let Some(given) = self.reader.name().map_err(corrupt)? {
            if given == name.as_bytes() {
                found = Some(self.value()?);
            } else {
                self.reader.skip().map_err(corrupt)?;
            }
        }
        self.reader.end().map_err(corrupt)?;
        Ok(found)
    }

    fn value(&mut self) -> PyResult<Bound<'py, PyAny>> {
        let py = self.py;
        match self.reader.value() {
            Ok(Token::Text(text)) => string(py, &mut self.texts, text).map(Bound::into_any),
            Ok(Token::Object) => self.object(),
            Ok(Token::List) => self.list(),
            Ok(Token::Number(text)) => number(py, text),
            Ok(Token::Null) => Ok(py.None().into_bound(py)),
            Ok(Token::Bool(value)) => Ok(PyBool::new(py, value).to_owned().into_any()),
            Err(malformed) => Err(corrupt_at(py, malformed)),
        }
    }

    fn list(&mut self) -> PyResult<Bound<'py, PyAny>> {
        let py = self.py;
        self.enter()?;
        let list = PyList::empty(py);
        while self.reader.item().map_err(|malformed| corrupt_at(py, malformed))? {
            list.append(self.value()?)?;
        }
        self.depth -= 1;
        Ok(list.into_any())
    }

    fn object(&mut self) -> PyResult<Bound<'py, PyAny>> {
        let py = self.py;
        self.enter()?;
        let dict = PyDict::new(py);
        loop {
            let name = match self.reader.name() {
                Ok(Some(name)) => string(py, &mut self.texts, name)?,
                Ok(None) => break,
                Err(malformed) => return Err(corrupt_at(py, malformed)),
            };
            dict.set_item(name, self.value()?)?;
        }
        self.depth -= 1;
        Ok(dict.into_any())
    }

    fn enter(&mut self) -> PyResult<()> {
        if self.depth >= MAX_DEPTH {
            return Err(corrupt(self.py, "a stored message is nested too deep"));
        }
        self.depth += 1;
        Ok(())
    }
}

/// Makes text, which is checked to be UTF-8 here and nowhere else; the usual words are made once.
pub(super) fn string<'py>(
    py: Python<'py>,
    texts: &mut Texts,
    text: &[u8],
) -> PyResult<Bound<'py, PyString>> {
    if let Some(word) = usual(py, text) {
        return Ok(word.clone());
    }
    texts.make(py, text)
}

/// Returns the names and roles that nearly every message has.
fn usual<'py>(py: Python<'py>, text: &[u8]) -> Option<&'py Bound<'py, PyString>> {
    Some(match text {
        b"role" => intern!(py, "role"),
        b"content" => intern!(py, "content"),
        b"user" => intern!(py, "user"),
        b"assistant" => intern!(py, "assistant"),
        b"system" => intern!(py, "system"),
        b"tool" => intern!(py, "tool"),
        b"tool_calls" => intern!(py, "tool_calls"),
        b"tool_call_id" => intern!(py, "tool_call_id"),
        b"name" => intern!(py, "name"),
        b"type" => intern!(py, "type"),
        b"text" => intern!(py, "text"),
        b"id" => intern!(py, "id"),
        b"function" => intern!(py, "function"),
        b"arguments" => intern!(py, "arguments"),
        _ => return None,
    })
}

/// Makes an `int` with every digit, or a `float`.
fn number<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    if let Ok(small) = text.parse::<i64>() {
        return Ok(PyInt::new(py, small).into_any());
    }
    if text.contains(['.', 'e', 'E']) {
        return match text.parse::<f64>() {
            Ok(float) if float.is_finite() => Ok(PyFloat::new(py, float).into_any()),
            _ => Err(corrupt(py, "a stored message holds a number that is out of range")),
        };
    }
    let too_long = |_| corrupt(py, "a stored message holds a number of too many digits");
    py.get_type::<PyInt>().call1((text,)).map_err(too_long)
}

#[cold]
fn corrupt(py: Python<'_>, problem: &str) -> PyErr {
    super::error::exception(py, &Error::corrupt(problem))
}

#[cold]
fn corrupt_at(py: Python<'_>, malformed: Malformed) -> PyErr {
    super::error::exception(py, &corrupt_json(malformed.at + 1))
}
