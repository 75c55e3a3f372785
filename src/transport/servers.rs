//! The servers of a client: which one a request goes to, and what is learned from replies.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;

use super::address::{Address, Role, Settings};
use super::news::News;
use super::pool::Status;
use super::scout::Scout;
use super::server::Server;
use super::slots::{Range, SlotMap};
use super::{closed, is_demoted, may_be_applied};
use crate::call::{Failure, Retry};
use crate::error::{Error, ErrorKind};
use crate::options::{Endpoint, Topology};
use crate::plan::{Reply, Request, Route, ServerError};
use crate::refusal::refused;
use crate::slot::slot;

/// The servers that one process talks to.
#[derive(Debug)]
pub(crate) struct Servers {
    pub(super) settings: Arc<Settings>,
    map: ArcSwap<Map>,
    /// By endpoint, so that what is learned anew keeps the connections that are open.
    known: Mutex<HashMap<Endpoint, Arc<Server>>>,
    /// Of another set of servers.
    pub(super) news: News,
    scout: OnceLock<Scout>,
    closed: AtomicBool,
}

/// What is known of where memories are.
#[derive(Debug)]
enum Map {
    /// Nothing; and what happened when it was last asked for.
    Unknown(Option<Setback>),
    /// All on one server.
    One(Arc<Server>),
    /// Each in its slot.
    Slots(SlotMap),
}

impl Map {
    fn servers(&self) -> Vec<Arc<Server>> {
        match self {
            Self::Unknown(_) => Vec::new(),
            Self::One(server) => vec![server.clone()],
            Self::Slots(slots) => slots.servers(),
        }
    }
}

/// Why nothing is known.
#[derive(Debug, Clone)]
struct Setback {
    error: Error,
    retry: Retry,
    at: Instant,
}

/// Whom to send a request to.
#[derive(Debug)]
pub(super) enum Target {
    /// This server.
    One(Arc<Server>),
    /// Each of these, one by one.
    Every(Vec<Arc<Server>>),
    /// The one that was asked for by its label, and is not what it was.
    Gone,
    /// Nobody knows yet; ask again in a moment.
    Unknown,
}

/// What replies say of where to go on.
#[derive(Debug)]
pub(super) struct Redirection {
    pub(super) failure: Failure,
    /// The server that takes this one request, where the map is still right for others.
    pub(super) detour: Option<Arc<Server>>,
}

impl Servers {
    /// Makes the servers of a client; asks nobody yet.
    pub(crate) fn new(settings: Arc<Settings>) -> Arc<Self> {
        let map = match &settings.options.topology {
            Topology::Single(endpoint) => Map::One(Server::new(Address {
                endpoint: endpoint.clone(),
                role: Role::Only,
                settings: settings.clone(),
            })),
            Topology::Sentinel { .. } | Topology::Cluster { .. } => Map::Unknown(None),
        };
        Arc::new(Self {
            settings,
            map: ArcSwap::from_pointee(map),
            known: Mutex::default(),
            news: News::default(),
            scout: OnceLock::new(),
            closed: AtomicBool::new(false),
        })
    }

    /// Says whom to send `request` to; what was learned before `since` counts only if it is good.
    ///
    /// # Errors
    /// That nobody can tell, and whether another attempt may help.
    pub(super) fn target(
        self: &Arc<Self>,
        request: &Request,
        since: Instant,
    ) -> Result<Target, Failure> {
        let map = self.map.load();
        match (&**map, &request.route) {
            (Map::Unknown(setback), _) => {
                if self.is_closed() {
                    return Err(Failure::before_sending(closed(), Retry::Never));
                }
                let fresh = setback.as_ref().filter(|setback| setback.at >= since);
                if let Some(Setback { error, retry, .. }) = fresh {
                    return Err(Failure::before_sending(error.clone(), *retry));
                }
                self.look_around();
                Ok(Target::Unknown)
            }
            (_, Route::EveryPrimary) => Ok(Target::Every(map.servers())),
            (_, Route::Server(label)) => {
                let found = map.servers().into_iter().find(|server| server.label() == *label);
                Ok(found.map_or(Target::Gone, Target::One))
            }
            (Map::One(server), Route::Key) => Ok(Target::One(server.clone())),
            (Map::Slots(slots), Route::Key) => {
                let owner = slots.owner(request.key().map_or(0, |key| slot(key)));
                owner.cloned().map(Target::One).ok_or_else(|| {
                    self.look_around();
                    let message =
                        "no node of the cluster has the slot of this memory; see CLUSTER INFO";
                    let error = Error::new(ErrorKind::Unavailable, message);
                    Failure::before_sending(error, Retry::Later)
                })
            }
        }
    }

    /// Makes the failure for when nobody told in time where memories are.
    pub(super) fn unknown(&self) -> Failure {
        let options = &self.settings.options;
        let message = match &options.topology {
            Topology::Sentinel { .. } => format!("no sentinel of {options} answered"),
            _ => format!("no node of {options} answered"),
        };
        let error = Error::new(ErrorKind::Unavailable, format!("{message}; check the addresses"));
        Failure { timed_out: true, ..Failure::before_sending(error, Retry::Later) }
    }

    /// Learns from how an attempt at `server` ended.
    pub(super) fn note<T>(self: &Arc<Self>, server: &Server, attempt: &Result<T, Failure>) {
        server.note(attempt);
        if attempt.is_err() {
            self.look_around();
        }
    }

    /// Makes the failure of a request whose replies do not add up to an answer, since the map may be wrong.
    pub(super) fn disagreement(self: &Arc<Self>, error: Error) -> Failure {
        self.look_around();
        Failure::before_sending(error, Retry::Later)
    }

    /// Learns from replies of `server`; says where to go on if they hold no answer.
    pub(super) fn redirection(
        self: &Arc<Self>,
        server: &Server,
        replies: &[Reply],
    ) -> Option<Redirection> {
        if is_demoted(replies) {
            self.look_around();
        }
        let (error, moved) = replies.iter().find_map(|reply| match reply {
            Reply::Error(error) if error.code == "MOVED" => Some((error, true)),
            Reply::Error(error) if error.code == "ASK" => Some((error, false)),
            Reply::Error(error) if error.code == "CLUSTERDOWN" => {
                self.look_around();
                None
            }
            _ => None,
        })?;
        let sent = may_be_applied(replies);
        let map = self.map.load();
        let (Map::Slots(slots), Some((slot, endpoint))) = (&**map, destination(error, server))
        else {
            let failure = Failure::before_sending(refused(error), Retry::Never);
            return Some(Redirection { failure: Failure { sent, ..failure }, detour: None });
        };
        let other = self.server(&endpoint, Role::Node);
        // What the caller sees if the nodes send the request round until time is up.
        let message = format!(
            "{} sends on to {endpoint}, and so on: the nodes of the cluster do not agree on who has \
             this memory; see CLUSTER NODES of each",
            server.address
        );
        let error = Error::new(ErrorKind::Unavailable, message);
        let failure = Failure { sent, ..Failure::before_sending(error, Retry::Elsewhere) };
        if !moved {
            return Some(Redirection { failure, detour: Some(other) });
        }
        self.map.store(Arc::new(Map::Slots(slots.with_owner(slot, other))));
        self.look_around();
        Some(Redirection { failure, detour: None })
    }

    /// Takes over what a cluster says of its slots.
    pub(super) fn set_slots(&self, ranges: &[Range]) {
        let slots = SlotMap::new(ranges, |endpoint| self.server(endpoint, Role::Node));
        let servers = slots.servers();
        self.set(Map::Slots(slots), &servers);
    }

    /// Takes over who is the primary, and whether it has replicas.
    pub(super) fn set_primary(&self, endpoint: &Endpoint, has_replicas: bool) {
        let server = self.server(endpoint, Role::Primary);
        server.replicas.set_replicas(has_replicas);
        let servers = [server.clone()];
        if !matches!(&**self.map.load(), Map::One(current) if Arc::ptr_eq(current, &server)) {
            self.set(Map::One(server), &servers);
        }
    }

    /// Takes note that nothing could be learned. What was known stays.
    pub(super) fn set_unknown(&self, failure: Failure) {
        if matches!(&**self.map.load(), Map::Unknown(_)) {
            let Failure { error, retry, .. } = failure;
            let setback = Setback { error, retry, at: Instant::now() };
            self.map.store(Arc::new(Map::Unknown(Some(setback))));
        }
    }

    /// Returns the addresses to learn from: the servers that are known and well, and the seeds.
    pub(super) fn sources(&self, seeds: &[Endpoint]) -> Vec<Address> {
        let servers = match &**self.map.load() {
            Map::Slots(slots) => slots.servers(),
            Map::One(_) | Map::Unknown(_) => Vec::new(),
        };
        let (suspects, well): (Vec<_>, Vec<_>) =
            servers.into_iter().partition(|server| server.is_suspect());
        let seeds = seeds.iter().map(|endpoint| Address {
            endpoint: endpoint.clone(),
            role: Role::Node,
            settings: self.settings.clone(),
        });
        let mut sources: Vec<Address> = Vec::new();
        let address = |server: &Arc<Server>| server.address.clone();
        for source in well.iter().map(address).chain(seeds).chain(suspects.iter().map(address)) {
            if !sources.iter().any(|other| other.endpoint == source.endpoint) {
                sources.push(source);
            }
        }
        // A seed that is known to be unwell is asked after the others.
        sources.sort_by_key(|source| {
            suspects.iter().any(|server| server.address.endpoint == source.endpoint)
        });
        sources
    }

    /// Has the scout look who is where, if there is one to find out.
    fn look_around(self: &Arc<Self>) {
        if matches!(self.settings.options.topology, Topology::Single(_)) || self.is_closed() {
            return;
        }
        self.scout.get_or_init(|| Scout::start(self)).ring();
    }

    /// Closes every connection; calls on their way end as they would have.
    pub(crate) fn close(&self) {
        // Release and acquire: who sees the flag also sees what was closed.
        self.closed.store(true, Ordering::Release);
        self.all().iter().for_each(|server| server.close());
        if let Some(scout) = self.scout.get() {
            scout.ring();
        }
    }

    /// Returns whether the servers were closed.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// In a forked child: closes its copies of the parent's idle sockets, and sends nothing.
    pub(crate) fn abandon(&self) {
        if let Map::One(server) = &**self.map.load() {
            server.pool.abandon();
        }
        // The lock may be held by a thread that the child does not have.
        if let Ok(known) = self.known.try_lock() {
            known.values().for_each(|server| server.pool.abandon());
        }
    }

    /// Returns how many blocking connections there are, to all servers together.
    pub(crate) fn status(&self) -> Status {
        let mut status = Status { size: 0, open: 0, idle: 0 };
        for server in self.all() {
            let Status { size, open, idle } = server.pool.status();
            status.size += size;
            status.open += open;
            status.idle += idle;
        }
        status
    }

    fn set(&self, map: Map, servers: &[Arc<Server>]) {
        let are_others = {
            let before = self.map.load().servers();
            before.len() != servers.len()
                || !before.iter().all(|it| servers.iter().any(|other| Arc::ptr_eq(it, other)))
        };
        self.map.store(Arc::new(map));
        if are_others {
            self.news.tell();
        }
        // Connections to a server that has no part any more must not be used by mistake.
        self.known().retain(|_, server| {
            let stays = servers.iter().any(|other| Arc::ptr_eq(other, server));
            if !stays {
                server.close();
            }
            stays
        });
        if self.is_closed() {
            for server in servers {
                server.close();
            }
        }
    }

    fn all(&self) -> Vec<Arc<Server>> {
        let mut all: Vec<_> = self.known().values().cloned().collect();
        if let Map::One(server) = &**self.map.load()
            && !all.iter().any(|other| Arc::ptr_eq(other, server))
        {
            all.push(server.clone());
        }
        all
    }

    /// Returns the server at an endpoint, making it if it is new.
    fn server(&self, endpoint: &Endpoint, role: Role) -> Arc<Server> {
        let make = || {
            let (endpoint, settings) = (endpoint.clone(), self.settings.clone());
            Server::new(Address { endpoint, role, settings })
        };
        self.known().entry(endpoint.clone()).or_insert_with(make).clone()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Endpoint, Arc<Server>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        if let Some(scout) = self.scout.get() {
            scout.ring(); // it finds nobody to report to, and ends
        }
    }
}

/// Reads `MOVED 3999 127.0.0.1:6381`; without a host, it is the host of who says so.
fn destination(error: &ServerError, server: &Server) -> Option<(u16, Endpoint)> {
    let (slot, address) = error.detail.split_once(' ')?;
    let (host, port) = address.trim().rsplit_once(':')?;
    let host = match (&server.address.endpoint, host.trim_matches(['[', ']'])) {
        (Endpoint::Tcp { host, .. }, "" | "?") => host,
        (_, host) => host,
    };
    Some((slot.parse().ok()?, Endpoint::told(host, port.parse().ok()?)?))
}
