//! Which ids a listing has given lately, in bounded memory.
//!
//! `SCAN` gives a key twice only where the server's table was made smaller during the walk, and then
//! only one of the keys that share a bucket of the new table with the place that the walk has come
//! to. Its order keeps those together: they are the last ones that were given, as many as buckets
//! became one. So what lies further back than that can be forgotten.

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

/// Ids of one generation: as many as fill a table of 2^18 places, which takes 2.3 MiB.
const GENERATION: usize = 7 << 15;

/// What a listing has room for from the beginning: most never have to make more.
const FEW: usize = 7 << 10;

/// The ids that were given lately: at least as many as a generation has, at most two of them.
///
/// Kept as hashes of 64 bits, seeded anew for each listing.
#[derive(Debug)]
pub(super) struct Seen {
    young: Hashes,
    old: Hashes,
    hasher: ahash::RandomState,
    forgetful: bool,
}

type Hashes = HashSet<u64, BuildHasherDefault<Itself>>;

/// The hash of a number that is a hash already.
#[derive(Debug, Default)]
struct Itself(u64);

impl Hasher for Itself {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

impl Default for Seen {
    fn default() -> Self {
        let young = Hashes::with_capacity_and_hasher(FEW, BuildHasherDefault::default());
        let (old, forgetful) = Default::default();
        // The system's own hasher is a good source of seeds, and takes several times as long.
        let hasher = ahash::RandomState::with_seeds(seed(), seed(), seed(), seed());
        Self { young, old, hasher, forgetful }
    }
}

fn seed() -> u64 {
    RandomState::new().hash_one(())
}

impl Seen {
    /// Takes note of an id; returns whether it is not known to have been given.
    pub(super) fn insert(&mut self, id: &str) -> bool {
        let hash = self.hasher.hash_one(id.as_bytes());
        if self.old.contains(&hash) || !self.young.insert(hash) {
            return false;
        }
        if self.young.len() == GENERATION {
            self.forgetful |= !self.old.is_empty();
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        true
    }

    /// Returns whether ids were forgotten that had been given.
    pub(super) fn is_forgetful(&self) -> bool {
        self.forgetful
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_new_once_for_at_least_a_generation() {
        let mut seen = Seen::default();
        for number in 1..GENERATION * 2 {
            assert!(seen.insert(&number.to_string()));
            assert!(!seen.insert(&number.to_string()));
            let back = number.saturating_sub(GENERATION).max(1);
            assert!(!seen.insert(&back.to_string()), "{back} at {number}");
        }
        assert!(!seen.is_forgetful());
        seen.insert("one more");
        assert!(seen.is_forgetful());
    }

    #[test]
    fn its_memory_does_not_grow() {
        let mut seen = Seen::default();
        for number in 0..GENERATION * 3 {
            seen.insert(&number.to_string());
        }
        assert!(seen.is_forgetful());
        assert!(seen.young.capacity() + seen.old.capacity() <= 2 * GENERATION);
    }
}
