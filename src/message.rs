//! One message: the text of a JSON object, and its members when somebody asks for them.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::codec::json::{MAX_DEPTH, depth};
use crate::error::{Error, Result};

/// One message: the text of a JSON object, with no raw newline in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Message(Bytes);

impl Message {
    /// Takes the text of one JSON object, checking it whole.
    ///
    /// White space between tokens is kept, but a raw newline there becomes a space, so that a
    /// message is always one line.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMessage`](crate::error::ErrorKind::InvalidMessage) if the text is no JSON object or nests too deep.
    pub fn from_json(text: &str) -> Result<Self> {
        let problem = |problem: &str| Error::invalid_message("message", problem);
        let text = text.trim_matches([' ', '\t', '\n', '\r']);
        if !text.starts_with('{') {
            return Err(problem("the text is not a JSON object"));
        }
        if depth(text.as_bytes()) > MAX_DEPTH {
            return Err(problem(&format!("nested more than {MAX_DEPTH} levels deep")));
        }
        // Parsed whole, values and all: what is taken here has to be readable later.
        let mut parser = serde_json::Deserializer::from_str(text);
        parser.disable_recursion_limit();
        serde_json::Value::deserialize(&mut parser)
            .and_then(|_| parser.end())
            .map_err(|error| problem(&json_problem(&error)))?;
        Ok(Self(text.replace(['\n', '\r'], " ").into()))
    }

    /// Takes bytes that the codec wrote.
    pub fn from_encoded(text: Bytes) -> Self {
        Self(text)
    }

    /// Returns the bytes of the JSON text, shared.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// Returns the JSON text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the JSON text, checked to be UTF-8.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`](crate::error::ErrorKind::Corrupt) if it is not, which only a foreign writer can cause.
    pub fn as_str(&self) -> Result<&str> {
        std::str::from_utf8(&self.0).map_err(|_| Error::corrupt("a stored message is not UTF-8"))
    }

    /// Finds the members of the message.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`](crate::error::ErrorKind::Corrupt) if the text is no JSON object.
    pub fn fields(&self) -> Result<Fields<'_>> {
        serde_json::from_str(self.as_str()?).map_err(|error| corrupt_json(error.column()))
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({} bytes)", self.0.len())
    }
}

/// The members of one message, in stored order, each value still JSON text.
#[derive(Debug)]
pub struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Fields<'a> {
    /// Returns the JSON text of member `name`; of two with one name the last counts.
    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| *value)
    }

    /// Returns every member in stored order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(key, value)| (key.as_ref(), *value))
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(4);
                while let Some(Text(key)) = map.next_key()? {
                    members.push((key, map.next_value()?));
                }
                Ok(Fields(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// A JSON string, borrowed from the text when it holds no escape.
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowed;

        impl<'de> Visitor<'de> for Borrowed {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Borrowed)
    }
}

/// Says what is wrong with a JSON text by class and place, never by content.
fn json_problem(error: &serde_json::Error) -> String {
    let class = match error.classify() {
        serde_json::error::Category::Eof => "the JSON ends too early",
        _ => "the JSON is not well formed",
    };
    format!("{class} (column {})", error.column())
}

/// Makes the error for a stored message whose JSON cannot be read: says where, never what is there.
pub fn corrupt_json(column: usize) -> Error {
    Error::corrupt(format!(
        "a stored message cannot be read: the JSON is not well formed (column {column})"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_two_members_with_one_name_counts() {
        let message = Message::from_json(r#"{"role":"a","r\u006fle":"b"}"#).unwrap();
        assert_eq!(message.fields().unwrap().get("role").unwrap().get(), "\"b\"");
    }

    #[test]
    fn raw_newlines_between_tokens_become_spaces() {
        let message = Message::from_json("{\n\"a\":\r\n1}\n").unwrap();
        assert_eq!(message.as_bytes(), b"{ \"a\":  1}");
    }

    #[test]
    fn text_that_is_no_object_is_refused_without_being_quoted() {
        for text in ["", "[]", "{\"secret", "{\"secret\":}", "null"] {
            let error = Message::from_json(text).unwrap_err();
            assert!(!error.message().contains("secret"), "{error}");
        }
    }
}
