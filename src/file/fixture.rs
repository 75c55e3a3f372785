//! A store in a temporary directory, for the tests of this crate.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{FileOptions, FileStore, names};
use crate::error::ErrorKind;
use crate::keyspace::MemoryId;
use crate::layout::Layout;
use crate::message::Message;
use crate::messages::{Limits, Messages};
use crate::store::{Answer, Info, Mode, Ttl, Verb, Write, Written};

pub(crate) const WEEK: Duration = Duration::from_secs(7 * 86400);

pub(crate) fn id(text: &str) -> MemoryId {
    MemoryId::new(text).unwrap()
}

pub(crate) fn messages(texts: &[&str]) -> Messages {
    let message = |text: &&str| Message::from_json(&format!("{{\"m\":\"{text}\"}}")).unwrap();
    texts.iter().map(message).collect()
}

pub(crate) fn save(name: &str, texts: &[&str]) -> Write {
    let messages = messages(texts);
    let mode = Mode::Save;
    Write {
        id: id(name),
        mode,
        messages,
        if_revision: None,
        idempotency_key: None,
        ttl: Ttl::Setting,
    }
}

pub(crate) fn append(name: &str, texts: &[&str]) -> Write {
    Write { mode: Mode::Append, ..save(name, texts) }
}

/// A store in a directory of its own.
pub(crate) struct Fixture {
    _root: TempDir,
    pub(crate) store: FileStore,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut FileOptions)) -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut options = FileOptions {
            directory: root.path().join("memories"),
            layout: Layout::Log,
            ttl: Some(WEEK),
            refresh_on_load: false,
            lock_timeout: Duration::from_secs(60),
            limits: Limits::default(),
        };
        change(&mut options);
        Self { _root: root, store: FileStore::new(options) }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.store.options.directory.join(names::encode(&id(name)))
    }

    pub(crate) fn apply(&self, verb: Verb) -> Answer {
        self.store.apply(verb, || false).unwrap()
    }

    pub(crate) fn refused(&self, verb: Verb) -> ErrorKind {
        self.store.apply(verb, || false).unwrap_err().kind().clone()
    }

    pub(crate) fn write(&self, write: Write) -> Written {
        match self.apply(Verb::Write(write)) {
            Answer::Written(written) => written,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn load(&self, name: &str) -> Option<String> {
        match self.apply(Verb::Load(id(name))) {
            Answer::Messages(messages) => messages.as_ref().map(text),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn list(&self) -> Vec<String> {
        match self.apply(Verb::Page(crate::store::Scan::new(false))) {
            Answer::Page(Some(ids)) => ids.iter().map(str::to_owned).collect(),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn info(&self, name: &str) -> Option<Info> {
        match self.apply(Verb::Info(id(name))) {
            Answer::Info(info) => info,
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn text(messages: &Messages) -> String {
    String::from_utf8(messages.to_json()).unwrap()
}

/// Polls until `done`, for at most ten seconds.
pub(crate) fn eventually(done: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(10);
    while !done() {
        assert!(Instant::now() < until, "not within ten seconds");
        std::thread::yield_now();
    }
}
