//! The names of members that an encoder wrote, as it wrote them.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyString;
use smallvec::SmallVec;

/// How many more names are looked for among those that were written before, and what each may take.
const OTHERS: usize = 8;
const NAME_BYTES: usize = 16;

/// The names that nearly every message has, as programs spell them: an object that stands for each.
const USUAL: [&str; 9] = [
    "role",
    "content",
    "tool_calls",
    "id",
    "type",
    "function",
    "name",
    "arguments",
    "tool_call_id",
];

/// The usual names, and the first others: messages have the same few, and what programs and readers of
/// JSON make has one copy of each.
pub(super) struct Names {
    usual: &'static [Name],
    others: SmallVec<[Name; 4]>,
}

/// A name that was written, with its quotes and colon, and a place before it.
struct Name {
    object: Py<PyString>,
    text: [u8; NAME_BYTES],
    length: usize,
}

impl Name {
    /// Takes a name and what was written for it; `None` if that is long.
    fn new(object: Py<PyString>, written: &[u8]) -> Option<Self> {
        let mut text = [b' '; NAME_BYTES];
        let length = 1 + written.len();
        text.get_mut(1..length)?.copy_from_slice(written);
        Some(Self { object, text, length })
    }
}

impl Names {
    /// Starts with the usual ones.
    pub(super) fn new(py: Python<'_>) -> Self {
        static NAMES: PyOnceLock<Vec<Name>> = PyOnceLock::new();
        let usual = NAMES.get_or_init(py, || {
            let name = |name: &&str| {
                let object = PyString::intern(py, name).unbind();
                Name::new(object, format!("\"{name}\":").as_bytes())
            };
            USUAL.iter().filter_map(name).collect()
        });
        Self { usual, others: SmallVec::new() }
    }

    /// Returns what was written for a name, behind a place for what comes before it, and how many bytes
    /// of that count.
    #[inline]
    pub(super) fn written(&self, name: &Bound<'_, PyAny>) -> Option<(&[u8; NAME_BYTES], usize)> {
        let mut known = self.usual.iter().chain(&self.others);
        let known = known.find(|known| known.object.is(name))?;
        Some((&known.text, known.length))
    }

    /// Remembers what was written for a name, if it is short and among the first.
    #[cold]
    pub(super) fn remember(&mut self, name: &Bound<'_, PyString>, written: &[u8]) {
        if self.others.len() < OTHERS {
            self.others.extend(Name::new(name.clone().unbind(), written));
        }
    }
}
