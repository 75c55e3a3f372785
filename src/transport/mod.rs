//! How plans reach a server. The only place that knows sockets and RESP.
//!
//! Two transports drive the same plans: `blocking` on the caller's own thread, over a small pool
//! of sockets; `multiplexed` on tokio, over a few connections that all tasks share.

pub(crate) mod blocking;
mod connection;
pub(crate) mod multiplexed;
mod pool;
mod resolve;
mod resp;
mod stream;

pub use pool::Status;

use crate::call::{Failure, Retry};
use crate::error::{Error, ErrorKind};
use crate::options::ClientOptions;
use crate::plan::{Reply, Request};
use crate::refusal::{is_transient, refused};

pub(crate) use pool::Pool;

/// Makes the error for a server that cannot be reached or went away.
fn unreachable(options: &ClientOptions, what: &str, cause: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        format!("{what} Redis at {options}: {cause}; start the server, or check the address"),
    )
}

/// Makes the error for a client that was closed.
pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the backend was closed; make a new one")
}

/// Takes out the failure among the replies that another attempt may heal, if there is one.
///
/// Such a reply says that nothing was applied, unless other commands were sent with it.
fn transient_failure(request: &Request, replies: &[Reply]) -> Option<Failure> {
    let sent = request.commands.len() > 1;
    replies.iter().find_map(|reply| match reply {
        Reply::Error(error) if is_transient(error) => {
            Some(Failure { sent, ..Failure::before_sending(refused(error), Retry::Later) })
        }
        _ => None,
    })
}

/// Returns whether the server says that it is a replica now.
fn is_demoted(replies: &[Reply]) -> bool {
    replies.iter().any(|reply| matches!(reply, Reply::Error(error) if error.code == "READONLY"))
}
