//! The names of members that an encoder wrote, as it wrote them.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;
use smallvec::{SmallVec, smallvec};

/// How many names are looked for among those that were written before, and what each may take.
const NAMES: usize = 12;
const NAME_BYTES: usize = 16;

/// The first names: messages have the same few, and what programs and readers of JSON make has one
/// copy of each.
pub(super) struct Names(SmallVec<[Name; 4]>);

/// A name that was written, with its quotes and colon, and a place before it.
struct Name {
    object: Py<PyString>,
    text: [u8; NAME_BYTES],
    length: usize,
}

impl Names {
    /// Starts with those that nearly every message has, as programs spell them.
    pub(super) fn new(py: Python<'_>) -> Self {
        let name = |object: &Bound<'_, PyString>, text: &[u8; NAME_BYTES], length| Name {
            object: object.clone().unbind(),
            text: *text,
            length,
        };
        Self(smallvec![
            name(intern!(py, "role"), b" \"role\":\0\0\0\0\0\0\0\0", 8),
            name(intern!(py, "content"), b" \"content\":\0\0\0\0\0", 11),
        ])
    }

    /// Returns what was written for a name, behind a place for what comes before it, and how many bytes
    /// of that count.
    #[inline]
    pub(super) fn written(&self, name: &Bound<'_, PyAny>) -> Option<(&[u8; NAME_BYTES], usize)> {
        let known = self.0.iter().find(|known| known.object.is(name))?;
        Some((&known.text, known.length))
    }

    /// Remembers what was written for a name, if it is short and among the first.
    #[cold]
    pub(super) fn remember(&mut self, name: &Bound<'_, PyString>, written: &[u8]) {
        let mut text = [0; NAME_BYTES];
        let length = 1 + written.len();
        if let Some(room) = text.get_mut(1..length).filter(|_| self.0.len() < NAMES) {
            room.copy_from_slice(written);
            self.0.push(Name { object: name.clone().unbind(), text, length });
        }
    }
}
