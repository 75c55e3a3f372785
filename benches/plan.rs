//! What verbs cost without a server: making their requests, reading the replies.
#![allow(missing_docs, reason = "criterion's macros write the functions")]

mod data;
mod rig;

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use redember::store::{Mode, Verb};

use data::{SIZES, conversation};
use rig::{Rig, rig, stored, write};

fn plans(criterion: &mut Criterion) {
    let Ok(Rig { store, writer, id }) = rig() else { return };

    let mut group = criterion.benchmark_group("plan_save");
    for size in SIZES {
        let write = write(&id, Mode::Save, conversation(size));
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
