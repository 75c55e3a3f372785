//! Delete: one script. Sent again, it finds its own mark in the fence and deletes nothing more.

use std::sync::Arc;

use bytes::Bytes;

use super::Keys;
use crate::error::Result;
use crate::plan::{Plan, Replies, Reply, Request, Step};
use crate::script;
use crate::store::identity::Identity;
use crate::store::redis_store::StoreOptions;
use crate::store::status::{Status, conflict, stale};
use crate::store::{Answer, Writer};

pub(in crate::store) struct Delete {
    request: Request,
    /// Held until the deletion is over.
    _identity: Identity,
}

impl Delete {
    pub(in crate::store) fn new(
        options: &StoreOptions,
        key: Bytes,
        if_revision: Option<u64>,
        writer: &Arc<Writer>,
    ) -> Self {
        let identity = Identity::Own(writer.lane(&key));
        let args = identity.arguments(&options.ttl_argument(), if_revision);
        let delete = Keys::of(key).script(&script::DOCUMENT_DELETE, args);
        Self { request: Request::write([delete]), _identity: identity }
    }
}

impl Plan for Delete {
    fn request(&self) -> &Request {
        &self.request
    }

    fn advance(&mut self, replies: Vec<Reply>) -> Result<Step> {
        match Status::read(Replies::new(replies).take()?)? {
            Status::Written(written) => Ok(Step::Done(Answer::Bool(written.count > 0))),
            Status::Conflict(actual) => Err(conflict(actual)),
            _ => Err(stale()),
        }
    }
}
