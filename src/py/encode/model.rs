//! Objects that say of themselves what to store: models of pydantic, and what follows their example.

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Returns what a model object says of itself; `None` if it is no such object.
pub(super) fn dumped<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = value.py();
    if value.hasattr(intern!(py, "model_dump"))? {
        return dump_model(value).map(Some);
    }
    if value.hasattr(intern!(py, "to_dict"))? {
        return value.call_method0(intern!(py, "to_dict")).map(Some);
    }
    Ok(None)
}

/// Calls `model_dump(mode="json")`, or without the mode where it takes none.
fn dump_model<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = value.py();
    let name = intern!(py, "model_dump");
    let keywords = PyDict::new(py);
    keywords.set_item(intern!(py, "mode"), intern!(py, "json"))?;
    match value.call_method(name, (), Some(&keywords)) {
        Err(error) if error.is_instance_of::<PyTypeError>(py) => value.call_method0(name),
        dumped => dumped,
    }
}
