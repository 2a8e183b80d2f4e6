//! The way in of HTTP proxies: `CONNECT host:443` (RFC 9110, section 9.3.6), and a few pages beside it.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header, uri::Authority};
use hyper::{body::Incoming, server::conn::http1, service::service_fn, upgrade::Upgraded};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_util::task::TaskTracker;

use super::{
    Deps,
    accept::Accepted,
    body::ResponseBody,
    intercept::{self, Target},
    ledger::Ledger,
    portal,
    unsigned::{self, WrongCredentials},
};
use crate::model::Outcome;

const HTTPS: u16 = 443;

/// Where AWS has what is nowhere else: some `WebSockets`, and some streams both ways.
const STREAMS: u16 = 8443;

/// The longest host name (RFC 1035, section 2.3.4), a colon, and the longest port.
const MAX_HOST: usize = 253 + 1 + 5;

/// For a request's head, and for the next request on a connection that is kept.
const HEAD: Duration = Duration::from_secs(30);

/// Speaks HTTP/1.1 with a client until it asks for a tunnel.
pub(super) async fn serve(deps: Arc<Deps>, tcp: TcpStream, accepted: Accepted) {
    let stop = accepted.stop.clone();
    let service = service_fn(|request| async {
        let connects = request.method() == Method::CONNECT;
        let mut answer = answer(&deps, &accepted, request).await;
        let is_tunnel = connects && answer.status().is_success();
        // A tunnel that stands is the client's; everything else can be asked of the process that has taken over.
        if deps.is_retired() && !is_tunnel {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok::<_, Infallible>(answer)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(tcp), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, client = %accepted.client, "a proxy connection ended early");
    }
}

async fn answer(deps: &Arc<Deps>, accepted: &Accepted, request: Request<Incoming>) -> Response<ResponseBody> {
    if request.method() != Method::CONNECT {
        return portal::answer(deps, accepted, &request);
    }
    match route(deps, request.uri(), request.headers()) {
        Ok(Route::Intercept(target)) => {
            let (deps, accepted) = (Arc::clone(deps), accepted.clone());
            upgrade(&accepted.tasks.clone(), request, |io| intercept::intercept(deps, io, target, accepted))
        }
        Ok(Route::Tunnel(host)) => match deps.live.load_full().upstream.tcp(&host).await {
            Ok(server) => upgrade(&accepted.tasks, request, {
                let accepted = accepted.clone();
                |io| tunnel(io, server, host, accepted)
            }),
            Err(error) => portal::plain(StatusCode::BAD_GATEWAY, format!("{host} could not be reached: {error}\n")),
        },
        Err(refusal) => {
            refusal.enter(deps, &accepted.client, request.uri());
            let mut answer = portal::plain(refusal.status, refusal.words);
            if refusal.status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
                let basic = HeaderValue::from_static("Basic realm=\"csg\"");
                answer.headers_mut().insert(header::PROXY_AUTHENTICATE, basic);
            }
            answer
        }
    }
}

/// Says yes, and does `then` with what comes after.
fn upgrade<F: Future<Output = ()> + Send>(
    tasks: &TaskTracker,
    request: Request<Incoming>,
    then: impl FnOnce(Upgraded) -> F + Send + 'static,
) -> Response<ResponseBody> {
    tasks.spawn(async move {
        // An error here is the client's going away before the tunnel stood.
        if let Ok(io) = hyper::upgrade::on(request).await {
            then(io).await;
        }
    });
    Response::new(ResponseBody::own(""))
}

enum Route {
    /// A cloud host: TLS ends here.
    Intercept(Target),
    /// A host that the installation lets through untouched.
    Tunnel(String),
}

/// Why a tunnel is refused.
struct Refusal {
    status: StatusCode,
    code: &'static str,
    words: String,
}

impl Refusal {
    fn enter(&self, deps: &Deps, client: &Arc<str>, uri: &http::Uri) {
        let host = uri.authority().map_or("", Authority::as_str);
        // Anybody may ask, and records are kept for months: no more than a host name can have, and a port.
        let host = host.get(..MAX_HOST).unwrap_or(host);
        tracing::info!(client = %client, host, code = self.code, "CONNECT refused");
        let mut ledger = Ledger::open(deps, client, host.into());
        ledger.rejected(Outcome::Refused, self.code, self.status);
    }
}

fn route(deps: &Deps, uri: &http::Uri, headers: &HeaderMap) -> Result<Route, Refusal> {
    let vouched = unsigned::vouched(&deps.grants.load(), headers).map_err(|WrongCredentials| Refusal {
        status: StatusCode::PROXY_AUTHENTICATION_REQUIRED,
        code: "ProxyCredentialsWrong",
        words: "The proxy's user and password must be an access key id and its secret, or be left out.\n".to_owned(),
    })?;
    let authority_only = uri.scheme().is_none() && uri.path_and_query().is_none();
    let plain = |authority: &&Authority| authority_only && !authority.as_str().contains('@');
    let authority = uri.authority().filter(plain).ok_or_else(|| Refusal {
        status: StatusCode::BAD_REQUEST,
        code: "MalformedConnect",
        words: "CONNECT needs a host and a port, such as dynamodb.us-east-1.amazonaws.com:443.\n".to_owned(),
    })?;
    let name = authority.host().to_ascii_lowercase();
    if authority.port_u16() != Some(HTTPS) {
        let instead = match authority.port_u16() {
            Some(STREAMS) if deps.catalogue.host(&name).is_some() => {
                "Transcribe's WebSockets and SageMaker's two-way streams, which are at 8443, are not carried. Use \
                 Transcribe's event streams over HTTP/2, as SDKs do outside of browsers, and SageMaker's \
                 InvokeEndpointWithResponseStream.\n"
            }
            _ => "",
        };
        return Err(Refusal {
            status: StatusCode::FORBIDDEN,
            code: "PortNotAllowed",
            words: format!("{authority}: only port 443 can be reached through this gateway.\n{instead}"),
        });
    }
    if let Some(target) = Target::new(deps.catalogue, &name, vouched) {
        return Ok(Route::Intercept(target));
    }
    if deps.live.load().passthrough.iter().any(|pattern| pattern.matches(&name)) {
        return Ok(Route::Tunnel(name));
    }
    Err(Refusal {
        status: StatusCode::FORBIDDEN,
        code: "HostNotInCatalogue",
        words: format!(
            "{name} is not a cloud service that this gateway knows, so it can't be reached through it.\n\
             Use the proxy for cloud calls only (NO_PROXY names the exceptions), or have the host added to \
             gateway.passthrough.\n"
        ),
    })
}

/// Carries bytes both ways until either side is done or the appliance stops.
async fn tunnel(io: Upgraded, mut server: TcpStream, host: String, accepted: Accepted) {
    let mut client = TokioIo::new(io);
    let ended = tokio::select! {
        ended = tokio::io::copy_bidirectional(&mut client, &mut server) => ended,
        () = accepted.stop.cancelled() => return,
    };
    if let Err(error) = ended {
        tracing::info!(%error, host, client = %accepted.client, "a tunnel ended early");
    }
}
