//! When to stop: SIGTERM, as systemd and container runtimes send it, or SIGINT, as Ctrl-C does.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens for the signals; while it does, they no longer end the process by themselves.
pub struct StopSignal {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignal {
    /// Begins to listen: before the start, so that a stop in the middle of it is not a crash. Needs a Tokio runtime.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next signal.
    pub async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
