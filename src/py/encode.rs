//! Python objects to JSON text. What has no JSON form is refused, with the path to it.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::critical_section::with_critical_section;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMapping, PyString, PyTuple};
use smallvec::SmallVec;

use super::characters::characters;
use super::members::Members;
use super::message::PyMessage;
use super::messages::PyMessages;
use super::names::Names;
use super::processor::{Write, writer};
use super::refusal::{Refusal, step, type_name};
use crate::codec::json::{MAX_DEPTH, depth, write_float, write_integer, write_string};
use crate::message::Message;
use crate::messages::{Limits, Messages};

/// Digits that an integer may have: readers of JSON go through a float of 64 bits, which holds 308.
const MAX_DIGITS: usize = 300;

/// What the bookkeeping of one message takes, at least: counted, so that endless `{}` comes to an end.
const BYTES_A_MESSAGE: usize = 16;

/// Bytes that a message or conversation may take before any store's limits are known.
pub(super) const MOST_BYTES: usize = 1 << 30;

/// What is made ready for each of the first messages: more than most of them take, and less than matters.
const MESSAGE_BYTES: usize = 512;

/// After how many messages the size of all of them is guessed.
const SAMPLE: usize = 16;
const MOST_GUESSED: usize = 4 << 20;

type Written = Result<(), Refusal>;

/// Encodes an iterable of messages. One that is [`PyMessages`] already is shared, not copied.
pub(super) fn messages(value: &Bound<'_, PyAny>, limits: Limits) -> PyResult<Messages> {
    let py = value.py();
    if let Ok(messages) = value.cast::<PyMessages>() {
        return Ok(messages.get().core().clone());
    }
    let plain = value.cast_exact::<PyList>().is_ok() || value.cast_exact::<PyTuple>().is_ok();
    if !plain && is_one_message(value)? {
        let kind = value.get_type().name()?;
        let problem = format!("a list of messages is due, got one {kind}; wrap it in []");
        return Err(Refusal::new(problem).raise(py, "messages"));
    }
    let size = value.len().unwrap_or(0).min(1 << 16);
    let mut conversation = Conversation {
        encoder: Encoder::new(py, Vec::with_capacity(size.min(SAMPLE) * MESSAGE_BYTES), limits),
        ends: SmallVec::with_capacity(size),
        size,
    };
    if let Ok(list) = value.cast_exact::<PyList>() {
        for item in list.iter() {
            conversation.add(&item)?;
        }
    } else {
        let items = value.try_iter().map_err(|_| {
            let kind = type_name(value);
            Refusal::new(format!("a list of messages is due, got {kind}")).raise(py, "messages")
        })?;
        for item in items {
            let item = item.map_err(|error| conversation.raise(py, Refusal::raised(py, error)))?;
            conversation.add(&item)?;
        }
    }
    Messages::from_encoded(conversation.encoder.out.into(), &conversation.ends)
        .map_err(|error| super::error::exception(py, &error))
}

/// The messages that were encoded so far.
struct Conversation {
    encoder: Encoder,
    /// Where each ends.
    ends: SmallVec<[usize; SAMPLE]>,
    /// How many there will be, by what is known.
    size: usize,
}

impl Conversation {
    #[inline]
    fn add(&mut self, item: &Bound<'_, PyAny>) -> PyResult<()> {
        let Self { encoder, ends, size } = self;
        let index = ends.len();
        let conversation = encoder.limits.conversation;
        if index.saturating_mul(BYTES_A_MESSAGE) > conversation {
            let too_large = Refusal::TooLarge { whole: true, limit: conversation };
            return Err(too_large.raise(item.py(), "messages"));
        }
        if index > 0 {
            encoder.out.push(b'\n');
        }
        if index == SAMPLE && *size > index {
            let guess = (encoder.out.len() / index).saturating_mul(*size - index);
            encoder.out.reserve(guess.saturating_add(guess / 8).min(MOST_GUESSED));
        }
        encoder.begin(index);
        if let Err(refusal) = encoder.message(item) {
            return Err(self.raise(item.py(), refusal));
        }
        ends.push(encoder.out.len());
        Ok(())
    }

    /// Makes the exception for the message that comes next.
    #[cold]
    fn raise(&self, py: Python<'_>, refusal: Refusal) -> PyErr {
        refusal.raise(py, &format!("messages[{}]", self.ends.len()))
    }
}

/// Returns whether `value` looks like one message, where several are due.
fn is_one_message(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = value.py();
    Ok(value.is_instance_of::<PyString>()
        || value.is_instance_of::<PyBytes>()
        || value.is_instance_of::<PyMessage>()
        || value.cast::<PyMapping>().is_ok()
        || value.hasattr(intern!(py, "model_dump"))?
        || value.hasattr(intern!(py, "to_dict"))?)
}

/// Encodes one message.
pub(super) fn message(value: &Bound<'_, PyAny>) -> PyResult<Message> {
    let mut encoder = Encoder::unstored(value.py());
    let written = encoder.message(value);
    written.map_err(|refusal| refusal.raise(value.py(), "message"))?;
    Ok(Message::from_encoded(encoder.out.into()))
}

/// Encodes the members of one message.
pub(super) fn members<'a, 'py: 'a>(
    py: Python<'py>,
    members: impl Iterator<Item = (&'a str, Bound<'py, PyAny>)>,
) -> PyResult<Message> {
    let mut encoder = Encoder::unstored(py);
    encoder.depth = 1;
    for (name, value) in members {
        encoder.out.push(if encoder.out.is_empty() { b'{' } else { b',' });
        write_string(&mut encoder.out, name);
        encoder.out.push(b':');
        let written = encoder.value(&value).map_err(|refusal| refusal.under(|| format!(".{name}")));
        written.map_err(|refusal| refusal.raise(py, "message"))?;
    }
    encoder.out.push(b'}');
    Ok(Message::from_encoded(encoder.out.into()))
}

struct Encoder {
    out: Vec<u8>,
    limits: Limits,
    /// How long `out` may become before the message that is being written, or all of them, are too large.
    end: usize,
    /// Whether it is all of them.
    whole: bool,
    depth: usize,
    names: Names,
    write: Write,
}

impl Encoder {
    fn new(py: Python<'_>, out: Vec<u8>, limits: Limits) -> Self {
        let (names, write) = (Names::new(py), writer());
        let mut encoder = Self { out, limits, end: 0, whole: false, depth: 0, names, write };
        encoder.begin(0);
        encoder
    }

    /// Begins a message after `separators` newlines, which do not count as bytes of the conversation.
    fn begin(&mut self, separators: usize) {
        let Limits { message, conversation } = self.limits;
        let message = self.out.len().saturating_add(message);
        let conversation = conversation.saturating_add(separators);
        (self.end, self.whole) = (message.min(conversation), conversation < message);
    }

    /// For messages that are not on their way to a store, whose limits come later.
    fn unstored(py: Python<'_>) -> Self {
        let limits = Limits { message: MOST_BYTES, conversation: MOST_BYTES };
        Self::new(py, Vec::with_capacity(128), limits)
    }

    fn message(&mut self, value: &Bound<'_, PyAny>) -> Written {
        if let Ok(dict) = value.cast_exact::<PyDict>() {
            return self.dict(dict);
        }
        if let Ok(message) = value.cast_exact::<PyMessage>() {
            return self.encoded(value, message.get().core());
        }
        if let Ok(dict) = value.cast::<PyDict>() {
            return self.dict(dict);
        }
        if self.mapping_or_model(value)? {
            return Ok(());
        }
        Err(Refusal::new(format!(
            "a message is a Message, a mapping, or an object with model_dump() or to_dict(), not {}",
            type_name(value)
        )))
    }

    fn value(&mut self, value: &Bound<'_, PyAny>) -> Written {
        // Numbers, brackets and commas take room, too: a few small lists in each other are a bomb.
        self.check_room(8)?;
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
        if let Ok(dict) = value.cast::<PyDict>() {
            return self.dict(dict);
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
        let characters = characters(&text).map_err(|_| no_character())?;
        // Their size is counted only where it matters.
        if self.check_room(characters.most()).is_err() {
            self.check_room(characters.size())?;
        }
        if characters.write_short(&mut self.out) {
            return Ok(());
        }
        (self.write)(&characters, &mut self.out).map_err(|_| no_character())
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
        if let Some(written) = with_critical_section(dict.as_any(), || self.texts(dict)) {
            // Taken out first, since the code of a value that is no text may change the dict.
            let rest: SmallVec<[_; 8]> = dict.iter().skip(written).collect();
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

    /// Writes the members of a dict up to one that is no text, or that is refused; returns how many
    /// those are, or `None` if they are all.
    #[expect(unsafe_code, reason = "no code of Python's runs on the way")]
    fn texts(&mut self, dict: &Bound<'_, PyDict>) -> Option<usize> {
        // SAFETY: code of Python's can run only where a name or text is refused; nothing that is
        // borrowed is looked at after that.
        let members = unsafe { Members::new(dict) };
        for (written, (key, value)) in members.enumerate() {
            let start = self.out.len();
            let Ok(text) = value.cast_exact::<PyString>() else { return Some(written) };
            let before = if written == 0 { b'{' } else { b',' };
            if self.name(before, &key).is_err() || self.text_inlined(&text).is_err() {
                self.out.truncate(start);
                return Some(written);
            }
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
            let items = mapping.items().and_then(|items| PyDict::from_sequence(items.as_any()));
            let dict = items.map_err(|error| Refusal::raised(py, error))?;
            self.dict(&dict)?;
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
        self.dict(dict)?;
        Ok(true)
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
        if self.out.len().saturating_add(size) > self.end { Err(self.too_large()) } else { Ok(()) }
    }

    #[cold]
    fn too_large(&self) -> Refusal {
        let Limits { message, conversation } = self.limits;
        let limit = if self.whole { conversation } else { message };
        Refusal::TooLarge { whole: self.whole, limit }
    }
}

/// Returns what a model object says of itself; `None` if it is no such object.
fn dumped<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = value.py();
    if value.hasattr(intern!(py, "model_dump"))? {
        return dump_model(value).map(Some);
    }
    if value.hasattr(intern!(py, "to_dict"))? {
        return value.call_method0(intern!(py, "to_dict")).map(Some);
    }
    Ok(None)
}

/// Calls `model_dump(mode="json")`, or without the mode where it takes none.
fn dump_model<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = value.py();
    let name = intern!(py, "model_dump");
    let keywords = PyDict::new(py);
    keywords.set_item(intern!(py, "mode"), intern!(py, "json"))?;
    match value.call_method(name, (), Some(&keywords)) {
        Err(error) if error.is_instance_of::<PyTypeError>(py) => value.call_method0(name),
        dumped => dumped,
    }
}

/// Returns the step of a path for a key.
fn key_step(key: &Bound<'_, PyAny>) -> String {
    key.cast::<PyString>().map(step).unwrap_or_default()
}

#[cold]
fn no_character() -> Refusal {
    Refusal::new(
        "the text holds a lone surrogate, which UTF-8 cannot hold; clean it with \
         text.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace')",
    )
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
