//! Who looks at a page: signed in by cookie, with what every page shows them.

use std::time::Duration;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, Method, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{frame::Frame, redirect, words::When};
use crate::{
    clock::Timestamp,
    console::{State, cookie, csrf, error::Problem, session::Session},
    model::{Environment, EnvironmentId, Permission, UserName},
    secret::Secret,
    workflow::{self, Caller, PageRequest},
};

/// How long the choice of an environment is remembered.
const REMEMBERED: Duration = Duration::from_hours(365 * 24);
/// The switcher names so many environments; the search finds the others.
const SWITCHER: usize = 100;

/// A person who is signed in, and looks at a page.
pub(crate) struct Visitor {
    pub(crate) state: State,
    pub(crate) session: Session,
    /// The moment that the page is of.
    pub(crate) now: Timestamp,
    token: Secret,
    pub(super) path: String,
    pub(super) flash: Option<String>,
    pub(super) environments: Vec<Environment>,
    /// The one that was looked at last, or is now.
    pub(super) environment: Option<EnvironmentId>,
    /// How many access requests wait for a decision of theirs.
    pub(super) waiting: usize,
    /// What happened before this is in the page already.
    pub(super) since: String,
}

impl FromRequestParts<State> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Response> {
        let back = || {
            let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
            redirect::to_sign_in(if parts.method == Method::GET { path } else { "/" })
        };
        let token = cookie::SESSION.find(state, &parts.headers).map(Secret::new).ok_or_else(back)?;
        let session = match Session::of(state, token.clone()).await {
            Ok(session) => session,
            Err(problem) if problem.status == axum::http::StatusCode::UNAUTHORIZED => return Err(back()),
            Err(problem) => return Err(problem.into_response()),
        };
        let about = session.clone().run(|caller| {
            let since = caller.newest_event()?;
            let page = PageRequest { limit: SWITCHER, cursor: None };
            Ok((caller.places(&page)?.items, caller.waiting()?, since))
        });
        let (environments, waiting, since): (Vec<Environment>, _, _) = about.await.map_err(Problem::into_response)?;
        let seen = cookie::ENVIRONMENT.find(state, &parts.headers);
        let environment = of_path(parts.uri.path()).map(str::to_owned).or(seen);
        let environment =
            environments.iter().map(|known| &known.id).find(|id| Some(id.as_str()) == environment.as_deref());
        Ok(Self {
            now: state.workflow.clock().now(),
            state: state.clone(),
            session,
            token,
            path: parts.uri.path().to_owned(),
            flash: flash(state, &parts.headers),
            environment: environment.or(environments.first().map(|known| &known.id)).cloned(),
            environments,
            waiting,
            since,
        })
    }
}

/// The environment that an address is about.
fn of_path(path: &str) -> Option<&str> {
    path.strip_prefix("/environments/")?.split('/').next()
}

fn flash(state: &State, headers: &HeaderMap) -> Option<String> {
    let text = URL_SAFE_NO_PAD.decode(cookie::FLASH.find(state, headers)?).ok()?;
    String::from_utf8(text).ok()
}

impl Visitor {
    /// What surrounds the page.
    pub(crate) fn frame(&self) -> Frame {
        Frame::new(self, self.environment.as_ref())
    }

    /// The same for a page that is about an environment although its address does not say so.
    pub(crate) fn frame_in(&self, environment: &EnvironmentId) -> Frame {
        let known = self.environments.iter().any(|known| known.id == *environment);
        Frame::new(self, Some(environment).filter(|_| known).or(self.environment.as_ref()))
    }

    /// Runs `work` for the person, on a thread that may block.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Caller) -> Result<T, workflow::Error> + Send + 'static,
    ) -> Result<T, Problem> {
        self.session.clone().run(work).await
    }

    /// As [`Visitor::run`], but what the person did wrong is for the page to tell.
    pub(crate) async fn attempt<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Caller) -> Result<T, workflow::Error> + Send + 'static,
    ) -> Result<Result<T, Vec<workflow::FieldError>>, Problem> {
        let done = self.session.clone().try_run(|caller| match work(caller) {
            Ok(value) => Ok(Ok(value)),
            Err(workflow::Error::Invalid(errors)) => Ok(Err(errors)),
            Err(other) => Err(other.into()),
        });
        done.await
    }

    pub(crate) fn caller(&self) -> &Caller {
        self.session.caller()
    }

    pub(crate) fn name(&self) -> &UserName {
        &self.caller().user().name
    }

    pub(crate) fn may(&self, permission: Permission, environment: Option<&EnvironmentId>) -> bool {
        self.caller().may(permission, environment)
    }

    /// May they do this here or there?
    pub(crate) fn may_somewhere(&self, permission: Permission) -> bool {
        self.caller().scopes().iter().any(|scope| scope.permissions.contains(&permission))
    }

    /// A moment in words, seen from now.
    pub(crate) fn when(&self, at: Timestamp) -> When {
        When { at, now: self.now }
    }

    /// The token of the forms.
    pub(crate) fn csrf(&self) -> String {
        csrf::token(&self.token)
    }

    pub(super) fn token(&self) -> Secret {
        self.token.clone()
    }

    pub(super) fn check_csrf(&self, shown: &str) -> Result<(), Problem> {
        csrf::check(&self.token, shown)
    }

    /// The page; what the one before had to tell has been told with it.
    pub(crate) fn page(&self, template: &impl askama::Template) -> Response {
        let mut answer = super::page(template);
        if self.flash.is_some() {
            answer.headers_mut().append(header::SET_COOKIE, cookie::FLASH.clear(&self.state));
        }
        if let Some(id) =
            of_path(&self.path).filter(|id| self.environment.as_ref().is_some_and(|own| own.as_str() == *id))
        {
            answer.headers_mut().append(header::SET_COOKIE, cookie::ENVIRONMENT.set(&self.state, id, REMEMBERED));
        }
        answer
    }

    /// The page again, with what is wrong in it.
    pub(crate) fn again(&self, template: &impl askama::Template) -> Response {
        let mut answer = self.page(template);
        *answer.status_mut() = axum::http::StatusCode::UNPROCESSABLE_ENTITY;
        answer
    }

    /// To another page, which tells `message`.
    pub(crate) fn done(&self, path: &str, message: &str) -> Response {
        tell(&self.state, redirect::see(path), message)
    }
}

/// The next page tells `message`.
pub(super) fn tell(state: &State, mut answer: Response, message: &str) -> Response {
    let cookie = cookie::FLASH.set(state, &URL_SAFE_NO_PAD.encode(message), Duration::from_mins(1));
    answer.headers_mut().append(header::SET_COOKIE, cookie);
    answer
}
