//! Compares cron's starts with the jobs' schedules, by user, command and minute.

use std::collections::{BTreeMap, HashMap};

use super::Imported;
use super::records::{Records, Start, printed_forms};
use serde::Serialize;

use crate::core::time::Wall;

/// When a line is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// At these minutes, in order: those of the time of the log, and one minute before it.
    At(Vec<Wall>),
    /// At any time: `@reboot`, and lines that do nothing.
    AnyTime,
}

/// An imported line with the times of its job.
#[derive(Clone, Debug)]
pub(crate) struct Expected<'a> {
    /// The line.
    pub(crate) line: &'a Imported,
    /// The user.
    pub(crate) user: &'a str,
    /// The times.
    pub(crate) due: Due,
}

/// A start that only one side has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Lone {
    /// The minute; for cron the time of the record.
    pub(crate) at: Wall,
    /// The user.
    pub(crate) user: String,
    /// The command in cron's form.
    pub(crate) command: String,
    /// The job, if known.
    pub(crate) job: Option<String>,
}

/// The result of the comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Comparison {
    /// Starts on both sides.
    pub(crate) both: u64,
    /// Starts of lines that may be started at any time.
    pub(crate) apart: u64,
    /// Starts only by cron.
    pub(crate) only_cron: Vec<Lone>,
    /// Starts only by jobctl.
    pub(crate) only_jobctl: Vec<Lone>,
}

/// The minutes that a log covers, in minutes since the epoch, including both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Covered {
    /// The first.
    pub(crate) first: i64,
    /// The last.
    pub(crate) last: i64,
}

/// Cron starts its jobs in the first seconds of a minute: a log that begins later does not cover
/// that minute.
const PROMPT_SECS: i64 = 5;

/// Returns the minutes that records cover; `None` without records. It may end before it begins.
pub(crate) fn covered(records: &Records) -> Option<Covered> {
    let (first, last) = records.covered?;
    let minute = |at: Wall| at.secs().div_euclid(60);
    let is_late = |at: Wall| at.secs().rem_euclid(60) >= PROMPT_SECS;
    let is_whole = |at: Wall| records.starts.iter().any(|start| minute(start.at) == minute(at));
    Some(Covered {
        first: minute(first) + i64::from(is_late(first)),
        last: minute(last) - i64::from(!is_late(last) && !is_whole(last)),
    })
}

/// Compares. `expected` also has minutes just outside of `covered`, which can explain a start but
/// never count as missing.
pub(crate) fn compare(
    records: &Records,
    expected: &[Expected<'_>],
    covered: Covered,
) -> Comparison {
    let mut waiting = Waiting::of(expected);
    let mut found = Comparison::default();
    let mut late = Vec::new();
    for start in &records.starts {
        // Exact minutes first, so that one that is late takes none away from one that is not.
        if waiting.take(start, 0) {
            found.both += 1;
        } else {
            late.push(start);
        }
    }
    for start in late {
        if waiting.take(start, 1) {
            found.both += 1;
        } else if waiting.is_any_time(start) {
            found.apart += 1;
        } else {
            found.only_cron.push(Lone {
                at: start.at,
                user: start.user.clone(),
                command: start.command.clone(),
                job: waiting.job_of(start),
            });
        }
    }
    found.only_jobctl = waiting.left(covered);
    found
}

/// Minutes of lines that have no matching start yet.
struct Waiting<'a> {
    lines: Vec<Line<'a>>,
    /// Lines by user and each form of their command.
    known: HashMap<&'a str, HashMap<String, Vec<usize>>>,
}

struct Line<'a> {
    expected: &'a Expected<'a>,
    /// Minute since the epoch, and how many starts it still waits for.
    minutes: BTreeMap<i64, u32>,
}

impl<'a> Waiting<'a> {
    fn of(expected: &'a [Expected<'a>]) -> Self {
        let mut known: HashMap<_, HashMap<_, Vec<usize>>> = HashMap::new();
        let mut lines = Vec::new();
        for (index, expected) in expected.iter().enumerate() {
            for form in printed_forms(&expected.line.command) {
                let of_user = known.entry(expected.user).or_default();
                of_user.entry(form).or_default().push(index);
            }
            let minutes = match &expected.due {
                Due::At(minutes) => minutes.iter(),
                Due::AnyTime => [].iter(),
            };
            lines.push(Line {
                expected,
                minutes: minutes.map(|at| (at.secs().div_euclid(60), 1)).collect(),
            });
        }
        Self { lines, known }
    }

    /// Returns the lines whose command a start may be.
    fn candidates(&self, start: &Start) -> Vec<usize> {
        let Some(of_user) = self.known.get(start.user.as_str()) else {
            return Vec::new();
        };
        if start.is_cut {
            let begins = |(form, _): &(&String, _)| form.starts_with(&start.command);
            let lines = of_user.iter().filter(begins);
            return lines.flat_map(|(_, lines)| lines.clone()).collect();
        }
        of_user.get(&start.command).cloned().unwrap_or_default()
    }

    /// Takes the minute that a start belongs to, or the one so many minutes before; whether there
    /// was one.
    fn take(&mut self, start: &Start, late: i64) -> bool {
        let minute = start.at.secs().div_euclid(60) - late;
        for index in self.candidates(start) {
            if let Some(count) = self.lines[index].minutes.get_mut(&minute)
                && *count > 0
            {
                *count -= 1;
                return true;
            }
        }
        false
    }

    fn is_any_time(&self, start: &Start) -> bool {
        let mut lines = self.candidates(start).into_iter();
        lines.any(|index| self.lines[index].expected.due == Due::AnyTime)
    }

    fn job_of(&self, start: &Start) -> Option<String> {
        let index = *self.candidates(start).first()?;
        Some(self.lines[index].expected.line.job.clone())
    }

    fn left(self, covered: Covered) -> Vec<Lone> {
        let mut left: Vec<Lone> = self
            .lines
            .iter()
            .flat_map(|line| {
                let missing = line.minutes.iter().filter(|(minute, count)| {
                    **count > 0 && (covered.first..=covered.last).contains(*minute)
                });
                missing.map(|(minute, _)| Lone {
                    at: Wall::from_secs(minute * 60),
                    user: line.expected.user.to_owned(),
                    command: super::records::printed(&line.expected.line.command),
                    job: Some(line.expected.line.job.clone()),
                })
            })
            .collect();
        left.sort_by_key(|lone| lone.at);
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(minute: i64, second: i64, command: &str) -> Start {
        Start {
            at: Wall::from_secs(minute * 60 + second),
            user: "root".to_owned(),
            command: command.to_owned(),
            is_cut: false,
        }
    }

    fn line(command: &str) -> Imported {
        Imported {
            job: format!("job-{command}"),
            file: "/etc/crontab".to_owned(),
            line: 1,
            schedule: "* * * * *".to_owned(),
            zone: None,
            user: Some("root".to_owned()),
            command: command.to_owned(),
            starter: crate::crontab::Starter::Cron,
        }
    }

    /// Starts in both, in cron only, in jobctl only.
    fn counts(starts: Vec<Start>, jobs: &[(&Imported, &[i64])]) -> (u64, usize, usize) {
        let covered = starts.first().map(|it| it.at).zip(starts.last().map(|it| it.at));
        let records = Records { starts, covered };
        let expected: Vec<Expected<'_>> = jobs
            .iter()
            .map(|(line, minutes)| Expected {
                line,
                user: "root",
                due: Due::At(minutes.iter().map(|it| Wall::from_secs(it * 60)).collect()),
            })
            .collect();
        let found = compare(&records, &expected, super::covered(&records).unwrap());
        (found.both, found.only_cron.len(), found.only_jobctl.len())
    }

    #[test]
    fn a_start_a_few_seconds_into_its_minute_is_in_both() {
        let (a, b) = (line("a"), line("b"));
        let starts = vec![start(10, 1, "a"), start(10, 2, "b"), start(11, 3, "a")];
        assert_eq!(counts(starts, &[(&a, &[10, 11]), (&b, &[10])]), (3, 0, 0));
    }

    #[test]
    fn a_start_in_the_minute_after_is_no_difference() {
        let a = line("a");
        let starts = vec![start(10, 1, "a"), start(12, 0, "a"), start(12, 1, "a")];
        assert_eq!(counts(starts, &[(&a, &[10, 11, 12])]), (3, 0, 0));
        // The minute before the log began explains its first line.
        assert_eq!(counts(vec![start(10, 1, "a")], &[(&a, &[9])]), (1, 0, 0));
    }

    #[test]
    fn what_only_one_of_them_starts_is_found() {
        let (a, b) = (line("a"), line("b"));
        let starts = vec![start(10, 1, "a"), start(12, 1, "c"), start(14, 1, "a")];
        assert_eq!(counts(starts.clone(), &[(&a, &[10]), (&b, &[11, 13])]), (1, 2, 2));
        let mut other_user = starts;
        other_user[0].user = "bob".to_owned();
        assert_eq!(counts(other_user, &[(&a, &[10, 14])]), (1, 2, 1));
    }

    #[test]
    fn two_lines_with_one_command_are_two_starts() {
        let (one, two) = (line("a"), line("a"));
        let jobs: [(&Imported, &[i64]); 2] = [(&one, &[10]), (&two, &[10])];
        assert_eq!(counts(vec![start(10, 1, "a"), start(10, 1, "a")], &jobs), (2, 0, 0));
        assert_eq!(counts(vec![start(10, 1, "a")], &jobs), (1, 0, 1));
    }

    #[test]
    fn a_command_that_was_cut_is_known_by_its_beginning() {
        let a = line("abcdef");
        let mut cut = start(10, 1, "abc");
        cut.is_cut = true;
        assert_eq!(counts(vec![cut], &[(&a, &[10])]), (1, 0, 0));
    }

    #[test]
    fn a_start_of_a_line_without_a_minute_is_no_difference() {
        let a = line("a");
        let records = Records {
            starts: vec![start(10, 1, "a")],
            covered: Some((Wall::from_secs(601), Wall::from_secs(601))),
        };
        let expected = [Expected { line: &a, user: "root", due: Due::AnyTime }];
        let found = compare(&records, &expected, super::covered(&records).unwrap());
        let wanted = Comparison { apart: 1, ..Comparison::default() };
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_log_speaks_for_whole_minutes_only() {
        let records = |first: i64, last: i64| Records {
            starts: Vec::new(),
            covered: Some((Wall::from_secs(first), Wall::from_secs(last))),
        };
        assert_eq!(covered(&records(600, 1230)), Some(Covered { first: 10, last: 20 }));
        assert_eq!(covered(&records(630, 1201)), Some(Covered { first: 11, last: 19 }));
        assert_eq!(covered(&Records::default()), None);
    }
}
