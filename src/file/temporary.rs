//! A file on its way to a name: written under a temporary one, then put in its place whole.

use std::fs::File;
use std::io;

use super::directory::Directory;
use super::lock::Locked;
use super::names::hex;
use crate::error::{Error, ErrorKind, Result};

/// How the names of temporary files begin; no memory's does.
pub(super) const TEMPORARY: &str = ".tmp-";

/// A file that is removed unless it gets a name.
#[derive(Debug)]
pub(super) struct Temporary<'a> {
    directory: &'a Directory<'a>,
    name: String,
    file: Locked,
    named: bool,
}

impl<'a> Temporary<'a> {
    /// Makes an empty one.
    pub(super) fn make(directory: &'a Directory<'a>) -> Result<Self> {
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

    /// Returns the file, to be written and synced before it gets a name.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Gives it the name `name`; `false` if that is taken: another writer was first.
    pub(super) fn create(mut self, name: &str) -> Result<bool> {
        let directory = self.directory;
        let fault = |error| directory.place(name).fault("create", error);
        if !directory.link(&self.name, name).map_err(fault)? {
            return Ok(false);
        }
        self.remove();
        match directory.sync() {
            Ok(()) => Ok(true),
            Err(error) => match directory.unlink(name) {
                Ok(()) => Err(fault(error)),
                Err(_) => Err(directory.place(name).in_doubt("create", error)),
            },
        }
    }

    /// Puts it in the place of `name`, whose lock `_held` is.
    ///
    /// It is locked too until its name is durable: what another writer appends to it before that
    /// could be lost with the name.
    pub(super) fn replace(mut self, name: &str, _held: &Locked) -> Result<()> {
        let directory = self.directory;
        let renamed = directory.rename(&self.name, name);
        renamed.map_err(|error| directory.place(name).fault("replace", error))?;
        self.named = true;
        directory.sync().map_err(|error| directory.place(name).in_doubt("replace", error))
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
