//! The slots of a cluster: which server has each.

use std::sync::Arc;

use super::server::Server;
use crate::error::{Error, Result};
use crate::options::Endpoint;
use crate::plan::{Replies, Reply};
use crate::slot::SLOTS;

const NOBODY: u16 = u16::MAX;

/// A run of slots and the primary that has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: u16,
    pub(super) last: u16,
    pub(super) owner: Endpoint,
    /// Whether the owner has replicas.
    pub(super) has_replicas: bool,
}

/// Reads the reply to `CLUSTER SLOTS`; a node without a name of its own is at `host`.
///
/// # Errors
/// What the reply says, or that it is no such reply.
pub(super) fn read_ranges(reply: Reply, host: &str) -> Result<Vec<Range>> {
    let malformed = || Error::corrupt("the server's answer to CLUSTER SLOTS is malformed");
    let bound = |reply: Reply| {
        let number = u16::try_from(reply.unsigned()?).ok();
        number.filter(|&slot| slot < SLOTS).ok_or_else(malformed)
    };
    let mut ranges = Vec::new();
    for range in reply.array()? {
        let mut parts = Replies::new(range.array()?);
        let (first, last) = (bound(parts.take()?)?, bound(parts.take()?)?);
        let mut node = Replies::new(parts.take()?.array()?);
        let name = node.take()?.text()?.unwrap_or_default();
        let name = std::str::from_utf8(&name).map_err(|_| malformed())?;
        let port = u16::try_from(node.take()?.unsigned()?).map_err(|_| malformed())?;
        if first > last {
            return Err(malformed());
        }
        // `?`: the node does not know its own name yet.
        let name = if name.is_empty() || name == "?" { host } else { name };
        let owner = Endpoint::told(name, port).ok_or_else(malformed)?;
        let has_replicas = parts.rest().next().is_some();
        ranges.push(Range { first, last, owner, has_replicas });
    }
    Ok(ranges)
}

/// Which server has which slot.
#[derive(Debug, Clone)]
pub(super) struct SlotMap {
    servers: Vec<Arc<Server>>,
    /// The place in `servers` of each slot's owner.
    owners: Vec<u16>,
}

impl SlotMap {
    /// Makes the map of `ranges`; `server` gives the server at an endpoint.
    pub(super) fn new(ranges: &[Range], server: impl Fn(&Endpoint) -> Arc<Server>) -> Self {
        let mut map = Self { servers: Vec::new(), owners: vec![NOBODY; usize::from(SLOTS)] };
        for range in ranges {
            let owner = server(&range.owner);
            owner.replicas.set_replicas(range.has_replicas);
            let owner = map.place(owner);
            if let Some(slots) =
                map.owners.get_mut(usize::from(range.first)..=usize::from(range.last))
            {
                slots.fill(owner);
            }
        }
        map
    }

    /// Returns the server that has a slot.
    pub(super) fn owner(&self, slot: u16) -> Option<&Arc<Server>> {
        let place = *self.owners.get(usize::from(slot))?;
        self.servers.get(usize::from(place))
    }

    /// Returns the same map but for one slot, which has moved to `server`.
    pub(super) fn with_owner(&self, slot: u16, server: Arc<Server>) -> Self {
        let mut map = self.clone();
        let owner = map.place(server);
        if let Some(place) = map.owners.get_mut(usize::from(slot)) {
            *place = owner;
        }
        map
    }

    /// Returns every server that has a slot.
    pub(super) fn servers(&self) -> Vec<Arc<Server>> {
        let mut has_slots = vec![false; self.servers.len()];
        for &place in &self.owners {
            if let Some(has) = has_slots.get_mut(usize::from(place)) {
                *has = true;
            }
        }
        self.servers
            .iter()
            .zip(has_slots)
            .filter(|(_, has)| *has)
            .map(|(it, _)| it.clone())
            .collect()
    }

    fn place(&mut self, server: Arc<Server>) -> u16 {
        let known = self.servers.iter().position(|other| Arc::ptr_eq(other, &server));
        let place = known.unwrap_or_else(|| {
            self.servers.push(server);
            self.servers.len() - 1
        });
        u16::try_from(place).unwrap_or(NOBODY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_and_nameless_nodes_are_where_they_were_asked() {
        let node =
            |name: Reply| Reply::Array(vec![name, Reply::Integer(7001), Reply::Text("id".into())]);
        let range = |first, last, name| {
            Reply::Array(vec![Reply::Integer(first), Reply::Integer(last), node(name)])
        };
        let reply = Reply::Array(vec![
            range(0, 100, Reply::Text("10.0.0.1".into())),
            range(101, 16383, Reply::Nil),
        ]);
        let owner = |host| Endpoint::tcp(host, 7001);
        assert_eq!(
            read_ranges(reply, "seed").unwrap(),
            [
                Range { first: 0, last: 100, owner: owner("10.0.0.1"), has_replicas: false },
                Range { first: 101, last: 16383, owner: owner("seed"), has_replicas: false },
            ]
        );
        let forged = range(0, 100, Reply::Text("a\x1b[31m\r\nb".into()));
        for bad in [range(5, 4, Reply::Nil), range(0, 16384, Reply::Nil), forged, Reply::Nil] {
            assert!(read_ranges(Reply::Array(vec![bad]), "seed").is_err());
        }
    }
}
