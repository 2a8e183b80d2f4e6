//! Event streams towards the cloud: each message verified and signed anew as soon as it is here, while the answer may
//! have begun already.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::Body;

use super::{
    body::{ANSWER_SILENCE, BodyError},
    leash::Silence,
    upload::Upload,
};
use crate::{
    clock::Clock,
    sigv4::{EventChain, Events},
};

/// An event stream on its way to the cloud.
pub(super) struct EventStream {
    upload: Upload,
    events: Events,
    ended: bool,
    clock: Clock,
    passed: Arc<AtomicU64>,
    silence: Silence,
}

impl EventStream {
    /// `upload`, whose messages are verified with one chain and signed with the other.
    pub(super) fn new(
        upload: Upload,
        client: EventChain,
        cloud: EventChain,
        clock: Clock,
        passed: Arc<AtomicU64>,
    ) -> Self {
        // A stream may be silent for longer than an upload: somebody thinks, or listens.
        let silence = Silence::new(ANSWER_SILENCE);
        Self { upload, events: Events::new(client, cloud), ended: false, clock, passed, silence }
    }

    pub(super) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        while !self.ended {
            if let Some(message) = self.events.next(self.clock.now()).map_err(BodyError::Event)? {
                return Poll::Ready(Some(Ok(message)));
            }
            let Poll::Ready(next) = Pin::new(&mut self.upload).poll_frame(cx) else {
                return self.silence.poll_lasted(cx).map(|()| Some(Err(BodyError::Silence)));
            };
            self.silence.broken();
            if let Some(frame) = next.transpose().map_err(BodyError::Client)? {
                let data = frame.into_data().unwrap_or_default();
                self.passed.fetch_add(data.len() as u64, Ordering::Relaxed);
                self.events.push(&data);
            } else {
                self.events.finish().map_err(BodyError::Event)?;
                self.ended = true;
            }
        }
        Poll::Ready(None)
    }

    pub(super) const fn is_end_stream(&self) -> bool {
        self.ended
    }
}
