//! Properties of schedules, against a brute force that shares no code with them.
//!
//! The brute force goes through real time minute by minute as cron's loop does, with a high-water
//! mark of the wall clock, and through dates with definitions taken word for word from the manual.

use chrono::{DateTime, Datelike, Days, NaiveDate, TimeDelta, Timelike};
use proptest::prelude::*;

use super::{HashSeed, Schedule, Span, Zone, properties};
use crate::core::time::Wall;
use crate::os::zone;

/// Zones with all kinds of changes: by 30 minutes, by two hours, at midnight, by three hours, by a
/// day.
const ZONES: [&str; 14] = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Antarctica/Troll",
    "America/Havana",
    "Asia/Beirut",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Antarctica/Casey",
    "Pacific/Apia",
    "Pacific/Kwajalein",
    "Asia/Pyongyang",
    "America/St_Johns",
    "Pacific/Chatham",
];

/// A field as text and as what it means.
#[derive(Clone, Debug)]
struct Written {
    text: String,
    values: Vec<u32>,
}

/// An expression as text and as what it means.
#[derive(Clone, Debug)]
struct Expression {
    fields: [Written; 5],
}

impl Written {
    fn is_starred(&self) -> bool {
        self.text.starts_with('*')
    }

    fn has(&self, value: u32) -> bool {
        self.values.contains(&value)
    }
}

impl Expression {
    fn text(&self) -> String {
        self.fields.each_ref().map(|field| field.text.as_str()).join(" ")
    }

    fn is_wild(&self) -> bool {
        self.fields[0].is_starred() || self.fields[1].is_starred()
    }

    fn matches(&self, wall_minute: i64) -> bool {
        let [minute, hour, month_day, month, weekday] = &self.fields;
        let wall = DateTime::from_timestamp(wall_minute * 60, 0).unwrap().naive_utc();
        let by_month = month_day.has(wall.day());
        let number = wall.weekday().num_days_from_sunday();
        let by_week = weekday.has(number) || number == 0 && weekday.has(7);
        let needs_both = month_day.is_starred() || weekday.is_starred();
        let is_day = if needs_both { by_month && by_week } else { by_month || by_week };
        minute.has(wall.minute()) && hour.has(wall.hour()) && month.has(wall.month()) && is_day
    }
}

fn offset_at(zone: &Zone, secs: i64) -> i64 {
    let before = zone.transitions.iter().rev().find(|transition| transition.at_secs <= secs);
    i64::from(before.map_or(zone.offset_first_secs, |transition| transition.offset_secs))
}

/// All occurrences in a span, as cron's loop finds them.
fn run_cron(expression: &Expression, zone: &Zone, span: Span) -> Vec<Wall> {
    const WARM_UP_MINUTES: i64 = 600;
    const CORRECTION: i64 = 180;
    let wall_at = |minute: i64| minute + offset_at(zone, minute * 60) / 60;
    let (after, until) = (span.after.secs().div_euclid(60), span.until.secs().div_euclid(60));
    let mut previous = wall_at(after - WARM_UP_MINUTES);
    let mut seen_to = previous;
    let mut runs = Vec::new();
    for minute in after - WARM_UP_MINUTES + 1..=until {
        let wall = wall_at(minute);
        let jump = wall - (previous + 1);
        previous = wall;
        let is_due = if expression.is_wild() || jump.abs() >= CORRECTION {
            seen_to = wall;
            expression.matches(wall)
        } else {
            let mut unseen = seen_to + 1..=wall;
            seen_to = seen_to.max(wall);
            unseen.any(|minute| expression.matches(minute))
        };
        if is_due && minute > after {
            runs.push(Wall::from_secs(minute * 60));
        }
    }
    runs
}

fn parse(text: &str) -> Schedule {
    Schedule::parse(text, HashSeed { seed: "seed", job: "job" })
        .unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

/// All occurrences in a span, by asking for one after another.
fn enumerate(schedule: &Schedule, zone: &Zone, span: Span) -> Vec<Wall> {
    let mut at = span.after;
    std::iter::from_fn(|| {
        at = schedule.next_after(zone, at, None)?.at;
        Some(at)
    })
    .take_while(|&at| at <= span.until)
    .collect()
}

fn item(low: u32, high: u32) -> impl Strategy<Value = Written> {
    (low..=high, low..=high, 1..=high + 3, 0..5).prop_map(move |(a, b, step, form)| {
        let (a, b) = (a.min(b), a.max(b));
        let (text, first, last, step) = match form {
            0 => (format!("{a}"), a, a, 1),
            1 => (format!("{a}-{b}"), a, b, 1),
            2 => (format!("{a}-{b}/{step}"), a, b, step),
            3 => (format!("*/{step}"), low, high, step),
            _ => ("*".to_owned(), low, high, 1),
        };
        Written { text, values: (first..=last).step_by(step as usize).collect() }
    })
}

fn field(low: u32, high: u32) -> impl Strategy<Value = Written> {
    prop::collection::vec(item(low, high), 1..3).prop_map(|items| Written {
        text: items.iter().map(|item| item.text.as_str()).collect::<Vec<_>>().join(","),
        values: items.into_iter().flat_map(|item| item.values).collect(),
    })
}

fn any_day() -> impl Strategy<Value = Written> {
    Just(Written { text: "*".to_owned(), values: (0..=31).collect() })
}

fn expression() -> impl Strategy<Value = Expression> {
    let days = prop_oneof![2 => any_day(), 1 => field(1, 31)];
    let months = prop_oneof![4 => any_day(), 1 => field(1, 12)];
    let weekdays = prop_oneof![2 => any_day(), 1 => field(0, 7)];
    (field(0, 59), field(0, 23), days, months, weekdays).prop_map(
        |(minute, hour, day, month, weekday)| Expression {
            fields: [minute, hour, day, month, weekday],
        },
    )
}

/// Some days around a change of the clock, cut at any second.
fn place() -> impl Strategy<Value = (Zone, Span)> {
    const DAY: i64 = 86_400;
    (0..ZONES.len(), any::<prop::sample::Index>(), 0..3 * DAY, DAY..8 * DAY).prop_map(
        |(name, index, before, length)| {
            let zone = zone::load(ZONES[name]).unwrap();
            let at = zone.transitions[index.index(zone.transitions.len())].at_secs.max(10 * DAY);
            let after = at - before;
            (zone, Span { after: Wall::from_secs(after), until: Wall::from_secs(after + length) })
        },
    )
}

/// Whether a day is what an element of the day of month says, by the manual's words.
fn is_month_day(element: &str, date: NaiveDate) -> bool {
    let length = u32::from(date.num_days_in_month());
    let nearest = |day: u32| {
        let wanted = date.with_day(day).unwrap();
        let is_workday = |candidate: &NaiveDate| candidate.weekday().number_from_monday() <= 5;
        let in_month = (1..=length).map(|day| date.with_day(day).unwrap());
        in_month.filter(is_workday).min_by_key(|candidate| (*candidate - wanted).abs()).unwrap()
    };
    if element == "LW" {
        return date == nearest(length);
    }
    if let Some(day) = element.strip_suffix('W') {
        let day = day.parse().unwrap();
        return day <= length && date == nearest(day);
    }
    match element.strip_prefix('L') {
        Some("") => date.day() == length,
        Some(before) => {
            (date + Days::new(before[1..].parse().unwrap())).day() == length
                && before.len() > 1
                && {
                    let last = date.with_day(length).unwrap();
                    (last - date).num_days() == before[1..].parse::<i64>().unwrap()
                }
        }
        None => date.day() == element.parse::<u32>().unwrap(),
    }
}

/// Whether a day is what an element of the day of week says, by the manual's words.
fn is_weekday(element: &str, date: NaiveDate) -> bool {
    let number = date.weekday().num_days_from_sunday();
    let is_day = |text: &str| text.parse::<u32>().unwrap() % 7 == number;
    if let Some(day) = element.strip_suffix('L') {
        return is_day(day) && (date + TimeDelta::days(7)).month() != date.month();
    }
    match element.split_once('#') {
        Some((day, nth)) => {
            let earlier = (1..=date.day())
                .filter(|&day| date.with_day(day).unwrap().weekday() == date.weekday());
            is_day(day) && earlier.count() == nth.parse::<usize>().unwrap()
        }
        None => is_day(element),
    }
}

fn month_day_elements() -> impl Strategy<Value = Vec<String>> {
    let element = prop_oneof![
        Just("L".to_owned()),
        Just("LW".to_owned()),
        (1..=30).prop_map(|n| format!("L-{n}")),
        (1..=31).prop_map(|n| format!("{n}W")),
        (1..=31).prop_map(|n| format!("{n}")),
    ];
    prop::collection::vec(element, 1..4)
}

fn weekday_elements() -> impl Strategy<Value = Vec<String>> {
    let element = prop_oneof![
        (0..=7).prop_map(|d| format!("{d}L")),
        (0..=7, 1..=5).prop_map(|(d, n)| format!("{d}#{n}")),
        (0..=7).prop_map(|d| format!("{d}")),
    ];
    prop::collection::vec(element, 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn occurrences_are_those_that_the_loop_of_cron_finds(expression in expression(), (zone, span) in place()) {
        let text = expression.text();
        let Ok(schedule) = Schedule::parse(&text, HashSeed { seed: "", job: "" }) else {
            // The generator makes days that never come.
            return Ok(());
        };
        let found = enumerate(&schedule, &zone, span);
        prop_assert_eq!(&found, &run_cron(&expression, &zone, span), "{} in {}", text, zone.name);
        prop_assert!(found.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn counts_and_latest_agree_with_enumeration(
        expression in expression(), (zone, span) in place(), share in 0..=100_i64,
    ) {
        let Ok(schedule) = Schedule::parse(&expression.text(), HashSeed { seed: "", job: "" }) else { return Ok(()) };
        let all = enumerate(&schedule, &zone, span);
        prop_assert_eq!(schedule.count_between(&zone, span, None), all.len() as u64);
        prop_assert_eq!(schedule.latest_between(&zone, span, None), all.last().copied());
        let middle = Wall::from_ms(span.after.ms() + (span.until.ms() - span.after.ms()) / 100 * share);
        let (early, late) = (Span { until: middle, ..span }, Span { after: middle, ..span });
        let mut parts = enumerate(&schedule, &zone, early);
        parts.extend(enumerate(&schedule, &zone, late));
        prop_assert_eq!(&parts, &all, "split at {:?}", middle);
        let counts = schedule.count_between(&zone, early, None) + schedule.count_between(&zone, late, None);
        prop_assert_eq!(counts, all.len() as u64);
        prop_assert_eq!(schedule.latest_between(&zone, early, None), parts.into_iter().rfind(|&at| at <= middle));
    }

    #[test]
    fn extensions_name_the_days_of_the_manual(
        days in month_day_elements(), weekdays in weekday_elements(), stars in 0..3, year in 1970..2098_i32,
    ) {
        // Beside a starred field both must match; the star is in the list and adds nothing to what
        // is asked.
        let (day_text, weekday_text) = match stars {
            0 => (days.join(","), "*".to_owned()),
            1 => ("*".to_owned(), weekdays.join(",")),
            _ => (days.join(","), weekdays.join(",")),
        };
        let matches = |date: NaiveDate| {
            let by_month = stars == 1 || days.iter().any(|element| is_month_day(element, date));
            let by_week = stars == 0 || weekdays.iter().any(|element| is_weekday(element, date));
            if stars == 2 { by_month || by_week } else { by_month && by_week }
        };
        let schedule = parse(&format!("0 0 {day_text} * {weekday_text}"));
        let begin = NaiveDate::from_ymd_opt(year, 1, 1).unwrap();
        let midnight = |date: NaiveDate| Wall::from_secs(date.and_hms_opt(0, 0, 0).unwrap().and_utc().timestamp());
        let dates: Vec<Wall> = begin.iter_days().take(3 * 365).filter(|date| matches(*date)).map(midnight).collect();
        let before = Wall::from_ms(midnight(begin).ms() - 1);
        let span = Span { after: before, until: midnight(begin + Days::new(3 * 365 - 1)) };
        let utc = zone::load("UTC").unwrap();
        prop_assert_eq!(enumerate(&schedule, &utc, span), dates.clone());
        prop_assert_eq!(schedule.count_between(&utc, span, None), dates.len() as u64);
        prop_assert_eq!(schedule.latest_between(&utc, span, None), dates.last().copied());
    }

    #[test]
    fn what_the_fuzz_target_asserts_holds_for_generated_texts(
        noise in "[@*0-9a-zA-Z ,/#()LWH?~-]{0,40}", any in any::<String>(), written in expression(),
        days in month_day_elements(), weekdays in weekday_elements(), hashed in "H(/[1-9][0-9]?)? H(\\(2-1[0-9]\\))?",
        day in 0..32_800_i64,
    ) {
        let (days, weekdays) = (days.join(","), weekdays.join(","));
        let extended = format!("{hashed} {days} * {weekdays}");
        let either = format!("{hashed} {days} 2 *");
        for text in [noise, any, written.text(), extended, either] {
            properties::assert_all(&text, Wall::from_secs(day * 86_400));
        }
    }

    #[test]
    fn the_next_occurrence_depends_on_nothing_but_the_arguments(
        expression in expression(), other in expression(), (zone, span) in place(), shares in prop::collection::vec(0..=1000_i64, 8),
    ) {
        let seed = HashSeed { seed: "", job: "" };
        let (Ok(schedule), Ok(other)) = (Schedule::parse(&expression.text(), seed), Schedule::parse(&other.text(), seed)) else {
            return Ok(());
        };
        let all = enumerate(&schedule, &zone, span);
        let utc = zone::load("UTC").unwrap();
        // In any order, with other questions between, and by a schedule that was made anew.
        for share in shares {
            let after = Wall::from_ms(span.after.ms() + (span.until.ms() - span.after.ms()) / 1000 * share);
            other.next_after(&utc, after, None);
            let again = Schedule::parse(&expression.text(), seed).unwrap();
            let expected = all.iter().copied().find(|at| *at > after);
            let found = again.next_after(&zone, after, None);
            prop_assert_eq!(&found, &schedule.next_after(&zone, after, None));
            let within = found.map(|found| found.at).filter(|at| *at <= span.until);
            prop_assert_eq!(within, expected, "after {:?}", after);
        }
    }
}

/// Points in the years of the schedules and anywhere.
fn any_point() -> impl Strategy<Value = Wall> {
    prop_oneof![0..4_133_980_800_000_i64, any::<i64>()].prop_map(Wall::from_ms)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_point_in_time_makes_a_schedule_panic(expression in expression(), after in any_point(), until in any_point()) {
        let Ok(schedule) = Schedule::parse(&expression.text(), HashSeed { seed: "", job: "" }) else { return Ok(()) };
        let zone = zone::load("Europe/Berlin").unwrap();
        let span = Span { after, until };
        let next = schedule.next_after(&zone, after, None);
        prop_assert!(next.is_none_or(|next| next.at > after));
        let has_latest = schedule.latest_between(&zone, span, None).is_some();
        prop_assert_eq!(schedule.count_between(&zone, span, None) > 0, has_latest);
    }
}
