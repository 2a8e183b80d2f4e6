//! Sessions of the roles that the gateway assumes: had from AWS when first needed, shared, and renewed before they end.
//!
//! A call waits for a session only if there is none that is good: a quarter of its time before the end, the first call has
//! it renewed, and goes on with the one that there is.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use quick_cache::sync::Cache;
use tokio::sync::watch;

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
const MARGIN: Duration = assume_role::SHORTEST;

/// After a failure AWS is not asked again for so long, however many calls come.
const PAUSE: Duration = Duration::from_secs(5);

/// All sessions.
pub(super) struct Roles(Cache<[u8; 32], Arc<Place>>);

/// Where one session is kept.
#[derive(Default)]
struct Place {
    session: ArcSwapOption<Session>,
    failure: ArcSwapOption<Failure>,
    /// What AWS was last asked. Who asked it is gone once it has answered.
    asked: Mutex<Option<Question>>,
}

/// Holds the answer as soon as there is one.
type Question = watch::Receiver<Option<Answer>>;

type Answer = Result<Arc<CloudIdentity>, CheckError>;

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
        let Ok(place) = self.0.get_or_insert_with(&fingerprint, || Ok::<_, Infallible>(Arc::default()));
        place
    }
}

/// The keys that `source` gives now.
pub(super) async fn identity(deps: &Arc<Deps>, source: &IdentitySource) -> Answer {
    match source {
        IdentitySource::Keys(keys) => Ok(Arc::clone(keys)),
        // Boxed: most calls need no room for it.
        IdentitySource::Role(role) => Box::pin(session(deps, role)).await,
    }
}

async fn session(deps: &Arc<Deps>, role: &Arc<RoleSession>) -> Answer {
    let place = deps.roles.place(role.fingerprint());
    let now = deps.clock.now();
    if let Some(session) = place.session.load_full().filter(|session| now < session.good_until) {
        if session.renew_at <= now {
            drop(place.ask(deps, role));
        }
        return Ok(Arc::clone(&session.identity));
    }
    let mut question = place.ask(deps, role);
    let answer = question.wait_for(Option::is_some).await;
    answer.ok().and_then(|answer| answer.clone()).unwrap_or_else(|| Err(unanswered("the gateway stops")))
}

impl Place {
    /// Has AWS asked for a session, unless that is under way or the answer is known.
    ///
    /// By a task of its own, as a client that goes away shall not take from the others what is asked for them; and one for
    /// all, as clients that come and go while AWS does not answer shall leave nothing behind.
    fn ask(self: &Arc<Self>, deps: &Arc<Deps>, role: &Arc<RoleSession>) -> Question {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(under_way) = asked.as_ref().filter(|question| question.has_changed().is_ok()) {
            return under_way.clone();
        }
        let (answer, question) = watch::channel(self.known(deps.clock.now()));
        if question.borrow().is_none() {
            *asked = Some(question.clone());
            let (place, deps, role) = (Arc::clone(self), Arc::clone(deps), Arc::clone(role));
            drop(tokio::spawn(async move { answer.send_replace(Some(place.renew(&deps, &role).await)) }));
        }
        question
    }

    /// What AWS need not be asked: it has given a session that is not yet to be renewed, or it said no just now.
    fn known(&self, now: Timestamp) -> Option<Answer> {
        if let Some(session) = self.session.load().as_ref().filter(|session| now < session.renew_at) {
            return Some(Ok(Arc::clone(&session.identity)));
        }
        let failure = self.failure.load();
        let recent = failure.as_ref().filter(|failure| failure.at <= now && now.since(failure.at) < PAUSE);
        recent.map(|failure| Err(failure.error.clone()))
    }

    async fn renew(&self, deps: &Arc<Deps>, role: &Arc<RoleSession>) -> Answer {
        let arn = &role.role.role_arn;
        match assume(deps, role).await {
            Ok(session) => {
                tracing::info!(role = %arn, session = role.name, until = %session.good_until, "a role is assumed");
                let identity = Arc::clone(&session.identity);
                self.session.store(Some(Arc::new(session)));
                Ok(identity)
            }
            Err(error) => {
                tracing::warn!(role = %arn, session = role.name, %error, "a role can't be assumed");
                let at = deps.clock.now();
                self.failure.store(Some(Arc::new(Failure { error: error.clone(), at })));
                Err(error)
            }
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
            // One that is not good any more is always to be renewed.
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
