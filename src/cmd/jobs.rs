//! The jobs a command works with: those of the jobfile, and of the store's copy where that is broken or missing.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::context::Context;
use super::failure::{Failure, plain};
use crate::core::job::{Job, Settings};
use crate::core::schedule::{Occurrence, Zone};
use crate::core::time::Wall;
use crate::jobfile::{self, Environment, LoadError, Source};
use crate::os::{machine, zone};
use crate::store::Store;

/// Jobs, and the zones their schedules are in.
#[derive(Debug)]
pub(crate) struct Jobs {
    /// Sorted by name.
    pub(crate) jobs: Vec<Job>,
    /// The top-level keys of the same jobfile.
    pub(crate) settings: Settings,
    zones: RefCell<HashMap<Option<Rc<str>>, Rc<Zone>>>,
}

/// An occurrence of one of a job's schedules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Coming {
    /// When, and what a clock change did to it.
    pub(crate) occurrence: Occurrence,
    /// Which of the job's schedules.
    pub(crate) schedule: usize,
}

impl Jobs {
    /// Loads the jobfile, else the last good one from the store, and says so.
    ///
    /// Errs with the exit code 2 if there is neither, 1 if the jobfile is broken and there never was a good one.
    pub(crate) fn load(context: &Context, store: Option<&Store>) -> Result<Self, Failure> {
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

    /// The jobs of a jobfile that is not on disk.
    #[expect(
        dead_code,
        reason = "called by the import command, which another branch has"
    )]
    pub(crate) fn of_text(text: &str) -> Result<Self, LoadError> {
        let source = Source {
            path: "jobs.toml".into(),
            text: text.to_owned(),
        };
        with_environment(|env| jobfile::load_sources(&[source], env))
            .map(Self::of)
            .map_err(LoadError::Problems)
    }

    /// No jobs, where none can be loaded.
    pub(crate) fn none() -> Self {
        Self {
            jobs: Vec::new(),
            settings: Settings::default(),
            zones: RefCell::default(),
        }
    }

    /// The job of a name.
    pub(crate) fn get(&self, name: &str) -> Option<&Job> {
        self.jobs
            .binary_search_by(|job| job.name.as_str().cmp(name))
            .ok()
            .map(|index| &self.jobs[index])
    }

    /// The job of a name; the error suggests a similar one.
    pub(crate) fn find(&self, name: &str) -> Result<&Job, Failure> {
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
        self.zones
            .borrow_mut()
            .entry(name.cloned())
            .or_insert_with(|| Rc::new(read()))
            .clone()
    }

    /// The first occurrence of a job after `after`. None for a job without a schedule, one that is not enabled, `@reboot`, and
    /// `@every` before its grid is known.
    pub(crate) fn next(&self, job: &Job, grid_at: Option<Wall>, after: Wall) -> Option<Coming> {
        if !job.policy.enabled || job.schedules.is_empty() {
            return None;
        }
        let zone = self.zone(job);
        let all = job
            .schedules
            .iter()
            .enumerate()
            .filter_map(|(index, (_, schedule))| {
                let occurrence = schedule.next_after(&zone, after, grid_at)?;
                Some(Coming {
                    occurrence,
                    schedule: index,
                })
            });
        all.min_by_key(|coming| coming.occurrence.at)
    }

    fn of(jobfile: jobfile::Jobfile) -> Self {
        Self {
            jobs: jobfile.jobs,
            settings: jobfile.settings,
            zones: RefCell::default(),
        }
    }
}

/// Calls `load` with what jobfiles need to know of this machine.
pub(crate) fn with_environment<T>(load: impl FnOnce(&Environment<'_>) -> T) -> T {
    let machine_id = machine::id();
    let known = |name: &str| {
        zone::load(name)
            .map(|_| ())
            .map_err(|error| (error.to_string(), error.suggestion))
    };
    load(&Environment {
        machine_id: &machine_id,
        zones: &known,
    })
}

/// The last good jobfile of the store; none if it never had one, or if this version finds fault with it.
fn copy_of(store: &Store) -> Result<Option<jobfile::Jobfile>, Failure> {
    let sources: Vec<Source> = store
        .jobfile_copy()?
        .into_iter()
        .map(|(path, text)| Source { path, text })
        .collect();
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
        LoadError::Problems(problems) => match problems.as_slice() {
            [first, _, ..] => Failure::no(first_line(&first.to_string())).hint(format!(
                "`jobctl check` says all {} things that are wrong",
                problems.len()
            )),
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
        let source = Source {
            path: "jobs.toml".into(),
            text: text.to_owned(),
        };
        Jobs::of(with_environment(|env| jobfile::load_sources(&[source], env)).unwrap())
    }

    const TEXT: &str = "timezone = 'UTC'\n\
        [jobs.backup]\nschedule = ['30 2 * * *', '0 12 * * *']\ncommand = 'true'\n\
        [jobs.items]\ncommand = 'true'\n\
        [jobs.off]\nenabled = false\nschedule = '* * * * *'\ncommand = 'true'\n\
        [jobs.often]\nschedule = '@every 10m'\ncommand = 'true'\n";

    #[test]
    fn the_earliest_of_several_schedules_is_next() {
        let jobs = jobs(TEXT);
        let next = jobs
            .next(jobs.get("backup").unwrap(), None, Wall::from_secs(9 * 3600))
            .unwrap();
        assert_eq!(
            (next.occurrence.at, next.schedule),
            (Wall::from_secs(12 * 3600), 1)
        );
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
        let grid = jobs.next(
            jobs.get("often").unwrap(),
            Some(Wall::from_secs(30)),
            Wall::from_secs(700),
        );
        assert_eq!(
            grid.map(|next| next.occurrence.at),
            Some(Wall::from_secs(1230))
        );
    }

    #[test]
    fn a_misspelt_job_is_guessed() {
        let failure = jobs(TEXT).find("backpu").unwrap_err();
        assert_eq!(failure.hint.as_deref(), Some("did you mean `backup`?"));
        assert_eq!(failure.code, crate::cmd::exit::Exit::NotFound);
    }
}
