//! One server: its address, the connections to it, and whether it can be relied on just now.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::address::{Address, patience};
use super::confirming::Confirming;
use super::gate::Gate;
use super::links::Links;
use super::pool::Pool;
use crate::call::Failure;

/// A server and the connections to it, for blocking and for asyncio calls.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) address: Address,
    pub(super) pool: Pool,
    pub(super) links: Links,
    gate: Arc<Gate>,
    /// Whether the last thing that is known of it is a failure.
    suspect: AtomicBool,
    /// Another number for each life that it has had, as far as we can tell.
    life: AtomicU64,
    pub(super) replicas: Confirming,
}

fn next_life() -> u64 {
    static LIVES: AtomicU64 = AtomicU64::new(0);
    // Relaxed: the numbers only have to differ.
    LIVES.fetch_add(1, Ordering::Relaxed)
}

impl Server {
    /// Makes a server; opens no connection.
    pub(super) fn new(address: Address) -> Arc<Self> {
        let gate = Arc::new(Gate::default());
        Arc::new(Self {
            pool: Pool::new(address.clone(), gate.clone()),
            links: Links::new(address.clone(), gate.clone()),
            address,
            gate,
            suspect: AtomicBool::new(false),
            life: AtomicU64::new(next_life()),
            replicas: Confirming::default(),
        })
    }

    /// Returns the longest silence to bear from it.
    pub(super) fn patience(&self) -> Duration {
        patience(&self.address.settings.options.topology, self.is_suspect())
    }

    /// Returns whether it failed last time.
    pub(super) fn is_suspect(&self) -> bool {
        // Relaxed, here and below: a hint that guards nothing.
        self.suspect.load(Ordering::Relaxed)
    }

    /// Takes note of how an attempt ended.
    pub(super) fn note<T>(&self, attempt: &Result<T, Failure>) {
        match attempt {
            Ok(_) => {
                if self.is_suspect() {
                    self.suspect.store(false, Ordering::Relaxed);
                }
                self.gate.clear();
            }
            Err(failure) if failure.lost => {
                self.suspect.store(true, Ordering::Relaxed);
                self.life.store(next_life(), Ordering::Relaxed);
                self.gate.set_back();
            }
            Err(_) => {}
        }
    }

    /// Returns the name by which a request can ask for this server again, as long as it has not
    /// gone away meanwhile: one that was restarted walks its keys in another order.
    pub(super) fn label(&self) -> String {
        format!("{}#{}", self.address.endpoint, self.life.load(Ordering::Relaxed))
    }

    /// Closes every connection to it; calls on their way end as they would have.
    pub(super) fn close(&self) {
        self.pool.close();
        self.links.close();
    }
}
