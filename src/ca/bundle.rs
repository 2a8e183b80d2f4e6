//! The root certificate in the forms that clients want it in.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use p12_keystore::{Certificate, KeyStore, KeyStoreEntry};

use super::{Authority, Error};

/// The password of the PKCS#12 trust store: the one that Java's own trust store has.
///
/// It protects nothing, as there is nothing secret inside; Java does not read a trust store without one.
pub const PKCS12_PASSWORD: &str = "changeit";

/// The certificate's name in the trust store, as `keytool -list` shows it.
const ALIAS: &str = "cloud-service-gateway";

impl Authority {
    /// The root certificate as PEM, for `AWS_CA_BUNDLE`, `NODE_EXTRA_CA_CERTS` and most others.
    pub fn pem(&self) -> String {
        let text = BASE64_STANDARD.encode(self.certificate_der());
        let mut pem = String::with_capacity(text.len() + text.len() / 64 + 64);
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (line, tail) = rest.split_at_checked(64).unwrap_or((rest, ""));
            pem.push_str(line);
            pem.push('\n');
            rest = tail;
        }
        pem.push_str("-----END CERTIFICATE-----\n");
        pem
    }

    /// The root certificate as a PKCS#12 trust store for Java (password: [`PKCS12_PASSWORD`]).
    ///
    /// It carries Oracle's `trustedKeyUsage` attribute, without which Java would not take the certificate for a
    /// trusted one. Made once: deriving the keys from the password takes milliseconds, and anyone may ask.
    pub fn pkcs12(&self) -> Result<&[u8], Error> {
        if let Some(made) = self.pkcs12.get() {
            return Ok(made);
        }
        let mut store = KeyStore::new();
        store.add_entry(ALIAS, KeyStoreEntry::Certificate(Certificate::from_der(self.certificate_der())?));
        let made = store.writer(PKCS12_PASSWORD).write()?;
        Ok(self.pkcs12.get_or_init(|| made))
    }
}

#[cfg(test)]
mod tests {
    use p12_keystore::Pkcs12Archive;

    use super::*;
    use crate::ca::testing::authority;

    #[test]
    fn pem_is_the_certificate_in_lines_of_64() {
        let authority = authority();
        let pem = authority.pem();
        let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
        assert_eq!((block.label.as_str(), &block.contents[..]), ("CERTIFICATE", authority.certificate_der()));
        assert!(pem.ends_with("-----END CERTIFICATE-----\n"));
        assert!(pem.lines().all(|line| line.len() <= 64 && !line.is_empty()));
    }

    #[test]
    fn the_trust_store_holds_a_trusted_certificate_and_no_key() {
        let authority = authority();
        let store = authority.pkcs12().unwrap();
        assert!(std::ptr::eq(store, authority.pkcs12().unwrap()), "made once");
        let archive = Pkcs12Archive::from_pkcs12(store, PKCS12_PASSWORD).unwrap();
        assert!(archive.keys.is_empty() && archive.secrets.is_empty());
        let [entry] = &archive.certs[..] else { panic!("{} certificates", archive.certs.len()) };
        assert_eq!(entry.cert.as_der(), authority.certificate_der());
        assert_eq!(entry.friendly_name.as_deref(), Some(ALIAS));
        assert!(entry.trusted, "Oracle's trustedKeyUsage");
        assert!(Pkcs12Archive::from_pkcs12(store, "another").is_err());
    }
}
