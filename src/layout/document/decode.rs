//! One element of the array to one message.
//!
//! As in Go, members are found by name whatever its case, of two with one name the last counts, and
//! what is missing or `null` is empty text or no tool calls. Members that Go would pass over are
//! kept as members of the message.

use std::borrow::Cow;

use super::cursor::{Cursor, Problem};
use super::text::unquoted;
use crate::codec::json::write_string;
use crate::error::Result;
use crate::messages::Messages;

/// What a part of the reading comes to.
type Step = Result<(), Problem>;

/// Gathers messages.
pub(super) struct Decoder {
    out: Vec<u8>,
    ends: Vec<usize>,
}

impl Decoder {
    pub(super) fn new(size: usize) -> Self {
        Self { out: Vec::with_capacity(size), ends: Vec::new() }
    }

    pub(super) fn count(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn finish(self) -> Result<Messages> {
        Messages::from_encoded(self.out.into(), &self.ends)
    }

    /// Reads the element at `cursor`.
    pub(super) fn element(&mut self, cursor: &mut Cursor<'_>) -> Step {
        let mut fields = Fields::default();
        if !cursor.take_null()? {
            members(cursor, |name, cursor| fields.member(name, cursor))?;
        }
        if !self.ends.is_empty() {
            self.out.push(b'\n');
        }
        fields.write(&mut self.out);
        self.ends.push(self.out.len());
        Ok(())
    }
}

/// What was read of a message.
#[derive(Default)]
struct Fields<'a> {
    role: Cow<'a, str>,
    content: Cow<'a, str>,
    call_id: Option<Cow<'a, str>>,
    /// The array in the ordinary form.
    calls: Option<Vec<u8>>,
    /// The same two under the names of the ordinary form; they count where Go's are absent.
    snake_call_id: Cow<'a, str>,
    snake_calls: Option<Vec<u8>>,
    has_calls: bool,
    extra: Vec<u8>,
}

impl<'a> Fields<'a> {
    fn member(&mut self, name: &[u8], cursor: &mut Cursor<'a>) -> Step {
        let name = unquoted(name);
        if is(&name, "role") {
            text(cursor, &mut self.role)
        } else if is(&name, "content") {
            text(cursor, &mut self.content)
        } else if is(&name, "toolcalls") {
            self.has_calls = true;
            self.calls = calls(cursor)?;
            Ok(())
        } else if is(&name, "toolcallid") {
            text(cursor, self.call_id.get_or_insert_default())
        } else if name == "tool_calls" {
            self.snake_calls = calls(cursor)?;
            Ok(())
        } else if name == "tool_call_id" {
            text(cursor, &mut self.snake_call_id)
        } else {
            extra(&mut self.extra, &name, cursor)
        }
    }

    fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"role\":");
        write_string(out, &self.role);
        out.extend_from_slice(b",\"content\":");
        write_string(out, &self.content);
        if let Some(calls) = if self.has_calls { self.calls } else { self.snake_calls } {
            out.extend_from_slice(b",\"tool_calls\":");
            out.extend_from_slice(&calls);
        }
        let call_id = self.call_id.unwrap_or(self.snake_call_id);
        if !call_id.is_empty() {
            out.extend_from_slice(b",\"tool_call_id\":");
            write_string(out, &call_id);
        }
        out.extend_from_slice(&self.extra);
        out.push(b'}');
    }
}

/// Reads the tool calls into the ordinary form; `None` where there are none.
fn calls(cursor: &mut Cursor<'_>) -> Result<Option<Vec<u8>>, Problem> {
    if cursor.take_null()? {
        return Ok(None);
    }
    if cursor.peek() != Some(b'[') {
        return Err(not("a list of tool calls"));
    }
    let mut out = vec![b'['];
    super::elements_of_array(cursor, |cursor| {
        if out.len() > 1 {
            out.push(b',');
        }
        let mut call = Call::default();
        if !cursor.take_null()? {
            members(cursor, |name, cursor| call.member(name, cursor))?;
        }
        call.write(&mut out);
        Ok(())
    })?;
    out.push(b']');
    Ok(Some(out))
}

/// What was read of a tool call.
#[derive(Default)]
struct Call<'a> {
    id: Cow<'a, str>,
    kind: Cow<'a, str>,
    name: Cow<'a, str>,
    arguments: Cow<'a, str>,
    extra: Vec<u8>,
}

impl<'a> Call<'a> {
    fn member(&mut self, name: &[u8], cursor: &mut Cursor<'a>) -> Step {
        let name = unquoted(name);
        if is(&name, "id") {
            text(cursor, &mut self.id)
        } else if is(&name, "type") {
            text(cursor, &mut self.kind)
        } else if is(&name, "name") {
            text(cursor, &mut self.name)
        } else if is(&name, "arguments") {
            text(cursor, &mut self.arguments)
        } else if name == "function" && cursor.peek() == Some(b'{') {
            members(cursor, |name, cursor| match name {
                b"name" => text(cursor, &mut self.name),
                b"arguments" => text(cursor, &mut self.arguments),
                _ => cursor.value().map(drop),
            })
        } else {
            extra(&mut self.extra, &name, cursor)
        }
    }

    fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"id\":");
        write_string(out, &self.id);
        out.extend_from_slice(b",\"type\":");
        write_string(out, &self.kind);
        out.extend_from_slice(b",\"function\":{\"name\":");
        write_string(out, &self.name);
        out.extend_from_slice(b",\"arguments\":");
        write_string(out, &self.arguments);
        out.push(b'}');
        out.extend_from_slice(&self.extra);
        out.push(b'}');
    }
}

/// Walks over the members of an object.
fn members<'a>(
    cursor: &mut Cursor<'a>,
    mut member: impl FnMut(&'a [u8], &mut Cursor<'a>) -> Step,
) -> Step {
    if cursor.peek() != Some(b'{') {
        return Err(not("an object"));
    }
    cursor.expect(b'{')?;
    if cursor.peek() == Some(b'}') {
        return cursor.expect(b'}');
    }
    loop {
        let name = cursor.name()?;
        member(name, cursor)?;
        if cursor.peek() != Some(b',') {
            return cursor.expect(b'}');
        }
        cursor.expect(b',')?;
    }
}

/// Reads text; `null` changes nothing.
fn text<'a>(cursor: &mut Cursor<'a>, into: &mut Cow<'a, str>) -> Step {
    if cursor.take_null()? {
        return Ok(());
    }
    if cursor.peek() != Some(b'"') {
        return Err(not("text"));
    }
    *into = unquoted(cursor.string()?);
    Ok(())
}

/// Keeps a member that has no field.
fn extra(out: &mut Vec<u8>, name: &str, cursor: &mut Cursor<'_>) -> Step {
    out.push(b',');
    write_string(out, name);
    out.push(b':');
    let value = cursor.value()?;
    // Copied as it is, but for what a message cannot hold: ends of lines, and text that is none.
    let mut rest = value;
    while let Some((&byte, after)) = rest.split_first() {
        if byte == b'"' {
            let mut inner = Cursor::new(rest);
            let inside = inner.string()?;
            write_string(out, &unquoted(inside));
            rest = rest.get(inside.len() + 2..).unwrap_or_default();
        } else {
            if !byte.is_ascii_whitespace() {
                out.push(byte);
            }
            rest = after;
        }
    }
    Ok(())
}

/// Compares a name as Go does: simple case folding, in which the long s is an s.
fn is(name: &str, folded: &str) -> bool {
    let fold = |c: char| if c == '\u{17f}' { 's' } else { c.to_ascii_lowercase() };
    name.chars().map(fold).eq(folded.chars())
}

fn not(what: &str) -> Problem {
    format!("holds something else where {what} is due")
}
