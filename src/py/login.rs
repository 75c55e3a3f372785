//! Passwords that change: a Python callable is asked for the login, and asked again when a server
//! no longer takes it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;

use super::error::exception;
use crate::client::Client;
use crate::error::{Error, ErrorKind};
use crate::options::{Login, Secret};
use crate::process::ProcessId;

/// Where a client gets its login from. Asked on threads that run Python code only.
#[derive(Debug)]
pub(super) struct LoginSource {
    client: Arc<Client>,
    ask: Py<PyAny>,
    /// How many logins it has told.
    told: AtomicU64,
    turn: ArcSwap<Turn>,
}

/// Held by the thread that asks; a forked child has one of its own, since the parent's may be held
/// by a thread that the child does not have.
#[derive(Debug)]
struct Turn {
    process: ProcessId,
    held: Mutex<()>,
}

impl Turn {
    fn new() -> Arc<Self> {
        Arc::new(Self { process: ProcessId::current(), held: Mutex::default() })
    }
}

impl LoginSource {
    pub(super) fn new(client: Arc<Client>, ask: Py<PyAny>) -> Arc<Self> {
        let turn = ArcSwap::new(Turn::new());
        Arc::new(Self { client, ask, told: AtomicU64::new(0), turn })
    }

    /// Returns the number of the login in force; asks for the first if nobody has yet.
    pub(super) fn current(&self, py: Python<'_>) -> PyResult<u64> {
        // Acquire, with the release below: who sees the number sees the login.
        match self.told.load(Ordering::Acquire) {
            0 => self.after(py, 0),
            number => Ok(number),
        }
    }

    /// Returns the number of a login that came after `number`, asking for it if nobody has yet.
    pub(super) fn after(&self, py: Python<'_>, number: u64) -> PyResult<u64> {
        let turn = self.turn();
        // Lets other threads run Python code while it waits.
        let _held = turn.held.lock_py_attached(py);
        let told = self.told.load(Ordering::Acquire);
        if told > number {
            return Ok(told);
        }
        self.ask(py)?;
        self.told.store(told + 1, Ordering::Release);
        Ok(told + 1)
    }

    /// Asks for the login and has the connections to come use it.
    fn ask(&self, py: Python<'_>) -> PyResult<()> {
        let refused = |message: String| exception(py, &Error::new(ErrorKind::AuthFailed, message));
        let answer = self.ask.bind(py).call0().map_err(|raised| {
            if !raised.is_instance_of::<PyException>(py) {
                return raised; // Ctrl-C, or the end of the program
            }
            // What it says may quote the password, so only its type is told.
            let kind = raised.get_type(py).name().map_or_else(|_| "?".into(), |it| it.to_string());
            refused(format!("the credentials callable raised {kind}; see its own logs"))
        })?;
        let login = read(&answer).ok_or_else(|| {
            let message = "the credentials callable must return a password, or a user name and a \
                           password";
            refused(message.to_owned())
        })?;
        self.client.set_login(login);
        Ok(())
    }

    fn turn(&self) -> Arc<Turn> {
        let current = self.turn.load_full();
        if current.process != ProcessId::current() {
            // Several threads of the child may come here at once; the first wins.
            self.turn.compare_and_swap(&current, Turn::new());
        }
        self.turn.load_full()
    }
}

fn read(answer: &Bound<'_, PyAny>) -> Option<Login> {
    if let Ok(password) = answer.extract::<String>() {
        return Some(Login { username: None, password: Some(Secret::new(password)) });
    }
    let (username, password) = answer.extract::<(Option<String>, String)>().ok()?;
    Some(Login { username, password: Some(Secret::new(password)) })
}
