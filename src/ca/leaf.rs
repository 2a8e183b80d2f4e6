//! Leaves: what the gateway shows a client in a cloud host's name.
//!
//! Every leaf has its own key. To mint one takes about 0.1 ms, key pair included: no more than the handshake that asks
//! for it, and once in days. So there is nothing to save by sharing a key, and one that leaks is worth one host.

use std::time::Duration;

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SanType,
};
use rustls::{
    crypto::ring::sign::any_ecdsa_type,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
    sign::CertifiedKey,
};

use super::{
    Authority, Error,
    authority::{BACKDATED, random_serial},
    constraints::host_name,
};
use crate::clock::Timestamp;

/// Days, not years: there is no revocation, a leaf just ends.
const LIFETIME: Duration = Duration::from_hours(24 * 7);

/// X.520 allows no longer common name; the subject alternative name is what counts.
const MAX_COMMON_NAME: usize = 64;

/// Said in the place where every TLS library shows the certificate that it refused.
const SNI_REQUIRED: &str = "SNI is required: this TLS client sent no server name";

/// A certificate for one host, with its key.
#[derive(Debug)]
pub struct Leaf {
    /// The certificate; the chain ends here, because the client has the root.
    pub certificate: CertificateDer<'static>,
    /// Its private key (its `Debug` form shows nothing).
    pub key: PrivateKeyDer<'static>,
    /// Start of the validity.
    pub not_before: Timestamp,
    /// End of the validity.
    pub not_after: Timestamp,
}

impl Authority {
    /// Mints a certificate for `host`, a DNS name or an IP address that the root is permitted to speak for.
    pub fn leaf(&self, host: &str, now: Timestamp) -> Result<Leaf, Error> {
        self.leaf_for(&[host], now)
    }

    /// Mints one certificate for all of `hosts`. Its common name is the first of them.
    pub(super) fn leaf_for(&self, hosts: &[&str], now: Timestamp) -> Result<Leaf, Error> {
        let mut names = Vec::with_capacity(hosts.len());
        for host in hosts {
            let name = host_name(host)?;
            // One name too many and clients that heed the constraints refuse the whole certificate.
            if !self.permitted().permits_name(&name) {
                return Err(Error::HostNotPermitted((*host).to_owned()));
            }
            names.push(name);
        }
        if now < self.not_before() || now >= self.not_after() {
            return Err(Error::OutsideValidity { not_before: self.not_before(), not_after: self.not_after(), now });
        }
        let not_before = now.minus(BACKDATED).max(self.not_before());
        let not_after = now.plus(LIFETIME).min(self.not_after());
        let mut params = server_params(not_before, not_after)?;
        params.distinguished_name.push(DnType::CommonName, common_name(names.first()));
        params.subject_alt_names = names.iter().map(alternative_name).collect::<Result<_, _>>()?;
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.signed_by(&key, &self.issuer)?.into();
        Ok(Leaf { certificate, key: key.into(), not_before, not_after })
    }
}

/// An address is none: OpenSSL takes a dotted common name for a DNS name and holds it against the name constraints.
fn common_name<'a>(name: Option<&'a ServerName<'_>>) -> &'a str {
    match name {
        Some(ServerName::DnsName(name)) if name.as_ref().len() <= MAX_COMMON_NAME => name.as_ref(),
        _ => "Cloud Service Gateway",
    }
}

fn alternative_name(name: &ServerName<'_>) -> Result<SanType, Error> {
    match name {
        ServerName::DnsName(name) => Ok(SanType::DnsName(name.as_ref().try_into()?)),
        ServerName::IpAddress(address) => Ok(SanType::IpAddress((*address).into())),
        other => Err(Error::InvalidHost(other.to_str().into_owned())),
    }
}

impl Leaf {
    /// When to mint the next one: two thirds of the life of this one, minted `now`, leave time for what may go wrong.
    pub(super) fn renew_at(&self, now: Timestamp) -> Timestamp {
        now.plus(self.not_after.since(now) * 2 / 3)
    }

    /// A self-signed certificate that no client accepts and whose name tells why.
    pub(super) fn sni_required(now: Timestamp) -> Result<Self, Error> {
        let (not_before, not_after) = (now.minus(BACKDATED), now.plus(LIFETIME));
        let mut params = server_params(not_before, not_after)?;
        params.distinguished_name.push(DnType::CommonName, SNI_REQUIRED);
        params.subject_alt_names = vec![SanType::DnsName("sni-is-required.invalid".try_into()?)];
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.self_signed(&key)?.into();
        Ok(Self { certificate, key: key.into(), not_before, not_after })
    }

    /// The form that rustls serves.
    pub(super) fn certified_key(&self) -> Result<CertifiedKey, Error> {
        Ok(CertifiedKey::new(vec![self.certificate.clone()], any_ecdsa_type(&self.key)?))
    }
}

fn server_params(not_before: Timestamp, not_after: Timestamp) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.serial_number = Some(random_serial()?);
    params.not_before = not_before.to_utc();
    params.not_after = not_after.to_utc();
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, sync::Arc};

    use rustls::{
        ServerConfig,
        crypto::ring,
        sign::SingleCertAndKey,
        version::{TLS12, TLS13},
    };
    use x509_parser::{
        certificate::X509Certificate,
        extensions::{GeneralName, ParsedExtension},
        prelude::FromDer as _,
    };

    use super::*;
    use crate::ca::{
        NameConstraints,
        testing::{HOST, authority, client, forge, handshake, now},
    };

    fn parse(leaf: &Leaf) -> X509Certificate<'_> {
        X509Certificate::from_der(&leaf.certificate).unwrap().1
    }

    fn days(days: u64) -> Duration {
        Duration::from_hours(24 * days)
    }

    #[test]
    fn says_what_a_server_certificate_has_to_say() {
        let authority = authority();
        let leaf = authority.leaf(HOST, now()).unwrap();
        let parsed = parse(&leaf);
        let root = X509Certificate::from_der(authority.certificate_der()).unwrap().1;
        assert_eq!(parsed.version().0, 2);
        assert_eq!(parsed.subject().to_string(), format!("CN={HOST}"));
        assert_eq!(parsed.issuer(), root.subject());
        assert_eq!(parsed.subject_pki.algorithm.algorithm.to_id_string(), "1.2.840.10045.2.1");
        assert_eq!(parsed.signature_algorithm.algorithm.to_id_string(), "1.2.840.10045.4.3.2");
        assert_eq!(parsed.validity().not_before.timestamp(), now().seconds() - 3600);
        assert_eq!(parsed.validity().not_after.timestamp(), now().seconds() + 7 * 86_400);
        assert_eq!((leaf.not_before, leaf.not_after), (now().minus(BACKDATED), now().plus(days(7))));

        let mut seen = Vec::new();
        for extension in parsed.extensions() {
            seen.push((extension.oid.to_id_string(), extension.critical));
            match extension.parsed_extension() {
                ParsedExtension::SubjectAlternativeName(names) => {
                    assert_eq!(names.general_names, [GeneralName::DNSName(HOST)]);
                }
                ParsedExtension::KeyUsage(usage) => assert_eq!(usage.flags, 1, "digitalSignature alone"),
                ParsedExtension::ExtendedKeyUsage(usage) => {
                    assert!(usage.server_auth && !usage.client_auth && !usage.any && usage.other.is_empty());
                }
                ParsedExtension::BasicConstraints(basic) => assert!(!basic.ca),
                ParsedExtension::AuthorityKeyIdentifier(issuer) => {
                    let ParsedExtension::SubjectKeyIdentifier(root) = root
                        .iter_extensions()
                        .find(|e| e.oid.to_id_string() == "2.5.29.14")
                        .unwrap()
                        .parsed_extension()
                    else {
                        panic!("the root has no key identifier")
                    };
                    assert_eq!(issuer.key_identifier.as_ref(), Some(root));
                }
                ParsedExtension::SubjectKeyIdentifier(_) => {}
                other => panic!("unexpected {other:?}"),
            }
        }
        seen.sort();
        let expected = [
            ("2.5.29.14", false), // subject key identifier
            ("2.5.29.15", true),  // key usage
            ("2.5.29.17", false), // subject alternative name
            ("2.5.29.19", true),  // basic constraints
            ("2.5.29.35", false), // authority key identifier
            ("2.5.29.37", false), // extended key usage
        ];
        assert_eq!(seen, expected.map(|(oid, critical)| (oid.to_owned(), critical)));
    }

    #[test]
    fn every_leaf_has_its_own_key_and_serial() {
        let authority = authority();
        let (one, two) = (authority.leaf(HOST, now()).unwrap(), authority.leaf(HOST, now()).unwrap());
        assert_ne!(one.key, two.key);
        assert_ne!(parse(&one).raw_serial(), parse(&two).raw_serial());
        assert_eq!(parse(&one).raw_serial().len(), 16);
        assert!(parse(&one).raw_serial()[0] < 0x80, "positive");
    }

    #[test]
    fn refuses_hosts_that_the_root_may_not_speak_for() {
        let authority = authority();
        for host in ["example.com", "xamazonaws.com", "amazonaws.com.example.com", "amazonaws.co", "127.0.0.1", "::1"] {
            assert!(matches!(authority.leaf(host, now()), Err(Error::HostNotPermitted(_))), "{host}");
        }
        for host in ["", ".", "*.amazonaws.com", "a..amazonaws.com", ".amazonaws.com", "a\0.amazonaws.com", "1.2.3.4."]
        {
            assert!(matches!(authority.leaf(host, now()), Err(Error::InvalidHost(_))), "{host:?}");
        }
    }

    #[test]
    fn never_outlives_the_root() {
        let authority = authority();
        let end = authority.not_after();
        assert_eq!(authority.leaf(HOST, end.minus(days(1))).unwrap().not_after, end);
        assert_eq!(authority.leaf(HOST, authority.not_before()).unwrap().not_before, authority.not_before());
        for moment in [end, end.plus(days(1)), authority.not_before().minus(Duration::from_secs(1))] {
            assert!(matches!(authority.leaf(HOST, moment), Err(Error::OutsideValidity { .. })), "{moment}");
        }
    }

    #[test]
    fn names_too_long_for_a_common_name_are_fine() {
        let host = format!("{}.{}.s3.amazonaws.com", "a".repeat(63), "b".repeat(63));
        let authority = authority();
        let leaf = authority.leaf(&host, now()).unwrap();
        assert_eq!(parse(&leaf).subject().to_string(), "CN=Cloud Service Gateway");
        accepted(&authority, &leaf, &host).unwrap();
    }

    #[test]
    fn speaks_for_permitted_addresses() {
        let own: [IpAddr; 2] = ["192.0.2.7".parse().unwrap(), "2001:db8::7".parse().unwrap()];
        let permitted = NameConstraints::new(["gateway.example.net"], own).unwrap();
        let authority = Authority::generate(now(), &permitted).unwrap();
        for host in ["192.0.2.7", "2001:db8::7"] {
            accepted(&authority, &authority.leaf(host, now()).unwrap(), host).unwrap();
        }
        for host in ["192.0.2.8", "2001:db8::8", "0.0.0.0", "::ffff:192.0.2.7"] {
            assert!(matches!(authority.leaf(host, now()), Err(Error::HostNotPermitted(_))), "{host}");
            let forged = forge(&authority, vec![SanType::IpAddress(host.parse().unwrap())]);
            assert!(accepted(&authority, &forged, host).unwrap_err().contains("NameConstraintViolation"), "{host}");
        }
    }

    /// The point of the name constraints: the root's key alone does not let anyone be somebody else.
    #[test]
    fn a_stolen_root_key_is_of_no_use_elsewhere() {
        let authority = authority();
        let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
        // First that the forger's tools work.
        accepted(&authority, &forge(&authority, vec![dns(HOST)]), HOST).unwrap();

        for name in ["bank.example", "xamazonaws.com", "amazonaws.com.bank.example", "aws", "com"] {
            for names in [vec![dns(name)], vec![dns(HOST), dns(name)]] {
                let forged = forge(&authority, names);
                let refusal = accepted(&authority, &forged, name).unwrap_err();
                assert!(refusal.contains("NameConstraintViolation"), "{name}: {refusal}");
            }
        }
        for address in ["127.0.0.1", "10.1.2.3", "::1", "2001:db8::1"] {
            let forged = forge(&authority, vec![SanType::IpAddress(address.parse().unwrap())]);
            let refusal = accepted(&authority, &forged, address).unwrap_err();
            assert!(refusal.contains("NameConstraintViolation"), "{address}: {refusal}");
        }
        let mailbox = SanType::Rfc822Name("ceo@bank.example".try_into().unwrap());
        let refusal = accepted(&authority, &forge(&authority, vec![dns(HOST), mailbox]), HOST).unwrap_err();
        assert!(refusal.contains("NameConstraintViolation"), "{refusal}");
    }

    /// webpki does not look at the path length of a root, others do; the names bind all the same.
    #[test]
    fn an_intermediate_of_a_thief_is_bound_by_the_same_names() {
        let authority = authority();
        let key = KeyPair::generate().unwrap();
        let mut params = server_params(now().minus(BACKDATED), now().plus(days(7))).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, "Intermediate");
        let intermediate = params.signed_by(&key, &authority.issuer).unwrap();
        let below = rcgen::Issuer::new(params, key);
        let mut params = server_params(now().minus(BACKDATED), now().plus(days(7))).unwrap();
        params.subject_alt_names = vec![SanType::DnsName("bank.example".try_into().unwrap())];
        let key = KeyPair::generate().unwrap();
        let chain = vec![params.signed_by(&key, &below).unwrap().into(), intermediate.into()];
        let refusal = serve(&authority, CertifiedKey::new(chain, any_ecdsa_type(&key.into()).unwrap()), "bank.example");
        assert!(refusal.unwrap_err().contains("NameConstraintViolation"));
    }

    #[test]
    fn the_refusal_for_missing_sni_says_so() {
        let leaf = Leaf::sni_required(now()).unwrap();
        let parsed = parse(&leaf);
        assert_eq!(parsed.subject().to_string(), format!("CN={SNI_REQUIRED}"));
        assert_eq!(parsed.issuer(), parsed.subject(), "self-signed");
        assert!(SNI_REQUIRED.len() <= MAX_COMMON_NAME);
    }

    #[test]
    fn prints_no_key() {
        let leaf = authority().leaf(HOST, now()).unwrap();
        let printed = format!("{leaf:?}");
        assert!(printed.contains("elided"), "{printed}");
    }

    /// Whether a client of TLS 1.2 and one of TLS 1.3, which trust the root alone, accept `leaf` for `host`.
    fn accepted(authority: &Authority, leaf: &Leaf, host: &str) -> Result<(), String> {
        serve(authority, leaf.certified_key().unwrap(), host)
    }

    fn serve(authority: &Authority, key: CertifiedKey, host: &str) -> Result<(), String> {
        let server = ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_protocol_versions(&[&TLS12, &TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
        let server = Arc::new(server);
        let outcomes = [&TLS12, &TLS13].map(|version| {
            let client = client(authority.certificate_der(), version, now());
            handshake(Arc::new(client), Arc::clone(&server), host).map(drop).map_err(|error| format!("{error:?}"))
        });
        assert_eq!(outcomes[0], outcomes[1], "TLS 1.2 and 1.3 agree");
        outcomes.into_iter().collect()
    }
}
