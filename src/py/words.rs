//! Names and words that messages have in common: one object for each.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;
use smallvec::SmallVec;

/// How many names are remembered, and what each may take.
const NAMES: usize = 16;
const NAME_BYTES: usize = 16;

/// The first names of members that are none of the usual words.
///
/// Messages have the same few names; one object for each is less to make, and less to keep.
#[derive(Default)]
pub(super) struct Names<'py>(SmallVec<[(Short, Bound<'py, PyString>); 4]>);

/// A name of some bytes: its length, its first eight bytes and its last.
type Short = (usize, u64, u64);

impl<'py> Names<'py> {
    /// Returns the object of a name, which `make` makes if it is new.
    pub(super) fn get<E>(
        &mut self,
        py: Python<'py>,
        name: &[u8],
        make: impl FnOnce() -> Result<Bound<'py, PyString>, E>,
    ) -> Result<Bound<'py, PyString>, E> {
        if let Some(word) = usual(py, name) {
            return Ok(word.clone());
        }
        let Some(short) = short(name) else { return make() };
        if let Some((_, object)) = self.0.iter().find(|(known, _)| *known == short) {
            return Ok(object.clone());
        }
        let object = make()?;
        if self.0.len() < NAMES {
            self.0.push((short, object.clone()));
        }
        Ok(object)
    }
}

/// Returns what tells a short name from all others.
#[inline]
fn short(name: &[u8]) -> Option<Short> {
    let (first, last) = match (name.first_chunk(), name.last_chunk()) {
        (Some(first), Some(last)) if name.len() <= NAME_BYTES => (*first, *last),
        (Some(_), _) => return None,
        _ => {
            let mut first = [0; 8];
            for (place, byte) in first.iter_mut().zip(name) {
                *place = *byte;
            }
            (first, [0; 8])
        }
    };
    Some((name.len(), u64::from_ne_bytes(first), u64::from_ne_bytes(last)))
}

/// Returns the names and roles that nearly every message has.
#[inline]
pub(super) fn usual<'py>(py: Python<'py>, text: &[u8]) -> Option<&'py Bound<'py, PyString>> {
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
