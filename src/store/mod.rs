//! The verbs: what a store can be asked, and what it answers.
//!
//! A [`Verb`] is plain data. [`RedisStore`] turns it into a [`Plan`](crate::plan::Plan) and lets a
//! transport drive that; the file store and the in-memory store apply it at once.

mod answer;
mod batch;
mod content;
mod delete;
mod detect;
mod document;
mod identity;
mod ids;
mod known;
mod lease;
mod ledger;
mod list;
mod op_ids;
mod ownership;
mod pop;
mod read;
mod redis_store;
mod seen;
mod sent;
mod status;
mod tail;
mod write;
mod writer;

use std::sync::Arc;
use std::time::Duration;

pub use answer::{Answer, Info, Written};
pub(crate) use batch::Turns;
pub use batch::{Ask, Batch, More, Size, UNIT, mended};
pub(crate) use detect::other_layout;
pub use ids::Ids;
pub use lease::Lease;
pub(crate) use ledger::{Key, Keyed, Ledger, MAX_KEYS};
pub use list::Scan;
pub use op_ids::OpIds;
pub(crate) use redis_store::check_write;
pub use redis_store::{RedisStore, StoreOptions, check_key};
pub(crate) use status::conflict;
pub use writer::{Lane, Writer};

use crate::keyspace::MemoryId;
use crate::messages::Messages;

/// One call on a store.
#[derive(Debug, Clone)]
pub enum Verb {
    /// Reads a whole conversation.
    Load(MemoryId),
    /// Reads the last messages.
    Tail(MemoryId, usize),
    /// Replaces the conversation, or appends to it.
    Write(Write),
    /// Takes the last message away.
    Pop(MemoryId),
    /// Deletes the conversation, if it is at the revision given.
    Delete(MemoryId, Option<u64>),
    /// Asks whether there is such a conversation.
    Exists(MemoryId),
    /// Counts the messages.
    Count(MemoryId),
    /// Asks for what is known without reading the messages.
    Info(MemoryId),
    /// Restarts the time to live.
    Touch(MemoryId),
    /// Takes, extends or gives back the right to the next turn.
    Lease(Lease),
    /// Reads the next page of ids.
    Page(Arc<Scan>),
    /// Asks whether the store is there.
    Ping,
}

/// A write of messages.
#[derive(Debug, Clone)]
pub struct Write {
    /// Which conversation.
    pub id: MemoryId,
    /// What to do with the messages.
    pub mode: Mode,
    /// The messages.
    pub messages: Messages,
    /// The revision the conversation must be at; 0 means it must not exist.
    pub if_revision: Option<u64>,
    /// The caller's own name for this append: a second one with it changes nothing.
    pub idempotency_key: Option<String>,
    /// How long the conversation is to live from now.
    pub ttl: Ttl,
}

/// How long a memory lives after a write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ttl {
    /// As long as the store's own setting says.
    #[default]
    Setting,
    /// So long; `None` keeps it until it is deleted.
    Given(Option<Duration>),
}

impl Ttl {
    /// Returns the time to live where `setting` is the store's own.
    pub(crate) fn or(self, setting: Option<Duration>) -> Option<Duration> {
        match self {
            Self::Setting => setting,
            Self::Given(ttl) => ttl,
        }
    }
}

/// What a write does with its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Puts them in the place of what is there.
    Save,
    /// Puts them after what is there.
    Append,
}

impl Verb {
    /// Returns the memory it is about, if it is about one.
    pub fn memory(&self) -> Option<&MemoryId> {
        match self {
            Self::Load(id)
            | Self::Tail(id, _)
            | Self::Pop(id)
            | Self::Delete(id, _)
            | Self::Exists(id)
            | Self::Count(id)
            | Self::Info(id)
            | Self::Touch(id) => Some(id),
            Self::Write(write) => Some(&write.id),
            Self::Lease(lease) => Some(&lease.id),
            Self::Page(_) | Self::Ping => None,
        }
    }

    /// Returns how many bytes of messages it writes.
    pub fn size(&self) -> usize {
        match self {
            Self::Write(write) => write.messages.size(),
            _ => 0,
        }
    }

    /// Returns the verb's name as callers know it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Load(_) => "load",
            Self::Tail(..) => "tail",
            Self::Write(Write { mode: Mode::Save, .. }) => "save",
            Self::Write(Write { mode: Mode::Append, .. }) => "append",
            Self::Pop(_) => "pop",
            Self::Delete(..) => "delete",
            Self::Exists(_) => "exists",
            Self::Count(_) => "count",
            Self::Info(_) => "info",
            Self::Touch(_) => "touch",
            Self::Lease(Lease { span: Some(_), .. }) => "hold_lease",
            Self::Lease(Lease { span: None, .. }) => "release_lease",
            Self::Page(_) => "list",
            Self::Ping => "ping",
        }
    }
}
