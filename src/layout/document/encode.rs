//! One message to one element of the array, as Go's `encoding/json` writes it.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Form;
use super::text::write_quoted;
use crate::error::{Error, Result};
use crate::message::{Fields, Message, Text, corrupt_json};
use crate::messages::Messages;

/// Writes messages, a comma between two of them.
pub(super) fn elements(out: &mut Vec<u8>, messages: &Messages, form: Form) -> Result<()> {
    for index in 0..messages.len() {
        let Some(message) = messages.get(index) else { break };
        if index > 0 {
            out.push(b',');
        }
        Writer { out, form, index }.message(&message)?;
    }
    Ok(())
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    form: Form,
    /// Of the message, for paths.
    index: usize,
}

impl Writer<'_> {
    fn message(&mut self, message: &Message) -> Result<()> {
        let fields = message.fields()?;
        let known = ["role", "content", "tool_calls", "tool_call_id"];
        self.refuse_others(&fields, &known, "")?;
        let [role, content, call_id] =
            ["role", "content", "tool_call_id"].map(|name| self.text(&fields, name, ""));
        self.open(b'{', 1);
        self.member("Role", &role?, 2);
        self.separate();
        self.member("Content", &content?, 2);
        self.separate();
        self.name("ToolCalls", 2);
        self.calls(fields.get("tool_calls"))?;
        self.separate();
        self.member("ToolCallID", &call_id?, 2);
        self.close(b'}', 1);
        Ok(())
    }

    fn calls(&mut self, calls: Option<&RawValue>) -> Result<()> {
        let Some(calls) = calls.filter(|calls| calls.get() != "null") else {
            self.out.extend_from_slice(b"null");
            return Ok(());
        };
        if !calls.get().starts_with('[') {
            return Err(self.refused(".tool_calls", "it must be a list"));
        }
        let calls: Vec<&RawValue> = parsed(calls)?;
        self.out.push(b'[');
        for (at, call) in calls.iter().enumerate() {
            if at > 0 {
                self.separate();
            }
            self.call(call, &format!(".tool_calls[{at}]"))?;
        }
        if calls.is_empty() {
            self.out.push(b']');
        } else {
            self.close(b']', 2);
        }
        Ok(())
    }

    fn call(&mut self, call: &RawValue, path: &str) -> Result<()> {
        let fields = self.object(call, path)?;
        self.refuse_others(&fields, &["id", "type", "function"], path)?;
        let inner = format!("{path}.function");
        let function = fields.get("function").filter(|function| function.get() != "null");
        let function = function.map(|function| self.object(function, &inner)).transpose()?;
        let [id, kind] = ["id", "type"].map(|name| self.text(&fields, name, path));
        let (mut name, mut arguments) = (Cow::default(), Cow::default());
        if let Some(function) = &function {
            self.refuse_others(function, &["name", "arguments"], &inner)?;
            name = self.text(function, "name", &inner)?;
            arguments = self.text(function, "arguments", &inner)?;
        }
        self.open(b'{', 3);
        self.member("ID", &id?, 4);
        self.separate();
        self.member("Type", &kind?, 4);
        self.separate();
        self.member("Name", &name, 4);
        self.separate();
        self.member("Arguments", &arguments, 4);
        self.close(b'}', 3);
        Ok(())
    }

    /// Returns a member that is text; one that is missing or `null` is empty, as it is in Go.
    fn text<'f>(&self, fields: &Fields<'f>, name: &str, path: &str) -> Result<Cow<'f, str>> {
        match fields.get(name) {
            None => Ok(Cow::default()),
            Some(value) if value.get() == "null" => Ok(Cow::default()),
            Some(value) if value.get().starts_with('"') => {
                parsed::<Text<'f>>(value).map(|text| text.0)
            }
            Some(value) => {
                let kind = match value.get().as_bytes().first() {
                    Some(b'[') => "a list",
                    Some(b'{') => "an object",
                    Some(b't' | b'f') => "true or false",
                    _ => "a number",
                };
                let problem = format!("it must be text, and is {kind}");
                Err(self.refused(&format!("{path}.{name}"), &problem))
            }
        }
    }

    fn object<'f>(&self, value: &'f RawValue, path: &str) -> Result<Fields<'f>> {
        if !value.get().starts_with('{') {
            return Err(self.refused(path, "it must be an object"));
        }
        parsed(value)
    }

    /// Refuses members that have no place; one that is `null` says nothing and needs none.
    fn refuse_others(&self, fields: &Fields<'_>, known: &[&str], path: &str) -> Result<()> {
        let mut others = fields.iter().filter(|(name, _)| !known.contains(name));
        match others.find(|(_, value)| value.get() != "null") {
            None => Ok(()),
            Some((name, _)) => {
                let name: String = name.chars().take(40).flat_map(char::escape_debug).collect();
                Err(self.refused(&format!("{path}.{name}"), "there is no such member"))
            }
        }
    }

    fn refused(&self, path: &str, problem: &str) -> Error {
        let problem = format!(
            "{problem} in the document layout, which holds role, content, tool_calls (id, type, \
             function name and arguments) and tool_call_id, all of them text; nothing was sent: \
             leave it out, or use the log layout"
        );
        Error::invalid_message(format!("messages[{}]{path}", self.index), problem)
    }

    fn member(&mut self, name: &str, text: &str, level: usize) {
        self.name(name, level);
        write_quoted(self.out, text);
    }

    fn name(&mut self, name: &str, level: usize) {
        self.line(level);
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(match self.form {
            Form::Compact => b"\":",
            Form::Indented => b"\": ",
        });
    }

    fn separate(&mut self) {
        self.out.push(b',');
    }

    fn open(&mut self, bracket: u8, level: usize) {
        self.line(level);
        self.out.push(bracket);
    }

    fn close(&mut self, bracket: u8, level: usize) {
        self.line(level);
        self.out.push(bracket);
    }

    fn line(&mut self, level: usize) {
        if self.form == Form::Indented {
            self.out.push(b'\n');
            self.out.extend(std::iter::repeat_n(b' ', 2 * level));
        }
    }
}

fn parsed<'f, T: Deserialize<'f>>(value: &'f RawValue) -> Result<T> {
    serde_json::from_str(value.get()).map_err(|error| corrupt_json(error.column()))
}
