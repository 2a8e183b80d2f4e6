//! `/live`: tells an open page, as it happens, what became of access requests (server-sent events, HTML Living Standard
//! section 9.2). Pages are whole without it: a reload shows the same.

use std::{
    io,
    pin::Pin,
    sync::{Arc, LazyLock},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Extension,
    body::{Body, Bytes},
    http::{HeaderMap, Uri, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    access_request, access_requests,
    form::Fields,
    visitor::Visitor,
    words::{services, status_word},
};
use crate::{
    console::{State, error::Problem, session},
    model::{Status, UserName},
    secret::Secret,
    workflow::News,
};

/// So many pages are told at once; further ones are shown by reloading them.
static PLACES: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(512)));
/// Silence is broken after so long, so that nothing between takes the connection for dead, and a session that has ended
/// is noticed.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// What a page is told of an access request.
#[derive(Serialize)]
struct Told {
    id: String,
    version: u64,
    /// For a toast: where somebody else has done something to one's own, or asks for one's decision.
    toast: Option<String>,
    /// Where the toast leads.
    href: String,
}

struct Listener {
    state: State,
    token: Secret,
    since: String,
    waiting: Option<usize>,
}

pub(crate) async fn stream(
    visitor: Visitor,
    Extension(shutdown): Extension<CancellationToken>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let busy = || Problem::too_many("Many pages are open already; reload this one to see changes.", HEARTBEAT);
    let place = Arc::clone(&PLACES).try_acquire_owned().map_err(|_| busy())?;
    let resumed = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let since = resumed.unwrap_or_else(|| Fields::of_query(&uri).text("since").to_owned());
    let since = Some(since).filter(|since| !since.is_empty()).unwrap_or_else(|| visitor.since.clone());
    let mut listener =
        Listener { state: visitor.state.clone(), token: visitor.token(), since, waiting: Some(visitor.waiting) };
    let (sender, events) = mpsc::channel(4);
    tokio::spawn(async move {
        let _place = place;
        let (mut commits, clock) = (listener.state.workflow.watch(), listener.state.workflow.clock().clone());
        while let Ok(text) = {
            commits.mark_unchanged();
            listener.next().await
        } {
            if sender.send(text.into()).await.is_err() {
                return;
            }
            tokio::select! {
                changed = commits.changed() => if changed.is_err() { return },
                () = clock.sleep(HEARTBEAT) => {}
                () = sender.closed() => return,
                () = shutdown.cancelled() => return,
            }
        }
    });
    let kind = [(header::CONTENT_TYPE, "text/event-stream")];
    Ok((kind, Body::new(Events(events))).into_response())
}

impl Listener {
    /// What there is to tell; at least a sign of life. Fails once the session has ended.
    async fn next(&mut self) -> Result<String, Problem> {
        let (workflow, token, since) = (self.state.workflow.clone(), self.token.clone(), self.since.clone());
        let (news, since, waiting, me) = session::run(move || {
            let caller = workflow.caller(&token)?;
            let (news, since) = caller.news(&since)?;
            let waiting = if news.is_empty() { None } else { Some(caller.waiting()?) };
            Ok((news, since, waiting, caller.user().name.clone()))
        })
        .await?;
        self.since = since;
        let mut text = String::from(": \n\n");
        for news in &news {
            text += &event("request", &self.since, &told(news, &me));
        }
        if waiting.is_some() && waiting != self.waiting {
            self.waiting = waiting;
            text += &event("waiting", &self.since, &waiting);
        }
        Ok(text)
    }
}

fn event(name: &str, id: &str, data: &impl Serialize) -> String {
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("id: {id}\nevent: {name}\ndata: {data}\n\n")
}

fn told(News { request, by }: &News, me: &UserName) -> Told {
    let mine = request.requested_by == *me;
    let by_other = by.as_ref() != Some(me);
    // Somebody else's request is told of only to who may decide on it.
    let asks = !mine && by_other && request.status == Status::Pending;
    let toast = if asks {
        Some(format!("{} asks for {} in {}.", request.requested_by, services(request), request.environment))
    } else if mine && by_other {
        let by = by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
        let next = if request.status == Status::Approved { ". Take the secret." } else { "." };
        Some(format!("{}: {}{by}{next}", services(request), status_word(request.status).to_lowercase()))
    } else {
        None
    };
    let href = if asks { access_requests::decide(&request.id) } else { access_request::path(&request.id) };
    Told { id: request.id.to_string(), version: request.version, toast, href }
}

struct Events(mpsc::Receiver<Bytes>);

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, io::Error>>> {
        self.0.poll_recv(context).map(|text| text.map(|text| Ok(http_body::Frame::data(text))))
    }
}
