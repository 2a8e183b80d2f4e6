//! Leaves: what the gateway shows a client in a cloud host's name.
//!
//! Every leaf has its own key. A P-256 key pair costs some 30 µs, less than the handshake that asks for it, so there
//! is nothing to save by sharing one; and a leaf's key that leaks is worth one host for a few days.

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
        let name = host_name(host)?;
        if !self.permitted().permits_name(&name) {
            return Err(Error::HostNotPermitted(host.to_owned()));
        }
        if now < self.not_before() || now >= self.not_after() {
            return Err(Error::OutsideValidity { not_before: self.not_before(), not_after: self.not_after(), now });
        }
        let not_before = now.minus(BACKDATED).max(self.not_before());
        let not_after = now.plus(LIFETIME).min(self.not_after());
        let mut params = server_params(not_before, not_after)?;
        let (common_name, alternative_name) = match &name {
            ServerName::DnsName(name) => (name.as_ref(), SanType::DnsName(name.as_ref().try_into()?)),
            // OpenSSL takes a dotted common name for a DNS name and holds it against the name constraints.
            ServerName::IpAddress(address) => ("", SanType::IpAddress((*address).into())),
            _ => return Err(Error::InvalidHost(host.to_owned())),
        };
        let common_name =
            if (1..=MAX_COMMON_NAME).contains(&common_name.len()) { common_name } else { "Cloud Service Gateway" };
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.subject_alt_names = vec![alternative_name];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.signed_by(&key, &self.issuer)?.into();
        Ok(Leaf { certificate, key: key.into(), not_before, not_after })
    }
}

impl Leaf {
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
