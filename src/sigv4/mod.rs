//! AWS Signature Version 4, both ways: is the client who it claims to be, and, for the cloud, a signature of our own.
//!
//! Pure: what arrived, keys and `now` come in; a proof or an error comes out. The order of a call:
//!
//! 1. [`parse`] reads what the client claims ([`Claim`]); nothing of it is proven, the access key id included.
//! 2. [`Claim::check_clock`] may come before the body is read, where its hash has to be computed.
//! 3. [`KeyCache::verify`] finds the signing key of that access key id, or, for an id that nobody has,
//!    [`KeyCache::decoy`] a key of no use: go on with it all the same, and refuse in the end whatever comes out, so that
//!    an unknown id and a wrong signature take the same time.
//! 4. [`Claim::verify`] turns the claim into [`Verified`] under that key.
//! 5. [`Verified::unwrap_query`] takes a signature out of the query, and what was signed there as a header into the headers.
//! 6. [`sign`] puts the real identity in, always in the headers.
//!
//! Signatures come in the `Authorization` header or in the query (presigned URLs), symmetric (SigV4) or asymmetric
//! (SigV4A), and for presigned S3 URLs also as SigV2.
//!
//! **Between 4 and 6** a proxy removes hop-by-hop headers, those that `Connection` names included. It must leave alone
//! what [`Claim::protects`]: with `Connection: X-Amz-Target` a client could otherwise make us drop what was verified.
//!
//! Specification: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

mod byte_set;
mod cache;
mod canonical;
mod chain;
mod chunked;
mod claim;
mod date;
mod events;
mod hex;
mod key;
mod key_pair;
mod legacy;
mod payload;
mod query;
mod scheme;
mod sign;
mod signed_headers;
#[cfg(test)]
mod tests;
mod unwrap;
mod verify;

pub use cache::KeyCache;
pub use canonical::PathStyle;
pub use chain::Chain;
pub use chunked::{ChunkError, Decoder, Encoder, Framing, Piece};
pub use claim::{Claim, ParseError, parse};
pub use events::{EventChain, EventError, Events};
pub use key::{Algorithm, Scope, SigningKey};
pub use payload::{Payload, Streaming};
pub use scheme::Scheme;
pub use sign::{SignError, Signing, sign};
pub use signed_headers::SignedHeaders;
pub use unwrap::UnwrapError;
pub use verify::{SignatureError, Verified};

const TERMINATOR: &str = "aws4_request";

/// The headers with a meaning of their own here.
mod header {
    use http::{HeaderMap, HeaderName, HeaderValue};

    /// Where HTTP/2 has the host. Some clients sign it under this name; the request has a `Host` header all the same.
    pub(super) const AUTHORITY: &str = ":authority";

    pub(super) static CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
    pub(super) static DATE: HeaderName = HeaderName::from_static("x-amz-date");
    pub(super) static REGION_SET: HeaderName = HeaderName::from_static("x-amz-region-set");
    pub(super) static SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

    pub(super) fn is_amz(name: &str) -> bool {
        name.starts_with("x-amz-")
    }

    /// The values of the header `name` (lower-case), in their order.
    ///
    /// Looks through all headers: they are few, and to hash a name that is no [`HeaderName`] yet takes longer.
    pub(super) fn values<'h>(headers: &'h HeaderMap, name: &str) -> impl Iterator<Item = &'h HeaderValue> {
        let name = if name == AUTHORITY { "host" } else { name };
        headers.iter().filter(move |(known, _)| known.as_str() == name).map(|(_, value)| value)
    }
}
