//! Bodies that have to be held, because their hash or their `Action` must be known before a byte goes on.
//!
//! Bounded twice: a body by `gateway.max_buffered_body`, all of them together by a budget of the whole appliance.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use ring::digest::{Context, SHA256};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::upload::Upload;

/// For the next byte of a body that is waited for: nothing is sent on meanwhile, so patience costs memory.
const STALL: Duration = Duration::from_secs(30);

/// For memory to become free, before the client is told to come back later.
const WAIT: Duration = Duration::from_secs(10);

/// The budget is counted in units of this many bytes.
const UNIT: usize = 1024;

/// A body that is wholly here, and its place in the budget.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) bytes: Bytes,
    pub(super) sha256: [u8; 32],
    _place: OwnedSemaphorePermit,
}

/// Why a body could not be held.
#[derive(Debug, thiserror::Error)]
pub(super) enum HoldError {
    #[error("the body is larger than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("the memory for held bodies is used up")]
    NoMemory,
    #[error("the client sent no byte of the body for {} seconds", STALL.as_secs())]
    Stalled,
    #[error("the client's body ended early or is malformed: {0}")]
    Broken(#[source] hyper::Error),
}

/// Memory for held bodies: so much for one, so much for all together.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    limit: u64,
    all: Arc<Semaphore>,
}

impl Budget {
    /// `limit` bytes for one body, `all` bytes for all of them.
    pub(super) fn new(limit: u64, all: u64) -> Self {
        let units = usize::try_from(all).unwrap_or(usize::MAX) / UNIT;
        Self { limit, all: Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS))) }
    }

    /// Reads `upload` to its end.
    pub(super) async fn hold(&self, upload: &mut Upload) -> Result<Held, HoldError> {
        let declared = upload.size_hint().exact();
        if declared.is_some_and(|length| length > self.limit) {
            return Err(HoldError::TooLarge { limit: self.limit });
        }
        let mut place = self.place_for(declared.unwrap_or(0)).await?;
        let (mut hash, mut pieces) = (Context::new(&SHA256), Pieces::default());
        while let Some(frame) = timeout(STALL, upload.frame()).await.map_err(|_| HoldError::Stalled)? {
            // Trailers say nothing here: without a streaming signature nobody vouches for them.
            let Ok(data) = frame.map_err(HoldError::Broken)?.into_data() else { continue };
            let length = pieces.length().saturating_add(data.len());
            if length as u64 > self.limit {
                return Err(HoldError::TooLarge { limit: self.limit });
            }
            self.enlarge(&mut place, length)?;
            hash.update(&data);
            pieces.push(data, declared);
        }
        let sha256 = hash.finish().as_ref().try_into().unwrap_or_default();
        Ok(Held { bytes: pieces.join(), sha256, _place: place })
    }

    /// Waits its turn: who asks knows how much it needs, so nobody waits while holding a part.
    async fn place_for(&self, bytes: u64) -> Result<OwnedSemaphorePermit, HoldError> {
        let units = u32::try_from(bytes.div_ceil(UNIT as u64)).map_err(|_| HoldError::NoMemory)?;
        let waiting = timeout(WAIT, Arc::clone(&self.all).acquire_many_owned(units));
        waiting.await.map_err(|_| HoldError::NoMemory)?.map_err(|_| HoldError::NoMemory)
    }

    /// Makes `place` one for so many bytes. Does not wait: a body of unknown length already holds a part, and two such
    /// would wait for each other.
    fn enlarge(&self, place: &mut OwnedSemaphorePermit, bytes: usize) -> Result<(), HoldError> {
        let missing = bytes.div_ceil(UNIT).saturating_sub(place.num_permits());
        if missing > 0 {
            let units = u32::try_from(missing).map_err(|_| HoldError::NoMemory)?;
            place.merge(Arc::clone(&self.all).try_acquire_many_owned(units).map_err(|_| HoldError::NoMemory)?);
        }
        Ok(())
    }
}

/// Pieces as they come; a body of one piece, as most are, is not copied.
#[derive(Default)]
struct Pieces {
    first: Bytes,
    /// All of them, once there are two.
    all: BytesMut,
}

impl Pieces {
    fn length(&self) -> usize {
        self.first.len() + self.all.len()
    }

    /// `whole` is the length of the whole body, if that is known.
    fn push(&mut self, data: Bytes, whole: Option<u64>) {
        if self.length() == 0 {
            self.first = data;
            return;
        }
        if self.all.is_empty() {
            self.all
                .reserve(whole.and_then(|whole| usize::try_from(whole).ok()).unwrap_or(self.first.len() + data.len()));
            self.all.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.all.extend_from_slice(&data);
    }

    fn join(self) -> Bytes {
        if self.all.is_empty() { self.first } else { self.all.freeze() }
    }
}
