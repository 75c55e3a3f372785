//! Connections, as the Python layer makes them.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;

use super::login::LoginSource;
use super::port;
use super::store::span;
use crate::client::Client;
use crate::options::{
    ClientOptions, Durability, Endpoint, Login, Protocol, Secret, TlsOptions, Topology,
};

/// Connections to servers.
#[pyclass(frozen, name = "Client", module = "redember._core")]
#[derive(Debug)]
pub(super) struct PyClient {
    pub(super) client: Arc<Client>,
    pub(super) login: Option<Arc<LoginSource>>,
}

/// Host and port.
type Port = (String, u16);
/// User name and password.
type UserAndPassword = (Option<String>, Option<String>);
/// CA file, certificate file, key file, server name, and whether to check certificates.
type Tls = (Option<PathBuf>, Option<PathBuf>, Option<PathBuf>, Option<String>, bool);

#[pymethods]
impl PyClient {
    #[new]
    #[pyo3(signature = (*, servers, path, cluster, service, db, login, sentinel_login, credentials, protocol, timeout, pool_size, durability, tls))]
    #[expect(clippy::too_many_arguments, reason = "the settings of a connection, all keywords")]
    fn new(
        py: Python<'_>,
        servers: Vec<Port>,
        path: Option<PathBuf>,
        cluster: bool,
        service: Option<String>,
        db: u32,
        login: UserAndPassword,
        sentinel_login: UserAndPassword,
        credentials: Option<Py<PyAny>>,
        protocol: u8,
        timeout: f64,
        pool_size: usize,
        durability: (&str, u32),
        tls: Option<Tls>,
    ) -> PyResult<Self> {
        let mut servers: Vec<_> =
            servers.into_iter().map(|(host, port)| Endpoint::tcp(host, port)).collect();
        let topology = match (service, path) {
            (Some(service), _) => Topology::Sentinel { sentinels: servers, service },
            (None, _) if cluster => Topology::Cluster { seeds: servers },
            (None, Some(path)) => Topology::Single(Endpoint::Unix(path)),
            (None, None) => {
                let server = servers.pop();
                Topology::Single(server.unwrap_or_else(|| Endpoint::tcp("localhost", 6379)))
            }
        };
        let tls = tls.map(|(ca_file, cert_file, key_file, server_name, verify)| TlsOptions {
            ca_file,
            cert_file,
            key_file,
            server_name,
            accept_invalid: !verify,
        });
        let client = Arc::new(Client::new(ClientOptions {
            topology,
            db,
            login: user(login),
            sentinel_login: user(sentinel_login),
            protocol: if protocol == 3 { Protocol::Resp3 } else { Protocol::Resp2 },
            tls,
            timeout: span(py, timeout)?,
            pool_size,
            durability: match durability {
                ("replicated", replicas) => Durability::Replicated(replicas),
                ("confirmed", _) => Durability::Confirmed,
                _ => Durability::Ack,
            },
        }));
        let login = credentials.map(|ask| LoginSource::new(client.clone(), ask));
        Ok(Self { client, login })
    }

    #[getter]
    fn address(&self) -> String {
        self.client.options().to_string()
    }

    #[getter]
    fn closed(&self) -> bool {
        self.client.is_closed()
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.client.close();
        port::let_go(py)
    }
}

fn user((username, password): UserAndPassword) -> Login {
    Login { username, password: password.map(Secret::new) }
}
