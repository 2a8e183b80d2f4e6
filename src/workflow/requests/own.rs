//! What the requester does with an access request of their own: withdraw, reveal, rotate.

use std::time::Duration;

use super::{
    super::{Caller, Error, Transaction, error::Checks, expire, random},
    AccessRequestView, LONGEST_TEXT, decide, keys, move_to, view, visible,
};
use crate::{
    model::{AccessKeyId, AccessRequest, AccessRequestId, Action, Status, User},
    secret::Secret,
    store::{
        self,
        tables::access_keys::{ACCESS_KEYS, AccessKeyRecord, secret_place},
    },
};

/// A replaced key works on for at most so long.
const LONGEST_OVERLAP: Duration = Duration::from_hours(7 * 24);

/// A key with its secret: shown this once.
#[derive(Clone, Debug)]
pub struct Revealed {
    /// The key.
    pub access_key_id: AccessKeyId,
    /// Its secret.
    pub secret_access_key: Secret,
}

/// Has made the access request.
#[derive(Clone, Debug)]
pub struct Owner<'c> {
    caller: &'c Caller,
    request: AccessRequestId,
}

impl Caller {
    /// The handle for one's own request. Who may decide on it has no more rights here than anybody else.
    pub fn owner(&self, request: &AccessRequestId) -> Result<Owner<'_>, Error> {
        let found = visible(&self.workflow.read()?, &self.user, request)?;
        if found.requested_by != self.user.name {
            return Err(Error::NotAllowed("only who made the access request can do this"));
        }
        Ok(Owner { caller: self, request: found.id })
    }
}

impl Owner<'_> {
    /// Takes the request back before it is decided.
    pub fn withdraw(&self, comment: Option<&str>) -> Result<AccessRequestView, Error> {
        let mut checks = Checks::default();
        checks.comment(comment, LONGEST_TEXT, "comment");
        checks.done()?;
        self.act(|tx, _, mut request| {
            let next = request.status.after(Action::Withdraw).ok_or(Error::state(request.status))?;
            move_to(tx, &mut request, next, "access_request.withdraw", comment.map(str::to_owned))?;
            view(tx.writer, request, tx.now)
        })
    }

    /// Makes the secret of the key that waits for it and shows it, the one time. From then on the key works.
    ///
    /// The secret is made here and not at approval: until somebody is there to take it, it exists nowhere.
    pub fn reveal(&self) -> Result<Revealed, Error> {
        self.act(|tx, _, mut request| {
            let keys = keys(tx.writer, &request.id)?;
            let shown_before = keys.iter().any(|(_, key)| key.revealed_at.is_some());
            let gone =
                Error::Gone("the secret was shown already, and can't be shown again: rotate the key to get another");
            let next = match request.status.after(Action::Reveal) {
                Some(next) => next,
                None if shown_before => return Err(gone),
                None => return Err(Error::state(request.status)),
            };
            if request.expires_at.is_some_and(|end| end <= tx.now) {
                return Err(Error::state(Status::Expired));
            }
            let Some((id, waiting)) = keys.iter().find(|(_, key)| key.revealed_at.is_none()) else { return Err(gone) };
            end_replaced(tx, &request.id, &keys, Duration::from_secs(waiting.overlap_seconds))?;
            let secret = random::secret_access_key()?;
            let place = secret_place(&request.id, id);
            let sealed = tx.sealer.seal(&place, secret.expose().as_bytes()).map_err(store::Error::from)?;
            let key = AccessKeyRecord { revealed_at: Some(tx.now), secret: Some(sealed), ..waiting.clone() };
            tx.writer.put(&ACCESS_KEYS, &(request.id.clone(), id.clone()), &key)?;
            move_to(tx, &mut request, next, "access_request.reveal", Some(format!("key {id}")))?;
            Ok(Revealed { access_key_id: id.clone(), secret_access_key: secret })
        })
    }

    /// Makes a second key. Its secret waits to be shown; until then the present key works, and `overlap` longer.
    pub fn rotate(&self, overlap: Duration) -> Result<AccessRequestView, Error> {
        if overlap > LONGEST_OVERLAP {
            return Err(Error::invalid("overlap", "must be at most 7d"));
        }
        self.act(|tx, _, mut request| {
            let next = request.status.after(Action::Rotate).ok_or(Error::state(request.status))?;
            if request.expires_at.is_some_and(|end| end <= tx.now) {
                return Err(Error::state(Status::Expired));
            }
            if keys(tx.writer, &request.id)?.iter().any(|(_, key)| key.revealed_at.is_none()) {
                let message = "a new secret waits to be read already: read that first".to_owned();
                return Err(Error::Conflict { message, status: Some(request.status) });
            }
            decide::add_key(tx, &request.id, overlap)?;
            let detail = format!("overlap {} s", overlap.as_secs());
            move_to(tx, &mut request, next, "access_request.rotate", Some(detail))?;
            view(tx.writer, request, tx.now)
        })
    }

    fn act<T>(
        &self,
        mut work: impl FnMut(&mut Transaction<'_>, &User, AccessRequest) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.caller.act(|tx, me| {
            let request = tx.request(&self.request)?;
            work(tx, me, request)
        })
    }
}

/// The key in use ends after the overlap; one that it had replaced itself ends now: at most two work at a time.
fn end_replaced(
    tx: &mut Transaction<'_>,
    request: &AccessRequestId,
    keys: &[(AccessKeyId, AccessKeyRecord)],
    overlap: Duration,
) -> Result<(), Error> {
    for (id, key) in keys.iter().filter(|(_, key)| key.revealed_at.is_some()) {
        let end = match key.ends_at {
            None => tx.now.plus(overlap),
            Some(end) if end > tx.now => tx.now,
            Some(_) => continue,
        };
        let key = AccessKeyRecord { ends_at: Some(end), ..key.clone() };
        tx.writer.put(&ACCESS_KEYS, &(request.clone(), id.clone()), &key)?;
        expire::remember(tx, end, request)?;
    }
    Ok(())
}
