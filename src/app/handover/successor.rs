//! The side of the running process: it starts the new executable, and sees to it that the new process is either ready or
//! gone.

use std::{
    net::TcpListener,
    os::{
        fd::{AsFd as _, AsRawFd as _, OwnedFd},
        unix::net::UnixStream as StdStream,
    },
    path::Path,
    process::Child,
    time::Duration,
};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::{net::UnixStream, time::timeout};

use super::{
    COURIER, FromPredecessor, FromSuccessor, HandOverError, PATIENCE, PROTOCOL, descriptors, link, predecessor,
};
use crate::{
    app::systemd,
    clock::Clock,
    model::{Publisher, Snapshot},
};

/// The courier does nothing but start another process.
const COURIER_PATIENCE: Duration = Duration::from_secs(10);

const LOOK: Duration = Duration::from_millis(10);

/// The new process.
pub(in crate::app) struct Successor {
    pub(in crate::app) process: u32,
    pub(in crate::app) version: String,
    link: UnixStream,
    /// Names it beyond doubt; none where the system has no such names.
    handle: Option<OwnedFd>,
}

impl Successor {
    /// Starts `executable` as this process was started, and hands `sockets` over; comes back when it needs nothing any more
    /// but the state in `data_dir`. What goes wrong ends it.
    pub(in crate::app) async fn start(
        executable: &OwnedFd,
        sockets: &[&TcpListener],
        data_dir: &Path,
        clock: &Clock,
    ) -> Result<Self, HandOverError> {
        let failed = |error: std::io::Error| HandOverError::Executable(error.to_string());
        let (ours, theirs) = StdStream::pair().map_err(failed)?;
        // By its number, since the path may be one that this process may not execute: the sandbox names the file that was
        // there at the start.
        let mut command = predecessor::start(&format!("/proc/self/fd/{}", executable.as_raw_fd()), COURIER);
        let courier = command.stdin(OwnedFd::from(theirs)).spawn().map_err(failed)?;
        drop(command);
        end_of(courier, clock).await?;

        ours.set_nonblocking(true).map_err(failed)?;
        let mut link = UnixStream::from_std(ours).map_err(failed)?;
        let FromSuccessor::Hello { protocol, process, version } = next(&mut link).await? else {
            return Err(HandOverError::Gone);
        };
        let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
        let handle = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        let mut successor = Self { process, version, link, handle };
        let prepared = async {
            if protocol != PROTOCOL {
                return Err(HandOverError::Protocol { version: successor.version.clone() });
            }
            let sockets: Vec<_> = sockets.iter().map(|socket| socket.as_fd()).collect();
            let hello = FromPredecessor::Sockets { count: sockets.len(), data_dir: data_dir.to_owned() };
            link::send(&mut successor.link, &hello).await.map_err(|_| HandOverError::Gone)?;
            if !sockets.is_empty() {
                descriptors::send(&successor.link, &sockets).map_err(failed)?;
            }
            match next(&mut successor.link).await? {
                FromSuccessor::Prepared => Ok(()),
                _ => Err(HandOverError::Gone),
            }
        };
        match prepared.await {
            Ok(()) => Ok(successor),
            Err(error) => {
                successor.end();
                Err(error)
            }
        }
    }

    /// Tells it that the state is let go of, and waits until it serves. From then on `publisher` publishes what it says.
    pub(in crate::app) async fn take_over(&mut self, publisher: &Publisher) -> Result<(), HandOverError> {
        link::send(&mut self.link, &FromPredecessor::Released).await.map_err(|_| HandOverError::Gone)?;
        let FromSuccessor::Grants(grants) = next(&mut self.link).await? else { return Err(HandOverError::Gone) };
        let FromSuccessor::Ready = next(&mut self.link).await? else { return Err(HandOverError::Gone) };
        // Before it hears of it: from then on it speaks with systemd itself.
        systemd::succeeded_by(self.process);
        link::send(&mut self.link, &FromPredecessor::Over).await.map_err(|_| HandOverError::Gone)?;
        grants.publish(publisher);
        Ok(())
    }

    /// Lets what it says of the grants count, until it has ended or can't be understood. Then nothing is allowed any more:
    /// nobody could tell this process that access was taken back.
    pub(in crate::app) async fn obey(mut self, publisher: Publisher) {
        while let Ok(FromSuccessor::Grants(grants)) = link::receive(&mut self.link).await {
            grants.publish(&publisher);
        }
        publisher.publish(Snapshot::default());
    }

    /// Ends it, before it serves anybody.
    pub(in crate::app) fn end(self) {
        if let Some(handle) = &self.handle {
            // It may have ended by itself.
            let _ = pidfd_send_signal(handle, Signal::KILL);
        }
    }
}

/// The next message of a process that starts.
async fn next(link: &mut UnixStream) -> Result<FromSuccessor, HandOverError> {
    match timeout(PATIENCE, link::receive(link)).await {
        Ok(Ok(FromSuccessor::Failed { reason })) => Err(HandOverError::Failed(reason)),
        Ok(Ok(message)) => Ok(message),
        Ok(Err(_)) => Err(HandOverError::Gone),
        Err(_) => Err(HandOverError::TimedOut),
    }
}

/// Waits for the end of the courier. One that does not end is no courier.
async fn end_of(mut courier: Child, clock: &Clock) -> Result<(), HandOverError> {
    let waited = timeout(COURIER_PATIENCE, async {
        loop {
            match courier.try_wait() {
                Ok(None) => clock.sleep(LOOK).await,
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(HandOverError::Executable(format!("it ended at once, with {status}"))),
                Err(error) => return Err(HandOverError::Executable(error.to_string())),
            }
        }
    });
    waited.await.unwrap_or_else(|_| {
        drop(courier.kill());
        drop(courier.wait());
        Err(HandOverError::Executable("it is no csg that can take over".to_owned()))
    })
}
