//! What a command says of itself in the file `$JOBCTL_REPORT` (jobctl.toml(5), "What a command
//! finds"): lines `progress=0..100`, `result=TEXT`, `error=TEXT` and `retry_after=DURATION`. The
//! last line of each kind counts; what is none of them is counted and of no other effect.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration::parse_duration;

/// Of a longer file only the end is read.
pub(crate) const REPORT_MAX: u64 = 65_536;

/// Longer texts are cut off, in bytes.
pub(crate) const TEXT_MAX: usize = 500;

/// The report of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Report {
    /// How far it is, from 0 to 100.
    pub(crate) progress: Option<u8>,
    /// What came of it, for people.
    pub(crate) result: Option<String>,
    /// What went wrong, for people.
    pub(crate) error: Option<String>,
    /// When it wants to be tried again, from its end, if it failed.
    pub(crate) retry_after: Option<Duration>,
}

/// Reads a report. Also how many lines say nothing that is known.
pub(crate) fn parse(bytes: &[u8]) -> (Report, usize) {
    let mut report = Report::default();
    let mut unknown = 0;
    for line in bytes.split(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches('\r');
        if !line.is_empty() && !report.take(line) {
            unknown += 1;
        }
    }
    (report, unknown)
}

impl Report {
    /// Takes one line. False: it says nothing that is known.
    fn take(&mut self, line: &str) -> bool {
        let Some((name, value)) = line.split_once('=') else {
            return false;
        };
        match name {
            "progress" => match value.trim().parse() {
                Ok(progress @ 0..=100) => self.progress = Some(progress),
                Ok(_) | Err(_) => return false,
            },
            "result" => self.result = Some(cut(value)),
            "error" => self.error = Some(cut(value)),
            "retry_after" => match parse_duration(value.trim()) {
                Ok(span) => self.retry_after = Some(span),
                Err(_) => return false,
            },
            _ => return false,
        }
        true
    }
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(TEXT_MAX)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_last_line_of_each_kind_counts() {
        let text = b"progress=5\nresult=a = b\r\nerror=no disk\nretry_after=90s\n\nprogress=100\n";
        let expected = Report {
            progress: Some(100),
            result: Some("a = b".to_owned()),
            error: Some("no disk".to_owned()),
            retry_after: Some(Duration::from_secs(90)),
        };
        assert_eq!(parse(text), (expected, 0));
        assert_eq!(parse(b"progress=7").0.progress, Some(7));
    }

    #[test]
    fn what_says_nothing_known_is_counted_and_changes_nothing() {
        let text = b"progress=101\nprogress=-1\nprogress=\nretry_after=soon\nhallo\nPROGRESS=1\n=\n\xff\xfe\0\n";
        assert_eq!(parse(text), (Report::default(), 8));
        let (report, unknown) = parse(b"progress=40\nprogress=4x\n");
        assert_eq!((report.progress, unknown), (Some(40), 1));
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let line = format!("result=x{}", "\u{e4}".repeat(1000));
        let result = parse(line.as_bytes()).0.result.unwrap();
        assert_eq!(result.len(), TEXT_MAX - 1);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_report(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let (report, unknown) = parse(&bytes);
            prop_assert!(report.progress.is_none_or(|progress| progress <= 100));
            prop_assert!(unknown <= bytes.split(|byte| *byte == b'\n').count());
        }
    }
}
