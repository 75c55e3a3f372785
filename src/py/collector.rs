//! Python's garbage collector.

use pyo3::PyClass;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::pyclass_init::PyClassInitializer;
use pyo3::sync::PyOnceLock;

/// A class whose objects refer to no object of Python's, so none is ever part of a cycle.
///
/// `PyO3` tracks every object it makes, and walking over thousands of messages is what makes
/// collections slow.
pub(super) trait Untracked: PyClass + Into<PyClassInitializer<Self>> {
    /// Makes the Python object, and takes it from the collector.
    #[expect(unsafe_code, reason = "PyO3 has no word for it")]
    fn untracked(self, py: Python<'_>) -> PyResult<Bound<'_, Self>> {
        let object = Bound::new(py, self)?;
        // SAFETY: the object is whole, it is ours, and its class takes part in collection.
        unsafe { ffi::PyObject_GC_UnTrack(object.as_ptr().cast()) };
        Ok(object)
    }
}

/// While it lives, making objects begins no collection.
///
/// `CPython` begins one for each few hundred dicts that are made and kept. Where one call makes that many,
/// none of them is garbage yet, and the collector would walk over them again and again. The next object
/// that is made elsewhere begins the collection that is due, which walks over them once.
pub(super) struct Pause<'py> {
    _py: Python<'py>,
    paused: bool,
}

impl<'py> Pause<'py> {
    /// Begins a pause, unless threads run at the same time: what one of them sets would last for all.
    #[expect(unsafe_code, reason = "PyO3 has no word for it")]
    pub(super) fn begin(py: Python<'py>) -> Self {
        static HAS_LOCK: PyOnceLock<bool> = PyOnceLock::new();
        let has_lock =
            *HAS_LOCK.get_or_init(py, || !Python::version_str().contains("free-threading"));
        // SAFETY: this thread is attached. It sets a flag, and returns what that was.
        let paused = has_lock && unsafe { ffi::PyGC_Disable() } != 0;
        Self { _py: py, paused }
    }
}

impl Drop for Pause<'_> {
    #[expect(unsafe_code, reason = "PyO3 has no word for it")]
    fn drop(&mut self) {
        if self.paused {
            // SAFETY: this thread is still attached, and it was this pause that set the flag.
            unsafe { ffi::PyGC_Enable() };
        }
    }
}
