//! Where a server is and how it is talked to.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// A secret, which says nothing of itself.
#[derive(Clone)]
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
    /// Where the server is.
    pub endpoint: Endpoint,
    /// Number of the database.
    pub db: u32,
    /// User name, where the server has users.
    pub username: Option<String>,
    /// Password.
    pub password: Option<Secret>,
    /// RESP version.
    pub protocol: Protocol,
    /// The longest that one call may take, connecting and retries included.
    pub timeout: Duration,
    /// Connections that blocking calls may hold at once.
    pub pool_size: usize,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            endpoint: Endpoint::Tcp { host: "localhost".into(), port: 6379 },
            db: 0,
            username: None,
            password: None,
            protocol: Protocol::default(),
            timeout: Duration::from_secs(5),
            pool_size: 10,
        }
    }
}

impl fmt::Display for ClientOptions {
    /// Says where and which database: `localhost:6379/0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.endpoint {
            Endpoint::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}")?,
            Endpoint::Tcp { host, port } => write!(f, "{host}:{port}")?,
            Endpoint::Unix(path) => write!(f, "unix:{}", path.display())?,
        }
        write!(f, "/{}", self.db)
    }
}
