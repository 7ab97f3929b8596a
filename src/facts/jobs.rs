//! The jobs of a jobfile and their next occurrences.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::core::job::{Job, Settings};
use crate::core::plan;
use crate::core::schedule::{self, HashSeed, Occurrence, Zone};
use crate::core::time::Wall;
use crate::jobfile::{self, Environment};
use crate::os::{file, machine, zone};
use crate::store::JobRow;

/// Jobs, with the zones of their schedules.
#[derive(Debug)]
pub(crate) struct Jobs {
    /// Sorted by name.
    pub(crate) jobs: Vec<Job>,
    /// The top-level keys of the same jobfile.
    pub(crate) settings: Settings,
    zones: RefCell<HashMap<Option<Arc<str>>, Rc<Zone>>>,
    machine_id: OnceCell<String>,
}

/// An occurrence of one of a job's schedules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Coming {
    /// The instant, and what a clock change did to it.
    pub(crate) occurrence: Occurrence,
    /// The index of the job's schedule.
    pub(crate) schedule: usize,
    /// How long after its instant it falls due, because of the job's jitter.
    pub(crate) jitter: Duration,
}

impl Coming {
    /// Returns when it falls due.
    pub(crate) fn due_at(&self) -> Wall {
        self.occurrence.at + self.jitter
    }
}

impl Jobs {
    /// Makes an empty set, for when no jobfile can be loaded.
    pub(crate) fn none() -> Self {
        Self {
            jobs: Vec::new(),
            settings: Settings::default(),
            zones: RefCell::default(),
            machine_id: OnceCell::new(),
        }
    }

    /// Returns the job with this name.
    pub(crate) fn get(&self, name: &str) -> Option<&Job> {
        self.jobs
            .binary_search_by(|job| job.name.as_str().cmp(name))
            .ok()
            .map(|index| &self.jobs[index])
    }

    /// Returns the job that has this recorded name today, or took it over (`was`).
    pub(crate) fn today(&self, name: &str) -> Option<&Job> {
        self.get(name).or_else(|| self.jobs.iter().find(|job| job.was(name)))
    }

    /// Returns the zone of a job's schedules: its own, else the jobfile's, else the system's.
    pub(crate) fn zone(&self, job: &Job) -> Rc<Zone> {
        let name = job.timezone.as_ref().or(self.settings.timezone.as_ref());
        let read = || match name {
            Some(name) => zone::load(name).unwrap_or_else(|_| zone::system()),
            None => zone::system(),
        };
        self.zones.borrow_mut().entry(name.cloned()).or_insert_with(|| Rc::new(read())).clone()
    }

    /// Returns the first occurrence of a job after `after`; `None` for a job that has no schedule
    /// or is disabled, for `@reboot`, and for `@every` before its grid is known.
    pub(crate) fn next(&self, job: &Job, grid_at: Option<Wall>, after: Wall) -> Option<Coming> {
        if !job.policy.enabled || job.schedules.is_empty() {
            return None;
        }
        let zone = self.zone(job);
        let jitter = self.jitter(job);
        let all = job.schedules.iter().enumerate().filter_map(|(index, (_, schedule))| {
            let occurrence = schedule.next_after(&zone, after, grid_at)?;
            Some(Coming { occurrence, schedule: index, jitter })
        });
        let all: Vec<Coming> = all.collect();
        let first = all.iter().min_by_key(|coming| coming.occurrence.at)?;
        let others = all
            .iter()
            .filter(|other| other.occurrence.at == first.occurrence.at)
            .filter(|other| other.schedule != first.schedule);
        // An instant fires once; the note mentions a clock change that moved several to it.
        let mut notes: Vec<String> = first.occurrence.note.iter().cloned().collect();
        for other in others {
            if let Some(note) = &other.occurrence.note {
                let text = &job.schedules[other.schedule].0;
                notes.push(format!("the same instant for `{text}`, {note}"));
            }
        }
        let note = (!notes.is_empty()).then(|| notes.join("; "));
        let at = first.occurrence.at;
        Some(Coming { occurrence: Occurrence { at, note }, ..first.clone() })
    }

    /// Returns the first occurrence of a job that has yet to fall due. Its instant may have passed
    /// while its jitter has not.
    pub(crate) fn coming(&self, job: &Job, row: Option<&JobRow>, now: Wall) -> Option<Coming> {
        let grid_at = row.and_then(|row| row.grid_at);
        self.next(job, grid_at, self.undecided_after(job, row, now))
    }

    /// Returns when the next occurrence of each job falls due, by the job's name.
    pub(crate) fn all_coming(&self, rows: &[JobRow], now: Wall) -> HashMap<String, Wall> {
        let coming = self.jobs.iter().filter_map(|job| {
            let coming = self.coming(job, job_row(rows, job.name.as_str()), now)?;
            Some((job.name.to_string(), coming.due_at()))
        });
        coming.collect()
    }

    /// Returns the instant after which occurrences have yet to fall due.
    pub(crate) fn undecided_after(&self, job: &Job, row: Option<&JobRow>, now: Wall) -> Wall {
        let decided = row.and_then(|row| row.watermark).unwrap_or(now);
        decided.max(now - self.jitter(job)).min(now)
    }

    /// Returns how long after their instants a job's occurrences fall due.
    pub(crate) fn jitter(&self, job: &Job) -> Duration {
        if job.policy.jitter.is_zero() {
            return Duration::ZERO;
        }
        plan::jitter_of(&job.policy, self.seed(job))
    }

    /// Returns a schedule with its `H` replaced by values; `None` if it has no `H`.
    pub(crate) fn resolved(&self, job: &Job, index: usize) -> Option<String> {
        schedule::resolve(&job.schedules.get(index)?.0, self.seed(job))
    }

    fn seed<'a>(&'a self, job: &'a Job) -> HashSeed<'a> {
        let seed = self.settings.hash_seed.as_deref();
        HashSeed {
            seed: seed.unwrap_or_else(|| self.machine_id.get_or_init(machine::id)),
            job: job.name.as_str(),
        }
    }

    /// Takes the contents of a loaded jobfile.
    pub(crate) fn of(jobfile: jobfile::Jobfile) -> Self {
        Self::with(jobfile.jobs, jobfile.settings)
    }

    /// Takes jobs sorted by name and the top-level keys of the same jobfile.
    pub(crate) fn with(jobs: Vec<Job>, settings: Settings) -> Self {
        Self { jobs, settings, zones: RefCell::default(), machine_id: OnceCell::new() }
    }
}

/// Finds the row of a job among rows sorted by name.
pub(crate) fn job_row<'a>(rows: &'a [JobRow], name: &str) -> Option<&'a JobRow> {
    let found = rows.binary_search_by(|row| row.name.as_str().cmp(name));
    found.ok().map(|index| &rows[index])
}

/// Calls `load` with this machine's environment for jobfiles, without checking who owns the files.
pub(crate) fn with_environment<T>(load: impl FnOnce(&Environment<'_>) -> T) -> T {
    with_files(&|path| file::open_at_once(path), load)
}

/// Calls `load` with this machine's environment for jobfiles and with a way to open their files.
pub(crate) fn with_files<T>(
    open: &jobfile::Open<'_>,
    load: impl FnOnce(&Environment<'_>) -> T,
) -> T {
    let machine_id = machine::id();
    let known = |name: &str| {
        zone::load(name).map(|_| ()).map_err(|error| (error.to_string(), error.suggestion))
    };
    load(&Environment { machine_id: &machine_id, zones: &known, open })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The jobs of a jobfile.
    pub(crate) fn jobs(text: &str) -> Jobs {
        {
            let source = jobfile::Source { path: "jobs.toml".into(), text: text.to_owned() };
            Jobs::of(with_environment(|env| jobfile::load_sources(&[source], env)).unwrap())
        }
    }

    const TEXT: &str = "timezone = 'UTC'\n\
        [jobs.backup]\nschedule = ['30 2 * * *', '0 12 * * *']\ncommand = 'true'\n\
        [jobs.items]\ncommand = 'true'\n\
        [jobs.off]\nenabled = false\nschedule = '* * * * *'\ncommand = 'true'\n\
        [jobs.often]\nschedule = '@every 10m'\ncommand = 'true'\n";

    #[test]
    fn the_earliest_of_several_schedules_is_next() {
        let jobs = jobs(TEXT);
        let next = jobs.next(jobs.get("backup").unwrap(), None, Wall::from_secs(9 * 3600)).unwrap();
        assert_eq!((next.occurrence.at, next.schedule), (Wall::from_secs(12 * 3600), 1));
    }

    #[test]
    fn jobs_that_are_not_planned_have_no_next() {
        let jobs = jobs(TEXT);
        for name in ["items", "off", "often"] {
            assert_eq!(
                jobs.next(jobs.get(name).unwrap(), None, Wall::from_secs(0)),
                None,
                "{name}"
            );
        }
        let grid =
            jobs.next(jobs.get("often").unwrap(), Some(Wall::from_secs(30)), Wall::from_secs(700));
        assert_eq!(grid.map(|next| next.occurrence.at), Some(Wall::from_secs(1230)));
    }

    const HASHED: &str =
        "[jobs.job]\nschedule = ['H H * * *', '@daily']\njitter = '10m'\ncommand = 'true'\n";

    #[test]
    fn jitter_and_hashed_values_are_those_that_the_man_page_computes() {
        let jobs = jobs(&format!("hash_seed = 'seed'\n{HASHED}"));
        let job = jobs.get("job").unwrap();
        assert_eq!(jobs.jitter(job), Duration::from_millis(113_333));
        assert_eq!(jobs.resolved(job, 0).as_deref(), Some("17 18 * * *"));
        assert_eq!(jobs.resolved(job, 1), None);
    }

    #[test]
    fn jitter_and_hashed_values_differ_between_machines_and_stay_on_one() {
        let of = |machine_id: &str| {
            let source = jobfile::Source { path: "jobs.toml".into(), text: HASHED.to_owned() };
            let env = Environment {
                machine_id,
                zones: &|_| Ok(()),
                open: &|path| file::open_at_once(path),
            };
            let jobs = Jobs::of(jobfile::load_sources(&[source], &env).unwrap());
            jobs.machine_id.set(machine_id.to_owned()).unwrap();
            let job = jobs.get("job").unwrap();
            let planned = job.schedules[0].1.clone();
            (jobs.jitter(job), jobs.resolved(job, 0), planned)
        };
        let (one, again, other) = (of("machine-a"), of("machine-a"), of("machine-b"));
        assert_eq!(one, again);
        assert!(one.0 != other.0 && one.1 != other.1 && one.2 != other.2, "{one:?} {other:?}");
        let resolved = one.1.unwrap();
        let seed = HashSeed { seed: "", job: "" };
        assert_eq!(schedule::Schedule::parse(&resolved, seed), Ok(one.2));
    }

    #[test]
    fn an_occurrence_is_coming_until_its_jitter_is_over_and_if_it_is_not_decided() {
        let text = "timezone = 'UTC'\nhash_seed = 'seed'\n[jobs.job]\nschedule = '0 1 * * *'\njitter = '10m'\ncommand = 'true'\n";
        let jobs = jobs(text);
        let job = jobs.get("job").unwrap();
        let row = |watermark| JobRow {
            watermark: Some(Wall::from_secs(watermark)),
            ..crate::facts::status::tests::row("job")
        };
        let at = |row: Option<&JobRow>, secs| {
            let coming = jobs.coming(job, row, Wall::from_secs(secs)).unwrap();
            coming.occurrence.at.secs()
        };
        let (today, tomorrow) = (3600, 3600 + 86_400);
        assert_eq!(at(Some(&row(0)), 3600 + 113), today);
        assert_eq!(at(Some(&row(0)), 3600 + 114), tomorrow);
        // Decided, or first loaded after its instant.
        assert_eq!(at(Some(&row(3600)), 3600 + 60), tomorrow);
        assert_eq!(at(None, 3600 + 60), tomorrow);
    }

    #[test]
    fn schedules_that_a_clock_change_brings_to_one_instant_are_one_occurrence_that_names_both() {
        let text = "timezone = 'Europe/Berlin'\n[jobs.a]\nschedule = ['30 2 * * *', '45 2 * * *']\ncommand = 'true'\n";
        let jobs = jobs(text);
        // 2027-03-28T00:00:00Z, an hour before the change.
        let next = jobs.next(jobs.get("a").unwrap(), None, Wall::from_secs(1_806_192_000));
        let occurrence = next.unwrap().occurrence;
        assert_eq!(occurrence.at, Wall::from_secs(1_806_195_600));
        let note = occurrence.note.unwrap();
        assert!(
            note.contains("moved from 02:30") && note.contains("`45 2 * * *`, moved from 02:45"),
            "{note}"
        );
    }
}
