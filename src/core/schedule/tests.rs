//! Tests of the schedule against hand-checked facts.

use std::time::Duration;

use chrono::{DateTime, Datelike};

use super::{Calendar, HashSeed, Occurrence, Schedule, Span, Zone};
use crate::core::time::Wall;
use crate::os::zone;

const SEED: HashSeed<'_> = HashSeed { seed: "machine", job: "backup" };

fn parse(text: &str) -> Schedule {
    Schedule::parse(text, SEED).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

fn at(text: &str) -> Wall {
    Wall::from_ms(DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis())
}

fn load(name: &str) -> Zone {
    zone::load(name).unwrap()
}

fn dates(text: &str, after: &str, count: usize) -> Vec<String> {
    let (schedule, utc, mut last) = (parse(text), load("UTC"), at(after));
    let next = || {
        last = schedule.next_after(&utc, last, None)?.at;
        Some(DateTime::from_timestamp(last.secs(), 0)?.format("%Y-%m-%d").to_string())
    };
    std::iter::from_fn(next).take(count).collect()
}

#[test]
fn an_error_says_where_and_what_to_write() {
    let (names, capital) =
        ("write mon: names have three letters", "write Mon: names have three letters");
    let (weekend, range) = ("write FRI-7,1-MON", "write H(a-b), such as H(0-29)");
    let by_two = "write SAT-7/2,1-MON/2";
    let random = "write H or H(a-b), a fixed value for each job: random values are not supported";
    for (text, position, message, hint) in [
        ("0 25 * * *", 2, "hour must be 0 to 23, not 25", None),
        ("0 0 0 * *", 4, "day of month must be 1 to 31, not 0", None),
        ("* * * * 8", 8, "day of week must be 0 to 7, not 8", None),
        ("1-99999999999 * * * *", 2, "minute must be 0 to 59, not 99999999999", None),
        ("5/10 * * * *", 0, "minute 5/10: a step needs a range", Some("write 5-59/10")),
        ("0 1,3/2 * * *", 4, "hour 3/2: a step needs a range", Some("write 3-23/2")),
        ("* * * * mon/2", 8, "day of week mon/2: a step needs a range", Some("write mon-7/2")),
        ("0 22-6 * * *", 2, "hour 22-6 ends before it begins", Some("write 22-23,0-6")),
        ("0 22-6/2 * * *", 2, "hour 22-6 ends before it begins", Some("write 22-23/2,0-6/2")),
        ("50-10/7 * * * *", 0, "minute 50-10 ends before it begins", Some("write 50-59/7,4-10/7")),
        ("0 22-1/9 * * *", 2, "hour 22-1 ends before it begins", Some("write 22-23/9")),
        ("0 0 * * SAT-MON/2", 8, "day of week SAT-MON ends before it begins", Some(by_two)),
        ("0 0 * * FRI-MON", 8, "day of week FRI-MON ends before it begins", Some(weekend)),
        ("0 0 ? * *", 4, "unexpected `?` in day of month", Some("write *")),
        ("0~30 * * * *", 1, "unexpected `~` in minute", Some(random)),
        ("0 0 * * Monday", 8, "`Monday` is not a day of week", Some(capital)),
        ("0 0 * * 1,monday", 10, "`monday` is not a day of week", Some(names)),
        ("0 0 * * L", 8, "`L` is not a day of week", Some("write 5L or FRIL for the last Friday")),
        ("0 0 l * *", 4, "`l` is not a day of month", Some("write L")),
        ("0 0 lw * *", 4, "`lw` is not a day of month", Some("write LW")),
        ("mon * * * *", 0, "`mon` is not a minute", None),
        ("5, * * * *", 1, "minute list has an empty element", Some("remove the trailing comma")),
        ("5,,6 * * * *", 2, "minute list has an empty element", None),
        ("*/0 * * * *", 2, "step 0 is less than 1", None),
        ("*/ * * * *", 2, "step is missing", None),
        ("1- * * * *", 2, "minute is missing", None),
        ("*5 * * * *", 1, "unexpected `5` in minute", None),
        ("-5 * * * *", 0, "unexpected `-` in minute", None),
        ("*/2/3 * * * *", 3, "unexpected `/` in minute", None),
        ("0 0 L-31 * *", 6, "days before the last must be 1 to 30, not 31", None),
        ("0 0 * * 1#6", 10, "week must be 1 to 5, not 6", None),
        ("H(5 * * * *", 3, "unclosed `H(`: `-` is missing", Some(range)),
        ("H(9-5) * * * *", 1, "minute H(9-5) ends before it begins", None),
        ("0 0 * * ü", 8, "unexpected `ü` in day of week", None),
        (
            "0 0 30 2 *",
            4,
            "expression never matches a date",
            Some("no matching day in the next 40 years"),
        ),
        (
            "* * 30 2 *",
            4,
            "expression never matches a date",
            Some("no matching day in the next 40 years"),
        ),
        (
            "0 0 31W 2,4,6 *",
            4,
            "expression never matches a date",
            Some("no matching day in the next 40 years"),
        ),
        ("@Daily", 0, "`@Daily` is not a macro", Some("write @daily: macros are lower case")),
        ("@daily 5", 7, "unexpected `5` after @daily", None),
        ("@every", 6, "@every has no duration", Some("write @every 15m")),
        ("@every  90", 8, "`90` has no unit", Some("write 90s, 90m, 90h or 90d")),
        ("@every 1M", 7, "`M` has no fixed length", Some("write days (30d, 365d); `m` is minutes")),
        ("@every 0s", 7, "@every 0s is shorter than one second", None),
        ("@every 999ms", 7, "@every 999ms is shorter than one second", None),
    ] {
        let error = Schedule::parse(text, SEED).unwrap_err();
        assert_eq!(
            (error.position, error.message.as_str(), error.hint.as_deref()),
            (position, message, hint),
            "{text}"
        );
    }
}

#[test]
fn a_wrong_number_of_fields_is_told_with_what_is_wanted() {
    for (text, position, message) in [
        ("", 0, "expression is empty"),
        (" \t ", 0, "expression is empty"),
        ("5", 1, "expression has 1 field, not five"),
        ("* * * *", 7, "expression has 4 fields, not five"),
        ("0 * * * * *", 10, "expression has 6 fields, not five"),
        ("0 0 * * * * 2030", 10, "expression has 7 fields, not five"),
    ] {
        let error = Schedule::parse(text, SEED).unwrap_err();
        assert_eq!((error.position, error.message.as_str()), (position, message), "{text}");
        assert_eq!(
            error.hint.unwrap().contains("for seconds, use @every"),
            position == 10,
            "{text}"
        );
    }
}

#[test]
fn a_huge_text_is_an_error_at_once() {
    for part in ["1,", "*", " ", "9", "@every 1s ", "ü"] {
        let error = Schedule::parse(&part.repeat(4 << 20), SEED).unwrap_err();
        assert_eq!(error.message, "expression is longer than 4096 bytes");
    }
}

#[test]
fn a_long_word_is_clipped_in_the_message() {
    let error = Schedule::parse(&format!("{} * * * *", "x".repeat(3000)), SEED).unwrap_err();
    assert!(error.message.len() < 80, "{}", error.message);
}

#[test]
fn spellings_of_the_same_set_are_equal() {
    for (one, other) in [
        ("0 0 * * 0", "0 0 * * 7"),
        ("0 0 * * fri-SUN", "0 0 * * 5,6,0"),
        ("0 0 * * 5-0", "0 0 * * 5-7"),
        ("0 0 * JAN-Mar/2 *", "0 0 * 1,3 *"),
        ("5-5/99999999999999999999 * * * *", "5 * * * *"),
        ("\t0  0\t* * * ", "@daily"),
        ("@midnight", "@daily"),
        ("@annually", "0 0 1 1 *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@hourly", "0 * * * *"),
        ("0 0 * * FRIL", "0 0 * * 5L"),
        ("0 0 * * SUN#2", "0 0 * * 7#2"),
    ] {
        assert_eq!(parse(one), parse(other), "{one} and {other}");
    }
    assert_eq!(parse(" @reboot "), Schedule::Reboot);
    assert_eq!(parse("@every 1h 30m"), Schedule::Every(Duration::from_secs(5400)));
}

#[test]
fn a_starred_minute_or_hour_makes_a_schedule_wild() {
    for (text, is_wild) in [
        ("*/15 2 * * *", true),
        ("@hourly", true),
        ("*,5 2 * * *", true),
        ("0-59 0-23 * * *", false),
        ("H H * * *", false),
        ("H * * * *", true),
        ("5,* 2 * * *", false),
    ] {
        let Schedule::Calendar(calendar) = parse(text) else { panic!("{text}") };
        assert_eq!(calendar.is_wild(), is_wild, "{text}");
    }
}

#[test]
fn extensions_fire_on_hand_checked_days() {
    for (text, after, expected) in [
        ("0 0 L * *", "2026-01-15T00:00:00Z", ["2026-01-31", "2026-02-28", "2026-03-31"]),
        ("0 0 L 2 *", "2026-03-01T00:00:00Z", ["2027-02-28", "2028-02-29", "2029-02-28"]),
        ("0 0 L-2 * *", "2026-01-30T00:00:00Z", ["2026-02-26", "2026-03-29", "2026-04-28"]),
        ("0 0 L-30 * *", "2026-01-02T00:00:00Z", ["2026-03-01", "2026-05-01", "2026-07-01"]),
        ("0 0 LW * *", "2026-01-01T00:00:00Z", ["2026-01-30", "2026-02-27", "2026-03-31"]),
        ("0 0 15W * *", "2026-02-01T00:00:00Z", ["2026-02-16", "2026-03-16", "2026-04-15"]),
        ("0 0 1W * *", "2026-07-15T00:00:00Z", ["2026-08-03", "2026-09-01", "2026-10-01"]),
        ("0 0 31W * *", "2026-01-01T00:00:00Z", ["2026-01-30", "2026-03-31", "2026-05-29"]),
        ("0 0 * * 5L", "2026-01-01T00:00:00Z", ["2026-01-30", "2026-02-27", "2026-03-27"]),
        ("0 0 * * 2#1", "2026-01-07T00:00:00Z", ["2026-02-03", "2026-03-03", "2026-04-07"]),
        ("0 0 * * 1#5", "2026-01-01T00:00:00Z", ["2026-03-30", "2026-06-29", "2026-08-31"]),
        ("0 0 13 * FRI#2", "2026-02-01T00:00:00Z", ["2026-02-13", "2026-03-13", "2026-04-10"]),
        ("0 0 31 2 0", "2026-02-10T00:00:00Z", ["2026-02-15", "2026-02-22", "2027-02-07"]),
        ("0 0 29 2 */7", "2026-01-01T00:00:00Z", ["2032-02-29", "2060-02-29", "2088-02-29"]),
    ] {
        assert_eq!(dates(text, after, 3), expected, "{text}");
    }
}

#[test]
fn a_hashed_value_is_fixed_for_machine_and_job() {
    assert_eq!(parse("H H H H H"), parse("H H H H H"));
    let of = |seed, job| Schedule::parse("H H(0-5) * * *", HashSeed { seed, job }).unwrap();
    assert_ne!(of("machine", "backup"), of("machine", "cleanup"));
    assert_ne!(of("machine", "backup"), of("other", "backup"));
    assert_ne!(of("ab", "c"), of("a", "bc"));
}

#[test]
fn hashed_values_stay_within_their_bounds() {
    for number in 0..500 {
        let job = format!("job-{number}");
        let parse =
            |text| match Schedule::parse(text, HashSeed { seed: "machine", job: &job }).unwrap() {
                Schedule::Calendar(calendar) => calendar,
                Schedule::Every(_) | Schedule::Reboot => panic!("{text} is a calendar"),
            };
        let each = parse("H H(9-17) H H H");
        let counts =
            [each.minutes.count_ones(), each.hours.count_ones(), each.days.month_days.count_ones()];
        assert_eq!(counts, [1, 1, 1]);
        assert!(
            (9..=17).contains(&each.hours.trailing_zeros())
                && each.days.month_days.trailing_zeros() <= 28
        );
        let steps = parse("H/15 H(0-9)/4 H/99 * *");
        assert_eq!(steps.minutes.count_ones(), 4);
        assert!(
            steps.minutes.trailing_zeros() < 15
                && steps.hours >> 10 == 0
                && steps.hours.trailing_zeros() < 4
        );
        assert_eq!(steps.days.month_days.count_ones(), 1);
    }
}

#[test]
fn hashed_values_are_those_of_the_man_page() {
    let schedule = |text| Schedule::parse(text, HashSeed { seed: "seed", job: "job" }).unwrap();
    assert_eq!(schedule("H H H H H"), schedule("17 18 3 1 0"));
}

#[test]
fn a_clock_change_is_noted() {
    let berlin = load("Europe/Berlin");
    for (text, after, expected, note) in [
        (
            "30 2 * * *",
            "2026-03-28T12:00:00+01:00",
            "2026-03-29T03:00:00+02:00",
            Some("moved from 02:30, which clocks skip"),
        ),
        (
            "0,30 2,3 * * *",
            "2026-03-29T00:00:00+01:00",
            "2026-03-29T03:00:00+02:00",
            Some("also for 02:00 and 02:30, which clocks skip"),
        ),
        (
            "*/30 2 * * *",
            "2026-03-29T00:00:00+01:00",
            "2026-03-30T02:00:00+02:00",
            Some("not at 02:00 and 02:30 on 2026-03-29, which clocks skip"),
        ),
        (
            "*/5 2 * * *",
            "2026-03-29T00:00:00+01:00",
            "2026-03-30T02:00:00+02:00",
            Some("not at 02:00 and 11 more on 2026-03-29, which clocks skip"),
        ),
        ("*/30 * * * *", "2026-03-29T01:30:00+01:00", "2026-03-29T03:00:00+02:00", None),
        (
            "30 2 * * *",
            "2026-10-25T00:00:00+02:00",
            "2026-10-25T02:30:00+02:00",
            Some("02:30 comes twice as clocks go back: runs the first time only"),
        ),
        ("30 2 * * *", "2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00", None),
        (
            "30 * * * *",
            "2026-10-25T02:30:00+02:00",
            "2026-10-25T02:30:00+01:00",
            Some("the second 02:30 after clocks go back"),
        ),
        ("30 1 * * *", "2026-10-25T00:00:00+02:00", "2026-10-25T01:30:00+02:00", None),
    ] {
        let found = parse(text).next_after(&berlin, at(after), None);
        assert_eq!(
            found,
            Some(Occurrence { at: at(expected), note: note.map(str::to_owned) }),
            "{text}"
        );
    }
}

#[test]
fn wall_time_is_met_in_a_zone_that_is_off_by_seconds() {
    // Monrovia was 44 minutes and 30 seconds behind until 1972-01-07.
    let monrovia = load("Africa/Monrovia");
    let next = |text, after| parse(text).next_after(&monrovia, at(after), None).unwrap().at;
    assert_eq!(next("0 5 * * *", "1971-06-01T00:00:00Z"), at("1971-06-01T05:44:30Z"));
    assert_eq!(next("20 0 7 1 *", "1972-01-06T20:00:00Z"), at("1972-01-07T00:45:00Z"));
}

#[test]
fn leap_days_are_found_over_2100_which_has_none() {
    for (text, after, expected) in [
        ("0 0 29 2 *", "2096-02-29T12:00:00Z", ["2104-02-29", "2108-02-29"]),
        ("0 0 29 2 *", "2100-06-01T00:00:00Z", ["2104-02-29", "2108-02-29"]),
        ("0 0 L 2 *", "2099-03-01T00:00:00Z", ["2100-02-28", "2101-02-28"]),
        ("0 0 * 2 1#5", "2088-03-01T00:00:00Z", ["2112-02-29", "2140-02-29"]),
    ] {
        assert_eq!(dates(text, after, 2), expected, "{text} after {after}");
    }
}

#[test]
fn days_after_2100_are_those_of_the_calendar_in_both_directions() {
    let utc = load("UTC");
    let first = chrono::NaiveDate::from_ymd_opt(2099, 11, 1).unwrap();
    let last = chrono::NaiveDate::from_ymd_opt(2199, 12, 31).unwrap();
    let midnight = |date: chrono::NaiveDate| {
        Wall::from_secs(date.and_hms_opt(0, 0, 0).unwrap().and_utc().timestamp())
    };
    type Rule = fn(chrono::NaiveDate) -> bool;
    let rules: [(&str, Rule); 3] = [
        ("0 0 29 2 *", |date| (date.month(), date.day()) == (2, 29)),
        ("0 0 13 * fri", |date| date.day() == 13 || date.weekday() == chrono::Weekday::Fri),
        ("0 0 1 */3 *", |date| date.day() == 1 && date.month() % 3 == 1),
    ];
    for (text, is_due) in rules {
        let expected: Vec<Wall> = first
            .iter_days()
            .take_while(|date| *date <= last)
            .filter(|date| is_due(*date))
            .map(midnight)
            .collect();
        let schedule = parse(text);
        let mut after = Wall::from_secs(midnight(first).secs() - 1);
        let forward = std::iter::from_fn(|| {
            after = schedule.next_after(&utc, after, None)?.at;
            Some(after)
        });
        let begin = Wall::from_secs(midnight(first).secs() - 1);
        assert_eq!(forward.collect::<Vec<_>>(), expected, "{text}");
        let mut until = Wall::from_ms(i64::MAX);
        let backward = std::iter::from_fn(|| {
            let span = Span { after: begin, until };
            let at = schedule.latest_between(&utc, span, None)?;
            until = Wall::from_secs(at.secs() - 1);
            Some(at)
        });
        let mut backward: Vec<Wall> = backward.collect();
        backward.reverse();
        assert_eq!(backward, expected, "{text}, backwards");
    }
}

#[test]
fn schedules_end_with_the_year_2199_and_begin_with_1970() {
    let utc = load("UTC");
    let minutely = parse("* * * * *");
    let next = |after| minutely.next_after(&utc, after, None).map(|next| next.at);
    assert_eq!(next(at("2199-12-31T23:58:00Z")), Some(at("2199-12-31T23:59:00Z")));
    assert_eq!(next(at("2199-12-31T23:59:00Z")), None);
    assert_eq!(next(Wall::from_ms(i64::MAX)), None);
    assert_eq!(next(Wall::from_ms(i64::MIN)), Some(Wall::from_ms(0)));
    assert_eq!(next(Wall::from_ms(-1)), Some(Wall::from_ms(0)));
    assert_eq!(next(Wall::from_ms(59_999)), Some(Wall::from_ms(60_000)));
    assert_eq!(next(Wall::from_ms(60_000)), Some(Wall::from_ms(120_000)));
    let all = Span { after: Wall::from_ms(i64::MIN), until: Wall::from_ms(i64::MAX) };
    assert_eq!(minutely.count_between(&utc, all, None), 84_006 * 1440);
    assert_eq!(minutely.latest_between(&utc, all, None), Some(at("2199-12-31T23:59:00Z")));
}

#[test]
fn years_of_missed_minutes_are_counted_not_enumerated() {
    let span =
        Span { after: at("2021-01-01T00:00:00+01:00"), until: at("2026-01-01T00:00:00+01:00") };
    let berlin = load("Europe/Berlin");
    let minutely = parse("* * * * *");
    assert_eq!(minutely.count_between(&berlin, span, None), 1826 * 1440);
    assert_eq!(minutely.latest_between(&berlin, span, None), Some(span.until));
    // A fixed schedule runs 60 times less in spring, where one run stands for the skipped hour's,
    // and in autumn.
    let fixed = parse("0-59 0-23 * * *");
    assert_eq!(fixed.count_between(&berlin, span, None), 1826 * 1440 - 5 * 60);
}

#[test]
fn a_grid_is_computed_from_its_zero() {
    let utc = load("UTC");
    let every = parse("@every 90s");
    let zero = Some(at("2026-01-01T00:00:10Z"));
    let next = |after| every.next_after(&utc, after, zero).map(|next| next.at);
    assert_eq!(next(at("2026-01-01T00:00:10Z")), Some(at("2026-01-01T00:01:40Z")));
    assert_eq!(next(at("2026-01-01T00:01:39Z")), Some(at("2026-01-01T00:01:40Z")));
    assert_eq!(next(at("2026-01-01T00:01:40Z")), Some(at("2026-01-01T00:03:10Z")));
    assert_eq!(next(at("1999-01-01T00:00:00Z")), Some(at("2026-01-01T00:01:40Z")));
    assert_eq!(next(Wall::from_ms(i64::MIN)), Some(at("2026-01-01T00:01:40Z")));
    assert_eq!(next(Wall::from_ms(i64::MAX)), None);
    assert_eq!(every.next_after(&utc, at("2026-01-01T00:00:00Z"), None), None);
    assert_eq!(Schedule::Reboot.next_after(&utc, at("2026-01-01T00:00:00Z"), zero), None);
}

#[test]
fn the_points_of_a_grid_are_counted_in_a_span() {
    let utc = load("UTC");
    let every = parse("@every 90s");
    let zero = Some(at("2026-01-01T00:00:00Z"));
    for (after, until, count, latest) in [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:01:29Z", 0, None),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:01:30Z", 1, Some("2026-01-01T00:01:30Z")),
        ("2026-01-01T00:01:30Z", "2026-01-01T00:03:00Z", 1, Some("2026-01-01T00:03:00Z")),
        ("2025-01-01T00:00:00Z", "2026-01-01T01:00:00Z", 40, Some("2026-01-01T01:00:00Z")),
        ("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z", 0, None),
        ("2024-01-02T00:00:00Z", "2025-01-01T00:00:00Z", 0, None),
    ] {
        let span = Span { after: at(after), until: at(until) };
        assert_eq!(every.count_between(&utc, span, zero), count, "{after} to {until}");
        assert_eq!(every.latest_between(&utc, span, zero), latest.map(at), "{after} to {until}");
    }
    assert_eq!(
        every.count_between(
            &utc,
            Span { after: at("2026-01-01T00:00:00Z"), until: Wall::from_ms(i64::MAX) },
            None
        ),
        0
    );
}

#[test]
fn a_calendar_is_small() {
    assert!(size_of::<Calendar>() <= 32 && size_of::<Schedule>() <= 40);
}
