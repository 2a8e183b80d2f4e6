//! What the console shows in the appliance's own name: a leaf for all of the names at once, or an operator's certificate.
//!
//! One certificate for all names, as people reach one port by many, and some send no SNI (those who go to an address).

use std::{fmt, sync::Arc};

use rustls::{
    ServerConfig,
    client::verify_server_name,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::ParsedCertificate,
    sign::{CertifiedKey, SingleCertAndKey},
};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _};

use super::{Authority, Error, authority::timestamp, constraints::host_name, leaf_cache::template};
use crate::clock::Timestamp;

/// A certificate with its key, ready to serve.
pub struct ServerIdentity {
    config: Arc<ServerConfig>,
    certificate: CertificateDer<'static>,
    not_before: Timestamp,
    not_after: Timestamp,
    renew_at: Option<Timestamp>,
}

impl ServerIdentity {
    /// Of the own authority, for `hosts`: names and addresses, of which it speaks for each.
    pub fn minted(authority: &Authority, hosts: &[&str], now: Timestamp) -> Result<Self, Error> {
        let leaf = authority.leaf_for(hosts, now)?;
        let renew_at = Some(leaf.renew_at(now));
        Ok(Self { renew_at, ..Self::of(leaf.certificate.clone(), leaf.certified_key()?)? })
    }

    /// Of another authority: the certificate, those that lead from it to its authority, and its key.
    pub fn given(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, Error> {
        let certificate = chain.first().cloned().ok_or(Error::BadCertificate("there is none"))?;
        // Refuses a key that is another certificate's.
        Self::of(certificate, CertifiedKey::from_der(chain, key, &ring::default_provider())?)
    }

    fn of(certificate: CertificateDer<'static>, key: CertifiedKey) -> Result<Self, Error> {
        let (_, parsed) =
            X509Certificate::from_der(&certificate).map_err(|_| Error::BadCertificate("it is no X.509 certificate"))?;
        let (not_before, not_after) = (timestamp(parsed.validity().not_before), timestamp(parsed.validity().not_after));
        let mut config = template()?;
        config.ticketer = ring::Ticketer::new()?;
        config.cert_resolver = Arc::new(SingleCertAndKey::from(key));
        Ok(Self { config: Arc::new(config), certificate, not_before, not_after, renew_at: None })
    }

    /// The settings for a connection.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// End of the validity.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Is it time for the next one? Never for an operator's, which only they can renew.
    pub fn is_due(&self, now: Timestamp) -> bool {
        // In the future of a clock that was set back it is of no use either.
        self.renew_at.is_some_and(|renew_at| renew_at <= now || now < self.not_before)
    }

    /// Does a client that goes to `host`, a name or an address, find it named here?
    pub fn speaks_for(&self, host: &str) -> bool {
        let certificate = ParsedCertificate::try_from(&self.certificate);
        certificate.is_ok_and(|it| host_name(host).is_ok_and(|host| verify_server_name(&it, &host).is_ok()))
    }

    /// The DNS names in it, as written there.
    pub fn names(&self) -> Vec<String> {
        let Ok((_, parsed)) = X509Certificate::from_der(&self.certificate) else { return Vec::new() };
        let Ok(Some(names)) = parsed.subject_alternative_name() else { return Vec::new() };
        let names = names.value.general_names.iter().filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        });
        names.collect()
    }
}

impl fmt::Debug for ServerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerIdentity").field("not_after", &self.not_after).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::version::{TLS12, TLS13};

    use super::*;
    use crate::ca::{
        NameConstraints,
        testing::{authority, client, handshake, now},
    };

    fn two_names() -> Authority {
        let addresses = ["192.0.2.7".parse().unwrap(), "2001:db8::7".parse().unwrap()];
        Authority::generate(now(), &NameConstraints::new(["gw.example.net"], addresses).unwrap()).unwrap()
    }

    #[test]
    fn one_certificate_speaks_for_every_name_and_address() {
        let authority = two_names();
        let hosts = ["gw.example.net", "192.0.2.7", "2001:db8::7"];
        let identity = ServerIdentity::minted(&authority, &hosts, now()).unwrap();
        for host in hosts {
            assert!(identity.speaks_for(host), "{host}");
            for version in [&TLS12, &TLS13] {
                let client = client(authority.certificate_der(), version, now());
                handshake(Arc::new(client), identity.config(), host).unwrap();
            }
        }
        for host in ["other.example.net", "192.0.2.8", "", "a b"] {
            assert!(!identity.speaks_for(host), "{host}");
        }
        assert_eq!(identity.names(), ["gw.example.net"]);
        let refused = ServerIdentity::minted(&authority, &["gw.example.net", "example.com"], now()).unwrap_err();
        assert!(matches!(refused, Error::HostNotPermitted(host) if host == "example.com"));
    }

    #[test]
    fn ours_is_due_long_before_its_end_and_anothers_never() {
        let authority = authority();
        let identity = ServerIdentity::minted(&authority, &["gateway.example.net"], now()).unwrap();
        let days = |days: u64| now().plus(Duration::from_hours(24 * days));
        assert_eq!(identity.not_after(), days(7));
        assert!(!identity.is_due(now()) && !identity.is_due(days(4)));
        assert!(identity.is_due(days(5)) && identity.is_due(days(8)));
        assert!(identity.is_due(now().minus(Duration::from_hours(2))), "the clock was set back");

        let leaf = authority.leaf("gateway.example.net", now()).unwrap();
        let given = ServerIdentity::given(vec![leaf.certificate], leaf.key).unwrap();
        assert!(!given.is_due(days(8)) && given.not_after() == days(7));
    }

    #[test]
    fn a_key_must_be_that_of_the_certificate() {
        let authority = authority();
        let leaf = || authority.leaf("gateway.example.net", now()).unwrap();
        let (one, other) = (leaf(), leaf());
        let refused = ServerIdentity::given(vec![one.certificate], other.key).unwrap_err();
        assert!(matches!(refused, Error::Tls(rustls::Error::InconsistentKeys(_))), "{refused:?}");
        assert!(ServerIdentity::given(vec![], leaf().key).is_err());
        assert!(ServerIdentity::given(vec![CertificateDer::from(b"x".to_vec())], leaf().key).is_err());
    }
}
