//! Proves that imported jobs run when their lines did, by comparing the occurrences of both.
//!
//! Lines have a separate evaluator, which steps through each minute like cron; jobs use the engine.
//! Jitter and `RANDOM_DELAY` are ignored. Pure: span, zones and jobs are arguments.

mod entry;
mod minutes;

#[cfg(test)]
mod tests;

use crate::core::job::Job;
use crate::core::schedule::{Schedule, Span, Zone};
use crate::core::time::Wall;

use super::{Imported, Starter};
pub(crate) use entry::When;
pub(crate) use minutes::Starts;

/// The number of differences of a job that are listed; the others are only counted.
const SHOWN_MAX: usize = 5;

/// A line and its job, each with its zone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair<'a> {
    /// The line.
    pub(crate) line: &'a Imported,
    /// The zone of the line in cron; `None` if it is unknown.
    pub(crate) line_zone: Option<&'a Zone>,
    /// The job with the line's name in the loaded jobfile, and the zone of its schedules; `None` if
    /// it does not exist.
    pub(crate) job: Option<(&'a Job, &'a Zone)>,
}

/// The side that would start a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The line in cron.
    Cron,
    /// The imported job.
    Jobctl,
}

impl Side {
    /// Returns its name in messages.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Cron => "cron",
            Self::Jobctl => "jobctl",
        }
    }
}

/// A difference between a line and its job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    /// An occurrence of one side only.
    Only(Side, Wall),
    /// A reason why occurrences cannot be compared.
    Other(&'static str),
}

/// The differences of a line and its job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mismatch<'a> {
    /// The line.
    pub(crate) line: &'a Imported,
    /// The first differences.
    pub(crate) shown: Vec<Difference>,
    /// The number of differences.
    pub(crate) count: u64,
}

/// The result of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Proof<'a> {
    /// The number of lines.
    pub(crate) jobs: usize,
    /// How many of them are `@reboot` on both sides, which has no occurrences.
    pub(crate) boots: usize,
    /// The occurrences of all lines.
    pub(crate) occurrences: u64,
    /// The lines that differ from their jobs.
    pub(crate) mismatches: Vec<Mismatch<'a>>,
}

/// Compares each line with its job over a span; calls `before` with the number of finished lines
/// before each one.
pub(crate) fn prove<'a>(
    pairs: &[Pair<'a>],
    span: Span,
    mut before: impl FnMut(usize),
) -> Proof<'a> {
    let mut proof = Proof { jobs: pairs.len(), ..Proof::default() };
    for (compared, pair) in pairs.iter().enumerate() {
        before(compared);
        let found = compare(pair, span);
        proof.boots += usize::from(found.is_boot);
        proof.occurrences += found.occurrences;
        if found.count > 0 {
            proof.mismatches.push(Mismatch {
                line: pair.line,
                shown: found.shown,
                count: found.count,
            });
        }
    }
    proof
}

/// The result of one pair.
#[derive(Debug, Default)]
struct Found {
    is_boot: bool,
    occurrences: u64,
    shown: Vec<Difference>,
    count: u64,
}

impl Found {
    fn add(&mut self, difference: Difference) {
        self.count += 1;
        if self.shown.len() < SHOWN_MAX {
            self.shown.push(difference);
        }
    }

    fn other(text: &'static str) -> Self {
        let mut found = Self::default();
        found.add(Difference::Other(text));
        found
    }
}

fn compare(pair: &Pair<'_>, span: Span) -> Found {
    let Some(when) = When::read(&pair.line.schedule) else {
        return Found::other("cron does not accept the schedule of the line");
    };
    let Some((job, job_zone)) = pair.job else {
        return Found::other("the job is not in the jobfile");
    };
    if job.schedules.iter().any(|(_, schedule)| is_every(schedule)) {
        return Found::other("the job has @every, which a crontab cannot express");
    }
    let is_boot = |(_, schedule): &(_, Schedule)| *schedule == Schedule::Reboot;
    let boots = job.policy.enabled && job.schedules.iter().any(is_boot);
    match (&when, boots) {
        (When::Boot, false) if pair.line.starter == Starter::Nothing => {}
        (When::Boot, false) => return Found::other("the line is @reboot, the job is not"),
        (When::Fields(_), true) => return Found::other("the job is @reboot, the line is not"),
        (When::Boot, true) | (When::Fields(_), false) => {}
    }
    let ours = Occurrences::new(job, job_zone, span);
    let mut found = Found { is_boot: boots, ..Found::default() };
    match (when, pair.line_zone) {
        _ if pair.line.starter == Starter::Nothing => merge(std::iter::empty(), ours, &mut found),
        (When::Boot, _) => merge(std::iter::empty(), ours, &mut found),
        (When::Fields(entry), Some(zone)) => {
            merge(Starts::new(entry, zone, span), ours, &mut found)
        }
        (When::Fields(_), None) => return Found::other("the time zone of the line is unknown"),
    }
    found
}

fn is_every(schedule: &Schedule) -> bool {
    match schedule {
        Schedule::Every(_) => true,
        Schedule::Calendar(_) | Schedule::Reboot => false,
    }
}

/// Walks through both sides, which are in strictly increasing order, and records what only one of
/// them has.
fn merge(cron: impl Iterator<Item = Wall>, jobctl: impl Iterator<Item = Wall>, found: &mut Found) {
    let (mut cron, mut jobctl) = (cron.peekable(), jobctl.peekable());
    loop {
        let (theirs, ours) = (cron.peek().copied(), jobctl.peek().copied());
        let side = match (theirs, ours) {
            (None, None) => return,
            (Some(theirs), Some(ours)) if theirs == ours => None,
            (Some(theirs), Some(ours)) if theirs > ours => Some((Side::Jobctl, ours)),
            (Some(theirs), _) => Some((Side::Cron, theirs)),
            (None, Some(ours)) => Some((Side::Jobctl, ours)),
        };
        if side.is_none_or(|(side, _)| side == Side::Cron) {
            found.occurrences += 1;
            cron.next();
        }
        if side.is_none_or(|(side, _)| side == Side::Jobctl) {
            jobctl.next();
        }
        if let Some((side, at)) = side {
            found.add(Difference::Only(side, at));
        }
    }
}

/// The occurrences of a job as the supervisor plans them: of all its schedules, each instant once.
#[derive(Debug)]
pub(crate) struct Occurrences<'a> {
    zone: &'a Zone,
    until: Wall,
    /// Each schedule with its next occurrence.
    coming: Vec<(&'a Schedule, Wall)>,
}

impl<'a> Occurrences<'a> {
    /// Returns the occurrences of a span; a disabled job has none.
    pub(crate) fn new(job: &'a Job, zone: &'a Zone, span: Span) -> Self {
        let schedules = job.schedules.iter().filter(|_| job.policy.enabled);
        let first = |schedule: &'a Schedule| {
            let at = schedule.next_after(zone, span.after, None)?.at;
            Some((schedule, at))
        };
        Self {
            zone,
            until: span.until,
            coming: schedules.filter_map(|(_, schedule)| first(schedule)).collect(),
        }
    }
}

impl Iterator for Occurrences<'_> {
    type Item = Wall;

    fn next(&mut self) -> Option<Wall> {
        let at = self.coming.iter().map(|(_, at)| *at).min()?;
        if at > self.until {
            return None;
        }
        let zone = self.zone;
        self.coming.retain_mut(|(schedule, next)| {
            if *next > at {
                return true;
            }
            let following = schedule.next_after(zone, at, None);
            *next = following.as_ref().map_or(*next, |following| following.at);
            following.is_some()
        });
        Some(at)
    }
}
