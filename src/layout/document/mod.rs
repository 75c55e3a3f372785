//! `document`: a conversation as one JSON array, byte for byte as the Go library go-deep-agent
//! writes it.
//!
//! A message there is `{"Role":…,"Content":…,"ToolCalls":…,"ToolCallID":…}`: four members in this
//! order, always all four. This module turns such an array into [`Messages`] in the ordinary form,
//! and back. It reads what Go's `encoding/json` reads into those four fields, and writes what Go
//! writes; what they cannot hold is refused.

mod backward;
mod cursor;
mod decode;
mod encode;
mod text;

use std::ops::Range;

use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Result};
use crate::messages::Messages;

pub use backward::Ending;
use cursor::{Cursor, Problem};
use decode::Decoder;

/// How an array is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// On one line: what Go stores in Redis.
    Compact,
    /// Two spaces a level: what Go stores in files.
    Indented,
}

/// Reads a whole document. A stored `null` is a conversation without messages.
///
/// # Errors
/// [`ErrorKind::Corrupt`] where Go fails to read it too.
pub fn read(value: &[u8]) -> Result<Messages> {
    if !looks_like(value) {
        return Err(Error::corrupt(
            "the stored value is no document: a JSON array is due; it was left as it is",
        ));
    }
    let mut cursor = Cursor::new(value);
    let mut decoder = Decoder::new(value.len());
    elements(&mut cursor, |cursor| decoder.element(cursor))
        .map_err(|problem| corrupt(decoder.count(), &problem))?;
    decoder.finish()
}

/// Reads the last messages of a document from its end; `ending` says where they are in `suffix`.
///
/// # Errors
/// [`ErrorKind::Corrupt`] where Go fails to read one of them.
pub fn read_last(suffix: &[u8], ending: &Ending) -> Result<Messages> {
    let mut decoder = Decoder::new(suffix.len());
    for range in &ending.elements {
        let mut cursor = Cursor::new(suffix.get(range.clone()).unwrap_or_default());
        decoder
            .element(&mut cursor)
            .and_then(|()| cursor.end())
            .map_err(|problem| Error::corrupt(format!("the stored document {problem}")))?;
    }
    decoder.finish()
}

/// Writes a whole document.
///
/// # Errors
/// [`ErrorKind::InvalidMessage`] with the path to what a document cannot hold.
pub fn write(messages: &Messages, form: Form) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(messages.size() + messages.len() * 64 + 2);
    out.push(b'[');
    encode::elements(&mut out, messages, form)?;
    close(&mut out, form, messages.is_empty());
    Ok(out)
}

/// Writes messages as they stand in an array of `form`, a comma between two of them.
///
/// # Errors
/// [`ErrorKind::InvalidMessage`] with the path to what a document cannot hold.
pub fn write_elements(messages: &Messages, form: Form) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(messages.size() + messages.len() * 64);
    encode::elements(&mut out, messages, form)?;
    Ok(out)
}

/// Puts elements behind those of a document that [`read`] accepts; what is there stays as it is.
pub fn spliced(value: &[u8], count: usize, elements: &[u8], form: Form) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len() + elements.len() + 4);
    if count == 0 {
        out.push(b'[');
    } else {
        let kept = value.trim_ascii_end();
        out.extend_from_slice(kept.strip_suffix(b"]").unwrap_or(kept).trim_ascii_end());
        if !elements.is_empty() {
            out.push(b',');
        }
    }
    out.extend_from_slice(elements);
    close(&mut out, form, count == 0 && elements.is_empty());
    out
}

/// Returns what is left of a document of `count` messages without its last element, which begins
/// at `start`.
pub fn shortened(value: &[u8], count: usize, start: usize, form: Form) -> Vec<u8> {
    if count <= 1 {
        return b"[]".to_vec();
    }
    let kept = value.get(..start).unwrap_or_default().trim_ascii_end();
    let mut out = kept.strip_suffix(b",").unwrap_or(kept).trim_ascii_end().to_vec();
    close(&mut out, form, false);
    out
}

/// Returns a number that stands for these very bytes, never 0.
pub fn revision(value: &[u8]) -> u64 {
    let digest = Sha256::digest(value);
    let number = digest.iter().take(6).fold(0_u64, |number, &byte| number << 8 | u64::from(byte));
    (number >> 4) + 1
}

/// Returns whether a value begins as a document does; what else is in it shows when it is read.
pub fn looks_like(value: &[u8]) -> bool {
    let value = value.trim_ascii_start();
    value.starts_with(b"[") || value.starts_with(b"null")
}

/// Walks over the elements of an array, or over `null`, to the end of the text.
fn elements<'a>(
    cursor: &mut Cursor<'a>,
    element: impl FnMut(&mut Cursor<'a>) -> Result<(), Problem>,
) -> Result<(), Problem> {
    if !cursor.take_null()? {
        elements_of_array(cursor, element)?;
    }
    cursor.end()
}

/// Walks over the elements of an array.
fn elements_of_array<'a>(
    cursor: &mut Cursor<'a>,
    mut element: impl FnMut(&mut Cursor<'a>) -> Result<(), Problem>,
) -> Result<(), Problem> {
    cursor.expect(b'[')?;
    if cursor.peek() == Some(b']') {
        return cursor.expect(b']');
    }
    loop {
        element(cursor)?;
        if cursor.peek() != Some(b',') {
            return cursor.expect(b']');
        }
        cursor.expect(b',')?;
    }
}

fn close(out: &mut Vec<u8>, form: Form, empty: bool) {
    if form == Form::Indented && !empty {
        out.push(b'\n');
    }
    out.push(b']');
}

fn corrupt(index: usize, problem: &str) -> Error {
    Error::new(
        ErrorKind::Corrupt { index: Some(index) },
        format!("the stored document cannot be read at message {index}: it {problem}"),
    )
}

/// Where one element lies in a text.
type Element = Range<usize>;

#[cfg(test)]
mod tests;
