//! Output of commands on the supervisor's own standard output, as containers want it: each line
//! with its job and run.
//!
//! Each attempt has a pipe of its own, which its keeper fills. It is always emptied: a reader of
//! standard output that is stuck costs lines, which are counted, and holds up no command.

use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::{pipe2, read};

use super::log::write_ready;
use crate::core::escape;
use crate::keeper::order::Order;
use crate::os::poll;

/// So much may wait for a reader that is stuck.
const WAITING_MAX: usize = 256 * 1024;

/// A longer line goes out in pieces.
const LINE_MAX: usize = 8 * 1024;

/// As much as a pipe holds.
const CHUNK: usize = 64 * 1024;

/// How often pipes that are still full are emptied when the supervisor leaves.
const LAST_PUMPS: u32 = 64;

/// The form in which lines are forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineForm {
    /// `JOB#ID | line`.
    Prefix,
    /// A JSON object a line.
    Json,
}

/// The attempts whose output is forwarded, and what is not out yet.
#[derive(Debug)]
pub(super) struct Forward {
    form: LineForm,
    /// A person looks: nothing that a command prints may command their terminal.
    is_terminal: bool,
    streams: Vec<Stream>,
    waiting: Vec<u8>,
    dropped: u64,
    buffer: Vec<u8>,
}

/// The output of one attempt.
#[derive(Debug)]
struct Stream {
    pipe: OwnedFd,
    job: String,
    run: i64,
    attempt: u32,
    line: Vec<u8>,
    is_over: bool,
}

impl Forward {
    /// Nothing is forwarded yet.
    pub(super) fn new(form: LineForm) -> Self {
        Self {
            form,
            is_terminal: io::stdout().is_terminal(),
            streams: Vec::new(),
            waiting: Vec::new(),
            dropped: 0,
            buffer: vec![0; CHUNK],
        }
    }

    /// From now on lines have this form.
    pub(super) fn set_form(&mut self, form: LineForm) {
        self.form = form;
    }

    /// The end of a pipe that the keeper of an attempt fills.
    pub(super) fn open(&mut self, order: &Order) -> io::Result<OwnedFd> {
        let (ours, theirs) = pipe2(OFlag::O_CLOEXEC)?;
        for end in [&ours, &theirs] {
            fcntl(end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        self.streams.push(Stream {
            pipe: ours,
            job: job_of(order),
            run: order.run,
            attempt: order.attempt,
            line: Vec::new(),
            is_over: false,
        });
        Ok(theirs)
    }

    /// What becomes readable when there is something to forward.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.streams.iter().map(|stream| stream.pipe.as_fd())
    }

    /// Returns whether lines wait for standard output.
    pub(super) fn is_behind(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes what there is of all attempts, and writes what standard output takes now. Whether
    /// there may be more to take.
    pub(super) fn pump(&mut self) -> bool {
        let mut has_more = false;
        let mut streams = std::mem::take(&mut self.streams);
        for stream in &mut streams {
            match read(&stream.pipe, &mut self.buffer) {
                Ok(0) => stream.is_over = true,
                Ok(len) => {
                    has_more |= len == self.buffer.len();
                    let chunk = std::mem::take(&mut self.buffer);
                    self.take(stream, &chunk[..len]);
                    self.buffer = chunk;
                }
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(_) => stream.is_over = true,
            }
            if stream.is_over && !stream.line.is_empty() {
                let line = std::mem::take(&mut stream.line);
                self.put(stream, &line);
            }
        }
        streams.retain(|stream| !stream.is_over);
        self.streams = streams;
        let stdout = io::stdout();
        let mut lock = stdout.lock();
        let written = write_ready(stdout.as_fd(), &mut lock, &self.waiting);
        // What the library keeps is as good as lost for whoever follows.
        let _ = lock.flush();
        self.waiting.drain(..written);
        has_more
    }

    /// Takes what attempts have written, as far as that comes to an end, and gives standard output
    /// a last chance.
    pub(super) fn finish(&mut self, patience: std::time::Duration) {
        // Attempts that go on without this supervisor may write for ever.
        for _ in 0..LAST_PUMPS {
            if !self.pump() {
                break;
            }
        }
        self.tell_dropped();
        if self.is_behind() {
            let stdout = io::stdout();
            let _ = poll::wait(&mut [poll::writable(stdout.as_fd())], Some(patience));
            self.pump();
        }
    }

    fn take(&mut self, stream: &mut Stream, chunk: &[u8]) {
        for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
            stream.line.extend_from_slice(piece);
            let is_whole = stream.line.ends_with(b"\n");
            if is_whole || stream.line.len() >= LINE_MAX {
                let line = std::mem::take(&mut stream.line);
                self.put(stream, line.strip_suffix(b"\n").unwrap_or(&line));
            }
        }
    }

    /// Says how many lines were dropped since that was last said.
    fn tell_dropped(&mut self) {
        let count = std::mem::take(&mut self.dropped);
        if count == 0 {
            return;
        }
        let text = match self.form {
            LineForm::Prefix => format!("jobctl | {count} lines dropped: nobody read them\n"),
            LineForm::Json => format!("{}\n", serde_json::json!({ "dropped": count })),
        };
        self.waiting.extend_from_slice(text.as_bytes());
    }

    fn put(&mut self, stream: &Stream, line: &[u8]) {
        if self.waiting.len() + line.len() > WAITING_MAX {
            self.dropped += 1;
            return;
        }
        self.tell_dropped();
        match self.form {
            LineForm::Prefix if self.is_terminal => {
                let line = format!("{}#{} | {}\n", stream.job, stream.run, escape::bytes(line));
                self.waiting.extend_from_slice(line.as_bytes());
            }
            LineForm::Prefix => {
                let prefix = format!("{}#{} | ", stream.job, stream.run);
                self.waiting.extend_from_slice(prefix.as_bytes());
                self.waiting.extend_from_slice(line);
                self.waiting.push(b'\n');
            }
            LineForm::Json => {
                let object = serde_json::json!({
                    "job": stream.job, "run": stream.run, "attempt": stream.attempt, "line": String::from_utf8_lossy(line),
                });
                self.waiting.extend_from_slice(format!("{object}\n").as_bytes());
            }
        }
    }
}

/// The job of an order, as its command is told.
fn job_of(order: &Order) -> String {
    let mut told = order.sources.told.iter();
    let name = told.find(|(name, _)| name == b"JOBCTL_JOB");
    name.map_or_else(String::new, |(_, name)| String::from_utf8_lossy(name).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(run: i64) -> Stream {
        Stream {
            pipe: pipe2(OFlag::O_CLOEXEC).unwrap().0,
            job: "job".to_owned(),
            run,
            attempt: 2,
            line: Vec::new(),
            is_over: false,
        }
    }

    #[test]
    fn lines_of_two_attempts_stay_lines() {
        let mut forward = Forward { is_terminal: false, ..Forward::new(LineForm::Prefix) };
        let (mut one, mut other) = (stream(1), stream(2));
        forward.take(&mut one, b"be");
        forward.take(&mut other, b"x\ny");
        forward.take(&mut one, b"gun\n\n");
        assert_eq!(forward.waiting, b"job#2 | x\njob#1 | begun\njob#1 | \n");
        assert_eq!(other.line, b"y");
        forward.waiting.clear();
        forward.take(&mut other, &[b'z'; LINE_MAX]);
        assert!(other.line.is_empty() && forward.waiting.ends_with(b"zz\n"));
        forward.waiting.clear();
        forward.is_terminal = true;
        forward.take(&mut one, b"\x1b[2J\xff\n");
        assert_eq!(forward.waiting, b"job#1 | \\x1b[2J\\xff\n");
    }

    #[test]
    fn a_reader_that_is_stuck_costs_lines_that_are_counted() {
        let mut forward = Forward::new(LineForm::Json);
        let mut one = stream(1);
        for _ in 0..4000 {
            forward.take(&mut one, &[&[b'a'; 99][..], b"\n"].concat());
        }
        assert!(forward.waiting.len() <= WAITING_MAX + 256);
        let kept = forward.waiting.iter().filter(|byte| **byte == b'\n').count() as u64;
        assert_eq!(forward.dropped, 4000 - kept);
        let dropped = forward.dropped;
        forward.waiting.clear();
        forward.take(&mut one, b"after \xff\n");
        let text = String::from_utf8(std::mem::take(&mut forward.waiting)).unwrap();
        assert_eq!(
            text,
            format!(
                "{{\"dropped\":{dropped}}}\n{{\"job\":\"job\",\"run\":1,\"attempt\":2,\"line\":\"after \u{fffd}\"}}\n"
            )
        );
    }
}
