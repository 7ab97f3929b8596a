//! The file format of a record: lines of text that people can read, and that show whether they are
//! complete.
//!
//! The first line has a fixed width and holds the live total of the output; it alone moves while
//! the command runs, so it is not covered by the checksum. Then come the version and, as JSON on
//! one line, everything else. A record may be shorter than the one before it in the file: what
//! stands behind the line `end` is of no account. Unknown fields are passed over, so that a later
//! version can add some.

use std::fmt;

use serde_json::Value;

use super::format_1;
use super::record::Record;
use crate::core::hash::fnv1a;

/// Where in the file the digits of the live total of the output begin.
pub(crate) const OUTPUT_TOTAL_AT: u64 = 7;

/// The maximum length of a record.
pub(crate) const RECORD_MAX: usize = 16 * 1024;

/// What a record has besides its JSON.
const FRAME: usize = 128;

/// `output `, twenty digits, a line feed.
const FIRST_LINE_LEN: usize = 28;

const VERSION: u32 = 2;

/// Why a record cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RecordError {
    /// It ends too early or its checksum is wrong: it was being written, or the machine stopped
    /// meanwhile.
    Torn,
    /// A later version wrote it.
    Newer(u32),
    /// A field is missing or impossible.
    Wrong(String),
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Torn => f.write_str("record is incomplete"),
            Self::Newer(version) => {
                write!(f, "record has version {version}, which needs a newer jobctl")
            }
            Self::Wrong(what) => write!(f, "record: {what}"),
        }
    }
}

impl std::error::Error for RecordError {}

impl From<serde_json::Error> for RecordError {
    fn from(error: serde_json::Error) -> Self {
        Self::Wrong(error.to_string())
    }
}

/// The digits of the live total, as they stand at [`OUTPUT_TOTAL_AT`].
pub(crate) fn output_total_digits(total: u64) -> String {
    format!("{total:020}")
}

impl Record {
    /// Makes the text of it, to be written at the beginning of its file in one piece.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let text = format!("jobctl-record {VERSION}\n{}\n", self.json());
        let (digits, checksum) = (output_total_digits(self.output_total), fnv1a(text.bytes()));
        format!("output {digits}\n{text}checksum {checksum:016x}\nend\n").into_bytes()
    }

    /// Cuts off the texts of a record that would be too long.
    fn json(&self) -> String {
        let whole = serde_json::to_string(self).expect("a record is JSON");
        if whole.len() + FRAME <= RECORD_MAX {
            return whole;
        }
        let cut = |max| {
            let mut value = serde_json::to_value(self).expect("a record is JSON");
            cut_texts(&mut value, max);
            value.to_string()
        };
        let shorter = cut(512);
        if shorter.len() + FRAME <= RECORD_MAX { shorter } else { cut(64) }
    }

    /// Reads the beginning of a record's file. None: the file is empty, nothing was ever written.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Option<Self>, RecordError> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let (first, rest) = bytes.split_at_checked(FIRST_LINE_LEN).ok_or(RecordError::Torn)?;
        let body = body(rest).ok_or(RecordError::Torn)?;
        let wrong = || RecordError::Wrong("unexpected first line".to_owned());
        let (version, body) = body.split_once('\n').ok_or_else(wrong)?;
        let version = version.strip_prefix("jobctl-record ").and_then(|digits| digits.parse().ok());
        let record: Self = match version.ok_or_else(wrong)? {
            VERSION => serde_json::from_str(body)?,
            1 => serde_json::from_value(format_1::value(body))?,
            newer if newer > VERSION => return Err(RecordError::Newer(newer)),
            _ => return Err(wrong()),
        };
        let output_total = output_total_of(first).ok_or_else(wrong)?;
        Ok(Some(Self { output_total, ..record }))
    }
}

fn cut_texts(value: &mut Value, max: usize) {
    match value {
        Value::String(text) => text.truncate(text.floor_char_boundary(max)),
        Value::Array(values) => values.iter_mut().for_each(|value| cut_texts(value, max)),
        Value::Object(fields) => fields.values_mut().for_each(|value| cut_texts(value, max)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn output_total_of(first_line: &[u8]) -> Option<u64> {
    let digits = first_line.strip_prefix(b"output ")?.strip_suffix(b"\n")?;
    let is_number = digits.iter().all(u8::is_ascii_digit);
    if is_number { std::str::from_utf8(digits).ok()?.parse().ok() } else { None }
}

/// What stands before the checksum, if that is right and `end` follows it.
fn body(bytes: &[u8]) -> Option<&str> {
    let mark = b"\nchecksum ";
    let len = bytes.windows(mark.len()).position(|window| window == mark)? + 1;
    let (body, rest) = bytes.split_at(len);
    let expected = format!("checksum {:016x}\nend\n", fnv1a(body.iter().copied()));
    rest.starts_with(expected.as_bytes()).then(|| std::str::from_utf8(body).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::record::{End, Ending, ProcessId, Spooled, StopCause};
    use crate::core::output::OutputLayout;
    use crate::core::report::Report;
    use crate::core::time::{Mono, Wall};

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
            (report, feeds) in (prop::option::of("\\PC{0,40}"), prop::option::of("\\PC{0,40}")),
            stopped in prop_oneof![Just(None), Just(Some(StopCause::Timeout)), Just(Some(StopCause::Signal))],
            ending in prop::option::of(endings()),
        ) -> Record {
            Record {
                boot_id, keeper, run, attempt, claim, command, cgroup, memory_max, report, feeds, stopped, output_total, ending,
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
            let text = format!("jobctl-record 2\n{lines}");
            let whole = format!("output {}\n{text}checksum {:016x}\nend\n", output_total_digits(1), fnv1a(text.bytes()));
            prop_assert!(Record::decode(whole.as_bytes()).is_err());
        }
    }

    #[test]
    fn a_record_can_be_read_by_people() {
        let text = String::from_utf8(some().encode()).unwrap();
        let expected = "output 00000000000000000008\njobctl-record 2\n\
                        {\"boot_id\":\"b\",\"keeper\":{\"pid\":10,\"start_ticks\":20},\"run\":1,\"attempt\":2,\"claim\":3,\"started_at\":4,";
        assert_eq!(&text[..expected.len()], expected);
    }

    #[test]
    fn a_record_of_version_1_is_read_as_what_it_says() {
        let lines = |text: &str| {
            let text = format!("jobctl-record 1\n{text}");
            let digits = output_total_digits(8);
            let checksum = fnv1a(text.bytes());
            format!("output {digits}\n{text}checksum {checksum:016x}\nend\n").into_bytes()
        };
        let begun = "run 1\nattempt 2\nclaim 3\nboot_id b\nkeeper 10 20\nstarted_at_ms 4\nstarted_mono_ns 5\n\
                     layout 6 7\ncommand 11 21\nterms 1 shell=1\ncolour blue\n";
        assert_eq!(Record::decode(&lines(begun)), Ok(Some(some())));
        let ended = format!(
            "{begun}stopped timeout\nspawn_failed no\\u{{5c}}\nexit_code 127\nended_at_ms 9\nduration_ns 1000000002\nuser_ns 0\n\
             system_ns 0\nmax_rss_kib 1\nspooled 3\nspool_failed_by x\nprogress 7\nretry_after_ns 1000000000\n"
        );
        let ending = Ending {
            end: End::SpawnFailed { exit_code: Some(127), error: "no\\".to_owned() },
            ended_at: Wall::from_ms(9),
            duration: Duration::new(1, 2),
            user: Duration::ZERO,
            system: Duration::ZERO,
            max_rss_kib: 1,
            remark: None,
            report: Report {
                progress: Some(7),
                retry_after: Some(Duration::from_secs(1)),
                ..Report::default()
            },
            spooled: Some(Spooled { bytes: 3, failure: Some("x".to_owned()) }),
        };
        let record = Record { stopped: Some(StopCause::Timeout), ending: Some(ending), ..some() };
        assert_eq!(Record::decode(&lines(&ended)), Ok(Some(record)));
        assert!(Record::decode(&lines("run 1\n")).is_err());
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
    fn unknown_fields_are_passed_over_and_a_later_version_is_named() {
        let with = |text: &str| {
            let first = format!("output {}\n", output_total_digits(8));
            format!("{first}{text}checksum {:016x}\nend\n", fnv1a(text.bytes())).into_bytes()
        };
        let text = String::from_utf8(some().encode()).unwrap();
        let body = &text[FIRST_LINE_LEN..text.find("checksum").unwrap()];
        let more = body.replace("{\"boot_id\"", "{\"colour\":\"blue\",\"boot_id\"");
        assert_eq!(Record::decode(&with(&more)), Ok(Some(some())));
        let newer = body.replace("jobctl-record 2", "jobctl-record 3");
        assert_eq!(Record::decode(&with(&newer)), Err(RecordError::Newer(3)));
    }

    #[test]
    fn a_record_with_long_texts_is_cut_off_at_characters() {
        let long = |text: &str| Some(text.repeat(RECORD_MAX));
        let record = Record { feeds: long("ä"), cgroup: long("\u{1}"), ..some() };
        let read = Record::decode(&record.encode()).unwrap().unwrap();
        assert_eq!(read.feeds.unwrap(), "ä".repeat(256));
        assert_eq!(read.cgroup.unwrap().len(), 512);
    }
}
