//! Verbs against a real `redis-server`, which is started here on a unix socket of its own.
//!
//! `floor` is a bare `PING` on the same kind of socket: what any client pays for a round trip.
#![allow(missing_docs, reason = "criterion's macros write the functions")]

mod data;

use std::error::Error;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use criterion::Criterion;
use redember::client::Client;
use redember::keyspace::{Keyspace, MemoryId};
use redember::layout::Layout;
use redember::messages::{Limits, Messages};
use redember::options::{ClientOptions, Endpoint, Topology};
use redember::store::{Answer, Batch, Mode, RedisStore, Scan, StoreOptions, Ttl, Verb, Write};

use data::{SIZES, conversation, two};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// A server that ends with this value.
struct Server {
    process: Child,
    socket: PathBuf,
    _directory: tempfile::TempDir,
}

impl Server {
    fn start() -> Outcome<Self> {
        let directory = tempfile::tempdir()?;
        let socket = directory.path().join("redis.sock");
        let process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
            .arg(&socket)
            .arg("--dir")
            .arg(directory.path())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("redis-server is needed on the PATH: {error}"))?;
        Ok(Self { process, socket, _directory: directory })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Rig {
    client: Client,
    store: RedisStore,
}

impl Rig {
    fn connect(server: &Server) -> Outcome<Self> {
        let topology = Topology::Single(Endpoint::Unix(server.socket.clone()));
        let client = Client::new(ClientOptions { topology, ..ClientOptions::default() });
        let store = RedisStore::new(StoreOptions {
            layout: Layout::Log,
            keyspace: Keyspace::new("bench:")?,
            ttl: Some(Duration::from_secs(604_800)),
            refresh_on_load: false,
            limits: Limits::default(),
        });
        let rig = Self { client, store };
        let deadline = Instant::now() + Duration::from_secs(10);
        while rig.run(Verb::Ping).is_err() && Instant::now() < deadline {
            std::thread::yield_now();
        }
        Ok(rig)
    }

    fn run(&self, verb: Verb) -> redember::error::Result<Answer> {
        self.client.run(&self.store, verb, || false)
    }

    fn write(
        &self,
        mode: Mode,
        id: &MemoryId,
        messages: &Messages,
    ) -> redember::error::Result<Answer> {
        self.run(write(mode, id, messages))
    }

    fn run_all(
        &self,
        operation: &'static str,
        verbs: impl Iterator<Item = Verb>,
    ) -> redember::error::Result<Vec<redember::error::Result<Answer>>> {
        let batch = Batch { operation, verbs: verbs.collect(), spent: Duration::ZERO };
        self.client.run_all(&self.store, batch, &mut Vec::new, || false)
    }
}

fn write(mode: Mode, id: &MemoryId, messages: &Messages) -> Verb {
    let (id, messages) = (id.clone(), messages.clone());
    let (if_revision, idempotency_key) = (None, None);
    Verb::Write(Write { id, mode, messages, if_revision, idempotency_key, ttl: Ttl::Setting })
}

fn main() -> Outcome {
    let server = Server::start()?;
    let rig = Rig::connect(&server)?;
    let mut criterion = Criterion::default().configure_from_args();
    let turn = conversation(2);
    criterion.bench_function("floor/ping", |bencher| bencher.iter(|| rig.run(Verb::Ping)));
    for size in SIZES {
        let id = MemoryId::new(&format!("memory-{size}"))?;
        let messages = conversation(size);
        rig.write(Mode::Save, &id, &messages)?;
        criterion.bench_function(&format!("load/{size}"), |bencher| {
            bencher.iter(|| rig.run(Verb::Load(id.clone())));
        });
        criterion.bench_function(&format!("tail_20/{size}"), |bencher| {
            bencher.iter(|| rig.run(Verb::Tail(id.clone(), 20)));
        });
        let mut turns = two(size);
        criterion.bench_function(&format!("save/{size}"), |bencher| {
            bencher.iter(|| {
                turns.reverse();
                rig.write(Mode::Save, &id, &turns[0])
            });
        });
        criterion.bench_function(&format!("save_again/{size}"), |bencher| {
            bencher.iter(|| rig.write(Mode::Save, &id, &messages));
        });
        let grown = MemoryId::new(&format!("grown-{size}"))?;
        rig.write(Mode::Save, &grown, &messages)?;
        criterion.bench_function(&format!("append_2/{size}"), |bencher| {
            bencher.iter(|| rig.write(Mode::Append, &grown, &turn));
        });
        rig.run(Verb::Delete(grown, None))?;
    }
    for index in 0..1000 {
        rig.write(Mode::Save, &MemoryId::new(&format!("listed-{index}"))?, &turn)?;
    }
    let ids = (0..1000).map(|index| MemoryId::new(&format!("listed-{index}")));
    let ids = ids.collect::<redember::error::Result<Vec<_>>>()?;
    let mut turns = two(20);
    criterion.bench_function("batch/1000/save", |bencher| {
        bencher.iter(|| {
            turns.reverse();
            rig.run_all("save_many", ids.iter().map(|id| write(Mode::Save, id, &turns[0])))
        });
    });
    criterion.bench_function("batch/1000/save_again", |bencher| {
        let save = |id| write(Mode::Save, id, &turns[0]);
        bencher.iter(|| rig.run_all("save_many", ids.iter().map(save)));
    });
    criterion.bench_function("batch/1000/load", |bencher| {
        bencher.iter(|| rig.run_all("load_many", ids.iter().cloned().map(Verb::Load)));
    });
    criterion.bench_function("scan_page/1000", |bencher| {
        bencher.iter(|| rig.run(Verb::Page(Scan::new(false))));
    });
    criterion.final_summary();
    Ok(())
}
