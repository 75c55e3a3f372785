//! Python objects to JSON text. What has no JSON form is refused, with the path to it.

mod characters;
mod conversation;
mod encoder;
mod members;
mod model;
mod names;

use pyo3::prelude::*;

use crate::codec::json::write_string;
use crate::message::Message;

pub(super) use characters::Texts;
pub(super) use conversation::messages;
use encoder::Encoder;

/// Bytes that a message or conversation may take before any store's limits are known.
pub(super) const MOST_BYTES: usize = 1 << 30;

/// Encodes one message.
pub(super) fn message(value: &Bound<'_, PyAny>) -> PyResult<Message> {
    let mut encoder = Encoder::unstored(value.py());
    let written = encoder.message(value);
    written.map_err(|refusal| refusal.raise(value.py(), "message"))?;
    Ok(Message::from_encoded(encoder.out.into()))
}

/// Encodes the members of one message.
pub(super) fn members<'a, 'py: 'a>(
    py: Python<'py>,
    members: impl Iterator<Item = (&'a str, Bound<'py, PyAny>)>,
) -> PyResult<Message> {
    let mut encoder = Encoder::unstored(py);
    encoder.depth = 1;
    for (name, value) in members {
        encoder.out.push(if encoder.out.is_empty() { b'{' } else { b',' });
        write_string(&mut encoder.out, name);
        encoder.out.push(b':');
        let written = encoder.value(&value).map_err(|refusal| refusal.under(|| format!(".{name}")));
        written.map_err(|refusal| refusal.raise(py, "message"))?;
    }
    encoder.out.push(b'}');
    Ok(Message::from_encoded(encoder.out.into()))
}
