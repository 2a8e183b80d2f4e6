//! The names that the root may speak for, as X.509 name constraints (RFC 5280, section 4.2.1.10).
//!
//! A constraint only limits names of its own kind, so every kind by which a client could recognise somebody is limited:
//! - DNS names: permitted are the given domains and what lies below them.
//! - IP addresses: permitted are the given ones. The kinds (v4, v6) without any are excluded as a whole, because
//!   without a single IP constraint all IP addresses would be free.
//! - Mailboxes: permitted is one domain that cannot exist. Excluding all of them would need an empty name, which
//!   Java refuses to parse and OpenSSL takes for no mailbox at all.
//! - Directory names stay free: webpki refuses every leaf under such a constraint, Go every chain. No TLS client
//!   recognises a server by them; the root's extended key usage keeps it from anything that is not a TLS server.
//! - URIs stay free: rcgen cannot write the constraint, and no TLS client recognises a server by one.
//!
//! OpenSSL, webpki, Go and Node hold a root to its constraints; Java reads them and does not (it heeds those of
//! intermediates only).

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use rcgen::{CidrSubnet, GeneralSubtree};
use rustls::pki_types::{DnsName, ServerName};
use x509_parser::extensions::{GeneralName, NameConstraints as X509NameConstraints};

use super::Error;

/// RFC 2606 keeps this domain from ever existing.
const NOBODYS_MAILBOXES: &str = "mail.invalid";

/// The names that a root may speak for: domains with all that lies below them, and single IP addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameConstraints {
    domains: Vec<String>,
    addresses: Vec<IpAddr>,
}

impl NameConstraints {
    /// Takes the permitted names: `amazonaws.com` permits itself and every name below it.
    pub fn new<D: AsRef<str>>(
        domains: impl IntoIterator<Item = D>,
        addresses: impl IntoIterator<Item = IpAddr>,
    ) -> Result<Self, Error> {
        let mut domains = domains
            .into_iter()
            .map(|domain| match host_name(domain.as_ref())? {
                ServerName::DnsName(name) => Ok(name.as_ref().to_owned()),
                _ => Err(Error::InvalidHost(domain.as_ref().to_owned())),
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut addresses: Vec<_> = addresses.into_iter().collect();
        if domains.is_empty() {
            return Err(Error::NoDomain);
        }
        domains.sort_unstable();
        domains.dedup();
        addresses.sort_unstable();
        addresses.dedup();
        Ok(Self { domains, addresses })
    }

    /// The permitted domains, in lower case.
    pub fn domains(&self) -> &[String] {
        &self.domains
    }

    /// The permitted IP addresses.
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// Whether a certificate for `host` would be accepted by a client that heeds the constraints.
    pub fn permits(&self, host: &str) -> bool {
        host_name(host).is_ok_and(|host| self.permits_name(&host))
    }

    pub(super) fn permits_name(&self, host: &ServerName<'_>) -> bool {
        match host {
            ServerName::DnsName(name) => self.domains.iter().any(|domain| is_within(name.as_ref(), domain)),
            ServerName::IpAddress(address) => self.addresses.contains(&IpAddr::from(*address)),
            _ => false,
        }
    }

    pub(super) fn to_extension(&self) -> rcgen::NameConstraints {
        let host_only = |address: &IpAddr| match address {
            IpAddr::V4(v4) => CidrSubnet::from_v4_prefix(v4.octets(), 32),
            IpAddr::V6(v6) => CidrSubnet::from_v6_prefix(v6.octets(), 128),
        };
        let domains = self.domains.iter().cloned().map(GeneralSubtree::DnsName);
        let addresses = self.addresses.iter().map(host_only).map(GeneralSubtree::IpAddress);
        let mailboxes = GeneralSubtree::Rfc822Name(NOBODYS_MAILBOXES.to_owned());
        let mut excluded = Vec::new();
        if !self.addresses.iter().any(IpAddr::is_ipv4) {
            let all = CidrSubnet::from_v4_prefix(Ipv4Addr::UNSPECIFIED.octets(), 0);
            excluded.push(GeneralSubtree::IpAddress(all));
        }
        if !self.addresses.iter().any(IpAddr::is_ipv6) {
            let all = CidrSubnet::from_v6_prefix(Ipv6Addr::UNSPECIFIED.octets(), 0);
            excluded.push(GeneralSubtree::IpAddress(all));
        }
        rcgen::NameConstraints {
            permitted_subtrees: domains.chain(addresses).chain([mailboxes]).collect(),
            excluded_subtrees: excluded,
        }
    }

    /// Reads back what [`Self::to_extension`] wrote.
    pub(super) fn from_extension(extension: &X509NameConstraints<'_>) -> Result<Self, Error> {
        let (mut domains, mut addresses) = (Vec::new(), Vec::new());
        for subtree in extension.permitted_subtrees.iter().flatten() {
            match &subtree.base {
                GeneralName::DNSName(domain) => domains.push(*domain),
                GeneralName::IPAddress(bytes) => addresses.push(single_address(bytes)?),
                _ => {}
            }
        }
        Self::new(domains, addresses)
    }
}

/// Reads a host as clients write it: any case, perhaps with the dot of an absolute name.
pub(super) fn host_name(host: &str) -> Result<ServerName<'static>, Error> {
    let relative = host.strip_suffix('.').unwrap_or(host);
    let lower: Cow<'_, str> = if relative.bytes().any(|byte| byte.is_ascii_uppercase()) {
        relative.to_ascii_lowercase().into()
    } else {
        relative.into()
    };
    // The text of an IP address and a name such as `1.2.3.4.` must not be mixed up.
    let name = if relative.len() == host.len() {
        ServerName::try_from(lower.into_owned())
    } else {
        DnsName::try_from(lower.into_owned()).map(ServerName::DnsName)
    };
    name.map_err(|_| Error::InvalidHost(host.to_owned()))
}

/// Whether `name` is `domain` or lies below it; whole labels count, so `xamazonaws.com` does not.
fn is_within(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// An address followed by a mask of ones only.
fn single_address(bytes: &[u8]) -> Result<IpAddr, Error> {
    let unreadable = || Error::BadRoot("its name constraints hold an IP range");
    let (address, mask) = bytes.split_at_checked(bytes.len() / 2).ok_or_else(unreadable)?;
    if mask.iter().any(|byte| *byte != 0xff) {
        return Err(unreadable());
    }
    if let Ok(v4) = <[u8; 4]>::try_from(address) {
        return Ok(v4.into());
    }
    <[u8; 16]>::try_from(address).map(IpAddr::from).map_err(|_| unreadable())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_whole_labels_from_the_right() {
        let names = NameConstraints::new(["AmazonAWS.com.", "api.aws", "gw"], ["192.0.2.7".parse().unwrap()]).unwrap();
        for host in ["amazonaws.com", "S3.amazonaws.COM", "a.b.amazonaws.com.", "x.api.aws", "gw", "a.gw", "192.0.2.7"]
        {
            assert!(names.permits(host), "{host}");
        }
        for host in
            ["xamazonaws.com", "aws", "amazonaws.com.cn", "amazonaws.com.example", "bgw", "192.0.2.70", "", "::1"]
        {
            assert!(!names.permits(host), "{host}");
        }
    }

    #[test]
    fn refuses_what_constrains_nothing() {
        assert!(matches!(NameConstraints::new([""; 0], []), Err(Error::NoDomain)));
        for domain in ["", ".", ".com", "*.amazonaws.com", "192.0.2.7", "a b"] {
            assert!(matches!(NameConstraints::new([domain], []), Err(Error::InvalidHost(_))), "{domain:?}");
        }
    }

    #[test]
    fn keeps_each_name_once() {
        let names = NameConstraints::new(["b.aws", "A.aws", "a.aws."], ["::1".parse().unwrap(); 2]).unwrap();
        assert_eq!(names.domains(), ["a.aws", "b.aws"]);
        assert_eq!(names.addresses().len(), 1);
    }
}
