//! Whether a directory or file can only have been written by whom this program trusts.

use rustix::fs::{Mode, Stat};
use rustix::process::geteuid;

use super::place::Place;
use crate::error::{Error, ErrorKind, Result};

/// Refuses what another user could have put there or changed: whoever can write to it can put a
/// history of his own in a memory's place.
///
/// Root's is as good as one's own, since root can write everywhere. It is not the other way round:
/// a program that runs as root would act on what another user made up, so it is refused what is not
/// root's.
pub(super) fn check(place: Place<'_>, stat: &Stat, private: &str) -> Result<()> {
    let (owner, asker) = (stat.st_uid, geteuid().as_raw());
    let problem = if !is_trusted(owner, asker) {
        format!(
            "belongs to another user (uid {owner}), who could change what it says; nothing was \
             read or changed: run this program as that user, or `chown {asker}` it"
        )
    } else if Mode::from_raw_mode(stat.st_mode).intersects(Mode::WGRP | Mode::WOTH) {
        format!(
            "can be written to by other users; nothing was read or changed: `chmod {private}` it"
        )
    } else {
        return Ok(());
    };
    let message = format!("{place} {problem}, or choose another directory");
    Err(Error::new(ErrorKind::Storage, message))
}

fn is_trusted(owner: u32, asker: u32) -> bool {
    owner == asker || owner == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ones_own_and_roots_is_trusted_and_nobody_elses_even_by_root() {
        assert!(is_trusted(1000, 1000) && is_trusted(0, 1000) && is_trusted(0, 0));
        assert!(!is_trusted(1001, 1000) && !is_trusted(1000, 0));
    }
}
