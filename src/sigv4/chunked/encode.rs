//! Writes an aws-chunked body, in chunks of our own.

use bytes::{Buf, Bytes, BytesMut};
use ring::digest::{Context, SHA256};

use super::{CHUNK_SIGNATURE, Framing, TRAILER_SIGNATURE, trailer_lines};
use crate::sigv4::{Algorithm, Chain};

/// The size of the chunks that we write; S3 takes none below 8 KiB except the last.
const CHUNK: usize = 64 * 1024;

/// Writes a body, in chunks of our own.
pub struct Encoder {
    /// With which the chunks are signed, where they are.
    chain: Option<Chain>,
    trailer: Option<&'static str>,
    /// Of the decoded length, what has not been put in yet.
    left: u64,
    /// A chunk that is being filled: room for its first line, then its data.
    chunk: BytesMut,
}

/// A chunk's first line is at most so long: `10000;chunk-signature=…`.
const ROOM: usize = 5 + 1 + CHUNK_SIGNATURE.len() + Algorithm::EcdsaP256.chunk_signature_length() + 2;

impl Encoder {
    /// Of a body with this `framing`; chunks are signed with `chain`, where they are to be.
    pub fn new(framing: &Framing, chain: Chain) -> Self {
        Self {
            chain: framing.signed.map(|_| chain),
            trailer: framing.trailer,
            left: framing.decoded_length,
            chunk: BytesMut::new(),
        }
    }

    /// How long the body gets, whose trailer's value is so long.
    pub fn length(framing: &Framing, trailer_value: usize) -> u64 {
        let signature = framing.signature().map_or(0, |length| 1 + CHUNK_SIGNATURE.len() + length);
        let around = |size: u64| (format!("{size:x}").len() + signature + 4) as u64;
        let whole = framing.decoded_length / CHUNK as u64;
        let rest = framing.decoded_length % CHUNK as u64;
        let data = framing.decoded_length + whole * around(CHUNK as u64) + if rest > 0 { around(rest) } else { 0 };
        let trailer = framing.trailer.map_or(0, |name| {
            let signature = framing.signature().map_or(0, |length| TRAILER_SIGNATURE.len() + length + 2);
            name.len() + 1 + trailer_value + 2 + signature
        });
        data + around(0) + trailer as u64
    }

    /// Puts in some of `data`, which is taken away from it; gives a chunk once one is full.
    pub fn push(&mut self, data: &mut Bytes) -> Option<Bytes> {
        if self.chunk.is_empty() {
            let size = usize::try_from(self.left).unwrap_or(usize::MAX).min(CHUNK);
            self.chunk.reserve(ROOM + size + 2);
            self.chunk.resize(ROOM, 0);
        }
        let room = (ROOM + CHUNK).saturating_sub(self.chunk.len());
        let more = data.split_to(room.min(data.len()));
        self.left = self.left.saturating_sub(more.len() as u64);
        self.chunk.extend_from_slice(&more);
        (self.chunk.len() == ROOM + CHUNK).then(|| self.seal())
    }

    /// What is left, the last chunk and the trailer. Nobody holds a whole body without it.
    pub fn finish(mut self, trailer: Option<&str>) -> Bytes {
        let mut end = BytesMut::new();
        if self.chunk.len() > ROOM {
            end.extend_from_slice(&self.seal());
        }
        end.extend_from_slice(&self.first_line(&[]));
        if let Some((name, value)) = self.trailer.zip(trailer) {
            end.extend_from_slice(format!("{name}:{value}\r\n").as_bytes());
            if let Some(chain) = &mut self.chain {
                end.extend_from_slice(TRAILER_SIGNATURE.as_bytes());
                end.extend_from_slice(chain.sign_trailer(trailer_lines(self.trailer, trailer).as_bytes()).as_bytes());
                end.extend_from_slice(b"\r\n");
            }
        }
        end.extend_from_slice(b"\r\n");
        end.freeze()
    }

    /// The chunk that was filled, complete.
    fn seal(&mut self) -> Bytes {
        let mut chunk = std::mem::take(&mut self.chunk);
        let line = self.first_line(chunk.get(ROOM..).unwrap_or_default());
        chunk.advance(ROOM.saturating_sub(line.len()));
        chunk.iter_mut().zip(line).for_each(|(to, from)| *to = from);
        chunk.extend_from_slice(b"\r\n");
        chunk.freeze()
    }

    fn first_line(&mut self, data: &[u8]) -> Vec<u8> {
        let mut line = format!("{:x}", data.len()).into_bytes();
        if let Some(chain) = &mut self.chain {
            let mut hash = Context::new(&SHA256);
            hash.update(data);
            line.push(b';');
            line.extend_from_slice(CHUNK_SIGNATURE.as_bytes());
            line.extend_from_slice(chain.sign_chunk(hash.finish().as_ref()).as_bytes());
        }
        line.extend_from_slice(b"\r\n");
        line
    }
}
