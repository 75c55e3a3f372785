//! Many calls that go together.
//!
//! They go in rounds. In each, every call that is not over says what to send, also those that join when
//! it is under way; what goes to one
//! server travels together, in windows; and what comes of it is to each call what it would be if it
//! had gone alone. So attempts, doubt and redirections have no rules of their own here.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::durability::Durable;
use super::server::Server;
use super::servers::{Servers, Target};
use super::{closed, settled, transient_failure};
use crate::call::{Call, Failure, Manner, Retry};
use crate::error::{Error, ErrorKind, Result};
use crate::plan::{Plan, Reply, Request, Step};
use crate::refusal::refused;
use crate::store::Answer;

/// What a window may hold; two are under way to a server at a time.
///
/// A blocking connection reads no reply while it sends a window, and somebody in between may take no
/// more requests until the replies are taken. So either the requests of two windows or the replies
/// to them fit into the buffers of the smallest socket: reads are small to ask, and writes are small
/// to answer.
struct Room {
    bytes: usize,
    requests: usize,
}

const READS: Room = Room { bytes: 8 << 10, requests: 256 };
const WRITES: Room = Room { bytes: 256 << 10, requests: 256 };

/// Adds calls, if there are more, to those on their way; returns how long nobody could go on meanwhile,
/// or `None` if nothing is left to add.
pub(crate) type BeginMore<'a> = &'a mut dyn FnMut(&mut Calls) -> Option<Duration>;

/// Calls on their way together.
#[derive(Default)]
pub(crate) struct Calls {
    /// Those that are not over.
    items: Vec<Item>,
    /// How many of them take part in this round.
    begun: usize,
    /// What came of the others, and their places.
    over: Vec<(usize, Result<Answer>)>,
    /// How long to pause before the next round.
    pause: Duration,
}

struct Item {
    place: usize,
    call: Call,
    state: State,
    detour: Option<Arc<Server>>,
}

enum State {
    Going(Box<dyn Plan>),
    /// What came of it, in this round. The plan is gone: with it a write gives its lane back, and its
    /// memory, which those that are begun after it get while the processor still has it at hand.
    Over(Result<Answer>),
}

/// What one server is asked in one round.
#[derive(Debug)]
pub(super) struct Share {
    pub(super) server: Arc<Server>,
    pub(super) windows: VecDeque<Window>,
}

/// Requests that travel together, as one.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) request: Request,
    pub(super) members: Members,
    pub(super) manner: Manner,
    size: usize,
    all_write: bool,
}

/// Whose requests a window has, in order.
pub(super) type Members = Vec<Member>;

/// One call's part of a window.
#[derive(Debug)]
pub(super) struct Member {
    item: usize,
    commands: usize,
    /// What is sent where the call is on a detour.
    asking: Option<Request>,
}

/// What came of a window.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The replies that count: all, or those before the failure.
    replies: Vec<Reply>,
    failure: Option<Failure>,
    /// Whether enough replicas have what was written, where that was asked.
    enough: Option<Result<()>>,
}

impl Outcome {
    /// Takes the replies that were read before a failure, if there was one.
    pub(super) fn new(
        durable: &Durable<'_>,
        server: &Server,
        mut replies: Vec<Reply>,
        failure: Option<Failure>,
    ) -> Self {
        let whole = failure.is_none();
        let enough = if whole { durable.take(&mut replies, server) } else { None };
        if !whole && durable.is_asked() {
            replies.clear(); // nobody has said whether replicas have it
        }
        Self { replies, failure, enough }
    }
}

impl Calls {
    /// Adds a call, or what ended it before anything was sent.
    pub(crate) fn add(&mut self, place: usize, begun: Result<(Call, Box<dyn Plan>)>) {
        match begun {
            Ok((call, plan)) => {
                self.items.push(Item { place, call, state: State::Going(plan), detour: None });
            }
            Err(error) => self.over.push((place, Err(error))),
        }
    }

    /// Returns what came of the calls, by their places.
    pub(crate) fn into_answers(mut self) -> Vec<Result<Answer>> {
        self.over.sort_unstable_by_key(|(place, _)| *place);
        self.over.into_iter().map(|(_, answer)| answer).collect()
    }

    /// Has the time of all calls stand still: `span` of it does not count.
    pub(crate) fn put_off(&mut self, span: Duration) {
        self.items.iter_mut().for_each(|item| item.call.put_off(span));
    }

    /// Returns whether all calls are over.
    pub(super) fn are_over(&self) -> bool {
        self.items.is_empty()
    }

    /// Returns the deadline and the request of a call that is not over.
    pub(super) fn waiting(&self) -> Option<(Instant, &Request)> {
        self.items.iter().find_map(|item| match &item.state {
            State::Going(plan) => Some((item.call.deadline(), plan.request())),
            State::Over(_) => None,
        })
    }

    /// Ends those that are not over: the client was closed.
    pub(super) fn close(&mut self) {
        self.items.iter_mut().for_each(|item| item.fail(&closed()));
        self.put_away();
    }

    /// Has all calls that are not over take part in the round; returns what goes to which server, of
    /// those that did not yet. `since` is as for [`Servers::target`].
    pub(super) fn join_round(&mut self, servers: &Arc<Servers>, since: Instant) -> Vec<Share> {
        let mut shares: Vec<Share> = Vec::new();
        let first = std::mem::replace(&mut self.begun, self.items.len());
        for (at, item) in self.items.iter_mut().enumerate().skip(first) {
            let State::Going(plan) = &item.state else { continue };
            item.call.attempt();
            let request = plan.request();
            match target(request, item.detour.take(), servers, since) {
                Ok((server, asking)) => {
                    let is_its = |share: &Share| Arc::ptr_eq(&share.server, &server);
                    let known = shares.iter().position(is_its).unwrap_or(shares.len());
                    if known == shares.len() {
                        shares.push(Share { server, windows: VecDeque::new() });
                    }
                    if let Some(share) = shares.get_mut(known) {
                        share.add(at, request, item.call.manner(), asking);
                    }
                }
                Err(failure) => self.pause = self.pause.max(item.failed(&failure)),
            }
        }
        shares
    }

    /// Takes what came of a window of `server`.
    pub(super) fn settle(
        &mut self,
        servers: &Arc<Servers>,
        server: &Server,
        members: &Members,
        outcome: Outcome,
    ) {
        let Outcome { replies, failure, enough } = outcome;
        let mut replies = replies.into_iter();
        for member in members {
            let Some(item) = self.items.get_mut(member.item) else { continue };
            let own: Vec<Reply> = replies.by_ref().take(member.commands).collect();
            let pause = match &failure {
                Some(failure) if own.len() < member.commands => item.failed(failure),
                _ => item.answered(servers, server, member, own, enough.as_ref()),
            };
            self.pause = self.pause.max(pause);
        }
    }

    /// Takes that there are no replies for these calls.
    pub(super) fn failed(&mut self, members: &Members, failure: &Failure) {
        for member in members {
            let Some(item) = self.items.get_mut(member.item) else { continue };
            self.pause = self.pause.max(item.failed(failure));
        }
    }

    /// Ends a round; returns how long to pause before the next one.
    ///
    /// # Errors
    /// [`ErrorKind::Interrupted`], which ends all of the calls.
    pub(super) fn end_round(&mut self) -> Result<Duration> {
        let interrupted = self.items.iter().find_map(|item| match &item.state {
            State::Over(Err(error)) if *error.kind() == ErrorKind::Interrupted => {
                Some(error.clone())
            }
            _ => None,
        });
        self.put_away();
        self.begun = 0;
        interrupted.map_or(Ok(std::mem::take(&mut self.pause)), Err)
    }

    /// Puts away what came of the calls that are over.
    fn put_away(&mut self) {
        let over = |item: &mut Item| matches!(item.state, State::Over(_));
        for item in self.items.extract_if(.., over) {
            if let State::Over(outcome) = item.state {
                self.over.push((item.place, outcome));
            }
        }
    }
}

impl Share {
    /// Adds the request of an item to the last window, or to a new one if that has no room.
    fn add(&mut self, at: usize, request: &Request, manner: Manner, asking: Option<Request>) {
        let request = asking.as_ref().unwrap_or(request);
        let size = request.size();
        if !self.windows.back().is_some_and(|last| last.has_room(size, request.writes)) {
            self.windows.push_back(Window::new(manner));
        }
        let Some(window) = self.windows.back_mut() else { return };
        window.size += size;
        window.all_write &= request.writes;
        window.request.writes |= request.writes;
        window.request.commands.extend(request.commands.iter().cloned());
        window.manner = window.manner.and(manner);
        window.members.push(Member { item: at, commands: request.commands.len(), asking });
    }
}

impl Window {
    fn new(manner: Manner) -> Self {
        let (request, members) = (Request::read([]), Vec::new());
        Self { request, members, manner, size: 0, all_write: true }
    }

    fn has_room(&self, size: usize, writes: bool) -> bool {
        let room = if self.all_write && writes { WRITES } else { READS };
        self.size + size <= room.bytes && self.members.len() < room.requests
    }
}

impl Item {
    /// Takes the replies to its request; returns how long to pause before it is sent again.
    fn answered(
        &mut self,
        servers: &Arc<Servers>,
        server: &Server,
        member: &Member,
        replies: Vec<Reply>,
        enough: Option<&Result<()>>,
    ) -> Duration {
        let State::Going(plan) = &mut self.state else { return Duration::ZERO };
        let request = plan.request();
        if let (true, Some(enough)) = (request.writes, enough) {
            self.call.note_replicas(enough.clone().err());
        }
        let replies = match &member.asking {
            Some(asking) => asking.without_asking(replies),
            None => replies,
        };
        if let Some(redirection) = servers.redirection(server, &replies) {
            self.detour = redirection.detour;
            return self.failed(&redirection.failure);
        }
        let failure = transient_failure(&replies).or_else(|| unknown(request, &replies));
        if let Some(failure) = failure {
            return self.failed(&failure);
        }
        match plan.advance(replies) {
            Err(error) => self.fail(&error),
            Ok(Step::Done(answer)) => self.state = State::Over(settled(answer, &self.call)),
            Ok(Step::Again) => self.call.next_request(),
            Ok(Step::Later(error)) => return self.failed(&servers.disagreement(error)),
        }
        Duration::ZERO
    }

    /// Takes a failed attempt; returns how long to pause before the next one.
    fn failed(&mut self, failure: &Failure) -> Duration {
        let State::Going(plan) = &mut self.state else { return Duration::ZERO };
        let writes = plan.request().writes;
        let next = self.call.after(failure, writes, || plan.op_id());
        next.unwrap_or_else(|error| {
            self.state = State::Over(Err(error));
            Duration::ZERO
        })
    }

    fn fail(&mut self, error: &Error) {
        if let State::Going(plan) = &mut self.state {
            let error = self.call.fail(error, false, || plan.op_id());
            self.state = State::Over(Err(error));
        }
    }
}

/// Returns who is to be asked, and what, where that is not the request itself.
fn target(
    request: &Request,
    detour: Option<Arc<Server>>,
    servers: &Arc<Servers>,
    since: Instant,
) -> Result<(Arc<Server>, Option<Request>), Failure> {
    if let Some(server) = detour {
        return Ok((server, Some(request.asking())));
    }
    match servers.target(request, since)? {
        Target::One(server) => Ok((server, None)),
        Target::Every(_) | Target::Gone | Target::Unknown => Err(servers.unknown()),
    }
}

/// Returns the failure of a script that the server did not know, though another of the window was to
/// tell it: that one went elsewhere.
fn unknown(request: &Request, replies: &[Reply]) -> Option<Failure> {
    let at = request.to_send_again(replies).into_iter().next()?;
    match replies.get(at) {
        Some(Reply::Error(error)) => {
            let sent = request.commands.len() > 1;
            Some(Failure { sent, ..Failure::before_sending(refused(error), Retry::AtOnce) })
        }
        _ => None,
    }
}
