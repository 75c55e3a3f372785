//! JSON text to Python objects.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList};
use smallvec::SmallVec;

use super::collector::Pause;
use super::text::make;
use super::words::{Names, usual};
use crate::codec::json::MAX_DEPTH;
use crate::codec::reader::{Malformed, Reader, Token};
use crate::error::Error;
use crate::message::{Message, corrupt_json};
use crate::messages::Messages;

/// What a value is built to. An error is boxed, so that what went well fits into registers.
type Built<'py, T = Bound<'py, PyAny>> = Result<T, Box<PyErr>>;

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
    Builder::new(py, message.as_bytes()).member(name).map_err(|error| *error)
}

/// Decodes every message to a new dict; returns a list of them.
pub(super) fn messages<'py>(py: Python<'py>, messages: &Messages) -> PyResult<Bound<'py, PyList>> {
    let _pause = Pause::begin(py);
    let mut dicts = Vec::with_capacity(messages.len());
    let mut builder = Builder::new(py, b"");
    for (index, line) in messages.lines().enumerate() {
        builder.reader.restart(line);
        dicts.push(builder.whole().map_err(|error| with_index(py, *error, index))?);
    }
    PyList::new(py, dicts)
}

/// Decodes any JSON value.
pub(super) fn value<'py>(py: Python<'py>, text: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    Builder::new(py, text).whole().map_err(|error| *error)
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
    names: Names<'py>,
}

impl<'a, 'py> Builder<'a, 'py> {
    fn new(py: Python<'py>, text: &'a [u8]) -> Self {
        Self { py, reader: Reader::new(text), depth: 0, names: Names::default() }
    }

    fn whole(&mut self) -> Built<'py> {
        let py = self.py;
        self.depth = 0;
        let value = match self.usual()? {
            Some(message) => message,
            None => self.value()?,
        };
        self.reader.end().map_err(|malformed| corrupt_at(py, malformed))?;
        Ok(value)
    }

    fn member(&mut self, name: &str) -> Built<'py, Option<Bound<'py, PyAny>>> {
        let py = self.py;
        let corrupt = |malformed| corrupt_at(py, malformed);
        if self.reader.value().map_err(corrupt)? != Token::Object {
            return Err(corrupt(Malformed { at: 0 }).into());
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

    fn value(&mut self) -> Built<'py> {
        let py = self.py;
        match self.reader.value() {
            Ok(Token::Text(text)) => match usual(py, text) {
                Some(word) => Ok(word.as_any().clone()),
                None => Ok(make(py, text)?.into_any()),
            },
            Ok(Token::Object) => self.object(),
            Ok(Token::List) => self.list(),
            Ok(Token::Number(text)) => number(py, text),
            Ok(Token::Null) => Ok(py.None().into_bound(py)),
            Ok(Token::Bool(value)) => Ok(PyBool::new(py, value).to_owned().into_any()),
            Err(malformed) => Err(corrupt_at(py, malformed).into()),
        }
    }

    fn list(&mut self) -> Built<'py> {
        let py = self.py;
        self.enter()?;
        let mut items = SmallVec::<[_; 8]>::new();
        while self.reader.item().map_err(|malformed| corrupt_at(py, malformed))? {
            items.push(self.value()?);
        }
        self.depth -= 1;
        Ok(PyList::new(py, items)?.into_any())
    }

    /// Builds a message that begins as most do, as it is written here: its role, then its content.
    #[inline]
    fn usual(&mut self) -> Built<'py, Option<Bound<'py, PyAny>>> {
        let py = self.py;
        let role = if self.reader.open_with(br#"{"role":"user","content":"#) {
            intern!(py, "user")
        } else if self.reader.open_with(br#"{"role":"assistant","content":"#) {
            intern!(py, "assistant")
        } else {
            return Ok(None);
        };
        self.enter()?;
        let dict = PyDict::new(py);
        dict.set_item(intern!(py, "role"), role)?;
        dict.set_item(intern!(py, "content"), self.value()?)?;
        self.members(dict).map(Some)
    }

    fn object(&mut self) -> Built<'py> {
        self.enter()?;
        self.members(PyDict::new(self.py))
    }

    /// Adds the members that follow to `dict`, up to the end of the object.
    fn members(&mut self, dict: Bound<'py, PyDict>) -> Built<'py> {
        let Self { py, .. } = *self;
        loop {
            let name = match self.reader.name() {
                Ok(Some(name)) => self.names.get(py, name, || make(py, name))?,
                Ok(None) => break,
                Err(malformed) => return Err(corrupt_at(py, malformed).into()),
            };
            dict.set_item(name, self.value()?)?;
        }
        self.depth -= 1;
        Ok(dict.into_any())
    }

    fn enter(&mut self) -> Built<'py, ()> {
        if self.depth >= MAX_DEPTH {
            return Err(corrupt(self.py, "a stored message is nested too deep").into());
        }
        self.depth += 1;
        Ok(())
    }
}

/// Makes an `int` with every digit, or a `float`.
fn number<'py>(py: Python<'py>, text: &str) -> Built<'py> {
    if let Ok(small) = text.parse::<i64>() {
        return Ok(PyInt::new(py, small).into_any());
    }
    if text.contains(['.', 'e', 'E']) {
        return match text.parse::<f64>() {
            Ok(float) if float.is_finite() => Ok(PyFloat::new(py, float).into_any()),
            _ => Err(corrupt(py, "a stored message holds a number that is out of range").into()),
        };
    }
    let too_long = |_| corrupt(py, "a stored message holds a number of too many digits");
    Ok(py.get_type::<PyInt>().call1((text,)).map_err(too_long)?)
}

#[cold]
fn corrupt(py: Python<'_>, problem: &str) -> PyErr {
    super::error::exception(py, &Error::corrupt(problem))
}

#[cold]
fn corrupt_at(py: Python<'_>, malformed: Malformed) -> PyErr {
    super::error::exception(py, &corrupt_json(malformed.at + 1))
}
