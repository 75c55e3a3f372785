//! The verbs on a Redis server: one plan each.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Answer, Mode, Verb, Write, Writer};
use super::{delete, list, pop, read, write};
use crate::error::{Error, ErrorKind, Result};
use crate::keyspace::{Keyspace, MemoryId};
use crate::messages::{Limits, Messages};
use crate::plan::{Command, Once, Plan, Replies, Request, Route};
use crate::script;

/// How a store keeps its memories.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The keys it uses.
    pub keyspace: Keyspace,
    /// Time to live, restarted on every write; `None` keeps memories until they are deleted.
    pub ttl: Option<Duration>,
    /// Whether a load restarts the time to live too.
    pub refresh_on_load: bool,
    /// How large messages and conversations may be.
    pub limits: Limits,
}

impl StoreOptions {
    /// Returns the time to live in milliseconds as scripts take it: 0 means never.
    pub(super) fn ttl_argument(&self) -> Bytes {
        let milliseconds = self.ttl.map_or(0, |ttl| ttl.as_millis().max(1));
        milliseconds.to_string().into()
    }

    /// Returns the command that restarts the time to live of `key`.
    pub(super) fn restart_ttl(&self, key: &Bytes) -> Command {
        let args = vec![self.ttl_argument()];
        Command::Script { script: &script::TOUCH, key: key.clone(), args }
    }
}

/// Turns verbs into plans. Holds no connection.
#[derive(Debug, Clone)]
pub struct RedisStore {
    options: StoreOptions,
    transactions: bool,
}

impl RedisStore {
    /// Makes a store with `options`.
    pub fn new(options: StoreOptions) -> Self {
        Self { options, transactions: true }
    }

    /// Returns the same store for somebody who sends commands one by one: none of its plans sends a
    /// transaction, which is several commands on one connection.
    #[must_use]
    pub fn without_transactions(self) -> Self {
        Self { transactions: false, ..self }
    }

    /// Returns the plan of `verb`; its writes are `writer`'s.
    ///
    /// # Errors
    /// What can be told without asking the server: an argument that is not acceptable.
    pub fn plan(&self, verb: Verb, writer: &Arc<Writer>) -> Result<Box<dyn Plan>> {
        let options = &self.options;
        let key = |id: &MemoryId| options.keyspace.key(id);
        Ok(match verb {
            Verb::Load(id) => read::load(options, &key(&id)),
            Verb::Tail(id, count) => read::tail(options, &key(&id), count),
            Verb::Exists(id) => read::exists(&key(&id)),
            Verb::Count(id) => read::count(&key(&id)),
            Verb::Info(id) => read::info(&key(&id)),
            Verb::Touch(id) => read::touch(options, &key(&id)),
            Verb::Write(write) => {
                check_write(&write, options.limits)?;
                write::plan(options, key(&write.id), &write, writer, self.transactions)
            }
            Verb::Pop(id) => Box::new(pop::Pop::new(options, key(&id), writer)),
            Verb::Delete(id) => Box::new(delete::Delete::new(key(&id))),
            Verb::Page(scan) => list::page(&options.keyspace, scan),
            Verb::Ping => ping(),
        })
    }
}

/// Asks every primary whether it is there.
fn ping() -> Box<dyn Plan> {
    let ping = Command::plain([Bytes::from_static(b"PING")]);
    Once::boxed(Request::read([ping]).on(Route::EveryPrimary), |replies| {
        for primary in replies.rest() {
            let mut parts = Replies::new(primary.array()?);
            let _label = parts.take()?;
            parts.take()?.text()?;
        }
        Ok(Answer::Done)
    })
}

/// Makes a command on one key.
pub(super) fn command(
    name: &'static str,
    key: &Bytes,
    rest: impl IntoIterator<Item = Bytes>,
) -> Command {
    Command::plain([Bytes::from_static(name.as_bytes()), key.clone()].into_iter().chain(rest))
}

/// Checks a write against the limits, before anything is sent or stored.
pub(crate) fn check_write(write: &Write, limits: Limits) -> Result<()> {
    check_size(&write.messages, limits)?;
    if write.idempotency_key.as_ref().is_some_and(String::is_empty) {
        return Err(Error::invalid("idempotency_key cannot be empty; leave it out for none"));
    }
    debug_assert!(write.mode == Mode::Append || write.idempotency_key.is_none());
    Ok(())
}

fn check_size(messages: &Messages, limits: Limits) -> Result<()> {
    let too_large = |what: String, size: usize, limit: usize| {
        let message = format!("{what} takes {size} bytes of JSON, the limit is {limit}");
        Err(Error::new(ErrorKind::TooLarge, message))
    };
    if let Some((index, line)) =
        messages.lines().enumerate().find(|(_, line)| line.len() > limits.message)
    {
        return too_large(format!("messages[{index}]"), line.len(), limits.message);
    }
    if messages.size() > limits.conversation {
        return too_large("the conversation".into(), messages.size(), limits.conversation);
    }
    Ok(())
}
