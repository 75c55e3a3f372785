//! News of who the servers are, for calls that pause until another attempt is due.
//!
//! A pause keeps many clients from coming to a server in trouble at once. Once another has taken
//! over, it would only add to the time without memory.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::timeout_at;

use super::stream::SLICE;
use crate::call::Interrupt;

/// Counts the times that other servers took over, and wakes those that wait for it.
#[derive(Debug, Default)]
pub(super) struct News {
    count: AtomicU64,
    /// Held while the count changes, so that nobody goes to sleep over it.
    changing: Mutex<()>,
    changed: Condvar,
    told: Notify,
}

impl News {
    /// Returns how much news there has been.
    pub(super) fn count(&self) -> u64 {
        // Acquire and release: who sees the count also sees the servers that it is about.
        self.count.load(Ordering::Acquire)
    }

    /// Ends all pauses.
    pub(super) fn tell(&self) {
        let changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.count.fetch_add(1, Ordering::Release);
        drop(changing);
        self.changed.notify_all();
        self.told.notify_waiters();
    }

    /// Waits for `pause`, or until there is more news than `seen`. Returns whether the caller wants out.
    pub(super) fn pause(&self, pause: Duration, seen: u64, interrupt: Interrupt) -> bool {
        let until = Instant::now() + pause;
        let mut changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        while self.count() == seen {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.changed.wait_timeout(changing, left.min(SLICE));
            drop(waited.unwrap_or_else(PoisonError::into_inner));
            // It may run any code of the caller's, so the lock is not held.
            if interrupt() {
                return true;
            }
            changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        }
        false
    }

    /// As [`pause`](Self::pause), for a task.
    pub(super) async fn pause_task(&self, pause: Duration, seen: u64) {
        let told = self.told.notified();
        // Made before the count is looked at, it hears whatever is told from then on.
        if self.count() == seen {
            let _ = timeout_at((Instant::now() + pause).into(), told).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{ClientOptions, Endpoint, Topology};
    use crate::transport::slots::Range;
    use crate::transport::{Servers, Settings};
    use std::thread;

    const LONG: Duration = Duration::from_secs(60);

    #[expect(clippy::disallowed_methods, reason = "a test has no bridge")]
    fn pause_in_task(news: &News, seen: u64) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(news.pause_task(LONG, seen));
    }

    #[test]
    fn another_set_of_servers_is_news_and_a_second_look_is_not() {
        let topology = Topology::Cluster { seeds: Vec::new() };
        let options = ClientOptions { topology, ..ClientOptions::default() };
        let servers = Servers::new(Settings::new(options));
        let mut counts = Vec::new();
        for ports in [[7001, 7002], [7001, 7002], [7001, 7003], [7003, 7001], [7003, 7003]] {
            let slots = [(0, 100), (101, 16383)];
            let ranges = slots.into_iter().zip(ports).map(|((first, last), port)| Range {
                first,
                last,
                owner: Endpoint::tcp("127.0.0.1", port),
                has_replicas: true,
            });
            servers.set_slots(&ranges.collect::<Vec<_>>());
            counts.push(servers.news.count());
        }
        assert_eq!(counts, [1, 1, 2, 2, 3]);
    }

    #[test]
    fn news_ends_the_pauses_of_threads_and_tasks() {
        let news = News::default();
        let began = Instant::now();
        thread::scope(|scope| {
            scope.spawn(|| assert!(!news.pause(LONG, 0, || false)));
            scope.spawn(|| pause_in_task(&news, 0));
            assert!(!news.pause(Duration::from_millis(50), 0, || false)); // until both wait
            news.tell();
        });
        assert!(began.elapsed() < LONG / 2);
    }

    #[test]
    fn what_was_told_during_the_attempt_leaves_no_pause() {
        let news = News::default();
        let seen = news.count();
        news.tell();
        let began = Instant::now();
        assert!(!news.pause(LONG, seen, || false));
        pause_in_task(&news, seen);
        assert!(began.elapsed() < LONG / 2);
    }

    #[test]
    fn a_pause_without_news_takes_its_time_and_can_be_left() {
        let news = News::default();
        let began = Instant::now();
        assert!(!news.pause(Duration::from_millis(30), 0, || false));
        assert!(began.elapsed() >= Duration::from_millis(30));
        assert!(news.pause(LONG, 0, || true));
        assert!(began.elapsed() < LONG / 2);
    }
}
