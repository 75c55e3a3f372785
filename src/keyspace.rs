//! Maps memory ids to Redis keys, and back.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{Error, Result};

/// The name of one conversation: non-empty text, any characters.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct MemoryId(Arc<str>);

impl MemoryId {
    /// Checks that `id` is not empty.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::error::ErrorKind::InvalidArgument) if it is.
    pub fn new(id: &str) -> Result<Self> {
        if id.is_empty() {
            return Err(Error::invalid("memory ID cannot be empty"));
        }
        Ok(Self(id.into()))
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for MemoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// What the keys of fences begin with (see `store::document`); none of them is a memory.
pub(crate) const FENCE: &str = "redember-fence:";

/// The keys of one prefix: `{prefix}{memory id}`, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyspace {
    prefix: Box<str>,
}

impl Keyspace {
    /// Makes the key space of `prefix`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::error::ErrorKind::InvalidArgument) if the prefix is
    /// empty: listing would then return every key of the database.
    pub fn new(prefix: &str) -> Result<Self> {
        if prefix.is_empty() {
            return Err(Error::invalid(
                "prefix cannot be empty; pass a name space such as \"myapp:conversations:\"",
            ));
        }
        Ok(Self { prefix: prefix.into() })
    }

    /// Returns the key of a memory.
    pub fn key(&self, id: &MemoryId) -> Bytes {
        let mut key = Vec::with_capacity(self.prefix.len() + id.as_str().len());
        key.extend_from_slice(self.prefix.as_bytes());
        key.extend_from_slice(id.as_str().as_bytes());
        key.into()
    }

    /// Returns the id of `key`, or `None` if no memory of this space can have that key.
    pub fn id<'a>(&self, key: &'a [u8]) -> Option<&'a str> {
        let id = key.strip_prefix(self.prefix.as_bytes())?;
        if key.starts_with(FENCE.as_bytes()) {
            return None;
        }
        str::from_utf8(id).ok().filter(|id| !id.is_empty())
    }

    /// Returns a `SCAN MATCH` pattern for every key of this space.
    ///
    /// The prefix is user input, so glob metacharacters in it are escaped: without this, prefix
    /// `a*:` would also list the keys of tenant `ab:`.
    pub fn pattern(&self) -> String {
        let mut pattern = escape_glob(&self.prefix).into_owned();
        pattern.push('*');
        pattern
    }
}

/// Puts a backslash before every character that a Redis glob gives a meaning to.
fn escape_glob(text: &str) -> Cow<'_, str> {
    const SPECIAL: &[char] = &['*', '?', '[', ']', '^', '\\'];
    if !text.contains(SPECIAL) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 4);
    for character in text.chars() {
        if SPECIAL.contains(&character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_prefix_and_the_id_byte_for_byte() {
        let space = Keyspace::new("app:").unwrap();
        let id = MemoryId::new("a\r\n{b}*ü").unwrap();
        assert_eq!(space.key(&id), "app:a\r\n{b}*ü".as_bytes());
        assert_eq!(space.id(&space.key(&id)).unwrap(), "a\r\n{b}*ü");
    }

    #[test]
    fn keys_that_cannot_be_memories_have_no_id() {
        let space = Keyspace::new("app:").unwrap();
        assert_eq!(space.id(b"app:"), None);
        assert_eq!(space.id(b"other:x"), None);
        assert_eq!(space.id(b"app:\xff"), None);
        assert_eq!(Keyspace::new("redember").unwrap().id(b"redember-fence:{app:x}"), None);
    }

    #[test]
    fn glob_characters_of_a_prefix_are_literal() {
        let space = Keyspace::new(r"a*b?[c]^\d").unwrap();
        assert_eq!(space.pattern(), r"a\*b\?\[c\]\^\\d*");
    }

    #[test]
    fn empty_names_are_refused() {
        assert_eq!(MemoryId::new("").unwrap_err().message(), "memory ID cannot be empty");
        assert!(Keyspace::new("").is_err());
    }
}
