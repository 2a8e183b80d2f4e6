//! The part of the appliance that has the state: console, use cases, and access that ends by itself. It can be ended and
//! begun again while the gateway goes on under the grants that were published last.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::watch, task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    StartError, console_tls, credential_check,
    listeners::{Listener, Listeners},
    local, names, running,
    state::State,
};
use crate::{
    audit::{self, Audit},
    ca::{Authority, ServerIdentity},
    clock::Clock,
    config::Config,
    console,
    gateway::Gateway,
    secret::Secret,
    store::MasterKey,
    workflow::{FirstLink, Workflow},
};

/// For requests to the console that are under way, and as long again for what they still do with the state.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two looks whether the state is nobody's any more.
const LOOK: Duration = Duration::from_millis(10);

/// The running part.
pub(super) struct Control {
    /// Where people find the console.
    pub(super) url: Arc<str>,
    pub(super) tasks: JoinSet<()>,
    pub(super) stop: CancellationToken,
    known: Known,
    workflow: Workflow,
    authority: Arc<Authority>,
}

/// All of it, before anybody is served.
pub(super) struct Prepared {
    /// Lets whoever has it make the first administrator; there while there is none.
    pub(super) set_up_token: Option<Secret>,
    address: SocketAddr,
    audit: audit::Reader,
    certificate: Option<console_tls::Certificate>,
    clock: Clock,
    data_dir: PathBuf,
    known: Known,
    router: axum::Router,
    socket: TcpListener,
    state: (Workflow, Arc<Authority>),
    url: Arc<str>,
}

/// What was read from files that may be gone, or others, when this process has to go on after all.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) key: MasterKey,
    identity: Option<watch::Receiver<Arc<ServerIdentity>>>,
}

/// What it is made of, beside the state.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    pub(super) config: &'a Config,
    pub(super) clock: &'a Clock,
    pub(super) listener: &'a Listener,
    pub(super) gateway: &'a Gateway,
    pub(super) audit: &'a Audit,
    /// The address that clients are given: the gateway's first.
    pub(super) endpoint: Option<SocketAddr>,
}

impl<'a> Parts<'a> {
    /// Out of what there is.
    pub(super) fn of(
        config: &'a Config,
        clock: &'a Clock,
        listeners: &'a Listeners,
        gateway: &'a Gateway,
        audit: &'a Audit,
    ) -> Self {
        let endpoint = listeners.gateway.first().map(|listener| listener.address);
        Self { config, clock, listener: &listeners.console, gateway, audit, endpoint }
    }
}

impl Control {
    /// Does all that can fail. `known` is what was known before, if it was. Must be called inside a Tokio runtime.
    pub(super) fn prepare(state: State, parts: Parts<'_>, known: Option<&Known>) -> Result<Prepared, StartError> {
        let Parts { config, clock, listener, gateway, audit, endpoint } = parts;
        let State { key, workflow, authority } = state;
        let set_up_token = set_up_token(&workflow)?;
        workflow.check_with(credential_check::checker(gateway.clone(), clock.clone()));

        let own = names::own(&config.gateway.hostnames);
        warn_of_strange(&own, &authority);
        let before = known.and_then(|known| known.identity.as_ref()).map(|identity| Arc::clone(&identity.borrow()));
        let certificate = console_tls::open(&config.console, listener.address, &authority, &own, before, clock.now())?;
        let url: Arc<str> = url(listener.address, &own, certificate.as_ref()).into();
        let identity = certificate.as_ref().map(console_tls::Certificate::subscribe);
        let counted = gateway.clone();
        let router = console::router(console::State {
            workflow: workflow.clone(),
            authority: Arc::clone(&authority),
            audit: audit.reader(),
            endpoint: endpoint.map_or_else(String::new, |at| names::url("http", &names::host(at, &own), at)).into(),
            console: Arc::clone(&url),
            system: console::System {
                started_at: clock.now(),
                data_dir: config.data_dir.as_path().into(),
                certificates: Arc::new(move || counted.certificates()),
                identity: identity.clone(),
            },
        });
        Ok(Prepared {
            set_up_token,
            address: listener.address,
            audit: audit.reader(),
            certificate,
            clock: clock.clone(),
            data_dir: config.data_dir.clone(),
            known: Known { key, identity },
            router,
            socket: listener.listen()?,
            state: (workflow, authority),
            url,
        })
    }

    /// What need not be read again.
    pub(super) fn known(&self) -> Known {
        self.known.clone()
    }

    /// Ends it and closes the state, so that another process can open it; gives it back if something still holds it.
    pub(super) async fn release(mut self, clock: &Clock) -> Result<(), State> {
        self.stop.cancel();
        if timeout(PATIENCE, async { while self.tasks.join_next().await.is_some() {} }).await.is_err() {
            tracing::warn!("requests to the console that took longer than {} s are cut off", PATIENCE.as_secs());
            self.tasks.shutdown().await;
        }
        let (mut workflow, began) = (self.workflow, clock.now());
        while let Err(held) = workflow.close() {
            if clock.now().since(began) > PATIENCE {
                return Err(State { key: self.known.key, workflow: held, authority: self.authority });
            }
            workflow = held;
            clock.sleep(LOOK).await;
        }
        Ok(())
    }
}

impl Prepared {
    /// Begins to serve people. Must be called inside a Tokio runtime.
    pub(super) fn serve(self) -> Control {
        let Self { address, audit, certificate, clock, data_dir, known, router, socket, state, url, .. } = self;
        let (workflow, authority) = state;
        let tls = known.identity.clone().map(|identity| console::Tls { identity, url: Arc::clone(&url) });
        let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
        tasks.spawn(console::serve(socket, tls, router, clock.clone(), stop.clone()));
        tracing::info!(%address, %url, "the console listens");
        if let Some(certificate) = certificate {
            tasks.spawn(certificate.keep(clock.clone(), stop.clone()));
        }
        match local::listen(&data_dir) {
            Ok(listener) => {
                let desk = local::Desk {
                    workflow: workflow.clone(),
                    key: known.key.clone(),
                    audit: local::Audit::Running(audit),
                    console_url: Arc::clone(&url),
                    running: true,
                };
                tasks.spawn(local::serve(listener, desk, stop.clone()));
            }
            Err(error) => tracing::warn!(%error, "`csg backup` and `csg setup-link` can't ask this csg while it runs"),
        }
        tasks.spawn(running::expire(workflow.clone(), clock, stop.clone()));
        Control { url, tasks, stop, known, workflow, authority }
    }
}

/// For whoever makes the first administrator, unless there is one, or somebody has asked for a link that still works.
fn set_up_token(workflow: &Workflow) -> Result<Option<Secret>, StartError> {
    Ok(match workflow.first_link()? {
        FirstLink::Given { until } => {
            tracing::info!(%until, "nobody can sign in yet; the link that `csg setup-link` has made still works");
            None
        }
        FirstLink::New(token) => Some(token),
        FirstLink::SetUp => None,
    })
}

fn warn_of_strange(own: &[String], authority: &Authority) {
    for name in own.iter().filter(|name| !authority.permitted().permits(name)) {
        tracing::warn!(name, "the CA was made before this name was known, and may not speak for it");
    }
}

/// Where people find the console: over TLS by a name that is in the certificate.
fn url(bound: SocketAddr, own: &[String], certificate: Option<&console_tls::Certificate>) -> String {
    let usual = names::host(bound, own);
    let Some(certificate) = certificate else { return names::url("http", &usual, bound) };
    let hosts: Vec<_> = [usual.clone()].into_iter().chain(own.iter().cloned()).collect();
    names::url("https", &certificate.host(&hosts).unwrap_or(usual), bound)
}
