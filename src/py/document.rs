//! Documents as bytes, for those who hold one in their hands.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::encode;
use super::error::exception;
use super::messages::PyMessages;
use crate::layout::document::{self, Form};
use crate::messages::Limits;

const LIMITS: Limits = Limits { message: encode::MOST_BYTES, conversation: encode::MOST_BYTES };

/// Returns the document of `messages`.
#[pyfunction]
#[pyo3(signature = (messages, *, indent=false))]
pub(super) fn to_document<'py>(
    messages: &Bound<'py, PyAny>,
    indent: bool,
) -> PyResult<Bound<'py, PyBytes>> {
    let py = messages.py();
    let form = if indent { Form::Indented } else { Form::Compact };
    let document = document::write(&encode::messages(messages, LIMITS, encode::Texts::Once)?, form);
    document.map(|text| PyBytes::new(py, &text)).map_err(|error| exception(py, &error))
}

/// Returns the messages of a document.
#[pyfunction]
pub(super) fn from_document(py: Python<'_>, document: &[u8]) -> PyResult<PyMessages> {
    document::read(document).map(PyMessages::new).map_err(|error| exception(py, &error))
}
