//! What the running appliance does beside its work: it reads its configuration again, hands over to another executable,
//! and ends when it is told to.

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinHandle, task::JoinSet};

use super::{
    Running, Signals, StartError,
    control::{self, Control, Known},
    handover::{Answer, Door, HandOverError, Successor},
    reload,
    signal::Wish,
    state::{self, State},
    systemd,
};
use crate::{
    audit::Audit,
    config::{Config, Problems},
    store,
};

/// For what has been recorded to be written, before another process has the files.
const WRITE: Duration = Duration::from_secs(10);

/// For a process that was ended to let go of the state.
const DEATH: Duration = Duration::from_secs(5);

/// For calls whose access has ended to end, before they are cut off.
const CUT: Duration = Duration::from_secs(5);

const LOOK: Duration = Duration::from_millis(10);

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As it was asked to; or another process is the appliance now.
    Asked,
    /// A part failed.
    Broken,
}

/// Why another process has not taken over.
enum Unfinished {
    /// This one goes on.
    GoesOn(HandOverError),
    /// The other one could not, and this one can't go on either.
    Lost(HandOverError, StartError),
}

impl Running {
    /// Lives until a signal ends it, or until all is finished that another process left to it. `read` reads the
    /// configuration.
    pub async fn live(mut self, signals: &mut Signals, read: impl Fn() -> Result<Config, Problems>) -> Ending {
        tracing::info!(name: "ready", url = %self.console_url, "ready");
        systemd::ready(&self.console_url);
        let alive = Aborting(tokio::spawn(systemd::stay_alive(self.pulse(), self.clock.clone())));
        let ending = loop {
            tokio::select! {
                wish = signals.next() => match wish {
                    Wish::Reload => reload::reload(&mut self, &read),
                    Wish::Stop => break Ending::Asked,
                },
                () = broken(&mut self.tasks, self.control.as_mut()) => break Ending::Broken,
                Some(_) = self.followed.join_next() => {
                    tracing::info!("a process that has handed over has finished");
                    if self.followed.is_empty() {
                        self.audit.expect(false);
                    }
                }
                request = self.door.next() => {
                    let outcome = tokio::select! {
                        () = signals.stop() => break Ending::Asked,
                        outcome = self.hand_over(&request.executable) => outcome,
                    };
                    match outcome {
                        Ok(successor) => {
                            drop(alive);
                            let (process, version) = (successor.process, successor.version.clone());
                            request.answer(&Answer::Over { process, version }).await;
                            self.finish(successor, signals).await;
                            return Ending::Asked;
                        }
                        Err(Unfinished::GoesOn(error)) => {
                            tracing::error!(%error, "not handed over: this process goes on");
                            request.answer(&Answer::from(&error)).await;
                        }
                        Err(Unfinished::Lost(error, own)) => {
                            tracing::error!(%error, %own, "not handed over, and the state can't be opened again");
                            request.answer(&Answer::from(&error)).await;
                            break Ending::Broken;
                        }
                    }
                }
            }
        };
        drop(alive);
        systemd::stopping();
        self.stop_or_cut(signals).await;
        ending
    }

    /// Stops; a second signal cuts off what is under way.
    async fn stop_or_cut(self, signals: &mut Signals) {
        tokio::select! {
            () = self.stop() => {}
            () = signals.stop() => tracing::warn!("asked to stop twice: calls under way are cut off"),
        }
    }

    /// Has `executable` take over. Until it is ready, everything can be taken back.
    async fn hand_over(&mut self, executable: &std::os::fd::OwnedFd) -> Result<Successor, Unfinished> {
        tracing::info!("another executable is to take over: starting it");
        let sockets = self.listeners.as_ref().map(super::Listeners::all).unwrap_or_default();
        let started = Successor::start(executable, &sockets, &self.config.data_dir, &self.clock).await;
        let mut successor = started.map_err(Unfinished::GoesOn)?;
        let known = self.control.as_ref().map(Control::known);
        let (taken, held) = match self.release().await {
            Ok(()) => (successor.take_over(&self.publisher).await, None),
            Err(held) => (Err(HandOverError::Busy), held),
        };
        let Err(error) = taken else { return Ok(successor) };
        successor.end();
        match self.resume(held, known).await {
            Ok(()) => Err(Unfinished::GoesOn(error)),
            Err(own) => Err(Unfinished::Lost(error, own)),
        }
    }

    /// Lets go of the state. On an error, what is still held comes back.
    async fn release(&mut self) -> Result<(), Option<State>> {
        self.door.close();
        if let Some(control) = self.control.take() {
            control.release(&self.clock).await.map_err(Some)?;
        }
        if self.with_audit(|audit| audit.hand_over(WRITE)).await { Ok(()) } else { Err(None) }
    }

    /// Takes the state back, or goes on with the one that was `held`. Nothing that is `known` is read again: a file that
    /// has kept the other process from starting must not end this one.
    async fn resume(&mut self, held: Option<State>, known: Option<Known>) -> Result<(), StartError> {
        let Some(listeners) = &self.listeners else { return Ok(()) };
        let state = match held {
            Some(state) => state,
            None => self.state_again(known.as_ref()).await?,
        };
        if !self.with_audit(|audit| audit.take_back(WRITE)).await {
            tracing::warn!("the audit files can't be had back yet; calls are recorded meanwhile");
        }
        let parts = control::Parts::of(&self.config, &self.clock, listeners, &self.data_plane, &self.audit);
        self.control = Some(Control::prepare(state, parts, known.as_ref())?.serve());
        self.door = Door::open(&self.config.data_dir, &self.clock);
        Ok(())
    }

    /// Opens the state, which a process that was just ended may still have.
    async fn state_again(&self, known: Option<&Known>) -> Result<State, StartError> {
        let began = self.clock.now();
        loop {
            let key = known.map(|known| known.key.clone());
            let opened = state::open(&self.config, &self.clock, key, self.publisher.clone());
            match opened.and_then(state::settled) {
                Err(StartError::Store(store::Error::AlreadyOpen { .. })) if self.clock.now().since(began) < DEATH => {
                    self.clock.sleep(LOOK).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn with_audit(&self, work: impl FnOnce(&Audit) -> bool + Send + 'static) -> bool {
        let audit = Arc::clone(&self.audit);
        tokio::task::spawn_blocking(move || work(&audit)).await.unwrap_or(false)
    }

    /// Finishes what is under way, under the grants that `successor` tells.
    async fn finish(mut self, successor: Successor, signals: &mut Signals) {
        let limit = self.config.gateway.drain;
        tracing::info!(
            process = successor.process,
            version = successor.version,
            "handed over: calls under way go on here, for {} s at most",
            limit.as_secs()
        );
        self.listeners = None;
        self.data_plane.retire();
        let mut obeying = Aborting(tokio::spawn(successor.obey(self.publisher.clone())));
        tokio::select! {
            () = drained(&mut self.tasks, &mut self.followed) => {}
            () = self.clock.sleep(limit) => {
                tracing::warn!("calls under way have had their time (gateway.drain) and are cut off");
                self.data_plane.cut();
            }
            () = signals.stop() => return self.stop_or_cut(signals).await,
            _ = &mut obeying.0 => {
                tracing::error!("the process that has taken over has ended, and without it nothing is allowed here");
            }
        }
        self.stop_within(CUT).await;
        tracing::info!("finished");
    }
}

/// Waits until a part of the appliance ends without having been asked to: the rest is of no use then.
async fn broken(tasks: &mut JoinSet<()>, control: Option<&mut Control>) {
    let control = async {
        match control {
            Some(control) => control.tasks.join_next().await,
            None => std::future::pending().await,
        }
    };
    let ended = tokio::select! {
        ended = tasks.join_next() => ended,
        ended = control => ended,
    };
    if let Some(Err(error)) = ended {
        tracing::error!(name: "broken", %error, "a part of the appliance failed");
    }
}

async fn drained(tasks: &mut JoinSet<()>, followed: &mut JoinSet<()>) {
    while tasks.join_next().await.is_some() {}
    // They are told by this process what they may do.
    while followed.join_next().await.is_some() {}
}

/// A task that ends with this.
struct Aborting(JoinHandle<()>);

impl Drop for Aborting {
    fn drop(&mut self) {
        self.0.abort();
    }
}
