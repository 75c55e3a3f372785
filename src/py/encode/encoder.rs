//! Writes one message after the other.

use std::iter;

use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::critical_section::with_critical_section;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyMapping, PyString, PyTuple};
use smallvec::SmallVec;

use super::MOST_BYTES;
use super::characters::{Texts, characters};
use super::members::{Member, Members};
use super::model::dumped;
use super::names::Names;
use crate::codec::characters::LoneSurrogate;
use crate::codec::json::{MAX_DEPTH, depth, write_float, write_integer};
use crate::message::Message;
use crate::messages::Limits;
use crate::py::message::PyMessage;
use crate::py::processor::{Write, writer};
use crate::py::refusal::{Refusal, step, type_name};

/// Digits that an integer may have: readers of JSON go through a float of 64 bits, which holds 308.
const MAX_DIGITS: usize = 300;

pub(super) type Written = Result<(), Refusal>;

/// Members that a dict may lose meanwhile.
type Taken<'py> = SmallVec<[(Bound<'py, PyAny>, Bound<'py, PyAny>); 8]>;

pub(super) struct Encoder {
    pub(super) out: Vec<u8>,
    pub(super) limits: Limits,
    /// How long `out` may become before the message that is being written, or all of them, are too large.
    end: usize,
    /// Whether it is all of them.
    whole: bool,
    pub(super) depth: usize,
    names: Names,
    write: Write,
    texts: Texts,
}

impl Encoder {
    pub(super) fn new(py: Python<'_>, out: Vec<u8>, limits: Limits, texts: Texts) -> Self {
        let (names, write) = (Names::new(py), writer());
        let mut encoder = Self { out, limits, end: 0, whole: false, depth: 0, names, write, texts };
        encoder.begin(0);
        encoder
    }

    /// Begins a message after `separators` newlines, which do not count as bytes of the conversation.
    pub(super) fn begin(&mut self, separators: usize) {
        let Limits { message, conversation } = self.limits;
        let message = self.out.len().saturating_add(message);
        let conversation = conversation.saturating_add(separators);
        (self.end, self.whole) = (message.min(conversation), conversation < message);
    }

    /// For messages that are not on their way to a store, whose limits come later.
    pub(super) fn unstored(py: Python<'_>) -> Self {
        let limits = Limits { message: MOST_BYTES, conversation: MOST_BYTES };
        Self::new(py, Vec::with_capacity(128), limits, Texts::Once)
    }

    pub(super) fn message(&mut self, value: &Bound<'_, PyAny>) -> Written {
        if let Ok(dict) = value.cast_exact::<PyDict>() {
            return self.dict(dict);
        }
        if let Ok(message) = value.cast_exact::<PyMessage>() {
            return self.encoded(value, message.get().core());
        }
        if self.mapping_or_model(value)? {
            return Ok(());
        }
        Err(Refusal::new(format!(
            "a message is a Message, a mapping, or an object with model_dump() or to_dict(), not {}",
            type_name(value)
        )))
    }

    pub(super) fn value(&mut self, value: &Bound<'_, PyAny>) -> Written {
        // Numbers, brackets and commas take room, too: a few small lists in each other are a bomb. No
        // value takes less than this; what a number takes more is found out before anything is sent.
        self.check_room(1)?;
        if let Ok(text) = value.cast_exact::<PyString>() {
            return self.text(text);
        }
        if let Ok(dict) = value.cast_exact::<PyDict>() {
            return self.dict(dict);
        }
        if value.is_none() {
            self.out.extend_from_slice(b"null");
            return Ok(());
        }
        if let Ok(text) = value.cast::<PyString>() {
            return self.text(text);
        }
        if let Ok(list) = value.cast::<PyList>() {
            return self.array(value, list.iter());
        }
        if let Ok(value) = value.cast::<PyBool>() {
            self.out.extend_from_slice(if value.is_true() { b"true" } else { b"false" });
            return Ok(());
        }
        if let Ok(value) = value.cast::<PyInt>() {
            return self.integer(value);
        }
        if let Ok(value) = value.cast::<PyFloat>() {
            if write_float(&mut self.out, value.value()) {
                return Ok(());
            }
            return Err(Refusal::new("NaN and infinity have no JSON form; pass None or text"));
        }
        if let Ok(tuple) = value.cast::<PyTuple>() {
            return self.array(value, tuple.iter());
        }
        if let Ok(message) = value.cast_exact::<PyMessage>() {
            return self.encoded(value, message.get().core());
        }
        if self.mapping_or_model(value)? {
            return Ok(());
        }
        Err(Refusal::new(format!(
            "{} has no JSON form; convert it to text, a number, a list or a dict",
            type_name(value)
        )))
    }

    fn encoded(&mut self, value: &Bound<'_, PyAny>, message: &Message) -> Written {
        let text = message.as_bytes();
        if self.depth > 0 && self.depth + depth(text) > MAX_DEPTH {
            return Err(too_deep(value));
        }
        self.check_room(text.len())?;
        self.out.extend_from_slice(text);
        Ok(())
    }

    fn text(&mut self, text: &Bound<'_, PyString>) -> Written {
        self.text_inlined(text)
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "most texts are members, and most are short")]
    fn text_inlined(&mut self, text: &Bound<'_, PyString>) -> Written {
        let text = text.as_borrowed();
        let characters = characters(&text, self.texts, self.room())?;
        // Their size is counted only where it matters, and before room is made for them.
        if self.check_room(characters.most()).is_err() {
            self.check_room(characters.size())?;
        }
        if characters.write_short(&mut self.out) {
            return Ok(());
        }
        (self.write)(&characters, &mut self.out).map_err(|LoneSurrogate| Refusal::lone_surrogate())
    }

    fn integer(&mut self, value: &Bound<'_, PyInt>) -> Written {
        if let Ok(small) = value.extract::<i64>() {
            write_integer(&mut self.out, small);
            return Ok(());
        }
        // `int.__repr__`, since a subclass may print itself otherwise.
        let digits =
            value.py().get_type::<PyInt>().call_method1(intern!(value.py(), "__repr__"), (value,));
        match digits {
            Ok(digits) => {
                let digits = digits.cast::<PyString>().map_err(PyErr::from)?;
                let digits = digits.to_str()?;
                if digits.trim_start_matches('-').len() > MAX_DIGITS {
                    return Err(too_many_digits());
                }
                self.check_room(digits.len())?;
                self.out.extend_from_slice(digits.as_bytes());
                Ok(())
            }
            Err(error) if error.is_instance_of::<PyValueError>(value.py()) => {
                Err(too_many_digits())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn dict(&mut self, dict: &Bound<'_, PyDict>) -> Written {
        self.enter(dict.as_any())?;
        let start = self.out.len();
        if let Some(rest) = with_critical_section(dict.as_any(), || self.texts(dict)) {
            for (key, value) in &rest {
                self.name(if self.out.len() == start { b'{' } else { b',' }, key)?;
                self.value(value).map_err(|refusal| refusal.under(|| key_step(key)))?;
            }
        }
        if self.out.len() == start {
            self.out.push(b'{');
        }
        self.out.push(b'}');
        self.depth -= 1;
        Ok(())
    }

    /// Writes the members of a dict up to one that is no text; returns that one and those after it, or
    /// `None` if there is none.
    ///
    /// They are taken out of the dict, since the code of a value that is no text may change it. Where a
    /// name or text is refused, all are taken and none is written: Python's code may have run then.
    #[expect(unsafe_code, reason = "no code of Python's runs on the way")]
    fn texts<'py>(&mut self, dict: &Bound<'py, PyDict>) -> Option<Taken<'py>> {
        let start = self.out.len();
        let mut before = b'{';
        // SAFETY: code of Python's can run only where a name or text is refused; neither it nor this
        // walk over the dict is used after that.
        let mut members = unsafe { Members::new(dict) };
        while let Some((key, value)) = members.next() {
            let Ok(text) = value.cast_exact::<PyString>() else {
                return Some(taken(iter::once((key, value)).chain(members)));
            };
            if self.name(before, &key).is_err() || self.text_inlined(&text).is_err() {
                self.out.truncate(start);
                // SAFETY: to count references runs no code.
                return Some(taken(unsafe { Members::new(dict) }));
            }
            before = b',';
        }
        None
    }

    /// Writes the name of a member and what comes before it, as a copy of what was written for it before
    /// if it was.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "so that what is usual is in one function")]
    fn name(&mut self, before: u8, key: &Bound<'_, PyAny>) -> Written {
        let Some((text, length)) = self.names.written(key) else {
            return self.new_name(before, key);
        };
        self.check_room(length)?;
        // All of the room at once, since that is one instruction.
        let start = self.out.len();
        self.out.extend_from_slice(text);
        if let Some(place) = self.out.get_mut(start) {
            *place = before;
        }
        self.out.truncate(start + length);
        Ok(())
    }

    #[cold]
    fn new_name(&mut self, before: u8, key: &Bound<'_, PyAny>) -> Written {
        let Ok(name) = key.cast::<PyString>() else {
            let problem = format!("a key is {}, keys must be text", type_name(key));
            return Err(Refusal::new(problem));
        };
        self.out.push(before);
        let start = self.out.len();
        self.text(name).map_err(|refusal| refusal.under(|| ".(key)".to_owned()))?;
        self.out.push(b':');
        self.names.remember(name, self.out.get(start..).unwrap_or_default());
        Ok(())
    }

    fn array<'py>(
        &mut self,
        array: &Bound<'py, PyAny>,
        items: impl Iterator<Item = Bound<'py, PyAny>>,
    ) -> Written {
        self.enter(array)?;
        self.out.push(b'[');
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.value(&item).map_err(|refusal| refusal.under(|| format!("[{index}]")))?;
        }
        self.out.push(b']');
        self.depth -= 1;
        Ok(())
    }

    /// Writes any other mapping, or what a model object says of itself; `false` if it is neither.
    fn mapping_or_model(&mut self, value: &Bound<'_, PyAny>) -> Result<bool, Refusal> {
        let py = value.py();
        if let Ok(mapping) = value.cast::<PyMapping>() {
            self.mapping(mapping)?;
            return Ok(true);
        }
        if value.is_instance_of::<pyo3::types::PyType>() {
            return Ok(false);
        }
        let Some(dumped) = dumped(value).map_err(|error| Refusal::raised(py, error))? else {
            return Ok(false);
        };
        let Ok(dict) = dumped.cast::<PyDict>() else {
            let problem = format!(
                "model_dump() or to_dict() of {} returned {}, not a dict",
                type_name(value),
                type_name(&dumped)
            );
            return Err(Refusal::new(problem));
        };
        match dict.cast_exact::<PyDict>() {
            Ok(dict) => self.dict(dict)?,
            Err(_) => self.mapping(dict.as_mapping())?,
        }
        Ok(true)
    }

    /// Writes what a mapping says are its members. A subclass of `dict` may keep them elsewhere, or in
    /// another order (`OrderedDict`), so it is asked, too.
    fn mapping(&mut self, mapping: &Bound<'_, PyMapping>) -> Written {
        let items = mapping.items().and_then(|items| PyDict::from_sequence(items.as_any()));
        self.dict(&items.map_err(|error| Refusal::raised(mapping.py(), error))?)
    }

    fn enter(&mut self, container: &Bound<'_, PyAny>) -> Written {
        if self.depth >= MAX_DEPTH {
            return Err(too_deep(container));
        }
        self.depth += 1;
        Ok(())
    }

    /// Stops before `size` more bytes would make the message or the conversation too large.
    fn check_room(&self, size: usize) -> Written {
        if size > self.room() { Err(self.too_large()) } else { Ok(()) }
    }

    /// Returns how many bytes may still be written.
    fn room(&self) -> usize {
        self.end.saturating_sub(self.out.len())
    }

    #[cold]
    fn too_large(&self) -> Refusal {
        let Limits { message, conversation } = self.limits;
        let limit = if self.whole { conversation } else { message };
        Refusal::TooLarge { whole: self.whole, limit }
    }
}

/// Takes members out of the dict that they are borrowed from.
fn taken<'a, 'py: 'a>(members: impl Iterator<Item = Member<'a, 'py>>) -> Taken<'py> {
    members.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// Returns the step of a path for a key.
fn key_step(key: &Bound<'_, PyAny>) -> String {
    key.cast::<PyString>().map(step).unwrap_or_default()
}

fn too_many_digits() -> Refusal {
    Refusal::new(format!("the integer has more than {MAX_DIGITS} digits; pass it as text"))
}

fn too_deep(value: &Bound<'_, PyAny>) -> Refusal {
    let kind = type_name(value);
    Refusal::new(format!(
        "this {kind} is nested more than {MAX_DEPTH} levels deep, or contains itself"
    ))
}
