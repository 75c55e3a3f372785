//! The verbs that change nothing: load, tail, exists, count, info; and touch, which only renews.

use std::time::Duration;

use bytes::Bytes;

use super::{Keys, restart_ttl};
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::layout::document::{self, Ending};
use crate::messages::Messages;
use crate::plan::{Command, Once, Plan, Replies, Reply, Request, Step};
use crate::script;
use crate::store::read::{check_size, refreshed};
use crate::store::redis_store::{StoreOptions, command};
use crate::store::{Answer, Info};

const FIRST: Bytes = Bytes::from_static(b"0");
const LAST: Bytes = Bytes::from_static(b"-1");

/// Bytes that are read for one message, at first.
const MESSAGE_BYTES: usize = 512;

/// Of a tail that takes more than this, the whole document is read at once.
const LARGE_TAIL: usize = 1 << 20;

/// Reads a whole document in one round trip.
pub(in crate::store) fn load(options: &StoreOptions, key: &Bytes, refresh: bool) -> Box<dyn Plan> {
    let limit = options.limits.conversation;
    let refresh = refresh.then(|| restart_ttl(options, key));
    Once::boxed(refreshed(command("GET", key, []), refresh), move |mut replies| {
        let Some(value) = replies.take()?.text()? else { return Ok(Answer::Messages(None)) };
        let messages = document::read(&value)?;
        check_size(messages.size(), limit)?;
        Ok(Answer::Messages(Some(messages)))
    })
}

/// Reads the last messages from the end of the document, as much of it as they take.
pub(in crate::store) fn tail(
    options: &StoreOptions,
    key: &Bytes,
    count: usize,
    refresh: bool,
) -> Box<dyn Plan> {
    let refresh = refresh.then(|| restart_ttl(options, key));
    let bytes = count.saturating_mul(MESSAGE_BYTES).clamp(4096, LARGE_TAIL + 1);
    let mut plan = Tail { key: key.clone(), count, bytes, refresh, request: Request::read([]) };
    plan.request = plan.next_request();
    Box::new(plan)
}

struct Tail {
    key: Bytes,
    count: usize,
    /// How many are asked for.
    bytes: usize,
    refresh: Option<Command>,
    request: Request,
}

impl Tail {
    fn next_request(&self) -> Request {
        let read = if self.bytes > LARGE_TAIL {
            command("GET", &self.key, [])
        } else {
            command("GETRANGE", &self.key, [format!("-{}", self.bytes).into(), LAST])
        };
        refreshed(read, self.refresh.clone())
    }

    /// Reads what the server gave; `None` if more is needed.
    fn read(&self, text: &[u8]) -> Result<Option<Messages>> {
        // Less than was asked for, and something: that is the whole document.
        if self.bytes > LARGE_TAIL || (!text.is_empty() && text.len() < self.bytes) {
            return document::read(text).map(|messages| Some(messages.last(self.count)));
        }
        Ending::find(text, self.count).map(|end| document::read_last(text, &end)).transpose()
    }
}

impl Plan for Tail {
    fn request(&self) -> &Request {
        &self.request
    }

    fn advance(&mut self, replies: Vec<Reply>) -> Result<Step> {
        let Some(text) = Replies::new(replies).take()?.text()? else {
            return Ok(Step::Done(Answer::Messages(None)));
        };
        if let Some(messages) = self.read(&text)? {
            return Ok(Step::Done(Answer::Messages(Some(messages))));
        }
        // GETRANGE does not tell a missing document from an empty one; GET does.
        let more = if text.is_empty() { usize::MAX } else { self.bytes.saturating_mul(4) };
        self.bytes = more.min(LARGE_TAIL + 1);
        self.request = self.next_request();
        Ok(Step::Again)
    }
}

pub(in crate::store) fn exists(key: &Bytes) -> Box<dyn Plan> {
    let beginning = command("GETRANGE", key, [FIRST, Bytes::from_static(b"63")]);
    let request = Request::read([beginning, command("EXISTS", key, [])]);
    Once::boxed(request, |mut replies| {
        let beginning = replies.take()?.text()?.unwrap_or_default();
        let there = replies.take()?.integer()? == 1;
        if there && !document::looks_like(&beginning) {
            return Err(Error::corrupt(
                "the key is no redember memory and was left as it is: use another prefix",
            ));
        }
        Ok(Answer::Bool(there))
    })
}

pub(in crate::store) fn count(key: &Bytes) -> Box<dyn Plan> {
    Once::boxed(Request::read([read_info(key, false)]), |mut replies| {
        let found = Found::read(replies.take()?)?;
        Ok(Answer::Count(found.map_or(0, |found| found.messages)))
    })
}

pub(in crate::store) fn info(key: &Bytes) -> Box<dyn Plan> {
    Once::boxed(Request::read([read_info(key, false)]), |mut replies| {
        Ok(Answer::Info(Found::read(replies.take()?)?.map(|found| Info {
            messages: found.messages,
            revision: found.revision,
            ttl: found.ttl,
            bytes: found.bytes,
            layout: Layout::Document.name(),
        })))
    })
}

pub(in crate::store) fn touch(options: &StoreOptions, key: &Bytes) -> Box<dyn Plan> {
    Once::boxed(Request::read([restart_ttl(options, key)]), |mut replies| {
        Ok(Answer::Bool(replies.take()?.integer()? == 1))
    })
}

/// Returns the command that reads what is known of a document, and, if `whole`, the document.
pub(super) fn read_info(key: &Bytes, whole: bool) -> Command {
    let whole = Bytes::from_static(if whole { b"1" } else { b"0" });
    Keys::of(key.clone()).script(&script::DOCUMENT_INFO, [whole])
}

/// A document that is there, at one moment.
pub(super) struct Found {
    pub(super) messages: usize,
    pub(super) revision: u64,
    bytes: u64,
    ttl: Option<Duration>,
    /// The document, where it was asked for.
    pub(super) value: Bytes,
}

impl Found {
    /// Reads the reply to [`read_info`]; a document that came along is read whole, and so checked.
    pub(super) fn read(reply: Reply) -> Result<Option<Self>> {
        let parts = reply.array()?;
        if parts.is_empty() {
            return Ok(None);
        }
        let with_value = parts.len() > 4;
        let mut parts = Replies::new(parts);
        let revision = parts.take()?.unsigned()?;
        let bytes = parts.take()?.unsigned()?;
        // -1: the key never expires.
        let ttl = u64::try_from(parts.take()?.integer()?).ok().map(Duration::from_millis);
        let counted = parts.take()?.integer()?;
        let value =
            if with_value { parts.take()?.text()?.unwrap_or_default() } else { Bytes::new() };
        let messages = match usize::try_from(counted) {
            Ok(counted) if !with_value => counted,
            _ => document::read(&value)?.len(),
        };
        Ok(Some(Self { messages, revision, bytes, ttl, value }))
    }
}
