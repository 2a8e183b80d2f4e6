//! Bodies that have to be held, because their hash or their `Action` must be known before a byte goes on.
//!
//! Bounded twice: a body by `gateway.max_buffered_body`, all of them together by a budget of the whole appliance. What is
//! larger goes into a sealed file, unless it has to be read.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use ring::digest::{Context, SHA256};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{
    spool::{Sealed, Spool, SpoolError},
    upload::Upload,
};

/// For the next byte of a body that is waited for: nothing is sent on meanwhile, so patience costs memory.
const STALL: Duration = Duration::from_secs(30);

/// For memory to become free, before the client is told to come back later.
const WAIT: Duration = Duration::from_secs(10);

/// The budget is counted in units of this many bytes.
const UNIT: usize = 1024;

/// A body that is wholly here.
pub(super) struct Held {
    pub(super) content: Content,
    pub(super) sha256: [u8; 32],
}

/// Where a body is.
pub(super) enum Content {
    /// In memory, with its place in the budget.
    Memory(Bytes, OwnedSemaphorePermit),
    /// In a file.
    Sealed(Box<Sealed>),
}

impl Held {
    pub(super) fn length(&self) -> u64 {
        match &self.content {
            Content::Memory(bytes, _) => bytes.len() as u64,
            Content::Sealed(sealed) => sealed.length(),
        }
    }

    /// The body, if it is in memory: one that has to be read is.
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        match &self.content {
            Content::Memory(bytes, _) => Some(bytes),
            Content::Sealed(_) => None,
        }
    }
}

/// What a body is held for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum For {
    /// Its hash alone: it may be anywhere.
    Hash,
    /// To be read: it must be in memory.
    Reading,
}

/// Why a body could not be held.
#[derive(Debug, thiserror::Error)]
pub(super) enum HoldError {
    #[error("the body is larger than {limit} bytes, as {setting} says")]
    TooLarge { limit: u64, setting: &'static str },
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error("the memory for held bodies is used up")]
    NoMemory,
    #[error("the client sent no byte of the body for {} seconds", STALL.as_secs())]
    Stalled,
    #[error("the client's body ended early or is malformed: {0}")]
    Broken(#[source] hyper::Error),
}

/// Room for held bodies: so much for one, so much for all together, and files for those that memory is not for.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    limit: u64,
    all: Arc<Semaphore>,
    spool: Spool,
}

impl Budget {
    /// `limit` bytes of memory for one body, `all` bytes for all of them, and what `spool` has.
    pub(super) fn new(limit: u64, all: u64, spool: Spool) -> Self {
        let units = usize::try_from(all).unwrap_or(usize::MAX) / UNIT;
        Self { limit, all: Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS))), spool }
    }

    /// Reads `upload` to its end.
    pub(super) async fn hold(&self, upload: &mut Upload, why: For) -> Result<Held, HoldError> {
        let declared = upload.size_hint().exact();
        let mut reading = Reading { upload, hash: Context::new(&SHA256) };
        if declared.is_some_and(|length| length > self.limit) {
            self.check(declared.unwrap_or(u64::MAX), why)?;
            return self.spool(reading, Bytes::new(), None, why).await;
        }
        let mut place = self.place_for(declared.unwrap_or(0)).await?;
        let mut pieces = Pieces::default();
        while let Some(data) = reading.next().await? {
            let length = pieces.length().saturating_add(data.len());
            if length as u64 > self.limit {
                self.check(length as u64, why)?;
                pieces.push(data, None);
                return self.spool(reading, pieces.join(), Some(place), why).await;
            }
            self.enlarge(&mut place, length)?;
            pieces.push(data, declared);
        }
        Ok(Held { content: Content::Memory(pieces.join(), place), sha256: reading.sha256() })
    }

    /// Puts what has `begun`, and has a `place` in memory until then, and all that follows into a file.
    async fn spool(
        &self,
        mut reading: Reading<'_>,
        begun: Bytes,
        place: Option<OwnedSemaphorePermit>,
        why: For,
    ) -> Result<Held, HoldError> {
        let mut length = begun.len() as u64;
        let mut writer = self.spool.begin().await?.push(begun).await?;
        drop(place);
        while let Some(data) = reading.next().await? {
            length = length.saturating_add(data.len() as u64);
            self.check(length, why)?;
            writer = writer.push(data).await?;
        }
        Ok(Held { content: Content::Sealed(Box::new(writer.finish().await?)), sha256: reading.sha256() })
    }

    /// May a body be so long that is too long for memory?
    fn check(&self, length: u64, why: For) -> Result<(), HoldError> {
        match why {
            For::Reading => Err(HoldError::TooLarge { limit: self.limit, setting: "gateway.max_buffered_body" }),
            For::Hash if length > self.spool.limit => Err(HoldError::TooLarge {
                limit: self.limit.max(self.spool.limit),
                setting: "gateway.max_spooled_body",
            }),
            For::Hash => Ok(()),
        }
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

/// A body on its way in.
struct Reading<'u> {
    upload: &'u mut Upload,
    hash: Context,
}

impl Reading<'_> {
    async fn next(&mut self) -> Result<Option<Bytes>, HoldError> {
        while let Some(frame) = timeout(STALL, self.upload.frame()).await.map_err(|_| HoldError::Stalled)? {
            // Trailers say nothing here: without a streaming signature nobody vouches for them.
            let Ok(data) = frame.map_err(HoldError::Broken)?.into_data() else { continue };
            self.hash.update(&data);
            return Ok(Some(data));
        }
        Ok(None)
    }

    fn sha256(self) -> [u8; 32] {
        self.hash.finish().as_ref().try_into().unwrap_or_default()
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
