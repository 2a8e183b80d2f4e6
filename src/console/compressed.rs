//! Texts that never change while the gateway runs: written once, as they are and compressed.
//!
//! Only what holds no secret. A page that holds one, and what somebody typed, must not be compressed: its length would
//! then tell of the secret (BREACH).

use std::io::{self, Write as _};

use axum::{
    body::Body,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};

pub(super) struct Compressed {
    plain: Bytes,
    gzip: Bytes,
}

impl Compressed {
    pub(super) fn new(text: impl Into<Bytes>) -> io::Result<Self> {
        let plain = text.into();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&plain)?;
        Ok(Self { plain, gzip: encoder.finish()?.into() })
    }

    /// The text in the form that the request whose `headers` these are takes.
    pub(super) fn answer(&self, headers: &HeaderMap, kind: &'static str) -> Response {
        let about = [(header::CONTENT_TYPE, kind), (header::VARY, "accept-encoding")];
        if takes_gzip(headers) {
            (about, [(header::CONTENT_ENCODING, "gzip")], Body::from(self.gzip.clone())).into_response()
        } else {
            (about, Body::from(self.plain.clone())).into_response()
        }
    }
}

/// Is gzip among what is accepted, and not with a weight of nothing (RFC 9110, section 12.5.3)?
pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accepted.split(',').any(|one| {
        let (name, weight) = one.split_once(';').unwrap_or((one, "q=1"));
        let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse().ok()).unwrap_or(0_f32);
        name.trim().eq_ignore_ascii_case("gzip") && weight > 0.0
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn gzip_goes_to_who_takes_it() {
        let takes =
            |value: &str| takes_gzip(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, value.parse().unwrap())]));
        for value in ["gzip", "br, gzip;q=0.8", "deflate,GZIP ; q=1"] {
            assert!(takes(value), "{value}");
        }
        for value in ["", "br", "gzip;q=0", "gzip; q=0.0", "x-gzip", "gzip;level=9"] {
            assert!(!takes(value), "{value}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
        let text = Compressed::new("once once once once once").unwrap();
        let mut back = String::new();
        flate2::read::GzDecoder::new(&*text.gzip).read_to_string(&mut back).unwrap();
        assert_eq!(back.as_bytes(), &*text.plain);
    }
}
