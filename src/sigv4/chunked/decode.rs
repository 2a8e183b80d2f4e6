//! Reads an aws-chunked body, strictly, as its bytes arrive.

use bytes::{Buf, Bytes};
use ring::digest::{Context, SHA256};

use super::{CHUNK_SIGNATURE, ChunkError, Framing, Piece, TRAILER_SIGNATURE, trailer_lines};
use crate::sigv4::{Algorithm, Chain};

/// Longer than any line that belongs into such a body.
const LONGEST_LINE: usize = 512;

/// S3 takes no chunk that is shorter, except the last. Asked for where to verify one costs more than to send it: a key
/// shall not keep the gateway busy with chunks of a byte.
const SHORTEST_ASYMMETRIC: u64 = 8 * 1024;

/// Reads a body.
pub struct Decoder {
    /// With which the chunks are verified, where they are signed.
    chain: Option<Chain>,
    framing: Framing,
    /// Of the decoded length, what has not been announced by a chunk yet.
    left: u64,
    state: State,
    /// A line of which only the beginning is there.
    line: Vec<u8>,
    /// The trailer's value.
    trailer: Option<String>,
    /// An empty line stands between the trailer and its signature.
    gap: bool,
}

enum State {
    /// In a chunk's data, of which so much is missing.
    Data { missing: u64, signed: Option<Box<(Context, String)>> },
    /// Before the end of the line behind a chunk's data.
    DataEnd,
    /// All was read.
    End,
    /// In a chunk's first line.
    Header,
    /// In the lines behind the last chunk.
    Trailer(Awaited),
}

/// What has to be the next line behind the last chunk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Awaited {
    Empty,
    Signature,
    Value,
}

impl Decoder {
    /// Of a body with this `framing`; signed chunks are verified with `chain`.
    pub fn new(framing: Framing, chain: Option<Chain>) -> Self {
        let left = framing.decoded_length;
        Self { chain, framing, left, state: State::Header, line: Vec::new(), trailer: None, gap: false }
    }

    /// The next piece of what `input` holds, which is taken away from it; none if more input is needed.
    pub fn next(&mut self, input: &mut Bytes) -> Result<Option<Piece>, ChunkError> {
        loop {
            match &mut self.state {
                State::Data { missing, signed } => {
                    if input.is_empty() {
                        return Ok(None);
                    }
                    let length = usize::try_from(*missing).unwrap_or(usize::MAX).min(input.len());
                    let data = input.split_to(length);
                    *missing -= length as u64;
                    if let Some(signed) = signed {
                        signed.0.update(&data);
                    }
                    if *missing == 0 {
                        self.end_data()?;
                    }
                    return Ok(Some(Piece::Data(data)));
                }
                State::End if input.is_empty() => return Ok(None),
                State::End => return Err(ChunkError::AfterEnd),
                State::DataEnd | State::Header | State::Trailer(_) => {
                    let Some(line) = self.line(input)? else { return Ok(None) };
                    self.take(&line)?;
                    if matches!(self.state, State::End) {
                        return Ok(Some(Piece::End(self.trailer.take())));
                    }
                }
            }
        }
    }

    /// Was all read? To be asked when there is no more input.
    pub fn finish(&self) -> Result<(), ChunkError> {
        if matches!(self.state, State::End) { Ok(()) } else { Err(ChunkError::Truncated) }
    }

    /// The next line, without its end.
    fn line(&mut self, input: &mut Bytes) -> Result<Option<Vec<u8>>, ChunkError> {
        let end = input.iter().position(|&byte| byte == b'\n');
        let length = end.unwrap_or(input.len());
        if self.line.len() + length > LONGEST_LINE {
            return Err(ChunkError::Line);
        }
        self.line.extend_from_slice(&input.split_to(length));
        if end.is_none() {
            return Ok(None);
        }
        input.advance(1);
        let mut line = std::mem::take(&mut self.line);
        // Of a signed trailer, AWS's documentation writes `name:value\n\r\n`, and so does minio-go.
        let is_signed_value = matches!(self.state, State::Trailer(Awaited::Value)) && self.framing.signed.is_some();
        if line.last() == Some(&b'\r') {
            line.pop();
        } else if is_signed_value {
            self.gap = true;
        } else {
            return Err(ChunkError::Line);
        }
        if line.contains(&b'\r') { Err(ChunkError::Line) } else { Ok(Some(line)) }
    }

    fn take(&mut self, line: &[u8]) -> Result<(), ChunkError> {
        self.state = match self.state {
            State::DataEnd if line.is_empty() => State::Header,
            State::DataEnd => return Err(ChunkError::Length),
            State::Header => self.begin_chunk(line)?,
            State::Trailer(awaited) => self.end_chunks(awaited, line)?,
            State::Data { .. } | State::End => return Err(ChunkError::AfterEnd),
        };
        Ok(())
    }

    fn begin_chunk(&mut self, line: &[u8]) -> Result<State, ChunkError> {
        let line = std::str::from_utf8(line).map_err(|_| ChunkError::Header)?;
        let (size, signature) = if self.chain.is_some() {
            let (size, extension) = line.split_once(';').ok_or(ChunkError::Header)?;
            let signature = extension.strip_prefix(CHUNK_SIGNATURE).ok_or(ChunkError::Header)?;
            if self.framing.signature() != Some(signature.len()) {
                return Err(ChunkError::Header);
            }
            (size, Some(signature))
        } else {
            (line, None)
        };
        let size = chunk_size(size).ok_or(ChunkError::Header)?;
        self.left = self.left.checked_sub(size).ok_or(ChunkError::Length)?;
        if size > 0 {
            let is_dear = self.framing.signed == Some(Algorithm::EcdsaP256);
            if is_dear && self.left > 0 && size < SHORTEST_ASYMMETRIC {
                return Err(ChunkError::Short);
            }
            let signed = signature.map(|signature| Box::new((Context::new(&SHA256), signature.to_owned())));
            return Ok(State::Data { missing: size, signed });
        }
        if self.left > 0 {
            return Err(ChunkError::Length);
        }
        if let Some(signature) = signature {
            self.verify(Context::new(&SHA256), signature)?;
        }
        Ok(State::Trailer(if self.framing.trailer.is_some() { Awaited::Value } else { Awaited::Empty }))
    }

    fn end_data(&mut self) -> Result<(), ChunkError> {
        if let State::Data { signed: Some(signed), .. } = std::mem::replace(&mut self.state, State::DataEnd) {
            let (hash, signature) = *signed;
            self.verify(hash, &signature)?;
        }
        Ok(())
    }

    fn verify(&mut self, hash: Context, signature: &str) -> Result<(), ChunkError> {
        let is_right = |chain: &mut Chain| chain.verify_chunk(hash.finish().as_ref(), signature.as_bytes());
        if self.chain.as_mut().is_some_and(is_right) { Ok(()) } else { Err(ChunkError::Signature) }
    }

    fn end_chunks(&mut self, awaited: Awaited, line: &[u8]) -> Result<State, ChunkError> {
        match awaited {
            Awaited::Empty if line.is_empty() => return Ok(State::End),
            Awaited::Empty => return Err(ChunkError::AfterEnd),
            Awaited::Value => {
                let (name, value) =
                    std::str::from_utf8(line).ok().and_then(|line| line.split_once(':')).ok_or(ChunkError::Trailer)?;
                if !self.framing.trailer.is_some_and(|declared| name.eq_ignore_ascii_case(declared)) {
                    return Err(ChunkError::Trailer);
                }
                self.trailer = Some(value.to_owned());
            }
            Awaited::Signature if line.is_empty() && std::mem::take(&mut self.gap) => {
                return Ok(State::Trailer(awaited));
            }
            Awaited::Signature if self.gap => return Err(ChunkError::Line),
            Awaited::Signature => {
                let (name, signature) = line.split_at_checked(TRAILER_SIGNATURE.len()).ok_or(ChunkError::Trailer)?;
                if !name.eq_ignore_ascii_case(TRAILER_SIGNATURE.as_bytes()) {
                    return Err(ChunkError::Trailer);
                }
                let lines = trailer_lines(self.framing.trailer, self.trailer.as_deref());
                let is_right = |chain: &mut Chain| chain.verify_trailer(lines.as_bytes(), signature);
                if !self.chain.as_mut().is_some_and(is_right) {
                    return Err(ChunkError::Signature);
                }
            }
        }
        let signature_follows = awaited == Awaited::Value && self.framing.signed.is_some();
        Ok(State::Trailer(if signature_follows { Awaited::Signature } else { Awaited::Empty }))
    }
}

/// Hex digits and nothing else: no sign, no space, no zeros in front.
fn chunk_size(text: &str) -> Option<u64> {
    let has_digits_alone = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_short = text == "0" || !text.starts_with('0');
    u64::from_str_radix(text, 16).ok().filter(|_| has_digits_alone && is_short)
}
