//! Standard output of a finder: kept whole in a file, besides what is kept of it as output, for the
//! supervisor to make runs of.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::read;

use super::output::{Buffer, Output, Pumped};
use super::record::Spooled;
use crate::core::feed::Lines;
use crate::os::file;
use crate::os::inside::open_inside;

/// The spool of one attempt.
#[derive(Debug)]
pub(super) struct Spool {
    pipe: Option<OwnedFd>,
    file: File,
    lines: Lines,
    /// Why no runs will be made of it; then the rest is read and not kept, and the command goes on.
    failure: Option<String>,
}

impl Spool {
    /// Begins anew in the file at `path`. `pipe` never waits.
    pub(super) fn open(path: &Path, pipe: OwnedFd) -> io::Result<Self> {
        let file = open_inside(path, OFlag::O_RDWR | OFlag::O_CREAT)?;
        file.set_len(0)?;
        Ok(Self { pipe: Some(pipe), file, lines: Lines::default(), failure: None })
    }

    /// What to wait for; none after the end.
    pub(super) fn pipe(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Moves one chunk from the pipe to the file, and into the output, whose file is `kept`.
    pub(super) fn pump(
        &mut self,
        output: &mut Output,
        kept: BorrowedFd<'_>,
        buffer: &mut Buffer,
    ) -> io::Result<Pumped> {
        let Some(pipe) = &self.pipe else {
            return Ok(Pumped::End);
        };
        match read(pipe, buffer.bytes()) {
            Ok(0) => {
                self.pipe = None;
                Ok(Pumped::End)
            }
            Ok(len) => {
                let chunk = &buffer.bytes()[..len];
                self.take(chunk);
                output.take(kept, chunk);
                Ok(Pumped::Some)
            }
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(Pumped::Nothing),
            Err(errno) => Err(errno.into()),
        }
    }

    fn take(&mut self, chunk: &[u8]) {
        if self.failure.is_some() {
            return;
        }
        let at = self.lines.bytes;
        let taken = self.lines.take(chunk).and_then(|()| {
            file::write_at(self.file.as_fd(), chunk, at)
                .map_err(|error| format!("standard output: cannot be kept: {error}"))
        });
        self.failure = taken.err();
    }

    /// What came of it.
    pub(super) fn spooled(&self) -> Spooled {
        Spooled { bytes: self.lines.bytes, failure: self.failure.clone() }
    }

    /// Gives the pipe away; none if its end was seen.
    pub(super) fn into_pipe(self) -> Option<OwnedFd> {
        self.pipe
    }
}
