//! Ways to authenticate, told apart by name; those that are no signature of ours so that the refusal can say what was wrong.

use std::fmt;

use http::Uri;

use super::{key::Algorithm, query};

/// A way to authenticate that can't be verified here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `Authorization: Bearer`.
    Bearer,
    /// None of those known here.
    Other,
    /// Signature Version 2 in the header: `AWS id:signature`.
    SigV2,
}

/// How a request is signed, as far as its first words tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signed {
    /// In a way that can be verified.
    With(Algorithm),
    /// In another.
    Otherwise(Scheme),
}

impl Signed {
    /// How, by this `Authorization` header?
    pub(super) fn in_header(value: &[u8]) -> Self {
        let name = value.split(|&byte| matches!(byte, b' ' | b'\t')).next().unwrap_or_default();
        match name {
            b"AWS4-ECDSA-P256-SHA256" => Self::With(Algorithm::EcdsaP256),
            b"AWS4-HMAC-SHA256" => Self::With(Algorithm::HmacSha256),
            b"AWS" => Self::Otherwise(Scheme::SigV2),
            _ if name.eq_ignore_ascii_case(b"bearer") => Self::Otherwise(Scheme::Bearer),
            _ => Self::Otherwise(Scheme::Other),
        }
    }

    /// How, by the query? None if nothing there looks like a signature, however it is written.
    pub(super) fn in_query(uri: &Uri) -> Option<Self> {
        let query = uri.query()?;
        let has = |name| query::is_there(query, name);
        if let Some(algorithm) = query::values(query, "X-Amz-Algorithm").next() {
            return Some(match &*algorithm {
                b"AWS4-ECDSA-P256-SHA256" => Self::With(Algorithm::EcdsaP256),
                b"AWS4-HMAC-SHA256" => Self::With(Algorithm::HmacSha256),
                _ => Self::Otherwise(Scheme::Other),
            });
        }
        if has("X-Amz-Signature") {
            return Some(Self::Otherwise(Scheme::Other));
        }
        has("AWSAccessKeyId").then_some(Self::With(Algorithm::HmacSha1))
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bearer => "Bearer tokens can't be verified here.",
            // S3's words, for both.
            Self::Other | Self::SigV2 => "The authorization mechanism you have provided is not supported.",
        })
    }
}
