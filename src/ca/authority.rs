//! The root: made once, kept sealed by others, used to sign leaves.

use std::{fmt, sync::OnceLock, time::Duration};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData as _, SerialNumber,
};
use ring::{
    digest,
    rand::{SecureRandom as _, SystemRandom},
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _, time::ASN1Time};
use zeroize::Zeroizing;

use super::{Error, NameConstraints};
use crate::clock::Timestamp;

/// Ten years.
const LIFETIME: Duration = Duration::from_hours(24 * 3653);

/// Certificates start this much in the past, for clients whose clock is slow.
pub(super) const BACKDATED: Duration = Duration::from_hours(1);

/// The appliance's own certificate authority: root certificate and key.
pub struct Authority {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) issuer: Issuer<'static, KeyPair>,
    pub(super) pkcs12: OnceLock<Vec<u8>>,
    facts: Facts,
}

/// What the root certificate says, read once.
struct Facts {
    subject: String,
    serial: String,
    not_before: Timestamp,
    not_after: Timestamp,
    permitted: NameConstraints,
    public_key: Vec<u8>,
}

impl Authority {
    /// Makes a new root that may speak for the `permitted` names only.
    pub fn generate(now: Timestamp, permitted: &NameConstraints) -> Result<Self, Error> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::default();
        let serial = random_serial()?;
        // A client that trusts several appliances tells them apart by this name.
        let short_id = hex::encode(serial.as_ref().get(..4).unwrap_or_default());
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Cloud Service Gateway");
        params.distinguished_name.push(DnType::CommonName, format!("Cloud Service Gateway CA {short_id}"));
        params.serial_number = Some(serial);
        params.not_before = now.minus(BACKDATED).to_utc();
        params.not_after = now.plus(LIFETIME).to_utc();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        // On a CA this bounds what its leaves are good for: no mail, code or client certificates.
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.name_constraints = Some(permitted.to_extension());
        let certificate = params.self_signed(&key)?;
        Self::from_key_pair(certificate.into(), key)
    }

    /// Takes up a root that [`Self::generate`] made and somebody kept.
    pub fn from_parts(certificate_der: Vec<u8>, key_pkcs8: &Zeroizing<Vec<u8>>) -> Result<Self, Error> {
        let key =
            KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(&key_pkcs8[..]), &PKCS_ECDSA_P256_SHA256)?;
        Self::from_key_pair(certificate_der.into(), key)
    }

    fn from_key_pair(certificate: CertificateDer<'static>, key: KeyPair) -> Result<Self, Error> {
        let facts = Facts::read(&certificate)?;
        if facts.public_key != key.der_bytes() {
            return Err(Error::BadRoot("its key is another one"));
        }
        let issuer = Issuer::from_ca_cert_der(&certificate, key)?;
        Ok(Self { certificate, issuer, pkcs12: OnceLock::new(), facts })
    }

    /// The root certificate. Safe to publish.
    pub fn certificate_der(&self) -> &[u8] {
        &self.certificate
    }

    /// The root's private key as PKCS#8, for whoever seals and keeps it.
    pub fn key_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.issuer.key().serialize_der())
    }

    /// SHA-256 of the certificate, as `openssl x509 -fingerprint -sha256` and browsers show it: `AB:CD:…`.
    pub fn fingerprint(&self) -> String {
        colon_hex(digest::digest(&digest::SHA256, &self.certificate).as_ref())
    }

    /// Whom the certificate names: `O=Cloud Service Gateway, CN=Cloud Service Gateway CA 1a2b3c4d`.
    pub fn subject(&self) -> &str {
        &self.facts.subject
    }

    /// The serial number, colon hex.
    pub fn serial(&self) -> &str {
        &self.facts.serial
    }

    /// Start of the root's validity.
    pub fn not_before(&self) -> Timestamp {
        self.facts.not_before
    }

    /// End of the root's validity.
    pub fn not_after(&self) -> Timestamp {
        self.facts.not_after
    }

    /// The names that the certificate lets it speak for.
    pub fn permitted(&self) -> &NameConstraints {
        &self.facts.permitted
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("subject", &self.subject()).finish_non_exhaustive()
    }
}

impl Facts {
    fn read(certificate: &[u8]) -> Result<Self, Error> {
        let (rest, parsed) =
            X509Certificate::from_der(certificate).map_err(|_| Error::BadRoot("it is no X.509 certificate"))?;
        if !rest.is_empty() {
            return Err(Error::BadRoot("something follows it"));
        }
        if !parsed.is_ca() {
            return Err(Error::BadRoot("it is not a CA's"));
        }
        let Ok(Some(constraints)) = parsed.name_constraints() else {
            return Err(Error::BadRoot("it has no name constraints"));
        };
        Ok(Self {
            subject: parsed.subject().to_string(),
            serial: colon_hex(parsed.raw_serial()),
            not_before: timestamp(parsed.validity().not_before),
            not_after: timestamp(parsed.validity().not_after),
            permitted: NameConstraints::from_extension(constraints.value)?,
            public_key: parsed.public_key().subject_public_key.data.to_vec(),
        })
    }
}

/// 127 random bits: positive, and well within the 20 octets that RFC 5280 allows.
pub(super) fn random_serial() -> Result<SerialNumber, Error> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Error::Random)?;
    // Never zero, never with a leading zero octet that the encoding would drop.
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

pub(super) fn timestamp(time: ASN1Time) -> Timestamp {
    Timestamp::from_millis(time.timestamp().saturating_mul(1000))
}

fn colon_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use x509_parser::extensions::{GeneralName, ParsedExtension};

    use super::*;
    use crate::ca::testing::{HOST, authority, now};

    fn parse(authority: &Authority) -> X509Certificate<'_> {
        X509Certificate::from_der(authority.certificate_der()).unwrap().1
    }

    #[test]
    fn the_root_says_what_a_constrained_ca_has_to_say() {
        let authority = authority();
        let root = parse(&authority);
        assert_eq!(root.version().0, 2);
        assert_eq!(root.issuer(), root.subject());
        assert_eq!(root.subject_pki.algorithm.algorithm.to_id_string(), "1.2.840.10045.2.1");
        assert_eq!(root.signature_algorithm.algorithm.to_id_string(), "1.2.840.10045.4.3.2");
        assert_eq!(root.validity().not_before.timestamp(), now().seconds() - 3600);
        assert_eq!(authority.not_after().to_utc().date(), now().to_utc().date().replace_year(2036).unwrap());

        let mut seen = Vec::new();
        for extension in root.extensions() {
            seen.push((extension.oid.to_id_string(), extension.critical));
            match extension.parsed_extension() {
                ParsedExtension::BasicConstraints(basic) => {
                    assert!(basic.ca);
                    assert_eq!(basic.path_len_constraint, Some(0));
                }
                ParsedExtension::KeyUsage(usage) => {
                    assert!(usage.key_cert_sign() && usage.crl_sign());
                    assert_eq!(usage.flags.count_ones(), 2);
                }
                ParsedExtension::ExtendedKeyUsage(usage) => {
                    assert!(usage.server_auth && !usage.client_auth && !usage.any && usage.other.is_empty());
                }
                ParsedExtension::NameConstraints(names) => {
                    let permitted: Vec<_> = names.permitted_subtrees.iter().flatten().map(|tree| &tree.base).collect();
                    let expected = ["amazonaws.com", "api.aws", "gateway.example.net"].map(GeneralName::DNSName);
                    let nobody = GeneralName::RFC822Name("mail.invalid");
                    assert_eq!(permitted, expected.iter().chain([&nobody]).collect::<Vec<_>>());
                    let excluded: Vec<_> = names.excluded_subtrees.iter().flatten().map(|tree| &tree.base).collect();
                    assert_eq!(excluded, [&GeneralName::IPAddress(&[0; 8]), &GeneralName::IPAddress(&[0; 32])]);
                }
                ParsedExtension::SubjectKeyIdentifier(id) => assert_eq!(id.0.len(), 20),
                other => panic!("unexpected {other:?}"),
            }
        }
        seen.sort();
        let expected = [
            ("2.5.29.14", false), // subject key identifier
            ("2.5.29.15", true),  // key usage
            ("2.5.29.19", true),  // basic constraints
            ("2.5.29.30", true),  // name constraints
            ("2.5.29.37", false), // extended key usage
        ];
        assert_eq!(seen, expected.map(|(oid, critical)| (oid.to_owned(), critical)));
    }

    #[test]
    fn two_roots_are_never_taken_for_each_other() {
        let (one, two) = (authority(), authority());
        assert_ne!(one.subject(), two.subject());
        assert_ne!(one.serial(), two.serial());
        assert_ne!(one.fingerprint(), two.fingerprint());
        assert!(
            one.subject().starts_with("O=Cloud Service Gateway, CN=Cloud Service Gateway CA "),
            "{}",
            one.subject()
        );
        assert_eq!(one.fingerprint().len(), 32 * 3 - 1);
    }

    #[test]
    fn comes_back_from_what_was_kept() {
        let made = authority();
        let kept = Authority::from_parts(made.certificate_der().to_vec(), &made.key_pkcs8()).unwrap();
        assert_eq!(kept.certificate_der(), made.certificate_der());
        assert_eq!(kept.key_pkcs8(), made.key_pkcs8());
        assert_eq!(kept.fingerprint(), made.fingerprint());
        assert_eq!(kept.permitted().domains(), ["amazonaws.com", "api.aws", "gateway.example.net"]);
        kept.leaf(HOST, now()).unwrap();
    }

    #[test]
    fn takes_up_nothing_that_is_no_root_of_its_own() {
        let (authority, other) = (authority(), authority());
        let refused = |certificate: &[u8], key: &Zeroizing<Vec<u8>>| {
            Authority::from_parts(certificate.to_vec(), key).unwrap_err().to_string()
        };
        assert!(refused(authority.certificate_der(), &other.key_pkcs8()).contains("key"));
        assert!(refused(b"", &authority.key_pkcs8()).contains("no X.509"));
        assert!(refused(&[authority.certificate_der(), b"x"].concat(), &authority.key_pkcs8()).contains("follows"));
        let leaf = authority.leaf(HOST, now()).unwrap();
        let leaf_key = Zeroizing::new(leaf.key.secret_der().to_vec());
        assert!(refused(&leaf.certificate, &leaf_key).contains("not a CA"));
        assert!(refused(authority.certificate_der(), &Zeroizing::new(b"key".to_vec())).contains("certificate"));
    }

    #[test]
    fn prints_no_key() {
        let authority = authority();
        let printed = format!("{authority:?}");
        assert_eq!(printed, format!("Authority {{ subject: {:?}, .. }}", authority.subject()));
    }
}
