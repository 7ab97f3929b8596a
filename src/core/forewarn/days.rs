//! Both day fields set: which days that means (crontab(5), Vixie's rule).

use chrono::DateTime;

use super::{Subject, Words, list};
use crate::core::schedule::{Calendar, DayFields};

/// Coming days that are shown.
const SHOWN: usize = 3;

/// More days of the month than this are not written out.
const WRITTEN_OUT: u32 = 6;

const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Says which days match, and the next ones.
pub(super) fn look(subject: &Subject<'_>, text: &str, calendar: &Calendar) -> Option<Words> {
    let mut fields = text.split([' ', '\t']).filter(|word| !word.is_empty());
    let (month_day, weekday) = (fields.nth(2)?, fields.nth(1)?);
    let (message, hint) = match calendar.day_fields() {
        DayFields::One => return None,
        DayFields::Either => (
            format!(
                "both day fields are set and either matches: it runs on {} and on {}",
                month_days(month_day, calendar),
                weekdays(weekday, calendar),
            ),
            "write `*` in one of them, or `mon#1` for the first Monday of a month",
        ),
        DayFields::Both => (
            format!(
                "both day fields are set and one begins with `*`, so both must match: it \
                     runs on {} only if that is {}",
                month_days(month_day, calendar),
                weekdays(weekday, calendar).replacen("every", "a", 1),
            ),
            "write that field without `*` if either should match, or write `*` in one of them",
        ),
    };
    let secs = subject.from.secs();
    let wall = (secs + subject.zone.offset_at(secs)).div_euclid(60);
    let (today, minute) = (wall.div_euclid(1440), wall.rem_euclid(1440));
    // Today counts only if a time of it is still to come.
    let is_over = calendar.minutes_of_day().all(|at| at <= minute);
    let days = calendar.days_from(today + i64::from(is_over));
    let next: Vec<String> = days.take(SHOWN).map(date).collect();
    Some((format!("schedule `{text}`: {message} (next: {})", next.join(", ")), hint.to_owned()))
}

fn date(day: i64) -> String {
    let at = DateTime::from_timestamp(day * 86_400, 0).unwrap_or_default();
    at.format("%a %Y-%m-%d").to_string()
}

fn month_days(field: &str, calendar: &Calendar) -> String {
    let days = calendar.month_days();
    let has_only_numbers =
        field.bytes().all(|byte| byte.is_ascii_digit() || b",-/*H()".contains(&byte));
    if !has_only_numbers || days.count_ones() > WRITTEN_OUT || days == 0 {
        return format!("days `{field}` of the month");
    }
    let days = (1..=31).filter(|day| days >> day & 1 == 1);
    let words: Vec<String> = days.map(ordinal).collect();
    format!("the {}", list(&words))
}

fn weekdays(field: &str, calendar: &Calendar) -> String {
    let set = calendar.weekdays();
    if set == 0 || field.contains(['L', '#']) {
        return format!("days `{field}` of the week");
    }
    let named = WEEKDAYS.iter().enumerate();
    let words: Vec<String> = named
        .filter(|(index, _)| set >> index & 1 == 1)
        .map(|(_, name)| (*name).to_owned())
        .collect();
    format!("every {}", list(&words))
}

fn ordinal(day: u32) -> String {
    let ending = match (day % 100, day % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    format!("{day}{ending}")
}
