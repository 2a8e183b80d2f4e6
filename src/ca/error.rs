//! What can go wrong with certificates.

use crate::clock::Timestamp;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A certificate that somebody gave can't be served.
    #[error("the certificate cannot be used: {0}")]
    BadCertificate(&'static str),
    /// The stored root certificate is damaged, or is none that this appliance would have made.
    #[error("the CA certificate cannot be used: {0}")]
    BadRoot(&'static str),
    /// A certificate could not be encoded or signed, or a key not read.
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The name constraints of the root do not permit this host.
    #[error("the CA is not permitted to speak for {0}")]
    HostNotPermitted(String),
    /// Neither a DNS name nor an IP address.
    #[error("{0:?} is neither a DNS name nor an IP address")]
    InvalidHost(String),
    /// A root must be held to something.
    #[error("a CA has to be permitted at least one DNS domain")]
    NoDomain,
    /// The root is not valid now: it has expired, or the clock is wrong.
    #[error("the CA certificate is valid from {not_before} to {not_after}, and it is {now} now")]
    OutsideValidity {
        /// Start of the root's validity.
        not_before: Timestamp,
        /// End of the root's validity.
        not_after: Timestamp,
        /// The moment it was asked.
        now: Timestamp,
    },
    /// The PKCS#12 trust store could not be written.
    #[error("cannot write the PKCS#12 trust store: {0}")]
    Pkcs12(#[from] p12_keystore::error::Error),
    /// The system gave no random numbers.
    #[error("the system's random number generator failed")]
    Random,
    /// rustls refused a key or a setting.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
}
