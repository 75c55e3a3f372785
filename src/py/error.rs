//! The core's errors as Python exceptions: one class for each kind.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::{Error, ErrorKind};

mod classes {
    //! The classes of `redember.errors`, looked up when one is first raised.
    use pyo3::import_exception;

    import_exception!(redember.errors, AuthFailedError);
    import_exception!(redember.errors, ClosedError);
    import_exception!(redember.errors, ConflictError);
    import_exception!(redember.errors, CorruptError);
    import_exception!(redember.errors, InvalidArgumentError);
    import_exception!(redember.errors, InvalidMessageError);
    import_exception!(redember.errors, LayoutError);
    import_exception!(redember.errors, NotEnoughReplicasError);
    import_exception!(redember.errors, OutcomeUnknownError);
    import_exception!(redember.errors, OutcomeUnknownTimeoutError);
    import_exception!(redember.errors, PermissionDeniedError);
    import_exception!(redember.errors, ReadOnlyError);
    import_exception!(redember.errors, ServerBusyError);
    import_exception!(redember.errors, ServerFullError);
    import_exception!(redember.errors, ServerReplyError);
    import_exception!(redember.errors, StorageError);
    import_exception!(redember.errors, StorageFullError);
    import_exception!(redember.errors, TlsError);
    import_exception!(redember.errors, TooLargeError);
    import_exception!(redember.errors, UnavailableError);
    import_exception!(redember.errors, UnavailableTimeoutError);
}

/// Makes the exception for `error`.
pub(super) fn exception(py: Python<'_>, error: &Error) -> PyErr {
    build(py, error).unwrap_or_else(|failure| failure)
}

fn build(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let message = error.message();
    let class = match error.kind() {
        ErrorKind::InvalidArgument => {
            return Ok(classes::InvalidArgumentError::new_err(message.to_owned()));
        }
        ErrorKind::TooLarge => return Ok(classes::TooLargeError::new_err(message.to_owned())),
        ErrorKind::InvalidMessage { path } => {
            let keywords = PyDict::new(py);
            keywords.set_item("path", path)?;
            let class = py.get_type::<classes::InvalidMessageError>();
            return Ok(PyErr::from_value(class.call((message,), Some(&keywords))?));
        }
        ErrorKind::Interrupted => return Ok(super::bridge::take_interrupt()),
        ErrorKind::Unavailable if error.call().timed_out => {
            py.get_type::<classes::UnavailableTimeoutError>()
        }
        ErrorKind::Unavailable => py.get_type::<classes::UnavailableError>(),
        ErrorKind::OutcomeUnknown { .. } if error.call().timed_out => {
            py.get_type::<classes::OutcomeUnknownTimeoutError>()
        }
        ErrorKind::OutcomeUnknown { .. } => py.get_type::<classes::OutcomeUnknownError>(),
        ErrorKind::Conflict { .. } => py.get_type::<classes::ConflictError>(),
        ErrorKind::ReadOnly => py.get_type::<classes::ReadOnlyError>(),
        ErrorKind::ServerBusy => py.get_type::<classes::ServerBusyError>(),
        ErrorKind::ServerFull => py.get_type::<classes::ServerFullError>(),
        ErrorKind::NotEnoughReplicas { .. } => py.get_type::<classes::NotEnoughReplicasError>(),
        ErrorKind::AuthFailed => py.get_type::<classes::AuthFailedError>(),
        ErrorKind::PermissionDenied => py.get_type::<classes::PermissionDeniedError>(),
        ErrorKind::Tls => py.get_type::<classes::TlsError>(),
        ErrorKind::Corrupt { .. } => py.get_type::<classes::CorruptError>(),
        ErrorKind::Layout => py.get_type::<classes::LayoutError>(),
        ErrorKind::Storage => py.get_type::<classes::StorageError>(),
        ErrorKind::StorageFull => py.get_type::<classes::StorageFullError>(),
        ErrorKind::Closed => py.get_type::<classes::ClosedError>(),
        ErrorKind::Server => py.get_type::<classes::ServerReplyError>(),
    };
    let call = error.call();
    let keywords = PyDict::new(py);
    keywords.set_item("operation", call.operation)?;
    keywords.set_item("attempts", call.attempts)?;
    keywords.set_item("elapsed", call.elapsed.as_secs_f64())?;
    keywords.set_item("applied", error.applied().as_str())?;
    keywords.set_item("retryable", error.retryable())?;
    let exception = class.call((message,), Some(&keywords))?;
    match error.kind() {
        ErrorKind::OutcomeUnknown { op_id } => exception.setattr("op_id", op_id)?,
        ErrorKind::Conflict { actual } => exception.setattr("actual", actual)?,
        ErrorKind::Corrupt { index } => exception.setattr("index", index)?,
        _ => {}
    }
    Ok(PyErr::from_value(exception))
}
