//! What people and scripts talk to: REST API and pages. No rules live here; those are in `workflow`.

mod api;
mod assets;
mod compressed;
mod cookie;
mod csrf;
mod error;
mod extract;
mod health;
mod origin;
mod pages;
mod reference;
mod serve;
mod session;
mod tls;
mod unread;

use std::{future::ready, path::Path, sync::Arc};

use axum::{
    Router,
    http::{HeaderName, HeaderValue, header},
    middleware::{from_fn, map_response},
    response::Response,
    routing::get,
};
use error::Problem;
pub use serve::serve;
pub use tls::Tls;
use tokio::sync::watch;

use crate::{
    audit,
    ca::{Authority, ServerIdentity},
    clock::Timestamp,
    workflow::Workflow,
};

/// What the console works with. Cheap to clone.
#[derive(Clone)]
pub struct State {
    /// The use cases.
    pub workflow: Workflow,
    /// Whom clients are to trust.
    pub authority: Arc<Authority>,
    /// What happened.
    pub audit: audit::Reader,
    /// Where cloud clients find the gateway: `http://host:3128`.
    pub endpoint: Arc<str>,
    /// Where people find the console: `http://127.0.0.1:3129`.
    pub console: Arc<str>,
    /// The machine that all runs on.
    pub system: System,
}

/// What is known of the running appliance itself.
#[derive(Clone)]
pub struct System {
    /// When it was started.
    pub started_at: Timestamp,
    /// Where its state lies.
    pub data_dir: Arc<Path>,
    /// For how many hosts a certificate is kept ready.
    pub certificates: Arc<dyn Fn() -> usize + Send + Sync>,
    /// The console's own certificate, if it speaks TLS.
    pub identity: Option<watch::Receiver<Arc<ServerIdentity>>>,
}

/// Everything that the console's port answers.
pub fn router(state: State) -> Router {
    let is_secure = state.is_secure();
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .nest("/api/v1", api::routes())
        .merge(pages::routes())
        .merge(assets::routes())
        .merge(reference::routes())
        .fallback(async || Problem::not_found("Nothing has this address."))
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(from_fn(pages::problems_as_pages))
        .layer(map_response(move |answer| ready(guard(answer, is_secure))))
        .with_state(state)
}

/// What every answer tells a browser: nothing from elsewhere, in no frame, no guessing, no trace.
fn guard(mut answer: Response, is_secure: bool) -> Response {
    const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
                          form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    let mut set = |name: HeaderName, value: &'static str| {
        answer.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    };
    if is_secure {
        set(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    set(header::CACHE_CONTROL, "no-store");
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    // With "no-referrer" browsers would also hide from us where a form was sent from.
    set(header::REFERRER_POLICY, "same-origin");
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::X_FRAME_OPTIONS, "DENY");
    set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    answer
}

impl State {
    /// Do browsers reach the console over TLS?
    fn is_secure(&self) -> bool {
        self.console.starts_with("https:")
    }

    /// Where the gateway gives out its CA certificate.
    fn ca_url(&self) -> String {
        format!("{}/cert/pem", self.endpoint)
    }
}
