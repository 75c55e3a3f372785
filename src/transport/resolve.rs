//! Names to addresses, by a deadline: the system's resolver keeps none, and lets no Ctrl-C through.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Instant;

use tokio::sync::oneshot;

use super::address::Bounds;
use super::stream::{Interrupted, SLICE};

/// Returns the addresses of `host`, in the order in which they are to be tried.
///
/// # Errors
/// What the resolver says, [`io::ErrorKind::TimedOut`] when it says nothing in time, and
/// [`Interrupted`].
pub(super) fn resolve(host: &str, port: u16, bounds: Bounds) -> io::Result<Vec<SocketAddr>> {
    match literal(host, port) {
        Some(address) => Ok(vec![address]),
        None => wait_for(look_up(host, port), bounds),
    }
}

/// The same for whoever awaits it.
///
/// # Errors
/// What the resolver says.
pub(super) async fn resolve_async(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Some(address) = literal(host, port) {
        return Ok(vec![address]);
    }
    let (sender, receiver) = oneshot::channel();
    aside(look_up(host, port), move |found| drop(sender.send(found)))?;
    receiver.await.unwrap_or_else(|_| Err(unanswered()))
}

fn literal(host: &str, port: u16) -> Option<SocketAddr> {
    host.parse::<IpAddr>().ok().map(|address| (address, port).into())
}

fn look_up(host: &str, port: u16) -> impl FnOnce() -> io::Result<Vec<SocketAddr>> + Send + 'static {
    let host = host.to_owned();
    move || Ok((host.as_str(), port).to_socket_addrs()?.collect())
}

/// Runs `lookup` on a thread of its own, and tells what it finds: nobody can end it, so it must keep no
/// thread that others wait for.
fn aside<T: 'static>(
    lookup: impl FnOnce() -> io::Result<T> + Send + 'static,
    tell: impl FnOnce(io::Result<T>) + Send + 'static,
) -> io::Result<()> {
    thread::Builder::new().name("redember-resolve".into()).spawn(|| tell(lookup())).map(drop)
}

fn unanswered() -> io::Error {
    io::Error::other("the name could not be looked up")
}

/// Waits for what `lookup` finds; its thread is left behind when it takes too long.
fn wait_for<T: Send + 'static>(
    lookup: impl FnOnce() -> io::Result<T> + Send + 'static,
    bounds: Bounds,
) -> io::Result<T> {
    let (sender, receiver) = sync_channel(1);
    // A send that nobody waits for any more is no failure.
    aside(lookup, move |found| sender.send(found).unwrap_or_default())?;
    loop {
        let left = bounds.deadline.saturating_duration_since(Instant::now());
        match receiver.recv_timeout(left.min(SLICE)) {
            Ok(found) => return found,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(unanswered());
            }
            Err(RecvTimeoutError::Timeout) if left.is_zero() => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        if (bounds.interrupt)() {
            return Err(io::Error::other(Interrupted));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;
    use crate::call::Interrupt;

    fn bounds(time: Duration, interrupt: Interrupt) -> Bounds {
        let began = Instant::now();
        Bounds { began, deadline: began + time, patience: time, interrupt }
    }

    #[test]
    fn addresses_need_no_resolver_and_names_have_one() {
        let of = |host| resolve(host, 7, bounds(Duration::from_secs(5), || false)).unwrap();
        assert_eq!(of("127.0.0.1"), ["127.0.0.1:7".parse().unwrap()]);
        assert_eq!(of("::1"), ["[::1]:7".parse().unwrap()]);
        assert!(!of("localhost").is_empty());
    }

    #[test]
    fn a_resolver_that_says_nothing_is_not_waited_for() {
        for (interrupt, kind) in [
            ((|| false) as Interrupt, io::ErrorKind::TimedOut),
            ((|| true) as Interrupt, io::ErrorKind::Other),
        ] {
            let (keep, never) = channel::<()>();
            let began = Instant::now();
            let error = wait_for(
                move || Ok(never.recv().is_ok()),
                bounds(Duration::from_millis(150), interrupt),
            )
            .unwrap_err();
            assert_eq!(error.kind(), kind);
            assert!(began.elapsed() < Duration::from_secs(2));
            drop(keep);
        }
    }
}
