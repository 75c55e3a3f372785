//! Finds out where memories are, apart from the calls that need to know.
//!
//! Only clients of sentinels and clusters have scouts: threads that ask and listen, and tell
//! `Servers` what they learn. So a call never waits for a sentinel or node that hangs while
//! another answers, however many calls fail at once there is one search, and both transports share
//! it. The threads know no Python, and end when the client is closed or dropped.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, poll};

use super::address::{Address, Bounds, Role, SHORT_PATIENCE};
use super::connection::Connection;
use super::servers::Servers;
use super::slots::read_ranges;
use super::stream::timespec;
use crate::call::{Failure, Retry};
use crate::error::{Error, ErrorKind};
use crate::options::{Endpoint, Topology};
use crate::plan::{Command, Replies, Reply, Request};
use crate::script::Form;
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
                vec![start(servers, move |bell| watch_cluster(&team, &seeds, &bell))]
            }
            Topology::Sentinel { sentinels, service } => {
                let views = Arc::new(Views::new(sentinels.len()));
                let watch = |(at, endpoint): (usize, &Endpoint)| {
                    let mut sentinel = Sentinel {
                        address: Address {
                            endpoint: endpoint.clone(),
                            role: Role::Sentinel,
                            settings: servers.settings.clone(),
                        },
                        service: service.clone(),
                        asked: None,
                        heard: None,
                    };
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
    let deadline = Instant::now() + ANSWER_TIME;
    Bounds { deadline, patience: SHORT_PATIENCE, interrupt: || false }
}

fn request(commands: &[&[&str]]) -> Request {
    let command = |parts: &&[&str]| {
        Command::plain(parts.iter().map(|part| Bytes::copy_from_slice(part.as_bytes())))
    };
    Request::read(commands.iter().map(command))
}

/// Keeps the map of a cluster's slots.
fn watch_cluster(servers: &Weak<Servers>, seeds: &[Endpoint], bell: &Wake) {
    let mut connection: Option<(Endpoint, Connection)> = None;
    while let Some(team) = servers.upgrade().filter(|team| !team.is_closed()) {
        let mut failure = None;
        for source in team.sources(seeds) {
            let kept = connection.take().filter(|(endpoint, _)| *endpoint == source.endpoint);
            match ask_for_slots(&source, kept.map(|(_, connection)| connection)) {
                Ok((ranges, asked)) => {
                    connection = Some((source.endpoint.clone(), asked));
                    failure = None;
                    team.set_slots(&ranges);
                    break;
                }
                Err(problem) => failure = Some(problem),
            }
        }
        if let Some(failure) = failure {
            team.set_unknown(failure);
        }
        drop(team);
        rest(bell, None);
    }
}

fn ask_for_slots(
    source: &Address,
    connection: Option<Connection>,
) -> Result<(Vec<super::slots::Range>, Connection), Failure> {
    let ask = |mut connection: Connection| {
        let slots = request(&[&["CLUSTER", "SLOTS"]]);
        let replies = connection.exchange(source, &slots, Form::Digest, bounds())?;
        Ok((replies, connection))
    };
    // A connection that was kept may have died while nobody used it.
    let kept = connection.and_then(|connection| ask(connection).ok());
    let fresh = || Connection::open(source, bounds()).and_then(ask);
    let (replies, connection) = kept.map_or_else(fresh, Ok)?;
    let host = match &source.endpoint {
        Endpoint::Tcp { host, .. } => host.as_str(),
        Endpoint::Unix(_) => "localhost",
    };
    let ranges = Replies::new(replies).take().and_then(|reply| match reply {
        Reply::Error(error) if error.detail.contains("cluster support disabled") => {
            let message = format!("{source} is no cluster; leave `cluster` out");
            Err(Error::invalid(message))
        }
        reply => read_ranges(reply, host),
    });
    match ranges {
        Ok(ranges) if ranges.is_empty() => {
            let error = source.unreachable("no slots are assigned at", "the cluster is not set up");
            Err(Failure::before_sending(error, Retry::Later))
        }
        Ok(ranges) => Ok((ranges, connection)),
        Err(error) => Err(Failure::before_sending(error, Retry::Never)),
    }
}

/// One sentinel: asked who the primary is, and listened to.
struct Sentinel {
    address: Address,
    service: String,
    asked: Option<Connection>,
    heard: Option<Connection>,
}

/// What a sentinel says: who the primary is, by which election, and whether it has replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
struct View {
    primary: Endpoint,
    epoch: u64,
    has_replicas: bool,
}

impl Sentinel {
    fn watch(&mut self, at: usize, servers: &Weak<Servers>, views: &Views, bell: &Wake) {
        while let Some(team) = servers.upgrade().filter(|team| !team.is_closed()) {
            views.tell(&team, at, self.look());
            drop(team);
            rest(bell, self.heard.as_ref());
            self.hear();
        }
    }

    /// Asks who the primary is.
    fn look(&mut self) -> Result<View, Failure> {
        let again = self.asked.is_some();
        let view = self.ask();
        match view {
            // A connection that was kept may have died while nobody used it.
            Err(failure) if again && failure.lost => self.ask(),
            view => view,
        }
    }

    fn ask(&mut self) -> Result<View, Failure> {
        // Listen first: what changes between the answer and the listening would go unheard.
        if self.heard.is_none() {
            let subscribe = request(&[&["SUBSCRIBE", "+switch-master"]]);
            let mut connection = Connection::open(&self.address, bounds())?;
            connection.exchange(&self.address, &subscribe, Form::Digest, bounds())?;
            self.heard = Some(connection);
        }
        let mut connection = match self.asked.take() {
            Some(connection) => connection,
            None => Connection::open(&self.address, bounds())?,
        };
        let question = request(&[
            &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", &self.service],
            &["SENTINEL", "MASTER", &self.service],
        ]);
        let replies = connection.exchange(&self.address, &question, Form::Digest, bounds())?;
        self.asked = Some(connection);
        let mut replies = Replies::new(replies);
        let (address, details) = (replies.take(), replies.take());
        let view = address.and_then(|address| read_view(address, details));
        view.map_err(|error| Failure::before_sending(error, Retry::Never))?.ok_or_else(|| {
            let message = format!(
                "{} knows no primary named {:?}; check the service's name, or see SENTINEL MASTERS",
                self.address, self.service
            );
            let error = Error::new(ErrorKind::Unavailable, message);
            Failure::before_sending(error, Retry::Never)
        })
    }

    /// Takes in what the sentinel has told meanwhile; that it did is enough to ask again.
    fn hear(&mut self) {
        let Some(connection) = &mut self.heard else { return };
        let readable = |connection: &Connection| {
            let mut sources = [PollFd::new(connection, PollFlags::IN)];
            poll(&mut sources, Some(&timespec(Duration::ZERO))).is_ok_and(|ready| ready > 0)
        };
        while connection.has_more() || readable(connection) {
            if connection.listen(&self.address, bounds()).is_err() {
                self.heard = None;
                return;
            }
        }
    }
}

/// Reads the replies to `SENTINEL GET-MASTER-ADDR-BY-NAME` and `SENTINEL MASTER`.
fn read_view(
    address: Reply,
    details: crate::error::Result<Reply>,
) -> crate::error::Result<Option<View>> {
    let malformed = || Error::corrupt("a sentinel's answer is malformed; is it a sentinel?");
    if address == Reply::Nil {
        return Ok(None);
    }
    let [host, port] = <[Bytes; 2]>::try_from(address.texts()?).map_err(|_| malformed())?;
    let text =
        |bytes: &Bytes| std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| malformed());
    let port = text(&port)?.parse().map_err(|_| malformed())?;
    let primary = Endpoint::tcp(text(&host)?, port);
    // A sentinel that says no more than the address is believed as far as it goes.
    let details = details.and_then(Reply::texts).unwrap_or_default();
    let detail = |wanted: &str| {
        details.chunks_exact(2).find_map(|pair| match pair {
            [name, value] if name == wanted => text(value).ok()?.parse::<u64>().ok(),
            _ => None,
        })
    };
    let epoch = detail("config-epoch").unwrap_or_default();
    let has_replicas = detail("num-slaves").is_some_and(|replicas| replicas > 0);
    Ok(Some(View { primary, epoch, has_replicas }))
}

/// What each sentinel says. The latest election counts, so one that slept through it cannot lead
/// anybody back.
#[derive(Debug)]
struct Views(Mutex<Vec<Said>>);

/// What one sentinel has said.
#[derive(Debug, Clone)]
enum Said {
    NothingYet,
    Failed(Failure),
    Named(View),
}

impl Views {
    fn new(sentinels: usize) -> Self {
        Self(Mutex::new(vec![Said::NothingYet; sentinels]))
    }

    fn tell(&self, servers: &Servers, at: usize, view: Result<View, Failure>) {
        let mut views = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = views.get_mut(at) {
            *place = view.map_or_else(Said::Failed, Said::Named);
        }
        let mut latest: Option<&View> = None;
        let mut failure: Option<&Failure> = None;
        let mut all_asked = true;
        for said in views.iter() {
            match said {
                Said::NothingYet => all_asked = false,
                Said::Named(view) if latest.is_none_or(|it| it.epoch <= view.epoch) => {
                    latest = Some(view);
                }
                // What one says weighs more than that others are not there.
                Said::Failed(it) if failure.is_none_or(|other| other.lost) => failure = Some(it),
                Said::Named(_) | Said::Failed(_) => {}
            }
        }
        match (latest, failure) {
            (Some(View { primary, has_replicas, .. }), _) => {
                servers.set_primary(primary, *has_replicas);
            }
            (None, Some(failure)) if all_asked => servers.set_unknown(failure.clone()),
            _ => {}
        }
    }
}
