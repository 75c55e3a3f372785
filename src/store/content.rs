//! What was stored, or loaded, as far as the next save has to know: does it begin with the same messages?
//!
//! Programs save a conversation as a whole after every turn. What this process stored or read, and nobody
//! has changed since, need not be sent again. A server that was away may have lost a part of it, however, or
//! have a torn file to begin again from: once a connection had to be made, all is sent once more.

use std::fmt;

use twox_hash::xxhash3_128::{RawHasher, SecretBuffer};

use super::writer::random;
use crate::error::{Error, Result};
use crate::messages::Messages;

/// Messages that were stored: how many, their digest, and how many connections had been made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Content {
    messages: usize,
    digest: u128,
    connections: u64,
}

impl Content {
    /// Returns whether it is of a time with so many connections.
    pub(super) fn is_as_of(&self, connections: u64) -> bool {
        self.connections == connections
    }
}

/// Makes digests of 128 bits (`XXH3`, <https://xxhash.com>) with a secret that nobody outside this process
/// knows. That is no cryptography, and need not be: two conversations of one digest are not met by chance,
/// and whoever makes them on purpose has no way to see a digest.
pub(super) struct Digests(SecretBuffer<[u8; SECRET_BYTES]>);

/// As long as the algorithm's own secret.
const SECRET_BYTES: usize = 192;

impl Digests {
    /// Draws a secret.
    ///
    /// # Errors
    /// As [`random`].
    pub(super) fn new() -> Result<Self> {
        let (mut seed, mut secret) = ([0; 8], [0; SECRET_BYTES]);
        random(&mut seed)?;
        random(&mut secret)?;
        let buffer = SecretBuffer::new(u64::from_le_bytes(seed), secret);
        let short = |_| Error::corrupt("the secret of digests is too short");
        Ok(Self(buffer.map_err(short)?))
    }

    /// Returns what `messages` are, and whether the first of them are `before`.
    pub(super) fn compare(
        &self,
        messages: &Messages,
        connections: u64,
        before: Option<Content>,
    ) -> (Content, bool) {
        let end = messages.len();
        let is_comparable =
            |before: &Content| before.is_as_of(connections) && before.messages <= end;
        let before = before.filter(is_comparable);
        let known = before.map_or(0, |before| before.messages);
        let mut hasher = RawHasher::new(self.0.clone());
        let mut digest = |range| {
            for run in messages.runs(range) {
                hasher.write(run);
                hasher.write(b"\n");
            }
            hasher.finish_128()
        };
        let begins = before.is_some_and(|before| before.digest == digest(0..known));
        let content = Content { messages: end, digest: digest(known..end), connections };
        (content, begins)
    }
}

impl fmt::Debug for Digests {
    /// Leaves the secret out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Digests").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation(texts: &[&str]) -> Messages {
        let lines: Vec<String> = texts.iter().map(|text| format!("{{\"x\":\"{text}\"}}")).collect();
        if lines.is_empty() {
            return Messages::default();
        }
        Messages::from_lines(vec![lines.join("\n").into()], 0).unwrap()
    }

    #[test]
    fn a_conversation_that_grew_begins_with_what_it_was() {
        let digests = Digests::new().unwrap();
        let all = conversation(&["a", "b", "c", "d"]);
        for known in 0..=4 {
            let (before, _) = digests.compare(&all.slice(0..known), 7, None);
            for end in 0..=4 {
                let (content, begins) = digests.compare(&all.slice(0..end), 7, Some(before));
                assert_eq!(begins, known <= end, "{known} of {end}");
                assert_eq!(content, digests.compare(&all.slice(0..end), 7, None).0);
            }
        }
        assert!(!digests.compare(&all, 7, None).1);
    }

    #[test]
    fn one_that_was_changed_anywhere_does_not() {
        let digests = Digests::new().unwrap();
        let (before, _) = digests.compare(&conversation(&["a", "b", "c"]), 7, None);
        for changed in [&["x", "b", "c"][..], &["a", "x", "c"], &["a", "b", "x"], &["b", "a", "c"]]
        {
            assert!(!digests.compare(&conversation(changed), 7, Some(before)).1);
            let grown: Vec<&str> = changed.iter().copied().chain(["d"]).collect();
            assert!(!digests.compare(&conversation(&grown), 7, Some(before)).1);
        }
        assert!(!digests.compare(&conversation(&["a", "b"]), 7, Some(before)).1);
    }

    #[test]
    fn what_was_stored_before_a_connection_was_made_is_in_doubt() {
        let digests = Digests::new().unwrap();
        let all = conversation(&["a", "b"]);
        let (before, _) = digests.compare(&all, 7, None);
        assert!(digests.compare(&all, 7, Some(before)).1);
        assert!(!digests.compare(&all, 8, Some(before)).1);
    }

    #[test]
    fn however_messages_lie_their_digest_is_the_same() {
        let digests = Digests::new().unwrap();
        let all = conversation(&["a", "b", "c"]);
        let picked = all.pick(0..3);
        let apart: Messages = (0..3).filter_map(|at| all.get(at)).collect();
        let segments = all.lines().map(|line| line.to_vec().into()).collect();
        let loaded = Messages::from_lines(segments, 0).unwrap();
        let (content, _) = digests.compare(&all, 7, None);
        for same in [picked, apart, loaded] {
            assert_eq!(digests.compare(&same, 7, Some(content)), (content, true));
        }
    }

    #[test]
    fn another_process_makes_others() {
        let (mine, theirs) = (Digests::new().unwrap(), Digests::new().unwrap());
        let all = conversation(&["a"]);
        assert_ne!(mine.compare(&all, 7, None), theirs.compare(&all, 7, None));
        assert!(!format!("{mine:?}").contains(char::is_numeric));
    }
}
