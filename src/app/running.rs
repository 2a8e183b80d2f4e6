//! The running appliance: where it listens, what ends by itself in it, and how it stops.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{control::Control, handover::Door, listeners::Listeners};
use crate::{
    audit::Audit, clock::Clock, config::Config, gateway::Gateway, model::Publisher, secret::Secret, workflow::Workflow,
};

/// How long calls under way may take to finish once the appliance is asked to stop.
const DRAIN: Duration = Duration::from_secs(30);

/// For what is cut off to leave its records.
const CUT: Duration = Duration::from_secs(2);

/// Access that ends by itself is looked for at least this often, should the system's clock be set.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

/// And at most this often.
const PAUSE: Duration = Duration::from_millis(100);

/// The running appliance. Stops at once when dropped; [`Running::stop`] lets calls under way finish.
pub struct Running {
    /// Where cloud clients connect.
    pub gateway: Vec<SocketAddr>,
    /// Where people and scripts connect.
    pub console: SocketAddr,
    /// The same as a URL: `https://gateway.example.com:3129`.
    pub console_url: Arc<str>,
    /// Lets whoever has it make the first administrator; there while there is none.
    pub set_up_token: Option<Secret>,
    /// As far as it counts: what was changed since the start and needs a restart is not in it.
    pub(super) config: Config,
    pub(super) clock: Clock,
    /// None once another process has taken over.
    pub(super) listeners: Option<Listeners>,
    pub(super) publisher: Publisher,
    pub(super) audit: Arc<Audit>,
    pub(super) data_plane: Gateway,
    /// None while, or once, another process has the state.
    pub(super) control: Option<Control>,
    pub(super) stop: CancellationToken,
    pub(super) tasks: JoinSet<()>,
    /// Processes that have handed over to this one and finish what they have.
    pub(super) followed: JoinSet<()>,
    pub(super) door: Door,
}

/// Tells whether the appliance is alive: every thread that serves somebody still comes to its next piece of work.
#[derive(Clone)]
pub struct Pulse(pub(super) Gateway);

impl Pulse {
    /// Comes back once every thread has done a piece of work that was given to it now.
    pub async fn felt(&self) {
        self.0.beat().await;
        // The store's work is done on threads that may block; if all of them hang, this waits for ever.
        drop(tokio::task::spawn_blocking(|| ()).await);
    }
}

impl Running {
    /// For a watchdog.
    pub fn pulse(&self) -> Pulse {
        Pulse(self.data_plane.clone())
    }

    /// Accepts nothing new, waits for calls under way, at most 30 seconds, and writes what was recorded of them.
    pub async fn stop(self) {
        tracing::info!("stopping: calls under way may finish");
        self.stop_within(DRAIN).await;
        tracing::info!(name: "stopped", "stopped");
    }

    pub(super) async fn stop_within(mut self, limit: Duration) {
        self.stop.cancel();
        // Who comes now is told at once that nobody is here.
        self.listeners = None;
        let mut control = self.control.take();
        if let Some(control) = &control {
            control.stop.cancel();
        }
        let finished = timeout(limit, async {
            while self.tasks.join_next().await.is_some() {}
            if let Some(control) = &mut control {
                while control.tasks.join_next().await.is_some() {}
            }
        });
        if finished.await.is_err() {
            tracing::warn!("calls that were still under way after {} s are cut off", limit.as_secs());
            self.data_plane.cut();
            if timeout(CUT, async { while self.tasks.join_next().await.is_some() {} }).await.is_err() {
                self.tasks.shutdown().await;
            }
            if let Some(control) = &mut control {
                control.tasks.shutdown().await;
            }
        }
        // Whoever else has it is a thread that is about to let go of it.
        while Arc::strong_count(&self.audit) > 1 {
            self.clock.sleep(PAUSE).await;
        }
        let audit = Arc::into_inner(self.audit);
        if tokio::task::spawn_blocking(move || audit.map(Audit::close)).await.is_err() {
            tracing::error!("the audit log could not be closed");
        }
    }
}

/// Ends access when its time has come, until `stop`.
pub(super) async fn expire(workflow: Workflow, clock: Clock, stop: CancellationToken) {
    let mut commits = workflow.watch();
    loop {
        commits.mark_unchanged();
        let due = {
            let workflow = workflow.clone();
            tokio::task::spawn_blocking(move || {
                workflow.expire_due()?;
                workflow.next_expiry()
            })
        };
        let next = match due.await {
            Ok(Ok(next)) => next,
            Ok(Err(error)) => {
                tracing::error!(%error, "access that is due could not be ended; calls are refused all the same");
                None
            }
            // The runtime ends.
            Err(_) => return,
        };
        let pause = next.map_or(LOOK_AGAIN, |next| next.since(clock.now()).clamp(PAUSE, LOOK_AGAIN));
        tokio::select! {
            () = stop.cancelled() => return,
            () = clock.sleep(pause) => {}
            _ = commits.changed() => {}
        }
    }
}
