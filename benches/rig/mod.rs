//! A store whose plans are made and advanced by hand.

use std::sync::Arc;

use bytes::Bytes;
use redember::error::Result;
use redember::keyspace::{Keyspace, MemoryId};
use redember::layout::{Layout, cut};
use redember::messages::{Limits, Messages};
use redember::plan::Reply;
use redember::store::{Mode, RedisStore, StoreOptions, Ttl, Write, Writer};

/// A store with no server, one of its writers, and a memory.
pub(crate) struct Rig {
    pub(crate) store: RedisStore,
    pub(crate) writer: Arc<Writer>,
    pub(crate) id: MemoryId,
}

/// Makes a store.
pub(crate) fn rig() -> Result<Rig> {
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
pub(crate) fn stored(messages: &Messages) -> Reply {
    let chunks = cut(messages);
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

/// Returns a write of `messages`.
pub(crate) fn write(id: &MemoryId, mode: Mode, messages: Messages) -> Write {
    let id = id.clone();
    Write { id, mode, messages, if_revision: None, idempotency_key: None, ttl: Ttl::Setting }
}
