//! Upcoming occurrences of all jobs, in order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;

use serde::Serialize;

use super::jobs::{Coming, Jobs, job_row};
use crate::core::job::Job;
use crate::core::local::with_offset;
use crate::core::pause::Pause;
use crate::core::schedule::{Schedule, Zone};
use crate::core::time::Wall;
use crate::store::JobRow;

/// An upcoming occurrence.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    /// The instant, with its zone's offset.
    at: String,
    /// The job; `None` for a bare expression.
    pub(crate) job: Option<String>,
    /// The schedule.
    pub(crate) schedule: String,
    /// What a clock change or a pause does to it.
    pub(crate) note: Option<String>,
    /// When it falls due.
    pub(crate) due_at: Wall,
    /// How long that is after its instant.
    pub(crate) jitter_ms: i64,
    /// The schedule with `H` replaced by values.
    pub(crate) resolved: Option<String>,
    /// The instant.
    #[serde(skip)]
    pub(crate) instant: Wall,
    /// The zone of the schedule.
    #[serde(skip)]
    pub(crate) zone: Rc<Zone>,
}

/// The requested span: `after` excluded, `until` included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    /// The beginning.
    pub(crate) after: Wall,
    /// The end.
    pub(crate) until: Option<Wall>,
    /// The maximum number of occurrences.
    pub(crate) count: usize,
    /// Whether to include occurrences that have yet to fall due although their instant has passed.
    pub(crate) is_from_now: bool,
}

impl Range {
    fn holds(&self, at: Wall) -> bool {
        self.until.is_none_or(|until| at <= until)
    }
}

/// Returns the occurrences of a bare expression; the grid of `@every` begins now.
pub(crate) fn of_schedule(
    schedule: &Schedule,
    (text, resolved): (&str, Option<String>),
    zone: &Rc<Zone>,
    (range, now): (Range, Wall),
) -> Vec<Line> {
    let following = |after| schedule.next_after(zone, after, Some(now));
    let all = std::iter::successors(following(range.after), |last| following(last.at));
    let line = |occurrence: crate::core::schedule::Occurrence| Line {
        at: with_offset(zone, occurrence.at),
        job: None,
        schedule: text.to_owned(),
        note: occurrence.note,
        due_at: occurrence.at,
        jitter_ms: 0,
        resolved: resolved.clone(),
        instant: occurrence.at,
        zone: Rc::clone(zone),
    };
    all.take(range.count).take_while(|occurrence| range.holds(occurrence.at)).map(line).collect()
}

/// Returns the occurrences of some jobs; `pause` is the pause of all jobs.
pub(crate) fn of_jobs(
    jobs: &Jobs,
    (chosen, rows): (&[&Job], &[JobRow]),
    pause: Option<Pause>,
    range: Range,
) -> Vec<Line> {
    let line = |(job, coming): (&Job, Coming)| {
        let own = job_row(rows, job.name.as_str()).and_then(|row| row.pause);
        line_of(jobs, job, coming, [pause, own])
    };
    merge(jobs, chosen, rows, &range).into_iter().map(line).collect()
}

/// Merges the occurrences of all jobs, ordered by time and then name.
fn merge<'j>(
    jobs: &Jobs,
    chosen: &[&'j Job],
    rows: &[JobRow],
    range: &Range,
) -> Vec<(&'j Job, Coming)> {
    let next = |job: &Job, after: Wall| {
        let grid_at = job_row(rows, job.name.as_str()).and_then(|row| row.grid_at);
        jobs.next(job, grid_at, after).filter(|coming| range.holds(coming.occurrence.at))
    };
    let begin = |job: &Job| match range.is_from_now {
        true => jobs.undecided_after(job, job_row(rows, job.name.as_str()), range.after),
        false => range.after,
    };
    let mut found: Vec<Option<Coming>> = chosen.iter().map(|job| next(job, begin(job))).collect();
    let entry = |index: usize, coming: &Option<Coming>| {
        Some(Reverse((coming.as_ref()?.occurrence.at, index)))
    };
    let mut heap: BinaryHeap<_> =
        found.iter().enumerate().filter_map(|(index, coming)| entry(index, coming)).collect();
    let mut merged = Vec::new();
    while merged.len() < range.count {
        let Some(Reverse((at, index))) = heap.pop() else {
            break;
        };
        let following = next(chosen[index], at);
        heap.extend(entry(index, &following));
        if let Some(coming) = std::mem::replace(&mut found[index], following) {
            merged.push((chosen[index], coming));
        }
    }
    merged
}

fn line_of(jobs: &Jobs, job: &Job, coming: Coming, pauses: [Option<Pause>; 2]) -> Line {
    let (instant, zone) = (coming.occurrence.at, jobs.zone(job));
    let is_paused = pauses.into_iter().flatten().any(|pause| pause.holds(instant));
    let paused = is_paused.then(|| "paused: will be skipped".to_owned());
    let due_at = coming.due_at();
    let notes: Vec<String> = coming.occurrence.note.into_iter().chain(paused).collect();
    Line {
        at: with_offset(&zone, instant),
        job: Some(job.name.to_string()),
        schedule: job.schedules[coming.schedule].0.to_string(),
        note: (!notes.is_empty()).then(|| notes.join("; ")),
        due_at,
        jitter_ms: super::ms(coming.jitter),
        resolved: jobs.resolved(job, coming.schedule),
        instant,
        zone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_merged_in_the_order_of_time() {
        let text = "timezone = 'UTC'\n[jobs.a]\nschedule = '0 * * * *'\ncommand = 'true'\n\
                    [jobs.b]\nschedule = '*/30 * * * *'\ncommand = 'true'\n";
        let jobs = crate::facts::jobs::tests::jobs(text);
        let chosen: Vec<&Job> = jobs.jobs.iter().collect();
        let merged: Vec<(String, i64)> = merge(
            &jobs,
            &chosen,
            &[],
            &Range { after: Wall::from_secs(0), until: None, count: 4, is_from_now: false },
        )
        .into_iter()
        .map(|(job, coming)| (job.name.to_string(), coming.occurrence.at.secs() / 60))
        .collect();
        let expected = [("b", 30), ("a", 60), ("b", 60), ("b", 90)]
            .map(|(job, minute)| (job.to_owned(), minute));
        assert_eq!(merged, expected);
    }
}
