//! Writes the schedules of a job for cron.

use std::time::Duration;

use super::super::prove::When;
use super::Remarks;
use crate::core::job::Job;
use crate::core::schedule::{Calendar, Schedule};

/// Returns the schedules, each as five fields or a macro. A job without one gets `*` for its
/// comment.
pub(super) fn lines(job: &Job, remarks: &mut Remarks<'_>) -> Vec<String> {
    if job.schedules.is_empty() {
        remarks.refuse("schedule", "none: the job runs items from its queue");
        return vec!["(no schedule)".to_owned()];
    }
    if job.schedules.len() > 1 {
        remarks.add(
            "schedule",
            "several: cron starts the command twice at a time that two of them share",
        );
    }
    let schedules = job.schedules.iter();
    schedules
        .map(|(text, schedule)| match schedule {
            Schedule::Reboot => "@reboot".to_owned(),
            Schedule::Every(period) => every(text, *period, remarks),
            Schedule::Calendar(calendar) => fields(text, calendar, remarks),
        })
        .collect()
}

/// Converts `@every` if the period divides the hour or the day.
fn every(text: &str, period: Duration, remarks: &mut Remarks<'_>) -> String {
    let secs = period.as_secs();
    let minutes = secs / 60;
    let is_whole = period.subsec_nanos() == 0 && secs.is_multiple_of(60) && minutes > 0;
    let line = match minutes {
        _ if !is_whole => None,
        1 => Some("* * * * *".to_owned()),
        60 => Some("0 * * * *".to_owned()),
        1440 => Some("0 0 * * *".to_owned()),
        2..60 if 60 % minutes == 0 => Some(format!("*/{minutes} * * * *")),
        61..1440 if 1440 % minutes == 0 && minutes.is_multiple_of(60) => {
            Some(format!("0 */{} * * *", minutes / 60))
        }
        _ => None,
    };
    match line {
        Some(line) => {
            remarks.add(
                "schedule",
                format!("{text}: counted from midnight, not from when the job was first loaded"),
            );
            line
        }
        None => {
            remarks.refuse("schedule", format!("{text}: does not divide an hour or a day evenly"));
            text.to_owned()
        }
    }
}

/// Converts five fields. A field that cron reads like jobctl is unchanged; others become lists.
fn fields(text: &str, calendar: &Calendar, remarks: &mut Remarks<'_>) -> String {
    let words: Vec<&str> = text.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
    // A macro is one word.
    if words.len() != 5 {
        return words.join(" ");
    }
    let Some(sets) = calendar.plain_sets() else {
        remarks.refuse("schedule", format!("{text}: crontab has no L, W and #"));
        return words.join(" ");
    };
    let fields = words.iter().enumerate().map(|(index, word)| {
        let has_hash = word.split(',').any(|item| item.starts_with('H'));
        if has_hash {
            remarks.add("schedule", format!("{text}: H is replaced by its value on this machine"));
        }
        match word.split(',').next() {
            Some(_) if is_crons(index, word, sets[index]) => (*word).to_owned(),
            // A star means more than its values (Vixie's rules for days and clock changes).
            Some(first) if first.starts_with('*') => format!("{first},{}", list(sets[index])),
            Some(_) | None => list(sets[index]),
        }
    });
    fields.collect::<Vec<_>>().join(" ")
}

/// Returns whether cron reads a field like jobctl.
fn is_crons(index: usize, word: &str, set: u64) -> bool {
    let mut words = ["*"; 5];
    words[index] = word;
    match When::read(&words.join(" ")) {
        Some(When::Fields(entry)) => entry.sets()[index] == set,
        Some(When::Boot) | None => false,
    }
}

fn list(set: u64) -> String {
    let values = (0..64).filter(|bit| set >> bit & 1 == 1);
    values.map(|bit| bit.to_string()).collect::<Vec<_>>().join(",")
}
