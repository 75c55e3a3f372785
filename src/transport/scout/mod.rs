//! Finds out where memories are, apart from the calls that need to know.
//!
//! Only clients of sentinels and clusters have scouts: threads that ask and listen, and tell
//! `Servers` what they learn. So a call never waits for a sentinel or node that hangs while
//! another answers, however many calls fail at once there is one search, and both transports share
//! it. The threads know no Python, and end when the client is closed or dropped.

mod cluster;
mod sentinel;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, poll};

use self::sentinel::{Sentinel, Views};
use super::address::{Address, Bounds, Role, SHORT_PATIENCE};
use super::connection::Connection;
use super::servers::Servers;
use super::stream::timespec;
use crate::call::{Failure, Retry};
use crate::error::{Error, ErrorKind};
use crate::options::{Endpoint, Topology};
use crate::plan::{Command, Request};
use crate::wake::Wake;

/// The shortest time between two looks, however many calls ask for one.
const SHORTEST_REST: Duration = Duration::from_millis(50);
/// The longest: what nobody has complained of is looked at anyway.
const LONGEST_REST: Duration = Duration::from_secs(15);
/// How long one sentinel or node may take to answer.
const ANSWER_TIME: Duration = Duration::from_millis(500);

/// The threads that look around for one client.
#[derive(Debug)]
pub(super) struct Scout {
    bells: Vec<Arc<Wake>>,
}

impl Scout {
    /// Starts to look around for `servers`.
    pub(super) fn start(servers: &Arc<Servers>) -> Self {
        let bells = match &servers.settings.options.topology {
            Topology::Single(_) => Vec::new(),
            Topology::Cluster { seeds } => {
                let (team, seeds) = (Arc::downgrade(servers), seeds.clone());
                vec![start(servers, move |bell| cluster::watch(&team, &seeds, &bell))]
            }
            Topology::Sentinel { sentinels, service } => {
                let views = Arc::new(Views::new(sentinels.len()));
                let watch = |(at, endpoint): (usize, &Endpoint)| {
                    let (endpoint, settings) = (endpoint.clone(), servers.settings.clone());
                    let address = Address { endpoint, role: Role::Sentinel, settings };
                    let mut sentinel = Sentinel::new(address, service.clone());
                    let (team, views) = (Arc::downgrade(servers), views.clone());
                    start(servers, move |bell| sentinel.watch(at, &team, &views, &bell))
                };
                sentinels.iter().enumerate().map(watch).collect()
            }
        };
        Self { bells: bells.into_iter().flatten().collect() }
    }

    /// Has every thread look now, or soon if it has just looked.
    pub(super) fn ring(&self) {
        self.bells.iter().for_each(|bell| bell.ring());
    }
}

/// Starts a thread; what keeps it from starting is what the client's calls will say.
fn start(
    servers: &Arc<Servers>,
    watch: impl FnOnce(Arc<Wake>) + Send + 'static,
) -> Option<Arc<Wake>> {
    let started = Wake::new().and_then(|bell| {
        let bell = Arc::new(bell);
        let ours = bell.clone();
        let thread = std::thread::Builder::new().name("redember-scout".into());
        thread.spawn(move || watch(ours)).map(|_| bell)
    });
    let failed = |problem: &io::Error| {
        let message = format!("cannot look for servers: {problem}");
        let error = Error::new(ErrorKind::Unavailable, message);
        servers.set_unknown(Failure::before_sending(error, Retry::Later));
    };
    started.inspect_err(failed).ok()
}

/// Waits until the bell rings, `socket` has something to read, or the rest is over.
fn rest(bell: &Wake, socket: Option<&Connection>) {
    let wait = |sources: &mut [PollFd<'_>], time| {
        let _ = poll(sources, Some(&timespec(time)));
    };
    wait(&mut [], SHORTEST_REST);
    match socket {
        Some(socket) => wait(
            &mut [PollFd::new(bell, PollFlags::IN), PollFd::new(socket, PollFlags::IN)],
            LONGEST_REST,
        ),
        None => wait(&mut [PollFd::new(bell, PollFlags::IN)], LONGEST_REST),
    }
    bell.quiet();
}

fn bounds() -> Bounds {
    let began = Instant::now();
    Bounds { began, deadline: began + ANSWER_TIME, patience: SHORT_PATIENCE, interrupt: || false }
}

fn request(commands: &[&[&str]]) -> Request {
    let command = |parts: &&[&str]| {
        Command::plain(parts.iter().map(|part| Bytes::copy_from_slice(part.as_bytes())))
    };
    Request::read(commands.iter().map(command))
}
