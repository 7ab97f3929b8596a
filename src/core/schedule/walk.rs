//! A calendar in a zone: from wall time to instants, over the changes of the clock.
//!
//! The zone is cut into stretches of one offset. Wild schedules match the wall time of every real
//! minute. Fixed ones, at a change of less than 3 hours: what is skipped runs at the first minute
//! after it, what comes twice runs the first time (cron(8), Vixie's). The pure rule of schedules:
//! nothing here remembers anything.

use super::days::LAST_DAY;
use super::minutes::DAY;
use super::{Calendar, Occurrence, Span, Transition, Zone};
use crate::core::time::Wall;

/// Changes of the clock from here on are corrections: wall time is matched as it is.
const CORRECTION_SECS: i64 = 3 * 3600;

/// All hours (bits 0 to 23).
const ALL_HOURS: u32 = 0xff_ffff;

/// Points outside are treated like these; calendars name nothing near them.
const FAR_SECS: i64 = (LAST_DAY + 366) * DAY * 60;

/// A part of a zone with one offset, or as much of it as a span covers.
struct Stretch {
    offset_secs: i64,
    /// The first minute of the wall that may match.
    from: i64,
    /// The first minute of the wall that may not.
    to: i64,
    /// Minutes of the wall that were skipped and run in minute `from`.
    skipped: Option<(i64, i64)>,
    /// From this minute of the wall on they come again after the stretch, and do not run then.
    repeated_from: Option<i64>,
    /// Minutes of the wall that the change before it skipped and that do not run.
    lost: Option<(i64, i64)>,
    /// Minutes of the wall before this one came before, and run again.
    again_to: Option<i64>,
}

/// Remembers the last answer of a search that only goes on: most stretches have nothing for a rare
/// schedule.
struct Search<'a> {
    calendar: &'a Calendar,
    known: Option<(i64, Option<i64>)>,
}

/// The first occurrence after `after`.
pub(super) fn next(calendar: &Calendar, zone: &Zone, after: Wall) -> Option<Occurrence> {
    let mut search = Search { calendar, known: None };
    let span = Span { after, until: Wall::from_secs(FAR_SECS) };
    stretches(calendar, zone, span).find_map(|stretch| stretch.first(&mut search))
}

/// The last occurrence of a span.
pub(super) fn latest(calendar: &Calendar, zone: &Zone, span: Span) -> Option<Wall> {
    stretches(calendar, zone, span).rev().find_map(|stretch| stretch.last(calendar))
}

/// The number of occurrences in a span.
pub(super) fn count(calendar: &Calendar, zone: &Zone, span: Span) -> u64 {
    stretches(calendar, zone, span).map(|stretch| stretch.count(calendar)).sum()
}

/// The stretches that a span touches, in the order of time; none is empty.
fn stretches(
    calendar: &Calendar,
    zone: &Zone,
    span: Span,
) -> impl DoubleEndedIterator<Item = Stretch> {
    let after = span.after.secs().clamp(-FAR_SECS, FAR_SECS);
    let until = span.until.secs().clamp(-FAR_SECS, FAR_SECS);
    let index_at = |secs| zone.transitions.partition_point(|transition| transition.at_secs <= secs);
    let indexes = index_at(after + 1)..index_at(until) + 1;
    indexes
        .map(move |index| {
            if calendar.is_wild() {
                matching(zone, index, after, until)
            } else {
                moving(zone, index, after, until)
            }
        })
        .filter(|stretch| stretch.from < stretch.to)
}

/// The stretch after the first `index` transitions, as wall time has it; `after` is exclusive,
/// `until` inclusive.
fn plain(zone: &Zone, index: usize, after: i64, until: i64) -> Stretch {
    let begin = index.checked_sub(1).map_or(-FAR_SECS, |last| zone.transitions[last].at_secs);
    let end = zone.transitions.get(index).map_or(FAR_SECS, |next| next.at_secs);
    let offset_secs = zone.offset_after(index);
    let from = minute_from(begin.max(after + 1) + offset_secs);
    let to = minute_from(end.min(until + 1) + offset_secs);
    Stretch {
        offset_secs,
        from,
        to,
        skipped: None,
        repeated_from: None,
        lost: None,
        again_to: None,
    }
}

/// The same for a schedule that matches the wall as it is: with what it has not, and has twice.
fn matching(zone: &Zone, index: usize, after: i64, until: i64) -> Stretch {
    let mut stretch = plain(zone, index, after, until);
    if let Some(last) = index.checked_sub(1) {
        let (from, to) = zone.change_at(last);
        if from <= to {
            stretch.lost = Some((from, to)).filter(|_| stretch.from == to);
        } else {
            stretch.again_to = Some(from);
        }
    }
    stretch
}

/// The changes of a span that skip minutes a fixed schedule makes up for: when the first minute
/// after one is, and from which minute of the wall to which they skip.
pub(super) fn gaps(zone: &Zone, span: Span) -> impl Iterator<Item = (Wall, i64, i64)> {
    let changes = 0..zone.transitions.len();
    let is_meant = move |index: &usize| {
        let at = Wall::from_secs(zone.transitions[*index].at_secs);
        at > span.after && at <= span.until && zone.change_before(index + 1) == Change::Forward
    };
    changes.filter(is_meant).map(|index| {
        let (from, to) = zone.change_at(index);
        let at = to * 60 - i64::from(zone.transitions[index].offset_secs);
        (Wall::from_secs(at), from, to)
    })
}

/// The same for a fixed schedule: with what the change before it moves and what comes twice.
fn moving(zone: &Zone, index: usize, after: i64, until: i64) -> Stretch {
    let mut stretch = plain(zone, index, after, until);
    if let Some(last) = index.checked_sub(1) {
        let change = zone.change_at(last);
        match zone.change_before(index) {
            Change::Forward if stretch.from == change.1 => stretch.skipped = Some(change),
            Change::Back => stretch.from = stretch.from.max(change.0),
            Change::Correction => {
                let plain = matching(zone, index, after, until);
                (stretch.lost, stretch.again_to) = (plain.lost, plain.again_to);
            }
            Change::Forward => {}
        }
    }
    if let Some(next) = zone.transitions.get(index)
        && zone.change_before(index + 1) == Change::Back
    {
        stretch.repeated_from = Some(minute_from(next.at_secs + i64::from(next.offset_secs)));
    }
    stretch
}

/// What a transition is to a fixed schedule.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Forward,
    Back,
    Correction,
}

impl Zone {
    /// Seconds east of UTC at an instant (seconds since the epoch).
    pub(crate) fn offset_at(&self, secs: i64) -> i64 {
        let passed = |transition: &Transition| transition.at_secs <= secs;
        self.offset_after(self.transitions.partition_point(passed))
    }

    /// Seconds east of UTC after the first `index` transitions.
    fn offset_after(&self, index: usize) -> i64 {
        let last = index.checked_sub(1).map(|last| self.transitions[last].offset_secs);
        i64::from(last.unwrap_or(self.offset_first_secs))
    }

    /// What the wall shows before and after a transition: the first minutes that begin then, by the
    /// old and the new offset.
    fn change_at(&self, index: usize) -> (i64, i64) {
        let at = self.transitions[index].at_secs;
        (minute_from(at + self.offset_after(index)), minute_from(at + self.offset_after(index + 1)))
    }

    /// What the transition is that ends the first `index` of them; there must be one.
    fn change_before(&self, index: usize) -> Change {
        match self.offset_after(index) - self.offset_after(index - 1) {
            jump if jump.abs() >= CORRECTION_SECS => Change::Correction,
            jump if jump >= 0 => Change::Forward,
            _ => Change::Back,
        }
    }
}

impl Stretch {
    fn first(&self, search: &mut Search<'_>) -> Option<Occurrence> {
        let is_moved = self.skipped.is_some_and(|(from, to)| {
            let first = search.first_from(from);
            first.is_some_and(|minute| minute < to)
        });
        let own = search.first_from(self.from).filter(|&minute| minute < self.to);
        let minute = if is_moved { self.from } else { own? };
        Some(Occurrence {
            at: self.instant(minute),
            note: self.note(minute, own == Some(minute), search),
        })
    }

    /// What the changes around the stretch do to the occurrence in a minute, or did to those before
    /// it.
    fn note(&self, minute: i64, is_own: bool, search: &mut Search<'_>) -> Option<String> {
        // Where every hour is named, the wild ones go on as real time does, and nobody misses
        // anything.
        let goes_on = search.calendar.is_wild() && search.calendar.hours == ALL_HOURS;
        let lost = self.lost.filter(|_| !goes_on);
        let mut named = |span: Option<(i64, i64)>| {
            let (from, to) = span?;
            let first = search.first_from(from).filter(|&first| first < to)?;
            Some(times_of(search.calendar, first, to))
        };
        if let Some(times) = named(self.skipped.filter(|_| minute == self.from)) {
            let also = if is_own { "also for" } else { "moved from" };
            return Some(format!("{also} {times}, which clocks skip"));
        }
        if let Some(times) = named(lost) {
            let day = date_of(self.lost.map_or(minute, |(from, _)| from));
            return Some(format!("not at {times} on {day}, which clocks skip"));
        }
        let time = time_of(minute);
        if self.repeated_from.is_some_and(|from| minute >= from) {
            return Some(format!("{time} comes twice as clocks go back: runs the first time only"));
        }
        self.again_to
            .is_some_and(|to| minute < to)
            .then(|| format!("the second {time} after clocks go back"))
    }

    fn last(&self, calendar: &Calendar) -> Option<Wall> {
        let own = calendar.last_minute(self.to - 1).filter(|&minute| minute >= self.from);
        let minute = own.or_else(|| self.has_skipped(calendar).then_some(self.from))?;
        Some(self.instant(minute))
    }

    fn count(&self, calendar: &Calendar) -> u64 {
        let own = calendar.count_minutes(self.from, self.to);
        let is_moved_alone =
            self.has_skipped(calendar) && calendar.first_minute(self.from) != Some(self.from);
        own + u64::from(is_moved_alone)
    }

    fn has_skipped(&self, calendar: &Calendar) -> bool {
        self.skipped
            .is_some_and(|(from, to)| calendar.first_minute(from).is_some_and(|minute| minute < to))
    }

    fn instant(&self, minute: i64) -> Wall {
        Wall::from_secs(minute * 60 - self.offset_secs)
    }
}

impl Search<'_> {
    fn first_from(&mut self, from: i64) -> Option<i64> {
        if let Some((known_from, found)) = self.known
            && known_from <= from
            && found.is_none_or(|found| from <= found)
        {
            return found;
        }
        let found = self.calendar.first_minute(from);
        self.known = Some((from, found));
        found
    }
}

/// The first minute that begins at or after a second of the wall.
fn minute_from(secs: i64) -> i64 {
    -(-secs).div_euclid(60)
}

/// A minute of the wall as `HH:MM`.
fn time_of(minute: i64) -> String {
    let minute = minute.rem_euclid(DAY);
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// Minutes of a calendar from one on: `02:30`, `02:00 and 02:30`, `02:00 and 11 more`.
fn times_of(calendar: &Calendar, first: i64, to: i64) -> String {
    let second = calendar.first_minute(first + 1).filter(|&next| next < to);
    match (second, calendar.count_minutes(first, to)) {
        (Some(second), 2) => format!("{} and {}", time_of(first), time_of(second)),
        (Some(_), count) => format!("{} and {} more", time_of(first), count - 1),
        (None, _) => time_of(first),
    }
}

/// The day of a minute of the wall as `YYYY-MM-DD`.
fn date_of(minute: i64) -> String {
    let at = chrono::DateTime::from_timestamp(minute * 60, 0).unwrap_or_default();
    at.format("%Y-%m-%d").to_string()
}
