//! One server's address, and what every connection of a client has in common.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use super::tls::Tls;
use crate::call::{Interrupt, PATIENCE};
use crate::error::{Error, ErrorKind};
use crate::options::{ClientOptions, Endpoint, Login, Topology};

/// What all connections of a client have in common. A forked child goes on using it: no locks.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) options: ClientOptions,
    pub(super) tls: Option<Tls>,
    login: ArcSwap<Login>,
    /// Connections that were made so far.
    connections: AtomicU64,
}

impl Settings {
    /// Takes what a client was made with; reads no file yet.
    pub(crate) fn new(options: ClientOptions) -> Arc<Self> {
        let tls = options.tls.clone().map(Tls::new);
        let login = ArcSwap::from_pointee(options.login.clone());
        Arc::new(Self { options, tls, login, connections: AtomicU64::new(0) })
    }

    /// Replaces the login of connections to come; those that are open stay as they are.
    pub(crate) fn set_login(&self, login: Login) {
        self.login.store(Arc::new(login));
    }

    /// Returns how many connections were made, or 1: as long as there are no more, no server was away.
    pub(crate) fn connections(&self) -> u64 {
        // Relaxed, here and below: who had to connect counted that itself.
        self.connections.load(Ordering::Relaxed).max(1)
    }

    pub(super) fn count_connection(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }
}

/// What a server is to its client, which says how a connection begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The only one there is.
    Only,
    /// What sentinels named as the primary; it has to say so itself.
    Primary,
    /// A node of a cluster, which has one database.
    Node,
    /// A sentinel.
    Sentinel,
}

/// One server and how connections to it begin.
#[derive(Debug, Clone)]
pub(super) struct Address {
    pub(super) endpoint: Endpoint,
    pub(super) role: Role,
    pub(super) settings: Arc<Settings>,
}

impl Address {
    /// Returns who logs in.
    pub(super) fn login(&self) -> Arc<Login> {
        match self.role {
            Role::Sentinel => Arc::new(self.settings.options.sentinel_login.clone()),
            _ => self.settings.login.load_full(),
        }
    }

    /// Returns the database to select, if it is not the first.
    pub(super) fn db(&self) -> Option<u32> {
        let has_databases = matches!(self.role, Role::Only | Role::Primary);
        Some(self.settings.options.db).filter(|&db| db != 0 && has_databases)
    }

    /// Makes the error for a server that cannot be reached or went away.
    pub(super) fn unreachable(&self, what: &str, cause: impl fmt::Display) -> Error {
        Error::new(
            ErrorKind::Unavailable,
            format!("{what} {self}: {cause}; start the server, or check the address"),
        )
    }
}

impl fmt::Display for Address {
    /// Says what and where, for errors: `Redis at localhost:6379/0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.role {
            Role::Only | Role::Primary => {
                write!(f, "Redis at {}/{}", self.endpoint, self.settings.options.db)
            }
            Role::Node => write!(f, "Redis at {}", self.endpoint),
            Role::Sentinel => write!(f, "the sentinel at {}", self.endpoint),
        }
    }
}

/// How long an attempt may go on, and who may end it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// When the attempt began.
    pub(super) began: Instant,
    /// When the call has to be over.
    pub(super) deadline: Instant,
    /// The longest silence that is borne.
    pub(super) patience: Duration,
    pub(super) interrupt: Interrupt,
}

/// The patience with a server that failed last time, where another may have taken its place.
pub(super) const SHORT_PATIENCE: Duration = Duration::from_millis(250);

/// Returns the patience with a server.
pub(super) fn patience(topology: &Topology, suspect: bool) -> Duration {
    match topology {
        Topology::Single(_) => PATIENCE,
        _ if suspect => SHORT_PATIENCE,
        _ => PATIENCE,
    }
}
