//! The jobs a command works with: those of the jobfile, and of the store's copy where that is broken or missing.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::cmd::trust;
use crate::cmd::{Context, Failure, Result, plain};
use crate::core::job::{Job, Settings};
use crate::core::plan;
use crate::core::schedule::{self, HashSeed, Occurrence, Zone};
use crate::core::time::Wall;
use crate::jobfile::{self, Environment, LoadError, Source};
use crate::os::{machine, zone};
use crate::store::{JobRow, Store};

/// Jobs, and the zones their schedules are in.
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
    /// When, and what a clock change did to it.
    pub(crate) occurrence: Occurrence,
    /// Which of the job's schedules.
    pub(crate) schedule: usize,
    /// How much later it falls due: the job's share of its jitter.
    pub(crate) jitter: Duration,
}

impl Coming {
    /// When it falls due.
    pub(crate) fn due_at(&self) -> Wall {
        self.occurrence.at + self.jitter
    }
}

impl Jobs {
    /// Loads the jobfile, else the last good one from the store, and says so.
    ///
    /// Errs with the exit code 2 if there is neither, 1 if the jobfile is broken and there never was a good one.
    pub(crate) fn load(context: &Context, store: Option<&Store>) -> Result<Self> {
        let path = context.jobfile()?;
        let error = match with_environment(|env| jobfile::load(&path, env)) {
            Ok(jobfile) => return Ok(Self::of(jobfile)),
            Err(error) => error,
        };
        let failure = failure_of(&error);
        let Some(copy) = store.map(copy_of).transpose()?.flatten() else {
            return Err(failure);
        };
        context.say(&format!(
            "{}\nthe last good jobfile is taken instead, from the store",
            failure.message
        ));
        Ok(Self::of(copy))
    }

    /// The jobs of a jobfile, where it is to be executed: one that others could have written is none.
    pub(crate) fn trusted(path: &std::path::Path) -> Result<Self> {
        trust::load(path).map(Self::of).map_err(|error| failure_of(&error))
    }

    /// The jobs of a text that is no file yet. Errs as a broken jobfile does.
    pub(crate) fn of_text(text: &str) -> Result<Self> {
        let source = Source { path: "jobs.toml".into(), text: text.to_owned() };
        with_environment(|env| jobfile::load_sources(&[source], env))
            .map(Self::of)
            .map_err(|problems| failure_of(&LoadError::Problems(problems)))
    }

    /// No jobs, where none can be loaded.
    pub(crate) fn none() -> Self {
        Self {
            jobs: Vec::new(),
            settings: Settings::default(),
            zones: RefCell::default(),
            machine_id: OnceCell::new(),
        }
    }

    /// The job of a name.
    pub(crate) fn get(&self, name: &str) -> Option<&Job> {
        self.jobs
            .binary_search_by(|job| job.name.as_str().cmp(name))
            .ok()
            .map(|index| &self.jobs[index])
    }

    /// The job that a recorded name means today: the one that has it, or has taken it over (`was`).
    pub(crate) fn today(&self, name: &str) -> Option<&Job> {
        self.get(name).or_else(|| self.jobs.iter().find(|job| job.was(name)))
    }

    /// The job of a name; the error suggests a similar one.
    pub(crate) fn find(&self, name: &str) -> Result<&Job> {
        self.get(name).ok_or_else(|| self.no_such_job(name))
    }

    /// There is no job of this name, but perhaps a similar one.
    pub(crate) fn no_such_job(&self, name: &str) -> Failure {
        let failure = Failure::not_found(format!("job `{name}`: there is no such job"));
        let similar = |job: &&Job| strsim::jaro(name, job.name.as_str()) > 0.7;
        let likeness = |job: &&Job| (strsim::jaro(name, job.name.as_str()) * 1000.0) as u32;
        match self.jobs.iter().filter(similar).max_by_key(likeness) {
            Some(job) => failure.hint(format!("did you mean `{}`?", job.name)),
            None => failure.hint("`jobctl status --all` lists the jobs"),
        }
    }

    /// The zone of a job's schedules: its own, else the jobfile's, else the system's.
    pub(crate) fn zone(&self, job: &Job) -> Rc<Zone> {
        let name = job.timezone.as_ref().or(self.settings.timezone.as_ref());
        let read = || match name {
            Some(name) => zone::load(name).unwrap_or_else(|_| zone::system()),
            None => zone::system(),
        };
        self.zones.borrow_mut().entry(name.cloned()).or_insert_with(|| Rc::new(read())).clone()
    }

    /// The first occurrence of a job after `after`. None for a job without a schedule, one that is not enabled, `@reboot`, and
    /// `@every` before its grid is known.
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
        // One instant fires once; where a clock change has brought several to it, that is said.
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

    /// The first occurrence of a job that is still to fall due: one whose jitter is not over may have been before now.
    pub(crate) fn coming(&self, job: &Job, row: Option<&JobRow>, now: Wall) -> Option<Coming> {
        let grid_at = row.and_then(|row| row.grid_at);
        self.next(job, grid_at, self.undecided_after(job, row, now))
    }

    /// From where on occurrences are still to fall due.
    pub(crate) fn undecided_after(&self, job: &Job, row: Option<&JobRow>, now: Wall) -> Wall {
        let decided = row.and_then(|row| row.watermark).unwrap_or(now);
        decided.max(now - self.jitter(job)).min(now)
    }

    /// How much later than its instants a job's occurrences fall due.
    pub(crate) fn jitter(&self, job: &Job) -> Duration {
        if job.policy.jitter.is_zero() {
            return Duration::ZERO;
        }
        plan::jitter_of(&job.policy, self.seed(job))
    }

    /// Each schedule with the values that stand for `H` in it; none where there is no `H`.
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

    /// Takes a jobfile that was loaded.
    pub(crate) fn of(jobfile: jobfile::Jobfile) -> Self {
        Self {
            jobs: jobfile.jobs,
            settings: jobfile.settings,
            zones: RefCell::default(),
            machine_id: OnceCell::new(),
        }
    }
}

/// Calls `load` with what jobfiles need to know of this machine; whose their files are is no matter.
pub(crate) fn with_environment<T>(load: impl FnOnce(&Environment<'_>) -> T) -> T {
    with_files(&trust::open_any, load)
}

/// Calls `load` with what jobfiles need to know of this machine, and with a way to their files.
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

/// The last good jobfile of the store; none if it never had one, or if this version finds fault with it.
fn copy_of(store: &Store) -> Result<Option<jobfile::Jobfile>> {
    let sources: Vec<Source> =
        store.jobfile_copy()?.into_iter().map(|(path, text)| Source { path, text }).collect();
    if sources.is_empty() {
        return Ok(None);
    }
    Ok(with_environment(|env| jobfile::load_sources(&sources, env)).ok())
}

/// Why there are no jobs, for people.
pub(crate) fn failure_of(error: &LoadError) -> Failure {
    match error {
        LoadError::Missing(path) => {
            Failure::usage(format!("{}: there is no jobfile", path.display()))
                .hint("`jobctl init` writes one to start from; --jobfile names another one")
        }
        LoadError::Unreadable(error) => {
            Failure::system(format!("the jobfile cannot be read: {}", plain(error)))
        }
        LoadError::Untrusted(problems) => trust::failure_of(problems),
        LoadError::Problems(problems) => match problems.as_slice() {
            [first, _, ..] => Failure::no(first_line(&first.to_string()))
                .hint(format!("`jobctl check` says all {} things that are wrong", problems.len())),
            _ => Failure::no(error.to_string()),
        },
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or("")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The jobs of a jobfile.
    pub(crate) fn jobs(text: &str) -> Jobs {
        Jobs::of_text(text).unwrap()
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
            let source = Source { path: "jobs.toml".into(), text: HASHED.to_owned() };
            let env = Environment { machine_id, zones: &|_| Ok(()), open: &trust::open_any };
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
            ..crate::cmd::look::status::tests::row("job")
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

    #[test]
    fn a_misspelt_job_is_guessed() {
        let failure = jobs(TEXT).find("backpu").unwrap_err();
        assert_eq!(failure.hint.as_deref(), Some("did you mean `backup`?"));
        assert_eq!(failure.code, crate::cmd::exit::Exit::NotFound);
    }
}
