//! Bodies that go on to the cloud as they arrive: checked on their way against the hash that was signed, if one was.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use ring::digest;

use super::{
    body::{BodyError, UPLOAD_SILENCE},
    leash::Silence,
    upload::Upload,
};

/// A body whose last piece is kept back until the whole is known to be what was signed, so that the cloud never holds
/// a complete body that was tampered with.
pub(super) struct Streamed {
    upload: Upload,
    /// None if nothing was signed about the body, and once it was found right.
    check: Option<Check>,
    /// The piece that would be last if nothing followed.
    ahead: Option<Bytes>,
    ended: bool,
    passed: Arc<AtomicU64>,
    silence: Silence,
}

struct Check {
    expected: [u8; 32],
    found: digest::Context,
}

impl Streamed {
    /// `upload` as it arrives; if a `sha256` was signed, its end is given out only if the whole has it. `passed` counts
    /// its bytes.
    pub(super) fn new(upload: Upload, sha256: Option<[u8; 32]>, passed: Arc<AtomicU64>) -> Self {
        let check = sha256.map(|expected| Check { expected, found: digest::Context::new(&digest::SHA256) });
        Self { upload, check, ahead: None, ended: false, passed, silence: Silence::new(UPLOAD_SILENCE) }
    }

    pub(super) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        while !self.ended {
            let Poll::Ready(next) = Pin::new(&mut self.upload).poll_frame(cx) else {
                return self.silence.poll_lasted(cx).map(|()| Some(Err(BodyError::Silence)));
            };
            self.silence.broken();
            let released = match next.transpose().map_err(BodyError::Client)?.map(Frame::into_data) {
                Some(Ok(data)) => {
                    self.passed.fetch_add(data.len() as u64, Ordering::Relaxed);
                    match &mut self.check {
                        Some(check) => {
                            check.found.update(&data);
                            self.ahead.replace(data)
                        }
                        None => Some(data),
                    }
                }
                // Trailers: nobody signed them.
                Some(Err(_)) => None,
                None => {
                    self.end()?;
                    None
                }
            };
            if !self.ended && self.upload.is_end_stream() {
                self.end()?;
            }
            if released.is_some() {
                return Poll::Ready(released.map(Ok));
            }
        }
        Poll::Ready(self.ahead.take().map(Ok))
    }

    fn end(&mut self) -> Result<(), BodyError> {
        self.ended = true;
        if self.check.take().is_none_or(|check| check.found.finish().as_ref() == check.expected) {
            return Ok(());
        }
        self.ahead = None;
        Err(BodyError::HashMismatch)
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.ended && self.ahead.is_none()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        let ahead = self.ahead.as_ref().map_or(0, |data| data.len() as u64);
        let mut hint = SizeHint::new();
        let inner = self.upload.size_hint();
        hint.set_lower(inner.lower() + ahead);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + ahead);
        }
        hint
    }
}
