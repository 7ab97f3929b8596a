//! The output of an attempt: from the pipe to the slot's file, head and tail kept, the rest counted.
//!
//! A disk that takes no more never stops the command: what cannot be written is dropped, and that is said at the end.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::unistd::read;

use crate::core::output::{NOT_KEPT, OutputLayout};
use crate::os::file;

/// As much as a pipe holds.
const CHUNK: usize = 64 * 1024;

/// What is still in the pipe when the main process has ended is read up to here: the size a pipe can be given without
/// privileges.
const DRAIN_MAX: u64 = 1024 * 1024;

/// The output of one attempt.
#[derive(Debug)]
pub(super) struct Output {
    pipe: Option<OwnedFd>,
    layout: OutputLayout,
    total: u64,
    /// Bytes that were to be kept, or came after them, and were not; they are not in `total`.
    lost: u64,
    failure: Option<Errno>,
}

/// What one look into the pipe gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pumped {
    /// Some bytes.
    Some,
    /// Nothing just now.
    Nothing,
    /// The end: nobody holds the other end.
    End,
}

impl Output {
    /// Output that comes from `pipe`, which never waits.
    pub(super) fn new(pipe: OwnedFd, layout: OutputLayout) -> Self {
        Self {
            pipe: Some(pipe),
            layout,
            total: 0,
            lost: 0,
            failure: None,
        }
    }

    /// What to wait for; none after the end.
    pub(super) fn pipe(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Bytes so far, kept or dropped as the layout says; what could not be written is not among them.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Why some of it was not kept although it should have been.
    pub(super) fn remark(&self) -> Option<String> {
        let errno = self.failure?;
        Some(format!(
            "{} {NOT_KEPT}: {}",
            self.lost,
            super::start::reason(errno)
        ))
    }

    /// Gives the pipe away; none if its end was seen.
    pub(super) fn into_pipe(self) -> Option<OwnedFd> {
        self.pipe
    }

    /// Moves one chunk from the pipe to `file`.
    pub(super) fn pump(&mut self, file: BorrowedFd<'_>, buffer: &mut Buffer) -> io::Result<Pumped> {
        let Some(pipe) = &self.pipe else {
            return Ok(Pumped::End);
        };
        match read(pipe, &mut buffer.0) {
            Ok(0) => {
                self.pipe = None;
                Ok(Pumped::End)
            }
            Ok(len) => {
                self.keep(file, &buffer.0[..len]);
                Ok(Pumped::Some)
            }
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(Pumped::Nothing),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Moves what is in the pipe now, without waiting for what may follow. True: that was something.
    pub(super) fn drain(&mut self, file: BorrowedFd<'_>, buffer: &mut Buffer) -> io::Result<bool> {
        let before = self.total + self.lost;
        while self.total + self.lost - before < DRAIN_MAX {
            match self.pump(file, buffer)? {
                Pumped::Some => {}
                Pumped::Nothing | Pumped::End => break,
            }
        }
        Ok(self.total + self.lost > before)
    }

    /// Once something could not be written, nothing more is: what is kept has no gap but the one that the layout makes.
    fn keep(&mut self, file: BorrowedFd<'_>, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.failure.is_none() {
            let (place, room) = self.layout.place(self.total);
            let len = match usize::try_from(room) {
                Ok(0) => bytes.len(),
                Ok(room) => room.min(bytes.len()),
                Err(_) => bytes.len(),
            };
            let (mut kept, mut failure) = (len, None);
            if room > 0 {
                (kept, failure) = file::write_at_most(file, &bytes[..len], place);
            }
            self.failure = failure;
            self.total += kept as u64;
            bytes = &bytes[kept..];
        }
        self.lost += bytes.len() as u64;
    }
}

/// Where chunks go through; made once.
#[derive(Debug)]
pub(super) struct Buffer(Vec<u8>);

impl Buffer {
    /// Makes one.
    pub(super) fn new() -> Self {
        Self(vec![0; CHUNK])
    }

    /// The whole of it, for any use between two chunks.
    pub(super) fn bytes(&mut self) -> &mut [u8] {
        &mut self.0
    }
}
