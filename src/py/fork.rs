//! Has every forked child know that it is one.

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;

use crate::process::count_fork;

/// Counts forks from now on: of `os.fork`, and of libraries that fork by themselves.
#[expect(unsafe_code, reason = "the standard library has no word for it")]
pub(super) fn watch() -> PyResult<()> {
    // SAFETY: what the child runs before anything else is one step on an atomic number. The module is
    // never unloaded.
    let failure = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    if failure != 0 {
        return Err(PyOSError::new_err((failure, "cannot watch for forks")));
    }
    count_fork();
    Ok(())
}

extern "C" fn in_child() {
    count_fork();
}
