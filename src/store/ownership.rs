//! Who has which slots of a cluster, as the primaries themselves say.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Result};
use crate::plan::Reply;

/// What the primaries of a cluster said of their slots.
#[derive(Debug, Default)]
pub(super) struct Ownership {
    /// The label of the server that has a slot.
    owners: BTreeMap<u16, String>,
    /// The labels of servers that are taking a slot over.
    takers: BTreeMap<u16, String>,
    /// Slots that their owner is giving away.
    leaving: BTreeSet<u16>,
    /// Whether slots that are moving have been looked into.
    settled: bool,
}

/// Slots whose keys may have been missed: where each is, and where some are going.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Doubts {
    pub(super) owners: BTreeMap<String, Vec<u16>>,
    pub(super) takers: BTreeMap<String, Vec<u16>>,
}

impl Doubts {
    pub(super) fn is_empty(&self) -> bool {
        self.owners.is_empty() && self.takers.is_empty()
    }
}

impl Ownership {
    /// Adds what one primary says of itself: its reply to `CLUSTER NODES`.
    ///
    /// # Errors
    /// What the reply says, or that it is no such reply.
    pub(super) fn add(&mut self, label: &str, reply: Reply) -> Result<()> {
        let malformed = || Error::corrupt("the server's answer to CLUSTER NODES is malformed");
        let text = reply.text()?.unwrap_or_default();
        let text = std::str::from_utf8(&text).map_err(|_| malformed())?;
        let is_myself = |line: &&str| {
            line.split(' ').nth(2).is_some_and(|flags| flags.split(',').any(|it| it == "myself"))
        };
        let myself = text.lines().find(is_myself).ok_or_else(malformed)?;
        for slots in myself.split(' ').skip(8).filter(|slots| !slots.is_empty()) {
            if let Some(open) = slots.strip_prefix('[') {
                let (slot, rest) = open.split_once('-').ok_or_else(malformed)?;
                let slot = slot.parse().map_err(|_| malformed())?;
                if rest.starts_with('<') {
                    self.takers.insert(slot, label.to_owned());
                } else {
                    self.leaving.insert(slot);
                }
                continue;
            }
            let (first, last) = slots.split_once('-').unwrap_or((slots, slots));
            let number = |text: &str| text.parse::<u16>().map_err(|_| malformed());
            for slot in number(first)?..=number(last)? {
                self.owners.insert(slot, label.to_owned());
            }
        }
        Ok(())
    }

    /// Says which slots have moved since `before`, or were moving and have not been looked into.
    pub(super) fn doubts_since(&self, before: &Self) -> Doubts {
        let mut doubts = Doubts::default();
        for (slot, owner) in &self.owners {
            let moved = before.owners.get(slot) != Some(owner);
            let is_open = |it: &Self| it.takers.contains_key(slot) || it.leaving.contains(slot);
            let moving = !before.settled && (is_open(self) || is_open(before));
            if !moved && !moving {
                continue;
            }
            doubts.owners.entry(owner.clone()).or_default().push(*slot);
            if let Some(taker) = self.takers.get(slot) {
                doubts.takers.entry(taker.clone()).or_default().push(*slot);
            }
        }
        doubts
    }

    /// Notes that the slots that are moving are being looked into: unless they have moved by the
    /// next time, nothing of theirs was missed.
    pub(super) fn settle(&mut self) {
        self.settled = true;
    }
}
