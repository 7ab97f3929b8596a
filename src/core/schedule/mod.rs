//! Schedules: what a crontab expression means, and when it fires next in a zone (crontab(5),
//! Vixie's rules).
//!
//! Pure; the only place that knows the `cron` crate, which serves as calendar engine for days and
//! never sees a user's text or a zone.

mod days;
mod field;
mod hashed;
mod minutes;
mod parse;
mod survey;
mod walk;

#[cfg(test)]
mod brute_force;
#[cfg(test)]
mod oracle;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
#[cfg(test)]
mod tests;

use std::time::Duration;

use super::time::Wall;
pub(crate) use survey::{DayFields, resolve};

/// A change of a zone's offset from UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The first second (since the epoch) of the new offset.
    pub at_secs: i64,
    /// Seconds east of UTC from then on.
    pub offset_secs: i32,
}

/// A time zone as plain data, read by `os::zone`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// IANA name, or what the system calls it.
    pub name: Box<str>,
    /// Seconds east of UTC before the first transition.
    pub offset_first_secs: i32,
    /// In strictly increasing order, to the end of the century the `cron` crate knows.
    pub transitions: Box<[Transition]>,
}

/// The seed of `H`: a value fixed for machine and job.
#[derive(Clone, Copy, Debug)]
pub struct HashSeed<'a> {
    /// `hash_seed` of the jobfile, else the machine id.
    pub seed: &'a str,
    /// The job's name.
    pub job: &'a str,
}

/// Explains why an expression is not valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleError {
    /// Byte offset in the expression.
    pub position: usize,
    /// What is wrong: lower case, the object first.
    pub message: String,
    /// What to write instead, where one can say.
    pub hint: Option<String>,
}

/// When a job fires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// Five fields or a macro for them.
    Calendar(Calendar),
    /// `@every`: a grid of this period, from the first load.
    Every(Duration),
    /// `@reboot`: once per boot of the machine.
    Reboot,
}

/// Five fields, folded to sets. Plain data of 32 bytes: ten thousand jobs hold one each.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Calendar {
    /// Bits 0 to 59.
    minutes: u64,
    /// Bits 0 to 23.
    hours: u32,
    is_wild: bool,
    days: days::DayRule,
}

/// An occurrence, with the effect of a clock change on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// The instant, a whole minute for calendars.
    pub at: Wall,
    /// What a clock change moved or dropped, for people.
    pub note: Option<String>,
}

/// A span of time that occurrences are looked for in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Not part of it.
    pub after: Wall,
    /// Part of it.
    pub until: Wall,
}

impl Schedule {
    /// Parses five fields or a macro. Errs on an expression that does not fire in 40 years, and so
    /// never does.
    pub fn parse(text: &str, seed: HashSeed<'_>) -> Result<Self, ScheduleError> {
        parse::parse(text, seed)
    }

    /// The first occurrence after `after`; none for `@reboot`, and for `@every` as long as its grid
    /// has no beginning.
    ///
    /// `grid_at` is the zero of the grid of `@every`: the first load. The zero itself is no
    /// occurrence.
    pub fn next_after(
        &self,
        zone: &Zone,
        after: Wall,
        grid_at: Option<Wall>,
    ) -> Option<Occurrence> {
        match self {
            Self::Calendar(calendar) => calendar.next(zone, after),
            Self::Every(period) => {
                let at = grid_point(
                    grid_at?,
                    *period,
                    grid_steps(grid_at?, *period, after).checked_add(1)?,
                )?;
                Some(Occurrence { at, note: None })
            }
            Self::Reboot => None,
        }
    }

    /// The last occurrence in a span, without going through all of them.
    pub fn latest_between(&self, zone: &Zone, span: Span, grid_at: Option<Wall>) -> Option<Wall> {
        match self {
            Self::Calendar(calendar) => walk::latest(calendar, zone, span),
            Self::Every(period) => {
                let steps = grid_steps(grid_at?, *period, span.until);
                grid_point(grid_at?, *period, steps).filter(|&at| steps > 0 && at > span.after)
            }
            Self::Reboot => None,
        }
    }

    /// The number of occurrences in a span, without going through all of them: one step for each
    /// day of it.
    pub fn count_between(&self, zone: &Zone, span: Span, grid_at: Option<Wall>) -> u64 {
        match (self, grid_at) {
            (Self::Calendar(calendar), _) => walk::count(calendar, zone, span),
            (Self::Every(period), Some(grid_at)) => {
                let steps = |at| grid_steps(grid_at, *period, at);
                u64::try_from(steps(span.until) - steps(span.after)).unwrap_or(0)
            }
            (Self::Every(_), None) | (Self::Reboot, _) => 0,
        }
    }
}

impl Calendar {
    /// The first occurrence after `after`; none outside of the years 1970 to 2199.
    pub(crate) fn next(&self, zone: &Zone, after: Wall) -> Option<Occurrence> {
        walk::next(self, zone, after)
    }

    /// Minutes, hours, days of month, months and days of week (0 to 6) as bits; none if the days
    /// take more than bits.
    pub(crate) fn plain_sets(&self) -> Option<[u64; 5]> {
        let days = &self.days;
        days.extra.is_none().then(|| {
            [
                self.minutes,
                self.hours.into(),
                days.month_days.into(),
                days.months.into(),
                days.weekdays.into(),
            ]
        })
    }

    /// Returns whether the minute or the hour field is starred: such a schedule follows real time
    /// over a clock change.
    pub(crate) fn is_wild(&self) -> bool {
        self.is_wild
    }
}

/// How many whole periods of a grid are over at a point; none before its zero.
fn grid_steps(grid_at: Wall, period: Duration, at: Wall) -> i64 {
    at.ms().saturating_sub(grid_at.ms()).max(0) / period_ms(period)
}

/// The point after a number of periods, if there is such a time.
fn grid_point(grid_at: Wall, period: Duration, steps: i64) -> Option<Wall> {
    Some(Wall::from_ms(grid_at.ms().checked_add(steps.checked_mul(period_ms(period))?)?))
}

/// A period of `@every`, which is at least a second and at most ten years.
fn period_ms(period: Duration) -> i64 {
    i64::try_from(period.as_millis()).unwrap_or(i64::MAX).max(1)
}
