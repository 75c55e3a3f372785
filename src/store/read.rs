//! The verbs that read: load, tail, exists, count, info; and touch, which changes no message.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::redis_store::{StoreOptions, command};
use super::{Answer, Info, Writer};
use crate::decimal::decimal;
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{Header, read_log};
use crate::plan::{Command, Once, Plan, Replies, Request};
use crate::script;

const FIRST: Bytes = Bytes::from_static(b"0");
const LAST: Bytes = Bytes::from_static(b"-1");

/// Reads a whole memory in one round trip. What it says is worth knowing for the write that follows as a
/// rule; what is damaged is forgotten, so that a save writes all of it.
pub(super) fn load(
    options: &StoreOptions,
    key: &Bytes,
    refresh: bool,
    one_by_one: bool,
    writer: &Arc<Writer>,
) -> Box<dyn Plan> {
    let limit = options.limits.conversation;
    // Whoever sends commands one by one does not say when it has to connect anew.
    let connections = (!one_by_one).then(|| writer.connections());
    let (writer, read_key) = (writer.clone(), key.clone());
    let read = command("LRANGE", key, [FIRST, LAST]);
    let refresh = refresh.then(|| options.restart_ttl(key));
    Once::boxed(refreshed(read, refresh), move |mut replies| {
        let elements = replies.take()?.texts()?;
        let Some(line) = elements.first().cloned() else {
            writer.forget(&read_key);
            return Ok(Answer::Messages(None));
        };
        let log = read_log(elements).inspect_err(|_| writer.forget(&read_key))?;
        check_size(log.messages.size(), limit)?;
        writer.learn_read(&read_key, &line, &log, connections);
        Ok(Answer::Messages(Some(log.messages)))
    })
}

pub(super) fn check_size(size: usize, limit: usize) -> Result<()> {
    if size <= limit {
        return Ok(());
    }
    let message = format!(
        "the conversation takes {size} bytes of JSON, the limit is {limit}: raise \
         max_conversation_bytes, or read the end of it with tail"
    );
    Err(Error::new(ErrorKind::TooLarge, message))
}

/// Returns the command that reads, at one moment, the header and the chunks with the last messages.
pub(super) fn read_last(key: &Bytes, count: usize) -> Command {
    let args = vec![decimal(count)];
    Command::Script { script: &script::TAIL, key: key.clone(), args }
}

/// Adds the command that restarts the time to live, where a read does that.
pub(super) fn refreshed(read: Command, refresh: Option<Command>) -> Request {
    Request::read([read].into_iter().chain(refresh))
}

pub(super) fn exists(key: &Bytes) -> Box<dyn Plan> {
    Once::boxed(Request::read([read_header(key)]), |mut replies| {
        Ok(Answer::Bool(header(&mut replies)?.is_some()))
    })
}

pub(super) fn count(key: &Bytes) -> Box<dyn Plan> {
    Once::boxed(Request::read([read_header(key)]), |mut replies| {
        Ok(Answer::Count(header(&mut replies)?.map_or(0, |header| header.count)))
    })
}

pub(super) fn info(key: &Bytes) -> Box<dyn Plan> {
    let read = Command::Script { script: &script::INFO, key: key.clone(), args: Vec::new() };
    Once::boxed(Request::read([read]), |mut replies| {
        let parts = replies.take()?.array()?;
        if parts.is_empty() {
            return Ok(Answer::Info(None));
        }
        let mut parts = Replies::new(parts);
        let Some(header) = header(&mut parts)? else { return Ok(Answer::Info(None)) };
        // -1: the key never expires.
        let ttl = u64::try_from(parts.take()?.integer()?).ok().map(Duration::from_millis);
        Ok(Answer::Info(Some(Info {
            messages: header.count,
            revision: header.revision,
            ttl,
            bytes: header.bytes,
            layout: "log",
        })))
    })
}

pub(super) fn touch(options: &StoreOptions, key: &Bytes) -> Box<dyn Plan> {
    Once::boxed(Request::read([options.restart_ttl(key)]), |mut replies| {
        Ok(Answer::Bool(replies.take()?.integer()? == 1))
    })
}

/// Returns the command that reads the header of a memory.
pub(super) fn read_header(key: &Bytes) -> Command {
    command("LINDEX", key, [FIRST])
}

/// Reads the reply to [`read_header`].
pub(super) fn header(replies: &mut Replies) -> Result<Option<Header>> {
    replies.take()?.text()?.map(|line| Header::parse(&line)).transpose()
}
