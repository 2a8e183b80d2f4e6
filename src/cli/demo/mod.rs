//! `csg demo`: the whole main job on loopback, with no cloud account. Everything it makes is thrown away at the end.

mod client;
mod stand_in;
mod walk;

use std::{
    fs::{self, DirBuilder},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::DirBuilderExt,
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, anyhow};
use ring::rand::{SecureRandom, SystemRandom};

use self::{client::REGION, stand_in::StandIn};
use super::terminal::{Palette, Style, print};
use crate::{
    app::{self, App, Running, Signals, StartError, systemd::Sockets},
    clock::Clock,
    config::{Config, Console, Gateway, Upstream},
    gateway::Address,
    model::UserName,
    secret::Secret,
};

/// Show the whole main job on this machine, with no cloud account
///
/// Starts a gateway with a throw-away data directory and a stand-in for AWS, then asks for access, approves it, uses
/// it and takes it back. The console keeps running until Ctrl-C.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// End after the walk-through; exit status 0 only if every step did what it should
    #[arg(long)]
    once: bool,
}

/// The ports that users know.
const GATEWAY: u16 = 3128;
const CONSOLE: u16 = 3129;

/// What the walk-through plays on.
struct Stage {
    palette: Palette,
    console: SocketAddr,
    stand_in: StandIn,
    real_key_id: String,
    real_secret: Secret,
    passwords: Passwords,
}

struct Passwords {
    admin: Secret,
    anna: Secret,
    dora: Secret,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new().context("can't start the runtime")?;
    let outcome = runtime.block_on(demonstrate(args.once));
    // A step under way when Ctrl-C came may still wait for its answer; nobody is interested in it any more.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome.map(|()| ExitCode::SUCCESS)
}

async fn demonstrate(once: bool) -> anyhow::Result<()> {
    let mut stop = Signals::listen().context("can't listen for signals")?;
    let scratch = Scratch::new()?;
    let (stage, running) = set_stage(&scratch).await?;
    introduce(&stage, &running)?;
    let stage = Arc::new(stage);
    let walked = tokio::task::spawn_blocking({
        let stage = Arc::clone(&stage);
        move || walk::walk(&stage)
    });
    let outcome = tokio::select! {
        walked = walked => walked?,
        () = stop.any() => Err(anyhow!("stopped before the end")),
    };
    if outcome.is_ok() && !once {
        invite(&stage)?;
        stop.any().await;
    }
    running.stop().await;
    outcome
}

async fn set_stage(scratch: &Scratch) -> anyhow::Result<(Stage, Running)> {
    let clock = Clock::system();
    let passwords = Passwords { admin: random()?, anna: random()?, dora: random()? };
    let (real_key_id, real_secret) = ("AKIADEMOREALREALREAL".to_owned(), random()?);
    let host = format!("dynamodb.{REGION}.amazonaws.com");
    let stand_in = StandIn::start(&host, &real_key_id, &real_secret).await?;
    let roots = scratch.0.join("stand-in.pem");
    fs::write(&roots, &stand_in.root_pem)?;

    let default = Config::default();
    let config = Config {
        data_dir: scratch.0.join("data"),
        gateway: Gateway { listen: vec![free_or_any(GATEWAY)], ..default.gateway },
        console: Console { listen: free_or_any(CONSOLE), ..default.console },
        upstream: Upstream {
            ca_file: Some(roots),
            overrides: vec![(host.parse()?, Address::Socket(stand_in.address))],
        },
        ..default
    };
    app::initialise(&config, &UserName::new("admin")?, &passwords.admin, &clock)?;
    let running = match App::start(config.clone(), clock.clone(), Sockets::none()).await {
        // Somebody was quicker.
        Err(StartError::Bind { .. }) => {
            let gateway = Gateway { listen: vec![any()], ..config.gateway };
            App::start(
                Config { gateway, console: Console { listen: any(), ..config.console }, ..config },
                clock,
                Sockets::none(),
            )
            .await?
        }
        outcome => outcome?,
    };
    let stage = Stage {
        palette: Palette::for_stdout(),
        console: running.console,
        stand_in,
        real_key_id,
        real_secret,
        passwords,
    };
    Ok((stage, running))
}

fn introduce(stage: &Stage, running: &Running) -> anyhow::Result<()> {
    let paint = |style, text: String| stage.palette.paint(style, text);
    let gateway = running.gateway.first().map_or_else(String::new, |address| format!("http://{address}"));
    let usual = running.gateway.iter().any(|bound| bound.port() == GATEWAY) && stage.console.port() == CONSOLE;
    let note = if usual { "" } else { "  The usual ports are taken, so these are others.\n" };
    print(format_args!(
        "{}\n\n  gateway  {}  where programs send their cloud calls\n  console  {}  where people ask and approve\n  \
         AWS      {}  a stand-in that takes only calls signed with the real key\n{note}\n",
        paint(Style::Bold, "Cloud Service Gateway: the whole main job, on this machine alone".to_owned()),
        paint(Style::Link, gateway),
        paint(Style::Link, format!("http://{}", stage.console)),
        paint(Style::Link, format!("https://{}", stage.stand_in.address)),
    ))?;
    Ok(())
}

fn invite(stage: &Stage) -> anyhow::Result<()> {
    let Passwords { admin, anna, dora } = &stage.passwords;
    print(format_args!(
        "\n{} until Ctrl-C: {}\n  admin, password {}\n  anna (approver), password {}\n  dora (developer), password {}\n",
        stage.palette.paint(Style::Bold, "The console keeps running"),
        stage.palette.paint(Style::Link, format!("http://{}", stage.console)),
        admin.expose(),
        anna.expose(),
        dora.expose(),
    ))?;
    Ok(())
}

/// The port that users know, if nothing else has it; else any.
fn free_or_any(port: u16) -> SocketAddr {
    let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    if TcpListener::bind(usual).is_ok() { usual } else { any() }
}

fn any() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

fn random() -> anyhow::Result<Secret> {
    let mut bytes = [0; 12];
    SystemRandom::new().fill(&mut bytes).map_err(|_| anyhow!("the system gives no random numbers"))?;
    Ok(Secret::new(hex::encode(bytes)))
}

/// A directory that is gone when this is.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("csg-demo-{}", random()?.expose()));
        DirBuilder::new().mode(0o700).create(&path).with_context(|| format!("can't make {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What could not be removed lies in the directory for temporary files, and the system clears that.
        drop(fs::remove_dir_all(&self.0));
    }
}
