//! The side of the new process: it is given the sockets, waits for the state to be let go of, and then tells the process
//! before it what may be done, until that one has finished.

use std::{
    ffi::OsString,
    io::{self, Write as _},
    net::TcpListener,
    os::{fd::AsFd as _, unix::net::UnixStream as StdStream},
    path::PathBuf,
    process::{Command, id},
};

use tokio::{io::AsyncReadExt as _, net::UnixStream, sync::watch, time::timeout};

use super::{
    COURIER, FromPredecessor, FromSuccessor, PATIENCE, PROTOCOL, ROLE, SUCCESSOR, descriptors, grants::Grants, link,
};
use crate::{app::StartError, model::Subscriber};

/// What this process was started for.
pub enum Role {
    /// To run by itself.
    First,
    /// To start the successor, which is done: it may end.
    Courier,
    /// To take over.
    Successor(Predecessor),
}

/// The process that runs, before it has handed over.
pub struct Predecessor {
    link: StdStream,
}

/// Where it is said that this process can't go on.
pub struct Complaint(StdStream);

/// Asks the environment. To be called first, while there are no other threads.
pub fn role() -> io::Result<Role> {
    match std::env::var_os(ROLE) {
        Some(role) if role == COURIER => {
            start("/proc/self/exe", SUCCESSOR).spawn()?;
            Ok(Role::Courier)
        }
        Some(role) if role == SUCCESSOR => Predecessor::meet().map(Role::Successor),
        _ => Ok(Role::First),
    }
}

/// The command that this process was started with, of another executable, for `role`.
pub(super) fn start(executable: &str, role: &str) -> Command {
    use std::os::unix::process::CommandExt as _;
    let mut arguments = std::env::args_os();
    let mut command = Command::new(executable);
    command.arg0(arguments.next().unwrap_or_else(|| OsString::from("csg"))).args(arguments).env(ROLE, role);
    // It names the process that systemd has started; without it, the watchdog is the main process's, whichever that is.
    command.env_remove("WATCHDOG_PID");
    command
}

impl Predecessor {
    /// It is at the other end of standard input.
    fn meet() -> io::Result<Self> {
        let link = StdStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
        // Started by the number of an open file, it would go by that name.
        drop(std::fs::write("/proc/self/comm", "csg"));
        Ok(Self { link })
    }

    /// For what goes wrong from now on.
    pub fn complaint(&self) -> io::Result<Complaint> {
        Ok(Complaint(self.link.try_clone()?))
    }

    /// Introduces this process, and takes the sockets on which the other one listens, and the folder of its state. Needs a
    /// Tokio runtime.
    pub(in crate::app) async fn sockets(self) -> Result<(Vec<TcpListener>, PathBuf, Met), StartError> {
        let met = async {
            self.link.set_nonblocking(true)?;
            let mut link = UnixStream::from_std(self.link)?;
            let version = env!("CARGO_PKG_VERSION").to_owned();
            link::send(&mut link, &FromSuccessor::Hello { protocol: PROTOCOL, process: id(), version }).await?;
            let FromPredecessor::Sockets { count, data_dir } = link::receive(&mut link).await? else {
                return Err(io::ErrorKind::InvalidData.into());
            };
            let mut sockets = Vec::new();
            if count > 0 {
                sockets = loop {
                    link.readable().await?;
                    match link.try_io(tokio::io::Interest::READABLE, || descriptors::receive(&link)) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        received => break received?,
                    }
                };
            }
            if sockets.len() != count {
                return Err(io::Error::other("not all of its sockets came"));
            }
            Ok((sockets.into_iter().map(TcpListener::from).collect(), data_dir, Met { link }))
        };
        patiently(met).await
    }
}

/// The process that runs, and knows of this one.
pub(in crate::app) struct Met {
    link: UnixStream,
}

impl Met {
    /// Says that all is prepared, and waits until the state is let go of.
    pub(in crate::app) async fn released(mut self) -> Result<Self, StartError> {
        let released = async {
            link::send(&mut self.link, &FromSuccessor::Prepared).await?;
            match link::receive(&mut self.link).await? {
                FromPredecessor::Released => Ok(()),
                _ => Err(io::ErrorKind::InvalidData.into()),
            }
        };
        patiently(released).await?;
        Ok(self)
    }

    /// Says that this process serves, under these `grants`, and waits until the other one has drawn back.
    pub(in crate::app) async fn over(mut self, grants: Subscriber) -> Result<Following, StartError> {
        let news = grants.watch();
        let now = grants.load().clone();
        let over = async {
            link::send(&mut self.link, &FromSuccessor::Grants(Grants::of(&now))).await?;
            link::send(&mut self.link, &FromSuccessor::Ready).await?;
            match link::receive(&mut self.link).await? {
                FromPredecessor::Over => Ok(()),
                _ => Err(io::ErrorKind::InvalidData.into()),
            }
        };
        patiently(over).await?;
        Ok(Following { link: self.link, grants, news })
    }
}

/// The process that has handed over and finishes what it has.
pub(in crate::app) struct Following {
    link: UnixStream,
    grants: Subscriber,
    news: watch::Receiver<()>,
}

impl Following {
    /// Tells it of each change, until it has ended.
    pub(in crate::app) async fn follow(self) {
        let Self { link, grants, mut news } = self;
        let (mut reader, mut writer) = link.into_split();
        let mut nothing = [0];
        loop {
            tokio::select! {
                // It says nothing any more; at its end, this comes back.
                _ = reader.read(&mut nothing) => return,
                changed = news.changed() => if changed.is_err() { return },
            }
            let now = grants.load().clone();
            if link::send(&mut writer, &FromSuccessor::Grants(Grants::of(&now))).await.is_err() {
                return;
            }
        }
    }
}

impl Complaint {
    /// Tells the other process why it has to go on by itself. If it has handed over already, it takes it for the end.
    pub fn tell(&self, reason: String) {
        if let Ok(frame) = link::frame(&FromSuccessor::Failed { reason }) {
            // Nobody may be there any more.
            drop((&self.0).write_all(&frame));
        }
    }
}

async fn patiently<T>(step: impl Future<Output = io::Result<T>>) -> Result<T, StartError> {
    match timeout(PATIENCE, step).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(StartError::Predecessor(error.to_string())),
        Err(_) => Err(StartError::Predecessor(format!("it said nothing for {} s", PATIENCE.as_secs()))),
    }
}
