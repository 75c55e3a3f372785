//! The lease of a memory: a small file next to the memory's, `<name>.jsonl.lease`.
//!
//! It holds `<expiry in ms since 1970> <token>` and is read and written under `flock`. It is not
//! synced: after a power loss nobody is left to hold it. What cannot be read is nobody's. The file of
//! a holder that died goes with the memory or in a later sweep, once the lease has ended.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write as _};

use rustix::fs::OFlags;

use super::directory::Directory;
use super::lock::{Locked, lock};
use super::names::{decode, encode};
use super::session::{Session, now};
use crate::error::Result;
use crate::keyspace::MemoryId;
use crate::store::Lease;

const SUFFIX: &str = ".lease";

impl Session<'_> {
    /// Takes, extends or gives back a lease; returns whether it is, or was, the asker's.
    pub(super) fn lease(&self, lease: &Lease) -> Result<bool> {
        let path = &self.options.directory;
        let directory = match lease.span {
            Some(_) => Directory::open_or_make(path)?,
            None => match Directory::open(path)? {
                Some(directory) => directory,
                None => return Ok(false),
            },
        };
        let name = name(&lease.id);
        let Some(file) = self.open_lease(&directory, &name, lease.span.is_some())? else {
            return Ok(false);
        };
        let fault = |error| directory.place(&name).fault("use", error);
        let text = read(&file);
        let holder = holder(&text);
        let is_live = holder.is_some();
        let is_ours = holder == Some(&lease.token);
        if is_live && !is_ours {
            return Ok(false);
        }
        let Some(span) = lease.span else {
            directory.unlink(&name).map_err(fault)?;
            return Ok(is_ours);
        };
        let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1);
        let text = format!("{} {}", now().saturating_add(span), lease.token);
        file.set_len(0).map_err(fault)?;
        (&*file).seek(SeekFrom::Start(0)).map_err(fault)?;
        (&*file).write_all(text.as_bytes()).map_err(fault)?;
        Ok(true)
    }

    /// Removes the file of a lease that has ended, if there is one.
    pub(super) fn drop_ended_lease(&self, id: &MemoryId) {
        if let Ok(Some(directory)) = Directory::open(&self.options.directory) {
            // What goes wrong here is no failure of the call: the sweep finds the file.
            let _ = remove_ended(&directory, &name(id));
        }
    }

    fn open_lease(
        &self,
        directory: &Directory<'_>,
        name: &str,
        make: bool,
    ) -> Result<Option<Locked>> {
        loop {
            let found = lock(directory, name, OFlags::RDWR, self.patience)?;
            if found.is_some() || !make {
                return Ok(found);
            }
            match directory.make_file(name) {
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(directory.place(name).fault("make", error)),
            }
        }
    }
}

/// Returns the name of the file of the lease of `id`.
fn name(id: &MemoryId) -> String {
    format!("{}{SUFFIX}", encode(id))
}

/// Returns whether a lease has the name `name`.
pub(super) fn is_name(name: &str) -> bool {
    name.strip_suffix(SUFFIX).and_then(decode).is_some()
}

/// Removes the file `name` if its lease has ended and nobody is about to take it.
pub(super) fn remove_ended(directory: &Directory<'_>, name: &str) -> Result<()> {
    let Some(file) = directory.open_file(name, OFlags::RDONLY)? else { return Ok(()) };
    if let Ok(locked) = Locked::try_lock(file)
        && directory.still_names(name, &locked)?
        && holder(&read(&locked)).is_none()
    {
        let _ = directory.unlink(name);
    }
    Ok(())
}

/// Reads a lease's file. Anything but text is nobody's lease, as an unfinished write is.
fn read(mut file: &File) -> String {
    let mut text = String::new();
    let _ = file.read_to_string(&mut text);
    text
}

/// Returns who holds a lease, unless it has ended.
fn holder(text: &str) -> Option<&str> {
    let (expiry, holder) = text.split_once(' ')?;
    expiry.parse::<u64>().is_ok_and(|expiry| expiry > now()).then_some(holder)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::fixture::{Fixture, eventually, id};
    use super::*;
    use crate::store::{Answer, Verb};

    fn ask(fixture: &Fixture, token: &str, span: Option<Duration>) -> bool {
        let lease = Lease { id: id("a"), token: token.to_owned(), span };
        matches!(fixture.apply(Verb::Lease(lease)), Answer::Bool(true))
    }

    #[test]
    fn a_lease_is_one_holders_and_its_file_goes_with_it() {
        let fixture = Fixture::new();
        let minute = Some(Duration::from_secs(60));
        assert!(!ask(&fixture, "mine", None));
        assert!(ask(&fixture, "mine", minute));
        assert!(ask(&fixture, "mine", minute));
        assert!(!ask(&fixture, "yours", minute));
        assert!(!ask(&fixture, "yours", None));
        assert!(fixture.list().is_empty());
        assert!(ask(&fixture, "mine", None));
        assert!(!fixture.path("a").with_extension("jsonl.lease").exists());
    }

    #[test]
    fn a_lease_that_has_ended_is_free() {
        let fixture = Fixture::new();
        assert!(ask(&fixture, "mine", Some(Duration::from_millis(1))));
        eventually(|| ask(&fixture, "yours", Some(Duration::from_secs(60))));
        assert!(!ask(&fixture, "mine", None));
    }

    #[test]
    fn a_delete_takes_a_lease_with_it_that_has_ended() {
        let fixture = Fixture::new();
        let path = fixture.path("a").with_extension("jsonl.lease");
        let delete = || fixture.apply(Verb::Delete(id("a"), None));
        assert!(ask(&fixture, "mine", Some(Duration::from_secs(60))));
        delete();
        assert!(path.exists());
        assert!(ask(&fixture, "mine", Some(Duration::from_millis(1))));
        eventually(|| {
            delete();
            !path.exists()
        });
    }
}
