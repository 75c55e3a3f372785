//! What a local store remembers of writes with an idempotency key.
//!
//! A local store answers before its caller can lose the answer, so a write without a key needs no
//! identity there; in Redis the header of a list remembers keys among its lanes (`script/open.lua`).

use std::collections::VecDeque;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::status::{conflict, reused};
use super::{Write, Written};
use crate::error::Result;

/// Milliseconds for which a key is remembered: 24 hours.
const KEY_MILLISECONDS: u64 = 86_400_000;

/// Keys that one memory remembers at most; the oldest is forgotten first.
pub(crate) const MAX_KEYS: usize = 256;

/// A caller's idempotency key, as digests: what is stored has a known size and tells no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    /// Digest of the key.
    pub(crate) name: String,
    /// Digest of the messages, so that one key with other messages is told from a repetition.
    pub(crate) content: String,
}

/// A write that is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keyed {
    /// What the caller called it.
    pub(crate) key: Key,
    /// Revision it made.
    pub(crate) revision: u64,
    /// Messages the memory then held.
    pub(crate) count: usize,
    /// When it is forgotten, in milliseconds of the store's clock.
    pub(crate) until: u64,
}

/// The remembered writes of one memory, oldest first, at most [`MAX_KEYS`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger(VecDeque<Keyed>);

impl Key {
    /// Returns the key of `write`, if its caller gave one.
    pub(crate) fn of(write: &Write) -> Option<Self> {
        let name = Sha256::digest(write.idempotency_key.as_ref()?.as_bytes());
        let mut content = Sha256::new();
        for line in write.messages.lines() {
            content.update(line);
            content.update(b"\n");
        }
        Some(Self { name: short(&name), content: short(&content.finalize()) })
    }
}

/// Returns 128 bits of a digest as text.
fn short(digest: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest.get(..16).unwrap_or(digest))
}

impl Keyed {
    /// Returns what to remember of a write made at `now`.
    pub(crate) fn new(key: Key, revision: u64, count: usize, now: u64) -> Self {
        Self { key, revision, count, until: now.saturating_add(KEY_MILLISECONDS) }
    }
}

impl Ledger {
    /// Decides on a write to a memory at `revision` (0: there is none): `None` lets it go ahead,
    /// otherwise it was made before and this is the answer.
    ///
    /// A repetition is told before a conflict, so that a repeated write is never one.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`](crate::error::ErrorKind::Conflict) if the revision is not the one
    /// the caller expects, or the key came with other messages.
    pub(crate) fn admit(
        &self,
        key: Option<&Key>,
        if_revision: Option<u64>,
        revision: u64,
        now: u64,
    ) -> Result<Option<Written>> {
        let same_name = |keyed: &&Keyed| key.is_some_and(|key| key.name == keyed.key.name);
        let live = self.0.iter().filter(|keyed| keyed.until >= now);
        if let Some(earlier) = live.rev().find(same_name) {
            return if key.is_some_and(|key| key.content == earlier.key.content) {
                let Keyed { revision, count, .. } = *earlier;
                Ok(Some(Written { revision, count, replayed: true }))
            } else {
                Err(reused(revision))
            };
        }
        match if_revision {
            Some(expected) if expected != revision => Err(conflict(revision)),
            _ => Ok(None),
        }
    }

    /// Remembers a write and forgets those whose time is over or that are too many.
    pub(crate) fn remember(&mut self, keyed: Keyed, now: u64) {
        self.0.push_back(keyed);
        self.0.retain(|keyed| keyed.until >= now);
        let surplus = self.0.len().saturating_sub(MAX_KEYS);
        self.0.drain(..surplus);
    }

    /// Returns the remembered writes, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Keyed> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::keyspace::MemoryId;
    use crate::message::Message;
    use crate::messages::Messages;
    use crate::store::{Mode, Ttl};

    fn key(name: &str, message: &str) -> Key {
        let messages: Messages = [Message::from_json(message).unwrap()].into_iter().collect();
        let id = MemoryId::new("a").unwrap();
        let idempotency_key = Some(name.to_owned());
        let mode = Mode::Append;
        Key::of(&Write {
            id,
            mode,
            messages,
            if_revision: None,
            idempotency_key,
            ttl: Ttl::Setting,
        })
        .unwrap()
    }

    #[test]
    fn a_repeated_key_gets_the_first_answer_even_at_another_revision() {
        let mut ledger = Ledger::default();
        ledger.remember(Keyed::new(key("k", "{}"), 3, 7, 1000), 1000);
        let answer = ledger.admit(Some(&key("k", "{}")), Some(2), 9, 2000).unwrap().unwrap();
        assert_eq!(answer, Written { revision: 3, count: 7, replayed: true });
    }

    #[test]
    fn a_key_with_other_messages_is_refused() {
        let mut ledger = Ledger::default();
        ledger.remember(Keyed::new(key("k", "{}"), 3, 7, 1000), 1000);
        let error = ledger.admit(Some(&key("k", "{\"a\":1}")), None, 3, 2000).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Conflict { actual: 3 });
    }

    #[test]
    fn keys_are_forgotten_after_a_day_and_beyond_the_bound() {
        let mut ledger = Ledger::default();
        ledger.remember(Keyed::new(key("k", "{}"), 1, 1, 0), 0);
        let admit = |ledger: &Ledger, now| ledger.admit(Some(&key("k", "{}")), None, 1, now);
        assert!(admit(&ledger, KEY_MILLISECONDS).unwrap().is_some());
        assert!(admit(&ledger, KEY_MILLISECONDS + 1).unwrap().is_none());
        for number in 0..MAX_KEYS {
            ledger.remember(Keyed::new(key(&number.to_string(), "{}"), 1, 1, 0), 0);
        }
        assert_eq!(ledger.iter().count(), MAX_KEYS);
        assert!(admit(&ledger, 1).unwrap().is_none());
    }

    #[test]
    fn another_revision_than_expected_is_a_conflict() {
        let ledger = Ledger::default();
        assert!(ledger.admit(None, Some(0), 0, 0).unwrap().is_none());
        let error = ledger.admit(None, Some(0), 4, 0).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Conflict { actual: 4 });
    }
}
