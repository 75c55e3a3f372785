//! The connections to one server that all tasks share (redis-rs).
//!
//! Requests of many tasks travel in one write and their replies come in one read, which beats a
//! pool many times over. Two connections keep a small request from queueing behind a large reply.
//! A connection whose attempt failed or timed out is thrown away: redis-rs would go on using it.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Cmd, Pipeline, ProtocolVersion, RedisConnectionInfo, RedisError, Value,
};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::{sleep_until, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::address::{Address, Bounds, SHORT_PATIENCE};
use super::connection::{check_greeting, failure, greeting};
use super::gate::{Gate, Turn};
use super::multiplexed::patiently;
use super::probe::Probe;
use super::resp::{pack, read_reply};
use super::screen::{Pulse, Screen, Wire};
use super::stream::tune;
use super::{is_demoted, retired};
use crate::call::{Call, Failure, Retry};
use crate::error::plain;
use crate::options::Endpoint;
use crate::plan::{Command, Reply, Request, ServerError};
use crate::script::Form;

const CONNECTIONS: usize = 2;

/// The connections to one server that the tasks of a process share.
#[derive(Debug)]
pub(super) struct Links {
    address: Address,
    gate: Arc<Gate>,
    slots: [Slot; CONNECTIONS],
    turn: AtomicUsize,
    closed: AtomicBool,
}

/// The place of one connection.
#[derive(Debug, Default)]
struct Slot {
    link: Mutex<Option<Link>>,
    /// Held by the task that is opening the connection; the others wait for it here.
    opening: tokio::sync::Mutex<()>,
}

impl Slot {
    fn current(&self) -> MutexGuard<'_, Option<Link>> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the connection, if it is not known to have ended.
    fn usable(&self) -> Option<Link> {
        let mut current = self.current();
        current.take_if(|link| link.pulse.trouble().is_some());
        current.clone()
    }

    /// Drops a connection, unless another has taken its place.
    fn drop_link(&self, failed: &Link) {
        self.current().take_if(|link| Arc::ptr_eq(&link.pulse, &failed.pulse));
    }
}

#[derive(Debug, Clone)]
struct Link {
    connection: MultiplexedConnection,
    pulse: Arc<Pulse>,
}

impl Links {
    /// Makes the links; none is open yet.
    pub(super) fn new(address: Address, gate: Arc<Gate>) -> Self {
        let (slots, turn) = Default::default();
        Self { address, gate, slots, turn, closed: AtomicBool::new(false) }
    }

    /// Closes every connection.
    pub(super) fn close(&self) {
        // Release and acquire: a task that opens a connection meanwhile sees the flag afterwards.
        self.closed.store(true, Ordering::Release);
        self.slots.iter().for_each(|slot| drop(slot.current().take()));
    }

    /// Sends a request and reads one reply for each of its commands.
    pub(super) async fn exchange(
        &self,
        request: &Request,
        call: &Call,
        bounds: Bounds,
    ) -> Result<Vec<Reply>, Failure> {
        // Relaxed: any spread over the connections will do.
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % CONNECTIONS;
        let Some(slot) = self.slots.get(turn) else { return Ok(Vec::new()) };
        let link = self.link(slot, bounds).await?;
        let (mut connection, pulse) = (link.connection.clone(), &link.pulse);
        let replies = exchange(&mut connection, request, call.form());
        // A new connection has just shown that the server is there: now its silence may mean work.
        let bounds = Bounds { patience: call.patience(bounds.patience), ..bounds };
        let failed = |error: &io::Error, retry| {
            slot.drop_link(&link);
            Err(failure(&self.address, "lost the connection to", error, true, retry))
        };
        match patiently(replies, bounds, || pulse.last()).await {
            Some(Ok(replies)) => {
                // A primary that has become a replica: the next connection may find the new one.
                if is_demoted(&replies) {
                    slot.drop_link(&link);
                }
                Ok(replies)
            }
            Some(Err(error)) => match pulse.trouble() {
                Some(trouble) => failed(trouble, Retry::AtOnce),
                None => failed(&io::Error::other(brief(&error)), Retry::AtOnce),
            },
            None => failed(&io::ErrorKind::TimedOut.into(), Retry::Later),
        }
    }

    /// Returns the connection of a slot, opening one if there is none.
    async fn link(&self, slot: &Slot, bounds: Bounds) -> Result<Link, Failure> {
        let began = Instant::now();
        let until = bounds.deadline.min(began + bounds.patience);
        let opening = async {
            if let Some(link) = slot.usable() {
                return Ok(link);
            }
            let _opening = slot.opening.lock().await;
            if let Some(link) = slot.usable() {
                return Ok(link);
            }
            loop {
                match self.gate.turn(began) {
                    Turn::Now => break,
                    Turn::Over(failure) => return Err(failure),
                    Turn::At(next) => sleep_until(next.into()).await,
                }
            }
            let opened = open(&self.address, Bounds { deadline: until, ..bounds }).await;
            let link = opened.inspect_err(|failure| self.gate.refuse(failure))?;
            if self.closed.load(Ordering::Acquire) {
                return Err(retired(&self.address));
            }
            *slot.current() = Some(link.clone());
            Ok(link)
        };
        // Finding out what the silence of a server means takes a moment more.
        let latest = bounds.deadline.min(until + SHORT_PATIENCE);
        let lost = |error: &io::Error| unconnected(&self.address, error);
        let timed_out = |_| Err(lost(&io::ErrorKind::TimedOut.into()));
        timeout_at(latest.into(), opening).await.unwrap_or_else(timed_out)
    }
}

fn unconnected(address: &Address, error: &io::Error) -> Failure {
    failure(address, "cannot connect to", error, false, Retry::Later)
}

/// Connects, logs in and selects the database.
async fn open(address: &Address, bounds: Bounds) -> Result<Link, Failure> {
    let lost = |error: &io::Error| unconnected(address, error);
    let wire = match &address.endpoint {
        Endpoint::Unix(path) => {
            let socket = UnixStream::connect(path).await.map_err(|error| lost(&error))?;
            Box::new(socket) as Box<dyn Wire>
        }
        Endpoint::Tcp { host, port } => {
            let socket = connect(host, *port, bounds).await.map_err(|error| lost(&error))?;
            secure(address, socket, bounds).await?
        }
    };
    let (mut screen, pulse) = Screen::new(wire);
    let greeted = timeout_at(bounds.deadline.into(), greet(address, &mut screen)).await;
    match greeted.unwrap_or_else(|_| Err(lost(&io::ErrorKind::TimedOut.into()))) {
        // Once they have shaken hands it does speak TLS.
        Err(failure) if address.settings.tls.is_none() => {
            return Err(explain(address, failure).await);
        }
        greeted => greeted?,
    }
    // The greeting was ours, and so are the timeouts: redis-rs' own response timeout is 500 ms.
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let plain =
        RedisConnectionInfo::default().set_skip_set_lib_name().set_protocol(ProtocolVersion::RESP2);
    let connected = MultiplexedConnection::new_with_config(&plain, screen, config).await;
    let (connection, driver) = connected.map_err(|error| lost(&io::Error::other(brief(&error))))?;
    // It ends when the last clone of the connection is gone.
    tokio::spawn(driver);
    Ok(Link { connection, pulse })
}

/// Logs in and selects the database.
///
/// A server that is full, or wants a password, says so to whatever comes first, or even before:
/// let that be nothing of the caller's.
async fn greet(address: &Address, screen: &mut Screen) -> Result<(), Failure> {
    let lost = |error: &io::Error| unconnected(address, error);
    let greeting = greeting(address);
    let mut packed = Vec::new();
    greeting.commands.iter().for_each(|command| pack(&mut packed, command, Form::Digest));
    let sent = screen.write_all(&packed).await;
    let mut read = Vec::new();
    let mut replies = Vec::new();
    while replies.len() < greeting.commands.len() {
        let mut rest = read.as_slice();
        match read_reply(&mut rest) {
            Ok(reply) => {
                let refused = matches!(reply, Reply::Error(_));
                replies.push(reply);
                if refused {
                    break; // it may say no more
                }
                let taken = read.len() - rest.len();
                read.drain(..taken);
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                let more = screen.read_buf(&mut read).await.map_err(|error| lost(&error))?;
                if more == 0 {
                    return Err(lost(&sent.err().unwrap_or(error)));
                }
            }
            Err(error) => return Err(lost(&error)),
        }
    }
    check_greeting(address, replies)
}

/// Connects to a name, trying each of its addresses in turn.
async fn connect(host: &str, port: u16, bounds: Bounds) -> io::Result<TcpStream> {
    let mut failure = io::Error::other("the name has no address");
    for address in lookup_host((host, port)).await? {
        match patiently(TcpStream::connect(address), bounds, Instant::now).await {
            Some(Ok(socket)) => {
                tune(&SockRef::from(&socket))?;
                return Ok(socket);
            }
            Some(Err(error)) => failure = error,
            None => failure = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(failure)
}

/// Makes a TLS connection of a socket, where that is asked for.
async fn secure(
    address: &Address,
    socket: TcpStream,
    bounds: Bounds,
) -> Result<Box<dyn Wire>, Failure> {
    let Some(tls) = &address.settings.tls else { return Ok(Box::new(socket)) };
    let never = |error| Failure::before_sending(error, Retry::Never);
    let connector = TlsConnector::from(tls.config().map_err(never)?);
    let name = tls.name(&address.endpoint).map_err(never)?;
    let secured = timeout_at(bounds.deadline.into(), connector.connect(name, socket)).await;
    match secured.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(explain(address, unconnected(address, &error)).await),
    }
}

/// Says why a connection failed without a word, if the port can be made to tell.
async fn explain(address: &Address, failure: Failure) -> Failure {
    let (Some(probe), Endpoint::Tcp { host, port }) =
        (Probe::of(address, &failure), &address.endpoint)
    else {
        return failure;
    };
    let asked = async {
        let mut socket = TcpStream::connect((host.as_str(), *port)).await?;
        socket.write_all(&probe.hello).await?;
        socket.read_u8().await
    };
    match timeout(SHORT_PATIENCE, asked).await {
        Ok(Ok(first)) => probe.verdict(address, first).unwrap_or(failure),
        _ => failure,
    }
}

/// Sends a request and reads one reply for each of its commands.
async fn exchange(
    connection: &mut MultiplexedConnection,
    request: &Request,
    form: Form,
) -> Result<Vec<Reply>, RedisError> {
    let mut replies = send(connection, request.commands.iter(), form).await?;
    let unknown = request.unknown_scripts(&replies);
    if !unknown.is_empty() {
        let scripts = unknown.iter().filter_map(|&at| request.commands.get(at));
        let answers = send(connection, scripts, Form::Source).await?;
        for (at, answer) in unknown.into_iter().zip(answers) {
            if let Some(reply) = replies.get_mut(at) {
                *reply = answer;
            }
        }
    }
    Ok(replies)
}

async fn send<'a>(
    connection: &mut MultiplexedConnection,
    commands: impl Iterator<Item = &'a Command>,
    form: Form,
) -> Result<Vec<Reply>, RedisError> {
    let mut pipeline = Pipeline::new();
    for command in commands {
        let mut packed = Cmd::new();
        command.for_each_part(form, |part| {
            packed.arg(part.as_ref());
        });
        pipeline.add_command(packed);
    }
    let count = pipeline.len();
    let values = connection.send_packed_commands(&pipeline, 0, count).await?;
    Ok(values.into_iter().map(reply).collect())
}

/// Turns a value of redis-rs into a reply of ours.
fn reply(value: Value) -> Reply {
    match value {
        Value::Int(value) => Reply::Integer(value),
        Value::Boolean(value) => Reply::Integer(i64::from(value)),
        Value::BulkString(text) => Reply::Text(text.into()),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Reply::Text(text.into()),
        Value::Okay => Reply::Text("OK".into()),
        Value::Double(value) => Reply::Text(value.to_string().into()),
        Value::Array(items) | Value::Set(items) | Value::Push { data: items, .. } => {
            Reply::Array(items.into_iter().map(reply).collect())
        }
        Value::Map(pairs) => Reply::Array(
            pairs.into_iter().flat_map(|(key, value)| [reply(key), reply(value)]).collect(),
        ),
        Value::Attribute { data, .. } => reply(*data),
        Value::ServerError(error) => {
            let detail = error.details().unwrap_or_default();
            Reply::Error(ServerError::parse(&format!("{} {detail}", error.code())))
        }
        // `Nil`, and kinds that RESP may grow: nothing that is asked for answers with one.
        _ => Reply::Nil,
    }
}

/// Says what happened to a connection, in few words and none of the server's.
fn brief(error: &RedisError) -> String {
    plain(&error.to_string())
}
