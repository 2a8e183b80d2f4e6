//! Open files that go from one process to another over a socket (`SCM_RIGHTS`, unix(7)).

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};

/// So many can go at once; the system would take 253.
pub(super) const MOST: usize = 64;

/// Files go along with at least one byte, which says nothing.
const MARK: [u8; 1] = [b'+'];

/// Sends `files`, of which the other side then has copies.
pub(super) fn send(over: impl AsFd, files: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() && !control.push(SendAncillaryMessage::ScmRights(files)) {
        return Err(io::Error::other("too many open files to hand over"));
    }
    sendmsg(over, &[IoSlice::new(&MARK)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Takes what the other side sent.
pub(super) fn receive(over: impl AsFd) -> io::Result<Vec<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut mark = [0];
    let read = recvmsg(over, &mut [IoSliceMut::new(&mut mark)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    if read.bytes == 0 || mark != MARK {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let files = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(files) => Some(files),
        _ => None,
    });
    Ok(files.flatten().collect())
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Seek as _, Write as _},
        os::unix::net::UnixStream,
    };

    use super::*;

    #[test]
    fn files_arrive_open() {
        let (one, other) = UnixStream::pair().unwrap();
        let mut files: Vec<_> = (0..MOST).map(|_| tempfile::tempfile().unwrap()).collect();
        for (number, file) in files.iter_mut().enumerate() {
            write!(file, "{number}").unwrap();
            file.rewind().unwrap();
        }
        send(&one, &files.iter().map(AsFd::as_fd).collect::<Vec<_>>()).unwrap();
        drop(files);
        let mut texts = Vec::new();
        for file in receive(&other).unwrap() {
            let mut text = String::new();
            std::fs::File::from(file).read_to_string(&mut text).unwrap();
            texts.push(text);
        }
        assert_eq!(texts, (0..MOST).map(|number| number.to_string()).collect::<Vec<_>>());
    }

    #[test]
    fn who_sends_nothing_or_something_else_is_told_from_who_sends_files() {
        let (mut one, other) = UnixStream::pair().unwrap();
        send(&one, &[]).unwrap();
        assert!(receive(&other).unwrap().is_empty());
        one.write_all(b"GET").unwrap();
        assert!(receive(&other).is_err());
        let (one, other) = UnixStream::pair().unwrap();
        drop(one);
        assert!(receive(&other).is_err());
    }
}
