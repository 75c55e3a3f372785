//! UTF-8 to `str`.

use pyo3::exceptions::PyUnicodeDecodeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::error::exception;
use crate::codec::utf8::code_points;
use crate::error::Error;

/// Longer text is left to `CPython`, so that what is kept for the next text stays small.
const LONGEST: usize = 1 << 14;

/// Makes `str` objects; keeps the room that one took for the next.
#[derive(Default)]
pub(super) struct Texts {
    characters: Vec<u32>,
}

impl Texts {
    /// Makes text, which is checked to be UTF-8 here and nowhere else.
    ///
    /// `CPython`'s own decoder widens what it has each time a wider character comes; told all
    /// characters at once, it makes the object once.
    pub(super) fn make<'py>(
        &mut self,
        py: Python<'py>,
        utf8: &[u8],
    ) -> PyResult<Bound<'py, PyString>> {
        if utf8.len() > LONGEST || utf8.is_ascii() {
            return PyString::from_bytes(py, utf8).map_err(|error| {
                if error.is_instance_of::<PyUnicodeDecodeError>(py) { no_utf8(py) } else { error }
            });
        }
        if self.characters.len() < utf8.len() {
            self.characters.resize(utf8.len(), 0);
        }
        let characters = code_points(utf8, &mut self.characters)
            .and_then(|count| self.characters.get(..count))
            .ok_or_else(|| no_utf8(py))?;
        wide(py, characters)
    }
}

#[expect(unsafe_code, reason = "PyO3 has no word for it")]
fn wide<'py>(py: Python<'py>, characters: &[u32]) -> PyResult<Bound<'py, PyString>> {
    // SAFETY: on every system but Windows, which the crate does not know, `wchar_t` has 32 bits;
    // the slice is live, its length fits, and what comes back is a new `str` or an exception.
    unsafe {
        let text =
            ffi::PyUnicode_FromWideChar(characters.as_ptr().cast(), characters.len().cast_signed());
        Ok(Bound::from_owned_ptr_or_err(py, text)?.cast_into_unchecked())
    }
}

#[cold]
fn no_utf8(py: Python<'_>) -> PyErr {
    exception(py, &Error::corrupt("a stored message is not UTF-8; it was left as it is"))
}
