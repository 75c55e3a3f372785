//! Removes expired memories, ended leases and temporary files of writers that died, a few at a time.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::fs::{Dir, OFlags};

use super::directory::Directory;
use super::lease;
use super::lock::Locked;
use super::log::Log;
use super::names::decode;
use super::session::now;
use super::temporary::TEMPORARY;
use crate::error::Result;
use crate::process::Guarded;

/// Writes between two steps of the sweep.
const EVERY: u64 = 64;

/// Files looked at in one step.
const FILES: usize = 32;

/// No write takes this long, so an older temporary file has no owner.
const ABANDONED: Duration = Duration::from_secs(3600);

/// Walks the directory again and again, one step every few writes.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    writes: AtomicU64,
    /// Where the walk is.
    walk: Guarded<Option<Dir>>,
}

impl Sweep {
    /// Counts a write, and takes a step when it is time: at the first write, as many processes
    /// write once, and then every few.
    ///
    /// What goes wrong here is no failure of the write: the next walk finds the file again.
    pub(super) fn after_write(&self, path: &Path) {
        // Relaxed: the count orders nothing.
        if self.writes.fetch_add(1, Ordering::Relaxed).is_multiple_of(EVERY)
            && let Ok(Some(directory)) = Directory::open(path)
        {
            let _ = self.step(&directory);
        }
    }

    fn step(&self, directory: &Directory<'_>) -> Result<()> {
        // A child whose parent was taking a step when it was forked leaves the sweep to others.
        let Some(mut walk) = self.walk.lock() else { return Ok(()) };
        let dir = match walk.as_mut() {
            Some(dir) => dir,
            None => walk.insert(directory.entries()?),
        };
        let entries: Vec<_> = dir.take(FILES).collect();
        if entries.len() < FILES {
            *walk = None;
        }
        drop(walk);
        for entry in entries.into_iter().flatten() {
            // Other programs' names need not be text.
            let name = entry.file_name().to_str().unwrap_or_default();
            if name.starts_with(TEMPORARY) {
                let _ = sweep_temporary(directory, name);
            } else if decode(name).is_some() {
                let _ = sweep_expired(directory, name);
            } else if lease::is_name(name) {
                let _ = lease::remove_ended(directory, name);
            }
        }
        Ok(())
    }
}

/// Removes a memory's file if it has expired and nobody is writing to it.
fn sweep_expired(directory: &Directory<'_>, name: &str) -> Result<()> {
    let Some(file) = directory.open_file(name, OFlags::RDONLY)? else { return Ok(()) };
    let is_expired = |file: &File| -> Result<bool> {
        Ok(Log::open(directory.place(name), file)?.last()?.commit.is_expired(now()))
    };
    // First without the lock, which most files then need not be asked for.
    if is_expired(&file)?
        && let Ok(locked) = Locked::try_lock(file)
        && directory.still_names(name, &locked)?
        && is_expired(&locked)?
    {
        let _ = directory.unlink(name);
    }
    Ok(())
}

/// Removes a temporary file that is old and that nobody holds.
fn sweep_temporary(directory: &Directory<'_>, name: &str) -> Result<()> {
    let Some(file) = directory.open_file(name, OFlags::RDONLY)? else { return Ok(()) };
    let modified = file.metadata().and_then(|metadata| metadata.modified());
    let age = modified.ok().and_then(|at| at.elapsed().ok()).unwrap_or_default();
    if age >= ABANDONED && Locked::try_lock(file).is_ok() {
        let _ = directory.unlink(name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::ffi::OsStrExt;

    use super::super::fixture::{Fixture, append, eventually, id};
    use super::*;
    use crate::store::{Answer, Lease, Verb};

    /// Walks over the whole directory, of at most 500 files.
    fn walk(fixture: &Fixture) {
        let path = &fixture.store.options.directory;
        let directory = Directory::open(path).unwrap().unwrap();
        for _ in 0..=500 / FILES {
            fixture.store.sweep.step(&directory).unwrap();
        }
    }

    #[test]
    fn names_that_are_no_text_do_not_end_the_walk() {
        let fixture = Fixture::with(|options| options.ttl = Some(Duration::from_millis(1)));
        for number in 0..20 {
            fixture.write(append(&number.to_string(), &["old"]));
        }
        for number in 0..200 {
            let name = [b"\xff".as_slice(), number.to_string().as_bytes()].concat();
            let path = fixture.store.options.directory.join(OsStr::from_bytes(&name));
            if fs::write(path, "").is_err() {
                // This file system has text only.
                return;
            }
        }
        eventually(|| fixture.list().is_empty());
        walk(&fixture);
        walk(&fixture);
        assert_eq!(fixture.store.options.directory.read_dir().unwrap().count(), 200);
    }

    #[test]
    fn leases_that_have_ended_are_removed_and_live_ones_are_not() {
        let fixture = Fixture::new();
        let lease = |name: &str, span| {
            let token = "mine".to_owned();
            let lease = Lease { id: id(name), token, span: Some(span) };
            assert!(matches!(fixture.apply(Verb::Lease(lease)), Answer::Bool(true)));
        };
        let path = |name: &str| fixture.path(name).with_extension("jsonl.lease");
        lease("live", Duration::from_secs(60));
        lease("ended", Duration::from_millis(1));
        fs::write(fixture.store.options.directory.join("other.lease"), "").unwrap();
        eventually(|| {
            walk(&fixture);
            !path("ended").exists()
        });
        assert!(path("live").exists());
        assert!(fixture.store.options.directory.join("other.lease").exists());
    }

    #[test]
    fn a_child_does_not_wait_for_a_step_that_its_parent_was_taking() {
        let fixture = Fixture::new();
        std::mem::forget(fixture.store.sweep.walk.lock().unwrap());
        std::mem::forget(fixture.store.notices.0.lock().unwrap());
        fixture.store.sweep.walk.set_forked();
        fixture.store.notices.0.set_forked();
        fixture.write(append("a", &["x"]));
        fixture.store.notices.add("lost".into());
        assert!(fixture.store.take_notices().is_empty());
    }
}
