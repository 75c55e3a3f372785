//! The Lua scripts: constant texts, each on one key, each atomic.
//!
//! Ids and messages only ever travel as `KEYS` and `ARGV`, so nothing a user stores can become
//! code. Every write to a `log` memory is one of these; a script looks at everything that can stop
//! it (type, header, replay, expected revision) before its first write, since Redis rolls nothing
//! back.

use std::sync::LazyLock;

/// A constant script and the digest that `EVALSHA` names it by.
#[derive(Debug)]
pub struct Script {
    source: String,
    digest: String,
}

/// How a script is named on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `EVALSHA` with the digest: what is tried first.
    Digest,
    /// `EVAL` with the text: after the server answered that it does not know the digest.
    Source,
}

impl Script {
    fn new(parts: &[&str]) -> Self {
        let source = parts.concat();
        let digest = redis::Script::new(&source).get_hash().to_owned();
        Self { source, digest }
    }

    /// Returns the text that `EVAL` takes.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Returns the SHA-1 in hex that `EVALSHA` takes.
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

/// Sizes that scripts and core must agree on: `CHUNK_BYTES` is [`crate::layout::CHUNK_BYTES`].
const SIZES: &str = "local CHUNK_BYTES, FOLD_CHUNKS = 16384, 32\n";
const OPEN: &str = include_str!("open.lua");
const GO: &str = include_str!("go.lua");
const CLOSE: &str = include_str!("close.lua");

/// Appends messages.
pub static APPEND: LazyLock<Script> =
    LazyLock::new(|| Script::new(&[SIZES, OPEN, GO, include_str!("append.lua"), CLOSE]));
/// Replaces all messages.
pub static SAVE: LazyLock<Script> =
    LazyLock::new(|| Script::new(&[SIZES, OPEN, GO, include_str!("save.lua"), CLOSE]));
/// Replaces all messages by chunks that were pushed just before.
pub static COMMIT: LazyLock<Script> =
    LazyLock::new(|| Script::new(&[SIZES, OPEN, include_str!("commit.lua"), CLOSE]));
/// Takes the last message away.
pub static POP: LazyLock<Script> =
    LazyLock::new(|| Script::new(&[OPEN, GO, include_str!("pop.lua"), CLOSE]));
/// Deletes a memory if it is still the one that was read.
pub static DELETE: LazyLock<Script> = LazyLock::new(|| Script::new(&[include_str!("delete.lua")]));
/// Restarts the time to live of a memory.
pub static TOUCH: LazyLock<Script> = LazyLock::new(|| Script::new(&[include_str!("touch.lua")]));
/// Takes, extends or gives back a lease.
pub static LEASE: LazyLock<Script> = LazyLock::new(|| Script::new(&[include_str!("lease.lua")]));
/// Reads the header and the time left.
pub static INFO: LazyLock<Script> = LazyLock::new(|| Script::new(&[include_str!("info.lua")]));
/// Reads the last messages.
pub static TAIL: LazyLock<Script> = LazyLock::new(|| Script::new(&[include_str!("tail.lua")]));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_and_core_agree_on_the_size_of_a_chunk() {
        let size = format!("= {}, ", crate::layout::CHUNK_BYTES);
        assert!(SIZES.contains(&size));
    }
}
