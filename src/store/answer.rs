//! What stores answer.

use std::time::Duration;

use super::Ids;
use crate::error::Result;
use crate::message::Message;
use crate::messages::Messages;

/// The answer to a verb.
#[derive(Debug, Clone)]
pub enum Answer {
    /// To `ping`: nothing to say.
    Done,
    /// To `delete`, `exists` and `touch`.
    Bool(bool),
    /// To `count`.
    Count(usize),
    /// To `load` and `tail`; `None` where there is no such memory.
    Messages(Option<Messages>),
    /// To `pop`; `None` where there is nothing to pop.
    Message(Option<Message>),
    /// To `save` and `append`.
    Written(Written),
    /// To `info`; `None` where there is no such memory.
    Info(Option<Info>),
    /// To a page of `list`; `None` after the last page.
    Page(Option<Ids>),
    /// To a batch: the answer to each of its verbs, in order.
    Many(Vec<Result<Self>>),
}

/// What a write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The memory's revision after the write.
    pub revision: u64,
    /// How many messages the memory then held.
    pub count: usize,
    /// Whether the write had been applied before, and changed nothing now.
    pub replayed: bool,
}

/// What is known of a memory without reading its messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// How many messages a reader sees.
    pub messages: usize,
    /// One more on every write.
    pub revision: u64,
    /// Time left until the memory expires; `None` when it never does.
    pub ttl: Option<Duration>,
    /// Bytes of the messages as stored.
    pub bytes: u64,
    /// Name of the layout the memory is stored in.
    pub layout: &'static str,
}
