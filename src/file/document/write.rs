//! Writes documents: read, change, replace, under the lock of the file.
//!
//! The lock holds between writers of this project. The Go library takes none: of a write of it and
//! one of ours at the same time the later one wins, as between two of its own.

use std::io::{Read, Write as _};

use rustix::fs::OFlags;

use super::name;
use crate::error::{Error, Result};
use crate::file::directory::Directory;
use crate::file::lock::{Locked, lock};
use crate::file::session::Session;
use crate::file::temporary::Temporary;
use crate::file::write::expect;
use crate::keyspace::MemoryId;
use crate::layout::document::{self, Ending, Form};
use crate::message::Message;
use crate::store::{Mode, Ttl, Write, Written, check_write};

impl Session<'_> {
    /// Saves or appends.
    pub(in crate::file) fn write_document(&self, write: &Write) -> Result<Written> {
        check_write(write, self.options.limits)?;
        refuse_what_has_no_place(write)?;
        let elements = document::write_elements(&write.messages, Form::Indented)?;
        let directory = Directory::open_or_make(&self.options.directory)?;
        let name = name(&write.id)?;
        loop {
            let held = self.hold(&directory, &name)?;
            let revision = held.as_ref().map_or(0, |held| document::revision(&held.value));
            expect(write.if_revision, revision)?;
            let before = match (&held, write.mode) {
                (Some(held), Mode::Append) => (document::read(&held.value)?.len(), &*held.value),
                (Some(held), Mode::Save) if !document::looks_like(&held.value) => {
                    return Err(directory.place(&name).corrupt("it is no document"));
                }
                _ => (0, &b""[..]),
            };
            let value = document::spliced(before.1, before.0, &elements, Form::Indented);
            let count = before.0 + write.messages.len();
            if put(&directory, &name, held.as_ref(), &value)? {
                let revision = document::revision(&value);
                return Ok(Written { revision, count, replayed: false });
            }
        }
    }

    /// Takes the last message away.
    pub(in crate::file) fn pop_document(&self, id: &MemoryId) -> Result<Option<Message>> {
        let Some(directory) = Directory::open(&self.options.directory)? else { return Ok(None) };
        let name = name(id)?;
        let Some(held) = self.hold(&directory, &name)? else { return Ok(None) };
        let messages = document::read(&held.value)?;
        let last = messages.len().checked_sub(1).and_then(|last| messages.get(last));
        let (Some(message), Some(ending)) = (last, Ending::find(&held.value, 1)) else {
            return Ok(None);
        };
        let start = ending.last_start().unwrap_or_default();
        let value = document::shortened(&held.value, messages.len(), start, Form::Indented);
        put(&directory, &name, Some(&held), &value)?;
        Ok(Some(message))
    }

    /// Deletes a document, damaged or not; `false` if there was none.
    pub(in crate::file) fn delete_document(
        &self,
        id: &MemoryId,
        if_revision: Option<u64>,
    ) -> Result<bool> {
        let absent = || expect(if_revision, 0).map(|()| false);
        let Some(directory) = Directory::open(&self.options.directory)? else { return absent() };
        let name = name(id)?;
        let Some(held) = self.hold(&directory, &name)? else { return absent() };
        expect(if_revision, document::revision(&held.value))?;
        let place = directory.place(&name);
        directory.unlink(&name).map_err(|error| place.fault("delete", error))?;
        directory.sync().map_err(|error| place.in_doubt("delete", error))?;
        Ok(true)
    }

    /// Locks and reads the file `name`; `None` if there is none.
    fn hold(&self, directory: &Directory<'_>, name: &str) -> Result<Option<Held>> {
        let Some(locked) = lock(directory, name, OFlags::RDONLY, self.patience)? else {
            return Ok(None);
        };
        let mut value = Vec::new();
        let read = (&*locked).read_to_end(&mut value);
        read.map_err(|error| directory.place(name).fault("read", error))?;
        Ok(Some(Held { locked, value }))
    }
}

/// A document's file, locked and read.
struct Held {
    locked: Locked,
    value: Vec<u8>,
}

/// Puts a new file in the place of the one that is held, or makes one; `false` if there was none
/// and another writer was first.
fn put(directory: &Directory<'_>, name: &str, held: Option<&Held>, value: &[u8]) -> Result<bool> {
    let temporary = Temporary::make(directory)?;
    let mut file = temporary.file();
    let written = file.write_all(value).and_then(|()| file.sync_all());
    written.map_err(|error| directory.place(name).fault("write", error))?;
    match held {
        Some(held) => temporary.replace(name, &held.locked).map(|()| true),
        None => temporary.create(name),
    }
}

fn refuse_what_has_no_place(write: &Write) -> Result<()> {
    if write.idempotency_key.is_some() {
        return Err(Error::invalid(
            "a file in the document layout has no room to remember an idempotency_key: leave it \
             out, or use the log layout or Redis",
        ));
    }
    match write.ttl {
        Ttl::Given(Some(_)) => Err(Error::invalid(
            "a file in the document layout has no room for a time to live: pass ttl=None, or use \
             the log layout or Redis",
        )),
        _ => Ok(()),
    }
}
