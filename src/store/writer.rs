//! The identity of writes, by which a server tells a repeated write from a new one.
//!
//! A *writer* is one client in one process: a random name and a counter. Each write takes a *lane*
//! of it, which no other write to the same memory holds at that time, and the next number of the
//! counter. A script refuses a number that its lane has passed. So a write that is sent twice is
//! applied once, and one that arrives late, after its caller gave up and went on, is dropped.
//!
//! Lanes are per memory: as long as nobody in this process writes to one memory at the same time,
//! that memory sees a single lane, and its header stays short.

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;

use super::content::{Content, Digests};
use super::known::{Known, Seen};
use crate::decimal::decimal;
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{KNOWN_BYTES, Line, Log};
use crate::messages::Messages;

/// How long a retired lane rests: a minute longer than servers remember its last write.
const REST: Duration = Duration::from_secs(660);

/// From this size on it is worth knowing what the messages are that were read: a save that goes on from
/// them need not send them.
const DIGESTED_BYTES: u64 = 16 << 10;

/// Names this process's writes to a server.
#[derive(Debug)]
pub struct Writer {
    name: String,
    /// The lowest lane's name: a memory seldom sees another.
    first: Bytes,
    sequence: AtomicU64,
    lanes: Mutex<Lanes>,
    known: Mutex<Known>,
    digests: Digests,
    /// Connections that had been made when a call began last.
    connections: AtomicU64,
    /// Whether a server has refused a transaction.
    is_refused: AtomicBool,
}

/// Returns a random name of 72 bits.
pub(super) fn random_name() -> Result<String> {
    let mut name = [0; 9];
    random(&mut name)?;
    Ok(URL_SAFE_NO_PAD.encode(name))
}

/// Fills `bytes` with what nobody can foresee.
///
/// # Errors
/// [`ErrorKind::Unavailable`] if the system has no randomness to give.
pub(super) fn random(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|error| {
        let message = format!("there is no system randomness for this client ({error})");
        Error::new(ErrorKind::Unavailable, message)
    })
}

/// Lanes in use.
#[derive(Debug, Default)]
struct Lanes {
    /// One bit each, of every memory that is being written to.
    busy: HashMap<Bytes, Busy>,
    /// Lanes that rest, and since when; the longest first.
    retired: VecDeque<(Instant, Bytes, usize)>,
}

/// The lanes of a memory that are in use, one bit each.
#[derive(Debug, Default)]
struct Busy {
    first: u64,
    more: Vec<u64>,
}

/// One write's place: lane and number, held until the write is over.
#[derive(Debug)]
pub struct Lane {
    writer: Arc<Writer>,
    key: Bytes,
    index: usize,
    name: Bytes,
    number: Bytes,
    retired: bool,
}

impl Writer {
    /// Makes a writer with a random name of 72 bits.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`](crate::error::ErrorKind::Unavailable) if the system has no
    /// randomness to give.
    pub fn new() -> Result<Arc<Self>> {
        let name = random_name()?;
        Ok(Arc::new(Self {
            first: lane_name(&name, 0),
            name,
            sequence: AtomicU64::new(1),
            lanes: Mutex::default(),
            known: Mutex::default(),
            digests: Digests::new()?,
            connections: AtomicU64::new(0),
            is_refused: AtomicBool::new(false),
        }))
    }

    /// Takes the lowest lane of `key` that no other write holds.
    pub fn lane(self: &Arc<Self>, key: &Bytes) -> Lane {
        let index = self.lock().take(key, Instant::now());
        let name = if index == 0 { self.first.clone() } else { lane_name(&self.name, index) };
        let number = self.next_number();
        Lane { writer: self.clone(), key: key.clone(), index, name, number, retired: false }
    }

    /// Returns the writer's name, and a number for a call that needs no lane.
    pub(super) fn next_call(&self) -> (Bytes, Bytes) {
        (self.name.clone().into(), self.next_number())
    }

    fn next_number(&self) -> Bytes {
        // Relaxed: the number only has to grow, and the lane orders the writes that share it.
        decimal(self.sequence.fetch_add(1, Ordering::Relaxed))
    }

    /// Returns whether saves may be transactions.
    pub(super) fn may_send_transactions(&self) -> bool {
        // Relaxed, here and below: it stands for nothing else.
        !self.is_refused.load(Ordering::Relaxed)
    }

    /// Takes note that a server refuses transactions: its commands would be carried out one by one.
    pub(super) fn send_no_transactions(&self) {
        self.is_refused.store(true, Ordering::Relaxed);
    }

    /// Returns the header of the memory under `key`, as it was seen last.
    pub(super) fn known(&self, key: &Bytes) -> Option<Seen> {
        self.headers().get(key)
    }

    /// Returns what `messages` are, and whether they begin with what was seen.
    pub(super) fn compare(&self, messages: &Messages, seen: Option<Content>) -> (Content, bool) {
        self.digests.compare(messages, self.connections(), seen)
    }

    /// Returns how many connections had been made when a call began last.
    pub(super) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Takes note of how many connections have been made.
    pub(crate) fn note_connections(&self, count: u64) {
        self.connections.store(count, Ordering::Relaxed);
    }

    /// Takes note of what is in the memory under `key`.
    pub(super) fn remember(&self, key: &Bytes, seen: Seen) {
        self.headers().insert(key, seen);
    }

    /// Takes note of a header that was read, and whether it is as it was expected; of one that is long, or
    /// not to be understood, that it is not known.
    pub(super) fn learn(&self, key: &Bytes, line: &[u8], is_settled: bool) {
        let seen = self.known(key).filter(|seen| seen.line.text() == line);
        self.learn_written(key, line, is_settled, seen.and_then(|seen| seen.content));
    }

    /// Does the same where it is known what the messages are.
    pub(super) fn learn_written(
        &self,
        key: &Bytes,
        line: &[u8],
        is_settled: bool,
        content: Option<Content>,
    ) {
        match short(line) {
            Some(line) => self.remember(key, Seen { line, is_settled, content }),
            None => self.forget(key),
        }
    }

    /// Takes note of a memory that was read, as it was while there had been so many connections, if that is
    /// known.
    pub(super) fn learn_read(&self, key: &Bytes, line: &[u8], log: &Log, connections: Option<u64>) {
        let connections = connections.filter(|_| log.header.bytes >= DIGESTED_BYTES);
        let is_no_news = |seen: &Seen| {
            let known = seen.line.header();
            let is_older = known.revision > log.header.revision && known.born == log.header.born;
            let is_same = seen.is_settled && seen.line.text() == line;
            is_older || is_same && connections.is_none_or(|connections| seen.is_as_of(connections))
        };
        if self.headers().look(key).is_some_and(is_no_news) {
            return;
        }
        let connections = connections.filter(|_| log.is_coherent());
        let digest = |connections| self.digests.compare(&log.messages, connections, None).0;
        let content = connections.map(digest);
        match short(line) {
            Some(line) => self.headers().offer(key, Seen { line, is_settled: true, content }),
            None => self.forget(key),
        }
    }

    /// Takes note that there may be no memory under `key` any more.
    pub(super) fn forget(&self, key: &Bytes) {
        self.headers().remove(key);
    }

    fn headers(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a header line; `None` if it is too long to be worth knowing, or not to be understood.
fn short(line: &[u8]) -> Option<Arc<Line>> {
    let line = Some(line).filter(|line| line.len() <= KNOWN_BYTES)?;
    Line::parse(line).ok().map(Arc::new)
}

impl Lanes {
    fn take(&mut self, key: &Bytes, now: Instant) -> usize {
        let rested = |(since, ..): &&(Instant, Bytes, usize)| now.duration_since(*since) > REST;
        let rested = self.retired.iter().take_while(rested).count();
        for (_, key, index) in self.retired.drain(..rested).collect::<Vec<_>>() {
            self.release(&key, index);
        }
        self.busy.entry(key.clone()).or_default().take()
    }

    fn release(&mut self, key: &Bytes, index: usize) {
        if let Entry::Occupied(mut busy) = self.busy.entry(key.clone())
            && busy.get_mut().release(index)
        {
            busy.remove();
        }
    }
}

impl Busy {
    /// Takes the lowest lane that is free.
    fn take(&mut self) -> usize {
        let free = self.words().position(|word| *word != u64::MAX);
        let free = free.unwrap_or_else(|| {
            self.more.push(0);
            self.more.len()
        });
        let Some(word) = self.words().nth(free) else { return 0 };
        let bit = word.trailing_ones();
        *word |= 1 << bit;
        free * 64 + bit as usize
    }

    /// Lets go of a lane; returns whether that was the last one.
    fn release(&mut self, index: usize) -> bool {
        if let Some(word) = self.words().nth(index / 64) {
            *word &= !(1 << (index % 64));
        }
        self.words().all(|word| *word == 0)
    }

    fn words(&mut self) -> impl Iterator<Item = &mut u64> {
        std::iter::once(&mut self.first).chain(&mut self.more)
    }
}

/// Returns the name of a lane of the writer with this name.
fn lane_name(writer: &str, index: usize) -> Bytes {
    format!("w{writer}.{index}").into()
}

impl Lane {
    /// Returns the lane's name on the server, and the write's number in the lane.
    pub fn names(&self) -> (&Bytes, &Bytes) {
        (&self.name, &self.number)
    }

    /// Lets the lane rest after this write.
    ///
    /// After a write whose outcome is unknown, the lane's last number on the server tells whether
    /// it was applied; the next write of this lane would wipe that out.
    pub fn retire(&mut self) {
        self.retired = true;
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let mut lanes = self.writer.lock();
        if self.retired {
            lanes.retired.push_back((Instant::now(), self.key.clone(), self.index));
        } else {
            lanes.release(&self.key, self.index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::read_log;

    fn name(lane: &Lane) -> &Bytes {
        lane.names().0
    }

    #[test]
    fn writes_in_turn_share_a_lane_and_writes_at_once_do_not() {
        let writer = Writer::new().unwrap();
        let (key, other) = (Bytes::from("a"), Bytes::from("b"));
        let first = writer.lane(&key);
        let at_once = writer.lane(&key);
        assert_ne!(name(&first), name(&at_once));
        assert_eq!(name(&writer.lane(&other)), name(&first));
        let before = name(&first).clone();
        drop(first);
        let next = writer.lane(&key);
        assert_eq!(*name(&next), before);
        assert!(next.number > at_once.number);
        drop((next, at_once));
        assert!(writer.lock().busy.is_empty());
    }

    #[test]
    fn of_headers_only_short_ones_are_kept() {
        let writer = Writer::new().unwrap();
        let key = Bytes::from("a");
        let head =
            "redember:1 rev=7 count=0 total=0 skip=0 bytes=0 chunks=0 open=0/0/0 born=w lanes=";
        let long = format!("{head}{}", ";wB.0:1:1:1".repeat(KNOWN_BYTES));
        writer.learn(&key, head.as_bytes(), true);
        assert!(writer.known(&key).is_some());
        writer.learn(&key, long.as_bytes(), true);
        assert!(long.len() > KNOWN_BYTES && writer.known(&key).is_none());
        writer.learn(&key, head.as_bytes(), true);
        writer.learn(&key, b"somebody else's", true);
        assert!(writer.known(&key).is_none());
    }

    /// A memory of two long messages, whose header says this of it; and the header.
    fn memory(revision: u64, open: &str) -> (String, Log) {
        let message = format!("{{\"content\":\"{}\"}}", "x".repeat(16 << 10));
        let bytes = 2 * (message.len() + 1);
        let line = format!(
            "redember:1 rev={revision} count=2 total=2 skip=0 bytes={bytes} chunks=2 open={open} born=wA.0:1 lanes="
        );
        let elements = vec![line.clone().into(), message.clone().into(), message.into()];
        (line, read_log(elements).unwrap())
    }

    #[test]
    fn what_was_read_is_news_unless_it_is_older_than_what_is_known() {
        let writer = Writer::new().unwrap();
        let key = Bytes::from("a");
        let known = || writer.known(&key).unwrap();
        for (revision, expected) in [(3, 3), (2, 3), (4, 4)] {
            let (line, log) = memory(revision, "0/0/0");
            writer.learn_read(&key, line.as_bytes(), &log, Some(1));
            assert_eq!(known().line.header().revision, expected);
            assert!(known().is_settled && known().is_as_of(1));
        }
    }

    #[test]
    fn to_read_the_same_again_settles_it_and_vouches_for_it_anew() {
        let writer = Writer::new().unwrap();
        let key = Bytes::from("a");
        let (line, log) = memory(3, "0/0/0");
        writer.learn(&key, line.as_bytes(), false);
        for (connections, vouched) in [(Some(1), Some(1)), (None, Some(1)), (Some(2), Some(2))] {
            writer.learn_read(&key, line.as_bytes(), &log, connections);
            let seen = writer.known(&key).unwrap();
            assert!(seen.is_settled && vouched.is_none_or(|count| seen.is_as_of(count)));
        }
    }

    #[test]
    fn what_lies_otherwise_than_its_header_says_is_not_added_to() {
        let writer = Writer::new().unwrap();
        let key = Bytes::from("a");
        let (line, log) = memory(3, "1/9/1");
        writer.learn_read(&key, line.as_bytes(), &log, Some(1));
        assert!(writer.known(&key).is_some_and(|seen| !seen.is_as_of(1)));
    }

    #[test]
    fn a_retired_lane_rests_until_servers_have_forgotten_it() {
        let writer = Writer::new().unwrap();
        let key = Bytes::from("a");
        let mut lane = writer.lane(&key);
        let before = name(&lane).clone();
        lane.retire();
        drop(lane);
        assert_ne!(*name(&writer.lane(&key)), before);
        let later = Instant::now() + REST + Duration::from_secs(1);
        assert_eq!(writer.lock().take(&key, later), 0);
    }

    #[test]
    fn many_writes_at_once_get_lanes_of_their_own_and_give_them_back() {
        let writer = Writer::new().unwrap();
        let key = Bytes::from("a");
        let lanes: Vec<Lane> = (0..200).map(|_| writer.lane(&key)).collect();
        let names: std::collections::HashSet<&Bytes> = lanes.iter().map(name).collect();
        assert_eq!(names.len(), 200);
        drop(lanes);
        assert!(name(&writer.lane(&key)).ends_with(b".0"));
    }
}
