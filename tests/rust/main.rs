//! The core against a real `redis-server`, without Python.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends at the first surprise"
)]

mod server;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use redember::client::Client;
use redember::error::ErrorKind;
use redember::keyspace::{Keyspace, MemoryId};
use redember::layout::Layout;
use redember::message::Message;
use redember::messages::{Limits, Messages};
use redember::options::{ClientOptions, Topology};
use redember::store::{Answer, Mode, RedisStore, Scan, StoreOptions, Ttl, Verb, Write, Written};

use server::Server;

struct Rig {
    client: Client,
    store: RedisStore,
    _server: Server,
}

impl Rig {
    fn start() -> Self {
        let server = Server::start();
        let endpoint = server.endpoint();
        let client = Client::new(ClientOptions {
            topology: Topology::Single(endpoint),
            ..ClientOptions::default()
        });
        let store = RedisStore::new(StoreOptions {
            layout: Layout::Log,
            keyspace: Keyspace::new("test:").unwrap(),
            ttl: Some(Duration::from_secs(60)),
            refresh_on_load: false,
            limits: Limits::default(),
        });
        Self { client, store, _server: server }
    }

    fn run(&self, verb: Verb) -> Answer {
        self.try_run(verb).unwrap()
    }

    fn try_run(&self, verb: Verb) -> redember::error::Result<Answer> {
        self.client.run(&self.store, verb, || false)
    }

    fn written(&self, write: Write) -> Written {
        match self.run(Verb::Write(write)) {
            Answer::Written(written) => written,
            other => panic!("{other:?}"),
        }
    }

    fn texts(&self, verb: Verb) -> Vec<String> {
        match self.run(verb) {
            Answer::Messages(Some(messages)) => texts(&messages),
            other => panic!("{other:?}"),
        }
    }
}

fn id() -> MemoryId {
    MemoryId::new("memory").unwrap()
}

fn numbered(numbers: std::ops::Range<usize>, padding: usize) -> Messages {
    let padding = "x".repeat(padding);
    numbers
        .map(|number| {
            Message::from_encoded(Bytes::from(format!("{{\"n\":{number},\"p\":\"{padding}\"}}")))
        })
        .collect()
}

fn texts(messages: &Messages) -> Vec<String> {
    messages.lines().map(|line| String::from_utf8(line.to_vec()).unwrap()).collect()
}

fn write(mode: Mode, messages: Messages) -> Write {
    Write { id: id(), mode, messages, if_revision: None, idempotency_key: None, ttl: Ttl::Setting }
}

#[test]
fn what_is_written_is_read_back_at_every_size() {
    let rig = Rig::start();
    for padding in [0, 100, 5000, 20_000] {
        let saved = numbered(0..50, padding);
        rig.written(write(Mode::Save, saved.clone()));
        let mut expected = texts(&saved);
        for step in 0..70 {
            let more = numbered(50 + step * 2..52 + step * 2, padding / 10);
            rig.written(write(Mode::Append, more.clone()));
            expected.extend(texts(&more));
        }
        assert_eq!(rig.texts(Verb::Load(id())), expected);
        for count in [0, 1, 2, 7, 63, 64, 65, 189, 190, 500] {
            let tail = &expected[expected.len().saturating_sub(count)..];
            assert_eq!(rig.texts(Verb::Tail(id(), count)), tail, "{count} of padding {padding}");
        }
        for _ in 0..75 {
            let Answer::Message(Some(popped)) = rig.run(Verb::Pop(id())) else { panic!() };
            assert_eq!(popped.as_str().unwrap(), expected.pop().unwrap());
        }
        assert_eq!(rig.texts(Verb::Load(id())), expected);
    }
}

#[test]
fn a_request_that_is_sent_twice_is_applied_once() {
    let rig = Rig::start();
    let key = || Some("job-41".to_owned());
    let append = Write { idempotency_key: key(), ..write(Mode::Append, numbered(0..2, 10)) };
    let first = rig.written(append.clone());
    rig.written(write(Mode::Append, numbered(2..4, 10)));
    let again = rig.written(append);
    assert_eq!(again, Written { replayed: true, ..first });
    assert_eq!(rig.texts(Verb::Load(id())).len(), 4);
    let other = Write { idempotency_key: key(), ..write(Mode::Append, numbered(7..8, 10)) };
    let error = rig.try_run(Verb::Write(other)).unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Conflict { actual: 2 });
}

#[test]
fn threads_that_append_at_once_lose_nothing() {
    let rig = Arc::new(Rig::start());
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let rig = rig.clone();
            std::thread::spawn(move || {
                for step in 0..50 {
                    let turn = numbered(thread * 1000 + step..thread * 1000 + step + 1, 20);
                    rig.written(write(Mode::Append, turn));
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let mut seen = rig.texts(Verb::Load(id()));
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 400);
    assert!(rig.client.status().open <= 10);
}

#[test]
fn tasks_and_threads_see_the_same_memory() {
    let rig = Rig::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    rig.written(write(Mode::Save, numbered(0..300, 200)));
    let replaced = write(Mode::Save, numbered(0..200, 200));
    #[expect(clippy::disallowed_methods, reason = "a test has no bridge")]
    let answers = runtime.block_on(async {
        let saved = rig.client.run_async(&rig.store, Verb::Write(replaced)).await.unwrap();
        let tail = rig.client.run_async(&rig.store, Verb::Tail(id(), 3)).await.unwrap();
        (saved, tail)
    });
    let (Answer::Written(saved), Answer::Messages(Some(tail))) = answers else { panic!() };
    assert_eq!((saved.revision, saved.count), (2, 200));
    assert_eq!(rig.texts(Verb::Tail(id(), 3)), texts(&tail));
}

#[test]
fn every_id_is_listed_once() {
    let rig = Rig::start();
    for number in 0..2500 {
        let id = MemoryId::new(&format!("memory-{number}")).unwrap();
        rig.written(Write { id, ..write(Mode::Append, numbered(0..1, 0)) });
    }
    let scan = Scan::new(false);
    let mut ids = Vec::new();
    while let Answer::Page(Some(page)) = rig.run(Verb::Page(scan.clone())) {
        ids.extend(page.iter().map(str::to_owned));
    }
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!((count, ids.len()), (2500, 2500));
}
