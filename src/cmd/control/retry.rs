//! `jobctl retry`: runs failed runs again, with a fresh retry budget from the current jobfile.

use std::cell::Cell;
use std::time::Duration;

use crate::cli;
use crate::cmd::control::selection::{self, Tally, Verb, Wanted, Words, briefly, key_held};
use crate::cmd::look::runs::verdict;
use crate::cmd::{Context, Exit, Failure, Jobs, Out, Result, Viewer};
use crate::core::noun::count;
use crate::core::run::State;
use crate::core::time::Wall;
use crate::jobfile;
use crate::store::{Answer, Filter, Force, RunRow, Store, StoreError};
use crate::wording::verbs;

/// Answers `jobctl retry`.
pub(crate) fn answer(context: &Context, args: &cli::Retry, out: &mut Out) -> Result<Exit> {
    let jobs = Jobs::load(context, context.open_read()?.as_ref())?;
    let retry = Retry {
        now: context.now.wall,
        viewer: context.viewer(),
        jobs,
        force: if args.force { Force::Yes } else { Force::No },
        older: if args.all { Older::Too } else { Older::Left },
        pace: args.rate.as_deref().map(Pace::parse).transpose()?,
        left: Cell::new(0),
    };
    let wanted = Wanted { ids: &args.ids, filters: &args.filters, dry_run: args.dry_run };
    let tally = selection::all(context, &retry, &wanted, out)?;
    if let Some(text) = retry.left_words() {
        context.say(&text);
    }
    Ok(tally.exit())
}

struct Retry {
    now: Wall,
    viewer: Viewer,
    jobs: Jobs,
    force: Force,
    older: Older,
    pace: Option<Pace>,
    /// Failed occurrences that were skipped in favour of a newer one.
    left: Cell<usize>,
}

/// The pace of queuing runs again: the first one now, each further one a span later.
struct Pace {
    span: Duration,
    queued: Cell<u32>,
    /// When the last run is due; none means at once.
    last_due: Cell<Option<Wall>>,
}

impl Pace {
    fn parse(text: &str) -> Result<Self> {
        let rate = jobfile::parse_rate(text)
            .map_err(|usage| Failure::usage(format!("`--rate {text}`: not a rate")).hint(usage))?;
        let span = rate.per / rate.burst.max(1);
        Ok(Self { span, queued: Cell::new(0), last_due: Cell::new(None) })
    }

    /// Returns when the next run is due; none means now.
    fn next(&self, now: Wall) -> Option<Wall> {
        let queued = self.queued.get();
        self.queued.set(queued.saturating_add(1));
        let delay = self.span.saturating_mul(queued);
        self.last_due.set((!delay.is_zero()).then(|| now + delay));
        self.last_due.get()
    }
}

/// What to do with failed occurrences of a job other than its newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Older {
    /// Skip them: one night's backup is enough.
    Left,
    /// Run them again too.
    Too,
}

impl Verb for Retry {
    /// Filters without a state select unacknowledged failures; of a job's occurrences, the newest.
    fn select(&self, store: &Store, mut filter: Filter) -> Result<Vec<i64>> {
        if !filter.states.is_empty() && !filter.failed {
            return Ok(store.ids(&filter)?);
        }
        filter.failed = true;
        match self.older {
            Older::Too => Ok(store.ids(&filter)?),
            Older::Left => {
                let runs = store.runs(&filter, None)?;
                let newest = newest(&runs);
                self.left.set(runs.len() - newest.len());
                Ok(newest)
            }
        }
    }

    fn refusal(&self, store: &Store, run: &RunRow) -> Result<Option<Failure>> {
        if let Some(failure) = self.refusal_by_state(run) {
            return Ok(Some(failure));
        }
        if self.jobs.today(&run.job).is_none() {
            let (id, job) = (run.id, &run.job);
            return Ok(Some(Failure::no(format!(
                "run {id}: its job `{job}` is not in the jobfile"
            ))));
        }
        let Some(key) = run.key.as_deref().filter(|_| run.state.is_ended()) else {
            return Ok(None);
        };
        // A prediction; the verb itself decides.
        let holder = store.key_holder(run.job_id, key)?;
        Ok(holder.filter(|by| *by != run.id).map(|by| key_held(run, by)))
    }

    fn apply(&self, store: &mut Store, run: &RunRow) -> Result<Answer, StoreError> {
        let fresh = self.jobs.today(&run.job).and_then(|job| job.policy.attempts_max());
        let answer = store.retry_if_ended(run.id, fresh, self.now, self.force)?;
        if answer == Answer::Done
            && let Some(due_at) = self.pace.as_ref().and_then(|pace| pace.next(self.now))
        {
            store.put_off_if_queued(run.id, due_at)?;
        }
        Ok(answer)
    }

    fn words(&self, run: &RunRow, _: bool) -> Words {
        let (id, job) = (run.id, &run.job);
        let due_at = self.pace.as_ref().and_then(|pace| pace.last_due.get());
        Words {
            done: match due_at {
                Some(at) => verbs::scheduled_again(run, &briefly(&self.viewer, at)),
                None => verbs::queued_again(run),
            },
            would: format!("would retry run {id} ({job}, {})", verdict(run)),
        }
    }

    fn ring(&self, context: &Context, tally: Tally) -> Result<()> {
        match tally.done {
            0 => Ok(()),
            1 => selection::ring(context, "the run will start when one does"),
            _ => selection::ring(context, "the runs will start when one does"),
        }
    }
}

impl Retry {
    /// Describes the skipped occurrences and why they were skipped.
    fn left_words(&self) -> Option<String> {
        let left = self.left.get();
        (left > 0).then(|| {
            let what = count(left, "older failed occurrence");
            format!(
                "{what} left alone: only the newest of each job is retried; `--all` retries all"
            )
        })
    }

    fn refusal_by_state(&self, run: &RunRow) -> Option<Failure> {
        let id = run.id;
        let at = |at: Option<Wall>| at.map_or_else(String::new, |at| briefly(&self.viewer, at));
        let cancel = format!("stop it first with `jobctl cancel {id}`");
        match run.state {
            State::Running => Some(
                Failure::no(format!(
                    "run {id} is still running (attempt {}, since {})",
                    run.attempt,
                    at(run.started_at)
                ))
                .hint(cancel),
            ),
            State::Queued => Some(
                Failure::no(format!(
                    "run {id} is queued already (due since {})",
                    at(run.due_at.or(Some(run.created_at)))
                ))
                .hint(format!("see `jobctl show {id}`")),
            ),
            State::Scheduled => Some(Failure::no(match run.due_at {
                Some(due) => {
                    format!("run {id} has not run yet (due at {})", briefly(&self.viewer, due))
                }
                None => format!("run {id} has not run yet (it waits for another run)"),
            })),
            State::Succeeded if self.force == Force::No => Some(
                Failure::no(format!("run {id} has succeeded ({})", at(run.ended_at)))
                    .hint(format!("run it again with `jobctl retry --force {id}`")),
            ),
            State::Skipped if run.count > 1 => {
                let (count, job) = (run.count, &run.job);
                let message = format!("run {id} stands for {count} skipped occurrences");
                Some(
                    Failure::no(message)
                        .hint(format!("to run its job once, use `jobctl enqueue {job}`")),
                )
            }
            State::Retrying
            | State::Succeeded
            | State::Failed
            | State::Skipped
            | State::Cancelled => None,
        }
    }
}

/// Returns all items and each job's newest occurrence, oldest first; `runs` are newest first.
fn newest(runs: &[RunRow]) -> Vec<i64> {
    let mut seen = std::collections::HashSet::new();
    let mut ids: Vec<i64> = runs
        .iter()
        .filter(|run| !run.cause.is_occurrence() || seen.insert(run.job_id))
        .map(|run| run.id)
        .collect();
    ids.reverse();
    ids
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::run::Cause;
    use crate::facts::jobs::tests::jobs;
    use crate::facts::run::tests::sample_run;

    fn retry(force: Force) -> Retry {
        Retry {
            now: Wall::from_secs(1_785_067_300),
            viewer: Viewer {
                zone: crate::os::zone::load("UTC").unwrap(),
                now: Wall::from_secs(1_785_067_300),
            },
            jobs: jobs("[jobs.backup]\ncommand = 'true'\nwas = ['dump']\nretry = 3\n"),
            force,
            pace: None,
            left: Cell::new(0),
            older: Older::Left,
        }
    }

    fn in_state(state: State) -> RunRow {
        RunRow { state, attempt: 2, ..sample_run() }
    }

    #[test]
    fn a_run_of_several_occurrences_is_refused() {
        let several = RunRow { count: 3, ..in_state(State::Skipped) };
        let failure = retry(Force::Yes).refusal_by_state(&several).unwrap();
        assert_eq!(failure.message, "run 412 stands for 3 skipped occurrences");
        let hint = "to run its job once, use `jobctl enqueue backup`";
        assert_eq!(failure.hint.as_deref(), Some(hint));
        let one = in_state(State::Skipped);
        assert_eq!(retry(Force::No).refusal_by_state(&one), None);
    }

    #[test]
    fn each_refusal_says_why_and_what_to_do() {
        for (state, message, hint) in [
            (
                State::Running,
                "run 412 is still running (attempt 2, since 12:00:00)",
                Some("stop it first with `jobctl cancel 412`"),
            ),
            (
                State::Queued,
                "run 412 is queued already (due since 12:00:00)",
                Some("see `jobctl show 412`"),
            ),
            (State::Scheduled, "run 412 has not run yet (due at 12:00:00)", None),
            (
                State::Succeeded,
                "run 412 has succeeded (12:00:03)",
                Some("run it again with `jobctl retry --force 412`"),
            ),
        ] {
            let failure =
                retry(Force::No).refusal(&Store::in_memory(), &in_state(state)).unwrap().unwrap();
            assert_eq!((failure.message.as_str(), failure.hint.as_deref()), (message, hint));
            assert_eq!(failure.code, Exit::No);
        }
    }

    #[test]
    fn who_holds_a_key_is_found_without_the_history_of_the_job() {
        let cost = |ended: u32| {
            let mut store = Store::in_memory();
            store.execute_raw(&format!(
                "INSERT INTO job(id, name) VALUES (1, 'backup');
                 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ended})
                 INSERT INTO run(job, state, cause, created_at, key) SELECT 1, 8, 3, 1, 'k' || i FROM n;
                 INSERT INTO run(id, job, state, cause, created_at, key) VALUES (99999, 1, 2, 3, 1, 'k1')"
            ));
            let mut run = in_state(State::Cancelled);
            (run.id, run.job_id, run.key) = (1, 1, Some("k1".to_owned()));
            let steps = store.count_instructions();
            let failure = retry(Force::No).refusal(&store, &run).unwrap().unwrap();
            assert_eq!(failure.message, "run 1: its key `k1` is held by run 99999");
            steps.load(std::sync::atomic::Ordering::Relaxed)
        };
        let (few, many) = (cost(2), cost(20_000));
        assert!(few > 0 && many <= few * 2, "{few} instructions with 2 runs, {many} with 20,000");
    }

    #[test]
    fn what_gave_up_may_run_again_and_a_success_by_force() {
        let store = Store::in_memory();
        for state in [State::Retrying, State::Failed, State::Skipped, State::Cancelled] {
            assert_eq!(retry(Force::No).refusal(&store, &in_state(state)), Ok(None), "{state}");
        }
        assert_eq!(retry(Force::Yes).refusal(&store, &in_state(State::Succeeded)), Ok(None));
    }

    #[test]
    fn a_job_that_is_gone_is_a_refusal_but_one_with_a_new_name_is_not() {
        let store = Store::in_memory();
        let mut run = in_state(State::Failed);
        run.job = "dump".to_owned();
        assert_eq!(retry(Force::No).refusal(&store, &run), Ok(None));
        run.job = "gone".to_owned();
        let failure = retry(Force::No).refusal(&store, &run).unwrap().unwrap();
        assert_eq!(failure.message, "run 412: its job `gone` is not in the jobfile");
    }

    #[test]
    fn of_the_failed_occurrences_of_a_job_only_the_newest_is_taken() {
        let run = |id, job_id, cause| RunRow { id, job_id, cause, ..sample_run() };
        let runs = [
            run(9, 1, Cause::Schedule),
            run(8, 1, Cause::Enqueue),
            run(7, 2, Cause::CatchUp),
            run(6, 1, Cause::CatchUp),
            run(5, 1, Cause::Enqueue),
        ];
        assert_eq!(newest(&runs), [5, 7, 8, 9]);
    }

    #[test]
    fn a_run_that_a_rate_puts_off_is_said_with_its_time() {
        let pace = Some(Pace::parse("1/h").unwrap());
        let retry = Retry { pace, ..retry(Force::No) };
        let next = || {
            retry.pace.as_ref().and_then(|pace| pace.next(retry.now));
            retry.words(&sample_run(), false).done
        };
        assert_eq!(next(), "run 412 (backup) is queued again");
        assert_eq!(next(), "run 412 (backup) is scheduled for 13:01:40");
    }

    #[test]
    fn what_is_left_is_said_with_the_way_to_it() {
        let retry = retry(Force::No);
        assert_eq!(retry.left_words(), None);
        retry.left.set(2);
        assert_eq!(
            retry.left_words().as_deref(),
            Some(
                "2 older failed occurrences left alone: only the newest of each job is retried; `--all` retries all"
            )
        );
    }
}
