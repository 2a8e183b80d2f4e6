//! What a signature says about the body: `x-amz-content-sha256`.

use ring::digest;

use super::{Algorithm, hex};

/// What a signature says about the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// The body has this SHA-256.
    Sha256([u8; 32]),
    /// The body comes in chunks of aws-chunked coding.
    Streaming(Streaming),
    /// Nothing: `UNSIGNED-PAYLOAD`.
    Unsigned,
}

/// The forms of aws-chunked bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streaming {
    /// Chunks signed with an asymmetric key.
    Ecdsa,
    /// Chunks and trailer signed with an asymmetric key.
    EcdsaTrailer,
    /// An event stream, each event signed.
    Events,
    /// Signed chunks.
    Signed,
    /// Signed chunks and a signed trailer.
    SignedTrailer,
    /// Unsigned chunks and a trailer with a checksum: what SDKs send to S3 by default.
    UnsignedTrailer,
}

const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

impl Payload {
    /// No body.
    pub const EMPTY: Self = Self::Sha256([
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae,
        0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
    ]);

    /// What a signature has to say of this body.
    pub fn of(body: &[u8]) -> Self {
        let mut sha256 = [0; 32];
        sha256.iter_mut().zip(digest::digest(&digest::SHA256, body).as_ref()).for_each(|(to, from)| *to = *from);
        Self::Sha256(sha256)
    }

    /// Reads the value of `x-amz-content-sha256`.
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        if value == UNSIGNED.as_bytes() {
            return Some(Self::Unsigned);
        }
        if let Some(streaming) = Streaming::ALL.into_iter().find(|form| form.name().as_bytes() == value) {
            return Some(Self::Streaming(streaming));
        }
        hex::decode(value).map(Self::Sha256)
    }

    /// The value of `x-amz-content-sha256`, and of the canonical request's last line.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Sha256(sha256) => {
                out.extend_from_slice(&hex::encode(sha256));
            }
            Self::Streaming(form) => out.extend_from_slice(form.name().as_bytes()),
            Self::Unsigned => out.extend_from_slice(UNSIGNED.as_bytes()),
        }
    }
}

impl Streaming {
    const ALL: [Self; 6] =
        [Self::Ecdsa, Self::EcdsaTrailer, Self::Events, Self::Signed, Self::SignedTrailer, Self::UnsignedTrailer];

    /// How each chunk is signed, if it is.
    pub const fn signed_with(self) -> Option<Algorithm> {
        match self {
            Self::Ecdsa | Self::EcdsaTrailer => Some(Algorithm::EcdsaP256),
            Self::Events | Self::Signed | Self::SignedTrailer => Some(Algorithm::HmacSha256),
            Self::UnsignedTrailer => None,
        }
    }

    /// Do trailers follow the last chunk?
    pub const fn has_trailer(self) -> bool {
        matches!(self, Self::EcdsaTrailer | Self::SignedTrailer | Self::UnsignedTrailer)
    }

    /// The name on the wire: `STREAMING-UNSIGNED-PAYLOAD-TRAILER`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ecdsa => "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD",
            Self::EcdsaTrailer => "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER",
            Self::Events => "STREAMING-AWS4-HMAC-SHA256-EVENTS",
            Self::Signed => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            Self::SignedTrailer => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            Self::UnsignedTrailer => "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let streaming = Streaming::ALL.map(Payload::Streaming);
        for payload in [Payload::EMPTY, Payload::of(b"body"), Payload::Unsigned].iter().chain(&streaming) {
            let mut text = Vec::new();
            payload.write(&mut text);
            assert_eq!(Payload::parse(&text).as_ref(), Some(payload));
        }
        assert_eq!(Payload::of(b""), Payload::EMPTY);
    }

    #[test]
    fn refuses_other_values() {
        let hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        for value in ["", &hash[1..], &format!("{hash}0"), &hash.to_uppercase(), "unsigned-payload", "STREAMING-X"] {
            assert_eq!(Payload::parse(value.as_bytes()), None, "{value}");
        }
    }
}
