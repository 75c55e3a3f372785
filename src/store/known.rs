//! The headers that a writer has seen last, so that its next write need not have them taken apart.
//!
//! A guess, and no more: a script compares it with what is there.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use super::content::Content;
use crate::layout::Line;

/// Headers that are kept at least; at most twice as many.
const KEPT: usize = 1024;

/// A header that was seen.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) line: Arc<Line>,
    /// Whether nobody else had written when it was looked at last, so that it is worth a try.
    pub(super) is_settled: bool,
    /// What the messages are, if this process has saved all of them, or read them.
    pub(super) content: Option<Content>,
}

impl Seen {
    /// Returns whether it is known what the messages are, and no connection was made since.
    pub(super) fn is_as_of(&self, connections: u64) -> bool {
        self.content.is_some_and(|content| content.is_as_of(connections))
    }
}

/// What is thought to be there, by key.
#[derive(Debug, Default)]
pub(super) struct Known {
    recent: HashMap<Bytes, Seen>,
    /// Those that were recent before: what has not been asked for since goes with them.
    older: HashMap<Bytes, Seen>,
}

impl Known {
    /// Returns the header of the memory under `key`, as it was seen last.
    pub(super) fn get(&mut self, key: &Bytes) -> Option<Seen> {
        if let Some(seen) = self.recent.get(key) {
            return Some(seen.clone());
        }
        let seen = self.older.remove(key)?;
        self.insert(key, seen.clone());
        Some(seen)
    }

    /// Returns the same, and makes it no more recent.
    pub(super) fn look(&self, key: &Bytes) -> Option<&Seen> {
        self.recent.get(key).or_else(|| self.older.get(key))
    }

    /// Takes note of a header.
    pub(super) fn insert(&mut self, key: &Bytes, seen: Seen) {
        if let Some(known) = self.recent.get_mut(key) {
            *known = seen;
            return;
        }
        if self.recent.len() >= KEPT {
            self.older = std::mem::take(&mut self.recent);
        }
        self.recent.insert(key.clone(), seen);
    }

    /// Takes note of a header if there is room, or it is in the place of another one: many that are read once
    /// must not push out what is written to.
    pub(super) fn offer(&mut self, key: &Bytes, seen: Seen) {
        if self.recent.len() < KEPT || self.look(key).is_some() {
            self.insert(key, seen);
        }
    }

    /// Forgets what was seen under `key`.
    pub(super) fn remove(&mut self, key: &Bytes) {
        self.recent.remove(key);
        self.older.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Author;

    fn seen() -> Seen {
        let author = Author { lane: "w.0", token: "1" };
        let line = Arc::new(Line::saved(None, author, &[]).unwrap());
        Seen { line, is_settled: true, content: None }
    }

    fn key(number: usize) -> Bytes {
        Bytes::from(number.to_string())
    }

    #[test]
    fn what_is_used_stays_and_what_is_not_goes() {
        let mut known = Known::default();
        for number in 0..10 * KEPT {
            known.insert(&key(number), seen());
            assert!(known.get(&key(0)).is_some());
        }
        assert!(known.recent.len() + known.older.len() <= 2 * KEPT);
        assert!(known.get(&key(1)).is_none());
        known.remove(&key(0));
        assert!(known.get(&key(0)).is_none());
    }

    #[test]
    fn what_is_offered_pushes_nothing_out() {
        let mut known = Known::default();
        (0..KEPT / 2).for_each(|number| known.insert(&key(number), seen()));
        (KEPT..10 * KEPT).for_each(|number| known.offer(&key(number), seen()));
        assert_eq!(known.recent.len(), KEPT);
        assert!((0..KEPT / 2).all(|number| known.get(&key(number)).is_some()));
        let news = Seen { is_settled: false, ..seen() };
        known.offer(&key(0), news);
        assert!(!known.get(&key(0)).unwrap().is_settled);
    }
}
