//! The output of an attempt: from the pipe to the slot's file, head and tail kept, the rest counted.
//!
//! A disk that takes no more never stops the command: what cannot be written is dropped, and that is said at the end.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::unistd::{ftruncate, read};

use crate::core::output::OutputLayout;
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
            failure: None,
        }
    }

    /// What to wait for; none after the end.
    pub(super) fn pipe(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Bytes so far, kept or not.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Why some of it was not kept although it should have been.
    pub(super) fn remark(&self) -> Option<String> {
        let errno = self.failure?;
        Some(format!(
            "output was not kept to its end: {}",
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
        let before = self.total;
        while self.total - before < DRAIN_MAX {
            match self.pump(file, buffer)? {
                Pumped::Some => {}
                Pumped::Nothing | Pumped::End => break,
            }
        }
        Ok(self.total > before)
    }

    fn keep(&mut self, file: BorrowedFd<'_>, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (place, room) = self.layout.place(self.total);
            let len = match usize::try_from(room) {
                Ok(0) => bytes.len(),
                Ok(room) => room.min(bytes.len()),
                Err(_) => bytes.len(),
            };
            if room > 0 && self.failure.is_none() {
                self.write(file, place, &bytes[..len]);
            }
            self.total += len as u64;
            bytes = &bytes[len..];
        }
    }

    /// What stood in the file before belongs to another attempt: where nothing could be written over it, it is cut off.
    fn write(&mut self, file: BorrowedFd<'_>, place: u64, bytes: &[u8]) {
        let Err(error) = file::write_at(file, bytes, place) else {
            return;
        };
        self.failure = Some(error.raw_os_error().map_or(Errno::EIO, Errno::from_raw));
        if self.layout.dropped(self.total) == 0 {
            // Nothing more can be done where this fails too; the remark says that output is missing.
            let _ = ftruncate(file, i64::try_from(place).unwrap_or(i64::MAX));
        }
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
