//! The Lua scripts: constant texts, each on one memory, each atomic.
//!
//! Ids and messages only ever travel as `KEYS` and `ARGV`, so nothing a user stores can become
//! code. Every write to a memory is one of these; a script looks at everything that can stop it (type, header, replay, expected revision) before its first write, since Redis rolls nothing
//! back. The one exception is the push that an append learns the length of the list from, which it takes back.
//!
//! `ARGV` of the scripts that write to a memory, or to a document (where the fence's name is a second key,
//! and not counted here):
//!
//! | script | 1 to 5 | from 6 on |
//! |---|---|---|
//! | `APPEND`, `SAVE` | TTL in ms, lane, token, seconds, expected revision | 6 messages, 7 messages in the last chunk, 8 known header, 9 next header, 10 elements that there are then, 11.. chunks |
//! | `COMMIT`, after a push | the same | 6 known header, 7 pushed header, 8 its place from the end |
//! | `COMMIT`, before a push | 1 TTL in ms, 2 header of an empty memory | |
//! | `EXTEND` | the same as `APPEND` | 6 known header, 7 next header, 8 chunks that the known one counts, 9 chunks that stay, 10.. chunks |
//! | `POP` | the same | 6 bytes of the message, 7 what is left of the chunk, 8 birth |
//! | `DELETE` | 1 header, 2 birth | |
//! | `TOUCH` | 1 TTL in ms | |
//! | `LEASE` | 1 token, 2 ms, 3 asker, 4 number of the call | |
//! | `DOCUMENT_SAVE` | the same as `APPEND` | 6 messages, 7 the document |
//! | `DOCUMENT_APPEND` | the same | 6 revision that was read, 7 messages that it had, 8 messages, 9 their elements |
//! | `DOCUMENT_POP` | the same | 6 revision that was read, 7 messages that it had, 8 bytes to keep, 9 what closes the array |
//! | `DOCUMENT_DELETE` | the same | |
//!
//! What they answer is at the head of `open.lua`.

use std::sync::LazyLock;

/// A constant script and the digest that `EVALSHA` names it by.
#[derive(Debug)]
pub struct Script {
    source: String,
    digest: String,
    keys: &'static str,
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
        Self { source, digest, keys: "1" }
    }

    /// A script on a document and the fence beside it, which is the first of its arguments.
    fn fenced(parts: &[&str]) -> Self {
        Self { keys: "2", ..Self::new(parts) }
    }

    /// Returns how many of its arguments are keys, the memory's own among them.
    pub fn keys(&self) -> &'static str {
        self.keys
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

/// What scripts and core must agree on: [`crate::layout::CHUNK_BYTES`],
/// [`crate::layout::FOLD_CHUNKS`] and [`crate::layout::SMALL_BYTES`].
const SIZES: &str = "local CHUNK_BYTES, FOLD_CHUNKS, SMALL_BYTES = 7680, 32, 1024\n";
const LINE: &str = include_str!("line.lua");
const KNOWN: &str = include_str!("known.lua");
const KNOWN_CLOSE: &str =
    concat!("if is_known then\n", include_str!("restart.lua"), "return 0\nend\n");
const OPEN: &str =
    concat!(include_str!("open.lua"), include_str!("identity.lua"), include_str!("replayed.lua"));
const CLOSE: &str = concat!(
    include_str!("prune.lua"),
    include_str!("close.lua"),
    include_str!("restart.lua"),
    // A long one is no use to its writer, who would have to send it along with the next write.
    "return #header <= 2048 and header or { 0, rev, tonumber(count) }\n"
);

/// Appends messages.
pub static APPEND: LazyLock<Script> = LazyLock::new(|| {
    let (known, append) = (include_str!("append_known.lua"), include_str!("append.lua"));
    Script::new(&[SIZES, LINE, KNOWN, known, KNOWN_CLOSE, OPEN, append, CLOSE])
});
/// Replaces all messages.
pub static SAVE: LazyLock<Script> = LazyLock::new(|| {
    let (known, save) = (include_str!("save_known.lua"), include_str!("save.lua"));
    Script::new(&[SIZES, LINE, KNOWN, known, KNOWN_CLOSE, OPEN, save, CLOSE])
});
/// Replaces all messages by chunks that were pushed just before, or makes an empty memory to push to.
pub static COMMIT: LazyLock<Script> = LazyLock::new(|| {
    let (known, commit) = (include_str!("commit_known.lua"), include_str!("commit.lua"));
    Script::new(&[LINE, known, KNOWN_CLOSE, OPEN, commit, CLOSE])
});
/// Adds to messages that stay, where the header is the known one.
pub static EXTEND: LazyLock<Script> = LazyLock::new(|| {
    let extend = include_str!("extend.lua");
    Script::new(&[LINE, extend, KNOWN_CLOSE, OPEN, "return answer or { 6, 0, 0 }\n"])
});
/// Takes the last message away.
pub static POP: LazyLock<Script> =
    LazyLock::new(|| Script::new(&[LINE, OPEN, include_str!("pop.lua"), CLOSE]));
/// Deletes a memory if it is still the one that was read.
pub static DELETE: LazyLock<Script> = LazyLock::new(|| Script::new(&[include_str!("delete.lua")]));
/// Restarts the time to live of a memory.
pub static TOUCH: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&[include_str!("touch.lua"), include_str!("restart.lua"), "return 1\n"])
});
/// Takes, extends or gives back a lease.
pub static LEASE: LazyLock<Script> = LazyLock::new(|| Script::new(&[include_str!("lease.lua")]));
/// Reads the header and the time left.
pub static INFO: LazyLock<Script> = LazyLock::new(|| Script::new(&[include_str!("info.lua")]));
/// Reads the last messages.
pub static TAIL: LazyLock<Script> = LazyLock::new(|| Script::new(&[include_str!("tail.lua")]));

const DOCUMENT_OPEN: &str = concat!(
    include_str!("document_revision.lua"),
    include_str!("document_open.lua"),
    include_str!("identity.lua"),
    include_str!("document_replayed.lua")
);
const DOCUMENT_VERIFIED: &str = include_str!("document_verified.lua");
const DOCUMENT_CLOSE: &str = concat!(
    include_str!("prune.lua"),
    include_str!("document_close.lua"),
    include_str!("restart.lua"),
    include_str!("applied.lua")
);

/// Appends messages to a document.
pub static DOCUMENT_APPEND: LazyLock<Script> = LazyLock::new(|| {
    let append = include_str!("document_append.lua");
    Script::fenced(&[DOCUMENT_OPEN, DOCUMENT_VERIFIED, append, DOCUMENT_CLOSE])
});
/// Replaces a document.
pub static DOCUMENT_SAVE: LazyLock<Script> = LazyLock::new(|| {
    Script::fenced(&[DOCUMENT_OPEN, include_str!("document_save.lua"), DOCUMENT_CLOSE])
});
/// Takes the last message of a document away.
pub static DOCUMENT_POP: LazyLock<Script> = LazyLock::new(|| {
    let pop = include_str!("document_pop.lua");
    Script::fenced(&[DOCUMENT_OPEN, DOCUMENT_VERIFIED, pop, DOCUMENT_CLOSE])
});
/// Deletes a document.
pub static DOCUMENT_DELETE: LazyLock<Script> =
    LazyLock::new(|| Script::fenced(&[DOCUMENT_OPEN, include_str!("document_delete.lua")]));
/// Reads what is known of a document.
pub static DOCUMENT_INFO: LazyLock<Script> = LazyLock::new(|| {
    Script::fenced(&[include_str!("document_revision.lua"), include_str!("document_info.lua")])
});
/// Restarts the time to live of a document.
pub static DOCUMENT_TOUCH: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&[include_str!("document_touch.lua"), include_str!("restart.lua"), "return 1\n"])
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_and_core_agree_on_sizes() {
        use crate::layout::{CHUNK_BYTES, FOLD_CHUNKS, KNOWN_BYTES, SMALL_BYTES};
        assert!(SIZES.ends_with(&format!("= {CHUNK_BYTES}, {FOLD_CHUNKS}, {SMALL_BYTES}\n")));
        assert!(CLOSE.contains(&format!("#header <= {KNOWN_BYTES} ")));
    }
}
