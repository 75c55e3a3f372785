//! Documents in files: `<id>.json` as the Go library has them, and the memory in whichever layout.
//!
//! A document is never changed in place: a whole new file is written, made durable, and renamed. It
//! has no place for a time to live or for the keys of callers.

mod names;
mod read;
mod write;

pub(super) use names::id;

use names::encode;

use super::directory::Directory;
use super::names as logs;
use super::session::Session;
use crate::error::{Error, Result};
use crate::keyspace::MemoryId;
use crate::layout::Layout;
use crate::messages::Messages;
use crate::store::{Info, other_layout};

impl Session<'_> {
    /// Reads the last messages of a memory, in the store's own layout if it is there in both.
    pub(super) fn read_either(&self, id: &MemoryId, count: usize) -> Result<Option<Messages>> {
        self.in_either(|layout| match layout {
            Layout::Log => self.tail(id, count),
            Layout::Document => self.read_document(id, count),
        })
    }

    pub(super) fn info_of_either(&self, id: &MemoryId) -> Result<Option<Info>> {
        self.in_either(|layout| match layout {
            Layout::Log => self.info(id),
            Layout::Document => self.document_info(id),
        })
    }

    fn in_either<T>(&self, read: impl Fn(Layout) -> Result<Option<T>>) -> Result<Option<T>> {
        let home = self.options.layout;
        match read(home)? {
            None => read(home.other()),
            found => Ok(found),
        }
    }

    /// Fails if the memory is there in the other layout, and not in the store's own.
    pub(super) fn check_layout(&self, id: &MemoryId) -> Result<()> {
        let Some(directory) = Directory::open(&self.options.directory)? else { return Ok(()) };
        let log = || directory.has(&logs::encode(id));
        let elsewhere = match self.options.layout {
            Layout::Log => self.has_document(id)? && !log(),
            Layout::Document => log() && !self.has_document(id)?,
        };
        // A log that has expired is no memory any more.
        if elsewhere && self.info_of_either(id)?.is_some() {
            return Err(other_layout(self.options.layout));
        }
        Ok(())
    }
}

/// Returns the name of the file of `id`.
fn name(id: &MemoryId) -> Result<String> {
    encode(id).ok_or_else(|| {
        Error::invalid(
            "the memory ID is too long for a file in the document layout, which takes about 240 \
             bytes: shorten it, or use the log layout",
        )
    })
}
