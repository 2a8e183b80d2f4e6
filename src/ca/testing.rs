//! TLS between a client and a server of this process's memory, for the tests of the neighbouring files.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use rcgen::{CertificateParams, KeyPair, SanType};
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, NamedGroup, RootCertStore, ServerConfig, ServerConnection,
    SupportedProtocolVersion,
    client::{ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue},
    crypto::ring,
    pki_types::{CertificateDer, ServerName, UnixTime},
    time_provider::TimeProvider,
};

use super::{Authority, Leaf, LeafCache, NameConstraints};
use crate::clock::Timestamp;

pub(super) const HOST: &str = "dynamodb.us-east-1.amazonaws.com";

pub(super) fn now() -> Timestamp {
    Timestamp::parse_rfc3339("2026-11-24T12:00:00Z").unwrap()
}

pub(super) fn authority() -> Authority {
    let permitted = NameConstraints::new(["amazonaws.com", "api.aws", "gateway.example.net"], []).unwrap();
    Authority::generate(now(), &permitted).unwrap()
}

pub(super) fn cache(capacity: usize) -> LeafCache {
    LeafCache::new(Arc::new(authority()), capacity).unwrap()
}

/// What a thief of the root's key could make: a leaf for any names, signed with no questions asked.
pub(super) fn forge(authority: &Authority, names: Vec<SanType>) -> Leaf {
    let (not_before, not_after) = (now().minus(Duration::from_hours(1)), now().plus(Duration::from_hours(1)));
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.not_before = not_before.to_utc();
    params.not_after = not_after.to_utc();
    params.subject_alt_names = names;
    let certificate = params.signed_by(&key, &authority.issuer).unwrap().into();
    Leaf { certificate, key: key.into(), not_before, not_after }
}

/// A client that trusts `root` alone and believes that it is `now`.
pub(super) fn client(root: &[u8], version: &'static SupportedProtocolVersion, now: Timestamp) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(root)).unwrap();
    ClientConfig::builder_with_details(ring::default_provider().into(), Arc::new(StandingClock(now)))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// Shakes hands and lets the client read the tickets that follow. The client's error is the one that is returned.
pub(super) fn handshake(
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    host: &str,
) -> Result<(ClientConnection, ServerConnection), rustls::Error> {
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let mut client = ClientConnection::new(client, name)?;
    let mut server = ServerConnection::new(server)?;
    while client.wants_write() || server.wants_write() {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        feed(&wire, |bytes| server.read_tls(bytes));
        let at_server = server.process_new_packets().map(drop);
        wire.clear();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        feed(&wire, |bytes| client.read_tls(bytes));
        client.process_new_packets()?;
        at_server?;
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok((client, server))
}

/// How the server saw the handshake: in full, or resumed.
pub(super) fn kind(client: &Arc<ClientConfig>, server: Arc<ServerConfig>, host: &str) -> HandshakeKind {
    handshake(Arc::clone(client), server, host).unwrap().1.handshake_kind().unwrap()
}

fn feed(mut wire: &[u8], mut read: impl FnMut(&mut dyn io::Read) -> io::Result<usize>) {
    while !wire.is_empty() {
        read(&mut wire).unwrap();
    }
}

#[derive(Debug)]
struct StandingClock(Timestamp);

impl TimeProvider for StandingClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_millis(self.0.millis().try_into().ok()?)))
    }
}

/// A client that shows its last session to every host, as no honest one does.
pub(super) fn shows_tickets_to_anyone(mut client: ClientConfig) -> Arc<ClientConfig> {
    client.resumption = Resumption::store(Arc::new(OneForAll::default()));
    Arc::new(client)
}

#[derive(Debug, Default)]
struct OneForAll {
    tls12: Mutex<Option<Tls12ClientSessionValue>>,
    tls13: Mutex<Option<Tls13ClientSessionValue>>,
}

impl ClientSessionStore for OneForAll {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _: ServerName<'static>, session: Tls12ClientSessionValue) {
        *self.tls12.lock().unwrap() = Some(session);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.tls12.lock().unwrap().clone()
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        *self.tls12.lock().unwrap() = None;
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        *self.tls13.lock().unwrap() = Some(ticket);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.tls13.lock().unwrap().take()
    }
}
