//! The kinds of sockets that asyncio's connections are made of.

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::client::TlsStream;

use super::stream;
use crate::reactor::LoopSocket;

/// A stream of bytes in both directions.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {
    /// As [`Stream::abandon`](super::stream::Stream::abandon).
    fn abandon(&self) {}
}

impl Wire for tokio::net::UnixStream {}

impl Wire for LoopSocket<mio::net::UnixStream> {}

impl Wire for tokio::net::TcpStream {
    fn abandon(&self) {
        stream::abandon(&SockRef::from(self));
    }
}

impl Wire for LoopSocket<mio::net::TcpStream> {
    fn abandon(&self) {
        stream::abandon(&SockRef::from(self.socket()));
    }
}

impl<T: Wire> Wire for TlsStream<T> {
    fn abandon(&self) {
        self.get_ref().0.abandon();
    }
}

#[cfg(test)]
impl Wire for tokio::io::DuplexStream {}
