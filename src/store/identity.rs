//! Who a write is, so that a server can tell a repeated one.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;

use super::{Key, Lane, Write, Writer};
use crate::decimal::decimal;
use crate::layout::{Author, Line};

/// Seconds for which a server remembers the last write of a lane.
const LANE_SECONDS: &str = "600";
/// Seconds for which a server remembers a caller's idempotency key.
const KEY_SECONDS: &str = "86400";

/// Who a write is, to the server: two writes with the same lane and token are one write.
#[derive(Debug)]
pub(super) enum Identity {
    /// A lane of this process, held until the write is over.
    Own(Lane),
    /// A name that the caller gave, or the lane of an earlier write that is being repeated.
    Given { lane: Bytes, token: Bytes, seconds: &'static str },
}

impl Identity {
    /// Returns the identity of `write` in the memory under `key`.
    pub(super) fn of(write: &Write, key: &Bytes, writer: &Arc<Writer>) -> Self {
        if let Some((lane, token)) = write.idempotency_key.as_deref().and_then(split_op_id) {
            let seconds = if lane.starts_with('i') { KEY_SECONDS } else { LANE_SECONDS };
            let [lane, token] = [lane, token].map(|text| Bytes::copy_from_slice(text.as_bytes()));
            return Self::Given { lane, token, seconds };
        }
        match Key::of(write) {
            None => Self::Own(writer.lane(key)),
            Some(Key { name, content }) => {
                let lane = format!("i{name}").into();
                Self::Given { lane, token: content.into(), seconds: KEY_SECONDS }
            }
        }
    }

    /// Returns whether it is the next write of its lane, if the header is the known one (`None`: if
    /// there is none). What a write that was made before came to is for a script to say.
    pub(super) fn is_next(&self, known: Option<&Line>) -> bool {
        let (lane, token) = (self.lane(), self.token());
        match self {
            Self::Own(_) => true,
            Self::Given { .. } => known.is_none_or(|known| known.is_next(Author { lane, token })),
        }
    }

    pub(super) fn lane(&self) -> &str {
        text(self.names().0)
    }

    pub(super) fn token(&self) -> &str {
        text(self.names().1)
    }

    fn names(&self) -> (&Bytes, &Bytes) {
        match self {
            Self::Own(lane) => lane.names(),
            Self::Given { lane, token, .. } => (lane, token),
        }
    }

    fn seconds(&self) -> &'static str {
        match self {
            Self::Own(_) => LANE_SECONDS,
            Self::Given { seconds, .. } => seconds,
        }
    }

    /// Returns the identity by which the write can be repeated by hand. A lane of this process
    /// rests from now on, so that no later write of it wipes out what tells the outcome.
    pub(super) fn op_id(&mut self) -> String {
        if let Self::Own(lane) = self {
            lane.retire();
        }
        format!("{}:{}", self.lane(), self.token())
    }

    /// Returns the first five arguments of every script that writes.
    pub(super) fn arguments(&self, ttl: &Bytes, if_revision: Option<u64>) -> Vec<Bytes> {
        let (lane, token) = self.names();
        let seconds = Bytes::from_static(self.seconds().as_bytes());
        let revision = if_revision.map_or(Bytes::from_static(b"-1"), decimal);
        let mut arguments = Vec::with_capacity(12); // room for those that follow
        arguments.extend([ttl.clone(), lane.clone(), token.clone(), seconds, revision]);
        arguments
    }
}

/// Returns a name as the text that it is.
fn text(name: &Bytes) -> &str {
    std::str::from_utf8(name).unwrap_or_default()
}

/// Splits an operation id of an earlier write: `w<name>.<lane>:<number>`, or two digests of a key
/// and its messages, `i<key>:<messages>`.
fn split_op_id(id: &str) -> Option<(&str, &str)> {
    let (lane, token) = id.split_once(':')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).map_or(0, |bytes| bytes.len());
    let ours = match lane.strip_prefix('w').and_then(|name| name.split_once('.')) {
        Some((name, index)) => bytes(name) == 9 && digits(index) && digits(token),
        None => lane.strip_prefix('i').is_some_and(|key| bytes(key) == 16) && bytes(token) == 16,
    };
    ours.then_some((lane, token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_operation_id_is_read_as_one() {
        let id = "wAAAAAAAAAAAA.3:17";
        assert_eq!(split_op_id(id), Some(("wAAAAAAAAAAAA.3", "17")));
        let digest = "A".repeat(22);
        assert!(split_op_id(&format!("i{digest}:{digest}")).is_some());
        for key in ["", "order-17", "w:1", "wAAAA.3:17", "wAAAAAAAAAAAA.3:", "wAAAAAAAAAAAA.x:1"] {
            assert_eq!(split_op_id(key), None, "{key}");
        }
    }

    #[test]
    fn scripts_remember_a_lane_as_long() {
        let prune = include_str!("../script/prune.lua");
        assert!(prune.contains(&format!("'i' and {KEY_SECONDS} or {LANE_SECONDS})")));
    }
}
