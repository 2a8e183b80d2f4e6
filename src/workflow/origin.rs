//! Where somebody signs in from, as far as it is known.

use std::net::IpAddr;

/// Where somebody signs in from.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The address that the connection comes from.
    pub address: Option<IpAddr>,
    /// What their program calls itself.
    pub client: Option<String>,
}
