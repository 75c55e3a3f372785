//! A connection that the tasks of one event loop share.
//!
//! Requests queue up and leave together when the line's own task is polled, which the reactor does
//! after those that queued them; replies come in order. What redis-rs does on the runtime's
//! connections takes two channels and a parser that tries each kind of reply in turn, which is half of
//! what an asyncio call costs.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

use super::LARGE;
use super::pack::pack;
use super::resp::{malformed, read_reply};
use super::screen::Screen;
use super::source::Whole;
use crate::plan::{Command, Forms, Reply};
use crate::reactor::leave;
use crate::script::Form;

/// Bytes that one read takes from the socket.
const READ_BUFFER: usize = 64 << 10;
/// The buffer for requests that an idle line keeps.
const KEPT: usize = 16 << 10;

/// The end of a connection where requests go in. It is closed when the last clone is gone.
#[derive(Clone)]
pub(super) struct Line(Arc<Entrance>);

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").finish_non_exhaustive() // what is queued is nobody's business
    }
}

struct Entrance(Arc<Desk>);

/// The queue, which both ends of a line share.
#[derive(Default)]
struct Desk(Mutex<Queue>);

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is on its way.
#[derive(Default)]
struct Queue {
    /// What has not been taken by the line's task.
    out: Vec<u8>,
    /// Who waits for replies, in the order of their requests.
    waiting: VecDeque<Waiting>,
    task: Option<Waker>,
    closed: bool,
}

impl Queue {
    /// Has the line's task polled, if it waits for something to do.
    fn wake(&mut self) {
        if let Some(task) = self.task.take() {
            task.wake();
        }
    }
}

struct Waiting {
    /// How many replies are due.
    count: usize,
    done: oneshot::Sender<Whole>,
}

/// Why there are no replies.
#[derive(Debug)]
pub(super) struct Broken {
    /// What went wrong; where the connection was lost, its pulse knows better.
    pub(super) error: io::Error,
    /// Whether some of what was to be sent may have been.
    pub(super) sent: bool,
}

impl Broken {
    fn ended(sent: bool) -> Self {
        Self { error: io::Error::other("the connection has ended"), sent }
    }
}

impl Line {
    /// Makes a line of a connection; the second is its task, which has to be polled.
    pub(super) fn new(mut screen: Screen) -> (Self, impl Future<Output = ()> + Send + use<>) {
        screen.ends().clear();
        let taken = screen.position(); // by the greeting
        let queue = Arc::<Desk>::default();
        let line = Self(Arc::new(Entrance(queue.clone())));
        let (out, written, pieces, read) = Default::default();
        let buffer = vec![0; READ_BUFFER].into();
        let mut far = FarEnd { screen, queue, out, written, buffer, pieces, read, taken };
        (line, async move {
            if let Err(error) = poll_fn(|context| far.poll(context)).await {
                far.screen.note(error);
            }
        })
    }

    /// Sends commands; returns the replies to them.
    ///
    /// # Errors
    /// That the connection has ended, or what the replies are instead of RESP.
    pub(super) async fn send<'a>(
        &self,
        commands: impl Iterator<Item = &'a Command>,
        form: Form,
    ) -> Result<Vec<Reply>, Broken> {
        let (done, replies) = oneshot::channel();
        let count = self.queue(commands, form, done).ok_or_else(|| Broken::ended(false))?;
        let mut replies = replies.await.map_err(|_| Broken::ended(true))?;
        if replies.is_large() {
            leave().await;
        }
        let read = |error| Broken { error, sent: true };
        (0..count).map(|_| read_reply(&mut replies).map_err(read)).collect()
    }

    /// Queues commands; returns how many there are, or `None` if the line has ended.
    fn queue<'a>(
        &self,
        commands: impl Iterator<Item = &'a Command>,
        form: Form,
        done: oneshot::Sender<Whole>,
    ) -> Option<usize> {
        let mut queue = self.0.0.lock();
        if queue.closed {
            return None;
        }
        let mut forms = Forms::new(form);
        let mut count = 0;
        for command in commands {
            pack(&mut queue.out, command, forms.of(command));
            count += 1;
        }
        queue.waiting.push_back(Waiting { count, done });
        queue.wake();
        Some(count)
    }
}

impl Drop for Entrance {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.closed = true;
        queue.wake();
    }
}

/// The end of a line that has the socket.
struct FarEnd {
    screen: Screen,
    queue: Arc<Desk>,
    /// What is being written, and how much of it was.
    out: Vec<u8>,
    written: usize,
    buffer: Box<[u8]>,
    /// What was read and not handed out: pieces of a large reply, and what came after them.
    pieces: VecDeque<Bytes>,
    read: BytesMut,
    /// How many bytes were handed out since the connection was made.
    taken: u64,
}

impl FarEnd {
    /// Writes and reads what can be; ready when the line has ended.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        {
            let mut queue = self.queue.lock();
            if queue.closed {
                return Poll::Ready(Ok(()));
            }
            queue.task = Some(context.waker().clone());
        }
        while let Poll::Ready(read) = self.poll_read(context) {
            read?;
        }
        self.poll_write(context)
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let left = self.out.get(self.written..).unwrap_or_default();
            if !left.is_empty() {
                match ready!(Pin::new(&mut self.screen).poll_write(context, left))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    written => self.written += written,
                }
                continue;
            }
            self.out.clear();
            self.out.shrink_to(KEPT);
            self.written = 0;
            let mut queue = self.queue.lock();
            if queue.out.is_empty() {
                break;
            }
            std::mem::swap(&mut self.out, &mut queue.out);
        }
        ready!(Pin::new(&mut self.screen).poll_flush(context))?;
        Poll::Pending
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut buffer = ReadBuf::new(&mut self.buffer);
        ready!(Pin::new(&mut self.screen).poll_read(context, &mut buffer))?;
        self.read.extend_from_slice(buffer.filled());
        self.hand_out()?;
        if self.read.len() > LARGE {
            // A buffer that grew on would be copied again and again, at last half of a reply in one turn.
            let next = BytesMut::with_capacity(LARGE + READ_BUFFER);
            self.pieces.push_back(std::mem::replace(&mut self.read, next).freeze());
        }
        Poll::Ready(Ok(()))
    }

    /// Hands replies that have come whole to who waits for them.
    fn hand_out(&mut self) -> io::Result<()> {
        let ends = self.screen.ends();
        while !ends.is_empty() {
            let mut queue = self.queue.lock();
            let Some(&Waiting { count, .. }) = queue.waiting.front() else {
                return Err(malformed()); // nobody has asked
            };
            let Some(&end) = count.checked_sub(1).and_then(|last| ends.get(last)) else { break };
            ends.drain(..count);
            let size = usize::try_from(end - self.taken).unwrap_or(usize::MAX);
            let before: usize = self.pieces.iter().map(Bytes::len).sum();
            let last = self.read.split_to(size.saturating_sub(before).min(self.read.len()));
            let replies = Whole::new(std::mem::take(&mut self.pieces), last.freeze());
            self.taken = end;
            if let Some(Waiting { done, .. }) = queue.waiting.pop_front() {
                let _ = done.send(replies); // its caller may have given up
            }
        }
        Ok(())
    }
}

impl Drop for FarEnd {
    fn drop(&mut self) {
        let mut queue = self.queue.lock();
        queue.closed = true;
        queue.waiting.clear(); // who still waits is told by the end of their channels
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::runtime::Builder;

    use super::*;

    /// Runs what a test does with a line, and with the other end of its connection.
    fn with_line<F: Future<Output = ()>>(test: impl FnOnce(Line, DuplexStream) -> F) {
        let (ours, theirs) = duplex(64);
        let (screen, _) = Screen::new(Box::new(ours));
        let (line, task) = Line::new(screen);
        let runtime = Builder::new_current_thread().build().unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test has no bridge")]
        runtime.block_on(async {
            tokio::join!(task, test(line, theirs));
        });
    }

    fn commands(count: usize) -> Vec<Command> {
        vec![Command::plain(["PING".into()]); count]
    }

    async fn send(line: &Line, count: usize) -> Result<Vec<Reply>, Broken> {
        line.send(commands(count).iter(), Form::Digest).await
    }

    #[test]
    fn replies_come_to_who_asked_however_they_are_cut() {
        let long = "x".repeat(20_000);
        let sent = format!(":1\r\n>1\r\n+push\r\n*1\r\n:2\r\n${}\r\n{long}\r\n", long.len());
        with_line(|line, theirs| async move {
            let (mut read, mut write) = tokio::io::split(theirs);
            let asked = async {
                let mut asked = vec![0; commands(3).len() * b"*1\r\n$4\r\nPING\r\n".len()];
                read.read_exact(&mut asked).await.unwrap();
                for piece in sent.as_bytes().chunks(7) {
                    write.write_all(piece).await.unwrap();
                }
            };
            let (one, two, ()) = tokio::join!(send(&line, 1), send(&line, 2), asked);
            assert_eq!(one.unwrap(), [Reply::Integer(1)]);
            let nested = Reply::Array(vec![Reply::Integer(2)]);
            assert_eq!(two.unwrap(), [nested, Reply::Text(long.clone().into())]);
        });
    }

    #[test]
    fn a_large_reply_comes_in_pieces() {
        let text = "x".repeat(3 * LARGE);
        let sent = format!(":1\r\n${}\r\n{text}\r\n:2\r\n", text.len());
        with_line(|line, mut theirs| async move {
            let [(first, small), (second, large), (third, after)] =
                [(); 3].map(|()| oneshot::channel());
            for done in [first, second, third] {
                line.queue(commands(1).iter(), Form::Digest, done).unwrap();
            }
            theirs.write_all(sent.as_bytes()).await.unwrap();
            let replies = [small, large, after].map(async |reply| {
                let mut reply = reply.await.unwrap();
                (reply.is_large(), read_reply(&mut reply).unwrap())
            });
            let [small, large, after] = replies;
            assert_eq!(small.await, (false, Reply::Integer(1)));
            assert_eq!(large.await, (true, Reply::Text(text.into())));
            assert_eq!(after.await, (false, Reply::Integer(2)));
        });
    }

    #[test]
    fn a_reply_that_nobody_asked_for_ends_the_line() {
        with_line(|line, mut theirs| async move {
            theirs.write_all(b"+surprise\r\n").await.unwrap();
            let mut rest = Vec::new();
            assert_eq!(theirs.read_to_end(&mut rest).await.unwrap(), 0);
            assert!(send(&line, 1).await.is_err());
        });
    }

    #[test]
    fn who_waits_learns_that_the_connection_was_lost() {
        with_line(|line, mut theirs| async move {
            let lost = async {
                theirs.read_exact(&mut [0]).await.unwrap();
                drop(theirs);
            };
            let (first, second, ()) = tokio::join!(send(&line, 1), send(&line, 1), lost);
            assert!(first.is_err() && second.is_err());
        });
    }

    #[test]
    fn a_line_that_nobody_holds_is_closed() {
        with_line(|line, mut theirs| async move {
            drop(line);
            let mut rest = Vec::new();
            assert_eq!(theirs.read_to_end(&mut rest).await.unwrap(), 0);
        });
    }
}
