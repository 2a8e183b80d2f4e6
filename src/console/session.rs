//! Who is calling, and how a use case is run for them.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, Method, header, request::Parts},
};

use super::{State, cookie, csrf, error::Problem};
use crate::{
    secret::Secret,
    workflow::{self, Caller},
};

/// A caller who has shown a token. What they may do, the handles of [`Caller`] decide.
#[derive(Clone)]
pub(crate) struct Session(Caller);

impl FromRequestParts<State> for Session {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Problem> {
        let token = match bearer(&parts.headers) {
            Some(token) => token,
            None => by_cookie(parts, state)?,
        };
        Self::of(state, token).await
    }
}

/// A browser sends its cookie along whoever made it send the request, so a write must show that it means it.
fn by_cookie(parts: &Parts, state: &State) -> Result<Secret, Problem> {
    let token = cookie::SESSION.find(state, &parts.headers).map(Secret::new);
    let token = token.ok_or_else(|| Problem::unauthenticated("Send a token: Authorization: Bearer TOKEN."))?;
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        csrf::check_origin(&parts.headers)?;
        let shown = parts.headers.get(csrf::HEADER).and_then(|value| value.to_str().ok());
        csrf::check(&token, shown.unwrap_or_default())?;
    }
    Ok(token)
}

impl Session {
    /// Whoever has shown `token`.
    pub(crate) async fn of(state: &State, token: Secret) -> Result<Self, Problem> {
        let workflow = state.workflow.clone();
        run(move || workflow.caller(&token)).await.map(Self)
    }

    /// The caller, for work on a thread that may block.
    pub(crate) fn caller(&self) -> &Caller {
        &self.0
    }

    /// Runs `work` for the caller.
    pub(crate) async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce(&Caller) -> Result<T, workflow::Error> + Send + 'static,
    ) -> Result<T, Problem> {
        run(move || work(&self.0)).await
    }

    /// As [`Session::run`], for work that can also fail otherwise.
    pub(crate) async fn try_run<T: Send + 'static>(
        self,
        work: impl FnOnce(&Caller) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        blocking(move || work(&self.0)).await
    }
}

/// Runs a use case on a thread that may block: it waits for the disk, and hashes passwords.
pub(crate) async fn run<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, workflow::Error> + Send + 'static,
) -> Result<T, Problem> {
    blocking(move || work().map_err(Problem::from)).await
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(Problem::internal(&error)))
}

/// The token of RFC 6750, section 2.1.
fn bearer(headers: &HeaderMap) -> Option<Secret> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| Secret::new(token))
}
