//! A round of many calls on blocking connections, one to each server.
//!
//! A window is sent before the replies to the one before it are read: while one side packs or reads,
//! the other works.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use super::address::Bounds;
use super::calls::{BeginMore, Calls, Members, Outcome, Share, Window};
use super::durability::Durable;
use super::is_demoted;
use super::pool::Lease;
use super::server::Server;
use super::servers::Servers;
use crate::call::{Failure, Retry};
use crate::error::ErrorKind;

/// Brings all calls to their servers, and those that `begin_more` adds meanwhile.
pub(super) fn visit_all(
    calls: &mut Calls,
    servers: &Arc<Servers>,
    begin_more: BeginMore<'_>,
    mut bounds: Bounds,
) {
    let mut shares = calls.join_round(servers, bounds.began);
    while !shares.is_empty() {
        shares = visit(calls, servers, shares, begin_more, &mut bounds);
    }
}

/// Brings every share to its server. All get a window before the replies of the first are read, so
/// that they work at the same time, too. Returns what was added meanwhile for other servers.
fn visit(
    calls: &mut Calls,
    servers: &Arc<Servers>,
    mut shares: Vec<Share>,
    begin_more: BeginMore<'_>,
    bounds: &mut Bounds,
) -> Vec<Share> {
    // In one order for all threads: else two could each hold the connection that the other waits for.
    shares.sort_by_cached_key(|share| share.server.address.endpoint.to_string());
    let visited: Vec<Arc<Server>> = shares.iter().map(|share| share.server.clone()).collect();
    let mut visits = Vec::with_capacity(visited.len());
    for (Share { windows, .. }, server) in shares.into_iter().zip(&visited) {
        let bounds = Bounds { patience: server.patience(), ..*bounds };
        match server.pool.lease(true, bounds) {
            Ok(lease) => {
                let (sent, demoted) = Default::default();
                visits.push(Visit { server, lease, bounds, windows, sent, demoted });
            }
            Err(failure) => {
                servers.note(server, &Err::<(), _>(failure.clone()));
                for window in windows {
                    calls.failed(&window.members, &failure);
                }
                if *failure.error.kind() == ErrorKind::Interrupted {
                    return Vec::new(); // it ends all calls
                }
            }
        }
    }
    let mut elsewhere = Vec::new();
    while !visits.is_empty() {
        visits.iter_mut().for_each(Visit::send);
        let is_short_of_work = visits.iter().any(|visit| visit.windows.is_empty());
        if is_short_of_work
            && elsewhere.is_empty()
            && let Some(spent) = begin_more(calls)
        {
            bounds.deadline += spent;
            for visit in &mut visits {
                visit.put_off(spent);
            }
            for share in calls.join_round(servers, bounds.began) {
                let is_its =
                    |visit: &&mut Visit<'_>| ptr::eq(visit.server, &raw const *share.server);
                match visits.iter_mut().find(is_its) {
                    Some(visit) => visit.windows.extend(share.windows),
                    None => elsewhere.push(share),
                }
            }
        }
        let mut going = Vec::with_capacity(visits.len());
        for mut visit in visits {
            let failure = visit.receive(calls, servers);
            match failure {
                None if visit.is_over() => visit.end(),
                None => going.push(visit),
                Some(failure) => {
                    let wants_out = *failure.error.kind() == ErrorKind::Interrupted;
                    visit.break_off(calls, &failure);
                    if wants_out {
                        return Vec::new(); // it ends all calls
                    }
                }
            }
        }
        visits = going;
    }
    elsewhere
}

/// The windows for one server, and the connection that they go by.
struct Visit<'a> {
    server: &'a Server,
    lease: Lease<'a>,
    bounds: Bounds,
    windows: VecDeque<Window>,
    /// Those on their way, at most two.
    sent: VecDeque<Sent>,
    /// Whether the server said that it is a replica now.
    demoted: bool,
}

/// A window on its way.
struct Sent {
    members: Members,
    durable: Durable<'static>,
    bounds: Bounds,
    failure: Option<Failure>,
}

impl Visit<'_> {
    /// Sends the next window.
    fn send(&mut self) {
        if self.is_broken() {
            return;
        }
        let Some(Window { request, members, manner, .. }) = self.windows.pop_front() else {
            return;
        };
        let durable = Durable::new(Cow::Owned(request), self.server, self.bounds.deadline);
        let patience = durable.patience(manner.patience(self.bounds.patience));
        let bounds = Bounds { patience, ..self.bounds };
        let Some(connection) = self.lease.connection() else { return };
        let sent = connection.send(&self.server.address, durable.request(), manner.form, bounds);
        self.sent.push_back(Sent { members, durable, bounds, failure: sent.err() });
    }

    /// Returns whether a window could not be sent: there may still be replies to the one before it.
    fn is_broken(&self) -> bool {
        self.sent.back().is_some_and(|sent| sent.failure.is_some())
    }

    /// Has the time of what is on its way stand still: `span` of it does not count.
    fn put_off(&mut self, span: Duration) {
        self.bounds.deadline += span;
        self.sent.iter_mut().for_each(|sent| sent.bounds.deadline += span);
    }

    fn is_over(&self) -> bool {
        self.windows.is_empty() && self.sent.is_empty()
    }

    /// Reads the replies to a window, once the one after it was sent; returns why there are none, or
    /// not all.
    fn receive(&mut self, calls: &mut Calls, servers: &Arc<Servers>) -> Option<Failure> {
        if self.sent.len() < 2 && !self.windows.is_empty() && !self.is_broken() {
            return None;
        }
        let Sent { members, durable, bounds, failure } = self.sent.pop_front()?;
        let request = durable.request();
        let mut replies = Vec::with_capacity(request.commands.len());
        let failure = failure.or_else(|| {
            let connection = self.lease.connection()?;
            let count = request.commands.len();
            connection.receive(&self.server.address, count, bounds, &mut replies).err()
        });
        servers.note(self.server, &failure.clone().map_or(Ok(()), Err));
        self.demoted |= is_demoted(&replies);
        let outcome = Outcome::new(&durable, self.server, replies, failure.clone());
        calls.settle(servers, self.server, &members, outcome);
        failure
    }

    /// Gives the connection back: it has no reply outstanding.
    fn end(self) {
        if self.demoted {
            self.server.pool.drop_idle(); // the next connection may find the new primary
        } else {
            self.lease.keep();
        }
    }

    /// Gives the connection up.
    fn break_off(self, calls: &mut Calls, failure: &Failure) {
        // If one that lay idle was dead, the others are dead, too.
        if failure.retry == Retry::AtOnce || failure.timed_out {
            self.server.pool.drop_idle();
        }
        for sent in self.sent {
            calls.failed(&sent.members, failure);
        }
        let unsent = Failure { sent: false, ..failure.clone() };
        for window in self.windows {
            calls.failed(&window.members, &unsent);
        }
    }
}
