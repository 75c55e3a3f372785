//! Futures and sockets on the thread of somebody else's event loop.
//!
//! A call that is handed to another thread and back costs two wake-ups, which take longer than the
//! server does. So what asyncio calls wait for lies in a [`Reactor`]: one descriptor that is readable
//! when there is something to do, and a [`turn`](Reactor::turn), which does it. The event loop watches
//! the descriptor; timers, names and files are the runtime's, and wake the loop by the same descriptor.

mod socket;

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use futures_util::Stream as _;
use futures_util::stream::FuturesUnordered;
use mio::event::Source;
use mio::{Events, Interest, Token};

pub(crate) use self::socket::LoopSocket;
use self::socket::Readiness;
use crate::process::ProcessId;

/// The longest turn, but for a single step that takes longer: the loop has others to serve.
const LONGEST_TURN: Duration = Duration::from_millis(2);
/// Events taken from the kernel at once.
const EVENTS: usize = 64;
/// The token of the bell; sockets are numbered from 0.
const BELL: Token = Token(usize::MAX);

thread_local! {
    /// Whether this thread is in a turn, and whether the task that is polled wants to leave.
    static STAY: Cell<Stay> = const { Cell::new(Stay::Outside) };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stay {
    Outside,
    Inside,
    Leaving,
}

/// Who polls the futures of a call and of its connection: an event loop's own thread, or the runtime.
///
/// A loop may end before the call does, and takes its tasks along.
pub type Home = Option<Weak<Reactor>>;

/// The futures and sockets of one event loop.
pub struct Reactor {
    process: ProcessId,
    poll: Mutex<(mio::Poll, Events)>,
    descriptor: RawFd,
    bell: Arc<Bell>,
    sockets: Mutex<Sockets>,
    tasks: Mutex<FuturesUnordered<Guest>>,
    /// Tasks that have not been polled yet.
    fresh: Mutex<Vec<Guest>>,
}

#[derive(Default)]
struct Sockets {
    registry: HashMap<usize, Weak<Readiness>>,
    next: usize,
}

impl Sockets {
    /// Takes a socket in; returns its number.
    fn add(&mut self, readiness: &Arc<Readiness>) -> usize {
        self.registry.retain(|_, known| known.strong_count() > 0);
        let number = self.next;
        self.next += 1;
        self.registry.insert(number, Arc::downgrade(readiness));
        number
    }
}

/// Wakes the event loop from any thread.
pub struct Bell {
    waker: mio::Waker,
    rung: AtomicBool,
    /// Whether a turn is under way, which sees for itself that the bell was rung.
    turning: AtomicBool,
}

impl Bell {
    /// Has the event loop take a turn, unless this is one.
    pub fn ring(self: &Arc<Self>) {
        if STAY.get() == Stay::Outside {
            self.wake_by_ref();
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Sequentially consistent, here and in `turn`: either the turn sees that the bell was rung,
        // or we see that it is over.
        if !self.rung.swap(true, Ordering::SeqCst) && !self.turning.load(Ordering::SeqCst) {
            // It can only fail when there is no room for one more, and then the loop is awake.
            let _ = self.waker.wake();
        }
    }
}

impl Reactor {
    /// Makes a reactor with nothing to do.
    ///
    /// # Errors
    /// What the kernel says: there are no more descriptors.
    pub fn new() -> io::Result<Arc<Self>> {
        let poll = mio::Poll::new()?;
        let waker = mio::Waker::new(poll.registry(), BELL)?;
        let bell = Bell { waker, rung: AtomicBool::new(false), turning: AtomicBool::new(false) };
        Ok(Arc::new(Self {
            process: ProcessId::current(),
            descriptor: poll.as_raw_fd(),
            poll: Mutex::new((poll, Events::with_capacity(EVENTS))),
            bell: Arc::new(bell),
            sockets: Mutex::default(),
            tasks: Mutex::default(),
            fresh: Mutex::default(),
        }))
    }

    /// Returns what is readable while there is something to do.
    pub fn descriptor(&self) -> RawFd {
        self.descriptor
    }

    /// Returns what wakes the event loop.
    pub fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    /// Adds a task; it is polled in the next turn, which comes soon.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.invite(task);
        self.bell.wake_by_ref();
    }

    /// Adds a task; whoever adds it sees to it that there is a turn.
    pub fn invite(&self, task: impl Future<Output = ()> + Send + 'static) {
        lock(&self.fresh).push(Guest(Some(Box::pin(task))));
    }

    /// Does what there is to do: asks which sockets have something to say, and polls the tasks that can
    /// go on. New ones come last, so that a call which begins knows which connections have ended.
    ///
    /// Call it on the event loop's thread, in the runtime's context.
    pub fn turn(&self) {
        let Ok(mut tasks) = self.tasks.try_lock() else { return };
        self.bell.turning.store(true, Ordering::SeqCst);
        STAY.set(Stay::Inside);
        self.listen();
        let until = Instant::now() + LONGEST_TURN;
        let waker = Waker::from(self.bell.clone());
        let mut context = Context::from_waker(&waker);
        loop {
            self.bell.rung.store(false, Ordering::SeqCst);
            tasks.extend(lock(&self.fresh).drain(..));
            while let Poll::Ready(Some(())) = Pin::new(&mut *tasks).poll_next(&mut context) {
                if Instant::now() >= until {
                    self.bell.rung.store(true, Ordering::SeqCst);
                    break;
                }
            }
            if !self.bell.rung.load(Ordering::SeqCst) || Instant::now() >= until {
                break;
            }
        }
        STAY.set(Stay::Outside);
        self.bell.turning.store(false, Ordering::SeqCst);
        if self.bell.rung.load(Ordering::SeqCst) {
            let _ = self.bell.waker.wake();
        }
    }

    fn listen(&self) {
        let mut poll = lock(&self.poll);
        let (poll, events) = &mut *poll;
        // It can only be interrupted, and then the descriptor is readable still.
        if poll.poll(events, Some(Duration::ZERO)).is_err() || events.is_empty() {
            return;
        }
        let sockets = lock(&self.sockets);
        for event in &*events {
            if let Some(readiness) = sockets.registry.get(&event.token().0).and_then(Weak::upgrade)
            {
                readiness.take(event);
            }
        }
    }

    /// Makes a connected socket one that the reactor's tasks can wait for.
    pub(crate) fn adopt<S: Source>(&self, mut socket: S) -> io::Result<LoopSocket<S>> {
        let readiness = Arc::new(Readiness::default());
        let number = lock(&self.sockets).add(&readiness);
        let interest = Interest::READABLE | Interest::WRITABLE;
        // The kernel forgets it when it is closed.
        lock(&self.poll).0.registry().register(&mut socket, Token(number), interest)?;
        Ok(LoopSocket::new(socket, readiness))
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bell").finish_non_exhaustive()
    }
}

impl fmt::Debug for Reactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reactor").finish_non_exhaustive()
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        if self.process != ProcessId::current() {
            // A forked child has copies of its parent's timers, and not the thread that they are for.
            // Locks may have been held when it forked.
            self.tasks.get_mut().map(std::mem::take).map(std::mem::forget).ok();
            self.fresh.get_mut().map(std::mem::take).map(std::mem::forget).ok();
        }
    }
}

/// Has the task that awaits this polled by the runtime's threads from now on, if it is a guest of an
/// event loop: what follows takes long.
pub(crate) async fn leave() {
    poll_fn(|_| match STAY.get() {
        Stay::Inside => {
            STAY.set(Stay::Leaving);
            Poll::Pending
        }
        Stay::Outside | Stay::Leaving => Poll::Ready(()),
    })
    .await;
}

/// Returns whether this is an event loop's thread, in a turn.
pub(crate) fn is_turn() -> bool {
    STAY.get() != Stay::Outside
}

/// A task, which may leave. One that panics ends, and nothing else does.
struct Guest(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Future for Guest {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(task) = &mut self.0 else { return Poll::Ready(()) };
        let polled = catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(context)));
        let leaves = STAY.replace(Stay::Inside) == Stay::Leaving;
        match polled {
            Ok(Poll::Pending) if !leaves => Poll::Pending,
            Ok(Poll::Pending) => {
                self.0.take().map(tokio::spawn);
                Poll::Ready(())
            }
            Ok(Poll::Ready(())) | Err(_) => {
                self.0 = None;
                Poll::Ready(())
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc;
    use std::thread;

    use super::socket::READ_IN_A_ROW;
    use mio::unix::SourceFd;
    use tokio::io::AsyncReadExt;
    use tokio::runtime::{Builder, Runtime};

    use super::*;

    fn runtime() -> Runtime {
        Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
    }

    /// Waits until there is something to do, as an event loop does; returns whether there is.
    fn has_work(reactor: &Reactor, at_most: Duration) -> bool {
        let mut outer = mio::Poll::new().unwrap();
        let descriptor = reactor.descriptor();
        let mut watched = SourceFd(&descriptor);
        outer.registry().register(&mut watched, Token(0), Interest::READABLE).unwrap();
        let mut events = Events::with_capacity(1);
        outer.poll(&mut events, Some(at_most)).unwrap();
        !events.is_empty()
    }

    const LONG: Duration = Duration::from_secs(10);

    #[test]
    fn a_bell_that_another_thread_rings_wakes_the_loop_once() {
        let reactor = Reactor::new().unwrap();
        assert!(!has_work(&reactor, Duration::ZERO));
        let bell = reactor.bell().clone();
        thread::spawn(move || (0..3).for_each(|_| bell.ring())).join().unwrap();
        assert!(has_work(&reactor, LONG));
        reactor.turn();
        assert!(!has_work(&reactor, Duration::ZERO));
    }

    #[test]
    fn a_socket_wakes_the_task_that_reads_it_until_it_ends() {
        let reactor = Reactor::new().unwrap();
        let (mut theirs, ours) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut ours = reactor.adopt(mio::net::UnixStream::from_std(ours)).unwrap();
        let (said, heard) = mpsc::channel();
        reactor.spawn(async move {
            let mut text = Vec::new();
            ours.read_to_end(&mut text).await.unwrap();
            said.send(text).unwrap();
        });
        reactor.turn();
        let sent = vec![7; 3 * READ_IN_A_ROW];
        thread::scope(|scope| {
            scope.spawn(|| {
                theirs.write_all(&sent).unwrap();
                drop(theirs);
            });
            let heard = loop {
                assert!(has_work(&reactor, LONG));
                reactor.turn();
                if let Ok(heard) = heard.try_recv() {
                    break heard;
                }
            };
            assert!(heard == sent);
        });
    }

    #[test]
    fn a_guest_that_leaves_goes_on_in_the_runtime() {
        let runtime = runtime();
        let _surrounded = runtime.enter();
        let reactor = Reactor::new().unwrap();
        let (said, heard) = mpsc::channel();
        reactor.invite(async move {
            said.send(thread::current().id()).unwrap();
            leave().await;
            said.send(thread::current().id()).unwrap();
            leave().await; // it has left already
            said.send(thread::current().id()).unwrap();
        });
        reactor.turn();
        let threads: Vec<_> = (0..3).map(|_| heard.recv_timeout(LONG).unwrap()).collect();
        assert_eq!(threads[0], thread::current().id());
        assert!(threads[1] != threads[0] && threads[1] == threads[2]);
    }

    #[test]
    fn a_task_that_panics_ends_alone() {
        let reactor = Reactor::new().unwrap();
        let (said, heard) = mpsc::channel();
        reactor.invite(async { panic!("on purpose") });
        reactor.invite(async move { said.send(()).unwrap() });
        reactor.turn();
        while heard.try_recv().is_err() {
            // What prints a panic may take all of a turn's time.
            assert!(has_work(&reactor, LONG));
            reactor.turn();
        }
        assert!(!is_turn());
    }

    #[test]
    fn tasks_end_with_the_reactor() {
        let reactor = Reactor::new().unwrap();
        let (kept, gone) = mpsc::channel::<()>();
        reactor.spawn(async move {
            let _kept = kept;
            std::future::pending::<()>().await;
        });
        reactor.turn();
        assert_eq!(gone.try_recv(), Err(mpsc::TryRecvError::Empty));
        drop(reactor);
        assert_eq!(gone.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    }
}
