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
use tokio::time::{sleep_until, timeout_at};

use super::address::{Address, Bounds, SHORT_PATIENCE};
use super::connection::failure;
use super::dial::{dial, unconnected};
use super::gate::{Gate, Turn};
use super::multiplexed::patiently;
use super::screen::Pulse;
use super::{is_demoted, retired};
use crate::call::{Failure, Manner, Retry};
use crate::error::plain;
use crate::plan::{Command, Forms, Reply, Request, ServerError};
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
        manner: Manner,
        bounds: Bounds,
    ) -> Result<Vec<Reply>, Failure> {
        // Relaxed: any spread over the connections will do.
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % CONNECTIONS;
        let Some(slot) = self.slots.get(turn) else { return Ok(Vec::new()) };
        let link = self.link(slot, bounds).await?;
        let (mut connection, pulse) = (link.connection.clone(), &link.pulse);
        let replies = exchange(&mut connection, request, manner.form);
        // A new connection has just shown that the server is there: now its silence may mean work.
        let bounds = Bounds { patience: manner.patience(bounds.patience), ..bounds };
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

/// Connects, and hands the connection to redis-rs.
async fn open(address: &Address, bounds: Bounds) -> Result<Link, Failure> {
    let (screen, pulse) = dial(address, bounds).await?;
    // The greeting was ours, and so are the timeouts: redis-rs' own response timeout is 500 ms.
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let plain =
        RedisConnectionInfo::default().set_skip_set_lib_name().set_protocol(ProtocolVersion::RESP2);
    let connected = MultiplexedConnection::new_with_config(&plain, screen, config).await;
    let lost = |error: RedisError| unconnected(address, &io::Error::other(brief(&error)));
    let (connection, driver) = connected.map_err(lost)?;
    // It ends when the last clone of the connection is gone.
    tokio::spawn(driver);
    Ok(Link { connection, pulse })
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
        Request::fill_in(&mut replies, &unknown, answers);
    }
    Ok(replies)
}

async fn send<'a>(
    connection: &mut MultiplexedConnection,
    commands: impl Iterator<Item = &'a Command>,
    form: Form,
) -> Result<Vec<Reply>, RedisError> {
    let mut pipeline = Pipeline::new();
    let mut forms = Forms::new(form);
    for command in commands {
        let mut packed = Cmd::new();
        command.for_each_part(forms.of(command), |part| {
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
