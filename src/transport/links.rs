//! The connections to one server that all tasks share (redis-rs).
//!
//! Requests of many tasks travel in one write and their replies come in one read, which beats a
//! pool many times over. Two connections keep a small request from queueing behind a large reply.
//! A connection whose attempt failed or timed out is thrown away: redis-rs would go on using it.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Cmd, Pipeline, ProtocolVersion, RedisConnectionInfo, RedisError, Value,
};
use tokio::time::{sleep_until, timeout_at};

use super::address::{Address, Bounds, SHORT_PATIENCE};
use super::connection::failure;
use super::dial::{dial, unconnected};
use super::gate::{Gate, Turn};
use super::line::{Broken, Line};
use super::multiplexed::patiently;
use super::screen::{Pulse, Screen};
use super::{is_demoted, retired};
use crate::call::{Failure, Manner, Retry};
use crate::error::plain;
use crate::plan::{Command, Forms, Reply, Request, ServerError};
use crate::reactor::{Home, Reactor, is_turn};
use crate::script::Form;

const CONNECTIONS: usize = 2;

/// The connections to one server that the tasks of a process share: those of each event loop, and
/// those of the runtime.
#[derive(Debug)]
pub(super) struct Links {
    address: Address,
    gate: Arc<Gate>,
    of_runtime: Arc<Slots>,
    of_loops: Mutex<Vec<(Weak<Reactor>, Arc<Slots>)>>,
    closed: AtomicBool,
}

/// The places of the connections that tasks in one home share.
#[derive(Debug, Default)]
struct Slots {
    slots: [Slot; CONNECTIONS],
    turn: AtomicUsize,
}

impl Slots {
    /// Returns the place of the connection whose turn it is.
    fn next(&self) -> Option<&Slot> {
        // Relaxed: any spread over the connections will do.
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % CONNECTIONS;
        self.slots.get(turn)
    }

    fn close(&self) {
        self.slots.iter().for_each(|slot| drop(slot.current().take()));
    }
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
    connection: Connection,
    pulse: Arc<Pulse>,
}

/// A connection that many share.
#[derive(Debug, Clone)]
enum Connection {
    /// On the runtime: redis-rs.
    Multiplexed(MultiplexedConnection),
    /// On an event loop.
    Line(Line),
}

impl Links {
    /// Makes the links; none is open yet.
    pub(super) fn new(address: Address, gate: Arc<Gate>) -> Self {
        let (of_runtime, of_loops) = Default::default();
        Self { address, gate, of_runtime, of_loops, closed: AtomicBool::new(false) }
    }

    /// Closes every connection.
    pub(super) fn close(&self) {
        // Release and acquire: a task that opens a connection meanwhile sees the flag afterwards.
        self.closed.store(true, Ordering::Release);
        self.of_runtime.close();
        self.loops().iter().for_each(|(_, slots)| slots.close());
    }

    fn loops(&self) -> MutexGuard<'_, Vec<(Weak<Reactor>, Arc<Slots>)>> {
        self.of_loops.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the places of those at home.
    fn slots(&self, home: &Home) -> Arc<Slots> {
        let Some(reactor) = home else { return self.of_runtime.clone() };
        let mut loops = self.loops();
        if let Some((_, slots)) = loops.iter().find(|(of, _)| of.ptr_eq(reactor)) {
            return slots.clone();
        }
        loops.retain(|(of, _)| of.strong_count() > 0);
        let slots = Arc::<Slots>::default();
        loops.push((reactor.clone(), slots.clone()));
        slots
    }

    /// Sends a request and reads one reply for each of its commands.
    pub(super) async fn exchange(
        &self,
        request: &Request,
        manner: Manner,
        bounds: Bounds,
        home: &Home,
    ) -> Result<Vec<Reply>, Failure> {
        // A call that left its loop goes on with the runtime's connections.
        let home = if is_turn() { home } else { &None };
        let slots = self.slots(home);
        let Some(slot) = slots.next() else { return Ok(Vec::new()) };
        let link = self.link(slot, bounds, home).await?;
        let (connection, pulse) = (&link.connection, &link.pulse);
        let replies = exchange(connection, request, manner.form);
        // A new connection has just shown that the server is there: now its silence may mean work.
        let bounds = Bounds { patience: manner.patience(bounds.patience), ..bounds };
        let failed = |error: &io::Error, sent, retry| {
            pulse.abandon();
            slot.drop_link(&link);
            Err(failure(&self.address, "lost the connection to", error, sent, retry))
        };
        match patiently(replies, bounds, || pulse.last()).await {
            Some(Ok(replies)) => {
                // A primary that has become a replica: the next connection may find the new one.
                if is_demoted(&replies) {
                    slot.drop_link(&link);
                }
                Ok(replies)
            }
            Some(Err(Broken { error, sent })) => {
                failed(pulse.trouble().unwrap_or(&error), sent, Retry::AtOnce)
            }
            None => failed(&io::ErrorKind::TimedOut.into(), true, Retry::Later),
        }
    }

    /// Returns the connection of a slot, opening one if there is none.
    async fn link(&self, slot: &Slot, bounds: Bounds, home: &Home) -> Result<Link, Failure> {
        if let Some(link) = slot.usable() {
            return Ok(link);
        }
        let until = bounds.deadline.min(bounds.began + bounds.patience);
        // Boxed: every call would carry the room for it along.
        let opening = Box::pin(self.opened(slot, Bounds { deadline: until, ..bounds }, home));
        // Finding out what the silence of a server means takes a moment more.
        let latest = bounds.deadline.min(until + SHORT_PATIENCE);
        let lost = |error: &io::Error| unconnected(&self.address, error);
        let timed_out = |_| Err(lost(&io::ErrorKind::TimedOut.into()));
        timeout_at(latest.into(), opening).await.unwrap_or_else(timed_out)
    }

    /// Opens the connection of a slot, if nobody else does.
    async fn opened(&self, slot: &Slot, bounds: Bounds, home: &Home) -> Result<Link, Failure> {
        let _opening = slot.opening.lock().await;
        if let Some(link) = slot.usable() {
            return Ok(link);
        }
        loop {
            match self.gate.turn(bounds.began) {
                Turn::Now => break,
                Turn::Over(failure) => return Err(failure),
                Turn::At(next) => sleep_until(next.into()).await,
            }
        }
        let opened = open(&self.address, bounds, home).await;
        let link = opened.inspect_err(|failure| self.gate.refuse(failure))?;
        let mut current = slot.current();
        if self.closed.load(Ordering::Acquire) {
            return Err(retired(&self.address));
        }
        *current = Some(link.clone());
        Ok(link)
    }
}

/// Connects, and has the home look after the connection. It ends when its last clone is gone.
async fn open(address: &Address, bounds: Bounds, home: &Home) -> Result<Link, Failure> {
    let (screen, pulse) = dial(address, bounds, home).await?;
    address.settings.count_connection();
    let connection = match home {
        Some(home) => {
            let (line, task) = Line::new(screen);
            home.upgrade().ok_or_else(|| retired(address))?.spawn(task);
            Connection::Line(line)
        }
        None => Connection::Multiplexed(multiplex(address, screen).await?),
    };
    Ok(Link { connection, pulse })
}

/// Hands a connection to redis-rs.
async fn multiplex(address: &Address, screen: Screen) -> Result<MultiplexedConnection, Failure> {
    // The greeting was ours, and so are the timeouts: redis-rs' own response timeout is 500 ms.
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let plain =
        RedisConnectionInfo::default().set_skip_set_lib_name().set_protocol(ProtocolVersion::RESP2);
    let connected = MultiplexedConnection::new_with_config(&plain, screen, config).await;
    let lost = |error: RedisError| unconnected(address, &io::Error::other(brief(&error)));
    let (connection, driver) = connected.map_err(lost)?;
    tokio::spawn(driver);
    Ok(connection)
}

/// Sends a request and reads one reply for each of its commands.
async fn exchange(
    connection: &Connection,
    request: &Request,
    form: Form,
) -> Result<Vec<Reply>, Broken> {
    let mut replies = send(connection, request.commands.iter(), form).await?;
    let again = request.to_send_again(&replies);
    if !again.is_empty() {
        let commands = again.iter().filter_map(|&at| request.commands.get(at));
        let answers = send(connection, commands, Form::Source).await;
        let answers = answers.map_err(|broken| Broken { sent: true, ..broken })?;
        Request::fill_in(&mut replies, &again, answers);
    }
    Ok(replies)
}

async fn send(
    connection: &Connection,
    commands: impl Iterator<Item = &Command>,
    form: Form,
) -> Result<Vec<Reply>, Broken> {
    match connection {
        Connection::Line(line) => line.send(commands, form).await,
        // Boxed: every call would carry the room for it along.
        Connection::Multiplexed(connection) => {
            let pipeline = pipeline(commands, form);
            let mut connection = connection.clone();
            Box::pin(async move {
                let count = pipeline.len();
                let values = connection.send_packed_commands(&pipeline, 0, count).await;
                let broken = |error| Broken { error: io::Error::other(brief(&error)), sent: true };
                Ok(values.map_err(broken)?.into_iter().map(reply).collect())
            })
            .await
        }
    }
}

/// Packs commands for redis-rs.
fn pipeline<'a>(commands: impl Iterator<Item = &'a Command>, form: Form) -> Pipeline {
    let mut pipeline = Pipeline::new();
    let mut forms = Forms::new(form);
    for command in commands {
        let mut packed = Cmd::new();
        command.for_each_part(forms.of(command), |part| {
            packed.arg(part.as_ref());
        });
        pipeline.add_command(packed);
    }
    pipeline
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
