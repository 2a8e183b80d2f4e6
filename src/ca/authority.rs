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
const LIFETIME: Duration = Duration::from_hours(24 * 3652);

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

fn timestamp(time: ASN1Time) -> Timestamp {
    Timestamp::from_millis(time.timestamp().saturating_mul(1000))
}

fn colon_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}
