//! Writes a memory's file anew: a temporary file, made durable, then given the memory's name.

use std::io::{self, BufWriter, Write};

use super::directory::Directory;
use super::format::{Commit, first_line, ledger_line, write_body};
use super::lock::Locked;
use super::temporary::Temporary;
use crate::error::Result;
use crate::keyspace::MemoryId;
use crate::messages::Messages;
use crate::store::Ledger;

/// All that a memory's file says.
#[derive(Debug)]
pub(super) struct Whole<'a> {
    pub(super) id: &'a MemoryId,
    pub(super) messages: &'a Messages,
    pub(super) ledger: &'a Ledger,
    pub(super) revision: u64,
    pub(super) expires: Option<u64>,
}

impl Whole<'_> {
    /// Makes the file `name`; `false` if another writer was first.
    pub(super) fn create(&self, directory: &Directory<'_>, name: &str) -> Result<bool> {
        self.write(directory, name)?.create(name)
    }

    /// Puts the file in the place of `name`, whose lock `held` is.
    pub(super) fn replace(
        &self,
        directory: &Directory<'_>,
        name: &str,
        held: &Locked,
    ) -> Result<()> {
        self.write(directory, name)?.replace(name, held)
    }

    fn write<'a>(&self, directory: &'a Directory<'a>, name: &str) -> Result<Temporary<'a>> {
        let temporary = Temporary::make(directory)?;
        let written = self.write_to(temporary.file());
        written.map_err(|error| directory.place(name).fault("write", error))?;
        Ok(temporary)
    }

    fn write_to(&self, file: &std::fs::File) -> io::Result<()> {
        let mut out = BufWriter::new(file);
        let first = first_line(self.id.as_str());
        out.write_all(&first)?;
        let start = first.len() as u64;
        let keys = ledger_line(self.ledger);
        let body = write_body(&mut out, self.messages, &keys)?;
        let count = self.messages.len();
        let commit = Commit {
            revision: self.revision,
            count: count as u64,
            bytes: body.messages,
            expires: self.expires,
            change: i64::try_from(count).unwrap_or(i64::MAX),
            keys: if keys.is_empty() { 0 } else { start + body.messages },
            start,
            length: body.length,
            body_crc: body.crc,
        };
        out.write_all(&commit.line())?;
        out.flush()?;
        file.sync_all()
    }
}
