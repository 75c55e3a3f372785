//! Sockets of an event loop, read and written without waiting.

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use futures_util::task::AtomicWaker;
use mio::event::Event;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that a socket reads at once, and before others get their turn.
const READ_AT_ONCE: usize = 64 << 10;
pub(super) const READ_IN_A_ROW: usize = 256 << 10;

/// What is known of a socket without asking the kernel.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    readable: AtomicBool,
    writable: AtomicBool,
    /// Whether it was closed, or failed: then reading and writing always have something to say.
    over: AtomicBool,
    reader: AtomicWaker,
    writer: AtomicWaker,
}

impl Readiness {
    /// Takes note of what an event says.
    pub(super) fn take(&self, event: &Event) {
        if event.is_read_closed() || event.is_write_closed() || event.is_error() {
            self.over.store(true, Ordering::Release);
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.readable.store(true, Ordering::Release);
            self.reader.wake();
        }
        if event.is_writable() || event.is_write_closed() || event.is_error() {
            self.writable.store(true, Ordering::Release);
            self.writer.wake();
        }
    }

    /// Waits until `ready` is set.
    fn poll(ready: &AtomicBool, waiting: &AtomicWaker, context: &Context<'_>) -> Poll<()> {
        if ready.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        waiting.register(context.waker());
        // It may have been set in between.
        if ready.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Takes note that the kernel has no more to read; an event will say when it has.
    fn exhausted(&self) {
        if !self.over.load(Ordering::Acquire) {
            self.readable.store(false, Ordering::Release);
        }
    }
}

/// A connected socket of a reactor's tasks, polled in its turns only: an event that came between a read
/// and what is noted of it would be missed.
#[derive(Debug)]
pub(crate) struct LoopSocket<S> {
    socket: S,
    readiness: Arc<Readiness>,
    /// Bytes read without a pause.
    in_a_row: usize,
}

impl<S> LoopSocket<S> {
    pub(super) fn new(socket: S, readiness: Arc<Readiness>) -> Self {
        Self { socket, readiness, in_a_row: 0 }
    }

    pub(crate) fn socket(&self) -> &S {
        &self.socket
    }
}

impl<S: Read + Unpin> AsyncRead for LoopSocket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.in_a_row >= READ_IN_A_ROW {
            this.in_a_row = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let readiness = &this.readiness;
        loop {
            ready!(Readiness::poll(&readiness.readable, &readiness.reader, context));
            let room = buffer.initialize_unfilled_to(buffer.remaining().min(READ_AT_ONCE));
            let size = room.len();
            match this.socket.read(room) {
                Ok(read) => {
                    if read < size {
                        readiness.exhausted();
                        this.in_a_row = 0;
                    } else {
                        this.in_a_row += read;
                    }
                    buffer.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    readiness.readable.store(false, Ordering::Release);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl<S: Write + Unpin> AsyncWrite for LoopSocket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let readiness = &this.readiness;
        loop {
            ready!(Readiness::poll(&readiness.writable, &readiness.writer, context));
            match this.socket.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    readiness.writable.store(false, Ordering::Release);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return Poll::Ready(done),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // It ends when it is dropped, which happens at once.
        Poll::Ready(Ok(()))
    }
}
