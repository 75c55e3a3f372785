//! Conversation memory for AI agents, kept in Redis: the core of the `redember` Python package.
//!
//! The core knows no Python. A [`Verb`](store::Verb) says what is asked of a store; for a Redis
//! server, [`RedisStore`](store::RedisStore) turns it into a [`Plan`](plan::Plan), which does no
//! I/O, and a [`Client`](client::Client) drives the plan: blocking, on the caller's thread, or as a
//! future. [`FileStore`](file::FileStore) and [`InMemoryStore`](in_memory::InMemoryStore) apply
//! verbs at once.
//!
//! A file imports from rows above it, and from its neighbours in a row:
//!
//! ```text
//! 0  decimal  error  process  reactor  seats  slot  wake
//! 1  keyspace  codec  message  messages  options
//! 2  layout  script  call
//! 3  plan  refusal  store (verbs, plans)
//! 4  transport  file  in_memory
//! 5  exchange  client
//! 6  backend
//! 7  py (feature `python`; the only place that says pyo3)
//! ```

pub mod backend;
pub mod call;
pub mod client;
pub mod codec;
mod decimal;
pub mod error;
pub mod exchange;
pub mod file;
pub mod in_memory;
pub mod keyspace;
pub mod layout;
pub mod message;
pub mod messages;
pub mod options;
pub mod plan;
pub mod process;
pub mod reactor;
mod refusal;
pub mod script;
mod seats;
mod slot;
pub mod store;
pub mod transport;
mod wake;

#[cfg(feature = "python")]
mod py;
