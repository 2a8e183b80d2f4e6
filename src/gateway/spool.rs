//! Bodies that have to be held and are too large for memory: in a file that nobody can find, sealed block by block under
//! a key that exists in memory only and once.
//!
//! Bounded twice, as held bodies in memory are: a body by `gateway.max_spooled_body`, all of them together by
//! `gateway.max_spooled_total`. Room is taken as bytes come, so that who announces much takes none before it has sent it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    net::IpAddr,
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom, SystemRandom},
};
use rustix::fs::{Mode, OFlags};
use tokio::task::{JoinHandle, spawn_blocking};

use super::room::{Place, Room};

/// What is sealed at one time: a block of the file, its tag aside.
const BLOCK: usize = 64 * 1024;

/// What is written or read at one time, and so what a body in a file takes of memory.
const BATCH: usize = 4 * BLOCK;

/// Where bodies are kept that are too large for memory, and how much of them.
#[derive(Clone, Debug)]
pub struct SpoolConfig {
    /// The directory; made when it is first needed.
    pub directory: PathBuf,
    /// The largest body, in bytes.
    pub max_body: u64,
    /// All bodies together, in bytes.
    pub max_total: u64,
}

/// Room for bodies in files.
#[derive(Clone, Debug)]
pub(super) struct Spool {
    directory: Arc<Path>,
    pub(super) limit: u64,
    room: Room,
}

/// Why a body could not be kept in a file.
#[derive(Debug, thiserror::Error)]
pub(super) enum SpoolError {
    #[error("the room for bodies in files is used up")]
    NoRoom,
    #[error("the disk can't take a body: {0}")]
    Disk(#[from] io::Error),
}

impl Spool {
    pub(super) fn new(config: &SpoolConfig) -> Self {
        let batches = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        let room = Room::new(batches(config.max_total) / BATCH, batches(config.max_body).div_ceil(BATCH));
        Self { directory: config.directory.as_path().into(), limit: config.max_body, room }
    }

    /// A file for one body, which comes from the address `client`.
    pub(super) async fn begin(&self, client: IpAddr) -> Result<Writer, SpoolError> {
        let place = self.room.begin(client).ok_or(SpoolError::NoRoom)?;
        let directory = Arc::clone(&self.directory);
        let sealed = blocking(move || {
            let file = open(&directory)?;
            let mut key = zeroize::Zeroizing::new([0; 32]);
            SystemRandom::new().fill(key.as_mut_slice()).map_err(|_| io::Error::other("no random bytes"))?;
            let key = UnboundKey::new(&AES_256_GCM, key.as_slice()).map_err(|_| io::Error::other("no key"))?;
            Ok(Sealed { file, key: LessSafeKey::new(key), length: 0, place })
        });
        Ok(Writer { sealed: sealed.await?, waiting: BytesMut::new() })
    }
}

/// A body on its way into its file.
pub(super) struct Writer {
    sealed: Sealed,
    waiting: BytesMut,
}

impl Writer {
    /// Takes what comes next.
    pub(super) async fn push(mut self, mut data: Bytes) -> Result<Self, SpoolError> {
        while !data.is_empty() {
            let more = data.split_to(data.len().min(BATCH - self.waiting.len()));
            self.waiting.extend_from_slice(&more);
            if self.waiting.len() == BATCH {
                self = self.write().await?;
            }
        }
        Ok(self)
    }

    /// There is no more.
    pub(super) async fn finish(self) -> Result<Sealed, SpoolError> {
        let done = if self.waiting.is_empty() { self } else { self.write().await? };
        Ok(done.sealed)
    }

    async fn write(self) -> Result<Self, SpoolError> {
        let Self { mut sealed, waiting } = self;
        sealed.place.enlarge(sealed.place.units() + 1).ok_or(SpoolError::NoRoom)?;
        let sealed = blocking(move || {
            sealed.append(&waiting)?;
            Ok(sealed)
        });
        Ok(Self { sealed: sealed.await?, waiting: BytesMut::new() })
    }
}

/// A body in its file. Dropped, it is gone.
pub(super) struct Sealed {
    file: File,
    key: LessSafeKey,
    length: u64,
    place: Place,
}

impl Sealed {
    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    /// Only a body's last batch may be shorter than a whole number of blocks.
    fn append(&mut self, data: &[u8]) -> io::Result<()> {
        for block in data.chunks(BLOCK) {
            let (nonce, at) = place_of(self.length / BLOCK as u64);
            let mut text = block.to_vec();
            let sealed = self.key.seal_in_place_append_tag(nonce, Aad::empty(), &mut text);
            sealed.map_err(|_| io::Error::other("a block can't be sealed"))?;
            self.file.write_all_at(&text, at)?;
            self.length += block.len() as u64;
        }
        Ok(())
    }

    /// What stands behind the first `from` bytes, which are whole blocks.
    fn read(&self, from: u64) -> io::Result<Bytes> {
        let mut out = BytesMut::new();
        let mut at = from;
        while at < self.length && out.len() < BATCH {
            let length = usize::try_from(self.length - at).unwrap_or(usize::MAX).min(BLOCK);
            let (nonce, offset) = place_of(at / BLOCK as u64);
            let mut text = vec![0; length + AES_256_GCM.tag_len()];
            self.file.read_exact_at(&mut text, offset)?;
            let opened = self.key.open_in_place(nonce, Aad::empty(), &mut text);
            out.extend_from_slice(opened.map_err(|_| io::Error::other("a block is not what was written"))?);
            at += length as u64;
        }
        Ok(out.freeze())
    }
}

/// The nonce of a block, which its key seals once, and where it stands in the file.
fn place_of(block: u64) -> (Nonce, u64) {
    let mut nonce = [0; NONCE_LEN];
    nonce.iter_mut().skip(NONCE_LEN - 8).zip(block.to_be_bytes()).for_each(|(to, from)| *to = from);
    (Nonce::assume_unique_for_key(nonce), block * (BLOCK + AES_256_GCM.tag_len()) as u64)
}

/// A body on its way out of its file.
pub(super) struct Unsealed {
    sealed: Arc<Sealed>,
    given: u64,
    /// What is being read.
    next: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Unsealed {
    pub(super) fn new(sealed: Sealed) -> Self {
        Self { sealed: Arc::new(sealed), given: 0, next: None }
    }

    pub(super) fn left(&self) -> u64 {
        self.sealed.length - self.given
    }

    pub(super) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.left() == 0 {
            return Poll::Ready(None);
        }
        let next = self.next.get_or_insert_with(|| {
            let (sealed, from) = (Arc::clone(&self.sealed), self.given);
            spawn_blocking(move || sealed.read(from))
        });
        let data = ready!(Pin::new(next).poll(cx)).map_err(io::Error::other).flatten();
        self.next = None;
        if let Ok(data) = &data {
            self.given += data.len() as u64;
        }
        Poll::Ready(Some(data))
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

/// A file without a name in `directory`, which is made if it is not there.
fn open(directory: &Path) -> io::Result<File> {
    let unnamed =
        || rustix::fs::open(directory, OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR);
    let opened = unnamed().or_else(|error| match error {
        rustix::io::Errno::NOENT => {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
            unnamed().map_err(io::Error::from)
        }
        error => Err(error.into()),
    });
    match opened {
        Ok(file) => Ok(file.into()),
        // A file system that can't do without names.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => open_and_unlink(directory),
        Err(error) => Err(error),
    }
}

fn open_and_unlink(directory: &Path) -> io::Result<File> {
    let mut name = [0; 16];
    SystemRandom::new().fill(&mut name).map_err(|_| io::Error::other("no random bytes"))?;
    let path = directory.join(hex::encode(name));
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    fs::remove_file(path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn spool(directory: &Path, max_total: u64) -> Spool {
        Spool::new(&SpoolConfig { directory: directory.join("a/spool"), max_body: 1 << 40, max_total })
    }

    async fn sealed(spool: &Spool, data: &[u8], piece: usize) -> Result<Sealed, SpoolError> {
        let mut writer = spool.begin(CLIENT).await?;
        for piece in data.chunks(piece) {
            writer = writer.push(Bytes::copy_from_slice(piece)).await?;
        }
        writer.finish().await
    }

    async fn read(sealed: Sealed) -> io::Result<Vec<u8>> {
        let (mut unsealed, mut out) = (Unsealed::new(sealed), Vec::new());
        while let Some(data) = std::future::poll_fn(|cx| unsealed.poll_data(cx)).await {
            out.extend_from_slice(&data?);
        }
        Ok(out)
    }

    fn data(length: usize) -> Vec<u8> {
        (0..length).map(|index| u8::try_from(index % 251).unwrap()).collect()
    }

    #[tokio::test]
    async fn what_was_put_in_comes_out() {
        let directory = tempfile::tempdir().unwrap();
        let spool = spool(directory.path(), 1 << 30);
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, BATCH, BATCH + 1, 3 * BATCH + 7] {
            let data = data(length);
            let sealed = sealed(&spool, &data, 10_007).await.unwrap();
            assert_eq!(sealed.length(), length as u64);
            assert!(read(sealed).await.unwrap() == data, "{length}");
        }
        // Nothing has a name, neither while it is there nor after.
        assert_eq!(fs::read_dir(directory.path().join("a/spool")).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn on_the_disk_nothing_can_be_read_and_a_change_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let spool = spool(directory.path(), 1 << 30);
        let data = vec![b'x'; BATCH + 100];
        let first = sealed(&spool, &data, BATCH).await.unwrap();
        let on_disk = |sealed: &Sealed| {
            let mut bytes = vec![0; usize::try_from(sealed.file.metadata().unwrap().len()).unwrap()];
            sealed.file.read_exact_at(&mut bytes, 0).unwrap();
            bytes
        };
        let bytes = on_disk(&first);
        assert_eq!(bytes.len(), data.len() + 5 * 16);
        assert!(!bytes.windows(8).any(|eight| eight == b"xxxxxxxx"));
        // The same again looks otherwise, in each of its blocks.
        let second = on_disk(&sealed(&spool, &data, BATCH).await.unwrap());
        assert!(bytes.chunks(BLOCK + 16).zip(second.chunks(BLOCK + 16)).all(|(one, other)| one != other));
        // A changed bit, and two blocks in each other's place.
        first.file.write_all_at(&[bytes[BLOCK + 20] ^ 1], (BLOCK + 20) as u64).unwrap();
        assert!(first.read(0).is_err());
        first.file.write_all_at(&bytes[..BLOCK + 16], (BLOCK + 16) as u64).unwrap();
        first.file.write_all_at(&bytes[BLOCK + 16..2 * (BLOCK + 16)], 0).unwrap();
        assert!(first.read(0).is_err());
    }

    #[tokio::test]
    async fn all_bodies_together_have_a_bound_and_give_their_room_back() {
        let directory = tempfile::tempdir().unwrap();
        let spool = spool(directory.path(), 3 * BATCH as u64);
        let one = sealed(&spool, &data(2 * BATCH), BATCH).await.unwrap();
        assert!(matches!(sealed(&spool, &data(2 * BATCH), BATCH).await, Err(SpoolError::NoRoom)));
        let other = sealed(&spool, &data(BATCH), BATCH).await.unwrap();
        assert!(matches!(sealed(&spool, &data(1), 1).await, Err(SpoolError::NoRoom)));
        drop((one, other));
        sealed(&spool, &data(3 * BATCH), BATCH).await.unwrap();
    }

    #[tokio::test]
    async fn a_file_system_that_needs_names_keeps_none() {
        let directory = tempfile::tempdir().unwrap();
        let file = open_and_unlink(directory.path()).unwrap();
        file.write_all_at(b"x", 0).unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_disk_that_takes_nothing_is_told() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("a"), "a file in the way").unwrap();
        assert!(matches!(spool(directory.path(), 1 << 30).begin(CLIENT).await, Err(SpoolError::Disk(_))));
        // A device that is always full (man 4 full).
        let mut writer =
            Spool::new(&SpoolConfig { directory: directory.path().to_owned(), max_body: 1, max_total: 1 << 30 })
                .begin(CLIENT)
                .await
                .unwrap();
        writer.sealed.file = OpenOptions::new().read(true).write(true).open("/dev/full").unwrap();
        match writer.push(vec![0; BATCH].into()).await {
            Err(SpoolError::Disk(error)) => assert_eq!(error.kind(), io::ErrorKind::StorageFull),
            other => panic!("{:?}", other.map(drop)),
        }
    }
}
