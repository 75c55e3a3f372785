//! The items of a call about many memories, taken from Python a part at a time.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::import_exception;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyIterator, PyList, PyMapping, PyString, PyTuple};

use super::error::exception;
use super::refusal::type_name;
use super::{encode, store};
use crate::error::Error;
use crate::messages::Limits;
use crate::store::{Batch, Mode, Ttl, Verb, Write};

import_exception!(redember.errors, RedemberError);

/// What one part may hold: enough to keep a server busy, and little to hold besides what callers do.
const PART_BYTES: usize = 4 << 20;
const PART_ITEMS: usize = 4096;

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
    taken: usize,
    /// The items that cannot even be sent, and why.
    refused: Vec<(usize, Py<PyAny>)>,
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
            Ok(mapping) if kind.takes_messages() => mapping.items()?.try_iter(),
            _ => items.try_iter(),
        };
        let rest = rest.map_err(|_| wanted(&type_name(items)))?.unbind();
        let (refused, spent) = Default::default();
        Ok(Self(Mutex::new(Items { kind, limits, rest, taken: 0, refused, spent, since: None })))
    }

    /// Takes the next part of the items; `None` if there are no more.
    pub(super) fn next(&self, py: Python<'_>) -> PyResult<Option<Batch>> {
        let mut items = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The time that the caller's own code takes to hand out items does not count.
        let spent = items.since.take().map_or(Duration::ZERO, |since| since.elapsed());
        items.spent += spent;
        let mut rest = items.rest.bind(py).clone();
        let (mut verbs, mut size) = (Vec::new(), 0);
        while verbs.len() < PART_ITEMS && size < PART_BYTES {
            let Some(item) = rest.next() else { break };
            let place = items.taken;
            items.taken += 1;
            match items.verb(place, &item?) {
                Ok(verb) => {
                    size += if let Verb::Write(write) = &verb { write.messages.size() } else { 0 };
                    verbs.push(verb);
                }
                Err(error) if error.is_instance_of::<RedemberError>(py) => {
                    items.refused.push((place, error.into_value(py).into_any()));
                }
                Err(error) => return Err(error),
            }
        }
        items.since = Some(Instant::now());
        let (operation, spent) = (items.kind.name(), items.spent);
        Ok((!verbs.is_empty()).then_some(Batch { operation, verbs, spent }))
    }
}

#[pymethods]
impl PyBatch {
    /// Returns the items that could not be sent, and why, in order.
    fn refused(&self, py: Python<'_>) -> Vec<(usize, Py<PyAny>)> {
        let items = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        items.refused.iter().map(|(place, error)| (*place, error.clone_ref(py))).collect()
    }
}

impl Items {
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
