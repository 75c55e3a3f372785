//! `redember._core`: the extension module. Registration only.

mod batch;
mod bridge;
mod client;
mod collector;
mod decode;
mod document;
mod encode;
mod error;
mod foreign;
mod fork;
mod login;
mod message;
mod messages;
mod op_ids;
mod port;
mod processor;
mod refusal;
mod results;
mod store;
mod text;
mod words;

use pyo3::prelude::*;

/// The Rust core of redember. Private: its names may change with any version.
#[pymodule(gil_used = false)]
mod _core {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::batch::PyBatch;
    #[pymodule_export]
    use super::client::PyClient;
    #[pymodule_export]
    use super::document::{from_document, to_document};
    #[pymodule_export]
    use super::foreign::{ForeignStore, PyExchange, PyExchanges, to_foreign};
    #[pymodule_export]
    use super::message::PyMessage;
    #[pymodule_export]
    use super::messages::PyMessages;
    #[pymodule_export]
    use super::op_ids::PyOpIds;
    #[pymodule_export]
    use super::results::{MemoryInfo, WriteResult};
    #[pymodule_export]
    use super::store::{
        AsyncStore, Listing, Store, file_store, memory_store, redis_store, to_async,
    };

    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "Python's name for it")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "a module attribute")]
    const build_profile: &str = if cfg!(debug_assertions) { "debug" } else { "release" };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::fork::watch()?;
        PyMessages::register(module.py())
    }
}
