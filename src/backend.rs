//! A place that keeps memories: a Redis server, files, or this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::call::Interrupt;
use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::exchange::Exchange;
use crate::file::FileStore;
use crate::in_memory::InMemoryStore;
use crate::keyspace::MemoryId;
use crate::store::{Answer, RedisStore, Scan, Verb};
use crate::transport::closed;

/// One place and the state of being closed.
#[derive(Debug)]
pub struct Backend {
    place: Place,
    closed: AtomicBool,
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
        Arc::new(Self { place, closed: AtomicBool::new(false) })
    }

    /// Runs a verb on the calling thread.
    ///
    /// # Errors
    /// Whatever ends the call without an answer; see [`ErrorKind`].
    pub fn run(&self, verb: Verb, interrupt: Interrupt) -> Result<Answer> {
        let (operation, memory) = (verb.name(), verb.memory().cloned());
        let name = || memory.as_ref().map(MemoryId::as_str);
        self.apply(verb, interrupt).map_err(|error| error.of_call(operation, name()))
    }

    fn apply(&self, verb: Verb, interrupt: Interrupt) -> Result<Answer> {
        self.check_open()?;
        match &self.place {
            Place::Redis(client, store) => {
                client.check_open()?;
                client.run(store, verb, interrupt)
            }
            Place::Files(store) => store.apply(verb, interrupt),
            Place::Memory(store) => store.apply(verb, interrupt),
        }
    }

    /// Runs a verb on the tokio runtime that polls the future; files on its blocking threads.
    ///
    /// # Errors
    /// Whatever ends the call without an answer; see [`ErrorKind`].
    pub async fn run_async(self: Arc<Self>, verb: Verb) -> Result<Answer> {
        let (operation, memory) = (verb.name(), verb.memory().cloned());
        let name = || memory.as_ref().map(MemoryId::as_str);
        self.apply_async(verb).await.map_err(|error| error.of_call(operation, name()))
    }

    async fn apply_async(self: Arc<Self>, verb: Verb) -> Result<Answer> {
        self.check_open()?;
        match &self.place {
            Place::Redis(client, store) => {
                client.check_open()?;
                client.run_async(store, verb).await
            }
            Place::Memory(store) => store.apply(verb, || false),
            Place::Files(_) => {
                let backend = self.clone();
                let run = move || backend.apply(verb, || false);
                tokio::task::spawn_blocking(run).await.unwrap_or_else(|_| Err(ended()))
            }
        }
    }

    /// Begins a call whose requests somebody else sends, with a client of their own.
    ///
    /// # Errors
    /// What can be told without asking a server; that this is no place on a server.
    pub fn exchange(&self, verb: Verb) -> Result<Exchange> {
        let (operation, memory) = (verb.name(), verb.memory().cloned());
        let begin = || match &self.place {
            Place::Redis(client, store) => client.exchange(store, verb),
            Place::Files(_) | Place::Memory(_) => {
                Err(Error::invalid("only memories on a Redis server have requests to send"))
            }
        };
        self.check_open().and_then(|()| begin()).map_err(|error| {
            let memory = memory.as_ref().map(MemoryId::as_str);
            error.of_call(operation, memory)
        })
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

    fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) { Err(closed()) } else { Ok(()) }
    }
}

fn ended() -> Error {
    Error::new(ErrorKind::Closed, "the process is ending; the call was not finished")
}
