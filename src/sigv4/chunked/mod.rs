//! aws-chunked bodies: a coding of S3's inside the HTTP message, in which chunks carry signatures and a checksum can
//! follow at the end. Read strictly, and written anew in chunks of our own, so that nobody behind us can read the
//! framing otherwise than it was read here, and so that memory does not grow with the client's chunks.
//!
//! ```text
//! 10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648␍␊
//! …65,536 bytes…␍␊
//! 0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9␍␊
//! x-amz-checksum-crc32c:sOO8/Q==␍␊                    only with a trailer
//! x-amz-trailer-signature:63bddb24…␍␊                 only with a signed trailer
//! ␍␊
//! ```

mod decode;
mod encode;

use bytes::Bytes;

use super::Algorithm;

pub use self::{decode::Decoder, encode::Encoder};

const CHUNK_SIGNATURE: &str = "chunk-signature=";
const TRAILER_SIGNATURE: &str = "x-amz-trailer-signature:";

/// What a request's head says of its aws-chunked body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Framing {
    /// How each chunk is signed, and the trailer; none if they are not.
    pub signed: Option<Algorithm>,
    /// `x-amz-decoded-content-length`.
    pub decoded_length: u64,
    /// The name of the one trailer, in lower case.
    pub trailer: Option<&'static str>,
}

/// Why a body is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// Something follows the end.
    #[error("The body goes on after its last chunk")]
    AfterEnd,
    /// A chunk's first line is not of the right form.
    #[error("A chunk of the body does not begin as aws-chunked coding demands")]
    Header,
    /// The chunks have another length together than `x-amz-decoded-content-length` says.
    #[error("The body does not have the length that 'x-amz-decoded-content-length' declares")]
    Length,
    /// A line is too long, or does not end as it should.
    #[error("A line of the aws-chunked body is too long or does not end with CR LF")]
    Line,
    /// A chunk that is dear to verify is smaller than S3 takes any.
    #[error("A chunk of the body that is not the last one is smaller than 8192 bytes")]
    Short,
    /// A signature is not that of its chunk in its place, or that of the trailer.
    #[error("The signature of a chunk of the body does not match")]
    Signature,
    /// The trailer is not what `x-amz-trailer` declared.
    #[error("The trailer of the body is not the one that 'x-amz-trailer' declares")]
    Trailer,
    /// The body ended before its last chunk.
    #[error("The body ended before its last chunk")]
    Truncated,
}

/// A part of a body that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A part of the data. Of a signed chunk, all but the last part is given out before its signature is known to be
    /// right: whoever passes it on must be able to take the whole back until there was an [`Piece::End`].
    Data(Bytes),
    /// All data was there, and all signatures are right. Holds the value of the trailer.
    End(Option<String>),
}

impl Framing {
    /// How long each signature is.
    fn signature(&self) -> Option<usize> {
        self.signed.map(Algorithm::chunk_signature_length)
    }
}

/// The trailer as it is signed.
fn trailer_lines(name: Option<&str>, value: Option<&str>) -> String {
    let line = |(name, value)| format!("{name}:{value}\n");
    name.zip(value).map(line).unwrap_or_default()
}
