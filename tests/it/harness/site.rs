//! One gateway with all that it is given, and what is around it.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use csg::{
    audit::{Audit, Filter, Settings},
    ca::{Authority, LeafCache, NameConstraints},
    clock::Clock,
    cloud::aws::Catalogue,
    gateway::{Address, Bundles, Gateway, GatewayConfig, OnAuditFailure, Parts, SpoolConfig, Threads, UpstreamConfig},
    model::{
        AccessKeyId, AccessRequestId, AccountId, CallRecord, CloudIdentity, CredentialId, EnvironmentId, Grant,
        IdentitySource, LiveGrant, Publisher, ServiceId, Snapshot, UserName, host_pattern::HostPattern,
    },
    secret::Secret,
};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::ring,
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::{
    Cloud, Identity, Key, panics, until,
    wire::{Tls, Wire},
    within,
};

/// What a test may want otherwise before the gateway starts.
pub(crate) struct Plan {
    pub(crate) audit: Settings,
    pub(crate) clock: Clock,
    pub(crate) cloud: Identity,
    pub(crate) config: GatewayConfig,
    /// Where to dial for cloud hosts; the test's own cloud if none.
    pub(crate) dial: Option<Address>,
    /// Where to dial for others.
    pub(crate) overrides: Vec<(HostPattern, Address)>,
    /// The real key's session token.
    pub(crate) token: Option<String>,
}

/// A running gateway, with one grant for all services and any account, and the cloud behind it.
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    pub(crate) cloud: Cloud,
    pub(crate) authority: Arc<Authority>,
    pub(crate) audit: Audit,
    /// The key that the gateway gave out.
    pub(crate) key: Key,
    /// The key that the gateway keeps.
    pub(crate) real: Key,
    pub(crate) stop: CancellationToken,
    served: Option<JoinHandle<()>>,
    publisher: Publisher,
    _directory: TempDir,
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// Starts a site with what `change` makes of the plan.
    pub(crate) async fn with(change: impl FnOnce(&mut Plan)) -> Self {
        panics::watch();
        let mut plan = Plan::default();
        change(&mut plan);
        let cloud = Cloud::start(plan.cloud).await;
        let dial = plan.dial.unwrap_or(Address::Socket(cloud.address));
        plan.overrides.push(("*.api.aws".parse().unwrap(), dial.clone()));
        plan.overrides.push(("*.amazonaws.com".parse().unwrap(), dial));
        plan.config.upstream = UpstreamConfig { extra_roots: vec![Cloud::root()], overrides: plan.overrides };
        let clock = plan.clock;
        let permitted = NameConstraints::new(Catalogue::embedded().permitted_domains(), []).unwrap();
        let authority = Arc::new(Authority::generate(clock.now(), &permitted).unwrap());
        let directory = tempfile::tempdir().unwrap();
        let audit = Audit::open(directory.path(), plan.audit, clock.clone()).unwrap();
        if plan.config.spool.directory.as_os_str().is_empty() {
            plan.config.spool.directory = directory.path().join("spool");
        }
        let publisher = Publisher::new();
        let parts = Parts {
            bundles: Bundles {
                der: authority.certificate_der().to_vec().into(),
                pem: authority.pem().into(),
                pkcs12: authority.pkcs12().unwrap().to_vec().into(),
            },
            certificates: LeafCache::new(Arc::clone(&authority), 100).unwrap(),
            clock,
            grants: publisher.subscribe(),
            sink: audit.sink(),
        };
        let gateway = Gateway::new(plan.config, parts).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let stopped = stop.clone();
        let served = tokio::spawn(async move { gateway.serve(listener, stopped).await });
        let mut real = Key::new("AKIAREALKEYOFTHECLOUD", "real+secret/of+the/cloud");
        real.token = plan.token;
        let key = Key::new("CSGA0123456789EXAMPLE", "secret+that/the+client/has");
        let site = Self {
            address,
            cloud,
            authority,
            audit,
            key,
            real,
            stop,
            served: Some(served),
            publisher,
            _directory: directory,
        };
        site.publish([site.grant()]);
        site
    }

    /// The grant that the site starts with.
    pub(crate) fn grant(&self) -> Grant {
        Grant {
            access_key_id: AccessKeyId::new(&self.key.id).unwrap(),
            secret_access_key: Secret::new(&self.key.secret),
            request: AccessRequestId::new("request-1").unwrap(),
            user: UserName::new("dora").unwrap(),
            environment: EnvironmentId::new("payments-dev").unwrap(),
            services: Catalogue::embedded().services().iter().map(|service| service.id.clone()).collect(),
            active: true,
            expires_at: None,
            allow_credential_operations: Vec::new(),
            accounts: Vec::new(),
            policies: Arc::default(),
            credential: CredentialId::new("credential-1").unwrap(),
        }
    }

    /// Publishes `grants` and no others, as the workflow would: a grant that goes on keeps its flag.
    pub(crate) fn publish(&self, grants: impl IntoIterator<Item = Grant>) {
        let identity = CloudIdentity {
            access_key_id: self.real.id.clone(),
            secret_access_key: Secret::new(&self.real.secret),
            session_token: self.real.token.as_deref().map(Secret::new),
        };
        self.publish_as(Some(&IdentitySource::Keys(Arc::new(identity))), grants);
    }

    /// Publishes `grants` with `identity` behind them.
    pub(crate) fn publish_as(&self, identity: Option<&IdentitySource>, grants: impl IntoIterator<Item = Grant>) {
        self.publish_each(grants.into_iter().map(|grant| (identity.cloned(), grant)));
    }

    /// Publishes grants, each with what is behind it.
    pub(crate) fn publish_each(&self, grants: impl IntoIterator<Item = (Option<IdentitySource>, Grant)>) {
        let before = self.publisher.current();
        let grants = grants.into_iter().map(|(identity, grant)| {
            let before = before.grants.get(&grant.access_key_id).filter(|live| live.grant.active);
            let ended = before.map(|live| live.ended.clone()).unwrap_or_default();
            (grant.access_key_id.clone(), Arc::new(LiveGrant { grant, identity, ended }))
        });
        self.publisher.publish(Snapshot { version: before.version + 1, grants: grants.collect() });
    }

    /// Takes the access back.
    pub(crate) fn revoke(&self) {
        self.publish([Grant { active: false, ..self.grant() }]);
    }

    /// Lets access end by itself so long from now.
    pub(crate) fn expire_in(&self, span: Duration) {
        self.publish([Grant { expires_at: Some(Clock::system().now().plus(span)), ..self.grant() }]);
    }

    /// Grants these services only.
    pub(crate) fn only(&self, services: &[&str]) -> Grant {
        Grant { services: services.iter().map(|id| ServiceId::new(id).unwrap()).collect(), ..self.grant() }
    }

    /// Allows this account only.
    pub(crate) fn in_account(&self, account: &str) -> Grant {
        Grant { accounts: vec![AccountId::new(account).unwrap()], ..self.grant() }
    }

    /// A connection to the gateway's port.
    pub(crate) async fn connect(&self) -> Wire<TcpStream> {
        self.connect_from(1).await
    }

    /// The same from one of this machine's many addresses: 127.0.0.`machine`.
    async fn connect_from(&self, machine: u8) -> Wire<TcpStream> {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, machine], 0))).unwrap();
        Wire::new(within("connecting", socket.connect(self.address)).await.unwrap())
    }

    /// A connection to the gateway's port, after CONNECT to `host`.
    pub(crate) async fn proxied(&self, host: &str) -> Wire<TcpStream> {
        Self::proxy(self.connect().await, host).await
    }

    async fn proxy(mut wire: Wire<TcpStream>, host: &str) -> Wire<TcpStream> {
        wire.send(format!("CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n")).await;
        let head = wire.head().await;
        assert_eq!(head.status(), 200, "{head:?}");
        wire
    }

    /// A connection through the gateway to `host`, inside TLS; the client trusts the gateway's CA and nobody else.
    pub(crate) async fn tunnel(&self, host: &str) -> Tls {
        let config = self.client();
        within("the TLS handshake", handshake(self.proxied(host).await, config, host)).await.unwrap()
    }

    /// The same from 127.0.0.`machine`.
    pub(crate) async fn tunnel_from(&self, machine: u8, host: &str) -> Tls {
        let wire = Self::proxy(self.connect_from(machine).await, host).await;
        within("the TLS handshake", handshake(wire, self.client(), host)).await.unwrap()
    }

    /// The same for a client that offers HTTP/2 before HTTP/1.1.
    pub(crate) async fn tunnel_offering_h2(&self, host: &str) -> Tls {
        let mut config = self.client();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        within("the TLS handshake", handshake(self.proxied(host).await, config, host)).await.unwrap()
    }

    /// How clients of the gateway speak TLS.
    pub(crate) fn client(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_slice(self.authority.certificate_der())).unwrap();
        ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    /// How a client speaks TLS that accepts whatever certificate it is shown.
    pub(crate) fn careless(&self) -> ClientConfig {
        let mut config = self.client();
        config.dangerous().set_certificate_verifier(Arc::new(Careless));
        config
    }

    /// The one record of the one call so far.
    pub(crate) async fn record(&self) -> CallRecord {
        let mut records = self.records(1).await;
        records.remove(0)
    }

    /// The records of the `count` calls so far, the oldest first.
    pub(crate) async fn records(&self, count: usize) -> Vec<CallRecord> {
        let reader = self.audit.reader();
        let records = until("the audit records", || {
            reader.flush(Duration::from_secs(1));
            let found = reader.calls(&Filter::default(), None, 1000).unwrap().items;
            (found.len() >= count).then_some(found)
        })
        .await;
        assert_eq!(records.len(), count, "{records:#?}");
        records.into_iter().rev().map(|(_, record)| record).collect()
    }

    /// Asks the gateway to stop, and waits until it has.
    pub(crate) async fn stopped(&mut self) {
        self.stop.cancel();
        within("the gateway's end", self.served.take().unwrap()).await.unwrap();
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panics::assert_none();
        }
    }
}

/// Speaks TLS for `sni` over `wire`.
pub(crate) async fn handshake(wire: Wire<TcpStream>, config: ClientConfig, sni: &str) -> std::io::Result<Tls> {
    let name = ServerName::try_from(sni.to_owned()).unwrap();
    let tls = TlsConnector::from(Arc::new(config)).connect(name, wire.io).await?;
    Ok(Wire::new(tls.into()))
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            audit: Settings { interval: Duration::from_millis(1), ..Settings::default() },
            clock: Clock::system(),
            cloud: Identity::Right,
            config: GatewayConfig {
                threads: Threads::OfCaller,
                max_buffered_body: 1024 * 1024,
                on_audit_failure: OnAuditFailure::Deny,
                passthrough: Vec::new(),
                require_sni: true,
                spool: SpoolConfig { directory: PathBuf::new(), max_body: 0, max_total: 16 * 1024 * 1024 },
                streams: 1000,
                upstream: UpstreamConfig::default(),
            },
            dial: None,
            overrides: Vec::new(),
            token: None,
        }
    }
}

/// Looks away.
#[derive(Debug)]
struct Careless;

impl ServerCertVerifier for Careless {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
