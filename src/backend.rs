//! A place that keeps memories: a Redis server, files, or this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::call::Interrupt;
use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::exchange::Exchange;
use crate::file::FileStore;
use crate::in_memory::InMemoryStore;
use crate::keyspace::MemoryId;
use crate::reactor::Home;
use crate::seats::Seats;
use crate::store::{Answer, Ask, Batch, More, RedisStore, Scan, Verb};
use crate::transport::{LARGE, closed};

/// One place and the state of being closed.
#[derive(Debug)]
pub struct Backend {
    place: Place,
    closed: AtomicBool,
    /// The threads that calls to files may have.
    seats: Seats,
}

/// Where memories are kept.
#[derive(Debug)]
pub enum Place {
    /// On a Redis server. The client may be shared with other backends.
    Redis(Arc<Client>, RedisStore),
    /// In files.
    Files(FileStore),
    /// In this process.
    Memory(InMemoryStore),
}

impl Backend {
    /// Makes a backend of `place`; does no I/O.
    pub fn new(place: Place) -> Arc<Self> {
        Arc::new(Self { place, closed: AtomicBool::new(false), seats: Seats::default() })
    }

    /// Runs a verb, or a batch of verbs, on the calling thread.
    ///
    /// # Errors
    /// Whatever ends the call without an answer; see [`ErrorKind`].
    pub fn run(&self, ask: Ask, interrupt: Interrupt) -> Result<Answer> {
        let names = Names::of(&ask);
        names.put(self.apply(ask, interrupt))
    }

    /// Runs a batch of verbs, and what `more` adds to it meanwhile, on the calling thread.
    ///
    /// # Errors
    /// Whatever ends the call without an answer; see [`ErrorKind`].
    pub fn run_growing(
        &self,
        mut batch: Batch,
        more: More<'_>,
        interrupt: Interrupt,
    ) -> Result<Answer> {
        let Place::Redis(client, store) = &self.place else {
            // Nothing is gained: the same thread does the work of the place.
            while let verbs = more()
                && !verbs.is_empty()
            {
                batch.verbs.extend(verbs);
            }
            return self.run(Ask::Many(batch), interrupt);
        };
        let mut names = Names::of_batch(&batch);
        let mut next = || {
            let verbs = more();
            names.parts.extend(verbs.iter().map(Name::of));
            verbs
        };
        let run = || client.run_all(store, batch, &mut next, interrupt).map(Answer::Many);
        let answer = self.check_open().and_then(|()| run());
        names.put(answer)
    }

    fn apply(&self, ask: Ask, interrupt: Interrupt) -> Result<Answer> {
        self.check_open()?;
        match (&self.place, ask) {
            (Place::Redis(client, store), ask) => match ask {
                Ask::One(verb) => client.run(store, verb, interrupt),
                Ask::Many(batch) => {
                    client.run_all(store, batch, &mut Vec::new, interrupt).map(Answer::Many)
                }
            },
            (Place::Files(store), Ask::One(verb)) => store.apply(verb, interrupt),
            (Place::Files(store), Ask::Many(batch)) => {
                store.apply_all(batch, interrupt).map(Answer::Many)
            }
            (Place::Memory(store), Ask::One(verb)) => store.apply(verb, interrupt),
            (Place::Memory(store), Ask::Many(batch)) => {
                let verbs = batch.verbs.into_iter();
                Ok(Answer::Many(verbs.map(|verb| store.apply(verb, interrupt)).collect()))
            }
        }
    }

    /// Returns whether its calls wait for nothing.
    pub fn is_local(&self) -> bool {
        matches!(self.place, Place::Memory(_))
    }

    /// Returns whether what is asked takes an event loop so little time that its own thread may do it.
    pub fn is_quick(&self, ask: &Ask) -> bool {
        match (&self.place, ask) {
            (Place::Files(_), _) | (_, Ask::Many(_)) => false,
            (Place::Redis(..) | Place::Memory(_), Ask::One(_)) => ask.size() <= LARGE,
        }
    }

    /// Runs a verb, or a batch of verbs, in a home that the runtime's context surrounds; batches, and
    /// all that is done with files, on its blocking threads.
    ///
    /// # Errors
    /// Whatever ends the call without an answer; see [`ErrorKind`].
    pub async fn run_at(self: Arc<Self>, home: Home, ask: Ask) -> Result<Answer> {
        let names = Names::of(&ask);
        names.put(self.apply_at(home, ask).await)
    }

    async fn apply_at(self: Arc<Self>, home: Home, ask: Ask) -> Result<Answer> {
        self.check_open()?;
        match (&self.place, ask) {
            (Place::Redis(client, store), Ask::One(verb)) => {
                client.run_at(&home, store, verb).await
            }
            (Place::Memory(_), ask) => self.apply(ask, || false),
            (Place::Files(store), ask) => {
                self.on_a_thread(&self.seats, store.lock_timeout(), ask).await
            }
            (Place::Redis(client, _), ask @ Ask::Many(_)) => {
                self.on_a_thread(client.seats(), client.options().timeout, ask).await
            }
        }
    }

    /// Runs what is asked on a thread of the runtime that may block, once one of `seats` is free. It is to
    /// end within `timeout`, the time that it waits for that included.
    async fn on_a_thread(
        self: &Arc<Self>,
        seats: &Seats,
        timeout: Duration,
        mut ask: Ask,
    ) -> Result<Answer> {
        let started = match &ask {
            Ask::One(_) => Instant::now(),
            Ask::Many(batch) => batch.started(),
        };
        let seat = match seats.take(ask.operation(), started, timeout).await {
            Ok(seat) => seat,
            Err(error) => return ask.failed(&error),
        };
        if let Ask::Many(batch) = &mut ask {
            batch.spent = started.elapsed();
        }
        let backend = self.clone();
        let run = move || {
            let _seat = seat;
            match (&backend.place, ask) {
                // As a batch does, it has been under way since before it had a thread.
                (Place::Files(store), Ask::One(verb)) => store.apply_since(started, verb, || false),
                (_, ask) => backend.apply(ask, || false),
            }
        };
        tokio::task::spawn_blocking(run).await.unwrap_or_else(|_| Err(ended()))
    }

    /// Begins a call whose requests somebody else sends, with a client of their own.
    ///
    /// # Errors
    /// What can be told without asking a server; that this is no place on a server.
    pub fn exchange(&self, verb: Verb, started: Instant) -> Result<Exchange> {
        let name = Name::of(&verb);
        let begin = || match &self.place {
            Place::Redis(client, store) => client.exchange(store, verb, started),
            Place::Files(_) | Place::Memory(_) => {
                Err(Error::invalid("only memories on a Redis server have requests to send"))
            }
        };
        self.check_open().and_then(|()| begin()).map_err(|error| name.put(error))
    }

    /// Refuses every later call. A Redis client is left open: others may be using it.
    pub fn close(&self) {
        // Release and acquire: who sees the flag also sees what was done before.
        self.closed.store(true, Ordering::Release);
    }

    /// Begins a listing.
    pub fn scan(&self) -> Arc<Scan> {
        let is_cluster = |client: &Client| client.options().is_cluster();
        Scan::new(matches!(&self.place, Place::Redis(client, _) if is_cluster(client)))
    }

    /// Takes what there is to tell people, such as a torn write that was cut.
    pub fn take_notices(&self) -> Vec<String> {
        match &self.place {
            Place::Files(store) => store.take_notices(),
            Place::Redis(..) | Place::Memory(_) => Vec::new(),
        }
    }

    /// Fails if the backend was closed.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`].
    pub fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        match &self.place {
            Place::Redis(client, _) => client.check_open(),
            Place::Files(_) | Place::Memory(_) => Ok(()),
        }
    }
}

/// What an error says of the call that it ended: which verb, and on which memory.
struct Name {
    operation: &'static str,
    memory: Option<MemoryId>,
}

/// The name of a call, and those of its parts if it is a batch.
struct Names {
    whole: Name,
    parts: Vec<Name>,
}

impl Name {
    fn of(verb: &Verb) -> Self {
        Self { operation: verb.name(), memory: verb.memory().cloned() }
    }

    fn put(&self, error: Error) -> Error {
        error.of_call(self.operation, self.memory.as_ref().map(MemoryId::as_str))
    }
}

impl Names {
    fn of(ask: &Ask) -> Self {
        match ask {
            Ask::One(verb) => Self { whole: Name::of(verb), parts: Vec::new() },
            Ask::Many(batch) => Self::of_batch(batch),
        }
    }

    fn of_batch(batch: &Batch) -> Self {
        Self {
            whole: Name { operation: batch.operation, memory: None },
            parts: batch.verbs.iter().map(Name::of).collect(),
        }
    }

    fn put(self, outcome: Result<Answer>) -> Result<Answer> {
        match outcome {
            Ok(Answer::Many(answers)) => {
                let named =
                    |(name, answer): (Name, Result<Answer>)| answer.map_err(|it| name.put(it));
                Ok(Answer::Many(self.parts.into_iter().zip(answers).map(named).collect()))
            }
            outcome => outcome.map_err(|error| self.whole.put(error)),
        }
    }
}

fn ended() -> Error {
    Error::new(ErrorKind::Closed, "the process is ending; the call was not finished")
}
