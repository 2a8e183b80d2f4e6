//! Other ways to authenticate than ours: recognised by name, so that the refusal can say what was wrong.

use std::fmt;

use http::Uri;

/// A way to authenticate that is not a SigV4 signature in the `Authorization` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `Authorization: Bearer`.
    Bearer,
    /// None of those known here.
    Other,
    /// SigV4 in the query: a presigned URL.
    Presigned,
    /// Signature Version 2, in the header (`AWS id:signature`) or in the query (`AWSAccessKeyId`).
    SigV2,
    /// The asymmetric Signature Version 4A.
    SigV4a,
}

impl Scheme {
    /// Which other scheme begins an `Authorization` header so?
    pub(super) fn of_header(value: &[u8]) -> Self {
        let name = value.split(|&byte| byte == b' ').next().unwrap_or_default();
        match name {
            b"AWS4-ECDSA-P256-SHA256" => Self::SigV4a,
            b"AWS" => Self::SigV2,
            _ if name.eq_ignore_ascii_case(b"bearer") => Self::Bearer,
            _ => Self::Other,
        }
    }

    /// The scheme whose signature is in the query, if one is.
    pub(super) fn of_query(uri: &Uri) -> Option<Self> {
        let mut found = None;
        for pair in uri.query()?.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "X-Amz-Algorithm" if value.starts_with("AWS4-ECDSA-") => return Some(Self::SigV4a),
                "X-Amz-Algorithm" | "X-Amz-Signature" => found = Some(Self::Presigned),
                "AWSAccessKeyId" => found = found.or(Some(Self::SigV2)),
                _ => {}
            }
        }
        found
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bearer => "Bearer tokens",
            Self::Other => "this authorization mechanism",
            Self::Presigned => "signatures in the query string (presigned URLs)",
            Self::SigV2 => "Signature Version 2",
            Self::SigV4a => "Signature Version 4A",
        })
    }
}
