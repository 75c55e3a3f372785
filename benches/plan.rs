//! What verbs cost without a server: making their requests, reading the replies.
#![allow(missing_docs, reason = "criterion's macros write the functions")]

mod data;

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use redember::error::Result;
use redember::keyspace::{Keyspace, MemoryId};
use redember::layout::CHUNK_BYTES;
use redember::layout::Layout;
use redember::messages::{Limits, Messages};
use redember::plan::Reply;
use redember::store::{Mode, RedisStore, StoreOptions, Ttl, Verb, Write, Writer};

use data::{SIZES, conversation};

struct Rig {
    store: RedisStore,
    writer: Arc<Writer>,
    id: MemoryId,
}

fn rig() -> Result<Rig> {
    let store = RedisStore::new(StoreOptions {
        layout: Layout::Log,
        keyspace: Keyspace::new("redember:memories:")?,
        ttl: Some(std::time::Duration::from_secs(604_800)),
        refresh_on_load: false,
        limits: Limits::default(),
    });
    Ok(Rig { store, writer: Writer::new()?, id: MemoryId::new("user-alice")? })
}

/// Returns what a server answers to a load of `messages`.
fn stored(messages: &Messages) -> Reply {
    let chunks = messages.chunks(CHUNK_BYTES);
    let header = format!(
        "redember:1 rev=1 count={count} total={count} skip=0 bytes={} chunks={} open=0/0/0 born=w.0:1 lanes=",
        messages.size() + messages.len(),
        chunks.len(),
        count = messages.len(),
    );
    let header = Reply::Text(Bytes::from(header));
    let chunks = chunks.into_iter().map(|chunk| Reply::Text(chunk.text));
    Reply::Array([header].into_iter().chain(chunks).collect())
}

fn plans(criterion: &mut Criterion) {
    let Ok(Rig { store, writer, id }) = rig() else { return };

    let mut group = criterion.benchmark_group("plan_save");
    for size in SIZES {
        let messages = conversation(size);
        let write = Write {
            id: id.clone(),
            mode: Mode::Save,
            messages,
            if_revision: None,
            idempotency_key: None,
            ttl: Ttl::Setting,
        };
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| {
                let plan = store.plan(Verb::Write(black_box(write.clone())), &writer);
                plan.map(|plan| plan.request().commands.len())
            });
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("reply_load");
    for size in SIZES {
        let reply = stored(&conversation(size));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter_batched(
                || (store.plan(Verb::Load(id.clone()), &writer), vec![reply.clone()]),
                |(plan, replies)| plan.and_then(|mut plan| plan.advance(replies)),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, plans);
criterion_main!(benches);
