//! Keeps track of who the primary is, by what sentinels say.

use std::sync::{Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, poll};

use super::super::address::Address;
use super::super::connection::Connection;
use super::super::servers::Servers;
use super::super::stream::timespec;
use super::{bounds, request, rest};
use crate::call::{Failure, Retry};
use crate::error::{Error, ErrorKind, Result};
use crate::options::Endpoint;
use crate::plan::{Replies, Reply};
use crate::script::Form;
use crate::wake::Wake;

/// One sentinel: asked who the primary is, and listened to.
pub(super) struct Sentinel {
    address: Address,
    service: String,
    asked: Option<Connection>,
    heard: Option<Connection>,
}

/// What a sentinel says: who the primary is, by which election, and whether it has replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
struct View {
    primary: Endpoint,
    epoch: u64,
    has_replicas: bool,
}

impl Sentinel {
    pub(super) fn new(address: Address, service: String) -> Self {
        Self { address, service, asked: None, heard: None }
    }

    /// Asks whenever the bell rings or the sentinel has news, and now and then.
    pub(super) fn watch(&mut self, at: usize, servers: &Weak<Servers>, views: &Views, bell: &Wake) {
        while let Some(team) = servers.upgrade().filter(|team| !team.is_closed()) {
            views.tell(&team, at, self.look());
            drop(team);
            rest(bell, self.heard.as_ref());
            self.hear();
        }
    }

    /// Asks who the primary is.
    fn look(&mut self) -> Result<View, Failure> {
        let again = self.asked.is_some();
        let view = self.ask();
        match view {
            // A connection that was kept may have died while nobody used it.
            Err(failure) if again && failure.lost => self.ask(),
            view => view,
        }
    }

    fn ask(&mut self) -> Result<View, Failure> {
        // Listen first: what changes between the answer and the listening would go unheard.
        if self.heard.is_none() {
            let subscribe = request(&[&["SUBSCRIBE", "+switch-master"]]);
            let mut connection = Connection::open(&self.address, bounds())?;
            connection.exchange(&self.address, &subscribe, Form::Digest, bounds())?;
            self.heard = Some(connection);
        }
        let mut connection = match self.asked.take() {
            Some(connection) => connection,
            None => Connection::open(&self.address, bounds())?,
        };
        let question = request(&[
            &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", &self.service],
            &["SENTINEL", "MASTER", &self.service],
        ]);
        let replies = connection.exchange(&self.address, &question, Form::Digest, bounds())?;
        self.asked = Some(connection);
        let mut replies = Replies::new(replies);
        let (address, details) = (replies.take(), replies.take());
        if let Ok(Reply::Error(error)) = &address
            && error.detail.starts_with("unknown command")
        {
            let error = Error::invalid(format!(
                "the server at {} is no sentinel; name its sentinels, or leave `sentinel` out",
                self.address.endpoint
            ));
            return Err(Failure::before_sending(error, Retry::Never));
        }
        let view = address.and_then(|address| read_view(address, details));
        view.map_err(|error| Failure::before_sending(error, Retry::Never))?.ok_or_else(|| {
            let message = format!(
                "{} knows no primary named {:?}; check the service's name, or see SENTINEL MASTERS",
                self.address, self.service
            );
            let error = Error::new(ErrorKind::Unavailable, message);
            Failure::before_sending(error, Retry::Never)
        })
    }

    /// Takes in what the sentinel has told meanwhile; that it did is enough to ask again.
    fn hear(&mut self) {
        let Some(connection) = &mut self.heard else { return };
        let readable = |connection: &Connection| {
            let mut sources = [PollFd::new(connection, PollFlags::IN)];
            poll(&mut sources, Some(&timespec(Duration::ZERO))).is_ok_and(|ready| ready > 0)
        };
        while connection.has_more() || readable(connection) {
            if connection.listen(&self.address, bounds()).is_err() {
                self.heard = None;
                return;
            }
        }
    }
}

/// Reads the replies to `SENTINEL GET-MASTER-ADDR-BY-NAME` and `SENTINEL MASTER`.
fn read_view(address: Reply, details: Result<Reply>) -> Result<Option<View>> {
    let malformed = || Error::corrupt("a sentinel's answer is malformed; is it a sentinel?");
    if address == Reply::Nil {
        return Ok(None);
    }
    let [host, port] = <[Bytes; 2]>::try_from(address.texts()?).map_err(|_| malformed())?;
    let text =
        |bytes: &Bytes| std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| malformed());
    let port = text(&port)?.parse().map_err(|_| malformed())?;
    let primary = Endpoint::told(&text(&host)?, port).ok_or_else(malformed)?;
    // A sentinel that says no more than the address is believed as far as it goes.
    let details = details.and_then(Reply::texts).unwrap_or_default();
    let detail = |wanted: &str| {
        details.chunks_exact(2).find_map(|pair| match pair {
            [name, value] if name == wanted => text(value).ok()?.parse::<u64>().ok(),
            _ => None,
        })
    };
    let epoch = detail("config-epoch").unwrap_or_default();
    let has_replicas = detail("num-slaves").is_some_and(|replicas| replicas > 0);
    Ok(Some(View { primary, epoch, has_replicas }))
}

/// What each sentinel says. The latest election counts, so one that slept through it cannot lead
/// anybody back.
#[derive(Debug)]
pub(super) struct Views(Mutex<Vec<Said>>);

/// What one sentinel has said.
#[derive(Debug, Clone)]
enum Said {
    NothingYet,
    Failed(Failure),
    Named(View),
}

impl Views {
    pub(super) fn new(sentinels: usize) -> Self {
        Self(Mutex::new(vec![Said::NothingYet; sentinels]))
    }

    fn tell(&self, servers: &Servers, at: usize, view: Result<View, Failure>) {
        let mut views = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = views.get_mut(at) {
            *place = view.map_or_else(Said::Failed, Said::Named);
        }
        let mut latest: Option<&View> = None;
        let mut failure: Option<&Failure> = None;
        let mut all_asked = true;
        for said in views.iter() {
            match said {
                Said::NothingYet => all_asked = false,
                Said::Named(view) if latest.is_none_or(|it| it.epoch <= view.epoch) => {
                    latest = Some(view);
                }
                // What one says weighs more than that others are not there.
                Said::Failed(it) if failure.is_none_or(|other| other.lost) => failure = Some(it),
                Said::Named(_) | Said::Failed(_) => {}
            }
        }
        match (latest, failure) {
            (Some(View { primary, has_replicas, .. }), _) => {
                servers.set_primary(primary, *has_replicas);
            }
            (None, Some(failure)) if all_asked => servers.set_unknown(failure.clone()),
            _ => {}
        }
    }
}
