//! How far something is that takes its time: on a terminal, and only after a second.

use std::{
    io::{self, BufRead, IsTerminal as _, Read, Write as _},
    time::{Duration, Instant},
};

const FIRST: Duration = Duration::from_secs(1);
const EVERY: Duration = Duration::from_millis(200);

/// A line on standard error that says how far it is; gone when dropped.
pub(super) struct Progress {
    what: &'static str,
    next: Option<Instant>,
    shown: bool,
}

impl Progress {
    pub(super) fn of(what: &'static str) -> Self {
        let next = io::stderr().is_terminal().then(|| Instant::now() + FIRST);
        Self { what, next, shown: false }
    }

    /// So many bytes there are by now.
    pub(super) fn at(&mut self, bytes: u64) {
        let now = Instant::now();
        if self.next.is_some_and(|next| now >= next) {
            self.next = Some(now + EVERY);
            self.shown = true;
            drop(write!(io::stderr(), "\r\x1b[K{}: {}", self.what, size(bytes)));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            drop(write!(io::stderr(), "\r\x1b[K"));
        }
    }
}

/// Tells how much of a file has been read.
pub(super) struct Counted<R> {
    from: R,
    bytes: u64,
    progress: Progress,
}

impl<R: BufRead> Counted<R> {
    pub(super) fn new(from: R, progress: Progress) -> Self {
        Self { from, bytes: 0, progress }
    }
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(to)?;
        self.consume(read);
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.from.fill_buf()
    }

    fn consume(&mut self, read: usize) {
        self.from.consume(read);
        self.bytes += read as u64;
        self.progress.at(self.bytes);
    }
}

/// `12.3 MiB`.
pub(super) fn size(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.into_iter().find(|(bits, _)| bytes >> bits > 0) {
        Some((bits, unit)) => {
            let tenths = (u128::from(bytes) * 10) >> bits;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        for (bytes, told) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1536, "1.5 KiB"),
            (5 << 20, "5.0 MiB"),
            (u64::MAX, "17179869183.9 GiB"),
        ] {
            assert_eq!(size(bytes), told);
        }
    }
}
