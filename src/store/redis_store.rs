//! The verbs on a Redis server: one plan each.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::detect::Detect;
use super::tail::Tail;
use super::{Answer, Mode, Ttl, Verb, Write, Writer};
use super::{delete, document, lease, list, pop, read, write};
use crate::decimal::decimal;
use crate::error::{Error, ErrorKind, Result};
use crate::keyspace::{Keyspace, MemoryId};
use crate::layout::Layout;
use crate::messages::{Limits, Messages};
use crate::plan::{Command, Once, Plan, Replies, Request, Route};
use crate::script;

/// How a store keeps its memories.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The keys it uses.
    pub keyspace: Keyspace,
    /// How it writes memories.
    pub layout: Layout,
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
        ttl_argument(self.ttl)
    }

    /// Returns the command that restarts the time to live of `key`.
    pub(super) fn restart_ttl(&self, key: &Bytes) -> Command {
        let args = vec![self.ttl_argument()];
        Command::Script { script: &script::TOUCH, key: key.clone(), args }
    }
}

/// Returns a time to live in milliseconds as scripts take it: 0 means never.
fn ttl_argument(ttl: Option<Duration>) -> Bytes {
    decimal(ttl.map_or(0, |ttl| ttl.as_millis().max(1)))
}

/// Turns verbs into plans. Holds no connection.
#[derive(Debug, Clone)]
pub struct RedisStore {
    options: Arc<StoreOptions>,
    /// The setting for the time to live, as scripts take it.
    ttl: Bytes,
    transactions: bool,
}

/// What can be read of one memory.
#[derive(Debug, Clone, Copy)]
enum Reading {
    Load,
    Tail(usize),
    Count,
    Info,
    Exists,
}

impl RedisStore {
    /// Makes a store with `options`.
    pub fn new(options: StoreOptions) -> Self {
        Self { ttl: options.ttl_argument(), options: Arc::new(options), transactions: true }
    }

    /// Returns the same store for somebody who sends commands one by one: none of its plans sends a
    /// transaction, which is several commands on one connection, nor two commands where one will do.
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
        Ok(match verb {
            Verb::Load(id) => self.plan_reading(&id, Reading::Load, writer),
            Verb::Tail(id, count) => self.plan_reading(&id, Reading::Tail(count), writer),
            Verb::Count(id) => self.plan_reading(&id, Reading::Count, writer),
            Verb::Info(id) => self.plan_reading(&id, Reading::Info, writer),
            Verb::Exists(id) => self.plan_reading(&id, Reading::Exists, writer),
            Verb::Touch(_) | Verb::Write(_) | Verb::Pop(_) | Verb::Delete(..) => {
                self.plan_write(verb, writer)?
            }
            Verb::Lease(asked) => lease::lease(&options.keyspace.key(&asked.id), asked, writer),
            Verb::Page(scan) => list::page(&options.keyspace, scan),
            Verb::Ping => ping(),
        })
    }

    /// Returns the plan that reads a memory, in whichever layout it is.
    fn plan_reading(&self, id: &MemoryId, reading: Reading, writer: &Arc<Writer>) -> Box<dyn Plan> {
        let key = self.options.keyspace.key(id);
        let home = self.plan_reading_in(self.options.layout, &key, reading, writer);
        let (store, writer) = (self.clone(), writer.clone());
        Detect::read(home, move || {
            store.plan_reading_in(store.options.layout.other(), &key, reading, &writer)
        })
    }

    /// Returns the plan for a memory that is in `layout`.
    fn plan_reading_in(
        &self,
        layout: Layout,
        key: &Bytes,
        reading: Reading,
        writer: &Arc<Writer>,
    ) -> Box<dyn Plan> {
        let options = &*self.options;
        // A memory in the other layout is read, and otherwise left alone.
        let refresh = options.refresh_on_load && layout == options.layout;
        let one_by_one = !self.transactions;
        match (reading, layout) {
            (Reading::Load, Layout::Log) => read::load(options, key, refresh, one_by_one, writer),
            (Reading::Load, Layout::Document) => document::load(options, key, refresh),
            (Reading::Tail(count), Layout::Log) => {
                let refresh = refresh.then(|| options.restart_ttl(key));
                Box::new(Tail::new(key.clone(), count, refresh, one_by_one, writer))
            }
            (Reading::Tail(count), Layout::Document) => {
                document::tail(options, key, count, refresh)
            }
            (Reading::Count, Layout::Log) => read::count(key),
            (Reading::Count, Layout::Document) => document::count(key),
            (Reading::Info, Layout::Log) => read::info(key),
            (Reading::Info, Layout::Document) => document::info(key),
            (Reading::Exists, Layout::Log) => read::exists(key),
            (Reading::Exists, Layout::Document) => document::exists(key),
        }
    }

    /// Returns the plan of a verb that changes one memory, which has to be in the store's layout.
    fn plan_write(&self, verb: Verb, writer: &Arc<Writer>) -> Result<Box<dyn Plan>> {
        let (options, layout) = (&self.options, self.options.layout);
        let key = verb.memory().map(|id| options.keyspace.key(id)).unwrap_or_default();
        let away = key.clone();
        let home: Box<dyn Plan> = match (verb, layout) {
            (Verb::Write(write), _) => {
                check_write(&write, options.limits)?;
                let ttl = match write.ttl {
                    Ttl::Setting => self.ttl.clone(),
                    Ttl::Given(ttl) => ttl_argument(ttl),
                };
                match layout {
                    Layout::Log => write::plan(ttl, key, &write, writer, self.transactions),
                    Layout::Document => document::write(&ttl, key, &write, writer)?,
                }
            }
            (Verb::Pop(_), Layout::Log) => Box::new(pop::Pop::new(options, key, writer)),
            (Verb::Pop(_), Layout::Document) => Box::new(document::Pop::new(options, key, writer)),
            (Verb::Delete(_, if_revision), Layout::Log) => {
                writer.forget(&key);
                Box::new(delete::Delete::new(key, if_revision))
            }
            (Verb::Delete(_, if_revision), Layout::Document) => {
                Box::new(document::Delete::new(options, key, if_revision, writer))
            }
            (_, Layout::Log) => read::touch(options, &key),
            (_, Layout::Document) => document::touch(options, &key),
        };
        let exists = move || match layout.other() {
            Layout::Log => read::exists(&away),
            Layout::Document => document::exists(&away),
        };
        Ok(Detect::write(home, exists, layout))
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
    write.idempotency_key.as_deref().map_or(Ok(()), check_key)?;
    debug_assert!(write.mode == Mode::Append || write.idempotency_key.is_none());
    Ok(())
}

/// Checks a caller's idempotency key.
///
/// # Errors
/// [`ErrorKind::InvalidArgument`] if it is empty.
pub fn check_key(key: &str) -> Result<()> {
    if key.is_empty() {
        return Err(Error::invalid("idempotency_key cannot be empty; leave it out for none"));
    }
    Ok(())
}

fn check_size(messages: &Messages, limits: Limits) -> Result<()> {
    let too_large = |what: String, size: usize, limit: usize| {
        let message = format!("{what} takes {size} bytes of JSON, the limit is {limit}");
        Err(Error::new(ErrorKind::TooLarge, message))
    };
    let size = messages.size();
    // Seldom are all of them together larger than one may be.
    if size > limits.message {
        let is_large = |(_, line): &(usize, &[u8])| line.len() > limits.message;
        if let Some((index, line)) = messages.lines().enumerate().find(is_large) {
            return too_large(format!("messages[{index}]"), line.len(), limits.message);
        }
    }
    if size > limits.conversation {
        return too_large("the conversation".into(), size, limits.conversation);
    }
    Ok(())
}
