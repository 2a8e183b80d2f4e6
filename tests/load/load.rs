//! What a call through the gateway costs, beside nginx as a plain TLS→TLS proxy that verifies and signs nothing.
//!
//! Run it as `tests/load/run`. The real `csg serve`, its audit log on, and nginx, with and without an access log, stand
//! before the same cloud (another nginx) and take turns, so that whatever else the machine does hits all of them.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "figures are what it is for")]

mod appliance;
mod measure;
mod nginx;
mod process;
mod report;
mod wire;

use std::{fs, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Result;
use clap::Parser;

use self::{
    appliance::{Appliance, Key},
    measure::{Round, Subject},
    nginx::{Certificates, Nginx},
    report::Figures,
    wire::{Call, Way},
};

/// Measure calls through the gateway, beside nginx
#[derive(Parser)]
#[command(name = "tests/load/run")]
struct Args {
    /// The executable to measure
    #[arg(long)]
    csg: PathBuf,
    /// Fail unless CPU time and memory are within the marks; shorter
    #[arg(long)]
    check: bool,
    /// Measure the gateway alone, for so many seconds: to look at it with other tools
    #[arg(long, value_name = "SECONDS")]
    alone: Option<u64>,
    /// Connections that call at the same time
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Connections that do nothing
    #[arg(long)]
    idle: Option<usize>,
}

struct Plan {
    rounds: usize,
    calls: Duration,
    downloads: Duration,
    idle: usize,
}

/// Downloads at the same time.
const DOWNLOADS: usize = 8;

impl Plan {
    const CHECK: Self =
        Self { rounds: 5, calls: Duration::from_secs(1), downloads: Duration::from_millis(300), idle: 2_000 };
    const FULL: Self =
        Self { rounds: 7, calls: Duration::from_millis(1_800), downloads: Duration::from_millis(500), idle: 2_000 };
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let args = Args::parse();
    process::raise_open_files()?;
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::make(folder.path())?;
    let cloud = Nginx::cloud(&folder.path().join("cloud"), &certificates)?;

    let appliance = Appliance::start(&args.csg, &folder.path().join("csg"), cloud.address, &certificates.ca)?;
    let key = Arc::new(appliance.grant(&["dynamodb", "glacier"])?);
    let way = Way::new(appliance.gateway, true, &appliance.ca()?)?;
    let gateway = Subject { name: "csg", way, process: appliance.process };
    println!("{}; load before: {}", process::machine()?, process::load_average()?);
    let mut plan = if args.check { Plan::CHECK } else { Plan::FULL };
    plan.idle = args.idle.unwrap_or(plan.idle);
    if let Some(seconds) = args.alone {
        plan.calls = Duration::from_secs(seconds);
        return alone(&gateway, &plan, args.connections, &key).await;
    }

    let mut subjects = vec![gateway];
    for (name, access_log) in [("nginx, no log", false), ("nginx, access log", true)] {
        let nginx =
            Nginx::proxy(&folder.path().join(name.replace([' ', ','], "")), &certificates, cloud.address, access_log)?;
        let way = Way::new(nginx.address, false, &fs::read_to_string(&certificates.ca)?)?;
        subjects.push(Subject { name, way, process: nginx.process });
    }
    let figures = measure(&subjects, &plan, args.connections, &key).await?;
    println!("load after: {}", process::load_average()?);
    println!(
        "{} connections, 300-byte PutItem; {} rounds of {:?} each, in turn; medians\n",
        args.connections, plan.rounds, plan.calls
    );
    report::table(&figures);
    let [gateway, peers @ ..] = figures.as_slice() else { return Ok(ExitCode::FAILURE) };
    println!();
    for peer in peers {
        println!("figure: {}", report::comparison(gateway, peer));
    }
    // The gateway keeps a record of each call, so the mark is against the nginx that does.
    Ok(peers.last().filter(|_| args.check).map_or(ExitCode::SUCCESS, |peer| check(gateway, peer)))
}

/// Says what is as it has to be, the sum as `cargo test` does.
fn check(gateway: &Figures, peer: &Figures) -> ExitCode {
    let marks = report::marks(gateway, peer);
    for mark in &marks {
        println!("{}: {}", if mark.met { "figure" } else { "FAILED" }, mark.finding);
    }
    let passed = marks.iter().filter(|mark| mark.met).count();
    let (failed, verdict) = (marks.len() - passed, if passed == marks.len() { "ok" } else { "FAILED" });
    println!("test result: {verdict}. {passed} passed; {failed} failed; 0 ignored");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn measure(subjects: &[Subject], plan: &Plan, connections: usize, key: &Arc<Key>) -> Result<Vec<Figures>> {
    let mut all = Vec::new();
    // First of all, while the memory of the programs has not been used and given back by anything else.
    for subject in subjects {
        let idle = subject.idle(plan.idle, key).await?;
        all.push(Figures { name: subject.name, calls: Vec::new(), downloads: Vec::new(), idle });
    }
    let calls = in_turn(subjects, Call::PutItem, connections, plan.rounds, plan.calls, key).await?;
    let downloads = in_turn(subjects, Call::Download, DOWNLOADS, plan.rounds, plan.downloads, key).await?;
    for ((figures, calls), downloads) in all.iter_mut().zip(calls).zip(downloads) {
        figures.calls = calls;
        figures.downloads = downloads;
    }
    Ok(all)
}

/// Rounds of each subject, one after the other, again and again; one more at the beginning does not count.
async fn in_turn(
    subjects: &[Subject],
    call: Call,
    connections: usize,
    rounds: usize,
    span: Duration,
    key: &Arc<Key>,
) -> Result<Vec<Vec<Round>>> {
    let mut open = Vec::new();
    for subject in subjects {
        open.push(subject.open(connections, call, key).await?);
    }
    let mut done: Vec<Vec<Round>> = subjects.iter().map(|_| Vec::new()).collect();
    for round in 0..=rounds {
        for ((subject, connections), done) in subjects.iter().zip(&mut open).zip(&mut done) {
            let span = if round == 0 { span / 2 } else { span };
            let measured = subject.load(connections, span).await?;
            if round > 0 {
                done.push(measured);
            }
        }
    }
    Ok(done)
}

async fn alone(gateway: &Subject, plan: &Plan, connections: usize, key: &Arc<Key>) -> Result<ExitCode> {
    let idle = gateway.idle(plan.idle, key).await?;
    let mut open = gateway.open(connections, Call::PutItem, key).await?;
    let calls = vec![gateway.load(&mut open, plan.calls).await?];
    let mut open = gateway.open(DOWNLOADS, Call::Download, key).await?;
    let downloads = vec![gateway.load(&mut open, plan.downloads).await?];
    report::table(&[Figures { name: gateway.name, calls, downloads, idle }]);
    Ok(ExitCode::SUCCESS)
}
