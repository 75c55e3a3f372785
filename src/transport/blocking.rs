//! Drives plans on the caller's own thread.
//!
//! No runtime and no thread: a call is one write and one read on a socket of the pool, which is as
//! fast as the kernel allows, survives a fork, and lets Ctrl-C through.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use super::address::Bounds;
use super::calls::{BeginMore, Calls};
use super::durability::Durable;
use super::server::Server;
use super::servers::{Servers, Target};
use super::visit::visit_all;
use super::{GLANCE, closed, gone, is_demoted, labelled, settled, stream, transient_failure};
use crate::call::{Call, Failure, Interrupt, Manner, PATIENCE, Retry};
use crate::error::{Error, ErrorKind, Result};
use crate::plan::{Plan, Reply, Request, Step};
use crate::store::Answer;

/// Drives `plan` to its end.
///
/// # Errors
/// What the plan says, or that the server could not be asked before the call's deadline.
pub(crate) fn drive(
    plan: &mut dyn Plan,
    servers: &Arc<Servers>,
    call: &mut Call,
    interrupt: Interrupt,
) -> Result<Answer> {
    loop {
        let seen = servers.news.count();
        let replies = ask(plan, servers, call, interrupt)?;
        match plan.advance(replies).map_err(|error| call.fail(&error, false, || plan.op_id()))? {
            Step::Done(answer) => return settled(answer, call),
            Step::Again => call.next_request(),
            Step::Later(error) => {
                let failure = servers.disagreement(error);
                pause_after(&failure, plan, servers, seen, call, interrupt)?;
            }
        }
    }
}

/// Drives many plans to their ends, and those that `begin_more` adds meanwhile.
///
/// # Errors
/// That the caller wants out.
pub(crate) fn drive_all(
    calls: &mut Calls,
    servers: &Arc<Servers>,
    begin_more: BeginMore<'_>,
    interrupt: Interrupt,
) -> Result<()> {
    while !calls.are_over() || begin_more(calls).is_some() {
        if servers.is_closed() {
            calls.close();
        }
        let Some((deadline, request)) = calls.waiting() else { continue };
        let (began, seen) = (Instant::now(), servers.news.count());
        let bounds = Bounds { began, deadline, patience: PATIENCE, interrupt };
        // It says where one request goes, or why not; by then it is known where the others go.
        if let Err(failure) = find(request, servers, bounds)
            && *failure.error.kind() == ErrorKind::Interrupted
        {
            return Err(failure.error);
        }
        visit_all(calls, servers, begin_more, bounds);
        let pause = calls.end_round()?;
        if servers.news.pause(pause, seen, interrupt) {
            return Err(Error::new(ErrorKind::Interrupted, "interrupted"));
        }
    }
    Ok(())
}

/// Sends the plan's request until it is answered.
fn ask(
    plan: &mut dyn Plan,
    servers: &Arc<Servers>,
    call: &mut Call,
    interrupt: Interrupt,
) -> Result<Vec<Reply>> {
    let mut detour = None;
    loop {
        if servers.is_closed() {
            return Err(call.fail(&closed(), false, || plan.op_id()));
        }
        call.attempt();
        let seen = servers.news.count();
        let (began, deadline) = (call.began(), call.deadline());
        let bounds = Bounds { began, deadline, patience: PATIENCE, interrupt };
        let failure = match attempt(plan.request(), servers, call, &mut detour, bounds) {
            Ok(replies) => match transient_failure(&replies) {
                None => return Ok(replies),
                Some(failure) => failure,
            },
            Err(failure) => failure,
        };
        pause_after(&failure, plan, servers, seen, call, interrupt)?;
    }
}

/// Waits for when the next attempt is due: after a pause, or at once if there is more news of servers
/// than was `seen` when the last one began.
///
/// # Errors
/// That there is to be none, or that the caller wants out.
fn pause_after(
    failure: &Failure,
    plan: &mut dyn Plan,
    servers: &Servers,
    seen: u64,
    call: &mut Call,
    interrupt: Interrupt,
) -> Result<()> {
    let writes = plan.request().writes;
    let pause = call.after(failure, writes, || plan.op_id())?;
    if servers.news.pause(pause, seen, interrupt) {
        return Err(call.report(&Error::new(ErrorKind::Interrupted, "interrupted"), false));
    }
    Ok(())
}

fn attempt(
    request: &Request,
    servers: &Arc<Servers>,
    call: &mut Call,
    detour: &mut Option<Arc<Server>>,
    bounds: Bounds,
) -> Result<Vec<Reply>, Failure> {
    if request.commands.is_empty() {
        return Ok(Vec::new());
    }
    let (server, replies) = if let Some(server) = detour.take() {
        let asking = request.asking();
        let replies = exchange(&asking, servers, &server, call, bounds)?;
        (server, asking.without_asking(replies))
    } else {
        match find(request, servers, bounds)? {
            Target::One(server) => {
                let replies = exchange(request, servers, &server, call, bounds)?;
                (server, replies)
            }
            Target::Every(all) => {
                let ask = |server: Arc<Server>| {
                    let replies = exchange(request, servers, &server, call, bounds)?;
                    labelled(&server, replies)
                };
                return all.into_iter().map(ask).collect();
            }
            Target::Gone => return Ok(gone(request)),
            Target::Unknown => return Err(servers.unknown()),
        }
    };
    match servers.redirection(&server, &replies) {
        None => Ok(replies),
        Some(redirection) => {
            *detour = redirection.detour;
            Err(redirection.failure)
        }
    }
}

/// Says whom to ask, waiting a while for that to be known.
fn find(request: &Request, servers: &Arc<Servers>, bounds: Bounds) -> Result<Target, Failure> {
    let until = bounds.deadline.min(bounds.began + bounds.patience);
    loop {
        match servers.target(request, bounds.began)? {
            Target::Unknown if Instant::now() < until => {
                stream::pause(GLANCE, bounds.interrupt).map_err(|_| {
                    let error = Error::new(ErrorKind::Interrupted, "interrupted");
                    Failure::before_sending(error, Retry::Never)
                })?;
            }
            target => return Ok(target),
        }
    }
}

fn exchange(
    request: &Request,
    servers: &Arc<Servers>,
    server: &Server,
    call: &mut Call,
    bounds: Bounds,
) -> Result<Vec<Reply>, Failure> {
    let durable = Durable::new(Cow::Borrowed(request), server, bounds.deadline);
    let bounds = Bounds { patience: durable.patience(server.patience()), ..bounds };
    let replies = exchange_on(durable.request(), server, call.manner(), bounds);
    servers.note(server, &replies);
    let mut replies = replies?;
    if let Some(enough) = durable.take(&mut replies, server) {
        call.note_replicas(enough.err());
    }
    Ok(replies)
}

fn exchange_on(
    request: &Request,
    server: &Server,
    manner: Manner,
    bounds: Bounds,
) -> Result<Vec<Reply>, Failure> {
    let pool = &server.pool;
    let mut lease = pool.lease(request.writes, bounds)?;
    let Some(connection) = lease.connection() else { return Ok(Vec::new()) };
    // A new connection has just shown that the server is there: now its silence may mean work.
    let bounds = Bounds { patience: manner.patience(bounds.patience), ..bounds };
    let replies = connection.exchange(&server.address, request, manner.form, bounds);
    match &replies {
        // A primary that has become a replica: the next connection may find the new one.
        Ok(replies) if is_demoted(replies) => pool.drop_idle(),
        Ok(_) => lease.keep(),
        // One that lay idle was dead, so the server was away: the others are dead, too. After a
        // silence a new connection tells whether the server is there at all.
        Err(failure) if failure.retry == Retry::AtOnce || failure.timed_out => pool.drop_idle(),
        Err(_) => {}
    }
    replies
}
