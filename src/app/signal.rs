//! When to stop: SIGTERM, as systemd and container runtimes send it, or SIGINT, as Ctrl-C does. When to read the
//! configuration again: SIGHUP.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens for the signals; while it does, they no longer end the process by themselves.
pub struct Signals {
    hang_up: Signal,
    interrupt: Signal,
    terminate: Signal,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// To read the configuration again.
    Reload,
    /// To stop.
    Stop,
}

impl Signals {
    /// Begins to listen: before the start, so that a stop in the middle of it is not a crash. Needs a Tokio runtime.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            hang_up: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next signal.
    pub(super) async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.hang_up.recv() => Wish::Reload,
            _ = self.interrupt.recv() => Wish::Stop,
            _ = self.terminate.recv() => Wish::Stop,
        }
    }

    /// Waits for any of them.
    pub async fn any(&mut self) {
        self.next().await;
    }

    /// Waits for the next signal to stop; the others are for later.
    pub async fn stop(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
