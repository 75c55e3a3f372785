//! UTF-8 to `str`.

use std::ptr;

use pyo3::exceptions::PyUnicodeDecodeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::error::exception;
use super::processor::units;
use crate::codec::utf8::{self, SLACK, Unit};
use crate::error::Error;

/// Longer text is left to `CPython`, so that what is kept for the next text stays small.
const LONGEST: usize = 1 << 14;

/// Makes `str` objects; keeps the room that one took for the next.
#[derive(Default)]
pub(super) struct Texts {
    narrow: Vec<u8>,
    middle: Vec<u16>,
    wide: Vec<u32>,
}

/// Characters as `str` keeps them: each in as many bytes as the widest one needs.
trait Character: Unit {
    const WIDEST: u32;
    const ZERO: Self;
}

impl Character for u8 {
    const WIDEST: u32 = 0xff;
    const ZERO: Self = 0;
}

impl Character for u16 {
    const WIDEST: u32 = 0xffff;
    const ZERO: Self = 0;
}

impl Character for u32 {
    const WIDEST: Self = 0x10_ffff;
    const ZERO: Self = 0;
}

impl Texts {
    /// Makes text, which is checked to be UTF-8 here and nowhere else.
    ///
    /// `CPython`'s own decoder widens what it has each time a wider character comes; the largest byte
    /// tells how wide the widest is, so the object is made once.
    pub(super) fn make<'py>(
        &mut self,
        py: Python<'py>,
        utf8: &[u8],
    ) -> PyResult<Bound<'py, PyString>> {
        match utf8::widest(utf8) {
            0..0x80 => object(py, utf8, 0x7f),
            _ if utf8.len() > LONGEST => PyString::from_bytes(py, utf8).map_err(|error| {
                if error.is_instance_of::<PyUnicodeDecodeError>(py) { no_utf8(py) } else { error }
            }),
            0x80..0xc4 => made_in(&mut self.narrow, py, utf8),
            0xc4..0xf0 => made_in(&mut self.middle, py, utf8),
            _ => made_in(&mut self.wide, py, utf8),
        }
    }
}

fn made_in<'py, T: Character>(
    room: &mut Vec<T>,
    py: Python<'py>,
    utf8: &[u8],
) -> PyResult<Bound<'py, PyString>> {
    let size = utf8.len() + SLACK;
    if room.len() < size {
        room.resize(size, T::ZERO);
    }
    let text = simdutf8::basic::from_utf8(utf8).map_err(|_| no_utf8(py))?;
    let characters = units(text, room).and_then(|count| room.get(..count));
    object(py, characters.ok_or_else(|| no_utf8(py))?, T::WIDEST)
}

/// Makes a `str` of its characters, of which `widest` is the last that its kind can hold.
#[inline]
#[expect(unsafe_code, reason = "PyO3 has no word for it")]
fn object<'py, T: Unit>(
    py: Python<'py>,
    characters: &[T],
    widest: u32,
) -> PyResult<Bound<'py, PyString>> {
    // SAFETY: a length of a slice fits; the new object has a place as wide as `T` for each character,
    // by what `widest` says, and nobody else has seen it.
    unsafe {
        let text = ffi::PyUnicode_New(characters.len().cast_signed(), widest);
        let text = Bound::from_owned_ptr_or_err(py, text)?;
        let places = ffi::PyUnicode_DATA(text.as_ptr()).cast::<T>();
        ptr::copy_nonoverlapping(characters.as_ptr(), places, characters.len());
        Ok(text.cast_into_unchecked())
    }
}

#[cold]
fn no_utf8(py: Python<'_>) -> PyErr {
    exception(py, &Error::corrupt("a stored message is not UTF-8; it was left as it is"))
}
