//! Where servers are and how they are talked to.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Endpoint {
    /// TCP.
    Tcp {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// A unix socket.
    Unix(PathBuf),
}

impl Endpoint {
    /// Makes the endpoint of a TCP port.
    pub fn tcp(host: impl Into<String>, port: u16) -> Self {
        Self::Tcp { host: host.into(), port }
    }

    /// Makes the endpoint that a server has named; `None` for what is no name: it would end up in errors.
    pub(crate) fn told(host: &str, port: u16) -> Option<Self> {
        let is_name = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic());
        is_name.then(|| Self::tcp(host, port))
    }
}

impl fmt::Display for Endpoint {
    /// Says where: `localhost:6379`, `[::1]:6379`, `unix:/run/redis.sock`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Which servers keep the memories, and how the one to ask is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topology {
    /// One server.
    Single(Endpoint),
    /// The primary that sentinels name.
    Sentinel {
        /// The sentinels; all are asked.
        sentinels: Vec<Endpoint>,
        /// The name they watch the primary under.
        service: String,
    },
    /// A cluster: each key has its server.
    Cluster {
        /// Some of its servers; the others are learned from them.
        seeds: Vec<Endpoint>,
    },
}

/// A secret, which says nothing of itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` secret.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Returns the text, for the one place that sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Who logs in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Login {
    /// User name, where the server has users.
    pub username: Option<String>,
    /// Password.
    pub password: Option<Secret>,
}

/// How TLS connections are made and whom they trust.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// Certificates to trust, in PEM, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The client's certificate and its chain, in PEM, for servers that want one.
    pub cert_file: Option<PathBuf>,
    /// The client's private key, in PEM; needed with `cert_file`.
    pub key_file: Option<PathBuf>,
    /// The name that certificates must be made out to, where it is not the host's.
    pub server_name: Option<String>,
    /// Accepts any certificate, from anybody. For tests only.
    pub accept_invalid: bool,
}

/// When a write counts as done.
///
/// Redis replicates after it has answered, and may even answer first: a primary that dies takes
/// with it what no replica has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// When the primary has it.
    Ack,
    /// When a replica has it, too, as long as there are replicas and one of them answers soon.
    Confirmed,
    /// When this many replicas have it, too; or else the write fails.
    Replicated(u32),
}

/// The RESP version of connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Protocol {
    /// RESP2, which every server speaks.
    #[default]
    Resp2,
    /// RESP3, from Redis 6.
    Resp3,
}

/// What a client needs to know to connect.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Which servers there are.
    pub topology: Topology,
    /// Number of the database.
    pub db: u32,
    /// Who logs in on the servers that keep memories, at first.
    pub login: Login,
    /// Who logs in on sentinels.
    pub sentinel_login: Login,
    /// RESP version.
    pub protocol: Protocol,
    /// TLS, for every server and sentinel.
    pub tls: Option<TlsOptions>,
    /// The longest that one call may take, connecting and retries included.
    pub timeout: Duration,
    /// Connections to one server that blocking calls may hold at once.
    pub pool_size: usize,
    /// When a write counts as done.
    pub durability: Durability,
}

impl ClientOptions {
    /// Returns whether each key has its own server.
    pub fn is_cluster(&self) -> bool {
        matches!(self.topology, Topology::Cluster { .. })
    }
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            topology: Topology::Single(Endpoint::tcp("localhost", 6379)),
            db: 0,
            login: Login::default(),
            sentinel_login: Login::default(),
            protocol: Protocol::default(),
            tls: None,
            timeout: Duration::from_secs(5),
            pool_size: 10,
            durability: Durability::Ack,
        }
    }
}

impl fmt::Display for ClientOptions {
    /// Says where and which database: `localhost:6379/0`, `mymaster@s1:26379,s2:26379/0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |endpoints: &[Endpoint]| {
            endpoints.iter().map(Endpoint::to_string).collect::<Vec<_>>().join(",")
        };
        match &self.topology {
            Topology::Single(endpoint) => write!(f, "{endpoint}/{}", self.db),
            Topology::Sentinel { sentinels, service } => {
                write!(f, "{service}@{}/{}", list(sentinels), self.db)
            }
            Topology::Cluster { seeds } => write!(f, "cluster:{}", list(seeds)),
        }
    }
}
