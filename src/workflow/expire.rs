//! What ends by itself. The data plane looks at the time with every call; this makes the records say so, too.

use super::{Error, Transaction, Workflow, requests, transaction::Touched};
use crate::{
    clock::Timestamp,
    model::{AccessRequest, AccessRequestId, Action, Status},
    store::{
        Order, Read as _, Span,
        tables::{
            access_keys::ACCESS_KEYS,
            access_requests::{ACCESS_REQUESTS, DEADLINES},
            tokens::{self, TOKENS_BY_END},
        },
    },
};

impl Workflow {
    /// Ends every access request, replaced key, session and token whose time has run out. Call it when
    /// [`Workflow::next_expiry`] has come.
    pub fn expire_due(&self) -> Result<(), Error> {
        if self.next_expiry()?.is_some_and(|next| next <= self.0.clock.now()) {
            self.commit(None, |tx| {
                for (key, ()) in tx.writer.all(&DEADLINES, &Span::up_to(&tx.now), Order::Ascending)? {
                    tx.writer.remove(&DEADLINES, &key)?;
                    if let Some(request) = tx.writer.find(&ACCESS_REQUESTS, &key.1)? {
                        end_what_is_due(tx, request, key.0)?;
                    }
                }
                Ok(())
            })?;
        }
        self.forget_tokens()
    }

    /// When [`Workflow::expire_due`] has something to do next.
    pub fn next_expiry(&self) -> Result<Option<Timestamp>, Error> {
        let first = self.read()?.first(&DEADLINES, &Span::all(), Order::Ascending)?;
        Ok(first.map(|((at, _), ())| at))
    }

    /// Tokens are looked at when they are used: forgetting them only saves room, and can wait for an occasion.
    fn forget_tokens(&self) -> Result<(), Error> {
        let now = self.0.clock.now();
        let expired = self.read()?.all(&TOKENS_BY_END, &Span::up_to(&now), Order::Ascending)?;
        if expired.is_empty() {
            return Ok(());
        }
        self.commit(None, |tx| {
            for ((_, sha256), _) in &expired {
                tokens::remove(tx.writer, sha256)?;
            }
            Ok(())
        })
    }
}

/// Remembers to look at the request at `at`.
pub(super) fn remember(tx: &mut Transaction<'_>, at: Timestamp, request: &AccessRequestId) -> Result<(), Error> {
    Ok(tx.writer.put(&DEADLINES, &(at, request.clone()), &())?)
}

/// The deadline `at` may be out of date: the request was ended since, or the key earlier than was planned.
fn end_what_is_due(tx: &mut Transaction<'_>, mut request: AccessRequest, at: Timestamp) -> Result<(), Error> {
    let over = request.expires_at.is_some_and(|end| end <= tx.now);
    if let Some(next) = request.status.after(Action::Expire).filter(|_| over) {
        return requests::move_to(tx, &mut request, next, "access_request.expire", None);
    }
    if request.status != Status::Active {
        return Ok(());
    }
    for ((_, id), key) in tx.writer.all(&ACCESS_KEYS, &Span::of(&request.id), Order::Ascending)? {
        if key.ends_at == Some(at) {
            tx.touched.push(Touched::Request(request.id.clone()));
            tx.record_on(&request, "access_request.end_replaced_key", Some(format!("key {id}")))?;
        }
    }
    Ok(())
}
