//! Tells layouts apart by what is stored.
//!
//! The plan of the store's own layout goes first; nothing is asked beforehand. Where the server
//! says that the key is of another type, reads go on with the plan of the other layout. Writes find
//! out what is there, to say so: a memory is never converted by writing to it.

use crate::error::{Error, ErrorKind, Result};
use crate::layout::Layout;
use crate::plan::{Plan, Reply, Request, Step};

use super::Answer;

/// Makes the plan for the other layout, which is seldom wanted.
type Elsewhere = Box<dyn Fn() -> Box<dyn Plan> + Send>;

/// A plan for either layout.
pub(super) struct Detect {
    home: Box<dyn Plan>,
    elsewhere: Elsewhere,
    /// What is done where the memory is in the other layout, while it is being done.
    away: Option<Box<dyn Plan>>,
    /// The store's layout, if the verb changes something and `away` only asks whether it exists.
    refused_by: Option<Layout>,
}

impl Detect {
    /// Reads with `home`, or with what `away` makes.
    pub(super) fn read(
        home: Box<dyn Plan>,
        away: impl Fn() -> Box<dyn Plan> + Send + 'static,
    ) -> Box<dyn Plan> {
        Box::new(Self { home, elsewhere: Box::new(away), away: None, refused_by: None })
    }

    /// Writes with `home`; refused where the memory `exists` in the other layout.
    pub(super) fn write(
        home: Box<dyn Plan>,
        exists: impl Fn() -> Box<dyn Plan> + Send + 'static,
        layout: Layout,
    ) -> Box<dyn Plan> {
        Box::new(Self { home, elsewhere: Box::new(exists), away: None, refused_by: Some(layout) })
    }
}

impl Plan for Detect {
    fn request(&self) -> &Request {
        self.away.as_ref().unwrap_or(&self.home).request()
    }

    fn advance(&mut self, replies: Vec<Reply>) -> Result<Step> {
        if let Some(away) = &mut self.away {
            return match (self.refused_by, away.advance(replies)?) {
                (Some(layout), Step::Done(Answer::Bool(true))) => Err(other_layout(layout)),
                (Some(_), Step::Done(_)) => {
                    // It has just gone away.
                    self.away = None;
                    Ok(Step::Again)
                }
                (_, step) => Ok(step),
            };
        }
        let wrong_type =
            |reply: &Reply| matches!(reply, Reply::Error(error) if error.code == "WRONGTYPE");
        if replies.iter().any(wrong_type) {
            self.away = Some((self.elsewhere)());
            return Ok(Step::Again);
        }
        self.home.advance(replies)
    }

    fn op_id(&mut self) -> Option<String> {
        self.home.op_id()
    }
}

/// The error of a write by a store of `layout` to a memory in the other one.
pub(crate) fn other_layout(layout: Layout) -> Error {
    let (this, that) = (layout.name(), layout.other().name());
    Error::new(
        ErrorKind::Layout,
        format!(
            "the memory is stored in the {that} layout, and this backend writes the {this} layout; \
             nothing was changed: use a backend with layout=\"{that}\", or copy the memory to \
             another prefix or directory with redember.migrate(source, target)"
        ),
    )
}
