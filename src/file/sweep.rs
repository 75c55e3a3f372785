//! Removes expired memories and temporary files of writers that died, a few at a time.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::fs::{Dir, OFlags};

use super::directory::Directory;
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
        let names: Vec<String> = dir
            .take(FILES)
            .flatten()
            .filter_map(|entry| entry.file_name().to_str().ok().map(str::to_owned))
            .collect();
        if names.len() < FILES {
            *walk = None;
        }
        drop(walk);
        for name in names {
            if name.starts_with(TEMPORARY) {
                let _ = sweep_temporary(directory, &name);
            } else if decode(&name).is_some() {
                let _ = sweep_expired(directory, &name);
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
