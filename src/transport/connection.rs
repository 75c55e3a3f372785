//! One blocking connection: the handshake, and requests for replies.

use std::io::{self, BufReader, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustls::ClientConnection;

use super::address::{Address, Bounds, Role, SHORT_PATIENCE};
use super::packet::Packet;
use super::probe::Probe;
use super::resp::read_reply;
use super::stream::{Interrupted, Stream};
use super::tls;
use crate::call::{Failure, Retry};
use crate::error::{Error, ErrorKind};
use crate::options::Protocol;
use crate::plan::{Command, Forms, Reply, Request};
use crate::refusal::{is_transient, refused};
use crate::script::Form;

/// Bytes that one read takes from the socket; a large reply needs few system calls.
const READ_BUFFER: usize = 64 << 10;

/// A connection that is logged in and on its database.
#[derive(Debug)]
pub(super) struct Connection {
    stream: BufReader<Stream>,
    out: Packet,
    /// Whether it has answered a caller's request before.
    proven: bool,
}

impl Connection {
    /// Connects, logs in and selects the database.
    pub(super) fn open(address: &Address, bounds: Bounds) -> Result<Self, Failure> {
        let lost = |error| failure(address, "cannot connect to", &error, false, Retry::Later);
        let mut stream = Stream::connect(address, bounds).map_err(lost)?;
        if let Some(tls) = &address.settings.tls {
            let never = |error| Failure::before_sending(error, Retry::Never);
            let config = tls.config().map_err(never)?;
            let name = tls.name(&address.endpoint).map_err(never)?;
            let session = ClientConnection::new(config, name)
                .map_err(|error| lost(io::Error::new(io::ErrorKind::InvalidData, error)))?;
            stream =
                stream.secure(session).map_err(|error| explain(address, lost(error), bounds))?;
        }
        let stream = BufReader::with_capacity(READ_BUFFER, stream);
        let mut connection = Self { stream, out: Packet::default(), proven: false };
        // One round trip before anything of the caller's is sent: a server that is full, or wants a
        // password, says so to whatever comes first.
        let greeting = greeting(address);
        let replies = connection.exchange(address, &greeting, Form::Digest, bounds);
        let replies = replies.map_err(|failure| {
            let failure = Failure { sent: false, ..failure };
            if address.settings.tls.is_some() {
                return failure; // they have shaken hands: it does speak TLS
            }
            explain(address, failure, bounds)
        });
        check_greeting(address, replies?)?;
        address.settings.count_connection();
        connection.proven = false;
        Ok(connection)
    }

    /// Sends a request and reads one reply for each of its commands.
    ///
    /// After a failure the connection must not be used again: a reply may still be on its way.
    pub(super) fn exchange(
        &mut self,
        address: &Address,
        request: &Request,
        form: Form,
        bounds: Bounds,
    ) -> Result<Vec<Reply>, Failure> {
        let mut replies = Vec::with_capacity(request.commands.len());
        self.send(address, request, form, bounds)?;
        self.receive(address, request.commands.len(), bounds, &mut replies)?;
        let again = request.to_send_again(&replies);
        if !again.is_empty() {
            let commands = again.iter().filter_map(|&at| request.commands.get(at));
            let mut answers = Vec::with_capacity(again.len());
            self.write(address, commands, Form::Source)?;
            self.receive(address, again.len(), bounds, &mut answers)?;
            Request::fill_in(&mut replies, &again, answers);
        }
        Ok(replies)
    }

    /// Sends a request whose replies are to be [received](Self::receive).
    pub(super) fn send(
        &mut self,
        address: &Address,
        request: &Request,
        form: Form,
        bounds: Bounds,
    ) -> Result<(), Failure> {
        self.stream.get_mut().set_bounds(bounds);
        self.write(address, request.commands.iter(), form)
    }

    /// Reads as many replies; those that came before a failure are there.
    pub(super) fn receive(
        &mut self,
        address: &Address,
        count: usize,
        bounds: Bounds,
        replies: &mut Vec<Reply>,
    ) -> Result<(), Failure> {
        self.stream.get_mut().set_bounds(bounds);
        for _ in 0..count {
            let reply = read_reply(&mut self.stream);
            replies.push(reply.map_err(|error| self.lost(address, &error))?);
        }
        self.proven = true;
        Ok(())
    }

    /// Reads what a server sends without being asked.
    pub(super) fn listen(&mut self, address: &Address, bounds: Bounds) -> Result<Reply, Failure> {
        self.stream.get_mut().set_bounds(bounds);
        read_reply(&mut self.stream)
            .map_err(|error| failure(address, "lost the connection to", &error, true, Retry::Later))
    }

    /// Returns whether the server has closed the connection, or said something unasked, while it lay
    /// idle. What is not sent on such a connection leaves no doubt.
    pub(super) fn is_stale(&self) -> bool {
        let mut events = [PollFd::new(self, PollFlags::IN)];
        self.has_more()
            || poll(&mut events, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    /// Returns whether something was read from the socket that nobody has taken yet.
    pub(super) fn has_more(&self) -> bool {
        !self.stream.buffer().is_empty()
    }

    fn write<'a>(
        &mut self,
        address: &Address,
        commands: impl Iterator<Item = &'a Command>,
        form: Form,
    ) -> Result<(), Failure> {
        let mut forms = Forms::new(form);
        commands.for_each(|command| self.out.push(command, forms.of(command)));
        let stream = self.stream.get_mut();
        let sent = self.out.write_to(stream).and_then(|()| stream.flush());
        self.out.clear();
        sent.map_err(|error| self.last_words(address).unwrap_or_else(|| self.lost(address, &error)))
    }

    fn lost(&self, address: &Address, error: &io::Error) -> Failure {
        self.stream.get_ref().abandon();
        // A connection from the pool may have been closed by the server while it lay idle.
        let retry = if self.proven { Retry::AtOnce } else { Retry::Later };
        failure(address, "lost the connection to", error, true, retry)
    }

    /// Returns why a TLS server has closed the connection, if it said so before it did.
    fn last_words(&mut self, address: &Address) -> Option<Failure> {
        address.settings.tls.as_ref()?;
        let error = read_reply(&mut self.stream).err()?;
        tls::failure(&error)?;
        Some(failure(address, "", &error, true, Retry::Never))
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.get_ref().as_fd()
    }
}

/// Says why a connection failed without a word, if the port can be made to tell.
fn explain(address: &Address, failure: Failure, bounds: Bounds) -> Failure {
    let Some(probe) = Probe::of(address, &failure) else { return failure };
    let deadline = bounds.deadline.min(Instant::now() + SHORT_PATIENCE);
    let bounds = Bounds { deadline, ..bounds };
    let mut first = [0];
    let asked = Stream::connect(address, bounds).and_then(|mut stream| {
        stream.write_all(&probe.hello)?;
        stream.read_exact(&mut first)
    });
    match asked {
        Ok(()) => probe.verdict(address, first[0]).unwrap_or(failure),
        Err(error) if Interrupted::is(&error) => {
            self::failure(address, "", &error, false, Retry::Never)
        }
        Err(_) => failure,
    }
}

/// Returns what a connection begins with.
pub(super) fn greeting(address: &Address) -> Request {
    let text = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let login = address.login();
    let user = login.username.as_deref();
    let password = login.password.as_ref().map(|password| text(password.reveal()));
    // Sentinels tell their news as plain arrays.
    let speaks_resp3 = address.settings.options.protocol == Protocol::Resp3;
    let login = if speaks_resp3 && address.role != Role::Sentinel {
        let hello = [text("HELLO"), text("3")].into_iter();
        let login = password
            .map(|password| [text("AUTH"), text(user.unwrap_or("default")), password].into_iter());
        Some(Command::plain(hello.chain(login.into_iter().flatten())))
    } else {
        password.map(|password| {
            let parts = [Some(text("AUTH")), user.map(text), Some(password)];
            Command::plain(parts.into_iter().flatten())
        })
    };
    let select = address.db().map(|db| Command::plain([text("SELECT"), db.to_string().into()]));
    let last = match address.role {
        Role::Primary => Some(Command::plain([text("ROLE")])),
        _ => (login.is_none() && select.is_none()).then(|| Command::plain([text("PING")])),
    };
    Request::read(login.into_iter().chain(select).chain(last))
}

/// Checks the replies to [`greeting`].
pub(super) fn check_greeting(address: &Address, replies: Vec<Reply>) -> Result<(), Failure> {
    for reply in &replies {
        if let Reply::Error(error) = reply {
            let retry = if is_transient(error) { Retry::Later } else { Retry::Never };
            let error = refused(error);
            let message = format!("{address} refused the connection: {error}");
            let error = Error::new(error.kind().clone(), message);
            return Err(Failure::before_sending(error, retry));
        }
    }
    let role = replies.into_iter().next_back().map(Reply::array);
    let is_primary = || match role {
        Some(Ok(parts)) => parts.first() == Some(&Reply::Text("master".into())),
        _ => false,
    };
    if address.role == Role::Primary && !is_primary() {
        let message =
            format!("{address} is a replica now; its sentinels have not named another yet");
        let error = Error::new(ErrorKind::ReadOnly, message);
        return Err(Failure::before_sending(error, Retry::Later));
    }
    Ok(())
}

/// Says what an I/O error means for an attempt.
pub(super) fn failure(
    address: &Address,
    what: &str,
    error: &io::Error,
    sent: bool,
    retry: Retry,
) -> Failure {
    if Interrupted::is(error) {
        let error = Error::new(ErrorKind::Interrupted, "interrupted");
        return Failure { error, sent, retry: Retry::Never, timed_out: false, lost: false };
    }
    if let Some(problem) = tls::failure(error) {
        if let Some(tls) = &address.settings.tls {
            tls.reread();
        }
        let error = Error::new(ErrorKind::Tls, format!("{address}: {problem}"));
        return Failure { error, sent, retry: Retry::Never, timed_out: false, lost: false };
    }
    if error.kind() == io::ErrorKind::InvalidData {
        // Nothing that a second attempt could heal, and a large reply would be sent again.
        let kind = if sent { ErrorKind::Server } else { ErrorKind::Unavailable };
        let error = Error::new(kind, format!("{address}: {error}"));
        return Failure { error, sent, retry: Retry::Never, timed_out: false, lost: false };
    }
    let (what, cause) = match error.kind() {
        io::ErrorKind::TimedOut => ("no answer from", "timed out".to_owned()),
        io::ErrorKind::UnexpectedEof => (what, "the server closed it".to_owned()),
        _ => (what, error.to_string()),
    };
    let timed_out = error.kind() == io::ErrorKind::TimedOut;
    let retry = if timed_out { Retry::Later } else { retry };
    let error = address.unreachable(what, cause);
    Failure { error, sent, retry, timed_out, lost: true }
}
