//! The identity of writes, by which a server tells a repeated write from a new one.
//!
//! A *writer* is one client in one process: a random name and a counter. Each write takes a *lane*
//! of it, which no other write to the same memory holds at that time, and the next number of the
//! counter. A script refuses a number that its lane has passed. So a write that is sent twice is
//! applied once, and one that arrives late, after its caller gave up and went on, is dropped.
//!
//! Lanes are per memory: as long as nobody in this process writes to one memory at the same time,
//! that memory sees a single lane, and its header stays short.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;

use crate::error::{Error, Result};

/// Names this process's writes to a server.
#[derive(Debug)]
pub struct Writer {
    name: String,
    sequence: AtomicU64,
    /// Lanes in use, one bit each, of every memory that is being written to.
    busy: Mutex<HashMap<Bytes, u64>>,
    /// Next lane beyond the 64 that a memory's bits can name.
    spare: AtomicU64,
}

/// One write's place: lane and number, held until the write is over.
#[derive(Debug)]
pub struct Lane {
    writer: Arc<Writer>,
    key: Bytes,
    bit: Option<u32>,
    name: String,
    number: u64,
}

impl Writer {
    /// Makes a writer with a random name of 72 bits.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`](crate::error::ErrorKind::Unavailable) if the system has no
    /// randomness to give.
    pub fn new() -> Result<Arc<Self>> {
        let mut random = [0; 9];
        getrandom::fill(&mut random).map_err(|error| {
            let message = format!("cannot name this writer: no system randomness ({error})");
            Error::new(crate::error::ErrorKind::Unavailable, message)
        })?;
        Ok(Arc::new(Self {
            name: URL_SAFE_NO_PAD.encode(random),
            sequence: AtomicU64::new(1),
            busy: Mutex::default(),
            spare: AtomicU64::new(64),
        }))
    }

    /// Takes the lowest lane of `key` that no other write holds.
    pub fn lane(self: &Arc<Self>, key: &Bytes) -> Lane {
        let bit = {
            let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
            let lanes = busy.entry(key.clone()).or_default();
            let free = lanes.trailing_ones();
            (free < u64::BITS).then(|| {
                *lanes |= 1 << free;
                free
            })
        };
        // Relaxed: the number only has to grow, and the lane orders the writes that share it.
        let lane = bit.map_or_else(|| self.spare.fetch_add(1, Ordering::Relaxed), u64::from);
        let number = self.sequence.fetch_add(1, Ordering::Relaxed);
        let mut name = String::with_capacity(self.name.len() + 4);
        // Writing to a String cannot fail.
        let _ = write!(name, "w{}.{lane}", self.name);
        Lane { writer: self.clone(), key: key.clone(), bit, name, number }
    }

    fn release(&self, key: &Bytes, bit: u32) {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lanes) = busy.get_mut(key) {
            *lanes &= !(1 << bit);
            if *lanes == 0 {
                busy.remove(key);
            }
        }
    }
}

impl Lane {
    /// Returns the lane's name on the server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the write's number in the lane.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Keeps the lane from ever being used again.
    ///
    /// After a write whose outcome is unknown, the lane's last number on the server tells whether
    /// it was applied; the next write of this lane would wipe that out.
    pub fn retire(&mut self) {
        self.bit = None;
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        if let Some(bit) = self.bit {
            self.writer.release(&self.key, bit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_in_turn_share_a_lane_and_writes_at_once_do_not() {
        let writer = Writer::new().unwrap();
        let (key, other) = (Bytes::from("a"), Bytes::from("b"));
        let first = writer.lane(&key);
        let at_once = writer.lane(&key);
        assert_ne!(first.name(), at_once.name());
        assert_eq!(writer.lane(&other).name(), first.name());
        let name = first.name().to_owned();
        drop(first);
        let next = writer.lane(&key);
        assert_eq!(next.name(), name);
        assert!(next.number() > at_once.number());
        drop((next, at_once));
        assert!(writer.busy.lock().unwrap().is_empty());
    }

    #[test]
    fn a_retired_lane_is_never_used_again() {
        let writer = Writer::new().unwrap();
        let key = Bytes::from("a");
        let mut lane = writer.lane(&key);
        let name = lane.name().to_owned();
        lane.retire();
        drop(lane);
        assert_ne!(writer.lane(&key).name(), name);
    }

    #[test]
    fn more_writes_at_once_than_bits_still_get_lanes_of_their_own() {
        let writer = Writer::new().unwrap();
        let key = Bytes::from("a");
        let lanes: Vec<Lane> = (0..200).map(|_| writer.lane(&key)).collect();
        let names: std::collections::HashSet<&str> = lanes.iter().map(Lane::name).collect();
        assert_eq!(names.len(), 200);
    }
}
