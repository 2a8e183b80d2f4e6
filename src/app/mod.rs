//! Configuration → running appliance: the only place that wires the parts together.

mod backup;
mod console_tls;
mod control;
mod credential_check;
mod data_dir;
mod error;
pub mod handover;
mod life;
mod limits;
mod listeners;
mod local;
pub mod logging;
mod master_key;
mod names;
mod owner;
mod ports;
mod reload;
mod running;
mod signal;
mod state;
pub mod systemd;
mod upstream;

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use self::{
    backup::{
        BackupError, Copied, Header, Options as RestoreOptions, Restored, SealedKey, WentBack, Wrapping, go_back,
        restore, stamp,
    },
    error::StartError,
    life::Ending,
    local::{Answer, LocalError, Question, ask, backup},
    running::{Pulse, Running},
    signal::Signals,
    state::{authority, initialise},
};
use self::{
    control::Control,
    handover::{Door, Predecessor},
    listeners::Listeners,
    state::State,
    systemd::Sockets,
};
use crate::{
    audit::{self, Audit},
    ca::LeafCache,
    clock::Clock,
    config::{Config, ConsoleTls, OnFailure},
    gateway::{Bundles, Gateway, GatewayConfig, OnAuditFailure, Parts, STREAMS, SpoolConfig, Threads},
    model::Publisher,
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
        // The ports first: a second appliance on one machine is told of the port, not of the database.
        let listeners = Listeners::open(&config, &mut sockets).await?;
        sockets.are_all_taken()?;
        begin(config, clock, listeners, None).await
    }

    /// Starts everything in the place of a process that runs, which goes on if this fails.
    pub async fn take_over(config: Config, clock: Clock, from: Predecessor) -> Result<Running, StartError> {
        let (sockets, data_dir, met) = from.sockets().await?;
        if data_dir != config.data_dir {
            let words = format!("its data_dir is {}, and another one needs a restart", data_dir.display());
            return Err(StartError::Predecessor(words));
        }
        let mut sockets = Sockets::of_predecessor(sockets)?;
        let listeners = Listeners::open(&config, &mut sockets).await?;
        sockets.close_others();
        begin(config, clock, listeners, Some(met)).await
    }
}

async fn begin(
    config: Config,
    clock: Clock,
    listeners: Listeners,
    predecessor: Option<handover::Met>,
) -> Result<Running, StartError> {
    limits::raise_open_files();
    // All that can be found wrong without the state is found now: a process that is taken over from has it until then.
    let gateway_config = gateway_config(&config)?;
    console_tls::check(&config.console)?;
    let predecessor = match predecessor {
        Some(met) => {
            state::check_key(&config)?;
            Some(met.released().await?)
        }
        None => None,
    };
    let publisher = Publisher::new();
    let (mut state, migration) = state::open(&config, &clock, None, publisher.clone())?;
    if predecessor.is_none() {
        state.follow_names(&config, &clock)?;
    }
    let settings = audit::Settings { retention: config.audit.retention, ..audit::Settings::default() };
    let audit = Audit::open(&config.data_dir.join("audit"), settings, clock.clone())?;
    let gateway = Gateway::new(gateway_config, parts(&state, &audit, &clock, &publisher)?)?;
    let sockets: Vec<_> = listeners.gateway.iter().map(listeners::Listener::listen).collect::<Result<_, _>>()?;
    let parts = control::Parts::of(&config, &clock, &listeners, &gateway, &audit);
    let mut control = Control::prepare(state, parts, None)?;

    // Nobody is served before this process is the appliance: what it has begun would be cut off if it were not to be.
    let following = match predecessor {
        Some(met) => Some(met.over(publisher.subscribe()).await?),
        None => None,
    };
    // The last that can fail: before it, the version before this one could still open its database.
    migration.complete()?;

    for listener in &listeners.gateway {
        tracing::info!(address = %listener.address, "the gateway listens");
    }
    let set_up_token = control.set_up_token.take();
    // It comes first: who hears from the gateway that it is well finds the console, too.
    let control = control.serve();
    let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
    for socket in sockets {
        let (gateway, stop) = (gateway.clone(), stop.clone());
        tasks.spawn(async move { gateway.serve(socket, stop).await });
    }
    let mut followed = JoinSet::new();
    if let Some(following) = following {
        audit.expect(true);
        followed.spawn(following.follow());
    }
    Ok(Running {
        gateway: listeners.gateway.iter().map(|listener| listener.address).collect(),
        console: listeners.console.address,
        console_url: Arc::clone(&control.url),
        set_up_token,
        door: Door::open(&config.data_dir, &clock),
        config,
        clock,
        listeners: Some(listeners),
        publisher,
        audit: Arc::new(audit),
        data_plane: gateway,
        control: Some(control),
        stop,
        tasks,
        followed,
    })
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

fn parts(state: &State, audit: &Audit, clock: &Clock, publisher: &Publisher) -> Result<Parts, StartError> {
    let authority = &state.authority;
    Ok(Parts {
        bundles: Bundles {
            der: Bytes::copy_from_slice(authority.certificate_der()),
            pem: authority.pem().into(),
            pkcs12: Bytes::copy_from_slice(authority.pkcs12()?),
        },
        certificates: LeafCache::new(Arc::clone(authority), LEAVES)?,
        clock: clock.clone(),
        grants: publisher.subscribe(),
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
        streams: STREAMS,
        upstream: upstream::config(&config.upstream)?,
    })
}
