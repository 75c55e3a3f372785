//! The characters of a `str`, where they lie.

use std::slice;
use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::codec::characters::Characters;
use crate::py::refusal::Refusal;

/// Whether texts are likely to be written again, as the same objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::py) enum Texts {
    /// They are new, and are stored once.
    Once,
    /// A conversation is saved as a whole, and will be with the next turn.
    Again,
}

/// Returns the characters of a text.
///
/// Asked for UTF-8, `CPython` makes it and keeps it as long as the text lives, which takes longer than to
/// write it once, and pays the second time. So it is asked only where `texts` says so, and what was
/// kept is used. It is not asked where more characters than there is `room` for would be copied.
///
/// # Errors
/// [`Refusal`] if `CPython` cannot make it ready, or has no UTF-8 for it. Python's own code may have run
/// then (making the exception can begin a collection, and that runs finalizers): who has only borrowed
/// the text must not touch it again, nor anything borrowed with it.
#[inline]
#[expect(unsafe_code, reason = "PyO3 copies")]
pub(super) fn characters<'a>(
    text: &'a Borrowed<'_, '_, PyString>,
    texts: Texts,
    room: usize,
) -> Result<Characters<'a>, Refusal> {
    let (py, object) = (text.py(), text.as_ptr());
    // SAFETY: a `str` never changes, except that it is made ready once and may be given its UTF-8; it
    // lives as long as the slices, whose width and length are what it says. One that is not ASCII has
    // a place for UTF-8; what `CPython` puts there is whole and valid, and is written after its length.
    // No code of Python's runs unless a call fails, and the text is not looked at after that.
    unsafe {
        if ffi::PyUnicode_READY(object) != 0 {
            return Err(raised(py));
        }
        let length = ffi::PyUnicode_GET_LENGTH(object).cast_unsigned();
        let data = ffi::PyUnicode_DATA(object);
        let kind = ffi::PyUnicode_KIND(object);
        if ffi::PyUnicode_IS_ASCII(object) != 0 {
            return Ok(Characters::Narrow(slice::from_raw_parts(data.cast(), length)));
        }
        let again = texts == Texts::Again && length <= room;
        if again && ffi::PyUnicode_AsUTF8(object).is_null() {
            return Err(raised(py));
        }
        let object = object.cast::<ffi::PyCompactUnicodeObject>();
        let utf8 = AtomicPtr::from_ptr(&raw mut (*object).utf8).load(Ordering::Acquire);
        if !utf8.is_null() {
            let bytes = slice::from_raw_parts(utf8.cast(), (*object).utf8_length.cast_unsigned());
            return Ok(Characters::Utf8(std::str::from_utf8_unchecked(bytes)));
        }
        Ok(if kind == ffi::PyUnicode_1BYTE_KIND {
            Characters::Narrow(slice::from_raw_parts(data.cast(), length))
        } else if kind == ffi::PyUnicode_2BYTE_KIND {
            Characters::Middle(slice::from_raw_parts(data.cast(), length))
        } else {
            Characters::Wide(slice::from_raw_parts(data.cast(), length))
        })
    }
}

/// Takes the exception that a call has left.
#[cold]
fn raised(py: Python<'_>) -> Refusal {
    Refusal::no_utf8(py, PyErr::fetch(py))
}
