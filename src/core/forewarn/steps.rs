//! Steps that do not divide the hour or the day, and so are uneven where it begins anew.

use super::Words;
use crate::core::schedule::Calendar;

/// A field with steps: its length, its unit, and the letter of the unit in a duration.
struct Unit {
    length: u32,
    one: &'static str,
    whole: &'static str,
    letter: char,
}

const MINUTES: Unit = Unit { length: 60, one: "minute", whole: "hour", letter: 'm' };

const HOURS: Unit = Unit { length: 24, one: "hour", whole: "day", letter: 'h' };

/// Says how long the last step is.
pub(super) fn look(text: &str, calendar: &Calendar) -> Vec<Words> {
    let mut words = text.split([' ', '\t']).filter(|word| !word.is_empty());
    let (Some(minute), Some(hour)) = (words.next(), words.next()) else {
        return Vec::new();
    };
    let found = [
        // Within one hour of a day nothing begins anew.
        step_of(minute, MINUTES.length)
            .filter(|_| calendar.has_hours_in_a_row())
            .and_then(|step| uneven(&MINUTES, minute, step, calendar.minute_ends())),
        step_of(hour, HOURS.length)
            .filter(|_| calendar.has_days_in_a_row())
            .and_then(|step| uneven(&HOURS, hour, step, calendar.hour_ends())),
    ];
    found.into_iter().flatten().collect()
}

/// The step of a field that goes over all values. `3-59/7` does, but for where it begins; `30-59/7`
/// is the end of the hour.
fn step_of(field: &str, length: u32) -> Option<u32> {
    let (range, step) = field.split_once('/')?;
    // One value may stand in a list; then nothing is said.
    if !step.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let step = step.parse().unwrap_or(u32::MAX);
    let is_whole = |(first, last): (&str, &str)| {
        let first = first.parse::<u32>().ok();
        let last = last.parse::<u32>().ok();
        last == Some(length - 1)
            && first.is_some_and(|first| first == 0 || first < step.min(length / 2))
    };
    (range == "*" || range == "H" || range.split_once('-').is_some_and(is_whole)).then_some(step)
}

fn uneven(unit: &Unit, field: &str, step: u32, (first, last): (u32, u32)) -> Option<Words> {
    let Unit { length, one, whole, letter } = *unit;
    if length.is_multiple_of(step) {
        return None;
    }
    if step > length {
        let message = format!(
            "`{field}` in the {one} field: a step above {length} matches only {one} {first} \
                 of each {whole}"
        );
        let hint = match step {
            ..100_000 => format!("write @every {step}{letter}, or {first}"),
            _ => format!("write {first}"),
        };
        return Some((message, hint));
    }
    let wrap = length - last + first;
    let noun = if wrap == 1 { one.to_owned() } else { format!("{one}s") };
    let message = format!(
        "`{field}` in the {one} field: {step} does not divide {length}, so {one} {first} \
             comes {wrap} {noun} after {one} {last}"
    );
    Some((message, format!("write @every {step}{letter} for even intervals")))
}
