//! aws-chunked uploads: read, verified and written anew as they go by, in memory that does not grow with them.
//!
//! Of a chunk that is not wholly here its data may already be on its way to the cloud. What ends the body there, the last
//! chunk and the trailer, is made only when every signature and the checksum were found right and the client's body has
//! ended: the cloud never holds a complete object that was tampered with.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use http_body::{Body, SizeHint};

use super::{
    body::{BodyError, UPLOAD_SILENCE},
    leash::Silence,
    upload::Upload,
};
use crate::{
    cloud::{
        Refusal,
        aws::checksum::{Algorithm, Checksum},
    },
    sigv4::{Chain, Decoder, Encoder, Framing, Piece, Streaming},
};

static DECODED_LENGTH: HeaderName = HeaderName::from_static("x-amz-decoded-content-length");
static TRAILER: HeaderName = HeaderName::from_static("x-amz-trailer");

/// Beyond any object of S3's, and far from where sums overflow.
const LONGEST: u64 = 1 << 50;

/// What the head of a request says of its aws-chunked body, and how that will be verified.
pub(super) struct Chunked {
    framing: Framing,
    trailer: Option<Algorithm>,
    decoder: Decoder,
}

impl Chunked {
    /// Is `form` one that is understood here?
    pub(super) const fn reads(form: Streaming) -> bool {
        !matches!(form, Streaming::Events)
    }

    /// Reads the head of a request whose body comes in the form `form`; signed chunks go on from `chain`.
    ///
    /// `Content-Encoding: aws-chunked` is not asked for: `x-amz-content-sha256` says so already, which is signed, and
    /// some clients (minio-go) leave it at that.
    pub(super) fn read(headers: &HeaderMap, form: Streaming, chain: Chain) -> Result<Self, Refusal> {
        let length = only(headers, &DECODED_LENGTH)?;
        let decoded_length = length.and_then(decimal).filter(|length| *length <= LONGEST).ok_or_else(|| {
            malformed("A body in aws-chunked coding needs 'x-amz-decoded-content-length', the length of its data")
        })?;
        let trailer = match only(headers, &TRAILER)? {
            Some(name) if form.has_trailer() => Some(algorithm(name)?),
            None if !form.has_trailer() || form.signed_with().is_none() => None,
            _ => return Err(malformed("'x-amz-trailer' must be there if, and only if, a trailer follows the body")),
        };
        let framing = Framing { signed: form.signed_with(), decoded_length, trailer: trailer.map(Algorithm::header) };
        let decoder = Decoder::new(framing.clone(), form.signed_with().map(|_| chain));
        Ok(Self { framing, trailer, decoder })
    }

    /// Declares the length that the new body will have, where the client declared that of its own.
    pub(super) fn declare_length(&self, headers: &mut HeaderMap, upload: &Upload) {
        match upload.size_hint().exact() {
            Some(_) => drop(headers.insert(header::CONTENT_LENGTH, HeaderValue::from(self.length()))),
            None => drop(headers.remove(header::CONTENT_LENGTH)),
        }
    }

    /// The new body; its chunks are signed from `chain` on, where they are signed at all.
    pub(super) fn recode(self, upload: Upload, chain: Chain, passed: Arc<AtomicU64>) -> Recoded {
        let left = upload.size_hint().exact().map(|_| self.length());
        let encoder = Encoder::new(&self.framing, chain);
        Recoded {
            upload,
            decoder: self.decoder,
            checksum: self.trailer.map(|algorithm| (algorithm, algorithm.begin())),
            encoder: Some(encoder),
            input: Bytes::new(),
            data: Bytes::new(),
            trailer: None,
            left,
            passed,
            silence: Silence::new(UPLOAD_SILENCE),
        }
    }

    fn length(&self) -> u64 {
        Encoder::length(&self.framing, self.trailer.map_or(0, Algorithm::text_length))
    }
}

/// An aws-chunked body on its way to the cloud.
pub(super) struct Recoded {
    upload: Upload,
    decoder: Decoder,
    checksum: Option<(Algorithm, Checksum)>,
    /// None once the end was given out.
    encoder: Option<Encoder>,
    /// From the client, not decoded yet.
    input: Bytes,
    /// Decoded, not encoded yet.
    data: Bytes,
    /// The value of the trailer, found right.
    trailer: Option<String>,
    /// Of the new body's length, if it was declared.
    left: Option<u64>,
    passed: Arc<AtomicU64>,
    silence: Silence,
}

impl Recoded {
    pub(super) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        while self.encoder.is_some() {
            if let Some(chunk) = self.recode()? {
                return Poll::Ready(Some(Ok(self.given_out(chunk))));
            }
            let Poll::Ready(next) = Pin::new(&mut self.upload).poll_frame(cx) else {
                return self.silence.poll_lasted(cx).map(|()| Some(Err(BodyError::Silence)));
            };
            self.silence.broken();
            let Some(frame) = next.transpose().map_err(BodyError::Client)? else {
                self.decoder.finish().map_err(BodyError::Chunked)?;
                let end = self.encoder.take().map(|encoder| encoder.finish(self.trailer.as_deref()));
                return Poll::Ready(end.map(|end| Ok(self.given_out(end))));
            };
            // HTTP's own trailers are nobody's: those that count are inside the coding.
            self.input = frame.into_data().unwrap_or_default();
            self.passed.fetch_add(self.input.len() as u64, Ordering::Relaxed);
        }
        Poll::Ready(None)
    }

    /// The next chunk that can be made of what is here; none if more has to come.
    fn recode(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            while let Some(encoder) = self.encoder.as_mut().filter(|_| !self.data.is_empty()) {
                if let Some(chunk) = encoder.push(&mut self.data) {
                    return Ok(Some(chunk));
                }
            }
            match self.decoder.next(&mut self.input).map_err(BodyError::Chunked)? {
                None => return Ok(None),
                Some(Piece::Data(data)) => {
                    if let Some((_, checksum)) = &mut self.checksum {
                        checksum.update(&data);
                    }
                    self.data = data;
                }
                Some(Piece::End(trailer)) => {
                    if let Some((algorithm, checksum)) = self.checksum.take()
                        && trailer.as_ref() != Some(&checksum.text())
                    {
                        return Err(BodyError::Checksum(algorithm.header()));
                    }
                    self.trailer = trailer;
                }
            }
        }
    }

    fn given_out(&mut self, part: Bytes) -> Bytes {
        self.left = self.left.map(|left| left.saturating_sub(part.len() as u64));
        part
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.encoder.is_none()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

/// The one value of the header, if it is there.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    match (values.next().map(HeaderValue::to_str), values.next()) {
        (None, _) => Ok(None),
        (Some(Ok(value)), None) => Ok(Some(value)),
        _ => Err(malformed(&format!("'{name}' must be given once"))),
    }
}

/// Digits and nothing else.
fn decimal(text: &str) -> Option<u64> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn algorithm(name: &str) -> Result<Algorithm, Refusal> {
    Algorithm::of_header(name).ok_or_else(|| {
        let known: Vec<_> = Algorithm::ALL.iter().map(|algorithm| algorithm.header()).collect();
        let known = known.join(", ");
        malformed(&format!(
            "A trailer must be one checksum that can be verified here ({known}); 'x-amz-trailer' declares another"
        ))
    })
}

fn malformed(what: &str) -> Refusal {
    Refusal::Malformed { what: what.to_owned() }
}
