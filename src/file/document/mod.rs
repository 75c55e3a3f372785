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
            // The log is asked for first: where it is, the other file may be anything.
            Layout::Log => !log() && self.has_document(id)?,
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use crate::error::ErrorKind;
    use crate::file::fixture::{Fixture, append};
    use crate::store::Verb;

    #[test]
    fn in_a_directory_of_logs_what_is_no_document_is_in_nobodys_way() {
        let fixture = Fixture::new();
        fixture.write(append("other", &["x"]));
        let place = |name: &str| fixture.path(name).with_extension("json");
        fs::create_dir(place("directory")).unwrap();
        symlink("nowhere", place("link")).unwrap();
        for (name, content) in [("object", "{}"), ("empty", ""), ("blank", &*" ".repeat(5000))] {
            fs::write(place(name), content).unwrap();
            fs::set_permissions(place(name), PermissionsExt::from_mode(0o666)).unwrap();
        }
        for name in ["directory", "link", "object", "empty", "blank"] {
            assert_eq!(fixture.load(name), None, "{name}");
            assert_eq!(fixture.write(append(name, &["x"])).count, 1, "{name}");
        }
    }

    #[test]
    fn a_document_beside_a_log_is_not_asked_for() {
        let fixture = Fixture::new();
        let place = fixture.path("a").with_extension("json");
        fixture.write(append("other", &["x"]));
        fs::write(&place, "[]").unwrap();
        fs::set_permissions(&place, PermissionsExt::from_mode(0o666)).unwrap();
        // Somebody else could have written this one.
        assert_eq!(fixture.refused(Verb::Write(append("a", &["x"]))), ErrorKind::Storage);
        fs::remove_file(&place).unwrap();
        fixture.write(append("a", &["x"]));
        fs::write(&place, "[]").unwrap();
        fs::set_permissions(&place, PermissionsExt::from_mode(0o666)).unwrap();
        assert_eq!(fixture.write(append("a", &["x"])).count, 2);
        assert!(fixture.load("a").is_some());
    }
}
