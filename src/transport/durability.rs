//! Writes that replicas have, too, before they count as done.
//!
//! Redis answers a write before it sends it to its replicas, and a primary that is killed in between
//! takes it along. `WAIT` closes the gap for the time of one trip to a replica.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use super::confirming::Confirmed;
use super::server::Server;
use crate::error::{Error, ErrorKind, Result};
use crate::options::Durability;
use crate::plan::{Command, Reply, Request};
use crate::refusal::refused;

/// The longest that a server waits for replicas that must have a write.
const LONGEST_WAIT: Duration = Duration::from_millis(500);
/// The longest that it waits for a replica that should: longer than a busy machine's hiccup, since
/// what a hiccup lets through is lost if the primary dies in it.
const SHORT_WAIT: Duration = Duration::from_millis(250);

/// A request, and `WAIT` after it if it writes and replicas are to have what it wrote.
///
/// `WAIT` covers everything the server had written when it came, so a write that turns out to have
/// been applied by an earlier attempt is waited for as well. It is sent again with a script that the server
/// did not know: what it was told before was about earlier writes.
#[derive(Debug)]
pub(super) struct Durable<'a> {
    request: Cow<'a, Request>,
    /// What was asked for, if anything was.
    asked: Option<Durability>,
    /// For how long the server may wait for replicas.
    wait: Duration,
}

impl<'a> Durable<'a> {
    pub(super) fn new(mut request: Cow<'a, Request>, server: &Server, deadline: Instant) -> Self {
        let durability = server.address.settings.options.durability;
        // A third of what is left: it may wait twice, the second time for a script that it did not know.
        let most = || deadline.saturating_duration_since(Instant::now()) / 3;
        let (replicas, time) = match durability {
            Durability::Replicated(replicas) => (replicas, LONGEST_WAIT.min(most())),
            Durability::Confirmed if server.replicas.is_likely() => (1, SHORT_WAIT.min(most())),
            Durability::Confirmed | Durability::Ack => (0, Duration::ZERO),
        };
        if replicas == 0 || !request.writes {
            return Self { request, asked: None, wait: Duration::ZERO };
        }
        request.to_mut().commands.push(Command::wait(replicas, time));
        Self { request, asked: Some(durability), wait: time }
    }

    /// Returns how long to bear a server's silence, which may be its waiting for replicas.
    pub(super) fn patience(&self, patience: Duration) -> Duration {
        patience.max(self.wait * 2)
    }

    /// Returns whether replicas are asked.
    pub(super) fn is_asked(&self) -> bool {
        self.asked.is_some()
    }

    pub(super) fn request(&self) -> &Request {
        &self.request
    }

    /// Takes the reply to `WAIT` off. Returns whether enough replicas have what was written, where
    /// that matters to the caller; otherwise the server remembers it.
    pub(super) fn take(&self, replies: &mut Vec<Reply>, server: &Server) -> Option<Result<()>> {
        let asked = self.asked?;
        let (have, refusal) = match replies.pop() {
            Some(Reply::Integer(have)) => (u32::try_from(have).unwrap_or_default(), None),
            Some(Reply::Error(error)) => (0, Some(refused(&error))),
            _ => (0, None),
        };
        if let Durability::Replicated(wanted) = asked {
            let shortage = || Err(shortage(wanted, have, refusal.as_ref()));
            return Some(if have < wanted { shortage() } else { Ok(()) });
        }
        server.replicas.note(match refusal {
            Some(_) => Confirmed::Refused,
            None if have == 0 => Confirmed::No,
            None => Confirmed::Yes,
        });
        None
    }
}

fn shortage(wanted: u32, have: u32, refusal: Option<&Error>) -> Error {
    let message = match refusal {
        Some(refusal) => format!("the primary has it, but replicas could not be asked: {refusal}"),
        None => format!(
            "the primary has it, but only {have} of {wanted} replicas said in time that they do; \
             check the replicas, and repeat the call if it must outlive the primary"
        ),
    };
    Error::new(ErrorKind::NotEnoughReplicas { written: true }, message)
}
