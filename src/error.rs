//! The one error type of the core.
//!
//! An [`Error`] says what was tried, on what, and what to do. It never holds a secret or the text
//! of a message. Its [`ErrorKind`] is what callers branch on; the Python layer maps each kind to
//! one exception class.

use std::fmt;
use std::time::Duration;

/// A result whose error is this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as a caller would branch on it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument or option is not acceptable; nothing was sent.
    InvalidArgument,
    /// A message cannot be stored as JSON; nothing was sent.
    InvalidMessage {
        /// Where in the input, such as `messages[3].tool_calls[0].function`.
        path: String,
    },
    /// A message or conversation is over its size limit; nothing was sent.
    TooLarge,
    /// The server could not be reached, and the call was surely not applied.
    Unavailable,
    /// A write was sent and its reply never came: it may or may not have been applied.
    OutcomeUnknown {
        /// Identity of the write; repeating an append with it as idempotency key is safe.
        op_id: Option<String>,
    },
    /// The memory is not at the revision the caller expected; nothing was written.
    Conflict {
        /// Revision the memory is really at; 0 when there is no such memory.
        actual: u64,
    },
    /// The server is a read-only replica.
    ReadOnly,
    /// The server is loading, busy or out of client slots.
    ServerBusy,
    /// The server is out of memory; nothing was written.
    ServerFull,
    /// Too few replicas took the write.
    NotEnoughReplicas {
        /// Whether the primary has it.
        written: bool,
    },
    /// The server refused the credentials.
    AuthFailed,
    /// The server's access rules forbid a command that is needed.
    PermissionDenied,
    /// A TLS connection could not be made.
    Tls,
    /// What is stored is not what this version can read.
    Corrupt {
        /// Index of the first unreadable message, where one message is to blame.
        index: Option<usize>,
    },
    /// The memory is stored in the other layout; nothing was written.
    Layout,
    /// The file system refused an operation.
    Storage,
    /// The disk is full; the stored memory is as it was.
    StorageFull,
    /// The backend was closed.
    Closed,
    /// The caller interrupted the call (Ctrl-C).
    Interrupted,
    /// The server answered with an error that has no kind of its own.
    Server,
}

/// Whether a failed call changed anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// Surely not.
    No,
    /// It may have: the request was sent and no reply was read.
    Unknown,
    /// It did, if not as safely as was asked.
    Yes,
}

impl Applied {
    /// Returns the word Python callers see.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Unknown => "unknown",
            Self::Yes => "yes",
        }
    }
}

/// An error of the core: a kind, a sentence for people, and the call it belongs to.
#[derive(Debug, Clone)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    call: CallReport,
}

/// What is known of the call that failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallReport {
    /// Name of the verb (`append`), empty before a call began.
    pub operation: &'static str,
    /// How many times a request was tried.
    pub attempts: u32,
    /// Time from the start of the call.
    pub elapsed: Duration,
    /// Whether the deadline, and not the server, ended the call.
    pub timed_out: bool,
}

impl Error {
    /// Makes an error of `kind` with a sentence that says what was tried and what to do.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), call: CallReport::default() }
    }

    /// Makes an [`ErrorKind::InvalidArgument`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument, message)
    }

    /// Makes an [`ErrorKind::InvalidMessage`] at `path`.
    pub fn invalid_message(path: impl Into<String>, problem: impl fmt::Display) -> Self {
        let path = path.into();
        let message = format!("cannot store {path}: {problem}");
        Self::new(ErrorKind::InvalidMessage { path }, message)
    }

    /// Makes an [`ErrorKind::Corrupt`] that is not about one message.
    pub fn corrupt(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt { index: None }, message)
    }

    /// Returns the same error with what is known of its call.
    #[must_use]
    pub fn in_call(mut self, call: CallReport) -> Self {
        self.call = call;
        self
    }

    /// Returns the same error as callers see it: what was tried, on which memory, how often.
    #[must_use]
    pub fn of_call(mut self, operation: &'static str, memory: Option<&str>) -> Self {
        self.call.operation = operation;
        if matches!(self.kind, ErrorKind::InvalidArgument | ErrorKind::TooLarge) {
            return self;
        }
        // `{:?}` escapes control characters, so an id cannot forge a line of a log.
        let memory = memory.map(|id| id.chars().take(80).collect::<String>());
        let memory = memory.map_or(String::new(), |id| format!(" of {id:?}"));
        let CallReport { attempts, elapsed, .. } = self.call;
        let tries = match attempts {
            0 | 1 => String::new(),
            _ => format!(" ({attempts} attempts, {:.2} s)", elapsed.as_secs_f64()),
        };
        self.message = format!("{operation}{memory} failed{tries}: {}", self.message);
        self
    }

    /// Returns what went wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// Returns the sentence for people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns what is known of the call that failed.
    pub fn call(&self) -> CallReport {
        self.call
    }

    /// Returns whether the failed call may have changed anything.
    pub fn applied(&self) -> Applied {
        match self.kind {
            ErrorKind::OutcomeUnknown { .. } => Applied::Unknown,
            ErrorKind::NotEnoughReplicas { written: true } => Applied::Yes,
            _ => Applied::No,
        }
    }

    /// Returns whether the same call may succeed later with no change by the caller.
    pub fn retryable(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Unavailable
                | ErrorKind::OutcomeUnknown { .. }
                | ErrorKind::ReadOnly
                | ErrorKind::ServerBusy
                | ErrorKind::ServerFull
                | ErrorKind::NotEnoughReplicas { .. }
                | ErrorKind::StorageFull
        )
    }
}

/// Returns somebody else's words as a short part of one line: what they say is not what a terminal
/// or a log does.
pub(crate) fn plain(text: &str) -> String {
    let tame = |c: char| {
        // Ends of lines and paragraphs, and what turns the direction of text around.
        let unruly = matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || unruly { ' ' } else { c }
    };
    text.chars().map(tame).take(160).collect()
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
