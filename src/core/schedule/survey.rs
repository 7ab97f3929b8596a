//! What is asked about a calendar as a whole: how close its occurrences are, which days it names,
//! what a clock change moves.
//!
//! For words that are said beforehand, by `check`; nothing that starts a run asks here.

use std::time::Duration;

use super::days::{DayExtras, FULL};
use super::minutes::DAY;
use super::{Calendar, HashSeed, Span, Zone, field, parse, walk};
use crate::core::time::Wall;

/// Days of a calendar that are looked at for two that are close.
const DAYS_LOOKED_AT: usize = 120;

/// 2027-01-01 in days since the epoch: a Friday, the first day of a year without a 29 February.
const ANY_YEAR: i64 = 20_819;

/// The times that a clock change moves: times of a fixed schedule that a coming day does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    /// When they run instead.
    pub(crate) at: Wall,
    /// The first minute that is skipped, in minutes of the wall since 1970.
    pub(crate) gap_from: i64,
    /// The first one that there is again.
    pub(crate) gap_to: i64,
    /// The first one that the calendar names.
    pub(crate) first: i64,
    /// How many it names.
    pub(crate) count: u64,
}

/// The way in which the day fields of a calendar combine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DayFields {
    /// At most one of them restricts the days.
    One,
    /// Both are set, and one that matches is enough.
    Either,
    /// Both are set, and both must match.
    Both,
}

impl Calendar {
    /// The shortest time between two occurrences by the clock on the wall, if it is shorter than
    /// `limit`.
    pub(crate) fn gap_below(&self, limit: Duration) -> Option<Duration> {
        let limit = i64::try_from(limit.as_millis().div_ceil(60_000)).unwrap_or(i64::MAX);
        let (Some(first), Some(last)) = (self.first_of_day(0), self.last_of_day(DAY - 1)) else {
            return None;
        };
        let own = self.gap_in_a_day().unwrap_or(i64::MAX);
        // Days are only looked at where days in a row would make a difference.
        let over_night = DAY - last + first;
        let shortest = if over_night < own.min(limit) {
            let apart = self.days_apart();
            apart.map_or(own, |days| own.min(over_night + (days - 1) * DAY))
        } else {
            own
        };
        let minutes = u64::try_from(shortest).ok()?;
        (shortest < limit).then(|| Duration::from_secs(minutes.saturating_mul(60)))
    }

    /// Returns whether two days in a row are named.
    pub(crate) fn has_days_in_a_row(&self) -> bool {
        self.days_apart() == Some(1)
    }

    /// Returns whether an hour and the one after it are named.
    pub(crate) fn has_hours_in_a_row(&self) -> bool {
        let after_midnight = self.hours >> 23 & self.hours & 1 == 1 && self.has_days_in_a_row();
        self.hours & self.hours >> 1 != 0 || after_midnight
    }

    /// The lowest and the highest minute of an hour.
    pub(crate) fn minute_ends(&self) -> (u32, u32) {
        (self.minutes.trailing_zeros(), self.minutes.ilog2())
    }

    /// The lowest and the highest hour.
    pub(crate) fn hour_ends(&self) -> (u32, u32) {
        (self.hours.trailing_zeros(), self.hours.ilog2())
    }

    /// Returns the way in which its day fields combine.
    pub(crate) fn day_fields(&self) -> DayFields {
        let extra = self.days.extra.as_deref();
        let is_any_month_day = self.days.month_days & FULL.0 == FULL.0
            && !extra.is_some_and(DayExtras::has_month_days);
        let is_any_weekday =
            self.days.weekdays == FULL.1 && !extra.is_some_and(DayExtras::has_weekdays);
        match (is_any_month_day, is_any_weekday) {
            (true, true) => DayFields::One,
            (true, false) | (false, true) if self.days.needs_both => DayFields::One,
            (false, false) if self.days.needs_both => DayFields::Both,
            (true, false) | (false, true) | (false, false) => DayFields::Either,
        }
    }

    /// The days of the month that are named by number: bit n.
    pub(crate) fn month_days(&self) -> u32 {
        self.days.month_days
    }

    /// The days of the week that are named by number or name: bit 0 is Sunday.
    pub(crate) fn weekdays(&self) -> u8 {
        self.days.weekdays
    }

    /// The days it names from a day on, in days since the epoch.
    pub(crate) fn days_from(&self, day: i64) -> impl Iterator<Item = i64> {
        std::iter::successors(self.days.first_from(day), |day| self.days.first_from(day + 1))
    }

    /// Returns whether a minute of the wall (since 1970) is named.
    pub(crate) fn names_minute(&self, minute: i64) -> bool {
        self.first_minute(minute) == Some(minute)
    }

    /// The minutes of a day that are named, in order.
    pub(crate) fn minutes_of_day(&self) -> impl Iterator<Item = i64> {
        let hours = (0..24).filter(|hour| self.hours >> hour & 1 == 1);
        hours.flat_map(|hour| {
            let minutes = (0..60).filter(|minute| self.minutes >> minute & 1 == 1);
            minutes.map(move |minute| hour * 60 + minute)
        })
    }

    /// The next change of the clock within a span that moves a fixed time.
    pub(crate) fn moved(&self, zone: &Zone, span: Span) -> Option<Moved> {
        if self.is_wild() {
            return None;
        }
        walk::gaps(zone, span).find_map(|(at, gap_from, gap_to)| {
            let first = self.first_minute(gap_from).filter(|&m| m < gap_to)?;
            let count = self.count_minutes(gap_from, gap_to);
            Some(Moved { at, gap_from, gap_to, first, count })
        })
    }

    /// The fewest days between two days that are named.
    fn days_apart(&self) -> Option<i64> {
        let mut before = self.days.first_from(ANY_YEAR)?;
        let mut fewest = None;
        for day in self.days_from(before + 1).take(DAYS_LOOKED_AT) {
            fewest = Some(fewest.map_or(day - before, |fewest: i64| fewest.min(day - before)));
            if fewest == Some(1) {
                break;
            }
            before = day;
        }
        fewest
    }

    /// The fewest minutes between two minutes of a day.
    fn gap_in_a_day(&self) -> Option<i64> {
        let later = self.minutes_of_day().skip(1);
        let gaps = self.minutes_of_day().zip(later);
        gaps.map(|(one, next)| next - one).min()
    }
}

/// An expression with the values in place of each `H`; none if there is no `H` in it, or it is not
/// valid.
pub(crate) fn resolve(text: &str, seed: HashSeed<'_>) -> Option<String> {
    let words: Vec<&str> = parse::words(text).map(|(_, word)| word).collect();
    if words.len() != 5 || !text.contains('H') {
        return None;
    }
    let mut is_hashed = false;
    let mut fields = Vec::new();
    for (kind, word) in field::Kind::ALL.into_iter().zip(words) {
        let mut items = Vec::new();
        for item in word.split(',') {
            if item.starts_with('H') {
                is_hashed = true;
                let set = field::parse(kind, item, 0, seed).ok()?.set;
                items.extend((0..64).filter(|n| set >> n & 1 == 1).map(|n| n.to_string()));
            } else {
                items.push(item.to_owned());
            }
        }
        fields.push(items.join(","));
    }
    is_hashed.then(|| fields.join(" "))
}
