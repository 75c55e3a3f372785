//! Drives plans as futures, on an event loop's thread or on the runtime.

use std::borrow::Cow;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use tokio::task::yield_now;
use tokio::time::{sleep, timeout_at};

use super::address::Bounds;
use super::durability::Durable;
use super::server::Server;
use super::servers::{Servers, Target};
use super::{GLANCE, closed, gone, labelled, settled, transient_failure};
use crate::call::{Call, Failure, PATIENCE};
use crate::error::Result;
use crate::plan::{Plan, Reply, Request, Step};
use crate::reactor::Home;
use crate::store::Answer;

/// Drives `plan` to its end.
///
/// # Errors
/// What the plan says, or that the server could not be asked before the call's deadline.
pub(crate) async fn drive(
    plan: &mut dyn Plan,
    servers: &Arc<Servers>,
    call: &mut Call,
    home: &Home,
) -> Result<Answer> {
    let mut detour = None;
    loop {
        if servers.is_closed() {
            return Err(call.fail(&closed(), false, || plan.op_id()));
        }
        call.attempt();
        let seen = servers.news.count();
        let failure = match attempt(plan.request(), servers, call, &mut detour, home).await {
            Ok(replies) => match transient_failure(&replies) {
                None => {
                    let step = plan.advance(replies);
                    match step.map_err(|error| call.fail(&error, false, || plan.op_id()))? {
                        Step::Done(answer) => return settled(answer, call),
                        Step::Again => {
                            call.next_request();
                            continue;
                        }
                        Step::Later(error) => servers.disagreement(error),
                    }
                }
                Some(failure) => failure,
            },
            Err(failure) => failure,
        };
        let writes = plan.request().writes;
        let pause = call.after(&failure, writes, || plan.op_id())?;
        servers.news.pause_task(pause, seen).await;
    }
}

async fn attempt(
    request: &Request,
    servers: &Arc<Servers>,
    call: &mut Call,
    detour: &mut Option<Arc<Server>>,
    home: &Home,
) -> Result<Vec<Reply>, Failure> {
    if request.commands.is_empty() {
        return Ok(Vec::new());
    }
    let (server, replies) = if let Some(server) = detour.take() {
        let asking = request.asking();
        let replies = exchange(&asking, servers, &server, call, home).await?;
        (server, asking.without_asking(replies))
    } else {
        match find(request, servers, call.deadline()).await? {
            Target::One(server) => {
                let replies = exchange(request, servers, &server, call, home).await?;
                (server, replies)
            }
            Target::Every(all) => {
                let mut replies = Vec::with_capacity(all.len());
                for server in all {
                    let answered = exchange(request, servers, &server, call, home).await?;
                    replies.push(labelled(&server, answered)?);
                }
                return Ok(replies);
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
async fn find(
    request: &Request,
    servers: &Arc<Servers>,
    deadline: Instant,
) -> Result<Target, Failure> {
    let since = Instant::now();
    let until = deadline.min(since + PATIENCE);
    loop {
        match servers.target(request, since)? {
            Target::Unknown if Instant::now() < until => sleep(GLANCE).await,
            target => return Ok(target),
        }
    }
}

async fn exchange(
    request: &Request,
    servers: &Arc<Servers>,
    server: &Server,
    call: &mut Call,
    home: &Home,
) -> Result<Vec<Reply>, Failure> {
    let (began, deadline) = (call.began(), call.deadline());
    let durable = Durable::new(Cow::Borrowed(request), server, deadline);
    let patience = durable.patience(server.patience());
    let bounds = Bounds { began, deadline, patience, interrupt: || false };
    let replies = server.links.exchange(durable.request(), call.manner(), bounds, home).await;
    servers.note(server, &replies);
    let mut replies = replies?;
    if let Some(enough) = durable.take(&mut replies, server) {
        call.note_replicas(enough.err());
    }
    Ok(replies)
}

/// Awaits `work` until nothing has moved for longer than patience lasts, or the deadline.
///
/// Returns `None` if it was given up; `last` says when something last moved.
pub(super) async fn patiently<T>(
    work: impl Future<Output = T>,
    bounds: Bounds,
    last: impl Fn() -> Instant,
) -> Option<T> {
    let began = Instant::now();
    let mut work = pin!(work);
    loop {
        let until = bounds.deadline.min(last().max(began) + bounds.patience);
        if let Ok(done) = timeout_at(until.into(), &mut work).await {
            return Some(done);
        }
        let is_over = || bounds.deadline.min(last().max(began) + bounds.patience) <= Instant::now();
        if is_over() {
            // An event loop that was busy all the while has heard neither: what came first counts.
            yield_now().await;
            if let Poll::Ready(done) =
                poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await
            {
                return Some(done);
            }
            if is_over() {
                return None;
            }
        }
    }
}
