//! What stands between a socket and those who share it on asyncio: bounds, a pulse, and what went
//! wrong.
//!
//! redis-rs reserves memory on a server's word, does not tell a reply that is on its way from
//! silence, and turns an I/O error into text. The screen reads along and does these three things.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::resp::{MAX_BYTES, MAX_DEPTH, MAX_LINE, malformed, too_large};
use super::tls;
use super::wire::Wire;

/// Items that a server may announce in one reply; redis-rs reserves about 60 bytes for each at once.
const MAX_ITEMS: u64 = 1 << 20;

/// Pushes that may come between two replies: nobody has subscribed to anything.
const MAX_PUSHES: u32 = 1000;

/// When something last moved on a connection, and what ended it.
#[derive(Debug)]
pub(super) struct Pulse {
    began: Instant,
    /// Milliseconds from the beginning to the last byte.
    last: AtomicU64,
    trouble: OnceLock<io::Error>,
    abandoned: AtomicBool,
}

impl Pulse {
    /// Returns when the last byte was read or written.
    pub(super) fn last(&self) -> Instant {
        // Relaxed: a hint that guards nothing.
        self.began + Duration::from_millis(self.last.load(Ordering::Relaxed))
    }

    /// Returns what ended the connection, if it was not us.
    pub(super) fn trouble(&self) -> Option<&io::Error> {
        self.trouble.get()
    }

    /// Has what was not delivered yet thrown away when the connection is closed.
    pub(super) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    fn beat(&self) {
        let since = self.began.elapsed().as_millis();
        self.last.store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Keeps `error` for us; hands on a copy.
    fn keep(&self, error: io::Error) -> io::Error {
        let copy = match tls::cause(&error) {
            Some(cause) => io::Error::new(error.kind(), cause.clone()),
            None => io::Error::new(error.kind(), error.to_string()),
        };
        let _ = self.trouble.set(error); // the first one counts
        copy
    }
}

/// A connection's bytes, watched.
pub(super) struct Screen {
    wire: Box<dyn Wire>,
    replies: Replies,
    pulse: Arc<Pulse>,
}

impl Screen {
    pub(super) fn new(wire: Box<dyn Wire>) -> (Self, Arc<Pulse>) {
        let began = Instant::now();
        let (last, trouble, abandoned) = Default::default();
        let pulse = Arc::new(Pulse { began, last, trouble, abandoned });
        (Self { wire, replies: Replies::default(), pulse: pulse.clone() }, pulse)
    }

    /// Returns how many bytes have come.
    pub(super) fn position(&self) -> u64 {
        self.replies.position
    }

    /// Returns at which positions replies have ended. They are kept from the first time on that
    /// somebody asks, who empties the list.
    pub(super) fn ends(&mut self) -> &mut VecDeque<u64> {
        self.replies.ends.get_or_insert_default()
    }

    /// Takes note of what ended the connection.
    pub(super) fn note(&self, error: io::Error) {
        self.pulse.keep(error);
    }

    fn sent(&self, result: io::Result<usize>) -> io::Result<usize> {
        self.pulse.beat();
        result.map_err(|error| self.pulse.keep(error))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.pulse.abandoned.load(Ordering::Relaxed) {
            self.wire.abandon();
        }
    }
}

impl AsyncRead for Screen {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.wire).poll_read(context, buffer));
        self.pulse.beat();
        let fresh = buffer.filled().get(before..).unwrap_or_default();
        let read = match read {
            Ok(()) if fresh.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(()) => self.replies.check(fresh),
            Err(error) => Err(error),
        };
        Poll::Ready(read.map_err(|error| self.pulse.keep(error)))
    }
}

impl AsyncWrite for Screen {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.wire).poll_write(context, bytes));
        Poll::Ready(self.sent(result))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.wire).poll_write_vectored(context, parts));
        Poll::Ready(self.sent(result))
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(context)
    }
}

/// Reads replies just far enough to know their sizes.
#[derive(Debug, Default)]
struct Replies {
    /// The beginning of the line that is being read: a kind and a length, if it is such a line.
    line: Vec<u8>,
    /// Bytes of that line.
    length: u64,
    /// Bytes of a bulk string, and the end of its line, that are still to come.
    skip: u64,
    /// Items that are still to come, for each array that is open.
    open: Vec<u64>,
    /// Bytes and items of the whole reply so far.
    bytes: u64,
    items: u64,
    /// Pushes since the last reply, and whether this is one.
    pushes: u32,
    is_push: bool,
    /// Bytes that have come, and after how many of them replies have ended, if somebody asks.
    position: u64,
    ends: Option<VecDeque<u64>>,
}

/// No kind and length take more.
const LONGEST_LENGTH: usize = 24;

impl Replies {
    /// Takes the next bytes.
    fn check(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
                self.skip -= skipped as u64;
                self.position += skipped as u64;
                bytes = bytes.get(skipped..).unwrap_or_default();
                if self.skip == 0 {
                    self.end_value()?;
                }
                continue;
            }
            let end = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
            let (line, rest) = bytes.split_at(end);
            let room = LONGEST_LENGTH.saturating_sub(self.line.len()).min(line.len());
            self.line.extend_from_slice(line.get(..room).unwrap_or_default());
            self.length += line.len() as u64;
            self.position += line.len() as u64;
            if self.length > MAX_LINE as u64 {
                return Err(malformed());
            }
            bytes = rest;
            if line.ends_with(b"\n") {
                self.end_line()?;
            }
        }
        Ok(())
    }

    fn end_line(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        self.bytes += std::mem::take(&mut self.length);
        let (&kind, rest) = line.split_first().ok_or_else(malformed)?;
        if self.open.is_empty() {
            self.is_push = kind == b'>';
        }
        match kind {
            b'$' | b'=' | b'!' => {
                if let Some(size) = length(rest)? {
                    self.bytes = self.bytes.saturating_add(size);
                    if self.bytes > MAX_BYTES as u64 {
                        return Err(too_large());
                    }
                    self.skip = size + 2;
                    return Ok(());
                }
            }
            b'*' | b'~' | b'>' | b'%' | b'|' => {
                let pairs = matches!(kind, b'%' | b'|');
                let count = length(rest)?.unwrap_or_default();
                let count = if pairs { count.saturating_mul(2) } else { count };
                // An attribute comes before the value that it belongs to.
                let count = if kind == b'|' { count.saturating_add(1) } else { count };
                self.items = self.items.saturating_add(count);
                if self.items > MAX_ITEMS || self.open.len() >= MAX_DEPTH as usize {
                    return Err(malformed());
                }
                if count > 0 {
                    self.open.push(count);
                    return Ok(());
                }
            }
            b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => {}
            _ => return Err(malformed()),
        }
        self.end_value()
    }

    /// A value has ended, and with it every array whose last item it was.
    fn end_value(&mut self) -> io::Result<()> {
        while let Some(left) = self.open.last_mut() {
            *left -= 1;
            if *left > 0 {
                return Ok(());
            }
            self.open.pop();
        }
        (self.bytes, self.items) = (0, 0);
        self.pushes = if self.is_push { self.pushes + 1 } else { 0 };
        if let (false, Some(ends)) = (self.is_push, &mut self.ends) {
            ends.push_back(self.position);
        }
        if self.pushes > MAX_PUSHES { Err(malformed()) } else { Ok(()) }
    }
}

/// Reads a length; `None` for the -1 by which RESP2 says that nothing is there.
fn length(text: &[u8]) -> io::Result<Option<u64>> {
    let text = std::str::from_utf8(text).map_err(|_| malformed())?;
    match text.trim_end().parse::<i64>() {
        Ok(-1) => Ok(None),
        Ok(size) => u64::try_from(size).map(Some).map_err(|_| malformed()),
        Err(_) => Err(malformed()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(bytes: &[u8]) -> io::Result<Replies> {
        let mut replies = Replies::default();
        replies.check(bytes).map(|()| replies)
    }

    const WHOLE: [&[u8]; 9] = [
        b"+OK\r\n",
        b"-ERR no\r\n",
        b":7\r\n",
        b"$5\r\nab\r\nc\r\n",
        b"$-1\r\n",
        b"*0\r\n",
        b"*2\r\n*1\r\n$1\r\na\r\n:1\r\n",
        b"%1\r\n+a\r\n*1\r\n_\r\n",
        b"|1\r\n+ttl\r\n:9\r\n:5\r\n",
    ];

    #[test]
    fn whole_replies_leave_nothing_open_however_they_are_cut() {
        for reply in WHOLE {
            for cut in 0..reply.len() {
                let mut replies = Replies::default();
                let (first, second) = reply.split_at(cut);
                replies.check(first).and_then(|()| replies.check(second)).unwrap();
                assert!(replies.open.is_empty() && replies.skip == 0 && replies.bytes == 0);
            }
        }
    }

    #[test]
    fn what_would_cost_too_much_is_refused_before_it_comes() {
        let deep = b"*1\r\n".repeat(17);
        let long = [b"+".as_slice(), &b"x".repeat(1 << 17)].concat();
        let many = b"*2\r\n*600000\r\n".repeat(2);
        let cases: [&[u8]; 8] = [
            b"*2147483647\r\n",
            b"$536870913\r\n",
            b"%9223372036854775807\r\n",
            b"$-2\r\n",
            b"hello\r\n",
            b"*1x\r\n",
            &deep,
            &long,
        ];
        for bytes in cases {
            let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]);
            assert!(check(bytes).is_err(), "{shown}");
        }
        assert!(check(&many).is_err());
        let push = b">1\r\n+x\r\n";
        assert!(check(&push.repeat(1001)).is_err());
        assert!(
            check(&[push.repeat(1000), b":1\r\n".to_vec(), push.repeat(1000)].concat()).is_ok()
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = check(&bytes);
        }
    }
}
