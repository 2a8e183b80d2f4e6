//! The threads that serve clients, each with a runtime of its own.
//!
//! A client's connection stays on the thread it was given to, and its calls use the connections to the cloud that are
//! there, if there are any.
//! A runtime that moves tasks between threads, to balance them, costs a short call more time than its work does: waking
//! other threads, and memory that is taken on one and given back on another.

use std::{
    io,
    num::NonZero,
    sync::Arc,
    thread::{self, available_parallelism},
};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

/// On which threads clients are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// On those of the runtime that the gateway is made in: a test, say, that owns its time.
    OfCaller,
    /// On one for each processor.
    OnePerProcessor,
}

/// All of them.
pub(super) struct Workers {
    all: Vec<Worker>,
    /// They end with this.
    _stop: DropGuard,
}

/// One of them.
#[derive(Clone)]
pub(super) struct Worker {
    pub(super) number: usize,
    pub(super) runtime: Handle,
    /// As many as its clients' connections have, and one more.
    presence: Arc<()>,
}

impl Workers {
    /// Starts them; for [`Threads::OfCaller`], must be called inside a Tokio runtime.
    pub(super) fn start(threads: Threads) -> io::Result<Self> {
        let stop = CancellationToken::new();
        let all = match threads {
            Threads::OfCaller => vec![Worker::new(0, Handle::current())],
            Threads::OnePerProcessor => {
                let count = available_parallelism().map_or(1, NonZero::get);
                (0..count).map(|number| start(number, stop.clone())).collect::<io::Result<_>>()?
            }
        };
        Ok(Self { all, _stop: stop.drop_guard() })
    }

    /// Waits until each of them has done a piece of work: one that hangs never does.
    pub(super) async fn beat(&self) {
        let beats: Vec<_> = self.all.iter().map(|worker| worker.runtime.spawn(async {})).collect();
        for beat in beats {
            // An error means that the runtime is being shut down, which is not to hang.
            drop(beat.await);
        }
    }

    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    /// The one with the fewest connections, and its presence to be held by one more; none only if there are none at all.
    pub(super) fn least_busy(&self) -> Option<(&Worker, Arc<()>)> {
        let least = self.all.iter().min_by_key(|worker| Arc::strong_count(&worker.presence))?;
        Some((least, Arc::clone(&least.presence)))
    }
}

impl Worker {
    fn new(number: usize, runtime: Handle) -> Self {
        Self { number, runtime, presence: Arc::default() }
    }
}

fn start(number: usize, stop: CancellationToken) -> io::Result<Worker> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let worker = Worker::new(number, runtime.handle().clone());
    thread::Builder::new().name(format!("gateway-{number}")).spawn(move || runtime.block_on(stop.cancelled()))?;
    Ok(worker)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_one_with_the_fewest_connections_is_next() {
        let workers = Workers::start(Threads::OnePerProcessor).unwrap();
        let count = available_parallelism().unwrap().get();
        let mut held = Vec::new();
        for round in 1..=3 {
            held.extend((0..count).map(|_| workers.least_busy().unwrap().1));
            assert!(workers.all.iter().all(|worker| Arc::strong_count(&worker.presence) == round + 1));
        }
        // Gone from its worker with the end of this line.
        let freed = held.pop().map(|presence| Arc::as_ptr(&presence)).unwrap();
        assert_eq!(Arc::as_ptr(&workers.least_busy().unwrap().1), freed);
    }

    #[tokio::test]
    async fn one_that_hangs_has_no_pulse() {
        let workers = Workers::start(Threads::OnePerProcessor).unwrap();
        workers.beat().await;
        let (hang, until) = std::sync::mpsc::channel::<()>();
        workers.all[0].runtime.spawn(async move { until.recv().is_err() });
        let beat = workers.beat();
        tokio::pin!(beat);
        for worker in &workers.all[1..] {
            worker.runtime.spawn(async {}).await.unwrap();
        }
        assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(beat.as_mut().poll(cx).is_pending())).await);
        drop(hang);
        beat.await;
    }

    #[tokio::test]
    async fn each_runs_what_it_is_given_on_its_own_thread() {
        let workers = Workers::start(Threads::OnePerProcessor).unwrap();
        for (number, worker) in workers.all.iter().enumerate() {
            let ran = worker.runtime.spawn(async { thread::current().name().map(str::to_owned) });
            assert_eq!(ran.await.unwrap(), Some(format!("gateway-{number}")));
        }
    }
}
