//! Lease: who may hold the next turn of a conversation, for a limited time.
//!
//! It keeps two turns from overlapping, and protects nothing by itself: writes are atomic with or
//! without it. It lies under a key of its own, outside of the prefix, so that no list shows it. The
//! same token takes it again, so a repetition after a lost reply is harmless. Calls are numbered, and one
//! that was given back leaves the number of that call: a repetition is answered as the first time, and
//! a call from before it that comes late does not take the lease again.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::{Answer, Writer};
use crate::keyspace::MemoryId;
use crate::plan::{Command, Once, Plan, Request};
use crate::script;

/// What is asked about the lease of a memory.
#[derive(Debug, Clone)]
pub struct Lease {
    /// Which memory.
    pub id: MemoryId,
    /// The holder's own random name.
    pub token: String,
    /// For how long it is taken, or taken again; `None` gives it back.
    pub span: Option<Duration>,
}

/// Makes the plan; `key` is the memory's, and `writer` says who asks.
pub(super) fn lease(key: &Bytes, lease: Lease, writer: &Writer) -> Box<dyn Plan> {
    let mut name = BytesMut::from(&b"lease:"[..]);
    name.extend_from_slice(key);
    let milliseconds = lease.span.map_or(0, |span| span.as_millis().max(1));
    let (asker, number) = writer.next_call();
    let args = vec![lease.token.into(), milliseconds.to_string().into(), asker, number];
    let command = Command::Script { script: &script::LEASE, key: name.freeze(), args };
    Once::boxed(Request::write([command]), |mut replies| {
        Ok(Answer::Bool(replies.take()?.integer()? == 1))
    })
}
