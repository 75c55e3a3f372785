//! The directory of a store. Every file is opened relative to its descriptor, never by path.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{self, Access, AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::{Errno, retry_on_intr};

use super::owner;
use super::place::Place;
use crate::error::{Error, ErrorKind, Result};

/// An open directory that nobody else can write to.
#[derive(Debug)]
pub(super) struct Directory<'a> {
    fd: OwnedFd,
    path: &'a Path,
}

impl<'a> Directory<'a> {
    /// Opens the directory, if there is one. Its path may lead through links, as its user wishes;
    /// nothing in it may.
    pub(super) fn open(path: &'a Path) -> Result<Option<Self>> {
        let place = Place { directory: path, name: "" };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = match retry_on_intr(|| fs::openat(CWD, path, flags, Mode::empty())) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(place.fault("open", error)),
        };
        let stat = fs::fstat(&fd).map_err(|error| place.fault("examine", error))?;
        owner::check(place, &stat, "700")?;
        Ok(Some(Self { fd, path }))
    }

    /// Opens the directory; makes it, and those above it, where there is none.
    pub(super) fn open_or_make(path: &'a Path) -> Result<Self> {
        if let Some(directory) = Self::open(path)? {
            return Ok(directory);
        }
        let place = Place { directory: path, name: "" };
        make(path).map_err(|error| place.fault("make", error))?;
        Self::open(path)?.ok_or_else(|| place.fault("open", Errno::NOENT))
    }

    /// Asks whether the directory can be written to, or made.
    pub(super) fn check(path: &'a Path) -> Result<()> {
        let exists = Self::open(path)?.is_some();
        let nearest =
            if exists { Some(path) } else { path.ancestors().find(|above| above.is_dir()) };
        // A relative path ends in an ancestor without a name.
        let nearest = nearest.unwrap_or(Path::new("."));
        fs::accessat(CWD, nearest, Access::WRITE_OK | Access::EXEC_OK, AtFlags::empty())
            .map_err(|error| Place { directory: nearest, name: "" }.fault("write to", error))
    }

    /// Returns how error texts call a file of this directory.
    pub(super) fn place<'b>(&'b self, name: &'b str) -> Place<'b> {
        Place { directory: self.path, name }
    }

    /// Opens a memory's file, if there is one; never through a link, only regular files, and none that
    /// somebody else could have written to.
    pub(super) fn open_file(&self, name: &str, access: OFlags) -> Result<Option<File>> {
        let Some((file, stat)) = self.open_any(name, access)? else { return Ok(None) };
        if !is_regular(&stat) {
            let place = self.place(name);
            let message = format!("{place} is not a regular file; nothing was changed: remove it");
            return Err(Error::new(ErrorKind::Storage, message));
        }
        owner::check(self.place(name), &stat, "600")?;
        Ok(Some(file))
    }

    /// Opens a file that may be anybody's if it is one that `is_ours` takes for one of ours, and then
    /// as [`open_file`](Self::open_file) does. What else it may be, a link or a directory, is not ours.
    pub(super) fn open_file_among_others(
        &self,
        name: &str,
        is_ours: impl FnOnce(&File) -> io::Result<bool>,
    ) -> Result<Option<File>> {
        match fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if is_regular(&stat) => {}
            Ok(_) | Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(self.place(name).fault("examine", error)),
        }
        let Some((file, stat)) = self.open_any(name, OFlags::RDONLY)? else { return Ok(None) };
        if !is_regular(&stat)
            || !is_ours(&file).map_err(|error| self.place(name).fault("read", error))?
        {
            return Ok(None);
        }
        owner::check(self.place(name), &stat, "600")?;
        Ok(Some(file))
    }

    fn open_any(&self, name: &str, access: OFlags) -> Result<Option<(File, Stat)>> {
        // NONBLOCK: opening a pipe somebody put there would otherwise wait for its other end.
        let flags = access | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = match retry_on_intr(|| fs::openat(&self.fd, name, flags, Mode::empty())) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(self.place(name).fault("open", error)),
        };
        let stat = fs::fstat(&fd).map_err(|error| self.place(name).fault("examine", error))?;
        Ok(Some((File::from(fd), stat)))
    }

    /// Returns whether there is a file of that name.
    pub(super) fn has(&self, name: &str) -> bool {
        fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// Makes a new file that only its owner may read.
    pub(super) fn make_file(&self, name: &str) -> io::Result<File> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        Ok(retry_on_intr(|| fs::openat(&self.fd, name, flags, mode))?.into())
    }

    /// Returns whether `name` still is `file`: another process may have replaced or deleted it.
    pub(super) fn still_names(&self, name: &str, file: &File) -> Result<bool> {
        let fault = |error: Errno| self.place(name).fault("examine", error);
        let open = fs::fstat(file).map_err(fault)?;
        match fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(named) => Ok((named.st_dev, named.st_ino) == (open.st_dev, open.st_ino)),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(fault(error)),
        }
    }

    /// Gives a file a second name; `false` if that name is taken.
    pub(super) fn link(&self, from: &str, to: &str) -> io::Result<bool> {
        match fs::linkat(&self.fd, from, &self.fd, to, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Puts a file in the place of another.
    pub(super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(fs::renameat(&self.fd, from, &self.fd, to)?)
    }

    pub(super) fn unlink(&self, name: &str) -> io::Result<()> {
        Ok(fs::unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    /// Makes the names in the directory durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(retry_on_intr(|| fs::fsync(&self.fd))?)
    }

    /// Reads the directory from its beginning.
    pub(super) fn entries(&self) -> Result<Dir> {
        Dir::read_from(&self.fd).map_err(|error| self.place("").fault("list", error))
    }
}

fn is_regular(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

/// Makes a directory and those above it, each for its owner alone, each durable.
fn make(path: &Path) -> rustix::io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let mut made = fs::mkdirat(CWD, path, Mode::RWXU);
    if made == Err(Errno::NOENT) {
        // Tried once more and no oftener: a parent that is a dangling link never comes to be.
        make(parent.ok_or(Errno::NOENT)?)?;
        made = fs::mkdirat(CWD, path, Mode::RWXU);
    }
    match made {
        Ok(()) => {}
        Err(Errno::EXIST) => return Ok(()),
        Err(error) => return Err(error),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let above = fs::openat(CWD, parent.unwrap_or(Path::new(".")), flags, Mode::empty())?;
    retry_on_intr(|| fs::fsync(&above))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_parent_that_leads_nowhere_is_an_error_and_no_endless_try() {
        let root = tempfile::tempdir().unwrap();
        let link = root.path().join("link");
        symlink("/nowhere/at/all", &link).unwrap();
        assert!(Directory::open_or_make(&link.join("memories")).is_err());
    }

    #[test]
    fn a_directory_is_made_for_its_owner_alone_with_those_above_it() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b/c");
        assert!(Directory::open(&path).unwrap().is_none());
        Directory::check(&path).unwrap();
        assert!(!root.path().join("a").exists());
        Directory::open_or_make(&path).unwrap();
        for made in ["a", "a/b", "a/b/c"] {
            assert_eq!(root.path().join(made).metadata().unwrap().mode() & 0o777, 0o700);
        }
    }

    #[test]
    fn a_directory_that_others_can_write_to_is_refused() {
        let root = tempfile::tempdir().unwrap();
        std::fs::set_permissions(root.path(), PermissionsExt::from_mode(0o770)).unwrap();
        let error = Directory::open(root.path()).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Storage);
        assert!(error.message().contains("chmod 700"), "{error}");
    }

    #[test]
    fn a_file_that_others_can_write_to_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let directory = Directory::open(root.path()).unwrap().unwrap();
        let path = root.path().join("file");
        std::fs::write(&path, "x").unwrap();
        for (mode, is_refused) in [(0o620, true), (0o602, true), (0o644, false)] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            let opened = directory.open_file("file", OFlags::RDONLY);
            assert_eq!(opened.is_err(), is_refused, "{mode:o}");
            if let Err(error) = opened {
                assert!(error.message().contains("chmod 600"), "{error}");
            }
        }
    }

    #[test]
    fn links_and_pipes_are_not_opened() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("real"), "x").unwrap();
        symlink("real", root.path().join("link")).unwrap();
        fs::mknodat(CWD, root.path().join("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        let directory = Directory::open(root.path()).unwrap().unwrap();
        assert!(directory.open_file("real", OFlags::RDWR).unwrap().is_some());
        assert!(directory.open_file("none", OFlags::RDWR).unwrap().is_none());
        for name in ["link", "pipe"] {
            let error = directory.open_file(name, OFlags::RDWR).unwrap_err();
            assert_eq!(error.kind(), &ErrorKind::Storage, "{error}");
            assert!(error.message().contains("remove it"), "{error}");
        }
    }

    #[test]
    fn a_file_in_the_place_of_a_directory_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Directory::open_or_make(file.path()).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Storage);
    }
}
