//! Drives plans on the caller's own thread.
//!
//! No runtime and no thread: a call is one write and one read on a socket of the pool, which is as
//! fast as the kernel allows, survives a fork, and lets Ctrl-C through.

use super::pool::Pool;
use super::{is_demoted, stream, transient_failure};
use crate::call::{Call, Failure, Interrupt, Retry};
use crate::error::{Error, ErrorKind, Result};
use crate::plan::{Plan, Reply, Request, Step};
use crate::store::Answer;

/// Drives `plan` to its end.
///
/// # Errors
/// What the plan says, or that the server could not be asked before the call's deadline.
pub(crate) fn drive(
    plan: &mut dyn Plan,
    pool: &Pool,
    call: &mut Call,
    interrupt: Interrupt,
) -> Result<Answer> {
    loop {
        let replies = ask(plan, pool, call, interrupt)?;
        match plan.advance(replies).map_err(|error| call.fail(&error, false, || plan.op_id()))? {
            Step::Done(answer) => return Ok(answer),
            Step::Again => call.next_request(),
        }
    }
}

/// Sends the plan's request until it is answered.
fn ask(
    plan: &mut dyn Plan,
    pool: &Pool,
    call: &mut Call,
    interrupt: Interrupt,
) -> Result<Vec<Reply>> {
    loop {
        call.attempt();
        let failure = match attempt(plan.request(), pool, call, interrupt) {
            Ok(replies) => match transient_failure(plan.request(), &replies) {
                None => return Ok(replies),
                Some(failure) => failure,
            },
            Err(failure) => failure,
        };
        let writes = plan.request().writes;
        let pause = call.after(&failure, writes, || plan.op_id())?;
        if stream::pause(pause, interrupt).is_err() {
            return Err(call.report(&Error::new(ErrorKind::Interrupted, "interrupted"), false));
        }
    }
}

fn attempt(
    request: &Request,
    pool: &Pool,
    call: &Call,
    interrupt: Interrupt,
) -> Result<Vec<Reply>, Failure> {
    if request.commands.is_empty() {
        return Ok(Vec::new());
    }
    let mut lease = pool.lease(call.deadline(), interrupt)?;
    let Some(connection) = lease.connection() else { return Ok(Vec::new()) };
    let replies =
        connection.exchange(pool.options(), request, call.form(), call.deadline(), interrupt);
    match &replies {
        // A primary that has become a replica: the next connection may find the new one.
        Ok(replies) if is_demoted(replies) => pool.drop_idle(),
        Ok(_) => lease.keep(),
        // One that lay idle was dead, so the server was away: the others are dead, too.
        Err(failure) if failure.retry == Retry::AtOnce => pool.drop_idle(),
        Err(_) => {}
    }
    replies
}
