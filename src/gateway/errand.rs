//! Calls of the appliance's own, over the same way to the cloud as its clients' calls: the same roots, overrides, names.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Limited};
use tokio::time::timeout;

use super::{
    Deps, Gateway,
    body::RequestBody,
    upstream::{Pool, causes, dial_error, in_origin_form},
};

/// For all of it: somebody waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// More than any answer that is asked for.
const LONGEST_ANSWER: usize = 64 * 1024;

/// Why an errand brought nothing back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ErrandError {
    /// The connection broke, or the answer was none.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// No connection could be had.
    #[error("{0}")]
    Dial(String),
    /// It took too long.
    #[error("it did not answer within {} seconds", PATIENCE.as_secs())]
    TimedOut,
    /// The answer was larger than any that is wanted.
    #[error("it answered with more than {LONGEST_ANSWER} bytes")]
    TooLarge,
}

impl Gateway {
    /// Sends `request` to the cloud host that its URI names, and brings back the whole answer.
    pub async fn errand(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ErrandError> {
        errand(&self.0, request).await
    }
}

/// As [`Gateway::errand`].
pub(super) async fn errand(deps: &Deps, request: Request<Bytes>) -> Result<Response<Bytes>, ErrandError> {
    timeout(PATIENCE, run(deps, request)).await.unwrap_or(Err(ErrandError::TimedOut))
}

async fn run(deps: &Deps, request: Request<Bytes>) -> Result<Response<Bytes>, ErrandError> {
    let mut request = request.map(|body| RequestBody::Own(Some(body)));
    // Nothing is kept for the next one, which may be days away.
    let pool = Arc::new(Pool::new(&request.uri().host().unwrap_or_default().into(), 1));
    in_origin_form(request.uri_mut());
    let called = deps.live.load_full().upstream.call(&pool, 0, request).await;
    let answer = called.map_err(|error| match dial_error(&error) {
        Some(dial) => ErrandError::Dial(dial.to_string()),
        None => ErrandError::Broken(causes(&error).last().map_or_else(String::new, ToString::to_string)),
    })?;
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, LONGEST_ANSWER).collect().await;
    let body = body.map_err(|error| {
        let too_large = error.is::<http_body_util::LengthLimitError>();
        if too_large { ErrandError::TooLarge } else { ErrandError::Broken(error.to_string()) }
    })?;
    Ok(Response::from_parts(head, body.to_bytes()))
}
