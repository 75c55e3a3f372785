//! The items of a call about many memories, taken from Python a part at a time.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pyo3::import_exception;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyIterator, PyList, PyMapping, PyString, PyTuple};

use super::error::exception;
use super::message::PyMessage;
use super::messages::PyMessages;
use super::refusal::type_name;
use super::{encode, store};
use crate::error::Error;
use crate::messages::Limits;
use crate::store::{Batch, Mode, Size, Ttl, UNIT, Verb, Write};

import_exception!(redember.errors, RedemberError);

/// What one part may hold: enough to keep a server busy, and little to hold besides what callers do.
const PART: Size = Size { bytes: 4 << 20, verbs: 4096 };
/// Whoever waits longer for the interpreter takes all at once: another thread does not let go of it.
const CROWDED: Duration = Duration::from_millis(1);

/// What is to be done with each item.
#[derive(Debug)]
pub(super) enum Kind {
    Load,
    Delete,
    Save(Ttl),
    /// With the caller's key for all of it.
    Append(Option<String>),
}

impl Kind {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Load => "load_many",
            Self::Delete => "delete_many",
            Self::Save(_) => "save_many",
            Self::Append(_) => "append_many",
        }
    }

    /// Returns whether items are memories and messages, and not memories alone.
    fn takes_messages(&self) -> bool {
        matches!(self, Self::Save(_) | Self::Append(_))
    }
}

/// A call about many memories on its way.
#[pyclass(frozen, name = "Batch", module = "redember._core")]
#[derive(Debug)]
pub(super) struct PyBatch(Mutex<Items>);

#[derive(Debug)]
struct Items {
    kind: Kind,
    limits: Limits,
    rest: Py<PyIterator>,
    /// One that was looked at and not taken.
    held: Option<Py<PyAny>>,
    taken: usize,
    /// The items that cannot even be sent, and why.
    refused: Vec<(usize, Py<PyAny>)>,
    /// What was raised while a part was under way.
    raised: Option<PyErr>,
    /// Whether items come without any code of the caller's.
    are_at_hand: bool,
    /// Whether more may be added to this part.
    grows: bool,
    part: Size,
    /// How long the parts before this one took, and since when it is under way.
    spent: Duration,
    since: Option<Instant>,
}

impl PyBatch {
    /// Begins a batch of `items`: pairs or a mapping of ids and messages, or ids.
    pub(super) fn new(kind: Kind, items: &Bound<'_, PyAny>, limits: Limits) -> PyResult<Self> {
        let py = items.py();
        let wanted = |problem: &str| {
            let due = if kind.takes_messages() {
                "items must be a mapping of memory IDs to messages, or pairs of both"
            } else {
                "memory_ids must be a list of memory IDs"
            };
            exception(py, &Error::invalid(format!("{due}, got {problem}")))
        };
        if items.is_instance_of::<PyString>() || items.is_instance_of::<PyBytes>() {
            return Err(wanted(&format!("one {}; wrap it in []", type_name(items))));
        }
        let rest = match items.cast::<PyMapping>() {
            // A copy: other threads may change the mapping meanwhile.
            Ok(mapping) if kind.takes_messages() => mapping.items()?.try_iter(),
            _ => items.try_iter(),
        };
        let rest = rest.map_err(|_| wanted(&type_name(items)))?.unbind();
        let are_at_hand =
            kind.takes_messages() && (is_list(items) || items.cast_exact::<PyDict>().is_ok());
        let (held, taken, refused, raised, grows) = Default::default();
        let (part, spent, since) = Default::default();
        let items = Items {
            kind,
            limits,
            rest,
            held,
            taken,
            refused,
            raised,
            are_at_hand,
            grows,
            part,
            spent,
            since,
        };
        Ok(Self(Mutex::new(items)))
    }

    /// Takes the next part of the items; `None` if there are no more.
    pub(super) fn next(&self, py: Python<'_>) -> PyResult<Option<Batch>> {
        let mut items = self.lock();
        items.begin_part();
        let verbs = items.take(py, PART)?;
        Ok(items.batch(verbs))
    }

    /// Takes the beginning of the next part, to which [`more`](Self::more) adds the rest; `None` if
    /// there are no more items.
    pub(super) fn begin(&self, py: Python<'_>) -> PyResult<Option<Batch>> {
        let mut items = self.lock();
        items.begin_part();
        items.grows = items.are_at_hand;
        let mut verbs = Vec::new();
        if items.grows {
            verbs = items.take(py, UNIT)?;
        }
        if verbs.is_empty() {
            items.grows = false;
            verbs = items.take(py, PART)?;
        }
        Ok(items.batch(verbs))
    }

    /// Returns whether there may be more items for the part that is under way.
    pub(super) fn grows(&self) -> bool {
        self.lock().grows
    }

    /// Takes more items of a part that is under way, for whose sake this thread has `waited` for the
    /// interpreter. None that would run code of the caller's: it might need a connection, and one is taken.
    pub(super) fn more(&self, py: Python<'_>, waited: Duration) -> Vec<Verb> {
        let mut items = self.lock();
        let begun = Instant::now();
        let most = if waited > CROWDED { PART } else { UNIT };
        let verbs = items.take(py, most).unwrap_or_else(|raised| {
            items.grows = false;
            items.raised = Some(raised);
            Vec::new()
        });
        items.since = items.since.map(|since| since + waited + begun.elapsed());
        verbs
    }

    /// Fails if something was raised while items were added to the part that is over.
    pub(super) fn check(&self) -> PyResult<()> {
        self.lock().raised.take().map_or(Ok(()), Err)
    }

    fn lock(&self) -> MutexGuard<'_, Items> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl PyBatch {
    /// Returns the items that could not be sent, and why, in order.
    fn refused(&self, py: Python<'_>) -> Vec<(usize, Py<PyAny>)> {
        let items = self.lock();
        items.refused.iter().map(|(place, error)| (*place, error.clone_ref(py))).collect()
    }
}

impl Items {
    fn begin_part(&mut self) {
        // The time that the caller's own code takes to hand out items does not count.
        let spent = self.since.take().map_or(Duration::ZERO, |since| since.elapsed());
        self.spent += spent;
        self.part = Size::default();
    }

    /// Takes items of the part: so many at most, or as many as the part has room for. One that grows
    /// takes none that would run code of the caller's.
    fn take(&mut self, py: Python<'_>, most: Size) -> PyResult<Vec<Verb>> {
        let mut rest = self.rest.bind(py).clone();
        let (mut verbs, mut bytes) = (Vec::new(), 0);
        let most = Size {
            bytes: most.bytes.min(PART.bytes.saturating_sub(self.part.bytes)),
            verbs: most.verbs.min(PART.verbs.saturating_sub(self.part.verbs)),
        };
        while verbs.len() < most.verbs && bytes < most.bytes {
            let next = match self.held.take() {
                Some(held) => Some(held.into_bound(py)),
                None => rest.next().transpose()?,
            };
            let Some(item) = next else {
                self.grows = false;
                break;
            };
            if self.grows && !is_at_hand(&item) {
                self.held = Some(item.unbind());
                self.grows = false;
                break;
            }
            let place = self.taken;
            self.taken += 1;
            match self.verb(place, &item) {
                Ok(verb) => {
                    bytes += verb.size();
                    verbs.push(verb);
                }
                Err(error) if error.is_instance_of::<RedemberError>(py) => {
                    self.refused.push((place, error.into_value(py).into_any()));
                }
                Err(error) => return Err(error),
            }
        }
        self.part.bytes += bytes;
        self.part.verbs += verbs.len();
        self.grows &= self.part.bytes < PART.bytes && self.part.verbs < PART.verbs;
        Ok(verbs)
    }

    fn batch(&mut self, verbs: Vec<Verb>) -> Option<Batch> {
        self.since = Some(Instant::now());
        let (operation, spent) = (self.kind.name(), self.spent);
        (!verbs.is_empty()).then_some(Batch { operation, verbs, spent })
    }

    /// Returns what is to be done with one item.
    fn verb(&self, place: usize, item: &Bound<'_, PyAny>) -> PyResult<Verb> {
        let (mode, ttl, key) = match &self.kind {
            Kind::Load => return Ok(Verb::Load(store::id(item)?)),
            Kind::Delete => return Ok(Verb::Delete(store::id(item)?, None)),
            Kind::Save(ttl) => (Mode::Save, *ttl, None),
            Kind::Append(key) => (Mode::Append, Ttl::Setting, key.as_ref()),
        };
        let (memory_id, messages) = pair(place, item)?;
        Ok(Verb::Write(Write {
            id: store::id(&memory_id)?,
            mode,
            messages: encode::messages(&messages, self.limits, encode::Texts::Once)?,
            if_revision: None,
            idempotency_key: key.map(|key| format!("{key}[{place}]")),
            ttl,
        }))
    }
}

fn is_list(value: &Bound<'_, PyAny>) -> bool {
    value.cast_exact::<PyList>().is_ok() || value.cast_exact::<PyTuple>().is_ok()
}

/// Returns whether the messages of an item are there already, and no code of the caller's makes them. (What a
/// dict holds may still be an object that is asked.)
fn is_at_hand(item: &Bound<'_, PyAny>) -> bool {
    if !is_list(item) {
        return false;
    }
    let is_message = |value: &Bound<'_, PyAny>| {
        value.cast_exact::<PyDict>().is_ok() || value.cast_exact::<PyMessage>().is_ok()
    };
    item.get_item(1).is_ok_and(|messages| match messages.cast_exact::<PyList>() {
        Ok(list) => list.iter().all(|value| is_message(&value)),
        Err(_) => messages.cast_exact::<PyMessages>().is_ok(),
    })
}

/// Takes a memory ID and messages.
fn pair<'py>(
    place: usize,
    item: &Bound<'py, PyAny>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let is_pair = item.is_instance_of::<PyTuple>() || item.is_instance_of::<PyList>();
    if is_pair && item.len()? == 2 {
        return Ok((item.get_item(0)?, item.get_item(1)?));
    }
    let problem = format!("items[{place}] must be a pair of a memory ID and messages");
    Err(exception(item.py(), &Error::invalid(format!("{problem}, got {}", type_name(item)))))
}
