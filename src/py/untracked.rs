//! Objects that the garbage collector need not look at.

use pyo3::PyClass;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::pyclass_init::PyClassInitializer;

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
