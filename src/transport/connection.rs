//! One blocking connection: the handshake, and requests for replies.

use std::io::{self, BufReader, Write};
use std::time::Instant;

use bytes::Bytes;

use super::resp::{pack, read_reply};
use super::stream::{Interrupted, Stream};
use super::unreachable;
use crate::call::{Failure, Interrupt, Retry};
use crate::error::{Error, ErrorKind};
use crate::options::{ClientOptions, Protocol};
use crate::plan::{Command, Reply, Request};
use crate::refusal::{is_transient, refused};
use crate::script::Form;

/// Bytes that one read takes from the socket; a large reply needs few system calls.
const READ_BUFFER: usize = 64 << 10;
/// The write buffer that an idle connection keeps.
const KEPT_WRITE_BUFFER: usize = 64 << 10;

/// A connection that is logged in and on its database.
#[derive(Debug)]
pub(super) struct Connection {
    stream: BufReader<Stream>,
    out: Vec<u8>,
    /// Whether it has answered a caller's request before.
    proven: bool,
}

impl Connection {
    /// Connects, logs in and selects the database.
    pub(super) fn open(
        options: &ClientOptions,
        deadline: Instant,
        interrupt: Interrupt,
    ) -> Result<Self, Failure> {
        let stream = Stream::connect(&options.endpoint, deadline, interrupt).map_err(|error| {
            let sent = false;
            failure(options, "cannot connect to", &error, sent, Retry::Later)
        })?;
        let stream = BufReader::with_capacity(READ_BUFFER, stream);
        let mut connection = Self { stream, out: Vec::new(), proven: false };
        // One round trip before anything of the caller's is sent: a server that is full, or wants a
        // password, says so to whatever comes first.
        let greeting = handshake(options);
        let replies = connection.exchange(options, &greeting, Form::Digest, deadline, interrupt);
        let replies = replies.map_err(|failure| Failure { sent: false, ..failure })?;
        for reply in replies {
            if let Reply::Error(error) = reply {
                let retry = if is_transient(&error) { Retry::Later } else { Retry::Never };
                let error = refused(&error);
                let message = format!("Redis at {options} refused the connection: {error}");
                let error = Error::new(error.kind().clone(), message);
                return Err(Failure::before_sending(error, retry));
            }
        }
        connection.proven = false;
        Ok(connection)
    }

    /// Sends a request and reads one reply for each of its commands.
    ///
    /// After a failure the connection must not be used again: a reply may still be on its way.
    pub(super) fn exchange(
        &mut self,
        options: &ClientOptions,
        request: &Request,
        form: Form,
        deadline: Instant,
        interrupt: Interrupt,
    ) -> Result<Vec<Reply>, Failure> {
        self.stream.get_mut().set_deadline(deadline, interrupt);
        let all: Vec<usize> = (0..request.commands.len()).collect();
        let mut replies = Vec::with_capacity(all.len());
        let every = request.commands.iter();
        self.round_trip(options, every, form, &mut replies)?;
        let unknown = request.unknown_scripts(&replies);
        if !unknown.is_empty() {
            let scripts = unknown.iter().filter_map(|&at| request.commands.get(at));
            let mut answers = Vec::with_capacity(unknown.len());
            self.round_trip(options, scripts, Form::Source, &mut answers)?;
            for (at, answer) in unknown.into_iter().zip(answers) {
                if let Some(reply) = replies.get_mut(at) {
                    *reply = answer;
                }
            }
        }
        self.proven = true;
        Ok(replies)
    }

    fn round_trip<'a>(
        &mut self,
        options: &ClientOptions,
        commands: impl Iterator<Item = &'a Command> + Clone,
        form: Form,
        replies: &mut Vec<Reply>,
    ) -> Result<(), Failure> {
        self.out.clear();
        commands.clone().for_each(|command| pack(&mut self.out, command, form));
        // A connection from the pool may have been closed by the server while it lay idle.
        let retry = if self.proven { Retry::AtOnce } else { Retry::Later };
        let lost = |error| failure(options, "lost the connection to", &error, true, retry);
        self.stream.get_mut().write_all(&self.out).map_err(lost)?;
        self.out.shrink_to(KEPT_WRITE_BUFFER);
        for _ in commands {
            replies.push(read_reply(&mut self.stream).map_err(lost)?);
        }
        Ok(())
    }
}

fn handshake(options: &ClientOptions) -> Request {
    let text = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let user = options.username.as_deref();
    let password = options.password.as_ref().map(|password| text(password.reveal()));
    let login = match options.protocol {
        Protocol::Resp3 => {
            let hello = [text("HELLO"), text("3")].into_iter();
            let login = password.map(|password| {
                [text("AUTH"), text(user.unwrap_or("default")), password].into_iter()
            });
            Some(Command::plain(hello.chain(login.into_iter().flatten())))
        }
        Protocol::Resp2 => password.map(|password| {
            let parts = [Some(text("AUTH")), user.map(text), Some(password)];
            Command::plain(parts.into_iter().flatten())
        }),
    };
    let select =
        (options.db != 0).then(|| Command::plain([text("SELECT"), options.db.to_string().into()]));
    let ping = (login.is_none() && select.is_none()).then(|| Command::plain([text("PING")]));
    Request::read(login.into_iter().chain(select).chain(ping))
}

fn failure(
    options: &ClientOptions,
    what: &str,
    error: &io::Error,
    sent: bool,
    retry: Retry,
) -> Failure {
    if Interrupted::is(error) {
        let error = Error::new(ErrorKind::Interrupted, "interrupted");
        return Failure { error, sent, retry: Retry::Never, timed_out: false };
    }
    if error.kind() == io::ErrorKind::InvalidData {
        // Nothing that a second attempt could heal, and a large reply would be sent again.
        let kind = if sent { ErrorKind::Server } else { ErrorKind::Unavailable };
        let error = Error::new(kind, format!("Redis at {options}: {error}"));
        return Failure { error, sent, retry: Retry::Never, timed_out: false };
    }
    let (what, cause) = match error.kind() {
        io::ErrorKind::TimedOut => ("no answer from", "timed out".to_owned()),
        io::ErrorKind::UnexpectedEof => (what, "the server closed it".to_owned()),
        _ => (what, error.to_string()),
    };
    let timed_out = error.kind() == io::ErrorKind::TimedOut;
    let retry = if timed_out { Retry::Later } else { retry };
    Failure { error: unreachable(options, what, cause), sent, retry, timed_out }
}
