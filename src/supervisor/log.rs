//! The supervisor's log: one event a line on standard error, or with fields to journald. A log that
//! cannot be written, or whose reader is stuck, is no reason to stop, nor to wait.

mod event;
mod terminal;

use std::collections::VecDeque;
use std::fmt::{Display, Write as _};
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use serde_json::{Map, Value};

pub(crate) use self::event::LogEvent;
pub use self::event::events;
use self::terminal::Screen;
use crate::core::hash::fnv1a;
use crate::core::job::LogFormat;
use crate::core::time::Wall;
use crate::os::journal::{self, Journal, Priority, Sent};
use crate::os::poll;

/// So much may wait for a reader that is stuck; events beyond it are counted.
const WAITING_MAX: usize = 256 * 1024;

/// What a pipe that is ready takes without waiting (pipe(7), `PIPE_BUF`).
const PIECE: usize = 4096;

/// While lines wait for their reader, it is looked after this often.
const LOOK: Duration = Duration::from_secs(1);

/// The form in which events are written.
#[derive(Debug, Default)]
pub(crate) enum Form {
    /// A line with the time before it.
    #[default]
    Dated,
    /// A line with its priority before it (sd-daemon(3)): whoever reads it knows the time.
    Prefixed,
    /// Short, for a person at a terminal.
    Short(Screen),
    /// A JSON object a line.
    Json,
    /// With fields, to journald.
    Native(Journal),
}

impl Form {
    /// Returns the requested form, else the one that suits the reader of standard error.
    pub(crate) fn of(format: Option<LogFormat>) -> Self {
        match (format, journal::reads_stderr()) {
            (Some(LogFormat::Json), _) => Self::Json,
            (Some(LogFormat::Text), true) => Self::Prefixed,
            (None, true) => Journal::here().map_or(Self::Prefixed, Self::Native),
            (None, false) => Screen::of_stderr().map_or(Self::Dated, Self::Short),
            (Some(LogFormat::Text), false) => Self::Dated,
        }
    }
}

/// Events of the current turn, written together at its end, and those that a stuck reader has not
/// taken.
#[derive(Debug, Default)]
pub(crate) struct Log {
    form: Form,
    lines: String,
    /// Events for journald, and their bytes.
    events: VecDeque<Vec<u8>>,
    events_len: usize,
    /// Events that were not noted because too much waits, and when the first of them was.
    dropped: u64,
    dropped_since: Option<Wall>,
    /// Nothing is written.
    pub(crate) is_mute: bool,
    /// What was written, for tests.
    #[cfg(test)]
    pub(crate) written: String,
}

impl Log {
    /// From now on events are written in this form. What journald has not taken by then is dropped,
    /// and counted.
    pub(crate) fn set_form(&mut self, form: Form, now: Wall) {
        if !self.events.is_empty() {
            self.dropped += self.events.len() as u64;
            self.dropped_since.get_or_insert(now);
            self.events.clear();
            self.events_len = 0;
        }
        self.form = form;
    }

    /// Returns whether output of commands that is copied to standard output is JSON, too.
    pub(crate) fn is_json(&self) -> bool {
        matches!(self.form, Form::Json)
    }

    /// Notes an event. Values with blanks, quotes or control characters are quoted.
    pub(crate) fn event(&mut self, at: Wall, event: LogEvent, fields: &[(&str, &dyn Display)]) {
        if self.lines.len() + self.events_len >= WAITING_MAX {
            self.dropped += 1;
            self.dropped_since.get_or_insert(at);
            return;
        }
        if let Some(since) = self.dropped_since.take() {
            let count = std::mem::take(&mut self.dropped);
            let since = text_of(since);
            self.note(at, LogEvent::LogDropped, &[("count", &count), ("since", &since)]);
        }
        self.note(at, event, fields);
    }

    fn note(&mut self, at: Wall, event: LogEvent, fields: &[(&str, &dyn Display)]) {
        let fields: Vec<(&str, String)> =
            fields.iter().map(|(key, value)| (*key, value.to_string())).collect();
        match &self.form {
            Form::Dated => {
                let _ = write!(self.lines, "{} ", text_of(at));
                line(&mut self.lines, event, &fields);
            }
            Form::Short(screen) => self.lines.push_str(&screen.line(at, event, &fields)),
            Form::Prefixed => {
                let _ = write!(self.lines, "<{}>", event.priority() as u8);
                line(&mut self.lines, event, &fields);
            }
            Form::Json => {
                let mut object = Map::new();
                object.insert("time".to_owned(), text_of(at).to_string().into());
                object.insert("level".to_owned(), level(event.priority()).into());
                object.insert("event".to_owned(), event.as_str().into());
                object.extend(
                    fields.into_iter().map(|(key, value)| (key.to_owned(), json_of(value))),
                );
                let _ = writeln!(self.lines, "{}", Value::Object(object));
            }
            Form::Native(_) => {
                let datagram = native(event, &fields);
                self.events_len += datagram.len();
                self.events.push_back(datagram);
            }
        }
    }

    /// Returns the events that are not written yet, for tests.
    #[cfg(test)]
    pub(crate) fn take(&mut self) -> String {
        std::mem::take(&mut self.lines)
    }

    /// Writes what was noted since the last time, as far as its reader takes it now.
    pub(crate) fn flush(&mut self) {
        if self.is_mute {
            self.lines.clear();
        }
        #[cfg(test)]
        self.written.push_str(&self.lines);
        let stderr = std::io::stderr();
        let written = write_ready(stderr.as_fd(), &mut stderr.lock(), self.lines.as_bytes());
        self.lines.drain(..written);
        while let (Form::Native(journal), Some(event)) = (&self.form, self.events.front()) {
            match journal.send(event) {
                Sent::Later => break,
                // Nobody can be told that it is lost.
                Sent::Done | Sent::Never => {}
            }
            self.events_len -= event.len();
            self.events.pop_front();
        }
    }

    /// Returns how long the log has nothing to do: until its reader is to be looked after, if it is
    /// stuck.
    pub(crate) fn next_wait(&self) -> Option<Duration> {
        (!self.lines.is_empty() || !self.events.is_empty()).then_some(LOOK)
    }
}

fn line(lines: &mut String, event: LogEvent, fields: &[(&str, String)]) {
    let _ = write!(lines, "event={event}");
    for (key, value) in fields {
        let is_plain = !value.is_empty()
            && value.chars().all(|c| c.is_alphanumeric() || "-_.:/@+,%".contains(c));
        let _ = if is_plain {
            write!(lines, " {key}={value}")
        } else {
            write!(lines, " {key}={value:?}")
        };
    }
    lines.push('\n');
}

fn level(priority: Priority) -> &'static str {
    match priority {
        Priority::Error => "error",
        Priority::Warning => "warning",
        Priority::Info => "info",
    }
}

/// Numbers are numbers; what only looks like one is not.
fn json_of(value: String) -> Value {
    match value.parse::<i64>() {
        Ok(number) if number.to_string() == value => number.into(),
        Ok(_) | Err(_) => value.into(),
    }
}

/// An event as journald takes it. Each field is there as `JOBCTL_` and its name.
fn native(event: LogEvent, fields: &[(&str, String)]) -> Vec<u8> {
    let mut message = String::new();
    line(&mut message, event, fields);
    let message = message.trim_end().trim_start_matches("event=");
    let mut datagram = Vec::new();
    journal::field(&mut datagram, "MESSAGE", message);
    journal::field(&mut datagram, "MESSAGE_ID", &message_id(event.as_str()));
    journal::field(&mut datagram, "PRIORITY", &(event.priority() as u8).to_string());
    journal::field(&mut datagram, "SYSLOG_IDENTIFIER", "jobctl");
    journal::field(&mut datagram, "JOBCTL_EVENT", event.as_str());
    for (key, value) in fields {
        journal::field(&mut datagram, &format!("JOBCTL_{}", key.to_ascii_uppercase()), value);
    }
    datagram
}

/// The id of an event of this name: the same in every version (systemd.journal-fields(7)).
fn message_id(name: &str) -> String {
    let half = |salt: &str| fnv1a(salt.bytes().chain(name.bytes()));
    format!("{:016x}{:016x}", half("jobctl event "), half("jobctl message id "))
}

fn text_of(at: Wall) -> impl Display {
    chrono::DateTime::from_timestamp_millis(at.ms())
        .unwrap_or_default()
        .format("%Y-%m-%dT%H:%M:%S%.3fZ")
}

/// Writes `lines` in pieces while `to`, whose descriptor is `fd`, takes them without waiting.
/// Answers how many bytes are done with, which ends between two characters.
pub(super) fn write_ready(fd: BorrowedFd<'_>, to: &mut impl Write, lines: &[u8]) -> usize {
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
    let between =
        || (1..=PIECE).rev().find(|&at| lines.get(at).is_none_or(|byte| byte & 0xC0 != 0x80));
    end_of_line.map(|at| at + 1).or_else(between).unwrap_or(PIECE)
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

    fn written(form: Form) -> String {
        let mut log = Log::default();
        let at = Wall::from_ms(1_785_067_200_250);
        log.set_form(form, at);
        log.event(at, LogEvent::Start, &[("job", &"a b"), ("run", &7), ("key", &"07")]);
        log.event(at, LogEvent::EndFailed, &[("job", &"a"), ("next", &"failed (exit)")]);
        log.take()
    }

    #[test]
    fn each_form_says_the_same() {
        assert_eq!(
            written(Form::Dated),
            "2026-07-26T12:00:00.250Z event=start job=\"a b\" run=7 key=07\n\
             2026-07-26T12:00:00.250Z event=end job=a next=\"failed (exit)\"\n"
        );
        assert_eq!(
            written(Form::Prefixed),
            "<6>event=start job=\"a b\" run=7 key=07\n<3>event=end job=a next=\"failed (exit)\"\n"
        );
        assert_eq!(
            written(Form::Json),
            "{\"time\":\"2026-07-26T12:00:00.250Z\",\"level\":\"info\",\"event\":\"start\",\"job\":\"a b\",\"run\":7,\"key\":\"07\"}\n\
             {\"time\":\"2026-07-26T12:00:00.250Z\",\"level\":\"error\",\"event\":\"end\",\"job\":\"a\",\"next\":\"failed (exit)\"}\n"
        );
    }

    #[test]
    fn journald_gets_fields_and_an_id_for_each_kind() {
        let event =
            native(LogEvent::Start, &[("job", "backup".to_owned()), ("run", "7".to_owned())]);
        let text = String::from_utf8(event).unwrap();
        assert_eq!(
            text,
            "MESSAGE=start job=backup run=7\nMESSAGE_ID=fba15cba5cf4dfdd0d0fa03db3287f7f\nPRIORITY=6\nSYSLOG_IDENTIFIER=jobctl\n\
             JOBCTL_EVENT=start\nJOBCTL_JOB=backup\nJOBCTL_RUN=7\n"
        );
        assert_ne!(message_id("start"), message_id("end"));
    }

    #[test]
    fn what_nobody_takes_is_bounded_and_counted() {
        let mut log = Log::default();
        let at = Wall::from_ms(1_785_067_200_000);
        let noise = "x".repeat(1024);
        for _ in 0..300 {
            log.event(at, LogEvent::Start, &[("text", &noise)]);
        }
        let waiting = log.take();
        assert!(waiting.len() < WAITING_MAX + 2048);
        let kept = waiting.lines().count() as u64;
        log.event(at, LogEvent::Ready, &[]);
        let dropped = format!("event=log_dropped count={}", 300 - kept);
        let text = log.take();
        assert!(text.lines().next().unwrap().contains(&dropped), "{text}");
        assert!(text.lines().nth(1).unwrap().contains("event=ready"));
    }
}
