//! `jobctl wait`: waits until runs have ended, or until nothing is due or running.
//!
//! Reads the store after each commit, for which it polls at most twenty times a second; never
//! writes.

mod progress;

use anyhow::Context as _;
use std::path::Path;
use std::time::Duration;

use crate::cli;
use crate::cmd::look::runs::sentence;
use crate::cmd::{Context, Exit, Failure, Out, Progress, Result};
use crate::core::run::State;
use crate::core::time::{Mono, Wall};
use crate::facts::{self, live, run::Run};
use crate::os::wake::{self, Rung};
use crate::os::{clock, poll};
use crate::store::{Filter, JobRow, Store};
use progress::Tally;

/// The interval between two looks at the store's version.
const PAUSE: Duration = Duration::from_millis(50);

/// Between two looks for the supervisor, in looks at the version.
const LOOKS_PER_PROBE: u32 = 20;

/// Answers `jobctl wait`.
pub(crate) fn answer(context: &Context, args: &cli::Wait, out: &mut Out) -> Result<Exit> {
    let deadline = deadline(context, args.timeout.as_deref())?;
    let Some(store) = context.open_read()? else {
        return match args.ids.first() {
            Some(&id) => Err(Failure::no_such_run(id)),
            None => Ok(Exit::Done),
        };
    };
    if args.idle {
        until_idle(context, &store, deadline)?;
        return Ok(Exit::Done);
    }
    for &id in &args.ids {
        store.run(id)?.ok_or_else(|| Failure::no_such_run(id))?;
    }
    until_ended(context, (&store, deadline), &args.ids, |facts| {
        context.tell(facts, &sentence(&facts.run), out)?;
        out.flush()
    })
}

/// The end of the wait, if there is a timeout.
pub(crate) fn deadline(context: &Context, timeout: Option<&str>) -> Result<Option<Mono>> {
    let span = timeout.map(|text| context.viewer().parse_span(text)).transpose()?;
    Ok(span.map(|span| clock::now().mono + span))
}

/// Waits until all runs have ended and calls `ended` for each, in the order given: 0 if all
/// succeeded, 1 otherwise.
pub(crate) fn until_ended(
    context: &Context,
    (store, deadline): (&Store, Option<Mono>),
    ids: &[i64],
    mut ended: impl FnMut(&Run) -> Result<()>,
) -> Result<Exit> {
    let mut watch = Watch::new(context, store, deadline)?;
    let mut tally = Tally { ended: 0, failed: 0, total: ids.len() };
    for &id in ids {
        watch.waits_for = Some((id, tally));
        let run = watch.until(|| {
            let run = store.run(id)?.ok_or_else(|| Failure::no_such_run(id))?;
            Ok(run.state.is_ended().then_some(run))
        })?;
        tally.ended += 1;
        tally.failed += usize::from(run.state != State::Succeeded);
        watch.progress.clear();
        let facts = facts::run::read(store, watch.state_dir, id)?;
        ended(&facts.ok_or_else(|| Failure::no_such_run(id))?)?;
    }
    Ok(match tally.failed {
        0 => Exit::Done,
        _ => Exit::No,
    })
}

fn until_idle(context: &Context, store: &Store, deadline: Option<Mono>) -> Result<()> {
    Watch::new(context, store, deadline)?
        .until(|| Ok(is_idle(store, clock::now().wall)?.then_some(())))
}

/// Asks immediately and after each commit of another process, until there is an answer; calls
/// `meanwhile` before each pause.
pub(crate) fn until_answered<T>(
    store: &Store,
    mut ask: impl FnMut() -> Result<Option<T>>,
    mut meanwhile: impl FnMut() -> Result<()>,
) -> Result<T> {
    let mut seen = None;
    loop {
        let version = store.data_version()?;
        if seen.replace(version) != Some(version)
            && let Some(answer) = ask()?
        {
            return Ok(answer);
        }
        meanwhile()?;
        poll::wait(&mut [], Some(PAUSE)).context("cannot wait")?;
    }
}

/// Waits for changes of the store, with or without a supervisor.
struct Watch<'a> {
    context: &'a Context,
    store: &'a Store,
    state_dir: &'a Path,
    looks: u32,
    is_told: bool,
    deadline: Option<Mono>,
    progress: Progress,
    /// The run that is waited for, and the progress.
    waits_for: Option<(i64, Tally)>,
}

impl<'a> Watch<'a> {
    fn new(context: &'a Context, store: &'a Store, deadline: Option<Mono>) -> Result<Self> {
        Ok(Self {
            deadline,
            context,
            store,
            state_dir: context.state_dir()?,
            looks: 0,
            is_told: false,
            progress: Progress::of(context),
            waits_for: None,
        })
    }

    fn until<T>(&mut self, ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
        until_answered(self.store, ask, || {
            if self.looks.is_multiple_of(LOOKS_PER_PROBE) {
                self.look_for_supervisor();
            }
            self.show_progress()?;
            self.looks = self.looks.wrapping_add(1);
            if self.deadline.is_some_and(|deadline| deadline <= clock::now().mono) {
                self.progress.clear();
                return Err(self.timed_out());
            }
            Ok(())
        })
    }

    fn timed_out(&self) -> Failure {
        Failure::not_now(match self.waits_for {
            Some((id, _)) => format!("timed out: run {id} has not ended"),
            None => "timed out: something is due or running".to_owned(),
        })
    }

    fn show_progress(&mut self) -> Result<()> {
        let Some((id, tally)) = self.waits_for.filter(|_| self.progress.is_due()) else {
            return Ok(());
        };
        if let Some(mut run) = self.store.run(id)? {
            live::fill_in(self.state_dir, std::slice::from_mut(&mut run));
            self.progress.show(&progress::line(&run, tally));
        }
        Ok(())
    }

    /// Reports a missing supervisor, without which no run starts or is seen to end.
    fn look_for_supervisor(&mut self) {
        let is_there = wake::probe(self.state_dir).is_ok_and(|rung| rung == Rung::Heard);
        if !is_there && !self.is_told {
            self.progress.clear();
            self.context.say("no supervisor is running: waiting until one starts");
        }
        self.is_told = !is_there;
    }
}

/// Returns whether no run is running or due. Paused jobs and those missing from the jobfile do not
/// count, because they wait for people.
fn is_idle(store: &Store, now: Wall) -> Result<bool> {
    let everything = store.supervisor()?;
    let is_all_paused = everything.is_paused(now);
    for job in store.jobs()? {
        if job.running > 0 {
            return Ok(false);
        }
        let may_start = job.present && !is_all_paused && !job.is_paused(now);
        if may_start && (job.queued > 0 || is_due(store, &job, now)?) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns whether a run of the job is due that the supervisor has not queued yet.
fn is_due(store: &Store, job: &JobRow, now: Wall) -> Result<bool> {
    if job.scheduled + job.retrying == 0 {
        return Ok(false);
    }
    let filter = Filter {
        states: vec![State::Scheduled, State::Retrying],
        job: Some(job.name.clone()),
        ..Filter::default()
    };
    let runs = store.runs(&filter, None)?;
    Ok(runs.iter().any(|run| run.due_at.is_some_and(|due| due <= now)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::run::Cause;
    use crate::store::{Addition, NewItem, Scope};

    fn store_with_item(due_secs: i64) -> Store {
        let mut store = Store::in_memory();
        let addition = Addition {
            job: "a",
            due_at: Wall::from_secs(due_secs),
            priority: 0,
            max_attempts: Some(1),
            backlog_max: None,
            cause: Cause::Enqueue,
            created_at: Wall::from_secs(100),
            conditions: crate::store::Conditions::default(),
        };
        store.enqueue(&addition, [NewItem::default()]).unwrap();
        store
    }

    #[test]
    fn what_is_due_is_waited_for_and_what_is_due_later_is_not() {
        let now = Wall::from_secs(100);
        assert_eq!(is_idle(&Store::in_memory(), now), Ok(true));
        assert_eq!(is_idle(&store_with_item(100), now), Ok(false));
        assert_eq!(is_idle(&store_with_item(160), now), Ok(true));
        assert_eq!(is_idle(&store_with_item(160), Wall::from_secs(160)), Ok(false));
    }

    #[test]
    fn what_is_paused_is_not_waited_for() {
        let now = Wall::from_secs(100);
        for scope in [Scope::All, Scope::Job("a")] {
            let mut store = store_with_item(100);
            store.pause(scope, Some(Wall::from_secs(200)), now).unwrap();
            assert_eq!(is_idle(&store, now), Ok(true));
            assert_eq!(is_idle(&store, Wall::from_secs(200)), Ok(false));
        }
    }
}
