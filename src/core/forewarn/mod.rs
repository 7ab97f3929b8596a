//! What would surprise about jobs that are valid, said beforehand by `jobctl check`: judgement
//! only.
//!
//! Pure: jobs, their zones and the present are arguments. A [`Finding`] names a key; where that
//! stands, the jobfile knows.

mod crowd;
mod days;
mod echo;
mod gap;
pub(crate) mod history;
mod pace;
mod skipped;
mod steps;
mod unheard;

use std::rc::Rc;

use super::job::Job;
use super::noun::count;
use super::schedule::{Calendar, Schedule, Zone};
use super::time::Wall;

/// Something that would surprise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// What it is about.
    pub(crate) about: About,
    /// What will happen, in numbers.
    pub(crate) message: String,
    /// What to write instead.
    pub(crate) hint: Option<String>,
}

/// The subject of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// The file as a whole.
    File,
    /// A key of a job, by the job's index.
    Key(usize, &'static str),
    /// One of a job's schedules, by the indexes of both.
    Schedule(usize, usize),
    /// Several jobs at once: to be shown at a schedule of one of them.
    Jobs(usize, usize),
}

/// A job with what its schedules need.
struct Subject<'a> {
    index: usize,
    job: &'a Job,
    zone: &'a Zone,
    from: Wall,
}

/// Looks at all jobs. What is said of one stands in the order of the jobs, what is said of the file
/// behind it.
pub(crate) fn look(jobs: &[Job], zone_of: &dyn Fn(&Job) -> Rc<Zone>, from: Wall) -> Vec<Finding> {
    let mut findings = Vec::new();
    let zones: Vec<Rc<Zone>> = jobs.iter().map(zone_of).collect();
    for (index, (job, zone)) in jobs.iter().zip(&zones).enumerate() {
        let subject = Subject { index, job, zone, from };
        findings.extend(pace::look(&subject));
        findings.extend(echo::look(index, job));
        for (nth, text, calendar) in subject.calendars() {
            let about = About::Schedule(index, nth);
            let said = [gap::look(&subject, text, calendar), days::look(&subject, text, calendar)];
            let words = said.into_iter().flatten().chain(steps::look(text, calendar));
            findings.extend(words.map(|(message, hint)| Finding {
                about: about.clone(),
                message,
                hint: Some(hint),
            }));
        }
    }
    findings.extend(crowd::look(jobs, &zones, from));
    findings.extend(unheard::look(jobs));
    findings.extend(skipped::look(jobs));
    findings
}

impl<'a> Subject<'a> {
    /// Its schedules that are calendars, with their index and text.
    fn calendars(&self) -> impl Iterator<Item = (usize, &'a str, &'a Calendar)> + use<'a> {
        calendars(self.job)
    }
}

/// A message and a hint.
type Words = (String, String);

fn calendars(job: &Job) -> impl Iterator<Item = (usize, &str, &Calendar)> {
    let schedules = job.schedules.iter().enumerate();
    schedules.filter_map(|(index, (text, schedule))| match schedule {
        Schedule::Calendar(calendar) => Some((index, text.as_ref(), calendar)),
        Schedule::Every(_) | Schedule::Reboot => None,
    })
}

/// Words as a sentence has them: `a`, `a and b`, `a, b and c`.
fn list(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// The names of some jobs, the first few of them by name: "`a`, `b` and 3 more".
fn names<'a>(mut names: impl ExactSizeIterator<Item = &'a Job>) -> String {
    const SHOWN: usize = 5;
    let count = names.len();
    let shown = if count <= SHOWN { count } else { SHOWN - 1 };
    let mut words: Vec<String> =
        names.by_ref().take(shown).map(|job| format!("`{}`", job.name)).collect();
    if count > shown {
        words.push(format!("{} more", count - shown));
    }
    list(&words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::job::{CommandLine, Name, Policy};
    use crate::core::schedule::HashSeed;

    fn job(name: &str, schedule: &str) -> Job {
        let seed = HashSeed { seed: "", job: name };
        let parsed = Schedule::parse(schedule, seed).unwrap();
        Job {
            name: Name::parse(name).unwrap(),
            command: CommandLine::Shell("true".into()),
            schedules: Box::from([(schedule.into(), parsed)]),
            timezone: None,
            policy: std::sync::Arc::new(Policy::default()),
        }
    }

    fn utc() -> Rc<Zone> {
        let (offset_first_secs, transitions) = (0, Box::default());
        Rc::new(Zone { name: "UTC".into(), offset_first_secs, transitions })
    }

    #[test]
    fn a_schedule_is_warned_of_at_its_place_with_a_hint() {
        let jobs = [job("a", "0 3 * * *"), job("b", "*/7 * * * *"), job("c", "@every 7m")];
        let findings = look(&jobs, &|_| utc(), Wall::from_secs(0));
        assert_eq!(findings[0].about, About::Schedule(1, 0), "{findings:?}");
        assert!(findings[0].hint.is_some());
        assert!(findings[1..].iter().all(|finding| finding.about == About::File), "{findings:?}");
    }

    #[test]
    fn names_are_listed_as_a_sentence_has_them() {
        let list = |count: usize| {
            let jobs: Vec<Job> = (0..count).map(|nth| job(&format!("j{nth}"), "@daily")).collect();
            names(jobs.iter())
        };
        assert_eq!(list(0), "");
        assert_eq!(list(1), "`j0`");
        assert_eq!(list(2), "`j0` and `j1`");
        assert_eq!(list(5), "`j0`, `j1`, `j2`, `j3` and `j4`");
        assert_eq!(list(7), "`j0`, `j1`, `j2`, `j3` and 3 more");
    }
}
