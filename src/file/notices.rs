//! What the store did that somebody should be told, such as cutting a torn write.

use std::collections::VecDeque;

use crate::process::Guarded;

/// Notices kept until they are taken; beyond that the oldest are dropped.
const MAX_NOTICES: usize = 64;

/// Notices that wait to be logged. A child whose parent was at them when it was forked tells none.
#[derive(Debug, Default)]
pub(super) struct Notices(pub(super) Guarded<VecDeque<String>>);

impl Notices {
    pub(super) fn add(&self, notice: String) {
        let Some(mut notices) = self.0.lock() else { return };
        if notices.len() == MAX_NOTICES {
            notices.pop_front();
        }
        notices.push_back(notice);
    }

    pub(super) fn take(&self) -> Vec<String> {
        self.0.lock().map(|mut notices| notices.drain(..).collect()).unwrap_or_default()
    }
}
