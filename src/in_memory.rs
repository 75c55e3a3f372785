//! The store that keeps memories in this process, for tests and for trying things out.

use std::collections::HashMap;
use std::sync::MutexGuard;
use std::time::{Duration, Instant};

use crate::call::Interrupt;
use crate::error::{Error, ErrorKind, Result};
use crate::keyspace::MemoryId;
use crate::layout::Layout;
use crate::message::Message;
use crate::messages::{Limits, Messages};
use crate::process::Guarded;
use crate::store::{
    Answer, Ids, Info, Key, Keyed, Lease, Ledger, Mode, Ttl, Verb, Write, Written, check_write,
    conflict,
};

/// Writes between two sweeps of expired memories.
const SWEEP_EVERY: u64 = 256;

/// A time that no process lives to see.
const FOR_EVER: Duration = Duration::from_secs(1 << 32);

/// How an [`InMemoryStore`] keeps its memories.
#[derive(Debug, Clone)]
pub struct InMemoryOptions {
    /// Time to live, restarted on every write; `None` keeps memories until they are deleted.
    pub ttl: Option<Duration>,
    /// Whether a load restarts the time to live too.
    pub refresh_on_load: bool,
    /// How large messages and conversations may be.
    pub limits: Limits,
}

/// Keeps memories in this process; they end with it. A forked child goes on with those of the fork, for
/// itself, unless another thread was at them then.
#[derive(Debug)]
pub struct InMemoryStore {
    options: InMemoryOptions,
    started: Instant,
    state: Guarded<State>,
}

#[derive(Debug, Default)]
struct State {
    memories: HashMap<MemoryId, Memory>,
    /// Who holds the next turn, and until when.
    leases: HashMap<MemoryId, (String, Instant)>,
    writes: u64,
}

#[derive(Debug, Default)]
struct Memory {
    messages: Vec<Message>,
    /// Bytes of the messages, one more for each, as the other stores count them.
    bytes: u64,
    /// 0 only while the memory is being made.
    revision: u64,
    ledger: Ledger,
    deadline: Option<Instant>,
}

impl InMemoryStore {
    /// Makes an empty store.
    pub fn new(options: InMemoryOptions) -> Self {
        Self { options, started: Instant::now(), state: Guarded::default() }
    }

    /// Applies a verb. Nothing here waits, so `_interrupt` is not asked; it is taken so that this
    /// store is called as the file store is.
    ///
    /// # Errors
    /// [`ErrorKind`] `InvalidArgument`, `TooLarge` or `Conflict`;
    /// `Unavailable` in a child that was forked while another thread used the store.
    pub fn apply(&self, verb: Verb, _interrupt: Interrupt) -> Result<Answer> {
        Ok(match verb {
            Verb::Load(id) => Answer::Messages(self.tail(&id, usize::MAX)?),
            Verb::Tail(id, count) => Answer::Messages(self.tail(&id, count)?),
            Verb::Write(write) => Answer::Written(self.write(write)?),
            Verb::Pop(id) => Answer::Message(self.pop(&id)?),
            Verb::Delete(id, if_revision) => {
                let mut state = self.state()?;
                let actual = state.live(&id).map_or(0, |memory| memory.revision);
                if if_revision.is_some_and(|expected| expected != actual) {
                    return Err(conflict(actual));
                }
                let live = actual > 0;
                state.memories.remove(&id);
                Answer::Bool(live)
            }
            Verb::Lease(lease) => Answer::Bool(self.state()?.lease(lease)),
            Verb::Exists(id) => Answer::Bool(self.state()?.live(&id).is_some()),
            Verb::Count(id) => {
                Answer::Count(self.state()?.live(&id).map_or(0, |memory| memory.messages.len()))
            }
            Verb::Info(id) => Answer::Info(self.state()?.live(&id).map(|memory| memory.info())),
            Verb::Touch(id) => Answer::Bool(match self.state()?.live(&id) {
                Some(memory) => {
                    memory.deadline = self.deadline(Ttl::Setting);
                    true
                }
                None => false,
            }),
            Verb::Page(scan) => {
                Answer::Page(scan.take_only_page().then(|| self.ids()).transpose()?)
            }
            Verb::Ping => Answer::Done,
        })
    }

    fn state(&self) -> Result<MutexGuard<'_, State>> {
        self.state.lock().ok_or_else(|| {
            let message = "this process was forked while another thread used this store, and cannot \
                           tell what is in it; nothing was changed: make a backend in the child, \
                           or fork while no call is under way";
            Error::new(ErrorKind::Unavailable, message)
        })
    }

    /// Returns when a memory expires that is written now.
    fn deadline(&self, ttl: Ttl) -> Option<Instant> {
        ttl.or(self.options.ttl).and_then(|ttl| Instant::now().checked_add(ttl))
    }

    /// Returns the milliseconds on the clock of this store's ledgers.
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn tail(&self, id: &MemoryId, count: usize) -> Result<Option<Messages>> {
        let mut state = self.state()?;
        let Some(memory) = state.live(id) else { return Ok(None) };
        if self.options.refresh_on_load {
            memory.deadline = self.deadline(Ttl::Setting);
        }
        let skipped = memory.messages.len().saturating_sub(count);
        Ok(Some(memory.messages.iter().skip(skipped).cloned().collect()))
    }

    fn write(&self, write: Write) -> Result<Written> {
        check_write(&write, self.options.limits)?;
        let key = Key::of(&write);
        let now = self.now();
        let mut state = self.state()?;
        state.sweep();
        let absent = Memory::default();
        let memory = state.live(&write.id);
        let before = memory.as_deref().unwrap_or(&absent);
        let earlier = before.ledger.admit(key.as_ref(), write.if_revision, before.revision, now)?;
        if let Some(written) = earlier {
            return Ok(written);
        }
        let memory = state.memories.entry(write.id).or_default();
        if write.mode == Mode::Save {
            memory.messages.clear();
            memory.bytes = 0;
        }
        let added = (0..write.messages.len()).filter_map(|index| write.messages.get(index));
        memory.messages.extend(added);
        memory.bytes += (write.messages.size() + write.messages.len()) as u64;
        memory.revision += 1;
        memory.deadline = self.deadline(write.ttl);
        let (revision, count) = (memory.revision, memory.messages.len());
        if let Some(key) = key {
            memory.ledger.remember(Keyed::new(key, revision, count, now), now);
        }
        Ok(Written { revision, count, replayed: false })
    }

    fn pop(&self, id: &MemoryId) -> Result<Option<Message>> {
        let mut state = self.state()?;
        let Some(memory) = state.live(id) else { return Ok(None) };
        let Some(message) = memory.messages.pop() else { return Ok(None) };
        memory.bytes -= message.as_bytes().len() as u64 + 1;
        memory.revision += 1;
        memory.deadline = self.deadline(Ttl::Setting);
        Ok(Some(message))
    }

    fn ids(&self) -> Result<Ids> {
        let state = self.state()?;
        let live = state.memories.iter().filter(|(_, memory)| memory.is_live());
        let mut ids: Vec<&str> = live.map(|(id, _)| id.as_str()).collect();
        ids.sort_unstable();
        Ok(ids.into_iter().collect())
    }
}

impl State {
    /// Returns a memory that has not expired; one that has is dropped.
    fn live(&mut self, id: &MemoryId) -> Option<&mut Memory> {
        if self.memories.get(id).is_some_and(|memory| !memory.is_live()) {
            self.memories.remove(id);
        }
        self.memories.get_mut(id)
    }

    /// Takes, extends or gives back a lease; returns whether it is, or was, the asker's.
    fn lease(&mut self, lease: Lease) -> bool {
        let now = Instant::now();
        self.leases.retain(|_, (_, until)| *until > now);
        let is_ours = self.leases.get(&lease.id).map(|(holder, _)| *holder == lease.token);
        match lease.span {
            _ if is_ours == Some(false) => false,
            Some(span) => {
                // Beyond what the clock can count is for ever.
                let until = now.checked_add(span).unwrap_or(now + FOR_EVER);
                self.leases.insert(lease.id, (lease.token, until));
                true
            }
            None => self.leases.remove(&lease.id).is_some(),
        }
    }

    /// Drops expired memories nobody asks for any more, now and then.
    fn sweep(&mut self) {
        self.writes += 1;
        if self.writes.is_multiple_of(SWEEP_EVERY) {
            self.memories.retain(|_, memory| memory.is_live());
        }
    }
}

impl Memory {
    fn is_live(&self) -> bool {
        self.deadline.is_none_or(|deadline| Instant::now() < deadline)
    }

    fn info(&self) -> Info {
        Info {
            messages: self.messages.len(),
            revision: self.revision,
            ttl: self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())),
            bytes: self.bytes,
            layout: Layout::Log.name(),
        }
    }
}

#[cfg(test)]
mod tests {

    use proptest::prelude::*;

    use super::*;
    use crate::file::fixture::{Fixture, WEEK, append, id, save, text};

    fn store(ttl: Option<Duration>) -> InMemoryStore {
        InMemoryStore::new(InMemoryOptions {
            ttl,
            refresh_on_load: false,
            limits: Limits::default(),
        })
    }

    fn keyed(name: &str) -> Write {
        Write { idempotency_key: Some("k".into()), ..append(name, &["x"]) }
    }

    #[test]
    fn a_repeated_append_changes_nothing() {
        let store = store(None);
        let first = store.write(keyed("a")).unwrap();
        assert_eq!(store.write(keyed("a")).unwrap(), Written { replayed: true, ..first });
        assert_eq!(store.tail(&id("a"), usize::MAX).unwrap().unwrap().len(), 1);
    }

    #[test]
    fn an_expired_memory_is_absent_and_is_swept() {
        let store = store(Some(Duration::ZERO));
        store.write(keyed("a")).unwrap();
        assert!(store.ids().unwrap().is_empty());
        assert_eq!(store.write(keyed("a")).unwrap().revision, 1);
        for _ in 0..SWEEP_EVERY {
            store.write(keyed("b")).unwrap();
        }
        assert!(!store.state().unwrap().memories.contains_key(&id("a")));
    }

    #[test]
    fn what_is_not_there_is_never_made_by_a_refused_write() {
        let store = store(None);
        let write = Write { if_revision: Some(1), ..keyed("a") };
        assert!(store.write(write).is_err());
        assert!(store.ids().unwrap().is_empty());
    }

    #[test]
    fn a_child_has_the_memories_of_the_fork_or_an_error() {
        let store = store(None);
        store.write(keyed("a")).unwrap();
        store.state.set_forked();
        assert!(matches!(store.apply(Verb::Count(id("a")), || false), Ok(Answer::Count(1))));
        // What another thread leaves that held the lock at the fork.
        std::mem::forget(store.state().unwrap());
        store.state.set_forked();
        let verbs = [
            Verb::Load(id("a")),
            Verb::Write(append("a", &["y"])),
            Verb::Pop(id("a")),
            Verb::Delete(id("a"), None),
            Verb::Count(id("a")),
            Verb::Page(crate::store::Scan::new(false)),
        ];
        for verb in verbs {
            let error = store.apply(verb, || false).unwrap_err();
            assert_eq!(error.kind(), &ErrorKind::Unavailable, "{error}");
        }
    }

    /// One random call on one of two memories.
    fn verb() -> impl Strategy<Value = Verb> {
        let name = prop_oneof![Just("a"), Just("B")];
        let texts = proptest::collection::vec("[a-z]{0,40}", 0..4);
        let if_revision = proptest::option::weighted(0.1, 0..6_u64);
        let key = proptest::option::weighted(0.3, "[a-c]");
        (0..14_u8, name, texts, if_revision, key, 0..9_usize).prop_map(
            |(verb, name, texts, if_revision, idempotency_key, count)| {
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                match verb {
                    0 => Verb::Write(Write { if_revision, ..save(name, &texts) }),
                    1..=4 => {
                        Verb::Write(Write { if_revision, idempotency_key, ..append(name, &texts) })
                    }
                    5..=7 => Verb::Pop(id(name)),
                    8 => Verb::Delete(id(name), if_revision),
                    9 => Verb::Touch(id(name)),
                    10 => Verb::Load(id(name)),
                    11 => Verb::Page(crate::store::Scan::new(false)),
                    12 => Verb::Info(id(name)),
                    _ => Verb::Tail(id(name), count),
                }
            },
        )
    }

    fn comparable(answer: Result<Answer>) -> String {
        match answer {
            Ok(Answer::Messages(messages)) => format!("{:?}", messages.as_ref().map(text)),
            Ok(Answer::Message(message)) => format!("{:?}", message.as_ref().map(Message::as_str)),
            Ok(Answer::Info(info)) => format!(
                "{:?}",
                info.map(|info| (info.messages, info.revision, info.bytes, info.ttl.is_some()))
            ),
            Ok(answer) => format!("{answer:?}"),
            Err(error) => format!("{:?}", error.kind()),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn files_and_memory_give_the_same_answers(verbs in proptest::collection::vec(verb(), 1..60)) {
            let fixture = Fixture::new();
            let in_memory = store(Some(WEEK));
            for verb in verbs {
                // A listing is used up by the first store that gives its page.
                let other = match &verb {
                    Verb::Page(_) => Verb::Page(crate::store::Scan::new(false)),
                    verb => verb.clone(),
                };
                let expected = comparable(in_memory.apply(other, || false));
                let described = format!("{verb:?}");
                prop_assert_eq!(comparable(fixture.store.apply(verb, || false)), expected, "{}", described);
            }
        }
    }
}
