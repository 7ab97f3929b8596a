//! Many jobs that start in one and the same minute.

use std::collections::HashMap;
use std::rc::Rc;

use chrono::DateTime;

use super::{About, Finding, calendars, names};
use crate::core::job::Job;
use crate::core::schedule::{Calendar, Zone};
use crate::core::time::Wall;

/// So many in one minute are nothing to speak of.
const JOBS_MAX: usize = 50;

/// Days that are looked at, from now on: each day of a month is among them.
const DAYS: i64 = 32;
const DAY: i64 = 1440;

/// Minutes from the first one counted to the last: today, the days after it, and a day that a zone
/// may be off UTC on both sides.
const MINUTES: usize = ((DAYS + 3) * DAY) as usize;

/// Jobs with the same calendar at the same offset from UTC.
type Groups<'a> = HashMap<(&'a Calendar, i64), Vec<usize>>;

/// Says of the fullest minute which jobs start in it, and how many other minutes are too full.
pub(super) fn look(jobs: &[Job], zones: &[Rc<Zone>], from: Wall) -> Option<Finding> {
    let groups = groups(jobs, zones, from);
    if groups.values().map(Vec::len).sum::<usize>() <= JOBS_MAX {
        return None;
    }
    let today = from.secs().div_euclid(86_400);
    let mut starts = vec![0_u32; MINUTES];
    for ((calendar, offset), members) in &groups {
        let number = u32::try_from(members.len()).unwrap_or(u32::MAX);
        for at in minutes(calendar, *offset, today) {
            starts[at] += number;
        }
    }
    // From the coming minute on.
    let begin = usize::try_from(from.secs().div_euclid(60) + 1 - (today - 1) * DAY).ok()?;
    let whole = begin..begin + usize::try_from(DAYS * DAY).ok()?;
    let (fullest, number) = whole
        .clone()
        .map(|at| (at, starts[at]))
        .reduce(|best, other| if other.1 > best.1 { other } else { best })?;
    let is_full = |number: &u32| usize::try_from(*number).is_ok_and(|number| number > JOBS_MAX);
    if !is_full(&number) {
        return None;
    }
    let others = starts[whole].iter().filter(|number| is_full(number)).count() - 1;
    let minute = today * DAY - DAY + i64::try_from(fullest).ok()?;
    finding(jobs, zones, &groups, (minute, others))
}

fn groups<'a>(jobs: &'a [Job], zones: &[Rc<Zone>], from: Wall) -> Groups<'a> {
    let mut groups = Groups::new();
    for (index, (job, zone)) in jobs.iter().zip(zones).enumerate() {
        if !job.policy.enabled || !job.policy.jitter.is_zero() {
            continue;
        }
        let offset = zone.offset_at(from.secs()).div_euclid(60);
        for (_, _, calendar) in calendars(job) {
            let members = groups.entry((calendar, offset)).or_default();
            // Two schedules of one job may be alike.
            if members.last() != Some(&index) {
                members.push(index);
            }
        }
    }
    groups
}

/// The minutes in which a calendar starts its jobs, counted in UTC from the day before today.
fn minutes(calendar: &Calendar, offset: i64, today: i64) -> impl Iterator<Item = usize> {
    let days = calendar.days_from(today - 1).take_while(move |day| *day <= today + DAYS + 1);
    days.flat_map(move |day| {
        let begin = (day - today + 1) * DAY - offset;
        calendar.minutes_of_day().filter_map(move |minute| usize::try_from(begin + minute).ok())
    })
    .filter(|at| *at < MINUTES)
}

/// What is said of a minute of UTC (since 1970).
fn finding(
    jobs: &[Job],
    zones: &[Rc<Zone>],
    groups: &Groups<'_>,
    (minute, others): (i64, usize),
) -> Option<Finding> {
    let starting =
        groups.iter().filter(|((calendar, offset), _)| calendar.names_minute(minute + offset));
    let mut members: Vec<(usize, &Calendar, i64)> = starting
        .flat_map(|((calendar, offset), members)| {
            members.iter().map(|index| (*index, *calendar, *offset))
        })
        .collect();
    members.sort_by_key(|(index, _, _)| *index);
    members.dedup_by_key(|(index, _, _)| *index);
    let (first, its, offset) = *members.first()?;
    let wall = DateTime::from_timestamp((minute + offset) * 60, 0).unwrap_or_default();
    let more = match others {
        0 => String::new(),
        1 => format!(", and more than {JOBS_MAX} in another minute of the next {DAYS} days"),
        _ => {
            format!(", and more than {JOBS_MAX} in {others} other minutes of the next {DAYS} days")
        }
    };
    let message = format!(
        "{} jobs start in the same minute, {} {}: {}{more}",
        members.len(),
        wall.format("%Y-%m-%d %H:%M"),
        zones[first].name,
        names(members.iter().map(|(index, _, _)| &jobs[*index])),
    );
    let hint = "spread them with `jitter = \"10m\"`, or with `H` in the minute field (`H 2 * * *`)";
    let nth = calendars(&jobs[first]).find(|(_, _, calendar)| *calendar == its);
    Some(Finding {
        about: About::Jobs(first, nth.map_or(0, |(nth, _, _)| nth)),
        message,
        hint: Some(hint.to_owned()),
    })
}
