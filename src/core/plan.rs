//! Decides what becomes of the occurrences of a job: which are missed, which run, wait or are
//! skipped (jobctl.toml(5), "Missed occurrences" and "Overlap and locks"). Pure: what is running,
//! what waits and what time it is are arguments.

use std::time::Duration;

use super::hash::fnv1a;
use super::job::{CatchUp, Job, Overlap, Policy};
use super::schedule::{HashSeed, Schedule, Span, Zone};
use super::time::Wall;

/// An occurrence that is late by no more than this is started as usual.
pub(crate) const LATE_MAX: Duration = Duration::from_secs(5 * 60);

/// A step of the clock or a suspend of no more than this is made up for by jobs with a fixed time,
/// as cron does.
pub(crate) const STEP_MAX: Duration = Duration::from_secs(3 * 3600);

/// Occurrences that `catch_up = "all"` runs at the most.
pub(crate) const CATCH_UP_MAX: usize = 100;

/// Occurrences of several schedules that are gone through one by one to be counted.
const WALK_MAX: u64 = 1000;

/// The source of a job's occurrences.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timetable<'a> {
    /// The job.
    pub(crate) job: &'a Job,
    /// The zone of its schedules.
    pub(crate) zone: &'a Zone,
    /// Where an `@every` grid begins.
    pub(crate) grid_at: Option<Wall>,
}

impl Timetable<'_> {
    /// The first occurrence after `after` of any of the job's schedules; none while the job is not
    /// enabled.
    pub(crate) fn next(&self, after: Wall) -> Option<Wall> {
        if !self.job.policy.enabled {
            return None;
        }
        self.schedules()
            .filter_map(|schedule| schedule.next_after(self.zone, after, self.grid_at))
            .map(|o| o.at)
            .min()
    }

    /// Returns whether it is started by a boot of the machine.
    pub(crate) fn has_reboot(&self) -> bool {
        self.job.policy.enabled && self.schedules().any(|schedule| *schedule == Schedule::Reboot)
    }

    /// Whether every schedule names fixed times, which a step of the clock may jump over.
    fn is_fixed(&self) -> bool {
        self.schedules().all(|schedule| match schedule {
            Schedule::Calendar(calendar) => !calendar.is_wild(),
            Schedule::Every(_) | Schedule::Reboot => false,
        })
    }

    fn schedules(&self) -> impl Iterator<Item = &Schedule> {
        self.job.schedules.iter().map(|(_, schedule)| schedule)
    }

    /// Returns the occurrences of a span, missed ones and those that run as usual. `step` is the
    /// clock's latest jump.
    pub(crate) fn due(&self, span: Span, step: Duration) -> Due {
        let late_max = if step <= STEP_MAX && self.is_fixed() {
            LATE_MAX.max(step + LATE_MAX)
        } else {
            LATE_MAX
        };
        let in_time_after = span.after.max((span.until - late_max).just_before());
        let missed = self.stretch(Span { after: span.after, until: in_time_after });
        let mut in_time = Vec::new();
        let mut after = in_time_after;
        while let Some(at) = self.next(after).filter(|&at| at <= span.until) {
            in_time.push(at);
            after = at;
        }
        Due { missed, in_time }
    }

    /// The occurrences of a span, computed and not gone through one by one.
    pub(crate) fn stretch(&self, span: Span) -> Option<Missed> {
        let first = self.next(span.after).filter(|&at| at <= span.until)?;
        let last = self.latest(span).unwrap_or(first);
        let count = self.count(span).max(1);
        Some(Missed { first, last, count })
    }

    /// How many occurrences a span has. Several schedules of a job may name the same instant: up to
    /// `WALK_MAX` they are gone through and it counts once; of more, it counts once for each.
    fn count(&self, span: Span) -> u64 {
        let apart: u64 = self
            .schedules()
            .map(|schedule| schedule.count_between(self.zone, span, self.grid_at))
            .sum();
        if self.schedules().nth(1).is_none() || apart > WALK_MAX {
            return apart;
        }
        let walk = std::iter::successors(self.next(span.after), |at| self.next(*at));
        let count = walk.take_while(|at| *at <= span.until).count();
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    /// The last occurrence before `at` that is not before `first`.
    pub(crate) fn latest_before(&self, at: Wall, first: Wall) -> Option<Wall> {
        self.latest(Span { after: first.just_before(), until: at.just_before() })
    }

    /// The newest `CATCH_UP_MAX` occurrences of a span, oldest first.
    fn newest(&self, span: Span) -> Vec<Wall> {
        let mut newest = Vec::new();
        let mut until = span.until;
        while newest.len() < CATCH_UP_MAX && until > span.after {
            let Some(at) = self.latest(Span { after: span.after, until }) else {
                break;
            };
            newest.push(at);
            until = at.just_before();
        }
        newest.reverse();
        newest
    }

    fn latest(&self, span: Span) -> Option<Wall> {
        self.schedules()
            .filter_map(|schedule| schedule.latest_between(self.zone, span, self.grid_at))
            .max()
    }
}

/// A stretch of occurrences that were missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Missed {
    /// The first.
    pub(crate) first: Wall,
    /// The last.
    pub(crate) last: Wall,
    /// How many.
    pub(crate) count: u64,
}

/// The occurrences that fell due in a span of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// What is too late to be started as usual.
    pub(crate) missed: Option<Missed>,
    /// What is started as usual, in order.
    pub(crate) in_time: Vec<Wall>,
}

impl Due {
    /// The part of the missed occurrences that `catch_up` runs, oldest first; the rest is skipped.
    /// What is before `startable_from` is over its start deadline.
    pub(crate) fn caught_up(&self, timetable: &Timetable<'_>, startable_from: Wall) -> Vec<Wall> {
        let Some(missed) = self.missed.filter(|missed| missed.last >= startable_from) else {
            return Vec::new();
        };
        let first = missed.first.max(startable_from);
        let span = Span { after: first.just_before(), until: missed.last };
        match timetable.job.policy.catch_up {
            CatchUp::None => Vec::new(),
            // What runs as usual is newer than anything that was missed.
            CatchUp::Last if !self.in_time.is_empty() => Vec::new(),
            CatchUp::Last => vec![missed.last],
            CatchUp::All => timetable.newest(span),
        }
    }
}

/// The decision on an occurrence that has fallen due.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It becomes a run: at once, or when its place is free.
    Run,
    /// It is skipped: this run is in its way.
    Skip {
        /// The run in the way.
        by: i64,
    },
    /// It becomes a run, and this one, which is running, is stopped for it.
    ReplaceRunning(i64),
    /// It becomes a run, and this one, which is waiting, is cancelled for it.
    ReplaceQueued(i64),
}

/// The unfinished runs of a job when an occurrence falls due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Busy {
    /// How many of its runs are running.
    pub(crate) running: usize,
    /// The oldest of them that has not been asked to stop.
    pub(crate) oldest_running: Option<i64>,
    /// How many are due and waiting.
    pub(crate) queued: usize,
    /// The first of them.
    pub(crate) first_queued: Option<i64>,
}

/// Judges an occurrence by the job's `overlap`.
pub(crate) fn judge(policy: &Policy, busy: &Busy) -> Decision {
    let places =
        policy.running_max().map_or(usize::MAX, |max| usize::try_from(max).unwrap_or(usize::MAX));
    if busy.running + busy.queued < places {
        return Decision::Run;
    }
    let in_the_way = busy.oldest_running.or(busy.first_queued);
    match policy.overlap {
        Overlap::Allow | Overlap::QueueAll => Decision::Run,
        Overlap::QueueOne if busy.queued == 0 => Decision::Run,
        Overlap::Skip | Overlap::QueueOne => {
            in_the_way.map_or(Decision::Run, |by| Decision::Skip { by })
        }
        Overlap::Replace => match (busy.oldest_running, busy.first_queued) {
            (Some(run), _) => Decision::ReplaceRunning(run),
            (None, Some(run)) => Decision::ReplaceQueued(run),
            (None, None) => Decision::Run,
        },
    }
}

/// Returns where planning goes on after the clock was found at `now`, behind the watermark.
///
/// Set back by less than three hours, fixed times do not repeat and wild ones follow real time;
/// further back, all go on from now.
pub(crate) fn watermark_after_step_back(
    timetable: &Timetable<'_>,
    watermark: Wall,
    now: Wall,
) -> Wall {
    if watermark.since(now) < STEP_MAX && timetable.is_fixed() { watermark } else { now }
}

/// The job's share of its jitter: fixed for machine and job (FNV-1a of `hash_seed` and name).
pub(crate) fn jitter_of(policy: &Policy, seed: HashSeed<'_>) -> Duration {
    let parts = [seed.seed, "\0jitter\0", seed.job];
    let hash = fnv1a(parts.into_iter().flat_map(str::bytes));
    let span_ms = u64::try_from(policy.jitter.as_millis()).unwrap_or(u64::MAX);
    if span_ms == 0 { Duration::ZERO } else { Duration::from_millis(hash % (span_ms + 1)) }
}

#[cfg(test)]
mod tests;
