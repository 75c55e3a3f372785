//! One call on a store: its options, how long it may wait, and what the verbs share.

use std::time::{SystemTime, UNIX_EPOCH};

use super::FileOptions;
use super::lock::Patience;
use super::notices::Notices;
use crate::store::Ttl;

/// One call.
#[derive(Debug)]
pub(super) struct Session<'a> {
    pub(super) options: &'a FileOptions,
    pub(super) notices: &'a Notices,
    pub(super) patience: Patience,
}

impl Session<'_> {
    /// Returns when a memory expires that is written now.
    pub(super) fn expiry(&self, ttl: Ttl) -> Option<u64> {
        let ttl = ttl.or(self.options.ttl)?;
        let ttl = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        Some(now().saturating_add(ttl.max(1)))
    }
}

/// Returns the milliseconds since 1970: expiry times are read by other processes, and after a
/// restart.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
