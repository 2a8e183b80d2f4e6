//! TLS settings by host: minted on first use, kept in bounded number, renewed before they end.
//!
//! Every host has its own `ServerConfig`, not one for all with a certificate resolver. The gateway knows the host
//! before it answers the hello, so there is nothing to resolve; and the key that seals session tickets is then
//! the host's own, so that a ticket from one host is noise to another. Tickets hold the session themselves: a client
//! that may resume costs no memory here. What the configurations share (provider, ALPN, versions) is behind `Arc`s.

use std::{fmt, sync::Arc};

use quick_cache::sync::{Cache, EntryAction, EntryResult};
use rustls::{
    ServerConfig,
    compress::CompressionCache,
    crypto::ring,
    server::NoServerSessionStorage,
    sign::SingleCertAndKey,
    version::{TLS12, TLS13},
};

use super::{Authority, Error, Leaf, constraints::host_name};
use crate::clock::Timestamp;

/// No host has this name, so the refusal of clients without SNI can live among the hosts.
const NO_SNI: &str = "";

/// Gives the TLS settings for a host.
pub struct LeafCache {
    authority: Arc<Authority>,
    template: ServerConfig,
    entries: Cache<String, Entry>,
}

#[derive(Clone)]
struct Entry {
    config: Arc<ServerConfig>,
    not_before: Timestamp,
    renew_at: Timestamp,
}

impl LeafCache {
    /// Keeps settings for about `capacity` hosts, some 2 KiB each.
    pub fn new(authority: Arc<Authority>, capacity: usize) -> Result<Self, Error> {
        Ok(Self { authority, template: template()?, entries: Cache::new(capacity) })
    }

    /// The authority that signs the leaves.
    pub fn authority(&self) -> &Arc<Authority> {
        &self.authority
    }

    /// How many hosts it keeps settings for.
    pub fn hosts(&self) -> usize {
        self.entries.len()
    }

    /// The settings for a connection to `host`, whatever its case.
    ///
    /// When many ask at once for a host that is new or due, one mints and the others wait for it.
    pub fn server_config(&self, host: &str, now: Timestamp) -> Result<Arc<ServerConfig>, Error> {
        self.config_offering(&[], host, now)
    }

    /// The same for a host that is offered HTTP/2 first. A host is always asked for in the same of the two ways.
    pub fn h2_server_config(&self, host: &str, now: Timestamp) -> Result<Arc<ServerConfig>, Error> {
        self.config_offering(&[b"h2"], host, now)
    }

    fn config_offering(&self, first: &[&[u8]], host: &str, now: Timestamp) -> Result<Arc<ServerConfig>, Error> {
        let name = host_name(host)?;
        let name = name.to_str();
        self.fresh(&name, now, || {
            let leaf = self.authority.leaf(&name, now)?;
            let mut config = self.template.clone();
            config.ticketer = ring::Ticketer::new()?;
            config.alpn_protocols.splice(..0, first.iter().map(|protocol| protocol.to_vec()));
            Ok((config, leaf))
        })
    }

    /// The settings for a client that sent no SNI: a certificate that it will refuse, and that says why.
    pub fn sni_required(&self, now: Timestamp) -> Result<Arc<ServerConfig>, Error> {
        self.fresh(NO_SNI, now, || {
            let mut config = self.template.clone();
            config.send_tls13_tickets = 0;
            Ok((config, Leaf::sni_required(now)?))
        })
    }

    fn fresh(
        &self,
        name: &str,
        now: Timestamp,
        mint: impl FnOnce() -> Result<(ServerConfig, Leaf), Error>,
    ) -> Result<Arc<ServerConfig>, Error> {
        if let Some(entry) = self.entries.get(name)
            && entry.is_fresh(now)
        {
            return Ok(entry.config);
        }
        let found = self.entries.entry(name, None, |_, entry| {
            if entry.is_fresh(now) {
                EntryAction::Retain(Arc::clone(&entry.config))
            } else {
                EntryAction::ReplaceWithGuard
            }
        });
        let place = match found {
            EntryResult::Retained(config) => return Ok(config),
            EntryResult::Vacant(place) | EntryResult::Replaced(place, _) => Some(place),
            EntryResult::Removed(..) | EntryResult::Timeout => None,
        };
        let (config, leaf) = mint()?;
        let entry = Entry::new(config, &leaf, now)?;
        let config = Arc::clone(&entry.config);
        if let Some(place) = place {
            // Refused only if the key was removed meanwhile, which nothing here does.
            let _ = place.insert(entry);
        }
        Ok(config)
    }
}

impl fmt::Debug for LeafCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeafCache").field("hosts", &self.entries.len()).finish_non_exhaustive()
    }
}

impl Entry {
    fn new(mut config: ServerConfig, leaf: &Leaf, now: Timestamp) -> Result<Self, Error> {
        config.cert_resolver = Arc::new(SingleCertAndKey::from(leaf.certified_key()?));
        Ok(Self { config: Arc::new(config), not_before: leaf.not_before, renew_at: leaf.renew_at(now) })
    }

    /// Neither due for renewal, nor in the future of a clock that was set back.
    fn is_fresh(&self, now: Timestamp) -> bool {
        self.not_before <= now && now < self.renew_at
    }
}

/// What all of our servers have in common; without a certificate of its own.
pub(super) fn template() -> Result<ServerConfig, Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::server::ResolvesServerCertUsingSni::new()));
    // The Go and Rust SDKs speak HTTP/2 as soon as it is offered: only where it is needed.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Tickets only: a table of sessions would take memory per client, and rustls makes room for 256 at once.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.cert_compression_cache = Arc::new(CompressionCache::Disabled);
    Ok(config)
}

#[cfg(test)]
mod tests {
    use std::{sync::Barrier, thread, time::Duration};

    use rustls::HandshakeKind::{Full, Resumed};

    use super::*;
    use crate::ca::testing::{HOST, authority, cache, client, handshake, kind, now, shows_tickets_to_anyone};

    const OTHER_HOST: &str = "sns.us-east-1.amazonaws.com";

    #[test]
    fn one_configuration_per_host_however_it_is_written() {
        let cache = cache(10);
        let first = cache.server_config(HOST, now()).unwrap();
        assert!(Arc::ptr_eq(&first, &cache.server_config(&format!("{}.", HOST.to_uppercase()), now()).unwrap()));
        assert!(!Arc::ptr_eq(&first, &cache.server_config(OTHER_HOST, now()).unwrap()));
        assert_eq!(cache.entries.len(), 2);
    }

    #[test]
    fn http_2_is_offered_where_it_is_asked_for() {
        let cache = cache(10);
        assert_eq!(cache.server_config(HOST, now()).unwrap().alpn_protocols, [b"http/1.1"]);
        let both: [&[u8]; 2] = [b"h2", b"http/1.1"];
        assert_eq!(cache.h2_server_config(OTHER_HOST, now()).unwrap().alpn_protocols, both);
    }

    #[test]
    fn refused_hosts_take_no_place() {
        let cache = cache(10);
        for host in ["example.com", "amazonaws.com.example.com", "", "*.amazonaws.com", "127.0.0.1", "a b"] {
            assert!(cache.server_config(host, now()).is_err(), "{host}");
        }
        assert_eq!(cache.entries.len(), 0);
    }

    #[test]
    fn renews_at_two_thirds_of_the_life() {
        let cache = cache(10);
        let at = |days: u64, minutes: u64| now().plus(Duration::from_secs(days * 86_400 + minutes * 60));
        let first = cache.server_config(HOST, now()).unwrap();
        // Two thirds of seven days: four days and sixteen hours.
        assert!(Arc::ptr_eq(&first, &cache.server_config(HOST, at(4, 16 * 60 - 1)).unwrap()));
        let renewed = cache.server_config(HOST, at(4, 16 * 60)).unwrap();
        assert!(!Arc::ptr_eq(&first, &renewed));
        assert!(Arc::ptr_eq(&renewed, &cache.server_config(HOST, at(7, 0)).unwrap()));
        let trusting = client(cache.authority().certificate_der(), &TLS13, at(8, 0));
        handshake(Arc::new(trusting), renewed, HOST).unwrap();
        assert_eq!(cache.entries.len(), 1);
    }

    /// A machine that starts with its clock a month ahead must not keep serving leaves from the future.
    #[test]
    fn renews_when_the_clock_was_set_back() {
        let cache = cache(10);
        let first = cache.server_config(HOST, now().plus(Duration::from_hours(24 * 30))).unwrap();
        let second = cache.server_config(HOST, now()).unwrap();
        assert!(!Arc::ptr_eq(&first, &second));
        let trusting = client(cache.authority().certificate_der(), &TLS13, now());
        handshake(Arc::new(trusting), second, HOST).unwrap();
    }

    #[test]
    fn concurrent_misses_mint_once() {
        let cache = cache(10);
        // First a new host, then one that is due.
        for moment in [now(), now().plus(Duration::from_hours(24 * 6))] {
            let start = Barrier::new(16);
            let configs: Vec<_> = thread::scope(|scope| {
                let ask = || {
                    start.wait();
                    cache.server_config(HOST, moment).unwrap()
                };
                let threads: Vec<_> = (0..16).map(|_| scope.spawn(ask)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert!(configs.iter().all(|config| Arc::ptr_eq(config, &configs[0])));
        }
    }

    #[test]
    fn a_failed_mint_leaves_the_place_free() {
        let cache = cache(10);
        let after_the_end = cache.authority().not_after();
        assert!(matches!(cache.server_config(HOST, after_the_end), Err(Error::OutsideValidity { .. })));
        cache.server_config(HOST, now()).unwrap();
    }

    #[test]
    fn keeps_no_more_hosts_than_it_may() {
        let cache = cache(8);
        for bucket in 0..50 {
            cache.server_config(&format!("bucket-{bucket}.s3.amazonaws.com"), now()).unwrap();
            assert!(cache.entries.len() <= 8, "{}", cache.entries.len());
        }
    }

    #[test]
    fn offers_http_1_1_only() {
        let cache = cache(10);
        let mut client = client(cache.authority().certificate_der(), &TLS13, now());
        client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let (_, server) = handshake(Arc::new(client), cache.server_config(HOST, now()).unwrap(), HOST).unwrap();
        assert_eq!(server.alpn_protocol(), Some(&b"http/1.1"[..]));
    }

    #[test]
    fn resumes_with_the_host_that_gave_the_ticket_and_no_other() {
        let cache = cache(10);
        let config = |host| cache.server_config(host, now()).unwrap();
        for version in [&TLS12, &TLS13] {
            let honest = Arc::new(client(cache.authority().certificate_der(), version, now()));
            assert_eq!(kind(&honest, config(HOST), HOST), Full);
            assert_eq!(kind(&honest, config(HOST), HOST), Resumed);

            let careless = shows_tickets_to_anyone(client(cache.authority().certificate_der(), version, now()));
            assert_eq!(kind(&careless, config(HOST), HOST), Full);
            assert_eq!(kind(&careless, config(OTHER_HOST), OTHER_HOST), Full, "{version:?}");
            assert_eq!(kind(&careless, config(OTHER_HOST), OTHER_HOST), Resumed);
        }
        let ticket = config(HOST).ticketer.encrypt(b"session").unwrap();
        assert!(config(HOST).ticketer.decrypt(&ticket).is_some());
        assert!(config(OTHER_HOST).ticketer.decrypt(&ticket).is_none());
    }

    #[test]
    fn a_client_without_sni_is_shown_a_certificate_that_it_refuses() {
        let cache = cache(10);
        for version in [&TLS12, &TLS13] {
            let mut client = client(cache.authority().certificate_der(), version, now());
            client.enable_sni = false;
            let config = cache.sni_required(now()).unwrap();
            assert!(Arc::ptr_eq(&config, &cache.sni_required(now()).unwrap()));
            let error = handshake(Arc::new(client), config, HOST).unwrap_err();
            assert!(matches!(error, rustls::Error::InvalidCertificate(_)), "{error:?}");
        }
    }

    #[test]
    fn prints_no_key() {
        let cache = LeafCache::new(Arc::new(authority()), 10).unwrap();
        assert_eq!(format!("{cache:?}"), "LeafCache { hosts: 0, .. }");
    }
}
