//! The sealed part of a backup: chunks of 64 KiB, each AES-256-GCM, so that a backup of any length is sealed and opened
//! with little memory, and nothing of a chunk is seen before all of it was verified.
//!
//! A chunk's nonce is its number, and whether it is the last: chunks can't be dropped, swapped or added unseen (the STREAM
//! construction, <https://eprint.iacr.org/2015/189>). The key is of this backup alone. Each chunk is bound to the header.

use std::io::{self, BufRead, Read, Write};

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::{
    BackupError,
    file::{LAST, read_chunk},
};

/// So much is in a chunk.
const CHUNK: usize = 64 << 10;

/// Seals what is written to it.
pub(super) struct Sealer<W> {
    to: W,
    chunks: Chunks,
    plain: Zeroizing<Vec<u8>>,
}

impl<W: Write> Sealer<W> {
    pub(super) fn new(to: W, key: &[u8; 32], header: [u8; 32]) -> Result<Self, BackupError> {
        let plain = Zeroizing::new(Vec::with_capacity(CHUNK + AES_256_GCM.tag_len()));
        Ok(Self { to, chunks: Chunks::new(key, header)?, plain })
    }

    /// Writes the last chunk, without which it is no backup.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.seal(true)?;
        self.to.flush()
    }

    fn seal(&mut self, is_last: bool) -> io::Result<()> {
        let (nonce, header) = self.chunks.next(is_last)?;
        self.chunks
            .key
            .seal_in_place_append_tag(nonce, header, &mut *self.plain)
            .map_err(|_| io::Error::other("a part could not be sealed"))?;
        let length = u32::try_from(self.plain.len()).unwrap_or(u32::MAX) | if is_last { LAST } else { 0 };
        self.to.write_all(&length.to_be_bytes())?;
        self.to.write_all(&self.plain)?;
        self.plain.clear();
        Ok(())
    }
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.plain.len() == CHUNK {
            self.seal(false)?;
        }
        let taken = bytes.len().min(CHUNK - self.plain.len());
        self.plain.extend(bytes.iter().take(taken));
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads what was sealed. Whatever it gives has been verified; the end comes only after the last chunk.
pub(super) struct Opener<R> {
    from: R,
    chunks: Chunks,
    plain: Zeroizing<Vec<u8>>,
    read: usize,
    ended: bool,
}

impl<R: BufRead> Opener<R> {
    pub(super) fn new(from: R, key: &[u8; 32], header: [u8; 32]) -> Result<Self, BackupError> {
        Ok(Self { from, chunks: Chunks::new(key, header)?, plain: Zeroizing::default(), read: 0, ended: false })
    }

    fn open(&mut self) -> io::Result<()> {
        self.read = 0;
        self.ended = read_chunk(&mut self.from, &mut self.plain)?;
        let (nonce, header) = self.chunks.next(self.ended)?;
        let length = self
            .chunks
            .key
            .open_in_place(nonce, header, &mut self.plain)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a part of it was altered"))?
            .len();
        self.plain.truncate(length);
        if self.ended && !self.from.fill_buf()?.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "something stands behind its end"));
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Opener<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.read == self.plain.len() && !self.ended {
            self.open()?;
        }
        let mut rest = self.plain.get(self.read..).unwrap_or_default();
        let read = rest.read(to)?;
        self.read += read;
        Ok(read)
    }
}

struct Chunks {
    key: LessSafeKey,
    header: [u8; 32],
    number: u64,
}

impl Chunks {
    fn new(key: &[u8; 32], header: [u8; 32]) -> Result<Self, BackupError> {
        let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| BackupError::Random)?;
        Ok(Self { key: LessSafeKey::new(key), header, number: 0 })
    }

    fn next(&mut self, is_last: bool) -> io::Result<(Nonce, Aad<[u8; 32]>)> {
        let mut nonce = [0; NONCE_LEN];
        if let Some((last, number)) = nonce.split_first_mut() {
            *last = u8::from(is_last);
            if let Some(end) = number.last_chunk_mut::<8>() {
                *end = self.number.to_be_bytes();
            }
        }
        self.number = self.number.checked_add(1).ok_or_else(|| io::Error::other("it is too long"))?;
        Ok((Nonce::assume_unique_for_key(nonce), Aad::from(self.header)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: [u8; 32] = [3; 32];
    const KEY: [u8; 32] = [7; 32];

    fn sealed(plain: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut sealer = Sealer::new(&mut file, &KEY, HEADER).unwrap();
        sealer.write_all(plain).unwrap();
        sealer.finish().unwrap();
        file
    }

    fn opened(file: &[u8]) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        Opener::new(file, &KEY, HEADER).unwrap().read_to_end(&mut plain).map(|_| plain)
    }

    #[test]
    fn what_was_sealed_is_opened_whatever_its_length() {
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let plain: Vec<u8> = (0..length).map(|place| place.to_le_bytes()[0]).collect();
            assert_eq!(opened(&sealed(&plain)).unwrap(), plain, "{length}");
        }
    }

    #[test]
    fn any_changed_missing_or_added_byte_is_noticed() {
        let file = sealed(b"all of it");
        for place in 0..file.len() {
            let mut changed = file.clone();
            changed[place] ^= 1;
            assert!(opened(&changed).is_err(), "byte {place}");
            assert!(opened(&file[..place]).is_err(), "length {place}");
        }
        assert!(opened(&[&file[..], b"x"].concat()).is_err());
    }

    #[test]
    fn chunks_can_be_neither_dropped_nor_swapped_nor_cut_off() {
        let file = sealed(&vec![0; 3 * CHUNK]);
        let one = 4 + CHUNK + 16;
        let chunk = |number: usize| &file[number * one..(number + 1) * one];
        assert_eq!(file.len(), 3 * one);
        for wrong in [
            [chunk(1), chunk(0), chunk(2)].concat(),
            [chunk(0), chunk(2)].concat(),
            [chunk(0), chunk(0), chunk(2)].concat(),
            [chunk(0), chunk(1)].concat(),
            // Called the last one, which it was not sealed as.
            [chunk(0), &[0x80 | chunk(1)[0]], &chunk(1)[1..]].concat(),
        ] {
            assert!(opened(&wrong).is_err());
        }
    }

    #[test]
    fn a_chunk_belongs_to_its_header() {
        let mut plain = Vec::new();
        assert!(Opener::new(&sealed(b"x")[..], &KEY, [4; 32]).unwrap().read_to_end(&mut plain).is_err());
    }
}
