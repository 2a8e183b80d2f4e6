//! The certificate authority of the appliance: root, leaves, name constraints, bundles. Keys and `now` come in.
//!
//! Clients of the gateway are told to trust the root, so it is made to be worth little to a thief: it may only speak
//! for the clouds' domains and the appliance's own names ([`NameConstraints`]), and it cannot make further CAs.

mod authority;
mod bundle;
mod constraints;
mod error;
mod identity;
mod leaf;
mod leaf_cache;

#[cfg(test)]
mod testing;

pub use authority::Authority;
pub use bundle::PKCS12_PASSWORD;
pub use constraints::NameConstraints;
pub use error::Error;
pub use identity::ServerIdentity;
pub use leaf::Leaf;
pub use leaf_cache::LeafCache;
