//! Sessions of the roles that the gateway assumes: had from AWS when first needed, shared, and renewed before they end.
//!
//! A call waits for a session only if there is none that is good: a quarter of its time before the end, the first call has
//! it renewed, and goes on with the one that there is.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use quick_cache::sync::Cache;
use tokio::sync::Mutex;

use super::{Deps, Gateway, errand::errand};
use crate::{
    clock::Timestamp,
    cloud::{
        CheckError,
        aws::sts::{Sts, assume_role},
    },
    model::{CloudIdentity, IdentitySource, RoleSession},
};

/// Sessions kept; one is needed for each person and role.
const SESSIONS: usize = 4096;

/// With less than this left a session is not used: a call may take a while to reach AWS, whose clock is another one.
const MARGIN: Duration = Duration::from_mins(1);

/// After a failure AWS is not asked again for so long, however many calls come.
const PAUSE: Duration = Duration::from_secs(5);

/// All sessions.
pub(super) struct Roles(Cache<[u8; 32], Arc<Place>>);

/// Where one session is kept.
#[derive(Default)]
struct Place {
    session: ArcSwapOption<Session>,
    failure: ArcSwapOption<Failure>,
    /// Held by who asks AWS.
    asking: Arc<Mutex<()>>,
}

struct Session {
    identity: Arc<CloudIdentity>,
    renew_at: Timestamp,
    good_until: Timestamp,
}

struct Failure {
    error: CheckError,
    at: Timestamp,
}

impl Roles {
    pub(super) fn new() -> Self {
        Self(Cache::new(SESSIONS))
    }

    fn place(&self, fingerprint: [u8; 32]) -> Arc<Place> {
        let made = self.0.get_or_insert_with(&fingerprint, || Ok::<_, std::convert::Infallible>(Arc::default()));
        made.unwrap_or_else(|never| match never {})
    }
}

/// The keys that `source` gives now.
pub(super) async fn identity(deps: &Arc<Deps>, source: &IdentitySource) -> Result<Arc<CloudIdentity>, CheckError> {
    match source {
        IdentitySource::Keys(keys) => Ok(Arc::clone(keys)),
        // Boxed: most calls need no room for it.
        IdentitySource::Role(role) => Box::pin(session(deps, role)).await,
    }
}

async fn session(deps: &Arc<Deps>, role: &Arc<RoleSession>) -> Result<Arc<CloudIdentity>, CheckError> {
    let place = deps.roles.place(role.fingerprint());
    let now = deps.clock.now();
    let kept = place.session.load_full().filter(|session| now < session.good_until);
    if let Some(session) = kept {
        if session.renew_at <= now
            && place.failed(now).is_none()
            && let Ok(asking) = Arc::clone(&place.asking).try_lock_owned()
        {
            let (deps, role) = (Arc::clone(deps), Arc::clone(role));
            drop(tokio::spawn(async move {
                drop(renew(&deps, &role, &place).await);
                drop(asking);
            }));
        }
        return Ok(Arc::clone(&session.identity));
    }
    // By itself: a client that goes away shall not take from the others what is asked for them.
    let (deps, role) = (Arc::clone(deps), Arc::clone(role));
    let asked = tokio::spawn(async move {
        let _asking = place.asking.lock().await;
        renew(&deps, &role, &place).await
    });
    asked.await.unwrap_or_else(|_| Err(unanswered("the gateway stops")))
}

impl Place {
    /// Why AWS said no, if that was just now.
    fn failed(&self, now: Timestamp) -> Option<CheckError> {
        let failure = self.failure.load();
        let recent = failure.as_ref().filter(|failure| failure.at <= now && now.since(failure.at) < PAUSE);
        recent.map(|failure| failure.error.clone())
    }
}

/// Asks AWS, unless somebody has done so since. For who holds `asking`.
async fn renew(deps: &Arc<Deps>, role: &Arc<RoleSession>, place: &Place) -> Result<Arc<CloudIdentity>, CheckError> {
    let now = deps.clock.now();
    if let Some(session) = place.session.load_full().filter(|session| now < session.renew_at) {
        return Ok(Arc::clone(&session.identity));
    }
    if let Some(error) = place.failed(now) {
        return Err(error);
    }
    let arn = &role.role.role_arn;
    match assume(deps, role).await {
        Ok(session) => {
            tracing::info!(role = %arn, session = role.name, until = %session.good_until, "a role is assumed");
            let identity = Arc::clone(&session.identity);
            place.session.store(Some(Arc::new(session)));
            Ok(identity)
        }
        Err(error) => {
            tracing::warn!(role = %arn, session = role.name, %error, "a role can't be assumed");
            let at = deps.clock.now();
            place.failure.store(Some(Arc::new(Failure { error: error.clone(), at })));
            Err(error)
        }
    }
}

/// Asks AWS for keys of `role`; first, if need be, for those of the role that assumes it.
fn assume<'a>(
    deps: &'a Arc<Deps>,
    role: &'a RoleSession,
) -> Pin<Box<dyn Future<Output = Result<Session, CheckError>> + Send + 'a>> {
    Box::pin(async move {
        let source = identity(deps, &role.source).await?;
        let sts = Sts::of(role.role.role_arn.partition())?;
        let began = deps.clock.now();
        let question = assume_role::request(&sts, role, &source, began)?;
        let answer = errand(deps, question).await.map_err(|error| sts.unanswered(&error))?;
        let assumed = assume_role::read(&sts, role, &answer, began)?;
        let lasts = assumed.expires_at.since(began);
        Ok(Session {
            identity: Arc::new(assumed.identity),
            renew_at: assumed.expires_at.minus((lasts / 4).max(MARGIN)),
            good_until: assumed.expires_at.minus(MARGIN),
        })
    })
}

fn unanswered(reason: &str) -> CheckError {
    CheckError::Unreachable { host: "the cloud".to_owned(), reason: reason.to_owned() }
}

impl Gateway {
    /// The keys that `source` gives: a role is assumed anew for that, its own source as for a call.
    pub async fn identity(&self, source: &IdentitySource) -> Result<Arc<CloudIdentity>, CheckError> {
        match source {
            IdentitySource::Keys(keys) => Ok(Arc::clone(keys)),
            IdentitySource::Role(role) => assume(&self.0, role).await.map(|session| session.identity),
        }
    }
}
