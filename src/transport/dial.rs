//! Makes connections on tokio: socket, TLS, greeting. What `connection` does for blocking calls.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Instant;

use mio::event::Source;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::address::{Address, Bounds, SHORT_PATIENCE};
use super::connection::{check_greeting, failure, greeting};
use super::multiplexed::patiently;
use super::pack::pack;
use super::probe::Probe;
use super::resolve::resolve_async;
use super::resp::read_reply;
use super::screen::{Pulse, Screen};
use super::stream::tune;
use super::wire::Wire;
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
            let addresses = resolve_async(host, *port).await.map_err(|error| lost(&error))?;
            let socket = connect(&addresses, bounds).await.map_err(|error| lost(&error))?;
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

/// Connects to one of these addresses, trying each in turn. Those that are left share the time that is left:
/// the first may be one from which nothing comes.
async fn connect(addresses: &[SocketAddr], bounds: Bounds) -> io::Result<TcpStream> {
    let mut failure = io::Error::other("the name has no address");
    let count = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    for (address, left) in addresses.iter().zip((1..=count).rev()) {
        let now = Instant::now();
        let time = bounds.deadline.saturating_duration_since(now) / left;
        let bounds = Bounds { deadline: now + time, patience: time, ..bounds };
        match patiently(TcpStream::connect(address), bounds, || now).await {
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
        let addresses = resolve_async(host, *port).await?;
        let mut socket = TcpStream::connect(addresses.as_slice()).await?;
        socket.write_all(&probe.hello).await?;
        socket.read_u8().await
    };
    match timeout(SHORT_PATIENCE, asked).await {
        Ok(Ok(first)) => probe.verdict(address, first).unwrap_or(failure),
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Duration;

    use socket2::{Domain, Socket, Type};
    use tokio::runtime::Builder;

    use super::*;

    /// An address that takes no more connections, and says nothing; and what makes it so.
    fn silent() -> (SocketAddr, Vec<Socket>) {
        let any = SocketAddr::from(([127, 0, 0, 1], 0)).into();
        let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let listener = socket();
        listener.bind(&any).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut held = vec![listener];
        for _ in 0..3 {
            let waiting = socket();
            waiting.set_nonblocking(true).unwrap();
            let _ = waiting.connect(&address); // it is under way
            held.push(waiting);
        }
        (address.as_socket().unwrap(), held)
    }

    #[test]
    fn an_address_from_which_nothing_comes_leaves_time_for_the_next() {
        let (dead, _held) = silent();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let alive = listener.local_addr().unwrap();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let (began, time) = (Instant::now(), Duration::from_millis(400));
        let bounds = Bounds { began, deadline: began + time, patience: time, interrupt: || false };
        #[expect(clippy::disallowed_methods, reason = "a test has no bridge")]
        let connected = runtime.block_on(connect(&[dead, alive], bounds));
        assert_eq!(connected.unwrap().peer_addr().unwrap(), alive);
        assert!(began.elapsed() >= time / 3);
        #[expect(clippy::disallowed_methods, reason = "a test has no bridge")]
        let timed_out = runtime.block_on(connect(&[dead, dead], bounds)).unwrap_err();
        assert_eq!(timed_out.kind(), io::ErrorKind::TimedOut);
    }
}
