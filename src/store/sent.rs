//! What a save or an append has sent, which is also how its replies are read.

use crate::layout::{Extension, Line};
use crate::plan::Reply;

/// What was sent, and so how the replies to it are read; with the header that it makes of the known one.
pub(super) enum Sent {
    /// What the write adds to the messages that it has in common with what is there.
    Extension { extension: Extension, next: Line },
    /// All messages, as arguments of one script; without a header where the script has to say.
    Script { next: Option<Line> },
    /// All messages, pushed as they are behind their header, and a small script that commits them.
    Push { next: Line },
    /// The same in one transaction, which begins by making an empty memory if there is none.
    Transaction { next: Line },
    /// The small script alone: what was sent before pushed the rest, and the server did not know the script.
    Commit { next: Line },
}

impl Sent {
    /// Takes the reply of the script that writes; `None` where it did not run.
    pub(super) fn reply(&self, replies: Vec<Reply>) -> Option<Reply> {
        let last = replies.into_iter().next_back();
        match (self, last) {
            (Self::Transaction { .. }, Some(Reply::Array(replies))) => {
                replies.into_iter().next_back()
            }
            (Self::Transaction { .. }, _) => None,
            (_, last) => last,
        }
    }

    /// Returns the header that it makes, if that is known.
    pub(super) fn next(self) -> Option<Line> {
        match self {
            Self::Script { next } => next,
            Self::Extension { next, .. }
            | Self::Push { next }
            | Self::Transaction { next }
            | Self::Commit { next } => Some(next),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Author;

    #[test]
    fn of_a_transaction_the_last_of_what_was_executed_is_read_and_of_others_the_last() {
        let line = || Line::saved(None, Author { lane: "w.0", token: "1" }, &[]).unwrap();
        let executed = || vec![Reply::Integer(1), Reply::Array(vec![Reply::Integer(7)])];
        let transaction = Sent::Transaction { next: line() };
        assert!(matches!(transaction.reply(executed()), Some(Reply::Integer(7))));
        assert!(transaction.reply(vec![Reply::Integer(1)]).is_none());
        for sent in [
            Sent::Script { next: None },
            Sent::Push { next: line() },
            Sent::Commit { next: line() },
        ] {
            assert!(matches!(sent.reply(executed()), Some(Reply::Array(_))));
            assert!(sent.reply(vec![]).is_none());
        }
    }
}
