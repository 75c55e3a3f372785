//! The connections to servers, shared by every store that is made on them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use crate::call::{Call, Interrupt};
use crate::error::Result;
use crate::exchange::Exchange;
use crate::options::{ClientOptions, Login};
use crate::plan::Plan;
use crate::process::ProcessId;
use crate::reactor::Home;
use crate::seats::Seats;
use crate::store::{Answer, Batch, More, RedisStore, Turns, Verb, Writer};
use crate::transport::{Calls, Servers, Settings, Status, blocking, closed, multiplexed};

/// A client of a server, a cluster, or what sentinels watch. Opens nothing until a call needs it.
///
/// After a fork the child gets connections, locks and a writer of its own: sockets shared with the
/// parent would mix up replies, and a shared writer would make the child's writes look like
/// repetitions of the parent's.
#[derive(Debug)]
pub struct Client {
    settings: Arc<Settings>,
    closed: AtomicBool,
    process: ArcSwap<Process>,
    seats: Seats,
}

/// What belongs to one process.
#[derive(Debug)]
struct Process {
    id: ProcessId,
    servers: Arc<Servers>,
    writer: OnceLock<Arc<Writer>>,
}

impl Process {
    fn new(settings: &Arc<Settings>) -> Arc<Self> {
        Arc::new(Self {
            id: ProcessId::current(),
            servers: Servers::new(settings.clone()),
            writer: OnceLock::new(),
        })
    }

    fn writer(&self) -> Result<&Arc<Writer>> {
        if let Some(writer) = self.writer.get() {
            return Ok(writer);
        }
        let writer = Writer::new()?;
        Ok(self.writer.get_or_init(|| writer))
    }
}

impl Client {
    /// Makes a client; opens no connection.
    pub fn new(options: ClientOptions) -> Self {
        let settings = Settings::new(options);
        let process = ArcSwap::new(Process::new(&settings));
        Self { settings, closed: AtomicBool::new(false), process, seats: Seats::default() }
    }

    /// Returns the threads that its batches may have.
    pub(crate) fn seats(&self) -> &Seats {
        &self.seats
    }

    /// Returns what the client connects with.
    pub fn options(&self) -> &ClientOptions {
        &self.settings.options
    }

    /// Replaces the login of connections to come; those that are open stay as they are.
    pub fn set_login(&self, login: Login) {
        self.settings.set_login(login);
    }

    /// Runs a verb of `store` on the calling thread.
    ///
    /// # Errors
    /// Whatever ends the call without an answer; see [`ErrorKind`](crate::error::ErrorKind).
    pub fn run(&self, store: &RedisStore, verb: Verb, interrupt: Interrupt) -> Result<Answer> {
        let process = self.process();
        let (mut call, mut plan) = self.begin(&process, store, verb)?;
        blocking::drive(plan.as_mut(), &process.servers, &mut call, interrupt)
    }

    /// Runs a verb of `store` on the tokio runtime that polls the future.
    ///
    /// # Errors
    /// Whatever ends the call without an answer; see [`ErrorKind`](crate::error::ErrorKind).
    pub async fn run_async(&self, store: &RedisStore, verb: Verb) -> Result<Answer> {
        self.run_at(&None, store, verb).await
    }

    /// Runs a verb of `store` in its caller's home.
    pub(crate) async fn run_at(
        &self,
        home: &Home,
        store: &RedisStore,
        verb: Verb,
    ) -> Result<Answer> {
        let process = self.process();
        let (mut call, mut plan) = self.begin(&process, store, verb)?;
        multiplexed::drive(plan.as_mut(), &process.servers, &mut call, home).await
    }

    /// Runs a batch of verbs of `store` on the calling thread, and what `more` adds to it meanwhile;
    /// returns the answer to each.
    ///
    /// # Errors
    /// [`ErrorKind::Interrupted`](crate::error::ErrorKind::Interrupted).
    pub fn run_all(
        &self,
        store: &RedisStore,
        batch: Batch,
        more: More<'_>,
        interrupt: Interrupt,
    ) -> Result<Vec<Result<Answer>>> {
        let (process, mut started) = (self.process(), batch.started());
        let (mut calls, mut turns) = (Calls::default(), Turns::default());
        turns.add(batch.verbs);
        // A few are planned at a time: the server works on them while the next ones are. When the time is
        // up there is nothing to win, and each would be an attempt of its own.
        let mut begin_more = |calls: &mut Calls, turns: &mut Turns| {
            let is_late = started.elapsed() >= self.options().timeout;
            let (mut unit, mut spent) = (turns.unit(is_late), Duration::ZERO);
            while unit.is_empty() || is_late {
                let asked = Instant::now();
                let verbs = more();
                if verbs.is_empty() {
                    break;
                }
                spent += asked.elapsed();
                turns.add(verbs);
                unit.extend(turns.unit(is_late));
            }
            // The time that it takes to hand them out does not count.
            started += spent;
            if spent > Duration::ZERO {
                calls.put_off(spent);
            }
            let goes_on = !unit.is_empty() || spent > Duration::ZERO;
            for (place, verb) in unit {
                calls.add(place, self.begin_at(started, &process, store, verb));
            }
            goes_on.then_some(spent)
        };
        loop {
            let mut begin_more = |calls: &mut Calls| begin_more(calls, &mut turns);
            blocking::drive_all(&mut calls, &process.servers, &mut begin_more, interrupt)?;
            if !turns.next() {
                return Ok(calls.into_answers());
            }
        }
    }

    /// Begins a call of a verb of `store` whose requests somebody else sends, one command at a time.
    ///
    /// # Errors
    /// What can be told without asking a server.
    pub fn exchange(&self, store: &RedisStore, verb: Verb, started: Instant) -> Result<Exchange> {
        let memory = verb.memory().cloned();
        let store = store.clone().without_transactions();
        let (call, plan) = self.begin_at(started, &self.process(), &store, verb)?;
        Ok(Exchange::new(call, plan, memory))
    }

    /// Begins a call: from here on its time is running.
    fn begin(
        &self,
        process: &Process,
        store: &RedisStore,
        verb: Verb,
    ) -> Result<(Call, Box<dyn Plan>)> {
        self.begin_at(Instant::now(), process, store, verb)
    }

    /// Begins a call whose time has been running since `started`.
    fn begin_at(
        &self,
        started: Instant,
        process: &Process,
        store: &RedisStore,
        verb: Verb,
    ) -> Result<(Call, Box<dyn Plan>)> {
        let call = Call::begin_at(verb.name(), started, self.options().timeout);
        let plan = process.writer().and_then(|writer| {
            writer.note_connections(self.settings.connections());
            store.plan(verb, writer)
        });
        match plan {
            Ok(plan) => Ok((call, plan)),
            Err(error) => Err(call.report(&error, false)),
        }
    }

    /// Closes every connection; later calls fail. Calls on their way end as they would have.
    pub fn close(&self) {
        // Release and acquire: who sees the flag also sees the pool closed.
        self.closed.store(true, Ordering::Release);
        self.process().servers.close();
    }

    /// Returns whether the client was closed.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Returns how many blocking connections there are.
    pub fn status(&self) -> Status {
        self.process().servers.status()
    }

    /// Fails if the client was closed.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`](crate::error::ErrorKind::Closed).
    pub fn check_open(&self) -> Result<()> {
        if self.is_closed() { Err(closed()) } else { Ok(()) }
    }

    /// Returns this process's part, making one after a fork.
    fn process(&self) -> Arc<Process> {
        let current = self.process.load_full();
        if current.id == ProcessId::current() {
            return current;
        }
        let fresh = Process::new(&self.settings);
        if self.is_closed() {
            fresh.servers.close();
        }
        // Several threads of the child may come here at once; the first wins.
        let previous = self.process.compare_and_swap(&current, fresh);
        if Arc::ptr_eq(&previous, &current) {
            current.servers.abandon();
            // Dropping the rest would wait for threads that the child does not have.
            std::mem::forget(current);
        }
        self.process.load_full()
    }
}
