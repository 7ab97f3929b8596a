//! Pairs of sockets that keep the borders of messages and carry descriptors (SOCK_SEQPACKET,
//! SCM_RIGHTS).

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr,
    recvmsg, sendmsg, socketpair,
};

/// Most descriptors in one message.
pub(crate) const DESCRIPTORS_MAX: usize = 8;

/// A message as it came.
#[derive(Debug)]
pub(crate) struct Message {
    /// Its length; what it says is in the buffer given to [`receive`].
    pub(crate) len: usize,
    /// What came with it; close-on-exec.
    pub(crate) descriptors: Vec<OwnedFd>,
}

/// Makes a pair, both ends close-on-exec.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?)
}

/// Sends one message without waiting, with copies of `descriptors`. A peer that is gone is an
/// error, not a signal.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    parts: &[&[u8]],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
    let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control = if raw.is_empty() { &rights[..0] } else { &rights[..] };
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    loop {
        match sendmsg::<UnixAddr>(socket.as_raw_fd(), &slices, control, flags, None) {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Receives one message without waiting. A length of zero is the end: the peer is gone.
///
/// Errs with `WouldBlock` where there is none, and with `InvalidData` where `buffer` or the space
/// for descriptors is too small.
pub(crate) fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Message> {
    let mut control = nix::cmsg_space!([RawFd; DESCRIPTORS_MAX]);
    let mut slices = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
    let received = recvmsg::<UnixAddr>(socket.as_raw_fd(), &mut slices, Some(&mut control), flags)?;
    let mut descriptors = Vec::new();
    for message in received.cmsgs()? {
        if let ControlMessageOwned::ScmRights(raw) = message {
            own(&raw, &mut descriptors);
        }
    }
    if received.flags.intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "message is longer than its buffer",
        ));
    }
    Ok(Message { len: received.bytes, descriptors })
}

#[expect(unsafe_code, reason = "descriptors come out of a message as numbers")]
fn own(raw: &[RawFd], descriptors: &mut Vec<OwnedFd>) {
    for fd in raw {
        // SAFETY: the kernel has just made these descriptors for this message, so they are open and
        // nobody else owns them; each is taken exactly once.
        descriptors.push(unsafe { OwnedFd::from_raw_fd(*fd) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::AsFd;

    #[test]
    fn a_message_arrives_whole_with_its_descriptors() {
        let (ours, theirs) = pair().unwrap();
        let file = crate::os::file::sealed_memory(b"passed").unwrap();
        send(ours.as_fd(), &[b"one ", b"message"], &[file.as_fd()]).unwrap();
        let mut buffer = [0; 64];
        let message = receive(theirs.as_fd(), &mut buffer).unwrap();
        assert_eq!(&buffer[..message.len], b"one message");
        let mut text = String::new();
        File::from(message.descriptors.into_iter().next().unwrap())
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "passed");
    }

    #[test]
    fn nothing_to_receive_and_a_peer_that_is_gone_are_told_apart() {
        let (ours, theirs) = pair().unwrap();
        let mut buffer = [0; 64];
        assert_eq!(
            receive(theirs.as_fd(), &mut buffer).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        drop(ours);
        assert_eq!(receive(theirs.as_fd(), &mut buffer).unwrap().len, 0);
        assert_eq!(
            send(theirs.as_fd(), &[b"x"], &[]).unwrap_err().kind(),
            io::ErrorKind::BrokenPipe
        );
    }

    #[test]
    fn a_message_that_does_not_fit_is_an_error() {
        let (ours, theirs) = pair().unwrap();
        send(ours.as_fd(), &[&[7; 100]], &[]).unwrap();
        let mut buffer = [0; 64];
        assert_eq!(
            receive(theirs.as_fd(), &mut buffer).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
    }
}
