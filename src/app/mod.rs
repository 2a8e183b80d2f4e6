//! Configuration → running appliance: the only place that wires the parts together.

mod backup;
mod console_tls;
mod credential_check;
mod data_dir;
mod error;
mod limits;
mod local;
pub mod logging;
mod master_key;
mod names;
mod owner;
mod ports;
mod running;
mod signal;
mod state;
pub mod systemd;
mod upstream;

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

pub use self::{
    backup::{BackupError, Copied, Header, Options as RestoreOptions, Restored, SealedKey, Wrapping, restore, stamp},
    error::StartError,
    local::{Answer, LocalError, Question, ask, backup},
    running::{Pulse, Running},
    signal::StopSignal,
    state::{authority, initialise},
};
use self::{state::State, systemd::Sockets};
use crate::{
    audit::{self, Audit},
    ca::LeafCache,
    clock::Clock,
    config::{Config, ConsoleTls, OnFailure},
    console,
    gateway::{Bundles, Gateway, GatewayConfig, OnAuditFailure, Parts, SpoolConfig, Threads},
    workflow::FirstLink,
};

/// Hosts whose certificates are kept ready.
const LEAVES: usize = 4096;

/// The appliance.
pub struct App;

impl App {
    /// Starts everything that `config` names. Must be called inside a Tokio runtime.
    ///
    /// A data directory that is empty is prepared first; [`Running::set_up_token`] then lets the first administrator in.
    /// Where a socket was handed over, it is listened on; the others are opened.
    pub async fn start(config: Config, clock: Clock, mut sockets: Sockets) -> Result<Running, StartError> {
        limits::raise_open_files();
        // The ports first: a second appliance on one machine is told of the port, not of the database.
        let mut gateway_listeners = Vec::new();
        for &address in &config.gateway.listen {
            gateway_listeners.push(bind("gateway.listen", address, &mut sockets).await?);
        }
        let (console_listener, console) = bind("console.listen", config.console.listen, &mut sockets).await?;
        sockets.are_all_taken()?;

        let state = state::open(&config, &clock)?;
        let set_up_token = match state.workflow.first_link()? {
            FirstLink::Given { until } => {
                tracing::info!(%until, "nobody can sign in yet; the link that `csg setup-link` has made still works");
                None
            }
            FirstLink::New(token) => Some(token),
            FirstLink::SetUp => None,
        };
        let settings = audit::Settings { retention: config.audit.retention, ..audit::Settings::default() };
        let audit = Audit::open(&config.data_dir.join("audit"), settings, clock.clone())?;
        let gateway = Gateway::new(gateway_config(&config)?, parts(&state, &audit, &clock)?)?;

        state.workflow.check_with(credential_check::checker(gateway.clone(), clock.clone()));

        let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
        let mut bound = Vec::new();
        for (listener, address) in gateway_listeners {
            let (gateway, stop) = (gateway.clone(), stop.clone());
            tracing::info!(%address, "the gateway listens");
            tasks.spawn(async move { gateway.serve(listener, stop).await });
            bound.push(address);
        }
        let own = names::own(&config.gateway.hostnames);
        for name in own.iter().filter(|name| !state.authority.permitted().permits(name)) {
            tracing::warn!(name, "the CA was made before this name was known, and may not speak for it");
        }
        let endpoint = bound.first().map_or_else(String::new, |&at| names::url("http", &names::host(at, &own), at));
        let pulse = Pulse(gateway.clone());
        let certificate = console_tls::open(&config.console, console, &state.authority, &own, clock.now())?;
        let console_url: Arc<str> = console_url(console, &own, certificate.as_ref()).into();
        let identity = certificate.as_ref().map(console_tls::Certificate::subscribe);
        let router = console::router(console::State {
            workflow: state.workflow.clone(),
            authority: state.authority,
            audit: audit.reader(),
            endpoint: endpoint.into(),
            console: Arc::clone(&console_url),
            system: console::System {
                started_at: clock.now(),
                data_dir: config.data_dir.as_path().into(),
                certificates: Arc::new(move || gateway.certificates()),
                identity: identity.clone(),
            },
        });
        tracing::info!(address = %console, url = %console_url, "the console listens");
        let tls = identity.map(|identity| console::Tls { identity, url: Arc::clone(&console_url) });
        tasks.spawn(console::serve(console_listener, tls, router, clock.clone(), stop.clone()));
        if let Some(certificate) = certificate {
            tasks.spawn(certificate.keep(clock.clone(), stop.clone()));
        }
        match local::listen(&config.data_dir) {
            Ok(listener) => {
                let desk = local::Desk {
                    workflow: state.workflow.clone(),
                    store: state.store,
                    key: state.key,
                    audit: local::Audit::Running(audit.reader()),
                    console_url: Arc::clone(&console_url),
                    running: true,
                };
                tasks.spawn(local::serve(listener, desk, stop.clone()));
            }
            Err(error) => tracing::warn!(%error, "`csg backup` and `csg setup-link` can't ask this csg while it runs"),
        }
        tasks.spawn(running::expire(state.workflow, clock, stop.clone()));
        Ok(Running { gateway: bound, console, console_url, set_up_token, audit, pulse, stop, tasks })
    }
}

/// Where people find the console: over TLS by a name that is in the certificate.
fn console_url(bound: SocketAddr, own: &[String], certificate: Option<&console_tls::Certificate>) -> String {
    let usual = names::host(bound, own);
    let Some(certificate) = certificate else { return names::url("http", &usual, bound) };
    let hosts: Vec<_> = [usual.clone()].into_iter().chain(own.iter().cloned()).collect();
    names::url("https", &certificate.host(&hosts).unwrap_or(usual), bound)
}

/// Where people will find the console, as far as it can be said before a start.
fn expected_console_url(config: &Config) -> String {
    let address = config.console.listen;
    let is_plain = match config.console.tls {
        ConsoleTls::Auto => address.ip().to_canonical().is_loopback(),
        ConsoleTls::Files { .. } => false,
        ConsoleTls::Off => true,
    };
    let host = names::host(address, &names::own(&config.gateway.hostnames));
    names::url(if is_plain { "http" } else { "https" }, &host, address)
}

async fn bind(
    key: &'static str,
    address: SocketAddr,
    sockets: &mut Sockets,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |cause| StartError::Bind { key, address, holder: ports::holder(address, &cause), cause };
    let listener = match sockets.take(address) {
        Some(socket) => TcpListener::from_std(socket).map_err(failed)?,
        None => TcpListener::bind(address).await.map_err(failed)?,
    };
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

fn parts(state: &State, audit: &Audit, clock: &Clock) -> Result<Parts, StartError> {
    let authority = &state.authority;
    Ok(Parts {
        bundles: Bundles {
            der: Bytes::copy_from_slice(authority.certificate_der()),
            pem: authority.pem().into(),
            pkcs12: Bytes::copy_from_slice(authority.pkcs12()?),
        },
        certificates: LeafCache::new(Arc::clone(authority), LEAVES)?,
        clock: clock.clone(),
        grants: state.workflow.subscribe(),
        sink: audit.sink(),
    })
}

fn gateway_config(config: &Config) -> Result<GatewayConfig, StartError> {
    Ok(GatewayConfig {
        threads: Threads::OnePerProcessor,
        max_buffered_body: config.gateway.max_buffered_body,
        on_audit_failure: match config.audit.on_failure {
            OnFailure::Allow => OnAuditFailure::Allow,
            OnFailure::Deny => OnAuditFailure::Deny,
        },
        passthrough: config.gateway.passthrough.clone(),
        require_sni: config.gateway.require_sni,
        spool: SpoolConfig {
            directory: config.gateway.spool_dir.clone().unwrap_or_else(|| config.data_dir.join("spool")),
            max_body: config.gateway.max_spooled_body,
            max_total: config.gateway.max_spooled_total,
        },
        upstream: upstream::config(&config.upstream)?,
    })
}
