//! UTF-8 to `str`.

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::{ptr, slice};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::error::exception;
use super::processor::units;
use crate::codec::utf8::{Unit, widest};
use crate::error::Error;

/// Longer text is counted, and written in its place.
const SHORT: usize = 1000;

/// The last characters that `str` keeps in one byte (of two kinds), in two, and in four.
const ASCII: u32 = 0x7f;
const NARROW: u32 = 0xff;
const MIDDLE: u32 = 0xffff;
const WIDE: u32 = 0x10_ffff;

/// Makes text, which is checked to be UTF-8 here and nowhere else.
///
/// `CPython`'s own decoder widens what it has each time a wider character comes; the largest byte tells
/// how wide the widest is, so the object is made once.
pub(super) fn make<'py>(py: Python<'py>, utf8: &[u8]) -> PyResult<Bound<'py, PyString>> {
    match widest(utf8) {
        0..0x80 => object(py, utf8, ASCII),
        0x80..0xc4 => characters::<u8>(py, utf8, NARROW),
        0xc4..0xf0 => characters::<u16>(py, utf8, MIDDLE),
        _ => characters::<u32>(py, utf8, WIDE),
    }
}

/// Makes text of characters up to `last`, for which `T` is as wide as the object keeps them.
fn characters<'py, T: Unit>(
    py: Python<'py>,
    utf8: &[u8],
    last: u32,
) -> PyResult<Bound<'py, PyString>> {
    let text = simdutf8::basic::from_utf8(utf8).map_err(|_| no_utf8(py))?;
    if text.len() > SHORT {
        return long::<T>(py, text, last);
    }
    // Not counted before: room for as many characters as there can be is at hand.
    let mut room = [MaybeUninit::<T>::uninit(); SHORT];
    let written = units(text, &mut room).and_then(|count| room.get(..count));
    object(py, written.ok_or_else(|| no_utf8(py))?, last)
}

/// Makes an object of its characters.
#[inline]
#[expect(unsafe_code, reason = "PyO3 has no word for it")]
fn object<'py, T>(py: Python<'py>, written: &[T], last: u32) -> PyResult<Bound<'py, PyString>> {
    let (object, places) = empty(py, written.len(), last)?;
    // SAFETY: there is a place as wide as `T` for each, by what `last` says, and all were written.
    unsafe { ptr::copy_nonoverlapping(written.as_ptr(), places.cast(), written.len()) };
    Ok(object)
}

#[expect(unsafe_code, reason = "PyO3 has no word for it")]
fn long<'py, T: Unit>(py: Python<'py>, text: &str, last: u32) -> PyResult<Bound<'py, PyString>> {
    let count = text.chars().count();
    let (object, places) = empty(py, count, last)?;
    // SAFETY: there are `count` places as wide as `T`, by what `last` says; what was not written to yet
    // is said to be so, and nobody else sees the object before all was.
    let places = unsafe { slice::from_raw_parts_mut(places.cast::<MaybeUninit<T>>(), count) };
    let written = units(text, places).filter(|&written| written == count);
    written.map(|_| object).ok_or_else(|| no_utf8(py))
}

/// Makes an object that has a place for each character, and returns where those are.
#[inline]
#[expect(unsafe_code, reason = "PyO3 has no word for it")]
fn empty(py: Python<'_>, count: usize, last: u32) -> PyResult<(Bound<'_, PyString>, *mut c_void)> {
    // SAFETY: the length of a slice fits; what comes back is a new `str` or an exception.
    unsafe {
        let object = ffi::PyUnicode_New(count.cast_signed(), last);
        let object = Bound::from_owned_ptr_or_err(py, object)?;
        let places = ffi::PyUnicode_DATA(object.as_ptr());
        Ok((object.cast_into_unchecked(), places))
    }
}

#[cold]
fn no_utf8(py: Python<'_>) -> PyErr {
    exception(py, &Error::corrupt("a stored message is not UTF-8; it was left as it is"))
}
