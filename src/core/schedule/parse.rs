//! From the text of a schedule to a `Schedule`: macros, `@every`, and the five fields put together.

use std::time::Duration;

use super::field::{self, Kind, clip, error, plain_error};
use super::{Calendar, HashSeed, Schedule, ScheduleError};
use crate::core::duration::parse_duration;
use crate::core::schedule::days::{DayExtras, DayRule};

/// Longer expressions are not looked at; all sixty minutes written out have 170 bytes.
const BYTES_MAX: usize = 4096;

const FIELDS: &str = "minute, hour, day of month, month, day of week";

/// The shortest `@every`.
const EVERY_MIN: Duration = Duration::from_secs(1);

/// The macros that stand for five fields (crontab(5)).
const MACROS: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// Parses a schedule.
pub(super) fn parse(text: &str, seed: HashSeed<'_>) -> Result<Schedule, ScheduleError> {
    if text.len() > BYTES_MAX {
        return Err(plain_error(BYTES_MAX, format!("expression is longer than {BYTES_MAX} bytes")));
    }
    let mut words = words(text);
    match words.next() {
        None => {
            Err(error(0, "expression is empty".to_owned(), format!("write five fields: {FIELDS}")))
        }
        Some((at, word)) if word.starts_with('@') => parse_macro(text, at, word, seed),
        Some(_) => five_fields(text, seed).map(Schedule::Calendar),
    }
}

/// The parts between blanks and tabs, with where they begin.
pub(super) fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    text.split([' ', '\t'])
        .map(move |word| {
            let start = at;
            at += word.len() + 1;
            (start, word)
        })
        .filter(|(_, word)| !word.is_empty())
}

fn parse_macro(
    text: &str,
    at: usize,
    word: &str,
    seed: HashSeed<'_>,
) -> Result<Schedule, ScheduleError> {
    if word == "@every" {
        return every(text, at + word.len());
    }
    let fields = MACROS.iter().find(|(name, _)| *name == word).map(|(_, fields)| *fields);
    if fields.is_none() && word != "@reboot" {
        return Err(unknown_macro(at, word));
    }
    if let Some((after, rest)) = words(text).nth(1) {
        return Err(plain_error(after, format!("unexpected `{}` after {word}", clip(rest))));
    }
    fields.map_or(Ok(Schedule::Reboot), |fields| five_fields(fields, seed).map(Schedule::Calendar))
}

fn unknown_macro(at: usize, word: &str) -> ScheduleError {
    let lower = word.to_ascii_lowercase();
    let is_known =
        lower == "@reboot" || lower == "@every" || MACROS.iter().any(|(name, _)| *name == lower);
    let hint = if is_known {
        format!("write {lower}: macros are lower case")
    } else {
        "macros are @yearly @monthly @weekly @daily @hourly @reboot and @every DURATION".to_owned()
    };
    error(at, format!("`{}` is not a macro", clip(word)), hint)
}

/// `@every DURATION`; `start` is the end of `@every`.
fn every(text: &str, start: usize) -> Result<Schedule, ScheduleError> {
    let rest = &text[start..];
    let duration = rest.trim_matches([' ', '\t']);
    let at = start + rest.find(duration).unwrap_or(0);
    if duration.is_empty() {
        return Err(error(
            start,
            "@every has no duration".to_owned(),
            "write @every 15m".to_owned(),
        ));
    }
    let period = parse_duration(duration).map_err(|cause| error(at, cause.message, cause.hint))?;
    if period < EVERY_MIN {
        return Err(plain_error(at, format!("@every {duration} is shorter than one second")));
    }
    Ok(Schedule::Every(period))
}

fn five_fields(text: &str, seed: HashSeed<'_>) -> Result<Calendar, ScheduleError> {
    let mut rest = words(text);
    let mut next = |kind| {
        let (at, word) = rest.next().ok_or_else(|| too_few(text))?;
        field::parse(kind, &text[..at + word.len()], at, seed)
    };
    check_number_of_fields(text)?;
    let [minute, hour, month_day, month, weekday] = Kind::ALL.map(&mut next);
    let (minute, hour, month_day, month, weekday) = (minute?, hour?, month_day?, month?, weekday?);
    let extra = DayExtras {
        last_weekdays: weekday.extra.last_weekdays,
        nth_weekdays: weekday.extra.nth_weekdays,
        ..month_day.extra
    };
    let calendar = Calendar {
        minutes: minute.set,
        hours: bits(hour.set),
        is_wild: minute.is_starred || hour.is_starred,
        days: DayRule {
            month_days: bits(month_day.set),
            months: bits(month.set),
            weekdays: bits(weekday.set),
            needs_both: month_day.is_starred || weekday.is_starred,
            extra: (extra != DayExtras::default()).then(|| Box::new(extra)),
        },
    };
    if !calendar.days.ever_matches() {
        let at = words(text).nth(2).map_or(0, |(at, _)| at);
        return Err(error(
            at,
            "expression never matches a date".to_owned(),
            "no matching day in the next 40 years".to_owned(),
        ));
    }
    Ok(calendar)
}

fn check_number_of_fields(text: &str) -> Result<(), ScheduleError> {
    let count = words(text).count();
    if count < 5 {
        return Err(too_few(text));
    }
    match words(text).nth(5) {
        None => Ok(()),
        Some((at, _)) => {
            let hint = "the first field is the minute; for seconds, use @every".to_owned();
            Err(error(at, format!("expression has {count} fields, not five"), hint))
        }
    }
}

fn too_few(text: &str) -> ScheduleError {
    let count = words(text).count();
    let noun = if count == 1 { "field" } else { "fields" };
    error(text.len(), format!("expression has {count} {noun}, not five"), format!("write {FIELDS}"))
}

/// A set in the type that is just wide enough for its field.
fn bits<T: TryFrom<u64>>(set: u64) -> T {
    T::try_from(set).ok().expect("a field's values are within its bounds")
}
