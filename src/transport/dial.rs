//! Makes connections on tokio: socket, TLS, greeting. What `connection` does for blocking calls.

use std::io;
use std::sync::{Arc, Weak};
use std::time::Instant;

use mio::event::Source;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::{timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::address::{Address, Bounds, SHORT_PATIENCE};
use super::connection::{check_greeting, failure, greeting};
use super::multiplexed::patiently;
use super::pack::pack;
use super::probe::Probe;
use super::resp::read_reply;
use super::screen::{Pulse, Screen, Wire};
use super::stream::tune;
use crate::call::{Failure, Retry};
use crate::options::Endpoint;
use crate::plan::Reply;
use crate::reactor::{Home, LoopSocket, Reactor};
use crate::script::Form;

/// Says what it means that there is no connection.
pub(super) fn unconnected(address: &Address, error: &io::Error) -> Failure {
    failure(address, "cannot connect to", error, false, Retry::Later)
}

/// Connects, logs in and selects the database.
pub(super) async fn dial(
    address: &Address,
    bounds: Bounds,
    home: &Home,
) -> Result<(Screen, Arc<Pulse>), Failure> {
    let lost = |error: &io::Error| unconnected(address, error);
    let wire = match &address.endpoint {
        Endpoint::Unix(path) => {
            let socket = UnixStream::connect(path).await.map_err(|error| lost(&error))?;
            match home {
                None => Box::new(socket) as Box<dyn Wire>,
                Some(home) => {
                    let socket = socket.into_std().map(mio::net::UnixStream::from_std);
                    let socket = socket.and_then(|socket| adopt(home, socket));
                    Box::new(socket.map_err(|error| lost(&error))?)
                }
            }
        }
        Endpoint::Tcp { host, port } => {
            let socket = connect(host, *port, bounds).await.map_err(|error| lost(&error))?;
            match home {
                None => secure(address, socket, bounds).await?,
                Some(home) => {
                    let socket = socket.into_std().map(mio::net::TcpStream::from_std);
                    let socket = socket.and_then(|socket| adopt(home, socket));
                    secure(address, socket.map_err(|error| lost(&error))?, bounds).await?
                }
            }
        }
    };
    let (mut screen, pulse) = Screen::new(wire);
    let greeted = timeout_at(bounds.deadline.into(), greet(address, &mut screen)).await;
    match greeted.unwrap_or_else(|_| Err(lost(&io::ErrorKind::TimedOut.into()))) {
        // Once they have shaken hands it does speak TLS.
        Err(failure) if address.settings.tls.is_none() => {
            return Err(explain(address, failure).await);
        }
        greeted => greeted?,
    }
    Ok((screen, pulse))
}

/// Logs in and selects the database.
///
/// A server that is full, or wants a password, says so to whatever comes first, or even before:
/// let that be nothing of the caller's.
async fn greet(address: &Address, screen: &mut Screen) -> Result<(), Failure> {
    let lost = |error: &io::Error| unconnected(address, error);
    let greeting = greeting(address);
    let mut packed = Vec::new();
    greeting.commands.iter().for_each(|command| pack(&mut packed, command, Form::Digest));
    let sent = screen.write_all(&packed).await;
    let mut read = Vec::new();
    let mut replies = Vec::new();
    while replies.len() < greeting.commands.len() {
        let mut rest = read.as_slice();
        match read_reply(&mut rest) {
            Ok(reply) => {
                let refused = matches!(reply, Reply::Error(_));
                replies.push(reply);
                if refused {
                    break; // it may say no more
                }
                let taken = read.len() - rest.len();
                read.drain(..taken);
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                let more = screen.read_buf(&mut read).await.map_err(|error| lost(&error))?;
                if more == 0 {
                    return Err(lost(&sent.err().unwrap_or(error)));
                }
            }
            Err(error) => return Err(lost(&error)),
        }
    }
    check_greeting(address, replies)
}

/// Has an event loop wait for a socket that is connected.
fn adopt<S: Source>(home: &Weak<Reactor>, socket: S) -> io::Result<LoopSocket<S>> {
    let ended = || io::Error::other("the event loop has ended");
    home.upgrade().ok_or_else(ended)?.adopt(socket)
}

/// Connects to a name, trying each of its addresses in turn.
async fn connect(host: &str, port: u16, bounds: Bounds) -> io::Result<TcpStream> {
    let mut failure = io::Error::other("the name has no address");
    for address in lookup_host((host, port)).await? {
        match patiently(TcpStream::connect(address), bounds, Instant::now).await {
            Some(Ok(socket)) => {
                tune(&SockRef::from(&socket))?;
                return Ok(socket);
            }
            Some(Err(error)) => failure = error,
            None => failure = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(failure)
}

/// Makes a TLS connection of a socket, where that is asked for.
async fn secure(
    address: &Address,
    socket: impl Wire + 'static,
    bounds: Bounds,
) -> Result<Box<dyn Wire>, Failure> {
    let Some(tls) = &address.settings.tls else { return Ok(Box::new(socket)) };
    let never = |error| Failure::before_sending(error, Retry::Never);
    let connector = TlsConnector::from(tls.config().map_err(never)?);
    let name = tls.name(&address.endpoint).map_err(never)?;
    let secured = timeout_at(bounds.deadline.into(), connector.connect(name, socket)).await;
    match secured.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(explain(address, unconnected(address, &error)).await),
    }
}

/// Says why a connection failed without a word, if the port can be made to tell.
async fn explain(address: &Address, failure: Failure) -> Failure {
    let (Some(probe), Endpoint::Tcp { host, port }) =
        (Probe::of(address, &failure), &address.endpoint)
    else {
        return failure;
    };
    let asked = async {
        let mut socket = TcpStream::connect((host.as_str(), *port)).await?;
        socket.write_all(&probe.hello).await?;
        socket.read_u8().await
    };
    match timeout(SHORT_PATIENCE, asked).await {
        Ok(Ok(first)) => probe.verdict(address, first).unwrap_or(failure),
        _ => failure,
    }
}
