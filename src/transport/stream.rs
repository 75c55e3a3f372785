//! A socket that keeps a deadline and lets Ctrl-C through.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, SockAddr, SockRef, Socket, TcpKeepalive, Type};

use super::resolve::resolve;
use crate::call::{Interrupt, PATIENCE};
use crate::options::Endpoint;

/// How long one system call may block before deadline and interrupt are looked at again.
///
/// A signal ends a system call at once, but one that comes just before it does not.
pub(super) const SLICE: Duration = Duration::from_millis(100);

/// A connected socket. Every read and write ends by the deadline that was set last.
#[derive(Debug)]
pub(super) struct Stream {
    socket: Kind,
    deadline: Instant,
    interrupt: Interrupt,
}

#[derive(Debug)]
enum Kind {
    Tcp(TcpStream),
    Unix(UnixStream),
}

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

impl Stream {
    /// Connects to `endpoint` by `deadline`, trying each of a name's addresses in turn.
    pub(super) fn connect(
        endpoint: &Endpoint,
        deadline: Instant,
        interrupt: Interrupt,
    ) -> io::Result<Self> {
        let socket = match endpoint {
            Endpoint::Unix(path) => {
                let socket = connect_unix(path, deadline, interrupt)?;
                socket.set_read_timeout(Some(SLICE))?;
                socket.set_write_timeout(Some(SLICE))?;
                Kind::Unix(socket)
            }
            Endpoint::Tcp { host, port } => {
                let mut failure = io::Error::other("the name has no address");
                let mut connected = None;
                for address in resolve(host, *port, deadline, interrupt)? {
                    match connect_tcp(address, deadline, interrupt) {
                        Ok(socket) => {
                            connected = Some(socket);
                            break;
                        }
                        Err(error) if Interrupted::is(&error) => return Err(error),
                        Err(error) => failure = error,
                    }
                }
                Kind::Tcp(connected.ok_or(failure)?)
            }
        };
        Ok(Self { socket, deadline, interrupt })
    }

    /// Sets the deadline of the reads and writes that follow.
    pub(super) fn set_deadline(&mut self, deadline: Instant, interrupt: Interrupt) {
        self.deadline = deadline;
        self.interrupt = interrupt;
    }

    /// Repeats a system call over signals and slices, until it is done, the deadline has passed,
    /// or nothing has moved for [`PATIENCE`].
    fn persist(
        &mut self,
        mut call: impl FnMut(&mut Kind) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut waiting_since = None;
        // Asked before each call, too: a server that sends a byte now and then never blocks us.
        if Instant::now() >= self.deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        loop {
            let error = match call(&mut self.socket) {
                Err(error) => error,
                done => return done,
            };
            match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                    let now = Instant::now();
                    let since = *waiting_since.get_or_insert(now);
                    if now >= self.deadline || now.duration_since(since) + SLICE >= PATIENCE {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                }
                _ => return Err(error),
            }
            if (self.interrupt)() {
                return Err(io::Error::other(Interrupted));
            }
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.persist(|socket| match socket {
            Kind::Tcp(socket) => socket.read(buffer),
            Kind::Unix(socket) => socket.read(buffer),
        })
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.persist(|socket| match socket {
            Kind::Tcp(socket) => socket.write(buffer),
            Kind::Unix(socket) => socket.write(buffer),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn connect_unix(path: &Path, deadline: Instant, interrupt: Interrupt) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    let address = SockAddr::unix(path)?;
    socket.set_nonblocking(true)?;
    // A unix socket whose server is behind with accepting says so at once, again and again.
    let until = deadline.min(Instant::now() + PATIENCE);
    while let Err(error) = socket.connect(&address) {
        if error.kind() != io::ErrorKind::WouldBlock {
            return Err(error);
        }
        if Instant::now() >= until {
            return Err(io::ErrorKind::TimedOut.into());
        }
        pause(Duration::from_millis(10), interrupt)?;
    }
    socket.set_nonblocking(false)?;
    Ok(socket.into())
}

fn connect_tcp(
    address: SocketAddr,
    deadline: Instant,
    interrupt: Interrupt,
) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&address.into()) {
        Err(error)
            if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) =>
        {
            return Err(error);
        }
        _ => wait_until_connected(&socket, deadline.min(Instant::now() + PATIENCE), interrupt)?,
    }
    socket.set_nonblocking(false)?;
    tune(&socket)?;
    socket.set_read_timeout(Some(SLICE))?;
    socket.set_write_timeout(Some(SLICE))?;
    Ok(socket.into())
}

fn wait_until_connected(socket: &Socket, until: Instant, interrupt: Interrupt) -> io::Result<()> {
    loop {
        let mut events = [PollFd::new(socket, PollFlags::OUT)];
        let ready = match poll(&mut events, Some(&timespec(SLICE))) {
            Err(rustix::io::Errno::INTR) => 0,
            other => other?,
        };
        if ready > 0 {
            return socket.take_error()?.map_or(Ok(()), Err);
        }
        if interrupt() {
            return Err(io::Error::other(Interrupted));
        }
        if Instant::now() >= until {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
}

/// Sets what every connection needs: small writes leave at once, and a peer that is gone is noticed.
fn tune(socket: &Socket) -> io::Result<()> {
    let socket = SockRef::from(socket);
    socket.set_tcp_nodelay(true)?;
    let probe = Duration::from_secs(15);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(probe * 4).with_interval(probe))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(probe * 2))?;
    Ok(())
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

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}
