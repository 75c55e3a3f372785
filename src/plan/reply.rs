//! What a server answers, whichever way it came.

use bytes::Bytes;

use super::Strings;
use crate::error::{Error, Result};

/// One reply of a server, RESP2 and RESP3 alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Nothing there.
    Nil,
    /// An integer (or a RESP3 boolean).
    Integer(i64),
    /// A bulk or simple string, or any other scalar as its text.
    Text(Bytes),
    /// An array, set, or push; a map as its keys and values in turn.
    Array(Vec<Self>),
    /// An array of many short strings.
    Strings(Strings),
    /// An error.
    Error(ServerError),
}

/// An error reply: its first word, and the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerError {
    /// The first word in capitals, such as `WRONGTYPE`.
    pub code: String,
    /// The text after the code.
    pub detail: String,
}

impl ServerError {
    /// Reads an error line. `ERR WRONGTYPE …`, as some servers say it, counts as `WRONGTYPE`, and so does
    /// what Redis before 7 says of a script that a command of its own has ended.
    pub fn parse(line: &str) -> Self {
        const CODES: [&str; 6] = ["WRONGTYPE", "NOSCRIPT", "NOAUTH", "NOPERM", "OOM", "FOREIGN"];
        let line = ended_script(line).unwrap_or(line);
        let (code, detail) = line.split_once(' ').unwrap_or((line, ""));
        match detail.split_once(' ') {
            Some((inner, rest)) if code == "ERR" && CODES.contains(&inner) => {
                Self { code: inner.to_owned(), detail: rest.to_owned() }
            }
            _ => Self { code: code.to_owned(), detail: detail.to_owned() },
        }
    }
}

/// Returns what ended a script, of a line such as `ERR Error running script (call to f_6b1b…): @user_script:20:
/// @user_script: 20: -OOM command not allowed …`.
fn ended_script(line: &str) -> Option<&str> {
    let line = line.strip_prefix("ERR ").unwrap_or(line); // which redis-py takes away
    let (_, mut error) = line.strip_prefix("Error running script")?.split_once("): ")?;
    while let Some(place) = error.strip_prefix("@user_script:") {
        (_, error) = place.split_once(": ")?;
    }
    let error = error.strip_prefix('-').unwrap_or(error);
    let (code, _) = error.split_once(' ')?;
    code.bytes().all(|letter| letter.is_ascii_uppercase()).then_some(error)
}

impl Reply {
    /// Takes an integer.
    ///
    /// # Errors
    /// Any other reply, error replies included.
    pub fn integer(self) -> Result<i64> {
        match self {
            Self::Integer(value) => Ok(value),
            Self::Text(text) => {
                let value = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
                value.ok_or_else(|| unexpected("an integer", "text"))
            }
            other => Err(other.refuse("an integer")),
        }
    }

    /// Takes an integer that cannot be negative.
    ///
    /// # Errors
    /// Any other reply, error replies included.
    pub fn unsigned(self) -> Result<u64> {
        self.integer().and_then(|value| {
            u64::try_from(value).map_err(|_| unexpected("a count", "a negative number"))
        })
    }

    /// Takes text, or `None` where nothing is there.
    ///
    /// # Errors
    /// Any other reply, error replies included.
    pub fn text(self) -> Result<Option<Bytes>> {
        match self {
            Self::Nil => Ok(None),
            Self::Text(text) => Ok(Some(text)),
            other => Err(other.refuse("text")),
        }
    }

    /// Takes an array.
    ///
    /// # Errors
    /// Any other reply, error replies included.
    pub fn array(self) -> Result<Vec<Self>> {
        match self {
            Self::Array(items) => Ok(items),
            Self::Strings(strings) => Ok(strings.into_replies()),
            other => Err(other.refuse("an array")),
        }
    }

    /// Takes an array of texts.
    ///
    /// # Errors
    /// Any other reply, error replies included.
    pub fn texts(self) -> Result<Vec<Bytes>> {
        let items = self.array()?;
        items
            .into_iter()
            .map(|item| item.text()?.ok_or_else(|| unexpected("text", "nothing")))
            .collect()
    }

    /// Takes an array of short texts.
    ///
    /// # Errors
    /// Any other reply, error replies included.
    pub fn strings(self) -> Result<Strings> {
        match self {
            Self::Strings(strings) => Ok(strings),
            other => Ok(other.texts()?.iter().map(|text| &**text).collect()),
        }
    }

    fn refuse(self, wanted: &str) -> Error {
        match self {
            Self::Error(error) => crate::refusal::refused(&error),
            Self::Nil => unexpected(wanted, "nothing"),
            Self::Integer(_) => unexpected(wanted, "an integer"),
            Self::Text(_) => unexpected(wanted, "text"),
            Self::Array(_) | Self::Strings(_) => unexpected(wanted, "an array"),
        }
    }
}

pub(super) fn unexpected(wanted: &str, found: &str) -> Error {
    Error::new(
        crate::error::ErrorKind::Server,
        format!("the server answered {found} where {wanted} was due; is it a Redis server?"),
    )
}

/// The replies of one request, taken in order.
pub(crate) struct Replies(std::vec::IntoIter<Reply>);

impl Replies {
    pub(crate) fn new(replies: Vec<Reply>) -> Self {
        Self(replies.into_iter())
    }

    pub(crate) fn any(&self, what: impl Fn(&Reply) -> bool) -> bool {
        self.0.as_slice().iter().any(what)
    }

    /// Returns the replies that were not taken yet.
    pub(crate) fn rest(self) -> impl Iterator<Item = Reply> {
        self.0
    }

    pub(crate) fn take(&mut self) -> Result<Reply> {
        self.0.next().ok_or_else(|| unexpected("a reply", "nothing"))
    }
}
