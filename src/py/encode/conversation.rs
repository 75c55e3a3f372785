//! An iterable of messages, to one buffer.

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyMapping, PyString, PyTuple};
use smallvec::SmallVec;

use super::characters::Texts;
use super::encoder::Encoder;
use crate::messages::{Limits, Messages};
use crate::py::error::exception;
use crate::py::message::PyMessage;
use crate::py::messages::PyMessages;
use crate::py::refusal::{Refusal, type_name};

/// What the bookkeeping of one message takes, at least: counted, so that endless `{}` comes to an end.
const BYTES_A_MESSAGE: usize = 16;

/// What is made ready for each of the first messages: more than most of them take, and less than matters.
const MESSAGE_BYTES: usize = 512;

/// After how many messages the size of all of them is guessed.
const SAMPLE: usize = 16;
const MOST_GUESSED: usize = 4 << 20;

/// Encodes an iterable of messages. One that is [`PyMessages`] already is shared, not copied.
pub(in crate::py) fn messages(
    value: &Bound<'_, PyAny>,
    limits: Limits,
    texts: Texts,
) -> PyResult<Messages> {
    let py = value.py();
    if let Ok(messages) = value.cast::<PyMessages>() {
        return Ok(messages.get().core().clone());
    }
    let raised = |error| Refusal::raised(py, error).raise(py, "messages");
    let plain = value.cast_exact::<PyList>().is_ok() || value.cast_exact::<PyTuple>().is_ok();
    if !plain && is_one_message(value).map_err(raised)? {
        let kind = value.get_type().name()?;
        let problem = format!("a list of messages is due, got one {kind}; wrap it in []");
        return Err(Refusal::new(problem).raise(py, "messages"));
    }
    let size = length(value).map_err(raised)?.min(1 << 16);
    let room = Vec::with_capacity(size.min(SAMPLE) * MESSAGE_BYTES);
    let mut conversation = Conversation {
        encoder: Encoder::new(py, room, limits, texts),
        ends: SmallVec::with_capacity(size),
        size,
    };
    if let Ok(list) = value.cast_exact::<PyList>() {
        for item in list.iter() {
            conversation.add(&item)?;
        }
    } else {
        let items = value.try_iter().map_err(|error| {
            if !error.is_instance_of::<PyTypeError>(py) {
                return raised(error);
            }
            let kind = type_name(value);
            Refusal::new(format!("a list of messages is due, got {kind}")).raise(py, "messages")
        })?;
        for item in items {
            let item = item.map_err(|error| conversation.raise(py, Refusal::raised(py, error)))?;
            conversation.add(&item)?;
        }
    }
    Messages::from_encoded(conversation.encoder.out.into(), &conversation.ends)
        .map_err(|error| exception(py, &error))
}

/// The messages that were encoded so far.
struct Conversation {
    encoder: Encoder,
    /// Where each ends.
    ends: SmallVec<[usize; SAMPLE]>,
    /// How many there will be, by what is known.
    size: usize,
}

impl Conversation {
    #[inline]
    fn add(&mut self, item: &Bound<'_, PyAny>) -> PyResult<()> {
        let Self { encoder, ends, size } = self;
        let index = ends.len();
        let conversation = encoder.limits.conversation;
        if index.saturating_mul(BYTES_A_MESSAGE) > conversation {
            let too_large = Refusal::TooLarge { whole: true, limit: conversation };
            return Err(too_large.raise(item.py(), "messages"));
        }
        if index > 0 {
            encoder.out.push(b'\n');
        }
        if index == SAMPLE && *size > index {
            let guess = (encoder.out.len() / index).saturating_mul(*size - index);
            encoder.out.reserve(guess.saturating_add(guess / 8).min(MOST_GUESSED));
        }
        encoder.begin(index);
        if let Err(refusal) = encoder.message(item) {
            return Err(self.raise(item.py(), refusal));
        }
        ends.push(encoder.out.len());
        Ok(())
    }

    /// Makes the exception for the message that comes next.
    #[cold]
    fn raise(&self, py: Python<'_>, refusal: Refusal) -> PyErr {
        refusal.raise(py, &format!("messages[{}]", self.ends.len()))
    }
}

/// Returns how many messages `value` says there are; none if it says nothing, as an iterator.
fn length(value: &Bound<'_, PyAny>) -> PyResult<usize> {
    match value.len() {
        Err(error) if error.is_instance_of::<PyTypeError>(value.py()) => Ok(0),
        length => length,
    }
}

/// Returns whether `value` looks like one message, where several are due.
fn is_one_message(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = value.py();
    Ok(value.is_instance_of::<PyString>()
        || value.is_instance_of::<PyBytes>()
        || value.is_instance_of::<PyMessage>()
        || value.cast::<PyMapping>().is_ok()
        || value.hasattr(intern!(py, "model_dump"))?
        || value.hasattr(intern!(py, "to_dict"))?)
}
