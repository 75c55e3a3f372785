//! Writes a memory's file anew: a temporary file, made durable, then given the memory's name.

use std::io::{self, BufWriter, Write};

use super::directory::Directory;
use super::format::{Commit, first_line, ledger_line, write_body};
use super::lock::Locked;
use super::names::hex;
use crate::error::{Error, ErrorKind, Result};
use crate::keyspace::MemoryId;
use crate::messages::Messages;
use crate::store::Ledger;

/// How the names of temporary files begin; no memory's does.
pub(super) const TEMPORARY: &str = ".tmp-";

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
        let mut temporary = self.write(directory, name)?;
        let fault = |error| directory.place(name).fault("create", error);
        if !directory.link(&temporary.name, name).map_err(fault)? {
            return Ok(false);
        }
        temporary.remove();
        match directory.sync() {
            Ok(()) => Ok(true),
            Err(error) => match directory.unlink(name) {
                Ok(()) => Err(fault(error)),
                Err(_) => Err(directory.place(name).in_doubt("create", error)),
            },
        }
    }

    /// Puts the file in the place of `name`, whose lock `_held` is.
    ///
    /// The new file is locked too until its name is durable: what another writer appends to it
    /// before that could be lost with the name.
    pub(super) fn replace(
        &self,
        directory: &Directory<'_>,
        name: &str,
        _held: &Locked,
    ) -> Result<()> {
        let mut temporary = self.write(directory, name)?;
        let renamed = directory.rename(&temporary.name, name);
        renamed.map_err(|error| directory.place(name).fault("replace", error))?;
        temporary.named = true;
        directory.sync().map_err(|error| directory.place(name).in_doubt("replace", error))
    }

    fn write<'a>(&self, directory: &'a Directory<'a>, name: &str) -> Result<Temporary<'a>> {
        let temporary = Temporary::make(directory)?;
        let written = self.write_to(&temporary.file);
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

/// A file that is removed unless it gets a name.
#[derive(Debug)]
struct Temporary<'a> {
    directory: &'a Directory<'a>,
    name: String,
    file: Locked,
    named: bool,
}

impl<'a> Temporary<'a> {
    fn make(directory: &'a Directory<'a>) -> Result<Self> {
        let mut random = [0; 12];
        getrandom::fill(&mut random).map_err(|error| {
            let message = format!("cannot name a temporary file: no system randomness ({error})");
            Error::new(ErrorKind::Storage, message)
        })?;
        let mut name = TEMPORARY.to_owned();
        name.extend(random.into_iter().flat_map(hex));
        let fault = |error: io::Error| directory.place(&name).fault("create", error);
        let file = directory.make_file(&name).map_err(fault)?;
        match Locked::try_lock(file) {
            Ok(file) => Ok(Self { directory, name, file, named: false }),
            Err((_, error)) => {
                let fault = fault(error.into());
                let _ = directory.unlink(&name);
                Err(fault)
            }
        }
    }

    /// Removes the temporary name. Should that fail, a later sweep finds it.
    fn remove(&mut self) {
        if !std::mem::replace(&mut self.named, true) {
            let _ = self.directory.unlink(&self.name);
        }
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        self.remove();
    }
}
