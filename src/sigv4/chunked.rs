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

use bytes::{Buf, Bytes, BytesMut};
use ring::digest::{Context, SHA256};

use super::Chain;

/// The size of the chunks that we write; S3 takes none below 8 KiB except the last.
const CHUNK: usize = 64 * 1024;

/// Longer than any line that belongs into such a body.
const LONGEST_LINE: usize = 512;

const CHUNK_SIGNATURE: &str = "chunk-signature=";
const TRAILER_SIGNATURE: &str = "x-amz-trailer-signature:";
const SIGNATURE: usize = 64;

/// What a request's head says of its aws-chunked body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Framing {
    /// Is each chunk signed, and the trailer?
    pub signed: bool,
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
}

enum State {
    /// In a chunk's data, of which so much is missing.
    Data { missing: u64, signed: Option<(Context, [u8; SIGNATURE])> },
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
        Self { chain, framing, left, state: State::Header, line: Vec::new(), trailer: None }
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
                    if let Some((hash, _)) = signed {
                        hash.update(&data);
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
        if line.pop() == Some(b'\r') && !line.contains(&b'\r') { Ok(Some(line)) } else { Err(ChunkError::Line) }
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
        let (size, signature) = match &self.chain {
            None => (line, None),
            Some(_) => {
                let (size, extension) = line.split_once(';').ok_or(ChunkError::Header)?;
                let signature = extension.strip_prefix(CHUNK_SIGNATURE).ok_or(ChunkError::Header)?;
                (size, Some(signature_of(signature).ok_or(ChunkError::Header)?))
            }
        };
        let size = chunk_size(size).ok_or(ChunkError::Header)?;
        self.left = self.left.checked_sub(size).ok_or(ChunkError::Length)?;
        if size > 0 {
            let signed = signature.map(|signature| (Context::new(&SHA256), signature));
            return Ok(State::Data { missing: size, signed });
        }
        if self.left > 0 {
            return Err(ChunkError::Length);
        }
        if let Some(signature) = signature {
            self.verify(Context::new(&SHA256), &signature)?;
        }
        Ok(State::Trailer(if self.framing.trailer.is_some() { Awaited::Value } else { Awaited::Empty }))
    }

    fn end_data(&mut self) -> Result<(), ChunkError> {
        if let State::Data { signed: Some((hash, signature)), .. } = std::mem::replace(&mut self.state, State::DataEnd)
        {
            self.verify(hash, &signature)?;
        }
        Ok(())
    }

    fn verify(&mut self, hash: Context, signature: &[u8]) -> Result<(), ChunkError> {
        let is_right = |chain: &mut Chain| chain.verify_chunk(hash.finish().as_ref(), signature);
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
        let signature_follows = awaited == Awaited::Value && self.framing.signed;
        Ok(State::Trailer(if signature_follows { Awaited::Signature } else { Awaited::Empty }))
    }
}

/// Hex digits and nothing else: no sign, no space, no zeros in front.
fn chunk_size(text: &str) -> Option<u64> {
    let has_digits_alone = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_short = text == "0" || !text.starts_with('0');
    u64::from_str_radix(text, 16).ok().filter(|_| has_digits_alone && is_short)
}

fn signature_of(text: &str) -> Option<[u8; SIGNATURE]> {
    text.as_bytes().try_into().ok()
}

/// The trailer as it is signed.
fn trailer_lines(name: Option<&str>, value: Option<&str>) -> String {
    let line = |(name, value)| format!("{name}:{value}\n");
    name.zip(value).map(line).unwrap_or_default()
}

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
const ROOM: usize = 5 + 1 + CHUNK_SIGNATURE.len() + SIGNATURE + 2;

impl Encoder {
    /// Of a body with this `framing`; chunks are signed with `chain`, where they are to be.
    pub fn new(framing: &Framing, chain: Chain) -> Self {
        Self {
            chain: framing.signed.then_some(chain),
            trailer: framing.trailer,
            left: framing.decoded_length,
            chunk: BytesMut::new(),
        }
    }

    /// How long the body gets, whose trailer's value is so long.
    pub fn length(framing: &Framing, trailer_value: usize) -> u64 {
        let signature = if framing.signed { 1 + CHUNK_SIGNATURE.len() + SIGNATURE } else { 0 };
        let around = |size: u64| (format!("{size:x}").len() + signature + 4) as u64;
        let whole = framing.decoded_length / CHUNK as u64;
        let rest = framing.decoded_length % CHUNK as u64;
        let data = framing.decoded_length + whole * around(CHUNK as u64) + if rest > 0 { around(rest) } else { 0 };
        let trailer = framing.trailer.map_or(0, |name| {
            let signature = if framing.signed { TRAILER_SIGNATURE.len() + SIGNATURE + 2 } else { 0 };
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
                end.extend_from_slice(&chain.sign_trailer(trailer_lines(self.trailer, trailer).as_bytes()));
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
            line.extend_from_slice(&chain.sign_chunk(hash.finish().as_ref()));
        }
        line.extend_from_slice(b"\r\n");
        line
    }
}
