//! The day rule: which days a calendar names, and the only code that talks to the `cron` crate.
//!
//! The crate gets explicit lists of days, months and weekdays at midnight UTC, never a user's text.
//! What it cannot say (`L`, `LW`, `nW`, `dL`, `d#n`) is asked for as the days that could match, and
//! filtered here.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write;
use std::rc::Rc;

use chrono::{DateTime, Datelike, Utc};

/// 2199-12-31, the last day that schedules know, in days since the epoch.
pub(super) const LAST_DAY: i64 = 84_005;
/// 2100-12-31, the last day the `cron` crate knows.
const ENGINE_LAST_DAY: i64 = 47_846;
/// From 1977 to 2101. The calendar of 1977 to 2075 comes again in 2101 to 2199: the same days of
/// the week, the same leap years.
const ENCORE_DAYS: i64 = 45_290;

/// All days of the month (bits 1 to 31).
const ALL_MONTH_DAYS: u32 = !1;
/// All months (bits 1 to 12).
const ALL_MONTHS: u16 = 0x1ffe;
/// All days of the week (bits 0 to 6).
const ALL_WEEKDAYS: u8 = 0x7f;
/// All days of the month, and all days of the week.
pub(super) const FULL: (u32, u8) = (ALL_MONTH_DAYS, ALL_WEEKDAYS);
/// Engines kept; each takes about 1 KB.
const ENGINES_MAX: usize = 1024;
const DAY_SECS: i64 = 86_400;

/// The three fields that name days, folded to sets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct DayRule {
    /// Bits 1 to 31.
    pub(super) month_days: u32,
    /// Bits 1 to 12.
    pub(super) months: u16,
    /// Bits 0 (Sunday) to 6.
    pub(super) weekdays: u8,
    /// Either day field is starred, so both must match; else one is enough (Vixie's rule).
    pub(super) needs_both: bool,
    /// What bits cannot say; none for nearly all rules.
    pub(super) extra: Option<Box<DayExtras>>,
}

/// The extensions to the day fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct DayExtras {
    /// `L-n`: bit n; bit 0 is `L`.
    pub(super) before_last: u32,
    /// `LW`: the last day from Monday to Friday.
    pub(super) last_workday: bool,
    /// `nW`: bit n; the day from Monday to Friday nearest to the nth, in the same month.
    pub(super) workday_near: u32,
    /// `dL`: bit d; the last such weekday of the month.
    pub(super) last_weekdays: u8,
    /// `d#n`: bit d of element n - 1.
    pub(super) nth_weekdays: [u8; 5],
}

/// Which of the two day fields a search obeys.
#[derive(Clone, Copy)]
enum Side {
    Month,
    Week,
    Both,
}

/// What an engine is made from.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Candidates {
    month_days: u32,
    months: u16,
    weekdays: u8,
}

/// A day with what the extensions ask of it.
struct Date {
    day: u32,
    month_length: u32,
    weekday: u32,
}

impl DayRule {
    /// Returns whether any day matches in 2024 to 2063. In 28 years each date has had each day of
    /// the week, so these 40 years stand for all others.
    pub(super) fn ever_matches(&self) -> bool {
        const BEGIN: i64 = 19_723;
        const END: i64 = BEGIN + 40 * 365 + 10;
        self.first_from(BEGIN).is_some_and(|day| day < END)
    }

    /// The first day of the rule from `day` on (days since the epoch); none to the end of 2199.
    pub(super) fn first_from(&self, day: i64) -> Option<i64> {
        if day <= ENGINE_LAST_DAY
            && let Some(first) = self.engine_first_from(day.max(0))
        {
            return Some(first);
        }
        let day = day.max(ENGINE_LAST_DAY + 1);
        let first = self.engine_first_from(day.checked_sub(ENCORE_DAYS)?)?;
        Some(first + ENCORE_DAYS).filter(|first| *first <= LAST_DAY)
    }

    /// The last day of the rule up to and with `day`; none back to 1970.
    pub(super) fn last_to(&self, day: i64) -> Option<i64> {
        if day > ENGINE_LAST_DAY
            && let Some(last) = self.engine_last_to(day.min(LAST_DAY) - ENCORE_DAYS)
            && last + ENCORE_DAYS > ENGINE_LAST_DAY
        {
            return Some(last + ENCORE_DAYS);
        }
        self.engine_last_to(day.min(ENGINE_LAST_DAY))
    }

    fn engine_first_from(&self, day: i64) -> Option<i64> {
        if day > ENGINE_LAST_DAY {
            return None;
        }
        if self.needs_both {
            return self.seek_forward(Side::Both, day);
        }
        // Step by step on both sides: one of them alone may name no day in a century.
        let sides = [Side::Month, Side::Week].map(|side| (side, engine(self.candidates(side))));
        let before = midnight(day)? - chrono::TimeDelta::seconds(1);
        let [mut month, mut week] = sides
            .each_ref()
            .map(|(side, engine)| engine.after(&before).map(|at| (day_of(at), *side)).peekable());
        loop {
            let (day, side) = match (month.peek(), week.peek()) {
                (Some((by_month, _)), Some((by_week, _))) if by_week < by_month => week.next()?,
                (Some(_), _) => month.next()?,
                (None, _) => week.next()?,
            };
            if self.accepts(side, day) {
                return Some(day);
            }
        }
    }

    fn engine_last_to(&self, day: i64) -> Option<i64> {
        if day < 0 {
            return None;
        }
        if self.needs_both {
            return self.seek_backward(Side::Both, day);
        }
        self.seek_backward(Side::Month, day).max(self.seek_backward(Side::Week, day))
    }

    fn seek_forward(&self, side: Side, day: i64) -> Option<i64> {
        let engine = engine(self.candidates(side));
        let before = midnight(day)? - chrono::TimeDelta::seconds(1);
        engine.after(&before).map(day_of).find(|&day| self.accepts(side, day))
    }

    fn seek_backward(&self, side: Side, day: i64) -> Option<i64> {
        let engine = engine(self.candidates(side));
        let end = midnight(day + 1)?;
        engine.after(&end).rev().map(day_of).find(|&day| self.accepts(side, day))
    }

    /// The days that could match: exactly those that do, where there are no extras.
    fn candidates(&self, side: Side) -> Candidates {
        let extra = self.extra.as_deref();
        let month_days = self.month_days | extra.map_or(0, DayExtras::month_day_candidates);
        let weekdays = self.weekdays | extra.map_or(0, DayExtras::weekday_candidates);
        let months = self.months;
        match side {
            Side::Month => Candidates { month_days, months, weekdays: ALL_WEEKDAYS },
            Side::Week => Candidates { month_days: ALL_MONTH_DAYS, months, weekdays },
            Side::Both => Candidates { month_days, months, weekdays },
        }
    }

    fn accepts(&self, side: Side, day: i64) -> bool {
        let Some(extra) = &self.extra else {
            return true;
        };
        let Some(date) = Date::of(day) else {
            return false;
        };
        let by_month = || self.month_days >> date.day & 1 == 1 || extra.names_day_of_month(&date);
        let by_week = || self.weekdays >> date.weekday & 1 == 1 || extra.names_weekday(&date);
        match side {
            Side::Month => by_month(),
            Side::Week => by_week(),
            Side::Both => by_month() && by_week(),
        }
    }
}

impl DayExtras {
    /// Returns whether something of it is about days of the month.
    pub(super) fn has_month_days(&self) -> bool {
        self.before_last != 0 || self.last_workday || self.workday_near != 0
    }

    /// Returns whether something of it is about days of the week.
    pub(super) fn has_weekdays(&self) -> bool {
        self.last_weekdays != 0 || self.nth_weekdays != [0; 5]
    }

    fn month_day_candidates(&self) -> u32 {
        let mut days = 0;
        for length in 28..=31 {
            days |= (0..length)
                .filter(|n| self.before_last >> n & 1 == 1)
                .fold(0, |days, n| days | 1 << (length - n));
        }
        if self.last_workday {
            days |= 0b111_111 << 26;
        }
        // Weekends move a day by at most two.
        let near = u64::from(self.workday_near);
        let moved = near | near << 1 | near << 2 | near >> 1 | near >> 2;
        // The shifts leave bits of days that no month has; the mask drops them.
        days | u32::try_from(moved & u64::from(ALL_MONTH_DAYS)).unwrap_or(ALL_MONTH_DAYS)
    }

    fn weekday_candidates(&self) -> u8 {
        self.nth_weekdays.iter().fold(self.last_weekdays, |days, nth| days | nth)
    }

    fn names_day_of_month(&self, date: &Date) -> bool {
        self.before_last >> (date.month_length - date.day) & 1 == 1
            || self.last_workday && date.day == date.workday_near(date.month_length)
            || (1..=date.month_length)
                .any(|day| self.workday_near >> day & 1 == 1 && date.day == date.workday_near(day))
    }

    fn names_weekday(&self, date: &Date) -> bool {
        let nth = usize::try_from((date.day - 1) / 7).unwrap_or(usize::MAX);
        self.last_weekdays >> date.weekday & 1 == 1 && date.day + 7 > date.month_length
            || self.nth_weekdays.get(nth).is_some_and(|days| days >> date.weekday & 1 == 1)
    }
}

impl Date {
    fn of(day: i64) -> Option<Self> {
        let date = midnight(day)?.date_naive();
        let month_length = u32::from(date.num_days_in_month());
        Some(Self { day: date.day(), month_length, weekday: date.weekday().num_days_from_sunday() })
    }

    /// The day from Monday to Friday nearest to a day of this month, within the month.
    fn workday_near(&self, day: u32) -> u32 {
        match (self.weekday + 35 + day - self.day) % 7 {
            0 if day == self.month_length => day - 2,
            0 => day + 1,
            6 if day == 1 => 3,
            6 => day - 1,
            _ => day,
        }
    }
}

impl Candidates {
    /// The expression for the `cron` crate: midnight, full sets as `*`, weekdays as names (its
    /// numbers are not crontab's).
    fn expression(self) -> String {
        const NAMES: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
        let mut text = String::from("0 0 0");
        let numbers = |set: u32, last: u32| {
            (1..=last)
                .filter(move |n| set >> n & 1 == 1)
                .map(|n| n.to_string())
                .collect::<Vec<_>>()
                .join(",")
        };
        let days = if self.month_days == ALL_MONTH_DAYS {
            "*".to_owned()
        } else {
            numbers(self.month_days, 31)
        };
        let months = if self.months == ALL_MONTHS {
            "*".to_owned()
        } else {
            numbers(u32::from(self.months), 12)
        };
        let names = (0..7).filter(|n| self.weekdays >> n & 1 == 1).map(|n| NAMES[n]);
        let weekdays = if self.weekdays == ALL_WEEKDAYS {
            "*".to_owned()
        } else {
            names.collect::<Vec<_>>().join(",")
        };
        write!(text, " {days} {months} {weekdays}").expect("writing to a string does not fail");
        text
    }
}

/// The engine for these days, shared by all calendars of the thread that ask for the same ones.
fn engine(candidates: Candidates) -> Rc<cron::Schedule> {
    thread_local! {
        static ENGINES: RefCell<HashMap<Candidates, Rc<cron::Schedule>>> = RefCell::new(HashMap::new());
    }
    ENGINES.with_borrow_mut(|engines| {
        if let Some(engine) = engines.get(&candidates) {
            return Rc::clone(engine);
        }
        if engines.len() >= ENGINES_MAX {
            engines.clear();
        }
        let engine: cron::Schedule =
            candidates.expression().parse().expect("explicit lists of days are valid");
        Rc::clone(engines.entry(candidates).or_insert(Rc::new(engine)))
    })
}

/// The beginning of a day, as the engine wants it: wall time typed as UTC.
fn midnight(day: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(day.checked_mul(DAY_SECS)?, 0)
}

fn day_of(at: DateTime<Utc>) -> i64 {
    at.timestamp().div_euclid(DAY_SECS)
}
