//! The measuring: rounds of load, and connections that do nothing.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use tokio::{sync::Semaphore, task::JoinSet};

use super::{
    appliance::Key,
    process::{Cpu, Process, pause},
    wire::{Call, Connection, Way},
};

/// So many connections are opened at a time.
const OPENING: usize = 8;

/// What is measured: a program, and the way through it.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) way: Way,
    pub(crate) process: Process,
}

/// One span of load on one subject.
pub(crate) struct Round {
    pub(crate) calls: usize,
    pub(crate) bytes: usize,
    pub(crate) errors: usize,
    pub(crate) took: Duration,
    pub(crate) cpu: Cpu,
    /// Of each call.
    pub(crate) latencies: Vec<Duration>,
    /// When it ended.
    pub(crate) memory: u64,
}

/// What connections cost while nothing happens on them.
pub(crate) struct Idle {
    pub(crate) connections: usize,
    /// Bytes for each, after one call each, a few at a time: hardly a connection to the cloud is open.
    pub(crate) each: u64,
    /// Connections to the cloud that are kept, after a call on all at once.
    pub(crate) to_cloud: usize,
    /// Bytes for each client's connection then, those to the cloud included.
    pub(crate) each_with_cloud: u64,
}

impl Subject {
    /// Opens connections; each has done a call when this returns.
    pub(crate) async fn open(&self, count: usize, call: Call, key: &Arc<Key>) -> Result<Vec<Connection>> {
        let (mut tasks, turns) = (JoinSet::new(), Arc::new(Semaphore::new(OPENING)));
        for _ in 0..count {
            let (way, key, turns) = (self.way.clone(), Arc::clone(key), Arc::clone(&turns));
            tasks.spawn(async move {
                let _turn = turns.acquire().await?;
                let mut connection = Connection::open(&way, call, &key).await?;
                connection.call().await?;
                anyhow::Ok(connection)
            });
        }
        tasks.join_all().await.into_iter().collect::<Result<_>>().with_context(|| format!("through {}", self.name))
    }

    /// Calls over each of `connections`, one call after the other, for `span`. Those that fail are gone afterwards.
    pub(crate) async fn load(&self, connections: &mut Vec<Connection>, span: Duration) -> Result<Round> {
        let (before, began) = (self.process.cpu()?, Instant::now());
        let until = began + span;
        let mut tasks: JoinSet<_> =
            connections.drain(..).map(|connection| calls(connection, move |now| now < until)).collect();
        let mut round =
            Round { calls: 0, bytes: 0, errors: 0, took: span, cpu: Cpu::default(), latencies: Vec::new(), memory: 0 };
        while let Some(done) = tasks.join_next().await {
            let (connection, bytes, latencies) = done?;
            round.bytes += bytes;
            round.latencies.extend(latencies);
            match connection {
                Ok(connection) => connections.push(connection),
                Err(error) => {
                    eprintln!("{}: {error:#}", self.name);
                    round.errors += 1;
                }
            }
        }
        round.took = began.elapsed();
        round.cpu = self.process.cpu()?.since(before);
        round.memory = self.process.memory()?;
        round.calls = round.latencies.len();
        Ok(round)
    }

    /// Opens `count` connections and leaves them alone.
    pub(crate) async fn idle(&self, count: usize, key: &Arc<Key>) -> Result<Idle> {
        // What is made once, at the first calls, is not the price of a connection.
        drop(self.open(OPENING, Call::PutItem, key).await?);
        let (before, files) = (self.settled()?, self.process.open_files()?);
        let connections = self.open(count, Call::PutItem, key).await?;
        let opened = self.settled()?;
        let mut tasks: JoinSet<_> = connections.into_iter().map(|connection| calls(connection, only_once())).collect();
        let mut kept = Vec::new();
        while let Some(done) = tasks.join_next().await {
            kept.push(done?.0?);
        }
        let called = self.settled()?;
        let each = |memory: u64| memory.saturating_sub(before) / count as u64;
        Ok(Idle {
            connections: kept.len(),
            each: each(opened),
            to_cloud: self.process.open_files()?.saturating_sub(files + count),
            each_with_cloud: each(called),
        })
    }

    /// Its memory once that has stopped changing.
    fn settled(&self) -> Result<u64> {
        let (mut memory, mut unchanged) = (self.process.memory()?, 0);
        for _ in 0..100 {
            pause();
            let now = self.process.memory()?;
            unchanged = if now == memory { unchanged + 1 } else { 0 };
            memory = now;
            if unchanged == 20 {
                break;
            }
        }
        Ok(memory)
    }
}

/// Calls over `connection` as long as `more` says so; bytes and latencies of what went well.
async fn calls(
    mut connection: Connection,
    mut more: impl FnMut(Instant) -> bool,
) -> (Result<Connection>, usize, Vec<Duration>) {
    let (mut bytes, mut latencies, mut began) = (0, Vec::new(), Instant::now());
    while more(began) {
        match connection.call().await {
            Ok(length) => bytes += length,
            Err(error) => return (Err(error), bytes, latencies),
        }
        let now = Instant::now();
        latencies.push(now - began);
        began = now;
    }
    (Ok(connection), bytes, latencies)
}

fn only_once() -> impl FnMut(Instant) -> bool {
    let mut done = false;
    move |_| !std::mem::replace(&mut done, true)
}
