//! One workload, some times over: what `scripts/budget` counts the instructions of.
//!
//! `budget` alone prints the names; `budget NAME TIMES` runs.
#![allow(missing_docs, reason = "a program")]
#![allow(clippy::print_stdout, reason = "it talks to a script")]

mod data;
mod rig;

use std::hint::black_box;

use bytes::Bytes;
use redember::codec::json::write_string;
use redember::codec::reader::Reader;
use redember::error::Result;
use redember::layout::cut;
use redember::messages::Messages;
use redember::plan::Reply;
use redember::store::{Mode, Verb};

use data::{SIZES, conversation, message, text, two};
use rig::{Rig, rig, stored, write};

type Work = Box<dyn FnMut() -> Result<()>>;

fn main() -> Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let [name, times] = wanted.as_slice() else {
        let workloads = workloads(&SIZES)?;
        for (name, _) in workloads {
            println!("{name}");
        }
        return Ok(());
    };
    let size = name.rsplit('/').next().and_then(|size| size.parse().ok()).unwrap_or_default();
    for (candidate, mut work) in workloads(&[size])? {
        if candidate == *name {
            (0..times.parse().unwrap_or(1)).try_for_each(|_| work())?;
        }
    }
    Ok(())
}

fn workloads(sizes: &[usize]) -> Result<Vec<(String, Work)>> {
    let mut workloads = Vec::new();
    for &size in sizes {
        let mut add = |name: &str, work: Work| workloads.push((format!("{name}/{size}"), work));
        add("encode", encode(size));
        add("spans", spans(size));
        add("decode", decode(size));
        add("chunks", chunks(size));
        add("plan_save", plan(Mode::Save, size)?);
        add("plan_append", plan(Mode::Append, size)?);
        add("known_save", known_save(two(size))?);
        add("same_save", known_save([conversation(size), conversation(size)])?);
        add("reply_load", reply(size)?);
    }
    Ok(workloads)
}

fn encode(size: usize) -> Work {
    let texts: Vec<String> = (0..size).map(text).collect();
    let mut out = Vec::with_capacity(texts.iter().map(|text| text.len() * 2).sum());
    Box::new(move || {
        out.clear();
        for text in &texts {
            write_string(&mut out, black_box(text));
        }
        black_box(&out);
        Ok(())
    })
}

fn spans(size: usize) -> Work {
    let lines: Vec<String> = (0..size).map(message).collect();
    let lines = Bytes::from(lines.join("\n"));
    Box::new(move || {
        black_box(Messages::from_lines(vec![black_box(lines.clone())], 0)?);
        Ok(())
    })
}

fn decode(size: usize) -> Work {
    let messages = conversation(size);
    Box::new(move || {
        for line in messages.lines() {
            black_box(Reader::new(black_box(line)).skip().is_ok());
        }
        Ok(())
    })
}

fn chunks(size: usize) -> Work {
    let messages = conversation(size);
    Box::new(move || {
        black_box(cut(black_box(&messages)));
        Ok(())
    })
}

fn plan(mode: Mode, size: usize) -> Result<Work> {
    let Rig { store, writer, id } = rig()?;
    let write = write(&id, mode, conversation(size));
    Ok(Box::new(move || {
        let plan = store.plan(Verb::Write(black_box(write.clone())), &writer)?;
        black_box(plan.request());
        Ok(())
    }))
}

/// Saves, in turn, to a memory whose header is known, from the plan to the end.
fn known_save(conversations: [Messages; 2]) -> Result<Work> {
    let Rig { store, writer, id } = rig()?;
    let [mut write, mut next] = conversations.map(|messages| write(&id, Mode::Save, messages));
    Ok(Box::new(move || {
        std::mem::swap(&mut write, &mut next);
        let mut plan = store.plan(Verb::Write(black_box(write.clone())), &writer)?;
        let replies = match plan.request().commands.len() {
            1 => vec![Reply::Integer(0)],
            2 => vec![Reply::Integer(3), Reply::Integer(0)],
            _ => vec![Reply::Nil, Reply::Array(vec![Reply::Integer(0)])],
        };
        black_box(plan.advance(replies)?);
        Ok(())
    }))
}

fn reply(size: usize) -> Result<Work> {
    let Rig { store, writer, id } = rig()?;
    let reply = stored(&conversation(size));
    Ok(Box::new(move || {
        let mut plan = store.plan(Verb::Load(id.clone()), &writer)?;
        black_box(plan.advance(vec![reply.clone()])?);
        Ok(())
    }))
}
