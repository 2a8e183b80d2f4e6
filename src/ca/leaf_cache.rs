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
    /// Keeps settings for about `capacity` hosts, some 4 KiB each.
    pub fn new(authority: Arc<Authority>, capacity: usize) -> Result<Self, Error> {
        Ok(Self { authority, template: template()?, entries: Cache::new(capacity) })
    }

    /// The authority that signs the leaves.
    pub fn authority(&self) -> &Arc<Authority> {
        &self.authority
    }

    /// The settings for a connection to `host`, whatever its case.
    ///
    /// When many ask at once for a host that is new or due, one mints and the others wait for it.
    pub fn server_config(&self, host: &str, now: Timestamp) -> Result<Arc<ServerConfig>, Error> {
        let name = host_name(host)?;
        let name = name.to_str();
        self.fresh(&name, now, || {
            let leaf = self.authority.leaf(&name, now)?;
            let mut config = self.template.clone();
            config.ticketer = ring::Ticketer::new()?;
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
        let renew_at = now.plus(leaf.not_after.since(now) * 2 / 3);
        Ok(Self { config: Arc::new(config), not_before: leaf.not_before, renew_at })
    }

    /// Neither due for renewal, nor in the future of a clock that was set back.
    fn is_fresh(&self, now: Timestamp) -> bool {
        self.not_before <= now && now < self.renew_at
    }
}

/// What all hosts have in common; without a certificate of its own.
fn template() -> Result<ServerConfig, Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::server::ResolvesServerCertUsingSni::new()));
    // The gateway reads HTTP/1.1 only, and the Go and Rust SDKs speak HTTP/2 as soon as it is offered.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Tickets only: a table of sessions would take memory per client, and rustls makes room for 256 at once.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.cert_compression_cache = Arc::new(CompressionCache::Disabled);
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ca::NameConstraints;

    #[test]
    fn settings_are_kept_per_host() {
        let now = Timestamp::from_millis(1_764_000_000_000);
        let permitted = NameConstraints::new(["amazonaws.com"], []).unwrap();
        let cache = LeafCache::new(Arc::new(Authority::generate(now, &permitted).unwrap()), 10).unwrap();
        let first = cache.server_config("sns.us-east-1.amazonaws.com", now).unwrap();
        assert!(Arc::ptr_eq(&first, &cache.server_config("SNS.us-east-1.amazonaws.com.", now).unwrap()));
        assert!(!Arc::ptr_eq(&first, &cache.server_config("sqs.us-east-1.amazonaws.com", now).unwrap()));
        assert!(matches!(cache.server_config("example.com", now), Err(Error::HostNotPermitted(_))));
    }
}
