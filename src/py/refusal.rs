//! Why something of Python's cannot be stored, and where in it.

use pyo3::exceptions::{PyException, PyUnicodeEncodeError};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::error::{Error, ErrorKind};

/// Why a value was refused: the problem, or an exception of the caller's own code.
pub(super) enum Refusal {
    /// The problem, the path to it from the inside out, and what the caller's own code raised.
    Problem { path: Vec<String>, problem: String, cause: Option<PyErr> },
    /// The message that is being written, or the conversation, is over its limit.
    TooLarge { whole: bool, limit: usize },
    /// Raised by the caller's own code, and no error but a wish to stop (Ctrl-C); or by Python, which is
    /// out of memory.
    Raised(PyErr),
}

impl Refusal {
    pub(super) fn new(problem: impl Into<String>) -> Self {
        Self::Problem { path: Vec::new(), problem: problem.into(), cause: None }
    }

    /// What the caller's own code raised when it was asked what to store.
    pub(super) fn raised(py: Python<'_>, error: PyErr) -> Self {
        if !error.is_instance_of::<PyException>(py) {
            return Self::Raised(error);
        }
        let kind =
            error.get_type(py).name().map_or_else(|_| "an error".into(), |name| name.to_string());
        let problem = format!("asked for what to store, it raised {kind}");
        Self::Problem { path: Vec::new(), problem, cause: Some(error) }
    }

    /// What came of asking for a text's UTF-8: a lone surrogate, or no memory.
    #[cold]
    pub(super) fn no_utf8(py: Python<'_>, error: PyErr) -> Self {
        if error.is_instance_of::<PyUnicodeEncodeError>(py) {
            return Self::lone_surrogate();
        }
        Self::Raised(error)
    }

    #[cold]
    pub(super) fn lone_surrogate() -> Self {
        Self::new(
            "the text holds a lone surrogate, which UTF-8 cannot hold; clean it with \
             text.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace')",
        )
    }

    pub(super) fn under(mut self, step: impl FnOnce() -> String) -> Self {
        if let Self::Problem { path, .. } = &mut self {
            path.push(step());
        }
        self
    }

    /// Turns the refusal of something called `root` into an exception.
    pub(super) fn raise(self, py: Python<'_>, root: &str) -> PyErr {
        let (error, cause) = match self {
            Self::Raised(error) => return error,
            Self::TooLarge { whole, limit } => {
                let what = if whole { "the conversation" } else { root };
                let message = format!("{what} takes more than {limit} bytes of JSON, the limit");
                (Error::new(ErrorKind::TooLarge, message), None)
            }
            Self::Problem { path, problem, cause } => {
                let steps: String = path.into_iter().rev().collect();
                (Error::invalid_message(format!("{root}{steps}"), problem), cause)
            }
        };
        let raised = super::error::exception(py, &error);
        if cause.is_some() {
            raised.set_cause(py, cause);
        }
        raised
    }
}

impl From<PyErr> for Refusal {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

/// Returns a member's step in a path: `.name`, or `["any text"]` where it is no plain name.
pub(super) fn step(name: &Bound<'_, PyString>) -> String {
    let name = name.to_string_lossy();
    let plain = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    let short: String = name.chars().take(40).collect();
    if plain { format!(".{short}") } else { format!("[{short:?}]") }
}

pub(super) fn type_name(value: &Bound<'_, PyAny>) -> String {
    value.get_type().name().map_or_else(|_| "an object".to_owned(), |name| name.to_string())
}
