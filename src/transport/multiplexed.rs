//! Drives plans on tokio, over a few connections that all tasks share (redis-rs).
//!
//! Requests of many tasks travel in one write and their replies come in one read, which beats a
//! pool many times over. Two connections keep a small request from queueing behind a large reply.
//! A connection whose attempt failed or timed out is thrown away: redis-rs would go on using it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Cmd, ConnectionAddr, IntoConnectionInfo, Pipeline, ProtocolVersion,
    RedisConnectionInfo, RedisError, Value,
};
use tokio::time::{sleep, timeout_at};

use super::{closed, is_demoted, transient_failure, unreachable};
use crate::call::{Call, Failure, PATIENCE, Retry};
use crate::error::{Error, Result};
use crate::options::{ClientOptions, Endpoint, Protocol};
use crate::plan::{Command, Plan, Reply, Request, ServerError, Step};
use crate::refusal::{is_transient, refused};
use crate::script::Form;
use crate::store::Answer;

const CONNECTIONS: usize = 2;

/// The connections to one server that the tasks of a process share.
#[derive(Debug)]
pub(crate) struct Links {
    options: ClientOptions,
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

    /// Drops a connection, unless another has taken its place.
    fn drop_link(&self, failed: &Link) {
        self.current().take_if(|link| link.opened == failed.opened);
    }
}

#[derive(Debug, Clone)]
struct Link {
    connection: MultiplexedConnection,
    /// Tells a connection from the one that took its place.
    opened: Instant,
}

impl Links {
    /// Makes the links; none is open yet.
    pub(crate) fn new(options: ClientOptions) -> Self {
        let (slots, turn) = Default::default();
        Self { options, slots, turn, closed: AtomicBool::new(false) }
    }

    /// Closes every connection.
    pub(crate) fn close(&self) {
        // Release and acquire: a task that opens a connection meanwhile sees the flag afterwards.
        self.closed.store(true, Ordering::Release);
        self.slots.iter().for_each(|slot| drop(slot.current().take()));
    }

    async fn attempt(&self, request: &Request, call: &Call) -> Result<Vec<Reply>, Failure> {
        if request.commands.is_empty() {
            return Ok(Vec::new());
        }
        // Relaxed: any spread over the connections will do.
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % CONNECTIONS;
        let Some(slot) = self.slots.get(turn) else { return Ok(Vec::new()) };
        let deadline = attempt_deadline(call.deadline());
        let mut link = self.link(slot, deadline).await?;
        match timeout_at(deadline.into(), exchange(&mut link.connection, request, call.form()))
            .await
        {
            Ok(Ok(replies)) => {
                // A primary that has become a replica: the next connection may find the new one.
                if is_demoted(&replies) {
                    slot.drop_link(&link);
                }
                Ok(replies)
            }
            Ok(Err(error)) => {
                slot.drop_link(&link);
                let error = unreachable(&self.options, "lost the connection to", brief(&error));
                Err(Failure { error, sent: true, retry: Retry::AtOnce, timed_out: false })
            }
            Err(_) => {
                slot.drop_link(&link);
                let error = unreachable(&self.options, "no answer from", "timed out");
                Err(Failure { error, sent: true, retry: Retry::Later, timed_out: true })
            }
        }
    }

    /// Returns the connection of a slot, opening one if there is none.
    async fn link(&self, slot: &Slot, deadline: Instant) -> Result<Link, Failure> {
        let timed_out = || Failure {
            error: unreachable(&self.options, "cannot connect to", "timed out"),
            sent: false,
            retry: Retry::Later,
            timed_out: true,
        };
        let opening = async {
            if let Some(link) = slot.current().clone() {
                return Ok(link);
            }
            let _turn = slot.opening.lock().await;
            if let Some(link) = slot.current().clone() {
                return Ok(link);
            }
            let connection = open(&self.options).await.map_err(|error| self.refusal(&error))?;
            if self.closed.load(Ordering::Acquire) {
                return Err(Failure::before_sending(closed(), Retry::Never));
            }
            let link = Link { connection, opened: Instant::now() };
            *slot.current() = Some(link.clone());
            Ok(link)
        };
        timeout_at(deadline.into(), opening).await.unwrap_or_else(|_| Err(timed_out()))
    }

    /// Makes the failure for a connection that could not be opened.
    fn refusal(&self, error: &RedisError) -> Failure {
        let reply = match (error.kind(), error.code()) {
            // redis-rs gives these two no code.
            (redis::ErrorKind::AuthenticationFailed, _) => Some("WRONGPASS"),
            (redis::ErrorKind::RESP3NotSupported, _) => Some("ERR unknown command HELLO"),
            (_, code) => code.filter(|_| !error.is_io_error()),
        };
        let Some(reply) = reply else {
            let error = unreachable(&self.options, "cannot connect to", brief(error));
            return Failure::before_sending(error, Retry::Later);
        };
        let detail = error.detail().unwrap_or_default();
        let reply = ServerError::parse(&format!("{reply} {detail}"));
        let retry = if is_transient(&reply) { Retry::Later } else { Retry::Never };
        let error = refused(&reply);
        let options = &self.options;
        let message = format!("Redis at {options} refused the connection: {error}");
        Failure::before_sending(Error::new(error.kind().clone(), message), retry)
    }
}

/// Drives `plan` to its end.
///
/// # Errors
/// What the plan says, or that the server could not be asked before the call's deadline.
pub(crate) async fn drive(
    plan: &mut dyn Plan,
    links: &Links,
    call: &mut Call,
    is_closed: impl Fn() -> bool,
) -> Result<Answer> {
    loop {
        if is_closed() {
            return Err(call.fail(&closed(), false, || plan.op_id()));
        }
        call.attempt();
        let failure = match links.attempt(plan.request(), call).await {
            Ok(replies) => match transient_failure(plan.request(), &replies) {
                None => {
                    let step = plan.advance(replies);
                    match step.map_err(|error| call.fail(&error, false, || plan.op_id()))? {
                        Step::Done(answer) => return Ok(answer),
                        Step::Again => call.next_request(),
                    }
                    continue;
                }
                Some(failure) => failure,
            },
            Err(failure) => failure,
        };
        let writes = plan.request().writes;
        let pause = call.after(&failure, writes, || plan.op_id())?;
        sleep(pause).await;
    }
}

/// Leaves time for more attempts, but never less than [`PATIENCE`] for this one: redis-rs does not
/// tell a reply that is on its way from silence.
fn attempt_deadline(deadline: Instant) -> Instant {
    let now = Instant::now();
    let left = deadline.saturating_duration_since(now);
    now + (left / 3).max(PATIENCE).min(left)
}

async fn open(options: &ClientOptions) -> Result<MultiplexedConnection, RedisError> {
    let address = match &options.endpoint {
        Endpoint::Tcp { host, port } => ConnectionAddr::Tcp(host.clone(), *port),
        Endpoint::Unix(path) => ConnectionAddr::Unix(path.clone()),
    };
    let keepalive = socket2::TcpKeepalive::new().with_time(Duration::from_secs(60));
    let tcp = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    let mut login = RedisConnectionInfo::default()
        .set_db(i64::from(options.db))
        .set_skip_set_lib_name()
        .set_protocol(match options.protocol {
            Protocol::Resp2 => ProtocolVersion::RESP2,
            Protocol::Resp3 => ProtocolVersion::RESP3,
        });
    if let Some(username) = &options.username {
        login = login.set_username(username);
    }
    if let Some(password) = &options.password {
        login = login.set_password(password.reveal());
    }
    let info = address.into_connection_info()?.set_tcp_settings(tcp).set_redis_settings(login);
    // The deadline of the call covers everything; redis-rs' own response timeout is 500 ms.
    let config =
        AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
    let client = redis::Client::open(info)?;
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    // A server that is full, or wants a password, says so to whatever comes first: let that be
    // nothing of the caller's.
    redis::cmd("PING").query_async::<()>(&mut connection).await?;
    Ok(connection)
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
    error.to_string().chars().filter(|c| !c.is_control()).take(160).collect()
}
