//! The output of an attempt: from the pipe to the slot's file, head and tail kept, the rest
//! counted.
//!
//! A full disk never stops the command: output that cannot be written is dropped, and the record
//! says so.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::PollFd;
use nix::unistd::{read, write};

use crate::core::output::{NOT_KEPT, OutputLayout};
use crate::os::{clock, file, poll};

/// The capacity of a pipe.
const CHUNK: usize = 64 * 1024;

/// What is still in the pipe when the main process has ended is read up to here: the size a pipe
/// can be given without privileges.
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
    appended: Option<Appended>,
    copy: Option<Copy>,
}

/// The job's own file, to which every chunk is appended.
#[derive(Debug)]
pub(super) struct Appended {
    file: OwnedFd,
    /// Bytes that it did not take.
    lost: u64,
    failure: Option<Errno>,
}

impl Appended {
    /// One that was opened to append.
    pub(super) fn to(file: OwnedFd) -> Self {
        Self { file, lost: 0, failure: None }
    }

    /// After the first failed write nothing more is written, as for the kept output.
    fn take(&mut self, chunk: &[u8]) {
        let mut written = 0;
        if self.failure.is_none() {
            (written, self.failure) = file::write_at_most(self.file.as_fd(), chunk, 0);
        }
        self.lost += (chunk.len() - written) as u64;
    }
}

/// So long an attempt that has ended waits for whoever gets a copy. What is not taken by then is
/// left to a keeper that has let go of its slot: neither the end nor the locks wait for a reader.
const COPY_MAX: Duration = Duration::from_secs(1);

/// Somebody who is given every chunk after it was kept.
#[derive(Debug)]
pub(super) struct Copy {
    to: OwnedFd,
    /// What he has not taken yet; until he has, nothing more is read.
    behind: Vec<u8>,
}

impl Copy {
    /// The descriptor to wait for; none if everything was taken.
    pub(super) fn awaited(&self) -> Option<PollFd<'_>> {
        (!self.behind.is_empty()).then(|| poll::writable(self.to.as_fd()))
    }

    /// Writes as much as the reader takes now; false if it is gone.
    pub(super) fn catch_up(&mut self) -> bool {
        while !self.behind.is_empty() {
            match write(&self.to, &self.behind) {
                Ok(len) => {
                    self.behind.drain(..len);
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return true,
                Err(_) => return false,
            }
        }
        true
    }
}

/// The result of one read from the pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pumped {
    /// Some bytes.
    Some,
    /// Nothing yet.
    Nothing,
    /// The end: the other end is closed.
    End,
}

impl Output {
    /// Output that comes from `pipe`, which never waits. `copy` gets all of it, too.
    pub(super) fn new(
        pipe: OwnedFd,
        layout: OutputLayout,
        appended: Option<Appended>,
        copy: Option<OwnedFd>,
    ) -> Self {
        Self {
            pipe: Some(pipe),
            layout,
            total: 0,
            lost: 0,
            failure: None,
            appended,
            copy: copy.map(|to| Copy { to, behind: Vec::new() }),
        }
    }

    /// Returns whether the pipe may still deliver output.
    pub(super) fn is_open(&self) -> bool {
        self.pipe.is_some()
    }

    /// What to wait for before the next [`Output::pump`]; none after the end.
    pub(super) fn awaited(&self) -> Option<PollFd<'_>> {
        self.held_up()
            .map(|copy| poll::writable(copy.to.as_fd()))
            .or_else(|| self.pipe.as_ref().map(|pipe| poll::readable(pipe.as_fd())))
    }

    /// Keeps a chunk, appends it to the job's file, and gives it to whoever gets a copy.
    pub(super) fn take(&mut self, file: BorrowedFd<'_>, chunk: &[u8]) {
        self.keep(file, chunk);
        if let Some(appended) = &mut self.appended {
            appended.take(chunk);
        }
        if let Some(copy) = &mut self.copy {
            copy.behind.extend_from_slice(chunk);
        }
        self.catch_up();
    }

    /// Whether nothing more is to be read before whoever gets a copy has taken what there is.
    pub(super) fn is_held_up(&self) -> bool {
        self.held_up().is_some()
    }

    fn held_up(&self) -> Option<&Copy> {
        self.copy.as_ref().filter(|copy| !copy.behind.is_empty())
    }

    /// Gives the copy what it takes now; one whose reader is gone is no more.
    fn catch_up(&mut self) {
        if self.copy.as_mut().is_some_and(|copy| !copy.catch_up()) {
            self.copy = None;
        }
    }

    /// Bytes so far, kept or dropped as the layout says; what could not be written is not among
    /// them.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Returns why some output was not kept although it should have been.
    pub(super) fn remark(&self) -> Option<String> {
        let errno = self.failure?;
        Some(format!("{} {NOT_KEPT}: {}", self.lost, super::refusal::reason(errno)))
    }

    /// Returns why some output is not in the job's file.
    pub(super) fn appended_remark(&self) -> Option<String> {
        let Appended { lost, failure, .. } = self.appended.as_ref()?;
        let reason = super::refusal::reason((*failure)?);
        Some(format!("{lost} bytes not written: {reason}"))
    }

    /// Gives the pipe away, none if its end was seen; and whoever has not taken all of his copy.
    pub(super) fn into_parts(self) -> (Option<OwnedFd>, Option<Copy>) {
        let behind = self.copy.filter(|copy| !copy.behind.is_empty());
        (self.pipe, behind)
    }

    /// Moves one chunk from the pipe to `file`.
    pub(super) fn pump(&mut self, file: BorrowedFd<'_>, buffer: &mut Buffer) -> io::Result<Pumped> {
        self.catch_up();
        if self.held_up().is_some() {
            return Ok(Pumped::Nothing);
        }
        self.read_chunk(file, buffer)
    }

    fn read_chunk(&mut self, file: BorrowedFd<'_>, buffer: &mut Buffer) -> io::Result<Pumped> {
        let Some(pipe) = &self.pipe else {
            return Ok(Pumped::End);
        };
        match read(pipe, &mut buffer.0) {
            Ok(0) => {
                self.pipe = None;
                Ok(Pumped::End)
            }
            Ok(len) => {
                self.take(file, &buffer.0[..len]);
                Ok(Pumped::Some)
            }
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(Pumped::Nothing),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Moves what is in the pipe now, without waiting for what may follow; for whoever gets a copy
    /// a moment, not longer.
    pub(super) fn drain(&mut self, file: BorrowedFd<'_>, buffer: &mut Buffer) -> io::Result<()> {
        let before = self.total + self.lost;
        while self.total + self.lost - before < DRAIN_MAX
            && self.read_chunk(file, buffer)? == Pumped::Some
        {}
        let deadline = clock::now().mono + COPY_MAX;
        while let Some(copy) = self.held_up() {
            let left = deadline.since(clock::now().mono);
            if left.is_zero() {
                break;
            }
            poll::wait(&mut [poll::writable(copy.to.as_fd())], Some(left))?;
            self.catch_up();
        }
        Ok(())
    }

    /// Once something could not be written, nothing more is: what is kept has no gap but the one
    /// that the layout makes.
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

/// The buffer for chunks, allocated once.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    use nix::unistd::pipe2;

    #[test]
    fn a_reader_that_is_stuck_holds_up_no_end_and_loses_nothing() {
        let (theirs, copy) = pipe2(OFlag::O_CLOEXEC).unwrap();
        let (output, command) = pipe2(OFlag::O_CLOEXEC).unwrap();
        for fd in [&copy, &output] {
            fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        }
        // The copy's pipe is full: nobody reads it.
        while write(&copy, &[b'x'; 4096]).is_ok() {}
        write(&command, b"last words").unwrap();
        drop(command);
        let kept = tempfile();
        let mut output = Output::new(output, OutputLayout::of(1024), None, Some(copy));
        output.drain(kept.as_fd(), &mut Buffer::new()).unwrap();
        assert_eq!(output.total(), 10);
        let (pipe, behind) = output.into_parts();
        assert!(pipe.is_none());
        let mut behind = behind.unwrap();
        assert!(behind.awaited().is_some());
        let mut read_so_far = Vec::new();
        while behind.awaited().is_some() {
            let mut bytes = [0; 65536];
            let len = read(&theirs, &mut bytes).unwrap();
            read_so_far.extend_from_slice(&bytes[..len]);
            assert!(behind.catch_up());
        }
        drop(behind);
        let mut rest = String::new();
        io::Read::read_to_string(&mut File::from(theirs), &mut rest).unwrap();
        read_so_far.extend(rest.into_bytes());
        assert!(read_so_far.ends_with(b"xlast words"));
    }

    fn tempfile() -> File {
        let path = std::env::temp_dir().join(format!("jobctl-copy-{}", std::process::id()));
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path);
        std::fs::remove_file(path).unwrap();
        file.unwrap()
    }
}
