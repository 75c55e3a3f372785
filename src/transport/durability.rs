//! Writes that count as done only when replicas have them.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::call::Call;
use crate::options::ClientOptions;
use crate::plan::{Command, Reply, Request};

/// The longest that a server waits for its replicas: less than what counts as its silence.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// A request, and `WAIT` after it if it writes and replicas must have what it wrote.
///
/// `WAIT` covers everything the server had written when it came, so a write that turns out to have
/// been applied by an earlier attempt is waited for as well.
#[derive(Debug)]
pub(super) struct Durable<'a> {
    request: Cow<'a, Request>,
    replicas: u32,
}

impl<'a> Durable<'a> {
    pub(super) fn new(request: &'a Request, options: &ClientOptions, deadline: Instant) -> Self {
        let replicas = if request.writes { options.replicas } else { 0 };
        let mut request = Cow::Borrowed(request);
        if replicas > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            let time = (left / 2).min(LONGEST_WAIT).as_millis().max(1);
            request.to_mut().commands.push(Command::plain([
                Bytes::from_static(b"WAIT"),
                replicas.to_string().into(),
                time.to_string().into(),
            ]));
        }
        Self { request, replicas }
    }

    pub(super) fn request(&self) -> &Request {
        &self.request
    }

    /// Takes the reply to `WAIT` off and has the call remember it.
    pub(super) fn take(&self, mut replies: Vec<Reply>, call: &mut Call) -> Vec<Reply> {
        if self.replicas > 0 {
            let have = match replies.pop() {
                Some(Reply::Integer(have)) => u32::try_from(have).unwrap_or_default(),
                _ => 0,
            };
            call.replicated(self.replicas, have);
        }
        replies
    }
}
