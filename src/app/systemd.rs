//! What systemd hands over and is told: sockets that it holds while the service restarts (`sd_listen_fds(3)`), and how the
//! service is (`sd_notify(3)`). Without systemd nothing of this happens.
//!
//! A socket is taken for the address of the configuration that it listens on. Its name would not tell which it is:
//! `FileDescriptorName=` is one for all sockets of a unit.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use listenfd::ListenFd;
use sd_notify::NotifyState;

use super::{Pulse, StartError};
use crate::clock::Clock;

/// The sockets that systemd has opened for us, or the process before us.
#[derive(Debug, Default)]
pub struct Sockets(Vec<(SocketAddr, TcpListener)>);

impl Sockets {
    /// None: the appliance opens its own.
    pub fn none() -> Self {
        Self::default()
    }

    /// Takes them over. To be called once, before there are other threads: the variables that name them are removed, so
    /// that they mean nothing to a child.
    pub fn handed_over() -> Result<Self, StartError> {
        let mut handed = ListenFd::from_env();
        let mut sockets = Vec::with_capacity(handed.len());
        for index in 0..handed.len() {
            let taken = handed.take_tcp_listener(index).and_then(|socket| {
                let socket = socket.ok_or(io::ErrorKind::NotFound)?;
                socket.set_nonblocking(true)?;
                Ok((socket.local_addr()?, socket))
            });
            sockets.push(taken.map_err(StartError::Socket)?);
        }
        Ok(Self(sockets))
    }

    /// Those of the process before.
    pub(super) fn of_predecessor(sockets: Vec<TcpListener>) -> Result<Self, StartError> {
        let with_address = |socket: TcpListener| Ok((socket.local_addr()?, socket));
        let sockets = sockets.into_iter().map(with_address).collect::<io::Result<_>>();
        sockets.map(Self).map_err(|error| StartError::Predecessor(error.to_string()))
    }

    /// The one that listens on `address`.
    pub(super) fn take(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let place = self.0.iter().position(|(bound, _)| *bound == address)?;
        Some(self.0.swap_remove(place).1)
    }

    /// Closes those that the configuration does not name any more.
    pub(super) fn close_others(self) {
        for (address, _) in self.0 {
            tracing::info!(%address, "no longer listened on");
        }
    }

    /// Every one has been taken: connections to another would wait for ever.
    pub(super) fn are_all_taken(&self) -> Result<(), StartError> {
        match self.0.first() {
            Some(&(address, _)) => Err(StartError::StrangeSocket(address)),
            None => Ok(()),
        }
    }
}

/// Tells systemd that calls are taken.
pub(super) fn ready(console_url: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(&format!("The console is at {console_url}"))]);
}

/// Lets systemd's watchdog know that the appliance is well, for as long as it is, and is the main process.
pub(super) async fn stay_alive(pulse: Pulse, clock: Clock) {
    let Some(patience) = sd_notify::watchdog_enabled() else { return };
    loop {
        pulse.felt().await;
        tell(&[NotifyState::Watchdog]);
        clock.sleep(patience / 3).await;
    }
}

/// Tells systemd that the configuration is read again; [`ready`] ends that.
pub(super) fn reloading() {
    let mut states = vec![NotifyState::Reloading];
    states.extend(NotifyState::monotonic_usec_now());
    tell(&states);
}

/// Tells systemd that another process is the appliance from now on. It listens to the main process alone, so this is the
/// last word of this one.
pub(super) fn succeeded_by(process: u32) {
    tell(&[NotifyState::MainPid(process)]);
}

/// Tells systemd that the end was asked for.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("Calls under way may finish")]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd could not be told how the service is");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_taken_for_the_address_it_listens_on_and_a_strange_one_is_an_error() {
        let open = || TcpListener::bind("127.0.0.1:0").unwrap();
        let pair = |socket: TcpListener| (socket.local_addr().unwrap(), socket);
        let mut sockets = Sockets([open(), open()].map(pair).into());
        let (first, second) = (sockets.0[0].0, sockets.0[1].0);
        assert_eq!(sockets.take(second).unwrap().local_addr().unwrap(), second);
        assert!(sockets.take(second).is_none(), "once");
        assert!(sockets.take(SocketAddr::new([0, 0, 0, 0].into(), first.port())).is_none(), "another address");
        let error = sockets.are_all_taken().unwrap_err().to_string();
        assert!(error.contains(&first.to_string()) && error.contains("csg.socket"), "{error}");
        assert!(sockets.take(first).is_some());
        sockets.are_all_taken().unwrap();
    }
}
