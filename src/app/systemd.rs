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

use super::{Running, StartError};
use crate::clock::Clock;

/// The sockets that systemd has opened for us.
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

    /// The one that listens on `address`.
    pub(super) fn take(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let place = self.0.iter().position(|(bound, _)| *bound == address)?;
        Some(self.0.swap_remove(place).1)
    }

    /// Every one has been taken: connections to another would wait for ever.
    pub(super) fn are_all_taken(&self) -> Result<(), StartError> {
        match self.0.first() {
            Some(&(address, _)) => Err(StartError::StrangeSocket(address)),
            None => Ok(()),
        }
    }
}

/// Tells systemd that calls are taken, and lets its watchdog know for as long as the appliance is well.
pub fn ready(running: &Running, clock: Clock) {
    tracing::info!(name: "ready", url = %running.console_url, "ready");
    tell(&[NotifyState::Ready, NotifyState::Status(&format!("The console is at {}", running.console_url))]);
    let Some(patience) = sd_notify::watchdog_enabled() else { return };
    let pulse = running.pulse();
    tokio::spawn(async move {
        loop {
            pulse.felt().await;
            tell(&[NotifyState::Watchdog]);
            clock.sleep(patience / 3).await;
        }
    });
}

/// Tells systemd that the end was asked for.
pub fn stopping() {
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
