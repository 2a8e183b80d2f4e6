//! The sockets that are listened on: opened here, or taken from who has them; kept, so that they can be handed on.

use std::net::{SocketAddr, TcpListener};

use tokio::net::TcpListener as Async;

use super::{StartError, ports, systemd::Sockets};
use crate::config::Config;

/// All of them, each with its address.
pub(super) struct Listeners {
    pub(super) gateway: Vec<Listener>,
    pub(super) console: Listener,
}

/// One of them.
pub(super) struct Listener {
    key: &'static str,
    pub(super) address: SocketAddr,
    socket: TcpListener,
}

impl Listeners {
    /// Those that `config` names, out of `sockets` where they are there. Must be called inside a Tokio runtime.
    pub(super) async fn open(config: &Config, sockets: &mut Sockets) -> Result<Self, StartError> {
        let mut gateway = Vec::new();
        for &address in &config.gateway.listen {
            gateway.push(Listener::open("gateway.listen", address, sockets).await?);
        }
        Ok(Self { gateway, console: Listener::open("console.listen", config.console.listen, sockets).await? })
    }

    /// All of them, for another process.
    pub(super) fn all(&self) -> Vec<&TcpListener> {
        self.gateway.iter().chain([&self.console]).map(|listener| &listener.socket).collect()
    }
}

impl Listener {
    async fn open(key: &'static str, address: SocketAddr, sockets: &mut Sockets) -> Result<Self, StartError> {
        let failed = |cause| StartError::Bind { key, address, holder: ports::holder(address, &cause), cause };
        let socket = match sockets.take(address) {
            Some(socket) => socket,
            None => Async::bind(address).await.and_then(Async::into_std).map_err(failed)?,
        };
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { key, address, socket })
    }

    /// Listens on it. Must be called inside a Tokio runtime.
    pub(super) fn listen(&self) -> Result<Async, StartError> {
        let failed = |cause| StartError::Bind { key: self.key, address: self.address, holder: None, cause };
        self.socket.try_clone().and_then(Async::from_std).map_err(failed)
    }
}
