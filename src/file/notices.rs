//! What the store did that somebody should be told, such as cutting a torn write.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Notices kept until they are taken; beyond that the oldest are dropped.
const MAX_NOTICES: usize = 64;

/// Notices that wait to be logged.
#[derive(Debug, Default)]
pub(super) struct Notices(Mutex<VecDeque<String>>);

impl Notices {
    pub(super) fn add(&self, notice: String) {
        let mut notices = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if notices.len() == MAX_NOTICES {
            notices.pop_front();
        }
        notices.push_back(notice);
    }

    pub(super) fn take(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }
}
