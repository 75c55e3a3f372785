//! Many verbs in one call: each has an answer of its own, and one deadline holds for all.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::{Answer, Verb};
use crate::error::{Error, ErrorKind, Result};
use crate::keyspace::MemoryId;

/// What is asked of a store in one call.
#[derive(Debug, Clone)]
pub enum Ask {
    /// One verb.
    One(Verb),
    /// Many; the answer is [`Answer::Many`].
    Many(Batch),
}

/// Hands out more verbs of a batch while others are on their way; none when there are no more.
pub type More<'a> = &'a mut dyn FnMut() -> Vec<Verb>;

/// How much of a batch.
#[derive(Debug, Clone, Copy, Default)]
pub struct Size {
    /// Bytes of messages.
    pub bytes: usize,
    /// Verbs.
    pub verbs: usize,
}

/// What is planned at once, while what was planned before is on its way.
pub const UNIT: Size = Size { bytes: 192 << 10, verbs: 256 };

/// Verbs of one kind, each about one memory.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The call's name as callers know it, such as `save_many`.
    pub operation: &'static str,
    /// The verbs, in order.
    pub verbs: Vec<Verb>,
    /// How much of the call's time other parts of it have taken.
    pub spent: Duration,
}

impl From<Verb> for Ask {
    fn from(verb: Verb) -> Self {
        Self::One(verb)
    }
}

impl From<Batch> for Ask {
    fn from(batch: Batch) -> Self {
        Self::Many(batch)
    }
}

impl Batch {
    /// Returns when its time began to run, as if it had been under way without a pause.
    pub fn started(&self) -> Instant {
        let now = Instant::now();
        now.checked_sub(self.spent).unwrap_or(now)
    }
}

/// The verbs of a batch, with their places, in turns: each is to be over before the next one begins.
///
/// Writes to one memory are in different turns, in their order: were they on their way at once,
/// one that has to be sent again would come after those that follow it.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// What is left of this turn, and those that follow.
    left: VecDeque<VecDeque<(usize, Verb)>>,
    /// How many turns are over.
    over: usize,
    /// The first turn in which each memory may be written to.
    free: HashMap<MemoryId, usize>,
    added: usize,
}

impl Turns {
    /// Adds verbs behind those that were added before.
    pub(crate) fn add(&mut self, verbs: Vec<Verb>) {
        for verb in verbs {
            let mut turn = self.over;
            if let (Verb::Write(_) | Verb::Delete(..), Some(id)) = (&verb, verb.memory()) {
                let free = self.free.entry(id.clone()).or_insert(turn);
                turn = turn.max(*free);
                *free = turn + 1;
            }
            let ahead = turn - self.over;
            if self.left.len() <= ahead {
                self.left.resize_with(ahead + 1, VecDeque::new);
            }
            if let Some(left) = self.left.get_mut(ahead) {
                left.push_back((self.added, verb));
            }
            self.added += 1;
        }
    }

    /// Takes the next verbs of this turn, or all that are left of it; none when there are no more.
    pub(crate) fn unit(&mut self, all: bool) -> Vec<(usize, Verb)> {
        let Some(left) = self.left.front_mut() else { return Vec::new() };
        if all {
            return std::mem::take(left).into();
        }
        let (mut unit, mut size) = (Vec::new(), 0);
        while size < UNIT.bytes && unit.len() < UNIT.verbs {
            let Some((place, verb)) = left.pop_front() else { break };
            size += verb.size();
            unit.push((place, verb));
        }
        unit
    }

    /// Begins the next turn; returns whether there is one.
    pub(crate) fn next(&mut self) -> bool {
        self.over += 1;
        self.left.pop_front();
        !self.left.is_empty()
    }
}

impl Ask {
    /// Returns the call's name as callers know it.
    pub(crate) fn operation(&self) -> &'static str {
        match self {
            Self::One(verb) => verb.name(),
            Self::Many(batch) => batch.operation,
        }
    }

    /// Returns what is answered if nothing of it could be begun: `error`, to each of its verbs.
    ///
    /// # Errors
    /// The error, where only one was asked.
    pub(crate) fn failed(&self, error: &Error) -> Result<Answer> {
        match self {
            Self::One(_) => Err(error.clone()),
            Self::Many(batch) => {
                Ok(Answer::Many(batch.verbs.iter().map(|_| Err(error.clone())).collect()))
            }
        }
    }

    /// Returns how many bytes of messages it writes.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::One(verb) => verb.size(),
            Self::Many(batch) => batch.verbs.iter().map(Verb::size).sum(),
        }
    }

    /// Returns what the server refused for its login's sake, to be asked once more, if anything was.
    #[must_use]
    pub fn refused(self, outcome: &Result<Answer>) -> Option<Self> {
        match (self, outcome) {
            (Self::Many(batch), Ok(Answer::Many(answers))) => {
                let verbs: Vec<Verb> = (batch.verbs.into_iter().zip(answers))
                    .filter(|(_, answer)| is_refused(answer))
                    .map(|(verb, _)| verb)
                    .collect();
                (!verbs.is_empty()).then_some(Self::Many(Batch { verbs, ..batch }))
            }
            (ask, outcome) => is_refused(outcome).then_some(ask),
        }
    }
}

/// Puts the outcome of what was asked once more in the place of what was refused the first time.
///
/// # Errors
/// What the second call ended with.
pub fn mended(first: Result<Answer>, second: Result<Answer>) -> Result<Answer> {
    match (first, second) {
        (Ok(Answer::Many(mut answers)), Ok(Answer::Many(again))) => {
            let refused = answers.iter_mut().filter(|answer| is_refused(answer));
            refused.zip(again).for_each(|(answer, again)| *answer = again);
            Ok(Answer::Many(answers))
        }
        (_, second) => second,
    }
}

fn is_refused(outcome: &Result<Answer>) -> bool {
    matches!(outcome, Err(error) if *error.kind() == ErrorKind::AuthFailed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> MemoryId {
        MemoryId::new(name).unwrap()
    }

    fn batch(verbs: impl IntoIterator<Item = Verb>) -> Batch {
        let verbs = verbs.into_iter().collect();
        Batch { operation: "delete_many", verbs, spent: Duration::ZERO }
    }

    fn places(batch: Batch) -> Vec<Vec<usize>> {
        let (mut turns, mut all) = (Turns::default(), Vec::new());
        turns.add(batch.verbs);
        loop {
            let turn = turns.unit(true);
            if turn.is_empty() {
                return all;
            }
            all.push(turn.into_iter().map(|(place, _)| place).collect());
            turns.next();
        }
    }

    #[test]
    fn writes_to_one_memory_take_turns_and_reads_need_not() {
        let deletes = ["a", "a", "b", "a", "b"].map(|name| Verb::Delete(id(name), None));
        assert_eq!(places(batch(deletes)), [vec![0, 2], vec![1, 4], vec![3]]);
        let loads = ["a", "a", "b"].map(|name| Verb::Load(id(name)));
        assert_eq!(places(batch(loads)), [vec![0, 1, 2]]);
        assert!(places(batch([])).is_empty());
    }

    #[test]
    fn only_what_was_refused_is_asked_again() {
        let refused = || Err(Error::new(ErrorKind::AuthFailed, "no"));
        let ask = Ask::from(batch(["a", "b", "c"].map(|name| Verb::Load(id(name)))));
        let first = Ok(Answer::Many(vec![refused(), Ok(Answer::Count(1)), refused()]));
        let Some(Ask::Many(again)) = ask.refused(&first) else { panic!("nothing to ask again") };
        let names: Vec<_> = again.verbs.iter().filter_map(Verb::memory).collect();
        assert_eq!(names, [&id("a"), &id("c")]);
        let second = Ok(Answer::Many(vec![Ok(Answer::Count(2)), Ok(Answer::Count(3))]));
        let Ok(Answer::Many(answers)) = mended(first, second) else { panic!("no answers") };
        let counts = answers.into_iter().map(|answer| match answer {
            Ok(Answer::Count(count)) => count,
            other => panic!("{other:?}"),
        });
        assert_eq!(counts.collect::<Vec<_>>(), [2, 1, 3]);
    }
}
