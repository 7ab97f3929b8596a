//! The jobs as the supervisor holds them, and the first queued run of each: loading, refreshing, undoing.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use super::spawner::Spawner;
use super::{Live, Pause, Supervisor};
use crate::core::job::Job;
use crate::core::plan::{self, Timetable};
use crate::core::run::Cause;
use crate::core::schedule::{HashSeed, Zone};
use crate::core::time::{Mono, Now, Wall};
use crate::store::{GoneJob, NewOccurrence, StoreError};

/// Where a run stands in the queue: by priority, then due time, then id.
pub(super) type HeadKey = (Reverse<i8>, Wall, i64);

/// A job with what is known of it now.
#[derive(Debug)]
pub(super) struct JobState {
    pub(super) job: Job,
    pub(super) id: i64,
    pub(super) zone: Rc<Zone>,
    pub(super) grid_at: Option<Wall>,
    /// All occurrences up to here are decided.
    pub(super) watermark: Wall,
    pub(super) next: Option<Wall>,
    pub(super) jitter: Duration,
    pub(super) pause: Option<Pause>,
    /// Its running runs with their places, oldest first.
    pub(super) running: Vec<(i64, u32)>,
    /// Its first queued run.
    pub(super) head: Option<HeadKey>,
    /// A stranger holds its place or lock: not tried again before.
    pub(super) try_at: Option<Mono>,
}

/// What is to be known of a job's first queued run at every turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    /// The job.
    pub(super) index: usize,
    /// Since when it waits, if it is an occurrence that never started: then its start deadline counts.
    pub(super) unstarted_since: Option<Wall>,
}

/// What becomes of a jobfile that would remove a job with unfinished runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    /// It is taken: waiting occurrences of the job are skipped, its items stay queued and are shown.
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

/// What became of a jobfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Loaded {
    /// It is in force.
    Taken(Changes),
    /// It is not: it would remove these jobs with their unfinished runs.
    Held(Vec<GoneJob>),
}

/// What a jobfile changed, by names of jobs.
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
}

/// The jobs of a jobfile as the store has just noted them.
struct Registered {
    states: Vec<JobState>,
    /// Rows that are no more, and those that they are part of now.
    merged: Vec<(i64, i64)>,
    gone: Vec<GoneJob>,
}

impl Registered {
    fn unfinished(&self) -> Vec<GoneJob> {
        let gone = self.gone.iter().filter(|job| job.unfinished > 0);
        gone.cloned().collect()
    }
}

impl JobState {
    /// When its next occurrence falls due: at its instant and the job's jitter.
    pub(super) fn planned_at(&self) -> Option<Wall> {
        self.next.map(|at| at + self.jitter)
    }

    /// Whether it is defined in the same way.
    fn is_like(&self, other: &Self) -> bool {
        let texts = |state: &Self| -> Vec<Box<str>> {
            let texts = state.job.schedules.iter();
            texts.map(|(text, _)| text.clone()).collect()
        };
        self.job.command == other.job.command
            && self.job.policy == other.job.policy
            && self.zone.name == other.zone.name
            && self.jitter == other.jitter
            && texts(self) == texts(other)
    }

    pub(super) fn timetable(&self) -> Timetable<'_> {
        Timetable {
            job: &self.job,
            zone: &self.zone,
            grid_at: self.grid_at,
        }
    }
}

impl<S: Spawner> Supervisor<S> {
    /// Takes over the jobs of a jobfile, all in one transaction with the copy of its `sources`, or nothing of it. Running attempts
    /// keep what they were started with.
    pub(crate) fn load(
        &mut self,
        new: NewJobs<'_>,
        zone_of: &mut dyn FnMut(Option<&str>) -> Rc<Zone>,
        now: Now,
    ) -> Result<Loaded, StoreError> {
        let NewJobs {
            jobs,
            sources,
            removal,
        } = new;
        self.store.begin()?;
        let loaded = self.register(jobs, zone_of, now).and_then(|registered| {
            let held = match removal {
                Removal::Now => Vec::new(),
                Removal::WaitsForRuns => registered.unfinished(),
            };
            if !held.is_empty() {
                self.store.rollback();
                return Ok(Err(held));
            }
            self.store.save_jobfile(sources)?;
            self.store.commit().map(|()| Ok(registered))
        });
        match loaded {
            Ok(Ok(registered)) => {
                let changes = self.changes(&registered);
                self.follow_merged(&registered.merged);
                self.take_over(registered.states);
                Ok(Loaded::Taken(changes))
            }
            Ok(Err(held)) => Ok(Loaded::Held(held)),
            Err(error) => {
                self.store.rollback();
                Err(error)
            }
        }
    }

    fn register(
        &mut self,
        jobs: Vec<Job>,
        zone_of: &mut dyn FnMut(Option<&str>) -> Rc<Zone>,
        now: Now,
    ) -> Result<Registered, StoreError> {
        let is_new_boot = self
            .store
            .boot_id()?
            .is_some_and(|boot| boot != self.configuration.boot_id);
        let mut states = Vec::with_capacity(jobs.len());
        let mut merged = Vec::new();
        for job in jobs {
            let zone = zone_of(job.timezone.as_deref());
            let was: Vec<&str> = job
                .policy
                .was
                .iter()
                .map(crate::core::job::Name::as_str)
                .collect();
            let schedule = schedule_identity(&job, &zone, &self.configuration.seed);
            let known =
                self.store
                    .register_job(job.name.as_str(), &was, schedule.as_deref(), now.wall)?;
            merged.extend(known.merged.iter().map(|former| (*former, known.id)));
            let seed = HashSeed {
                seed: &self.configuration.seed,
                job: job.name.as_str(),
            };
            let mut state = JobState {
                jitter: plan::jitter_of(&job.policy, seed),
                id: known.id,
                zone,
                grid_at: known.grid_at,
                watermark: known.watermark.unwrap_or(now.wall),
                next: None,
                pause: None,
                running: Vec::new(),
                head: None,
                try_at: None,
                job,
            };
            let was_here = known.watermark != Some(now.wall);
            if is_new_boot && was_here && state.timetable().has_reboot() {
                self.insert_reboot(&state, now)?;
            }
            if state.watermark > now.wall {
                state.watermark =
                    plan::watermark_after_step_back(&state.timetable(), state.watermark, now.wall);
            }
            state.next = state.timetable().next(state.watermark);
            states.push(state);
        }
        let gone = self.forget_removed(&states, now)?;
        self.store
            .set_meta("boot_id", Some(&self.configuration.boot_id))?;
        Ok(Registered {
            states,
            merged,
            gone,
        })
    }

    fn insert_reboot(&self, state: &JobState, now: Now) -> Result<(), StoreError> {
        self.store
            .insert_occurrence(&NewOccurrence {
                job_id: state.id,
                cause: Cause::Schedule,
                scheduled_at: now.wall,
                due_at: now.wall,
                priority: state.job.policy.priority,
                max_attempts: state.job.policy.attempts_max(),
                now: now.wall,
            })
            .map(|_| ())
    }

    fn forget_removed(&self, states: &[JobState], now: Now) -> Result<Vec<GoneJob>, StoreError> {
        let present: HashSet<i64> = states.iter().map(|state| state.id).collect();
        let gone = self.store.mark_absent(&present)?;
        for job in &gone {
            self.store.skip_removed(job.id, now.wall)?;
        }
        Ok(gone)
    }

    /// What is under way of a job that goes on in another row is under way there.
    fn follow_merged(&mut self, merged: &[(i64, i64)]) {
        let rows: HashMap<i64, i64> = merged.iter().copied().collect();
        for live in self.live.values_mut() {
            if let Some(&id) = rows.get(&live.job_id) {
                live.job_id = id;
            }
        }
    }

    /// What is different from the jobs that are in force.
    fn changes(&self, registered: &Registered) -> Changes {
        let mut changes = Changes {
            jobs: registered.states.len(),
            removed: registered.gone.iter().map(|job| job.name.clone()).collect(),
            ..Changes::default()
        };
        let former_of: HashMap<i64, Vec<i64>> =
            registered
                .merged
                .iter()
                .fold(HashMap::new(), |mut map, (from, to)| {
                    map.entry(*to).or_insert_with(Vec::new).push(*from);
                    map
                });
        for state in &registered.states {
            let name = state.job.name.as_str();
            let merged = former_of.get(&state.id).into_iter().flatten();
            let before: Vec<&JobState> = std::iter::once(&state.id)
                .chain(merged)
                .filter_map(|id| self.by_id.get(id).map(|&index| &self.jobs[index]))
                .collect();
            let others = before
                .iter()
                .filter(|former| former.job.name != state.job.name);
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

    fn take_over(&mut self, states: Vec<JobState>) {
        self.by_id = states
            .iter()
            .enumerate()
            .map(|(index, state)| (state.id, index))
            .collect();
        self.planned = states
            .iter()
            .enumerate()
            .filter_map(|(index, state)| state.planned_at().map(|at| (at, index)))
            .collect();
        self.jobs = states;
        let mut live: Vec<(i64, i64, u32)> = self
            .live
            .iter()
            .map(|(run, live)| (*run, live.job_id, live.place))
            .collect();
        live.sort_unstable();
        for (run, job_id, place) in live {
            if let Some(&index) = self.by_id.get(&job_id) {
                self.jobs[index].running.push((run, place));
            }
        }
        self.heads.clear();
        self.is_stale = true;
    }

    /// Reads anew what others may have written: queued runs, wishes to stop, pauses, due times.
    pub(super) fn refresh(&mut self) -> Result<(), StoreError> {
        let queued = self.store.queued_jobs()?;
        for head in std::mem::take(&mut self.heads).into_values() {
            self.jobs[head.index].head = None;
        }
        for job_id in queued {
            self.load_head(job_id)?;
        }
        self.next_due_at = self.store.next_due_at()?;
        self.refresh_pauses()?;
        self.reload_asked = self.store.reload_asked()?;
        self.is_stale = false;
        Ok(())
    }

    fn refresh_pauses(&mut self) -> Result<(), StoreError> {
        for state in &mut self.jobs {
            state.pause = None;
        }
        for (job_id, since, until) in self.store.paused_jobs()? {
            if let Some(&index) = self.by_id.get(&job_id) {
                self.jobs[index].pause = Some(Pause { since, until });
            }
        }
        let supervisor = self.store.supervisor()?;
        self.paused_all = supervisor.paused_at.map(|since| Pause {
            since,
            until: supervisor.paused_until,
        });
        Ok(())
    }

    /// Whether a job may not start anything, and since when.
    pub(super) fn pause_of(&self, index: usize, now: Wall) -> Option<Pause> {
        [self.paused_all, self.jobs[index].pause]
            .into_iter()
            .flatten()
            .find(|pause| pause.holds(now))
    }

    /// The last pause that has ended by itself in the time that is still to be planned: it owes nothing.
    pub(super) fn pause_over(&self, index: usize, now: Wall) -> Option<Pause> {
        let state = &self.jobs[index];
        [self.paused_all, state.pause]
            .into_iter()
            .flatten()
            .filter(|pause| {
                !pause.holds(now) && pause.until.is_some_and(|until| until > state.watermark)
            })
            .max_by_key(|pause| pause.until)
    }

    /// When the first pause ends by itself.
    pub(super) fn next_resume_at(&self) -> Option<Wall> {
        if self.heads.is_empty() {
            return None;
        }
        let of_jobs = self
            .heads
            .values()
            .filter_map(|head| self.jobs[head.index].pause);
        of_jobs
            .chain(self.paused_all)
            .filter_map(|pause| pause.until)
            .filter(|until| *until > self.last.wall)
            .min()
    }

    /// Reads the first queued run of a job again. What waits of a job that is not in the jobfile cannot start and is left alone.
    pub(super) fn load_head(&mut self, job_id: i64) -> Result<(), StoreError> {
        let Some(&index) = self.by_id.get(&job_id) else {
            return Ok(());
        };
        if let Some(key) = self.jobs[index].head.take() {
            self.heads.remove(&key);
        }
        if let Some(run) = self.store.queue_head(job_id)? {
            let due_at = run.due_at.unwrap_or(run.created_at);
            let is_unstarted = run.attempt == 0 && run.scheduled_at.is_some();
            let head = Head {
                index,
                unstarted_since: is_unstarted.then_some(due_at),
            };
            self.put_head((Reverse(run.priority), due_at, run.id), head);
        }
        Ok(())
    }

    /// Notes an occurrence that has just been queued, without asking the store what was just told to it.
    pub(super) fn add_head(
        &mut self,
        index: usize,
        run: i64,
        new: &NewOccurrence,
    ) -> Result<(), StoreError> {
        if self.jobs[index].head.is_some() {
            return self.load_head(new.job_id);
        }
        let head = Head {
            index,
            unstarted_since: Some(new.due_at),
        };
        self.put_head((Reverse(new.priority), new.due_at, run), head);
        Ok(())
    }

    fn put_head(&mut self, key: HeadKey, head: Head) {
        self.jobs[head.index].head = Some(key);
        self.heads.insert(key, head);
    }

    /// Puts back what a turn that failed had moved.
    pub(super) fn undo_jobs(
        &mut self,
        planned: &[(usize, Wall, Option<Wall>)],
        gone: &[(i64, Live)],
    ) {
        for &(index, watermark, next) in planned.iter().rev() {
            let state = &mut self.jobs[index];
            if let Some(at) = state.planned_at() {
                self.planned.remove(&(at, index));
            }
            state.watermark = watermark;
            state.next = next;
            if let Some(at) = state.planned_at() {
                self.planned.insert((at, index));
            }
        }
        for (run, live) in gone {
            if let Some(&index) = self.by_id.get(&live.job_id) {
                self.jobs[index].running.push((*run, live.place));
                self.jobs[index].running.sort_unstable();
            }
            self.live.insert(*run, live.clone());
        }
    }

    /// Forgets an attempt that has ended.
    pub(super) fn remove_live(&mut self, run: i64) -> Option<Live> {
        let live = self.live.remove(&run)?;
        if let Some(&index) = self.by_id.get(&live.job_id) {
            self.jobs[index].running.retain(|(id, _)| *id != run);
            self.jobs[index].try_at = None;
        }
        Some(live)
    }

    /// Counts an attempt as under way.
    pub(super) fn add_live(&mut self, run: i64, live: Live) {
        if let Some(&index) = self.by_id.get(&live.job_id) {
            let running = &mut self.jobs[index].running;
            running.push((run, live.place));
            running.sort_unstable();
        }
        self.live.insert(run, live);
    }
}

/// What a job's occurrences depend on, as text: where it changes, the past is no concern any more. The instants of `H` depend on
/// the job's name and the seed, too.
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
