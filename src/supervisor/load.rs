//! Taking over a jobfile: all of it in one transaction, or nothing. What is known of a job moves
//! along with its name.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::configuration::Mode;
use super::jobs::{JobState, Planning};
use super::memory::Memory;
use crate::core::job::Job;
use crate::core::plan;
use crate::core::run::Cause;
use crate::core::schedule::{HashSeed, Zone};
use crate::core::time::Now;
use crate::store::{GoneJob, NewOccurrence, NewSkip, Store, StoreError};

/// The treatment of a jobfile that would remove a job with unfinished runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    /// It is taken: waiting occurrences of the job are skipped, its items stay queued and are
    /// shown.
    Now,
    /// It is not taken as long as they have not ended.
    WaitsForRuns,
}

/// The jobs of a jobfile that is to be taken over.
#[derive(Debug)]
pub(crate) struct NewJobs<'a> {
    /// Sorted by name.
    pub(crate) jobs: Vec<Job>,
    /// The texts of its files, to be kept for worse days.
    pub(crate) sources: &'a [(PathBuf, String)],
    /// What becomes of it if it would remove a job with unfinished runs.
    pub(crate) removal: Removal,
}

/// The result of loading a jobfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Loaded {
    /// It is in force.
    Taken(Changes),
    /// It is not: it would remove these jobs with their unfinished runs.
    Held(Vec<GoneJob>),
}

/// The changes of a jobfile, by names of jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// How many jobs there are now.
    pub(crate) jobs: usize,
    /// Jobs that are new.
    pub(crate) added: Vec<String>,
    /// Jobs that are defined in another way.
    pub(crate) changed: Vec<String>,
    /// Jobs that are gone.
    pub(crate) removed: Vec<String>,
    /// Former and new names.
    pub(crate) renamed: Vec<(String, String)>,
    /// Whether the settings of the door are others.
    pub(crate) is_door_changed: bool,
}

/// The jobs of a jobfile as the store has just noted them.
pub(super) struct Registered {
    pub(super) states: Vec<JobState>,
    /// Rows of former names, and those that they are part of now.
    pub(super) merged: Vec<(i64, i64)>,
    gone: Vec<GoneJob>,
}

impl Registered {
    fn unfinished(&self) -> Vec<GoneJob> {
        let gone = self.gone.iter().filter(|job| job.unfinished > 0);
        gone.cloned().collect()
    }
}

/// A supervisor that is given a jobfile.
pub(super) struct Loading<'a> {
    pub(super) store: &'a Store,
    pub(super) memory: &'a Memory,
    pub(super) now: Now,
}

impl Loading<'_> {
    /// Writes down the jobs with the copy of their `sources`, all in one transaction or nothing.
    pub(super) fn write(
        &self,
        new: NewJobs<'_>,
        zone_of: &mut dyn FnMut(Option<&str>) -> Arc<Zone>,
    ) -> Result<Result<Registered, Vec<GoneJob>>, StoreError> {
        self.store.begin()?;
        let written = self.write_in_transaction(new, zone_of);
        if !matches!(written, Ok(Ok(_))) {
            self.store.rollback();
        }
        written
    }

    fn write_in_transaction(
        &self,
        NewJobs { jobs, sources, removal }: NewJobs<'_>,
        zone_of: &mut dyn FnMut(Option<&str>) -> Arc<Zone>,
    ) -> Result<Result<Registered, Vec<GoneJob>>, StoreError> {
        let registered = self.register(jobs, zone_of)?;
        let held = match removal {
            Removal::Now => Vec::new(),
            Removal::WaitsForRuns => registered.unfinished(),
        };
        if !held.is_empty() {
            return Ok(Err(held));
        }
        self.store.save_jobfile(sources)?;
        self.store.commit().map(|()| Ok(registered))
    }

    fn register(
        &self,
        jobs: Vec<Job>,
        zone_of: &mut dyn FnMut(Option<&str>) -> Arc<Zone>,
    ) -> Result<Registered, StoreError> {
        let now = self.now;
        let is_new_boot =
            self.store.boot_id()?.is_some_and(|boot| boot != self.memory.configuration.boot_id);
        let mut states = Vec::with_capacity(jobs.len());
        let mut merged = Vec::new();
        for job in jobs {
            let zone = zone_of(job.timezone.as_deref());
            let was: Vec<&str> =
                job.policy.was.iter().map(crate::core::job::Name::as_str).collect();
            let schedule = schedule_identity(&job, &zone, &self.memory.configuration.seed);
            let known =
                self.store.register_job(job.name.as_str(), &was, schedule.as_deref(), now.wall)?;
            merged.extend(known.merged.iter().map(|former| (*former, known.id)));
            let expect = self.memory.expectation_of(&job);
            if known.expect != expect {
                self.store.expect(known.id, expect, now.wall)?;
            }
            let seed = HashSeed { seed: &self.memory.configuration.seed, job: job.name.as_str() };
            let watermark = known.watermark.unwrap_or(now.wall);
            let was_here = known.watermark != Some(now.wall);
            let began = match was_here {
                true => self.memory.jobs.get(known.id).and_then(|before| before.began),
                false => Some(now.mono),
            };
            let mut state = JobState {
                jitter: plan::jitter_of(&job.policy, seed),
                id: known.id,
                zone,
                planning: Planning { watermark, next: None, grid_at: known.grid_at },
                began,
                job,
            };
            let timetable = state.timetable(known.grid_at);
            let (has_reboot, next) = (timetable.has_reboot(), timetable.next(watermark));
            if is_new_boot && was_here && has_reboot {
                self.insert_reboot(&state)?;
            }
            state.planning.next = next;
            states.push(state);
        }
        let gone = self.forget_removed(&states)?;
        self.store.set_meta("boot_id", Some(&self.memory.configuration.boot_id))?;
        Ok(Registered { states, merged, gone })
    }

    fn insert_reboot(&self, state: &JobState) -> Result<(), StoreError> {
        let now = self.now.wall;
        if self.memory.configuration.mode == Mode::Shadow {
            let skip = NewSkip::shadow(state.id, now, now);
            return self.store.record_skip(&skip).map(|_| ());
        }
        self.store
            .insert_occurrence(&NewOccurrence {
                job_id: state.id,
                cause: Cause::Schedule,
                scheduled_at: now,
                due_at: now,
                priority: state.job.policy.priority,
                max_attempts: state.job.policy.attempts_max(),
                now,
            })
            .map(|_| ())
    }

    fn forget_removed(&self, states: &[JobState]) -> Result<Vec<GoneJob>, StoreError> {
        let present: HashSet<i64> = states.iter().map(|state| state.id).collect();
        let gone = self.store.mark_absent(&present)?;
        for job in &gone {
            self.store.skip_removed(job.id, self.now.wall)?;
        }
        Ok(gone)
    }

    /// What is different from the jobs that are in force.
    pub(super) fn changes(&self, registered: &Registered) -> Changes {
        let mut changes = Changes {
            jobs: registered.states.len(),
            removed: registered.gone.iter().map(|job| job.name.clone()).collect(),
            ..Changes::default()
        };
        let former_of: HashMap<i64, Vec<i64>> =
            registered.merged.iter().fold(HashMap::new(), |mut map, (from, to)| {
                map.entry(*to).or_insert_with(Vec::new).push(*from);
                map
            });
        for state in &registered.states {
            let name = state.job.name.as_str();
            let merged = former_of.get(&state.id).into_iter().flatten();
            let before: Vec<&JobState> = std::iter::once(&state.id)
                .chain(merged)
                .filter_map(|id| self.memory.jobs.get(*id))
                .collect();
            let others = before.iter().filter(|former| former.job.name != state.job.name);
            let renamed = changes.renamed.len();
            changes.renamed.extend(
                others.map(|former| (former.job.name.as_str().to_owned(), name.to_owned())),
            );
            if before.is_empty() {
                changes.added.push(name.to_owned());
            } else if changes.renamed.len() == renamed && before.iter().all(|it| !it.is_like(state))
            {
                changes.changed.push(name.to_owned());
            }
        }
        changes
    }
}

/// What a job's occurrences depend on, as text: where it changes, the past is no concern any more.
/// The instants of `H` depend on the job's name and the seed, too.
fn schedule_identity(job: &Job, zone: &Zone, seed: &str) -> Option<String> {
    if !job.policy.enabled || job.schedules.is_empty() {
        return None;
    }
    let texts: Vec<&str> = job.schedules.iter().map(|(text, _)| &**text).collect();
    let identity = format!("{} {}", zone.name, texts.join(" | "));
    // No name of a month or day begins so.
    let mut fields = texts.iter().flat_map(|text| text.split([' ', '\t', ',']));
    if fields.any(|field| field.starts_with('H')) {
        return Some(format!("{identity} of {} by {seed}", job.name));
    }
    Some(identity)
}
