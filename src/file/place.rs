//! Names the file an operation is about, and turns what the system says into an [`Error`].

use std::fmt;
use std::io;
use std::path::Path;

use rustix::io::Errno;

use crate::error::{Error, ErrorKind};

/// A file of a directory, or the directory itself, for error texts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) directory: &'a Path,
    /// Name in the directory; empty for the directory itself.
    pub(super) name: &'a str,
}

impl fmt::Display for Place<'_> {
    #[expect(clippy::unnecessary_debug_formatting, reason = "escapes control characters")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() {
            write!(f, "directory {:?}", self.directory)
        } else {
            write!(f, "file {:?} in {:?}", self.name, self.directory)
        }
    }
}

impl Place<'_> {
    /// Makes the error for an operation that the system refused; nothing was changed.
    pub(super) fn fault(&self, doing: &str, error: impl Into<io::Error>) -> Error {
        let error = error.into();
        let (kind, advice) = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                (ErrorKind::StorageFull, "make room and try again")
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                (ErrorKind::Storage, "choose a directory that this user may read and write")
            }
            _ if Errno::from_io_error(&error) == Some(Errno::LOOP) => {
                (ErrorKind::Storage, "it is a symbolic link, and links are not followed: remove it")
            }
            _ => (ErrorKind::Storage, "see to the disk and try again"),
        };
        Error::new(kind, format!("cannot {doing} {self}: {error}; nothing was changed: {advice}"))
    }

    /// Makes the error for a write that may or may not outlast a power loss.
    pub(super) fn in_doubt(&self, doing: &str, error: impl Into<io::Error>) -> Error {
        Error::new(
            ErrorKind::OutcomeUnknown { op_id: None },
            format!(
                "cannot {doing} {self}: {}; whether the write outlasts a power loss is unknown: \
                 see to the disk, then load the memory",
                error.into()
            ),
        )
    }

    /// Makes the error for a file that is not what its writer left there.
    pub(super) fn corrupt(&self, problem: &str) -> Error {
        Error::corrupt(format!(
            "{self} is damaged: {problem}; it was left as it is: restore it from a backup, or \
             delete the memory"
        ))
    }
}
