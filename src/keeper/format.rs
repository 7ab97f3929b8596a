//! How a record stands in its file: lines of text, so that people can read it, whole or recognisably not.
//!
//! The first line has a fixed width and holds the live total of the output; it alone moves while the command runs, so it is
//! not covered by the checksum. A record may be shorter than the one before it in the file: what stands behind the line `end`
//! is of no account. Lines with unknown keys are passed over, so that a later version can add some.

use std::collections::HashMap;
use std::fmt::{self, Write};
use std::time::Duration;

use super::record::{End, Ending, ProcessId, Record, Spooled, StopCause};
use crate::core::hash::fnv1a;
use crate::core::output::OutputLayout;
use crate::core::report::Report;
use crate::core::time::{Mono, Wall};

/// Where in the file the digits of the live total of the output begin.
pub(crate) const OUTPUT_TOTAL_AT: u64 = 7;

/// Longer texts are cut off.
pub(crate) const TEXT_MAX: usize = 512;

/// No record is longer than this.
pub(crate) const RECORD_MAX: usize = 16 * 1024;

/// `output `, twenty digits, a line feed.
const FIRST_LINE_LEN: usize = 28;

const VERSION: u32 = 1;

/// Why a file holds no record that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RecordError {
    /// It ends too early or its checksum is wrong: it was being written, or the machine stopped meanwhile.
    Torn,
    /// A later version wrote it.
    Newer(u32),
    /// A line is missing or cannot be right.
    Line(&'static str),
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Torn => f.write_str("record is not whole"),
            Self::Newer(version) => {
                write!(f, "record is of version {version}, which only a later jobctl can read")
            }
            Self::Line(key) => write!(f, "record: line `{key}` is missing or wrong"),
        }
    }
}

impl std::error::Error for RecordError {}

/// The digits of the live total, as they stand at [`OUTPUT_TOTAL_AT`].
pub(crate) fn output_total_digits(total: u64) -> String {
    format!("{total:020}")
}

impl Record {
    /// Makes the text of it, to be written at the beginning of its file in one piece.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut text = String::with_capacity(1024);
        self.write_lines(&mut text).expect("a String takes everything");
        let first = format!("output {}\n", output_total_digits(self.output_total));
        let checksum = fnv1a(text.bytes());
        format!("{first}{text}checksum {checksum:016x}\nend\n").into_bytes()
    }

    fn write_lines(&self, text: &mut String) -> fmt::Result {
        writeln!(text, "jobctl-record {VERSION}")?;
        writeln!(text, "run {}", self.run)?;
        writeln!(text, "attempt {}", self.attempt)?;
        writeln!(text, "claim {}", self.claim)?;
        writeln!(text, "boot_id {}", escaped(&self.boot_id))?;
        writeln!(text, "keeper {} {}", self.keeper.pid, self.keeper.start_ticks)?;
        writeln!(text, "started_at_ms {}", self.started_at.ms())?;
        writeln!(text, "started_mono_ns {}", self.started_mono.as_duration().as_nanos())?;
        writeln!(text, "layout {} {}", self.layout.head_max, self.layout.tail_max)?;
        if let Some(command) = self.command {
            writeln!(text, "command {} {}", command.pid, command.start_ticks)?;
        }
        if let Some(cgroup) = &self.cgroup {
            writeln!(text, "cgroup {}", escaped(cgroup))?;
        }
        if let Some(max) = self.memory_max {
            writeln!(text, "memory_max {max}")?;
        }
        if let Some(terms) = &self.terms {
            writeln!(text, "terms {}", escaped(terms))?;
        }
        if let Some(feeds) = &self.feeds {
            writeln!(text, "feeds {}", escaped(feeds))?;
        }
        if let Some(report) = &self.report {
            writeln!(text, "report {}", escaped(report))?;
        }
        match self.stopped {
            None => {}
            Some(StopCause::Timeout) => writeln!(text, "stopped timeout")?,
            Some(StopCause::Signal) => writeln!(text, "stopped signal")?,
        }
        self.ending.as_ref().map_or(Ok(()), |ending| ending.write_lines(text))
    }

    /// Reads the beginning of a record's file. None: the file is empty, nothing was ever written.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Option<Self>, RecordError> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let (first, rest) = bytes.split_at_checked(FIRST_LINE_LEN).ok_or(RecordError::Torn)?;
        let lines = Lines::parse(rest)?;
        Ok(Some(Self {
            output_total: output_total_of(first).ok_or(RecordError::Line("output"))?,
            run: lines.number("run")?,
            attempt: lines.number("attempt")?,
            claim: lines.number("claim")?,
            boot_id: lines.text("boot_id")?.ok_or(RecordError::Line("boot_id"))?,
            keeper: lines.process("keeper")?.ok_or(RecordError::Line("keeper"))?,
            started_at: Wall::from_ms(lines.number("started_at_ms")?),
            started_mono: Mono::from_duration(lines.span("started_mono_ns")?),
            layout: lines.layout()?,
            command: lines.process("command")?,
            cgroup: lines.text("cgroup")?,
            memory_max: lines.optional("memory_max")?,
            terms: lines.text("terms")?,
            feeds: lines.text("feeds")?,
            report: lines.text("report")?,
            stopped: lines.stopped()?,
            ending: lines.ending()?,
        }))
    }
}

impl Ending {
    fn write_lines(&self, text: &mut String) -> fmt::Result {
        match &self.end {
            End::Exited(code) => writeln!(text, "exited {code}")?,
            End::Signaled(signal) => writeln!(text, "signaled {signal}")?,
            End::SpawnFailed { exit_code, error } => {
                writeln!(text, "spawn_failed {}", escaped(error))?;
                if let Some(code) = exit_code {
                    writeln!(text, "exit_code {code}")?;
                }
            }
        }
        writeln!(text, "ended_at_ms {}", self.ended_at.ms())?;
        writeln!(text, "duration_ns {}", self.duration.as_nanos())?;
        writeln!(text, "user_ns {}", self.user.as_nanos())?;
        writeln!(text, "system_ns {}", self.system.as_nanos())?;
        writeln!(text, "max_rss_kib {}", self.max_rss_kib)?;
        if let Some(remark) = &self.remark {
            writeln!(text, "remark {}", escaped(remark))?;
        }
        if let Some(Spooled { bytes, failure }) = &self.spooled {
            writeln!(text, "spooled {bytes}")?;
            if let Some(failure) = failure {
                writeln!(text, "spool_failed_by {}", escaped(failure))?;
            }
        }
        let Report { progress, result, error, retry_after } = &self.report;
        if let Some(progress) = progress {
            writeln!(text, "progress {progress}")?;
        }
        if let Some(result) = result {
            writeln!(text, "result {}", escaped(result))?;
        }
        if let Some(error) = error {
            writeln!(text, "error {}", escaped(error))?;
        }
        retry_after.map_or(Ok(()), |span| writeln!(text, "retry_after_ns {}", span.as_nanos()))
    }
}

fn output_total_of(first_line: &[u8]) -> Option<u64> {
    let digits = first_line.strip_prefix(b"output ")?.strip_suffix(b"\n")?;
    let is_number = digits.iter().all(u8::is_ascii_digit);
    if is_number { std::str::from_utf8(digits).ok()?.parse().ok() } else { None }
}

/// The lines of a record whose checksum was right, by key.
struct Lines<'a>(HashMap<&'a str, &'a str>);

impl<'a> Lines<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let body = Self::body(bytes).ok_or(RecordError::Torn)?;
        let text = std::str::from_utf8(body).map_err(|_| RecordError::Torn)?;
        let lines =
            Self(text.lines().map(|line| line.split_once(' ').unwrap_or((line, ""))).collect());
        match lines.number::<u32>("jobctl-record")? {
            VERSION => Ok(lines),
            newer if newer > VERSION => Err(RecordError::Newer(newer)),
            _ => Err(RecordError::Line("jobctl-record")),
        }
    }

    /// What stands before the checksum, if that is right and `end` follows it.
    fn body(bytes: &'a [u8]) -> Option<&'a [u8]> {
        let mark = b"\nchecksum ";
        let len = bytes.windows(mark.len()).position(|window| window == mark)? + 1;
        let (body, rest) = bytes.split_at(len);
        let expected = format!("checksum {:016x}\nend\n", fnv1a(body.iter().copied()));
        rest.starts_with(expected.as_bytes()).then_some(body)
    }

    fn number<N: std::str::FromStr>(&self, key: &'static str) -> Result<N, RecordError> {
        self.optional(key)?.ok_or(RecordError::Line(key))
    }

    fn optional<N: std::str::FromStr>(&self, key: &'static str) -> Result<Option<N>, RecordError> {
        let Some(value) = self.0.get(key) else {
            return Ok(None);
        };
        value.parse().map(Some).map_err(|_| RecordError::Line(key))
    }

    fn text(&self, key: &'static str) -> Result<Option<String>, RecordError> {
        let Some(value) = self.0.get(key) else {
            return Ok(None);
        };
        unescaped(value).map(Some).ok_or(RecordError::Line(key))
    }

    fn span(&self, key: &'static str) -> Result<Duration, RecordError> {
        let nanos: u128 = self.number(key)?;
        let secs = u64::try_from(nanos / 1_000_000_000).map_err(|_| RecordError::Line(key))?;
        let subsec = u32::try_from(nanos % 1_000_000_000).map_err(|_| RecordError::Line(key))?;
        Ok(Duration::new(secs, subsec))
    }

    fn pair<A: std::str::FromStr, B: std::str::FromStr>(
        &self,
        key: &str,
    ) -> Option<Option<(A, B)>> {
        let Some(value) = self.0.get(key) else {
            return Some(None);
        };
        let (first, second) = value.split_once(' ')?;
        Some(Some((first.parse().ok()?, second.parse().ok()?)))
    }

    fn process(&self, key: &'static str) -> Result<Option<ProcessId>, RecordError> {
        let pair = self.pair(key).ok_or(RecordError::Line(key))?;
        Ok(pair.map(|(pid, start_ticks)| ProcessId { pid, start_ticks }))
    }

    fn layout(&self) -> Result<OutputLayout, RecordError> {
        let pair = self.pair("layout").flatten().ok_or(RecordError::Line("layout"))?;
        Ok(OutputLayout { head_max: pair.0, tail_max: pair.1 })
    }

    fn stopped(&self) -> Result<Option<StopCause>, RecordError> {
        match self.0.get("stopped").copied() {
            None => Ok(None),
            Some("timeout") => Ok(Some(StopCause::Timeout)),
            Some("signal") => Ok(Some(StopCause::Signal)),
            Some(_) => Err(RecordError::Line("stopped")),
        }
    }

    fn ending(&self) -> Result<Option<Ending>, RecordError> {
        let Some(end) = self.end()? else {
            return Ok(None);
        };
        Ok(Some(Ending {
            end,
            ended_at: Wall::from_ms(self.number("ended_at_ms")?),
            duration: self.span("duration_ns")?,
            user: self.span("user_ns")?,
            system: self.span("system_ns")?,
            max_rss_kib: self.number("max_rss_kib")?,
            remark: self.text("remark")?,
            spooled: match self.optional("spooled")? {
                Some(bytes) => Some(Spooled { bytes, failure: self.text("spool_failed_by")? }),
                None => None,
            },
            report: Report {
                progress: self.optional("progress")?,
                result: self.text("result")?,
                error: self.text("error")?,
                retry_after: match self.0.contains_key("retry_after_ns") {
                    true => Some(self.span("retry_after_ns")?),
                    false => None,
                },
            },
        }))
    }

    fn end(&self) -> Result<Option<End>, RecordError> {
        if let Some(code) = self.optional("exited")? {
            return Ok(Some(End::Exited(code)));
        }
        if let Some(signal) = self.optional("signaled")? {
            return Ok(Some(End::Signaled(signal)));
        }
        let Some(error) = self.text("spawn_failed")? else {
            return Ok(None);
        };
        Ok(Some(End::SpawnFailed { exit_code: self.optional("exit_code")?, error }))
    }
}

/// On one line and at most [`TEXT_MAX`] bytes of the original: control characters and the backslash become `\u{...}`.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text[..text.floor_char_boundary(TEXT_MAX)].chars() {
        if c.is_control() || c == '\\' {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

fn unescaped(text: &str) -> Option<String> {
    let mut parts = text.split("\\u{");
    let mut out = parts.next()?.to_owned();
    for part in parts {
        let (digits, rest) = part.split_once('}')?;
        out.push(char::from_u32(u32::from_str_radix(digits, 16).ok()?)?);
        out.push_str(rest);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn processes() -> impl Strategy<Value = ProcessId> {
        any::<(i32, u64)>().prop_map(|(pid, start_ticks)| ProcessId { pid, start_ticks })
    }

    fn ends() -> impl Strategy<Value = End> {
        prop_oneof![
            any::<u8>().prop_map(End::Exited),
            any::<i32>().prop_map(End::Signaled),
            (any::<Option<u8>>(), "\\PC{0,20}[\\n\\\\u{}\\r]{0,6}")
                .prop_map(|(exit_code, error)| End::SpawnFailed { exit_code, error }),
        ]
    }

    prop_compose! {
        fn reports()(
            (progress, retry_after) in any::<(Option<u8>, Option<Duration>)>(),
            (result, error) in (prop::option::of("\\PC{0,20}"), prop::option::of("\\PC{0,20}")),
        ) -> Report {
            Report { progress, result, error, retry_after }
        }
    }

    prop_compose! {
        fn endings()(
            end in ends(),
            (ended_at, max_rss_kib) in any::<(i64, u64)>(),
            (duration, user, system) in any::<(Duration, Duration, Duration)>(),
            remark in prop::option::of(any::<[char; 12]>()),
            (report, spooled) in (reports(), prop::option::of((any::<u64>(), prop::option::of("\\PC{0,20}")))),
        ) -> Ending {
            Ending {
                end, ended_at: Wall::from_ms(ended_at), duration, user, system, max_rss_kib,
                remark: remark.map(String::from_iter), report,
                spooled: spooled.map(|(bytes, failure)| Spooled { bytes, failure }),
            }
        }
    }

    prop_compose! {
        fn records()(
            (run, attempt, claim, output_total) in any::<(i64, u32, i64, u64)>(),
            (boot_id, keeper, command) in ("[0-9a-f-]{0,36}", processes(), prop::option::of(processes())),
            (started_at, started_mono) in any::<(i64, Duration)>(),
            (head_max, tail_max) in any::<(u64, u64)>(),
            (cgroup, memory_max) in (prop::option::of("\\PC{0,40}"), any::<Option<u64>>()),
            (terms, report, feeds) in
                (prop::option::of("\\PC{0,40}"), prop::option::of("\\PC{0,40}"), prop::option::of("\\PC{0,40}")),
            stopped in prop_oneof![Just(None), Just(Some(StopCause::Timeout)), Just(Some(StopCause::Signal))],
            ending in prop::option::of(endings()),
        ) -> Record {
            Record {
                boot_id, keeper, run, attempt, claim, command, cgroup, memory_max, terms, report, feeds, stopped, output_total, ending,
                started_at: Wall::from_ms(started_at), started_mono: Mono::from_duration(started_mono),
                layout: OutputLayout { head_max, tail_max },
            }
        }
    }

    fn some() -> Record {
        Record {
            boot_id: "b".to_owned(),
            keeper: ProcessId { pid: 10, start_ticks: 20 },
            run: 1,
            attempt: 2,
            claim: 3,
            started_at: Wall::from_ms(4),
            started_mono: Mono::from_duration(Duration::from_nanos(5)),
            command: Some(ProcessId { pid: 11, start_ticks: 21 }),
            cgroup: None,
            memory_max: None,
            terms: None,
            feeds: None,
            report: None,
            stopped: None,
            layout: OutputLayout { head_max: 6, tail_max: 7 },
            output_total: 8,
            ending: None,
        }
    }

    proptest! {
        #[test]
        fn a_record_survives_its_encoding(record in records(), stale in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut bytes = record.encode();
            prop_assert!(bytes.len() <= RECORD_MAX);
            bytes.extend(stale);
            prop_assert_eq!(Record::decode(&bytes), Ok(Some(record)));
        }

        #[test]
        fn a_record_that_is_cut_off_is_refused(record in records(), share in 0.01..1.0_f64) {
            let bytes = record.encode();
            let len = (bytes.len() as f64 * share) as usize;
            prop_assume!(len > 0);
            prop_assert!(Record::decode(&bytes[..len]).is_err());
        }

        #[test]
        fn a_record_over_a_longer_one_is_that_record(new in records(), old in records()) {
            let mut bytes = old.encode();
            let text = new.encode();
            let len = text.len().max(bytes.len());
            bytes.resize(len, 0);
            bytes[..text.len()].copy_from_slice(&text);
            prop_assert_eq!(Record::decode(&bytes), Ok(Some(new)));
        }

        #[test]
        fn any_bytes_are_a_record_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = Record::decode(&bytes);
        }

        #[test]
        fn lines_that_cannot_be_right_are_an_error(lines in "([a-z_]{1,12} [ -~]{0,12}\\n){0,6}") {
            let text = format!("jobctl-record 1\n{lines}");
            let whole = format!("output {}\n{text}checksum {:016x}\nend\n", output_total_digits(1), fnv1a(text.bytes()));
            prop_assert!(Record::decode(whole.as_bytes()).is_err());
        }
    }

    #[test]
    fn a_record_can_be_read_by_people() {
        let text = String::from_utf8(some().encode()).unwrap();
        let expected = "output 00000000000000000008\njobctl-record 1\nrun 1\nattempt 2\nclaim 3\nboot_id b\nkeeper 10 20\n\
                        started_at_ms 4\nstarted_mono_ns 5\nlayout 6 7\ncommand 11 21\nchecksum ";
        assert_eq!(&text[..expected.len()], expected);
    }

    #[test]
    fn an_empty_file_holds_no_record() {
        assert_eq!(Record::decode(b""), Ok(None));
    }

    #[test]
    fn the_live_total_may_move_and_a_changed_byte_elsewhere_is_noticed() {
        let mut bytes = some().encode();
        let at = usize::try_from(OUTPUT_TOTAL_AT).unwrap();
        bytes[at..at + 20].copy_from_slice(output_total_digits(99).as_bytes());
        assert_eq!(Record::decode(&bytes).unwrap().unwrap().output_total, 99);
        for place in FIRST_LINE_LEN..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            assert!(Record::decode(&changed).is_err(), "byte {place}");
        }
    }

    #[test]
    fn unknown_lines_are_passed_over_and_a_later_version_is_named() {
        let with = |text: &str| {
            let first = format!("output {}\n", output_total_digits(8));
            format!("{first}{text}checksum {:016x}\nend\n", fnv1a(text.bytes())).into_bytes()
        };
        let text = String::from_utf8(some().encode()).unwrap();
        let body = &text[FIRST_LINE_LEN..text.find("checksum").unwrap()];
        assert_eq!(Record::decode(&with(&format!("{body}colour blue\n"))), Ok(Some(some())));
        let newer = body.replace("jobctl-record 1", "jobctl-record 2");
        assert_eq!(Record::decode(&with(&newer)), Err(RecordError::Newer(2)));
    }

    #[test]
    fn a_long_text_is_cut_off_at_a_character() {
        let error = "ä".repeat(TEXT_MAX);
        let kept = unescaped(&escaped(&error)).unwrap();
        assert_eq!(kept, "ä".repeat(TEXT_MAX / 2));
    }
}
