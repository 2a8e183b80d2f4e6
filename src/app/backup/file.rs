//! What stands in clear around the sealed part of a backup: the line, the header, the lengths of the chunks.
//!
//! [`copy`] looks at nothing else: whoever stores a backup sees whether all of it has come, without the key.

use std::io::{self, BufRead, Read, Write};

use ring::digest::{Context, SHA256};

use super::{BackupError, Header};

/// The first line, but for the format.
const BEGINNING: &str = "csg backup, format ";
const FORMAT: &str = "1";

/// Headers are some hundred bytes.
const LONGEST_HEADER: u32 = 64 << 10;
/// The bit of a chunk's length that tells the last one.
pub(super) const LAST: u32 = 1 << 31;
/// The longest chunk, as it is in the file.
pub(super) const LONGEST_CHUNK: u32 = (64 << 10) + 16;

/// What was seen of a backup while it was copied.
#[derive(Clone, Debug)]
pub struct Copied {
    /// Its header.
    pub header: Header,
    /// Its length.
    pub bytes: u64,
}

pub(super) fn write_header(header: &Header, to: &mut impl Write) -> Result<[u8; 32], BackupError> {
    let header = serde_json::to_vec(header).map_err(|error| BackupError::Write(error.into()))?;
    let length = u32::try_from(header.len()).unwrap_or(u32::MAX).to_be_bytes();
    let bytes = [format!("{BEGINNING}{FORMAT}\n").as_bytes(), &length, &header].concat();
    let digest = sha256(&bytes);
    to.write_all(&bytes).and_then(|()| to.write_all(&digest)).map_err(BackupError::Write)?;
    Ok(digest)
}

/// Reads what stands before the chunks; `name` is the file's, for whoever named the wrong one.
pub(super) fn read_header(from: &mut impl BufRead, name: &str) -> Result<(Header, [u8; 32]), BackupError> {
    let mut line = Vec::new();
    from.take(64).read_until(b'\n', &mut line).map_err(BackupError::Read)?;
    let text = String::from_utf8_lossy(&line);
    let format = text.strip_prefix(BEGINNING).ok_or_else(|| BackupError::NotABackup(name.to_owned()))?;
    if format.trim_end() != FORMAT {
        return Err(BackupError::NewerFormat(format.trim_end().chars().filter(|c| !c.is_control()).collect()));
    }
    let mut length = [0; 4];
    from.read_exact(&mut length).map_err(damaged)?;
    if u32::from_be_bytes(length) > LONGEST_HEADER {
        return Err(BackupError::Damaged("its header is too long".into()));
    }
    let mut header = vec![0; u32::from_be_bytes(length) as usize];
    from.read_exact(&mut header).map_err(damaged)?;
    let mut digest = [0; 32];
    from.read_exact(&mut digest).map_err(damaged)?;
    if sha256(&[line.as_slice(), &length, &header].concat()) != digest {
        return Err(BackupError::Damaged("its header has another checksum".into()));
    }
    let header =
        serde_json::from_slice(&header).map_err(|_| BackupError::Damaged("its header can't be read".into()))?;
    Ok((header, digest))
}

/// Reads the next chunk into `chunk`: is it the last?
pub(super) fn read_chunk(from: &mut impl Read, chunk: &mut Vec<u8>) -> io::Result<bool> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let marked = u32::from_be_bytes(length);
    let (is_last, length) = (marked & LAST != 0, marked & !LAST);
    if length > LONGEST_CHUNK {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a part of it is too long"));
    }
    chunk.resize(length as usize, 0);
    from.read_exact(chunk)?;
    Ok(is_last)
}

/// Copies a backup, and sees to it that all of it has come; `told` is told how many bytes there are so far.
pub(in crate::app) fn copy(
    from: &mut impl BufRead,
    to: &mut (dyn Write + Send),
    told: &mut (dyn FnMut(u64) + Send),
) -> Result<Copied, BackupError> {
    let (header, _) = read_header(from, "what was sent")?;
    let mut counted = Counted::new(to, told);
    write_header(&header, &mut counted)?;
    let mut chunk = Vec::new();
    loop {
        let is_last = read_chunk(from, &mut chunk).map_err(damaged)?;
        let length = u32::try_from(chunk.len()).unwrap_or(u32::MAX) | if is_last { LAST } else { 0 };
        counted
            .write_all(&length.to_be_bytes())
            .and_then(|()| counted.write_all(&chunk))
            .map_err(BackupError::Write)?;
        if is_last {
            counted.flush().map_err(BackupError::Write)?;
            return Ok(Copied { header, bytes: counted.bytes });
        }
    }
}

/// What went wrong while a backup was read: the disk, or the backup.
pub(super) fn damaged(error: io::Error) -> BackupError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => BackupError::Damaged("its end is missing".into()),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => BackupError::Damaged(error.to_string()),
        _ => BackupError::Read(error),
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(bytes);
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

/// Counts what is written, and tells.
pub(in crate::app) struct Counted<'w> {
    to: &'w mut (dyn Write + Send),
    told: &'w mut (dyn FnMut(u64) + Send),
    pub(in crate::app) bytes: u64,
}

impl<'w> Counted<'w> {
    pub(in crate::app) fn new(to: &'w mut (dyn Write + Send), told: &'w mut (dyn FnMut(u64) + Send)) -> Self {
        Self { to, told, bytes: 0 }
    }
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.bytes += written as u64;
        (self.told)(self.bytes);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
