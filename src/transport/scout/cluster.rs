//! Keeps the map of a cluster's slots.

use std::sync::Weak;

use super::super::address::Address;
use super::super::connection::Connection;
use super::super::servers::Servers;
use super::super::slots::{Range, read_ranges};
use super::{bounds, request, rest};
use crate::call::{Failure, Retry};
use crate::error::Error;
use crate::options::Endpoint;
use crate::plan::{Replies, Reply};
use crate::script::Form;
use crate::wake::Wake;

/// Asks for the slots whenever the bell rings, and now and then.
pub(super) fn watch(servers: &Weak<Servers>, seeds: &[Endpoint], bell: &Wake) {
    let mut connection: Option<(Endpoint, Connection)> = None;
    while let Some(team) = servers.upgrade().filter(|team| !team.is_closed()) {
        let mut failure = None;
        for source in team.sources(seeds) {
            let kept = connection.take().filter(|(endpoint, _)| *endpoint == source.endpoint);
            match ask_for_slots(&source, kept.map(|(_, connection)| connection)) {
                Ok((ranges, asked)) => {
                    connection = Some((source.endpoint.clone(), asked));
                    failure = None;
                    team.set_slots(&ranges);
                    break;
                }
                Err(problem) => failure = Some(problem),
            }
        }
        if let Some(failure) = failure {
            team.set_unknown(failure);
        }
        drop(team);
        rest(bell, None);
    }
}

fn ask_for_slots(
    source: &Address,
    connection: Option<Connection>,
) -> Result<(Vec<Range>, Connection), Failure> {
    let ask = |mut connection: Connection| {
        let slots = request(&[&["CLUSTER", "SLOTS"]]);
        let replies = connection.exchange(source, &slots, Form::Digest, bounds())?;
        Ok((replies, connection))
    };
    // A connection that was kept may have died while nobody used it.
    let kept = connection.and_then(|connection| ask(connection).ok());
    let fresh = || Connection::open(source, bounds()).and_then(ask);
    let (replies, connection) = kept.map_or_else(fresh, Ok)?;
    let host = match &source.endpoint {
        Endpoint::Tcp { host, .. } => host.as_str(),
        Endpoint::Unix(_) => "localhost",
    };
    let ranges = Replies::new(replies).take().and_then(|reply| match reply {
        Reply::Error(error) if error.detail.contains("cluster support disabled") => {
            let message = format!("{source} is no cluster; leave `cluster` out");
            Err(Error::invalid(message))
        }
        reply => read_ranges(reply, host),
    });
    match ranges {
        Ok(ranges) if ranges.is_empty() => {
            let error = source.unreachable("no slots are assigned at", "the cluster is not set up");
            Err(Failure::before_sending(error, Retry::Later))
        }
        Ok(ranges) => Ok((ranges, connection)),
        Err(error) => Err(Failure::before_sending(error, Retry::Never)),
    }
}
