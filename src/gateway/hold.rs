//! Bodies that have to be held, because their hash or their `Action` must be known before a byte goes on.
//!
//! Bounded twice: a body by `gateway.max_buffered_body`, all of them together by a room of the whole appliance. What is
//! larger goes into a sealed file, unless it has to be read.

use std::{net::IpAddr, time::Duration};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use ring::digest::{Context, SHA256};
use tokio::time::{Instant, timeout};

use super::{
    room::{Place, Room},
    spool::{Sealed, Spool, SpoolError},
    upload::{Upload, UploadError},
};

/// For the next byte of a body that is waited for: nothing is sent on meanwhile, so patience costs memory.
const STALL: Duration = Duration::from_secs(30);

/// And so many bytes a second have to come on average, once that time is over: what keeps bytes coming holds memory, too.
const PACE: u64 = 16 * 1024;

/// For memory to become free, before the client is told to come back later.
const WAIT: Duration = Duration::from_secs(10);

/// The room is counted in units of this many bytes.
const UNIT: u64 = 1024;

/// A body that is wholly here.
pub(super) struct Held {
    pub(super) content: Content,
    pub(super) sha256: [u8; 32],
}

/// Where a body is.
pub(super) enum Content {
    /// In memory, with its place there.
    Memory(Bytes, Place),
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
    #[error("the body came at less than {} KiB a second", PACE / 1024)]
    TooSlow,
    #[error("the client's body ended early or is malformed: {0}")]
    Broken(#[source] UploadError),
}

/// Room for held bodies: so much for one, so much for all together, and files for those that memory is not for.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    limit: u64,
    room: Room,
    spool: Spool,
}

impl Budget {
    /// `limit` bytes of memory for one body, `all` bytes for all of them, and what `spool` has.
    pub(super) fn new(limit: u64, all: u64, spool: Spool) -> Self {
        Self { limit, room: Room::new(units(all), units(limit)), spool }
    }

    /// Reads `upload` to its end.
    pub(super) async fn hold(&self, upload: &mut Upload, why: For) -> Result<Held, HoldError> {
        let declared = upload.size_hint().exact();
        if let Some(length) = declared
            && length > self.limit
        {
            self.check(length, why)?;
            return self.spool(Reading::of(upload), Bytes::new(), None, why).await;
        }
        let mut place = self.place_for(upload.client(), declared.unwrap_or(0)).await?;
        let mut reading = Reading::of(upload);
        let mut pieces = Pieces::default();
        while let Some(data) = reading.next().await? {
            let length = pieces.length().saturating_add(data.len());
            if length as u64 > self.limit {
                self.check(length as u64, why)?;
                pieces.push(data, None);
                return self.spool(reading, pieces.join(), Some(place), why).await;
            }
            place.enlarge(units(length as u64)).ok_or(HoldError::NoMemory)?;
            pieces.push(data, declared);
        }
        Ok(Held { content: Content::Memory(pieces.join(), place), sha256: reading.sha256() })
    }

    /// Reads `upload` to its end and keeps nothing but its hash; and says how long it was.
    pub(super) async fn digest(&self, upload: &mut Upload) -> Result<([u8; 32], u64), HoldError> {
        let mut length = upload.size_hint().lower();
        let mut reading = Reading::of(upload);
        loop {
            if length > self.limit {
                self.check(length, For::Hash)?;
            }
            if reading.next().await?.is_none() {
                return Ok((reading.sha256(), length));
            }
            length = length.max(reading.received);
        }
    }

    /// Puts what has `begun`, and has a `place` in memory until then, and all that follows into a file.
    async fn spool(
        &self,
        mut reading: Reading<'_>,
        begun: Bytes,
        place: Option<Place>,
        why: For,
    ) -> Result<Held, HoldError> {
        let mut length = begun.len() as u64;
        let mut writer = self.spool.begin(reading.upload.client()).await?.push(begun).await?;
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
    async fn place_for(&self, client: IpAddr, bytes: u64) -> Result<Place, HoldError> {
        let waiting = timeout(WAIT, self.room.take(client, units(bytes)));
        waiting.await.ok().flatten().ok_or(HoldError::NoMemory)
    }
}

fn units(bytes: u64) -> usize {
    usize::try_from(bytes.div_ceil(UNIT)).unwrap_or(usize::MAX)
}

/// A body on its way in.
struct Reading<'u> {
    upload: &'u mut Upload,
    hash: Context,
    began: Instant,
    received: u64,
}

impl<'u> Reading<'u> {
    fn of(upload: &'u mut Upload) -> Self {
        Self { upload, hash: Context::new(&SHA256), began: Instant::now(), received: 0 }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, HoldError> {
        // Trailers say nothing here: without a streaming signature nobody vouches for them.
        while let Some(frame) = self.frame().await? {
            let Ok(data) = frame.into_data() else { continue };
            self.hash.update(&data);
            self.received += data.len() as u64;
            return Ok(Some(data));
        }
        Ok(None)
    }

    async fn frame(&mut self) -> Result<Option<Frame<Bytes>>, HoldError> {
        let allowed = STALL + Duration::from_secs(self.received / PACE);
        let left = allowed.saturating_sub(self.began.elapsed());
        let slow = left < STALL && self.received > 0;
        let (patience, error) = if slow { (left, HoldError::TooSlow) } else { (STALL, HoldError::Stalled) };
        let frame = timeout(patience, self.upload.frame()).await.map_err(|_| error)?;
        frame.transpose().map_err(HoldError::Broken)
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
