//! The verbs that change nothing: load, tail, exists, count, info, list.
//!
//! They take no lock. A file only ever grows at its end or is replaced whole, so what an open file
//! says up to some commit stays true of the moment that commit was made; a record that is being
//! written has no valid commit line yet. The one exception is a torn tail that a writer cuts and
//! writes over while it is read: the checksums tell, and the file is read again under its lock
//! before anything is called damaged.

use std::fs::File;
use std::time::Duration;

use rustix::fs::{FileType, OFlags};

use super::directory::Directory;
use super::document;
use super::lock::lock;
use super::log::{Log, Record};
use super::names::{Named, decode, encode};
use super::session::{Session, now};
use crate::error::{ErrorKind, Result};
use crate::keyspace::MemoryId;
use crate::layout::Layout;
use crate::messages::Messages;
use crate::store::{Info, Ttl};

impl Session<'_> {
    /// Reads the last `count` messages of a memory.
    pub(super) fn tail(&self, id: &MemoryId, count: usize) -> Result<Option<Messages>> {
        let found = self.read(id, |log, last| {
            let messages = log.messages(last, count)?;
            Ok((messages, last.commit.expires))
        })?;
        let Some((messages, expires)) = found else { return Ok(None) };
        if self.options.refresh_on_load && self.is_worth_refreshing(expires) {
            self.touch(id)?;
        }
        Ok(Some(messages))
    }

    pub(super) fn info(&self, id: &MemoryId) -> Result<Option<Info>> {
        self.read(id, |_, last| {
            let commit = &last.commit;
            let left = |at: u64| Duration::from_millis(at.saturating_sub(now()));
            Ok(Info {
                messages: usize::try_from(commit.count).unwrap_or(usize::MAX),
                revision: commit.revision,
                ttl: commit.expires.map(left),
                bytes: commit.bytes,
                layout: Layout::Log.name(),
            })
        })
    }

    /// Returns every id, in order, each once.
    pub(super) fn ids(&self) -> Result<Vec<String>> {
        let Some(directory) = Directory::open(&self.options.directory)? else {
            return Ok(Vec::new());
        };
        let mut ids = Vec::new();
        for entry in directory.entries()? {
            let entry = entry.map_err(|error| directory.place("").fault("list", error))?;
            let regular = matches!(entry.file_type(), FileType::RegularFile | FileType::Unknown);
            let name = entry.file_name().to_str().unwrap_or_default();
            if regular {
                ids.extend(listed(&directory, name)?.map(|id| id.as_str().to_owned()));
                // In a directory of logs, a JSON file is somebody else's.
                if self.options.layout == Layout::Document {
                    ids.extend(document::id(name).map(|id| id.as_str().to_owned()));
                }
            }
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    /// Reads from a memory that is there and has not expired.
    fn read<T>(
        &self,
        id: &MemoryId,
        what: impl Fn(&mut Log<'_>, &Record) -> Result<T>,
    ) -> Result<Option<T>> {
        let Some(directory) = Directory::open(&self.options.directory)? else { return Ok(None) };
        let name = encode(id);
        let look = |file: &File| {
            let mut log = Log::of(id, directory.place(&name), file)?;
            let last = log.last()?;
            if last.commit.is_expired(now()) {
                return Ok(None);
            }
            what(&mut log, &last).map(Some)
        };
        let Some(file) = directory.open_file(&name, OFlags::RDONLY)? else { return Ok(None) };
        match look(&file) {
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt { .. }) => {
                match lock(&directory, &name, OFlags::RDONLY, self.patience)? {
                    Some(locked) => look(&locked),
                    None => Ok(None),
                }
            }
            looked => looked,
        }
    }

    /// Returns whether a refresh would move the expiry by a thousandth of the time to live: one
    /// that moves it less is not worth a write to the disk on each load.
    fn is_worth_refreshing(&self, expires: Option<u64>) -> bool {
        match (self.expiry(Ttl::Setting), expires) {
            (Some(after), Some(before)) => {
                let ttl = after.saturating_sub(now());
                after.saturating_sub(before) > ttl / 1000
            }
            (after, before) => after != before,
        }
    }
}

/// Returns the id whose file `name` is, unless it has expired. A damaged memory is listed: it is
/// there, and deleting it is for its owner to decide.
fn listed(directory: &Directory<'_>, name: &str) -> Result<Option<MemoryId>> {
    let Some(named) = decode(name) else { return Ok(None) };
    let Some(file) = directory.open_file(name, OFlags::RDONLY)? else { return Ok(None) };
    let mut inside = None;
    let mut look = || -> Result<_> {
        let mut log = Log::open(directory.place(name), &file)?;
        inside = Some(log.id().clone()).filter(|id| encode(id) == name);
        Ok(!log.last()?.commit.is_expired(now()))
    };
    match (look(), named) {
        (Err(error), named) if matches!(error.kind(), ErrorKind::Corrupt { .. }) => {
            Ok(match named {
                Named::Memory(id) => Some(id),
                Named::Digest => inside,
            })
        }
        (looked, _) => looked.map(|live| inside.filter(|_| live)),
    }
}
