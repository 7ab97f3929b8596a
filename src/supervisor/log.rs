//! The supervisor's log: one event a line on standard error, `key=value`. A log that cannot be written, or whose reader is stuck,
//! is no reason to stop, nor to wait.

use std::fmt::{Display, Write as _};
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use crate::core::time::Wall;
use crate::os::poll;

/// So much may wait for a reader that is stuck; events beyond it are counted.
const WAITING_MAX: usize = 256 * 1024;

/// What a pipe that is ready takes without waiting (pipe(7), `PIPE_BUF`).
const PIECE: usize = 4096;

/// While lines wait for their reader, it is looked after this often.
const LOOK: Duration = Duration::from_secs(1);

/// Lines of the current turn, written together at its end, and those that a stuck reader has not taken.
#[derive(Debug, Default)]
pub(crate) struct Log {
    lines: String,
    /// Events that were not noted because too much waits, and when the first of them was.
    dropped: u64,
    dropped_since: Option<Wall>,
    /// Nothing is written.
    pub(crate) is_mute: bool,
}

impl Log {
    /// Notes an event. Values with blanks, quotes or control characters are quoted.
    pub(crate) fn event(&mut self, at: Wall, name: &str, fields: &[(&str, &dyn Display)]) {
        if self.lines.len() >= WAITING_MAX {
            self.dropped += 1;
            self.dropped_since.get_or_insert(at);
            return;
        }
        if let Some(since) = self.dropped_since.take() {
            let count = std::mem::take(&mut self.dropped);
            let since = text_of(since);
            self.line(at, "log_dropped", &[("count", &count), ("since", &since)]);
        }
        self.line(at, name, fields);
    }

    fn line(&mut self, at: Wall, name: &str, fields: &[(&str, &dyn Display)]) {
        let _ = write!(self.lines, "{} event={name}", text_of(at));
        for (key, value) in fields {
            let value = value.to_string();
            let is_plain = !value.is_empty()
                && value
                    .chars()
                    .all(|c| c.is_alphanumeric() || "-_.:/@+,%".contains(c));
            let _ = if is_plain {
                write!(self.lines, " {key}={value}")
            } else {
                write!(self.lines, " {key}={value:?}")
            };
        }
        self.lines.push('\n');
    }

    /// What was noted and is not written yet, for tests.
    #[cfg(test)]
    pub(crate) fn take(&mut self) -> String {
        std::mem::take(&mut self.lines)
    }

    /// Writes what was noted since the last time, as far as its reader takes it now.
    pub(crate) fn flush(&mut self) {
        if self.is_mute {
            self.lines.clear();
        }
        let stderr = std::io::stderr();
        let written = write_ready(stderr.as_fd(), &mut stderr.lock(), self.lines.as_bytes());
        self.lines.drain(..written);
    }

    /// How long the log has nothing to do: until its reader is to be looked after, if it is stuck.
    pub(crate) fn next_wait(&self) -> Option<Duration> {
        (!self.lines.is_empty()).then_some(LOOK)
    }
}

fn text_of(at: Wall) -> impl Display {
    chrono::DateTime::from_timestamp_millis(at.ms())
        .unwrap_or_default()
        .format("%Y-%m-%dT%H:%M:%S%.3fZ")
}

/// Writes `lines` in pieces while `to`, whose descriptor is `fd`, takes them without waiting. Answers how many bytes are done with, which ends
/// between two characters.
fn write_ready(fd: BorrowedFd<'_>, to: &mut impl Write, lines: &[u8]) -> usize {
    let mut done = 0;
    while done < lines.len() && poll::is_writable(fd) {
        let piece = &lines[done..];
        let piece = &piece[..piece_of(piece)];
        // Nobody reads the log, or its disk is full: that must not keep jobs from running.
        let _ = to.write_all(piece);
        done += piece.len();
    }
    done
}

/// How much of `lines` goes out at once: whole lines where possible, else whole characters.
fn piece_of(lines: &[u8]) -> usize {
    let Some(head) = lines.get(..PIECE) else {
        return lines.len();
    };
    let end_of_line = head.iter().rposition(|byte| *byte == b'\n');
    // Bytes 0x80 to 0xBF go on with a character that began before them.
    let between = || {
        (1..=PIECE)
            .rev()
            .find(|&at| lines.get(at).is_none_or(|byte| byte & 0xC0 != 0x80))
    };
    end_of_line
        .map(|at| at + 1)
        .or_else(between)
        .unwrap_or(PIECE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::OwnedFd;

    fn pipe() -> (std::io::PipeReader, File) {
        let (reader, writer) = std::io::pipe().unwrap();
        (reader, File::from(OwnedFd::from(writer)))
    }

    #[test]
    fn a_reader_that_is_stuck_is_not_waited_for_and_gets_the_rest_later() {
        let (mut reader, mut writer) = pipe();
        let lines = "an event of some length, for the pipe to be full at last\n".repeat(4_000);
        let fd = writer.try_clone().unwrap();
        let first = write_ready(fd.as_fd(), &mut writer, lines.as_bytes());
        assert!(first > 0 && first < lines.len(), "{first}");
        assert_eq!(&lines[first - 1..first], "\n");
        let mut read = vec![0; first];
        reader.read_exact(&mut read).unwrap();
        let second = write_ready(fd.as_fd(), &mut writer, &lines.as_bytes()[first..]);
        let mut rest = vec![0; second];
        reader.read_exact(&mut rest).unwrap();
        assert_eq!([read, rest].concat(), lines.as_bytes()[..first + second]);
    }

    #[test]
    fn a_reader_that_is_gone_costs_the_lines_and_nothing_else() {
        let (reader, mut writer) = pipe();
        drop(reader);
        let fd = writer.try_clone().unwrap();
        assert_eq!(write_ready(fd.as_fd(), &mut writer, b"one\ntwo\n"), 8);
    }

    #[test]
    fn a_piece_ends_between_lines_or_between_characters() {
        assert_eq!(piece_of(b"short\n"), 6);
        let lines = [&[b'a'; 4000][..], b"\n", &[b'b'; 200], b"\n"].concat();
        assert_eq!(piece_of(&lines), 4001);
        let wide = "x".to_owned() + &"\u{e4}".repeat(4000);
        let piece = piece_of(wide.as_bytes());
        assert!(wide.is_char_boundary(piece) && piece > PIECE - 4, "{piece}");
        assert_eq!(piece_of(&[0x80; 5000]), PIECE);
    }

    #[test]
    fn what_nobody_takes_is_bounded_and_counted() {
        let mut log = Log::default();
        let at = Wall::from_ms(1_785_067_200_000);
        let noise = "x".repeat(1024);
        for _ in 0..300 {
            log.event(at, "noise", &[("text", &noise)]);
        }
        let waiting = log.take();
        assert!(waiting.len() < WAITING_MAX + 2048);
        let kept = waiting.lines().count() as u64;
        log.event(at, "after", &[]);
        let dropped = format!("event=log_dropped count={}", 300 - kept);
        let text = log.take();
        assert!(text.lines().next().unwrap().contains(&dropped), "{text}");
        assert!(text.lines().nth(1).unwrap().contains("event=after"));
    }
}
