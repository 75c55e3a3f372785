//! Passwords that change: a Python callable is asked for the login, and asked again when a server
//! no longer takes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;

use super::error::exception;
use crate::client::Client;
use crate::error::{Error, ErrorKind};
use crate::options::{Login, Secret};

/// Where a client gets its login from. Asked on threads that run Python code only.
#[derive(Debug)]
pub(super) struct LoginSource {
    client: Arc<Client>,
    ask: Py<PyAny>,
    asked: AtomicBool,
}

impl LoginSource {
    pub(super) fn new(client: Arc<Client>, ask: Py<PyAny>) -> Arc<Self> {
        Arc::new(Self { client, ask, asked: AtomicBool::new(false) })
    }

    /// Asks for the login if nobody has yet.
    pub(super) fn ask_once(&self, py: Python<'_>) -> PyResult<()> {
        // Acquire, with the release below: who sees that it was asked sees the login.
        if self.asked.load(Ordering::Acquire) { Ok(()) } else { self.ask(py) }
    }

    /// Asks for the login and has the connections to come use it.
    pub(super) fn ask(&self, py: Python<'_>) -> PyResult<()> {
        let failed = |raised: PyErr| {
            // The cause may quote the password, so only its type is told.
            let kind = raised.get_type(py).name().map_or_else(|_| "?".into(), |it| it.to_string());
            let message = format!("the credentials callable raised {kind}; see its own logs");
            exception(py, &Error::new(ErrorKind::AuthFailed, message))
        };
        let answer = self.ask.bind(py).call0().map_err(failed)?;
        let login = read(&answer).ok_or_else(|| {
            let message = "the credentials callable must return a password, or a user name and a \
                           password";
            exception(py, &Error::new(ErrorKind::AuthFailed, message))
        })?;
        self.client.set_login(login);
        self.asked.store(true, Ordering::Release);
        Ok(())
    }
}

fn read(answer: &Bound<'_, PyAny>) -> Option<Login> {
    if let Ok(password) = answer.extract::<String>() {
        return Some(Login { username: None, password: Some(Secret::new(password)) });
    }
    let (username, password) = answer.extract::<(Option<String>, String)>().ok()?;
    Some(Login { username, password: Some(Secret::new(password)) })
}
