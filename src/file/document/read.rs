//! Reads documents. A file is whole at any time, so no lock is needed.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use rustix::fs::OFlags;

use super::names::encode;
use crate::error::Result;
use crate::file::directory::Directory;
use crate::file::session::Session;
use crate::keyspace::MemoryId;
use crate::layout::{Layout, document};
use crate::messages::Messages;
use crate::store::Info;

/// So many bytes tell whether a file begins like a document.
const BEGINNING: usize = 64;

impl Session<'_> {
    /// Reads the last messages of a document.
    pub(super) fn read_document(&self, id: &MemoryId, count: usize) -> Result<Option<Messages>> {
        let value = self.document(id)?;
        value.map(|value| document::read(&value).map(|all| all.last(count))).transpose()
    }

    pub(super) fn document_info(&self, id: &MemoryId) -> Result<Option<Info>> {
        let Some(value) = self.document(id)? else { return Ok(None) };
        Ok(Some(Info {
            messages: document::read(&value)?.len(),
            revision: document::revision(&value),
            ttl: None,
            bytes: value.len() as u64,
            layout: Layout::Document.name(),
        }))
    }

    pub(in crate::file) fn has_document(&self, id: &MemoryId) -> Result<bool> {
        let Some(directory) = Directory::open(&self.options.directory)? else { return Ok(false) };
        Ok(self.open(&directory, id)?.is_some())
    }

    /// Reads the file of a document, if there is one.
    fn document(&self, id: &MemoryId) -> Result<Option<Vec<u8>>> {
        let Some(directory) = Directory::open(&self.options.directory)? else { return Ok(None) };
        let Some((name, mut file)) = self.open(&directory, id)? else { return Ok(None) };
        let mut value = Vec::new();
        let read = file.read_to_end(&mut value);
        read.map_err(|error| directory.place(&name).fault("read", error))?;
        Ok(Some(value))
    }

    /// Opens the file of a document, if there is one, and returns its name too. In a directory of logs
    /// a JSON file is taken for a document only if it begins like one: it may be anything, and large.
    fn open(&self, directory: &Directory<'_>, id: &MemoryId) -> Result<Option<(String, File)>> {
        // An id that is too long for a document has none.
        let Some(name) = encode(id) else { return Ok(None) };
        let file = match self.options.layout {
            Layout::Document => directory.open_file(&name, OFlags::RDONLY)?,
            Layout::Log => directory.open_file_among_others(&name, begins_like_document)?,
        };
        Ok(file.map(|file| (name, file)))
    }
}

fn begins_like_document(file: &File) -> io::Result<bool> {
    let mut beginning = [0; BEGINNING];
    let read = file.read_at(&mut beginning, 0)?;
    Ok(document::looks_like(beginning.get(..read).unwrap_or_default()))
}
