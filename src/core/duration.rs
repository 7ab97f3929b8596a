//! Durations as people write them: humantime without months and years, which have no fixed length.
//!
//! The one reader of durations in jobfile, command line and `@every`. Whether zero makes sense is
//! the caller's business.

use std::fmt;
use std::time::Duration;

/// Longer is a slip of the pen: ten years.
const LONGEST: Duration = Duration::from_secs(3653 * 86_400);

/// Longer texts are not looked at. With [`DIGITS_MAX`] it keeps humantime's sums far from overflow,
/// where it panics.
const TEXT_MAX: usize = 100;

/// Numbers with more digits are not looked at.
const DIGITS_MAX: usize = 12;

/// What a duration looks like.
const EXAMPLES: &str = "durations look like 90s, 15m, 1h 30m or 2d";

/// Explains why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DurationError {
    /// What is wrong: lower case, the object first.
    pub(crate) message: String,
    /// What to write instead.
    pub(crate) hint: String,
}

impl fmt::Display for DurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DurationError {}

/// Reads a duration such as `90s` or `1h 30m`; zero is one too. Errs on a number without a unit, on
/// months and years, and on more than ten years.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    if text.len() > TEXT_MAX {
        return Err(error(format!("duration is longer than {TEXT_MAX} bytes"), EXAMPLES));
    }
    if longest_number(text) > DIGITS_MAX {
        return Err(too_long(text));
    }
    let duration = humantime::parse_duration(text).map_err(|cause| explain(text, &cause))?;
    if let Some(unit) =
        text.split(|c: char| !c.is_alphabetic()).find(|word| has_no_fixed_length(word))
    {
        return Err(error(
            format!("`{unit}` has no fixed length"),
            "write days (30d, 365d); `m` is minutes",
        ));
    }
    if duration > LONGEST {
        return Err(too_long(text));
    }
    Ok(duration)
}

/// Shows a duration so that it reads back the same to the millisecond: `1h 30m`, `90ms`, `0s`.
pub(crate) fn show_duration(duration: Duration) -> String {
    const UNITS: [(&str, u128); 5] =
        [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
    let mut rest = duration.as_millis();
    let mut words = Vec::new();
    for (unit, ms) in UNITS {
        if rest >= ms {
            words.push(format!("{}{unit}", rest / ms));
            rest %= ms;
        }
    }
    if words.is_empty() {
        return "0s".to_owned();
    }
    words.join(" ")
}

fn has_no_fixed_length(unit: &str) -> bool {
    matches!(unit, "M" | "month" | "months" | "y" | "yr" | "yrs" | "year" | "years")
}

/// The digits of the longest number; blanks do not end one, as in humantime.
fn longest_number(text: &str) -> usize {
    text.split(|c: char| !c.is_ascii_digit() && !c.is_whitespace())
        .map(|number| number.chars().filter(char::is_ascii_digit).count())
        .max()
        .unwrap_or(0)
}

fn explain(text: &str, cause: &humantime::DurationError) -> DurationError {
    match cause {
        humantime::DurationError::Empty => error("duration is empty".to_owned(), EXAMPLES),
        humantime::DurationError::UnknownUnit { unit, value, .. } if unit.is_empty() => error(
            format!("`{text}` has no unit"),
            &format!("write {value}s, {value}m, {value}h or {value}d"),
        ),
        humantime::DurationError::UnknownUnit { unit, .. } => {
            error(format!("`{unit}` is not a unit of time"), "units are ms, s, m, h, d and w")
        }
        humantime::DurationError::NumberOverflow => {
            error(format!("`{text}` is too long or too precise"), EXAMPLES)
        }
        humantime::DurationError::InvalidCharacter(_)
        | humantime::DurationError::NumberExpected(_) => {
            error(format!("`{text}` is not a duration"), EXAMPLES)
        }
    }
}

fn too_long(text: &str) -> DurationError {
    error(format!("`{text}` is more than ten years"), EXAMPLES)
}

fn error(message: String, hint: &str) -> DurationError {
    DurationError { message, hint: hint.to_owned() }
}

/// A span for people, in days, hours, minutes and seconds: its two largest parts, `9d 4h`.
pub(crate) fn in_words(span: Duration) -> String {
    let secs = span.as_secs();
    let parts =
        [(secs / 86_400, "d"), (secs / 3600 % 24, "h"), (secs / 60 % 60, "m"), (secs % 60, "s")];
    let first = parts.iter().position(|(count, _)| *count > 0).unwrap_or(3);
    parts[first..]
        .iter()
        .take(2)
        .filter(|(count, unit)| *count > 0 || (first == 3 && *unit == "s"))
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, ms) in [
            ("90s", 90_000),
            ("1h 30m", 5_400_000),
            ("1h30m", 5_400_000),
            ("15min", 900_000),
            ("250ms", 250),
            ("2d", 172_800_000),
            ("1w", 604_800_000),
            ("1.5h", 5_400_000),
            ("0s", 0),
            ("3653d", 315_619_200_000),
            ("000000000001s", 1000),
            ("1000000ms1000000ms", 2_000_000),
            (&format!("{} ", "1s ".repeat(33)), 33_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_says_why() {
        for (text, message, hint) in [
            ("", "duration is empty", EXAMPLES),
            ("  ", "duration is empty", EXAMPLES),
            ("90", "`90` has no unit", "write 90s, 90m, 90h or 90d"),
            ("1h 30", "`1h 30` has no unit", "write 30s, 30m, 30h or 30d"),
            ("1M", "`M` has no fixed length", "write days (30d, 365d); `m` is minutes"),
            (
                "1h 2months",
                "`months` has no fixed length",
                "write days (30d, 365d); `m` is minutes",
            ),
            ("1year", "`year` has no fixed length", "write days (30d, 365d); `m` is minutes"),
            ("5 parsecs", "`parsecs` is not a unit of time", "units are ms, s, m, h, d and w"),
            ("-5s", "`-5s` is not a duration", EXAMPLES),
            ("11y", "`y` has no fixed length", "write days (30d, 365d); `m` is minutes"),
            ("3653d 1ms", "`3653d 1ms` is more than ten years", EXAMPLES),
            ("0000000000001s", "`0000000000001s` is more than ten years", EXAMPLES),
            ("4000d", "`4000d` is more than ten years", EXAMPLES),
            ("99999999999999999999s", "`99999999999999999999s` is more than ten years", EXAMPLES),
        ] {
            let error = parse_duration(text).unwrap_err();
            assert_eq!(
                (error.to_string(), error.hint.as_str()),
                (message.to_owned(), hint),
                "{text}"
            );
        }
    }

    #[test]
    fn no_text_makes_it_panic() {
        for text in [
            "18446744073709551615s 1000000000ns",
            "1 8446744073709551615s1000000000ns",
            "1e9s",
            "µ",
            "٣s",
            "1.s",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        assert!(parse_duration(&"1s ".repeat(1 << 20)).is_err());
    }

    #[test]
    fn spans_are_told_by_their_two_largest_parts() {
        for (secs, words) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (3661, "1h 1m"),
            (7200, "2h"),
            (90_061, "1d 1h"),
            (86_400 + 60, "1d"),
        ] {
            assert_eq!(in_words(Duration::from_secs(secs)), words);
        }
    }
}
