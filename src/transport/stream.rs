//! A socket that keeps a deadline and lets Ctrl-C through.

use std::io::{self, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustls::{ClientConnection, StreamOwned};
use socket2::{Domain, SockAddr, SockRef, Socket, TcpKeepalive, Type};

use super::address::{Address, Bounds};
use super::resolve::resolve;
use crate::call::Interrupt;
use crate::options::Endpoint;

/// How long one system call may block before deadline and interrupt are looked at again.
///
/// A signal ends a system call at once, but one that comes just before it does not.
pub(super) const SLICE: Duration = Duration::from_millis(100);

/// A connection. Every read and write ends within the bounds that were set last.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(Bounded<TcpStream>),
    Unix(Bounded<UnixStream>),
    Tls(Box<StreamOwned<ClientConnection, Bounded<TcpStream>>>),
}

/// A socket that keeps the bounds in each of its system calls: TLS makes many of them in one read or write,
/// and goes on as long as a byte comes now and then.
#[derive(Debug)]
pub(super) struct Bounded<S> {
    socket: S,
    bounds: Bounds,
    /// System calls before the clock is asked again.
    unasked: u8,
    /// How it came to an end. TLS keeps what a write says to itself, and tries again.
    ending: Option<Ending>,
}

#[derive(Debug, Clone, Copy)]
enum Ending {
    TimedOut,
    Interrupted,
}

/// So many system calls come after new bounds were set before the clock is asked: a request and its
/// reply, as a rule. One that blocks asks anyway.
const UNASKED: u8 = 2;

/// The error by which a read or write says that the caller wants out.
#[derive(Debug)]
pub(super) struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

impl Interrupted {
    /// Returns whether `error` is this one.
    pub(super) fn is(error: &io::Error) -> bool {
        matches!(error.get_ref(), Some(inner) if inner.is::<Self>())
    }
}

impl From<Ending> for io::Error {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::TimedOut => io::ErrorKind::TimedOut.into(),
            Ending::Interrupted => Self::other(Interrupted),
        }
    }
}

impl<S> Bounded<S> {
    fn new(socket: S, bounds: Bounds) -> Self {
        Self { socket, bounds, unasked: UNASKED, ending: None }
    }

    fn set_bounds(&mut self, bounds: Bounds) {
        self.bounds = bounds;
        self.unasked = UNASKED;
        self.ending = None;
    }

    /// Repeats a system call over signals and slices, until it is done, the deadline has passed,
    /// or nothing has moved for longer than patience lasts.
    fn persist(&mut self, mut call: impl FnMut(&mut S) -> io::Result<usize>) -> io::Result<usize> {
        let Bounds { deadline, patience, interrupt, .. } = self.bounds;
        let mut waiting_since = None;
        // Asked before each call, too: a server that sends a byte now and then never blocks us.
        match self.unasked.checked_sub(1) {
            Some(left) => self.unasked = left,
            None if Instant::now() >= deadline => {
                self.ending.get_or_insert(Ending::TimedOut);
            }
            None => {}
        }
        loop {
            if let Some(ending) = self.ending {
                return Err(ending.into());
            }
            let error = match call(&mut self.socket) {
                Err(error) => error,
                done => return done,
            };
            match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                    let now = Instant::now();
                    let since = *waiting_since.get_or_insert(now);
                    if now >= deadline || now.duration_since(since) + SLICE >= patience {
                        self.ending = Some(Ending::TimedOut);
                        continue;
                    }
                }
                _ => return Err(error),
            }
            if interrupt() {
                self.ending = Some(Ending::Interrupted);
            }
        }
    }
}

impl<S: Read> Read for Bounded<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.persist(|socket| socket.read(buffer))
    }
}

impl<S: Write> Write for Bounded<S> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.persist(|socket| socket.write(buffer))
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.persist(|socket| socket.write_vectored(pieces))
    }

    /// Does nothing: sockets hold nothing back.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream {
    /// Connects to a server, trying each of a name's addresses in turn.
    pub(super) fn connect(address: &Address, bounds: Bounds) -> io::Result<Self> {
        let (host, port) = match &address.endpoint {
            Endpoint::Unix(path) => {
                let socket = connect_unix(path, bounds)?;
                socket.set_read_timeout(Some(SLICE))?;
                socket.set_write_timeout(Some(SLICE))?;
                return Ok(Self::Unix(Bounded::new(socket, bounds)));
            }
            Endpoint::Tcp { host, port } => (host, *port),
        };
        let mut failure = io::Error::other("the name has no address");
        for address in resolve(host, port, bounds)? {
            match connect_tcp(address, bounds) {
                Ok(socket) => return Ok(Self::Tcp(Bounded::new(socket, bounds))),
                Err(error) if Interrupted::is(&error) => return Err(error),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Makes a TLS connection of it and shakes hands.
    pub(super) fn secure(self, tls: ClientConnection) -> io::Result<Self> {
        let Self::Tcp(mut socket) = self else { return Ok(self) };
        socket.unasked = 0;
        let mut tls = StreamOwned::new(tls, socket);
        while tls.conn.is_handshaking() {
            if tls.conn.complete_io(&mut tls.sock)? == (0, 0) {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(Self::Tls(Box::new(tls)))
    }

    /// Sets the bounds of the reads and writes that follow.
    pub(super) fn set_bounds(&mut self, bounds: Bounds) {
        match self {
            Self::Tcp(socket) => socket.set_bounds(bounds),
            Self::Unix(socket) => socket.set_bounds(bounds),
            Self::Tls(tls) => tls.sock.set_bounds(bounds),
        }
    }

    /// Has what was not delivered yet thrown away when it is closed: a write that its caller gave up on must
    /// not arrive when everything else has gone on.
    pub(super) fn abandon(&self) {
        match self {
            Self::Tcp(socket) => abandon(&SockRef::from(&socket.socket)),
            Self::Tls(tls) => abandon(&SockRef::from(&tls.sock.socket)),
            Self::Unix(_) => {} // what was sent has arrived
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.socket.as_fd(),
            Self::Unix(socket) => socket.socket.as_fd(),
            Self::Tls(tls) => tls.sock.socket.as_fd(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.read(buffer),
            Self::Unix(socket) => socket.read(buffer),
            Self::Tls(tls) => tls.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.write(buffer),
            Self::Unix(socket) => socket.write(buffer),
            Self::Tls(tls) => tls.write(buffer),
        }
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.write_vectored(pieces),
            Self::Unix(socket) => socket.write_vectored(pieces),
            Self::Tls(tls) => tls.write_vectored(pieces),
        }
    }

    /// Sends what TLS still holds.
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(_) | Self::Unix(_) => Ok(()),
            Self::Tls(tls) => tls.flush(),
        }
    }
}

fn connect_unix(path: &Path, bounds: Bounds) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    let address = SockAddr::unix(path)?;
    socket.set_nonblocking(true)?;
    // A unix socket whose server is behind with accepting says so at once, again and again.
    let until = bounds.deadline.min(Instant::now() + bounds.patience);
    while let Err(error) = socket.connect(&address) {
        if error.kind() != io::ErrorKind::WouldBlock {
            return Err(error);
        }
        if Instant::now() >= until {
            return Err(io::ErrorKind::TimedOut.into());
        }
        pause(Duration::from_millis(10), bounds.interrupt)?;
    }
    socket.set_nonblocking(false)?;
    Ok(socket.into())
}

fn connect_tcp(address: SocketAddr, bounds: Bounds) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&address.into()) {
        Err(error)
            if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) =>
        {
            return Err(error);
        }
        _ => wait_until_connected(&socket, bounds)?,
    }
    socket.set_nonblocking(false)?;
    tune(&SockRef::from(&socket))?;
    socket.set_read_timeout(Some(SLICE))?;
    socket.set_write_timeout(Some(SLICE))?;
    Ok(socket.into())
}

fn wait_until_connected(socket: &Socket, bounds: Bounds) -> io::Result<()> {
    let until = bounds.deadline.min(Instant::now() + bounds.patience);
    loop {
        let mut events = [PollFd::new(socket, PollFlags::OUT)];
        let ready = match poll(&mut events, Some(&timespec(SLICE))) {
            Err(rustix::io::Errno::INTR) => 0,
            other => other?,
        };
        if ready > 0 {
            return socket.take_error()?.map_or(Ok(()), Err);
        }
        if (bounds.interrupt)() {
            return Err(io::Error::other(Interrupted));
        }
        if Instant::now() >= until {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
}

/// Sets what every connection needs: small writes leave at once, and a peer that is gone is noticed.
pub(super) fn tune(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    let probe = Duration::from_secs(15);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(probe * 4).with_interval(probe))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(probe * 2))?;
    Ok(())
}

/// Has a socket reset its connection when it is closed, whatever it still holds.
pub(super) fn abandon(socket: &SockRef<'_>) {
    let _ = socket.set_linger(Some(Duration::ZERO)); // one that cannot be told so is over
}

/// Waits for `pause`, or until the caller wants out.
pub(super) fn pause(pause: Duration, interrupt: Interrupt) -> io::Result<()> {
    let until = Instant::now() + pause;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        // A poll of nothing is a sleep that a signal ends.
        let _ = poll(&mut [], Some(&timespec(left.min(SLICE))));
        if interrupt() {
            return Err(io::Error::other(Interrupted));
        }
    }
}

pub(super) fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}
