//! The lease of a memory: a small file next to the memory's, `<name>.jsonl.lease`.
//!
//! It holds `<expiry in ms since 1970> <token>` and is read and written under `flock`. It is not
//! synced: after a power loss nobody is left to hold it. What cannot be read is nobody's.

use std::io::{Read, Seek, SeekFrom, Write as _};

use rustix::fs::OFlags;

use super::directory::Directory;
use super::lock::{Locked, lock};
use super::names::encode;
use super::session::{Session, now};
use crate::error::Result;
use crate::store::Lease;

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
        let name = format!("{}.lease", encode(&lease.id));
        let Some(file) = self.open_lease(&directory, &name, lease.span.is_some())? else {
            return Ok(false);
        };
        let fault = |error| directory.place(&name).fault("use", error);
        let mut text = String::new();
        // Anything but text is nobody's lease, as an unfinished write is.
        let _ = (&*file).read_to_string(&mut text);
        let (expiry, holder) = text.split_once(' ').unwrap_or(("0", ""));
        let is_live = expiry.parse::<u64>().is_ok_and(|expiry| expiry > now());
        let is_ours = is_live && holder == lease.token;
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
}
