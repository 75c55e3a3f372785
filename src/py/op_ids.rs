//! Names for appends that Python code keeps until they are stored.

use pyo3::prelude::*;

use super::error::exception;
use crate::store::OpIds;

/// Makes operation ids, one after the other.
#[pyclass(frozen, name = "OpIds", module = "redember._core")]
#[derive(Debug)]
pub(super) struct PyOpIds(OpIds);

#[pymethods]
impl PyOpIds {
    #[new]
    fn new(py: Python<'_>) -> PyResult<Self> {
        OpIds::new().map(Self).map_err(|error| exception(py, &error))
    }

    fn next_id(&self, py: Python<'_>) -> PyResult<String> {
        self.0.next_id().map_err(|error| exception(py, &error))
    }
}
