//! The members of a dict, as they lie there.

use std::ptr;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// A key and its value, which belong to the dict.
pub(super) type Member<'a, 'py> = (Borrowed<'a, 'py, PyAny>, Borrowed<'a, 'py, PyAny>);

/// Walks over a dict without taking references to each key and value: counting them is half of what
/// walking over a small dict takes.
pub(super) struct Members<'a, 'py> {
    dict: &'a Bound<'py, PyDict>,
    position: ffi::Py_ssize_t,
    /// How many there are to come: looking for one more costs as much as finding one.
    left: usize,
}

#[expect(unsafe_code, reason = "PyO3 counts references")]
impl<'a, 'py> Members<'a, 'py> {
    /// Starts at the first member.
    ///
    /// # Safety
    /// The dict must not change while a key or value is in use: no code of Python's may run, and
    /// where there is no interpreter lock the dict's own must be held.
    pub(super) unsafe fn new(dict: &'a Bound<'py, PyDict>) -> Self {
        Self { dict, position: 0, left: dict.len() }
    }
}

#[expect(unsafe_code, reason = "PyO3 counts references")]
impl<'a, 'py> Iterator for Members<'a, 'py> {
    type Item = Member<'a, 'py>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (py, mut key, mut value) = (self.dict.py(), ptr::null_mut(), ptr::null_mut());
        let (dict, position) = (self.dict.as_ptr(), &raw mut self.position);
        // SAFETY: the position is checked against the dict as it is; what is found belongs to the
        // dict, which by the promise to `new` keeps it while it is in use.
        unsafe {
            let found = ffi::PyDict_Next(dict, position, &raw mut key, &raw mut value);
            (found != 0).then(|| (Borrowed::from_ptr(py, key), Borrowed::from_ptr(py, value)))
        }
    }
}
