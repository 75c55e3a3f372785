//! How plans reach servers. The only place that knows sockets and RESP.
//!
//! Two transports drive the same plans: `blocking` on the caller's own thread, over a small pool
//! of sockets for each server; `multiplexed` as futures, over a few connections that all tasks share.
//! `Servers` says which server a request goes to, for both.

mod address;
pub(crate) mod blocking;
mod bulks;
mod calls;
mod confirming;
mod connection;
mod dial;
mod durability;
mod gate;
mod line;
mod links;
pub(crate) mod multiplexed;
mod news;
mod pack;
mod packet;
mod pool;
mod probe;
mod recycled;
mod resolve;
mod resp;
mod scout;
mod screen;
mod server;
mod servers;
mod slots;
mod source;
mod stream;
mod tls;
mod visit;
mod wire;

use std::time::Duration;

pub use pool::Status;

use crate::call::{Call, Failure, Retry};
use crate::error::{Error, ErrorKind, Result};
use crate::plan::{GONE, Reply, Request, ServerError};
use crate::refusal::{is_transient, refused};
use crate::store::Answer;

pub(crate) use address::Settings;
pub(crate) use calls::Calls;
pub(crate) use servers::Servers;

use address::Address;
use server::Server;

/// Reads one reply of what a server may have sent; returns how many bytes it took.
#[cfg(fuzzing)]
pub fn read_reply(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    resp::read_reply(&mut rest).ok().map(|_| bytes.len() - rest.len())
}

/// How often a call looks whether it is known by now whom to ask.
const GLANCE: Duration = Duration::from_millis(2);

/// What is larger is sent and read on the runtime's threads: an event loop has others to serve.
pub(crate) const LARGE: usize = 1 << 20;

/// Makes the error for a client that was closed.
pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the backend was closed; make a new one")
}

/// Makes the failure of an attempt at a server that has no part any more, or whose client was closed.
fn retired(address: &Address) -> Failure {
    let message = format!("{address} no longer has the memories");
    let error = Error::new(ErrorKind::Unavailable, message);
    Failure::before_sending(error, Retry::Elsewhere)
}

/// Ends a call that was answered.
fn settled(answer: Answer, call: &Call) -> Result<Answer> {
    call.check_replicas().map(|()| answer)
}

/// Takes out the failure among the replies that another attempt may heal, if there is one.
///
/// Such a reply says that its command was not applied, and others that were sent with it may have been;
/// of a transaction nothing was if the server says so.
pub(crate) fn transient_failure(replies: &[Reply]) -> Option<Failure> {
    let sent = may_be_applied(replies);
    replies.iter().find_map(|reply| match reply {
        Reply::Error(error) if is_transient(error) => {
            Some(Failure { sent, ..Failure::before_sending(refused(error), Retry::Later) })
        }
        _ => None,
    })
}

/// Returns whether some of a request was carried out, for all that its replies say.
fn may_be_applied(replies: &[Reply]) -> bool {
    let is_aborted =
        matches!(replies.last(), Some(Reply::Error(error)) if error.code == "EXECABORT");
    !is_aborted && replies.iter().any(|reply| !matches!(reply, Reply::Error(_)))
}

/// Returns whether the server says that it is a replica now.
fn is_demoted(replies: &[Reply]) -> bool {
    replies.iter().any(|reply| matches!(reply, Reply::Error(error) if error.code == "READONLY"))
}

/// Returns the replies of one of several servers, as one reply.
///
/// # Errors
/// The failure among them that another attempt may heal.
fn labelled(server: &Server, replies: Vec<Reply>) -> Result<Reply, Failure> {
    if let Some(failure) = transient_failure(&replies) {
        return Err(failure);
    }
    let label = Reply::Text(server.label().into());
    Ok(Reply::Array(std::iter::once(label).chain(replies).collect()))
}

/// Returns the replies for a server that is not what it was.
pub(crate) fn gone(request: &Request) -> Vec<Reply> {
    let error = ServerError { code: GONE.to_owned(), detail: String::new() };
    vec![Reply::Error(error); request.commands.len()]
}
