//! Names for appends that somebody keeps until they are stored, however often they are sent.

use std::sync::{Mutex, PoisonError};

use super::writer::random_name;
use crate::error::Result;
use crate::process::ProcessId;

/// Makes operation ids that are a lane of their own, one number after the other.
///
/// A memory remembers of a lane its last write only, so it stays short where a name for each append would
/// not. For that, appends have to reach it in the order in which their ids were made; an earlier one
/// that comes after a later one is refused.
#[derive(Debug)]
pub struct OpIds(Mutex<Lane>);

#[derive(Debug)]
struct Lane {
    process: ProcessId,
    name: String,
    next: u64,
}

impl Lane {
    fn new() -> Result<Self> {
        Ok(Self { process: ProcessId::current(), name: random_name()?, next: 1 })
    }
}

impl OpIds {
    /// Takes a name for the lane.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`](crate::error::ErrorKind::Unavailable) if the system has no
    /// randomness to give.
    pub fn new() -> Result<Self> {
        Lane::new().map(|lane| Self(Mutex::new(lane)))
    }

    /// Returns the next id. A forked child goes on with a lane of its own.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn next_id(&self) -> Result<String> {
        let mut lane = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lane.process != ProcessId::current() {
            *lane = Lane::new()?;
        }
        let id = format!("w{}.0:{}", lane.name, lane.next);
        lane.next += 1;
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::count_fork;

    #[test]
    fn ids_follow_each_other_and_a_child_has_others() {
        let ids = OpIds::new().unwrap();
        let [first, second] = [(); 2].map(|()| ids.next_id().unwrap());
        let lane = first.strip_suffix(":1").unwrap();
        assert_eq!(second, format!("{lane}:2"));
        count_fork();
        let third = ids.next_id().unwrap();
        assert!(third.ends_with(":1") && !third.starts_with(lane), "{third}");
    }
}
