//! Who has which slots of a cluster, as the primaries themselves say.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Result};
use crate::plan::Reply;

/// What the primaries of a cluster said of their slots.
#[derive(Debug, Default)]
pub(super) struct Ownership {
    /// The label of the server that has a slot.
    owners: BTreeMap<u16, String>,
    /// The labels of servers that are taking a slot over, as they say.
    takers: BTreeMap<u16, String>,
    /// The ids of nodes that slots are given to, as their owners say.
    leaving: BTreeMap<u16, String>,
    /// The label of each primary that was asked, by its id.
    labels: BTreeMap<String, String>,
    /// The ids of the nodes that have slots, as any of them says.
    named: BTreeSet<String>,
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
        let is_myself = |line: &&str| is_flagged(line, "myself");
        let myself = text.lines().find(is_myself).ok_or_else(malformed)?;
        let id_of = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
        if is_flagged(myself, "master") {
            self.labels.insert(id_of(myself), label.to_owned());
        }
        let has_slots = |line: &&str| slots_of(line).any(|slots| !slots.starts_with('['));
        self.named.extend(text.lines().filter(has_slots).map(id_of));
        for slots in slots_of(myself) {
            if let Some(open) = slots.strip_prefix('[') {
                let (slot, rest) = open.split_once('-').ok_or_else(malformed)?;
                let slot = slot.parse().map_err(|_| malformed())?;
                if rest.starts_with('<') {
                    self.takers.insert(slot, label.to_owned());
                } else {
                    let id = rest.trim_start_matches(">-").trim_end_matches(']');
                    self.leaving.insert(slot, id.to_owned());
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

    /// Returns whether all who have slots, as any of them says, were asked and say so themselves. A primary
    /// that was replaced does not know so at once when it comes back, and may have nothing left.
    pub(super) fn is_whole(&self) -> bool {
        self.named.iter().all(|id| self.labels.contains_key(id))
    }

    /// Says which slots have moved since `before`, or were moving and have not been looked into.
    pub(super) fn doubts_since(&self, before: &Self) -> Doubts {
        let mut doubts = Doubts::default();
        for (slot, owner) in &self.owners {
            let moved = before.owners.get(slot) != Some(owner);
            let is_open = |it: &Self| it.takers.contains_key(slot) || it.leaving.contains_key(slot);
            let moving = !before.settled && (is_open(self) || is_open(before));
            if !moved && !moving {
                continue;
            }
            doubts.owners.entry(owner.clone()).or_default().push(*slot);
            // The two are asked one after the other, so either may not have heard of it yet.
            let named = self.leaving.get(slot).and_then(|id| self.labels.get(id));
            let takers = self.takers.get(slot).into_iter().chain(named);
            for taker in takers.collect::<BTreeSet<_>>() {
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

/// Returns whether a line of `CLUSTER NODES` has a flag.
fn is_flagged(line: &str, flag: &str) -> bool {
    line.split(' ').nth(2).is_some_and(|flags| flags.split(',').any(|it| it == flag))
}

/// Returns the slots in a line of `CLUSTER NODES`: runs of them, and in brackets those that are moving.
fn slots_of(line: &str) -> impl Iterator<Item = &str> {
    line.split(' ').skip(8).filter(|slots| !slots.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ownership(primaries: &[(&str, &str)]) -> Ownership {
        let mut ownership = Ownership::default();
        for (id, slots) in primaries {
            let line = format!("{id} h:1@2 myself,master - 0 0 1 connected {slots}\n");
            ownership.add(&format!("at-{id}"), Reply::Text(line.into())).unwrap();
        }
        ownership
    }

    fn slots(slots: &BTreeMap<String, Vec<u16>>) -> Vec<(&str, &[u16])> {
        slots.iter().map(|(label, slots)| (label.as_str(), slots.as_slice())).collect()
    }

    #[test]
    fn a_taker_is_known_from_either_side() {
        let before = ownership(&[("a", "0-9"), ("b", "10-19")]);
        for now in [
            ownership(&[("a", "0-9 [4->-b]"), ("b", "10-19")]),
            ownership(&[("a", "0-9"), ("b", "10-19 [4-<-a]")]),
        ] {
            let doubts = now.doubts_since(&before);
            assert_eq!(slots(&doubts.owners), [("at-a", [4].as_slice())]);
            assert_eq!(slots(&doubts.takers), [("at-b", [4].as_slice())]);
        }
    }

    #[test]
    fn slots_that_stayed_are_in_no_doubt() {
        let mut before = ownership(&[("a", "0-9 [4->-b]"), ("b", "10-19 [4-<-a]")]);
        before.settle();
        let still_moving = ownership(&[("a", "0-9 [4->-b]"), ("b", "10-19 [4-<-a]")]);
        assert!(still_moving.doubts_since(&before).is_empty());
        let moved = ownership(&[("a", "0-3 5-9"), ("b", "4 10-19")]);
        assert_eq!(slots(&moved.doubts_since(&before).owners), [("at-b", [4].as_slice())]);
    }

    #[test]
    fn a_node_that_has_slots_and_was_not_asked_is_missing() {
        let others =
            "new h:3@4 master - 0 0 7 connected 0-9\nold h:1@2 slave,fail new 0 0 7 connected\n";
        let answers = |first: &str| {
            let mut ownership = ownership(&[("b", "10-19")]);
            let lines =
                [("at-x", first), ("at-b", "b h:5@6 myself,master - 0 0 2 connected 10-19")];
            for (label, line) in lines {
                let others = if label == "at-b" { others } else { "" };
                ownership.add(label, Reply::Text(format!("{line}\n{others}").into())).unwrap();
            }
            ownership
        };
        assert!(answers("new h:3@4 myself,master - 0 0 7 connected 0-9").is_whole());
        // One that has just come back, and one that knows already that it was replaced.
        assert!(!answers("old h:1@2 myself,master - 0 0 1 connected 0-9").is_whole());
        assert!(!answers("old h:1@2 myself,slave new 0 0 7 connected").is_whole());
    }
}
