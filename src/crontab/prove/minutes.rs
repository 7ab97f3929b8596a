//! Cron's main loop over a span of time, minute by minute (Vixie's cron.c).
//!
//! Real minutes pass, the zone gives the wall clock, and [`Loop::wake`] handles its jumps.

use chrono::{DateTime, Datelike};

use super::entry::Entry;
use crate::core::schedule::{Span, Zone};
use crate::core::time::Wall;

const DAY_MINUTES: i64 = 1440;

/// Jumps of the clock below this are corrected; `3*MINUTE_COUNT` in cron.c. One of exactly three
/// hours is none, in both directions.
const CORRECTION_MINUTES: i64 = 180;

/// The loop runs this long before the span begins, so that a jump just before it is known.
const WARM_UP_MINUTES: i64 = 600;

/// The minutes at which cron starts a line's command. Several starts in one minute are one.
#[derive(Debug)]
pub(crate) struct Starts<'a> {
    entry: Entry,
    clock: Clock<'a>,
    cron: Loop,
    today: Today,
    after: i64,
    until: i64,
}

impl<'a> Starts<'a> {
    /// The starts of a span: not at `after`, also at `until`.
    pub(crate) fn new(entry: Entry, zone: &'a Zone, span: Span) -> Self {
        let after = span.after.secs().div_euclid(60);
        let mut clock = Clock::at(zone, after - WARM_UP_MINUTES);
        Self {
            entry,
            cron: Loop { virtual_minute: clock.tick() },
            clock,
            today: Today::default(),
            after,
            until: span.until.secs().div_euclid(60),
        }
    }

    /// Returns whether the line is started in the loop's current minute.
    fn is_due(&mut self, wall: i64) -> bool {
        let entry = &self.entry;
        let today = &mut self.today;
        match self.cron.wake(wall) {
            Wake::Plain => today.matches(entry, wall),
            Wake::WildAndMissed(mut missed) => {
                if entry.is_wild {
                    today.matches(entry, wall)
                } else {
                    missed.any(|minute| today.matches(entry, minute))
                }
            }
            Wake::WildOnly => entry.is_wild && today.matches(entry, wall),
        }
    }
}

impl Iterator for Starts<'_> {
    type Item = Wall;

    fn next(&mut self) -> Option<Wall> {
        while self.clock.next_minute <= self.until {
            let minute = self.clock.next_minute;
            let wall = self.clock.tick();
            if self.is_due(wall) && minute > self.after {
                return Some(Wall::from_secs(minute * 60));
            }
        }
        None
    }
}

/// The jobs that cron starts in a minute.
enum Wake {
    /// All jobs that match it.
    Plain,
    /// Wildcard jobs that match it, and fixed ones for each of these minutes.
    WildAndMissed(std::ops::RangeInclusive<i64>),
    /// Wildcard jobs that match it.
    WildOnly,
}

/// The state of the main loop, in minutes of the wall clock.
#[derive(Debug)]
struct Loop {
    virtual_minute: i64,
}

impl Loop {
    /// The cases of cron.c. Between one and five minutes cron runs all jobs of each of them; a zone
    /// never jumps so little.
    fn wake(&mut self, wall: i64) -> Wake {
        let virtual_minute = self.virtual_minute;
        let ahead = wall - virtual_minute;
        if ahead > 1 && ahead <= CORRECTION_MINUTES {
            self.virtual_minute = wall;
            Wake::WildAndMissed(virtual_minute + 1..=wall)
        } else if ahead <= 0 && 1 - ahead < CORRECTION_MINUTES {
            Wake::WildOnly
        } else {
            self.virtual_minute = wall;
            Wake::Plain
        }
    }
}

/// Real minutes since the epoch, and the wall clock beside them.
#[derive(Debug)]
struct Clock<'a> {
    zone: &'a Zone,
    next_minute: i64,
    next_transition: usize,
    offset_secs: i64,
}

impl<'a> Clock<'a> {
    fn at(zone: &'a Zone, minute: i64) -> Self {
        Self {
            zone,
            next_minute: minute,
            next_transition: 0,
            offset_secs: i64::from(zone.offset_first_secs),
        }
    }

    /// Advances by a minute; returns the wall clock in minutes.
    fn tick(&mut self) -> i64 {
        let secs = self.next_minute * 60;
        while let Some(transition) = self.zone.transitions.get(self.next_transition)
            && transition.at_secs <= secs
        {
            self.offset_secs = i64::from(transition.offset_secs);
            self.next_transition += 1;
        }
        self.next_minute += 1;
        (secs + self.offset_secs).div_euclid(60)
    }
}

/// The day of the last minute, so that its date is computed once.
#[derive(Debug, Default)]
struct Today {
    day: Option<i64>,
    is_day: bool,
}

impl Today {
    /// `find_jobs`: returns whether minute, hour, month and days match.
    fn matches(&mut self, entry: &Entry, wall: i64) -> bool {
        let day = wall.div_euclid(DAY_MINUTES);
        if self.day != Some(day) {
            self.day = Some(day);
            self.is_day = is_day(entry, day);
        }
        let of_day = wall.rem_euclid(DAY_MINUTES);
        self.is_day
            && entry.hour >> (of_day / 60) & 1 == 1
            && entry.minute >> (of_day % 60) & 1 == 1
    }
}

fn is_day(entry: &Entry, day: i64) -> bool {
    let Some(date) = DateTime::from_timestamp(day * DAY_MINUTES * 60, 0) else {
        return false;
    };
    let has = |bits: u64, value: u32| bits >> value & 1 == 1;
    let by_month_day = has(entry.month_day, date.day());
    let by_weekday = has(entry.weekday, date.weekday().num_days_from_sunday());
    let is_day =
        if entry.needs_both { by_month_day && by_weekday } else { by_month_day || by_weekday };
    is_day && has(entry.month, date.month())
}
