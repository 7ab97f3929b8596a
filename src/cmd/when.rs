//! Parses times and durations as people type them, in the viewer's zone.

use std::time::Duration;

use crate::cmd::{Failure, Result};
use crate::core::duration::parse_duration;
use crate::core::moment;
pub(crate) use crate::core::moment::Toward;
use crate::core::time::Wall;
pub(crate) use crate::wording::when::{Viewer, local_text, span};

/// Parsers of the viewer's input.
impl Viewer {
    /// Reads RFC 3339, `YYYY-MM-DD[ HH:MM[:SS]]`, `HH:MM[:SS]` or a duration. The error is one of
    /// usage.
    pub(crate) fn parse(&self, text: &str, toward: Toward) -> Result<Wall> {
        moment::parse(text, (&self.zone, self.now), toward)
            .map_err(|error| Failure::usage(error.message).hint(error.hint))
    }

    /// Reads a duration. The error is one of usage.
    pub(crate) fn parse_span(&self, text: &str) -> Result<Duration> {
        parse_duration(text).map_err(|error| Failure::usage(error.message).hint(error.hint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wording::when::tests::viewer;

    #[test]
    fn times_are_read_as_people_write_them() {
        let viewer = viewer();
        for (text, toward, utc_text) in [
            ("2026-07-26T02:30:00Z", Toward::Past, "2026-07-26T02:30:00.000Z"),
            ("2026-07-26T02:30:00.5+02:00", Toward::Past, "2026-07-26T00:30:00.500Z"),
            ("2026-07-26", Toward::Past, "2026-07-25T22:00:00.000Z"),
            ("2026-01-26 02:30", Toward::Past, "2026-01-26T01:30:00.000Z"),
            ("2026-07-26 02:30:15", Toward::Past, "2026-07-26T00:30:15.000Z"),
            ("13:00", Toward::Past, "2026-07-26T11:00:00.000Z"),
            ("15:00", Toward::Past, "2026-07-25T13:00:00.000Z"),
            ("15:00", Toward::Future, "2026-07-26T13:00:00.000Z"),
            ("13:00", Toward::Future, "2026-07-27T11:00:00.000Z"),
            ("90m", Toward::Past, "2026-07-26T10:30:00.000Z"),
            ("1h 30m", Toward::Future, "2026-07-26T13:30:00.000Z"),
        ] {
            assert_eq!(
                viewer.parse(text, toward).map(Wall::rfc3339_ms).as_deref(),
                Ok(utc_text),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_time_is_an_error_of_usage() {
        for text in
            ["", "90", "yesterday", "25:00", "2026-13-01", "2026-02-30 10:00", "-5m", "1M", "12:"]
        {
            let failure = viewer().parse(text, Toward::Past).unwrap_err();
            assert_eq!(failure.code, crate::cmd::exit::Exit::Usage, "{text}");
            assert!(failure.hint.is_some(), "{text}");
        }
    }

    #[test]
    fn a_word_is_not_a_time_and_a_number_has_no_unit() {
        let message = |text| viewer().parse(text, Toward::Past).unwrap_err().message;
        assert_eq!(message("foo"), "`foo` is not a time");
        assert_eq!(message("90"), "`90` has no unit");
    }

    #[test]
    fn a_local_time_in_a_fold_is_the_first_and_in_a_gap_the_one_after() {
        let viewer = viewer();
        let read = |text| viewer.parse(text, Toward::Past).map(Wall::rfc3339_ms).unwrap();
        assert_eq!(read("2026-10-25 02:30"), "2026-10-25T00:30:00.000Z");
        assert_eq!(read("2026-03-29 02:30"), "2026-03-29T01:30:00.000Z");
        assert_eq!(read("2026-03-29 01:59"), "2026-03-29T00:59:00.000Z");
        assert_eq!(read("2026-03-29 03:00"), "2026-03-29T01:00:00.000Z");
    }
}
