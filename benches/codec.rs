//! Messages to bytes and back, with no server: strings, spans, members, chunks, keys.
#![allow(missing_docs, reason = "criterion's macros write the functions")]

mod data;

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use redember::codec::json::write_string;
use redember::codec::reader::Reader;
use redember::keyspace::{Keyspace, MemoryId};
use redember::layout::cut;
use redember::messages::Messages;

use data::{SIZES, conversation, message, text};

fn lines(size: usize) -> Bytes {
    let lines: Vec<String> = (0..size).map(message).collect();
    lines.join("\n").into()
}

fn codec(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    for size in SIZES {
        let texts: Vec<String> = (0..size).map(text).collect();
        group.throughput(Throughput::Bytes(texts.iter().map(|text| text.len() as u64).sum()));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            let mut out = Vec::new();
            bencher.iter(|| {
                out.clear();
                for text in &texts {
                    write_string(&mut out, black_box(text));
                }
                out.len()
            });
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("spans");
    for size in SIZES {
        let lines = lines(size);
        group.throughput(Throughput::Bytes(lines.len() as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| Messages::from_lines(vec![black_box(lines.clone())], 0));
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("decode");
    for size in SIZES {
        let messages = conversation(size);
        group.throughput(Throughput::Bytes(messages.size() as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| {
                let read = |line| Reader::new(black_box(line)).skip().is_ok();
                messages.lines().filter(|line| read(line)).count()
            });
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("chunks");
    for size in SIZES {
        let messages = Messages::from_lines(vec![lines(size)], 0).unwrap_or_default();
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| cut(black_box(&messages)));
        });
    }
    group.finish();
}

fn keyspace(criterion: &mut Criterion) {
    let (Ok(space), Ok(id)) = (Keyspace::new("redember:memories:"), MemoryId::new("user-alice"))
    else {
        return;
    };
    let key = space.key(&id);
    criterion.bench_function("keyspace/key", |bencher| bencher.iter(|| space.key(black_box(&id))));
    criterion.bench_function("keyspace/id", |bencher| {
        bencher.iter(|| black_box(space.id(black_box(&key))).is_some());
    });
}

criterion_group!(benches, codec, keyspace);
criterion_main!(benches);
