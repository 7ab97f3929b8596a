//! `jobctl why`: one paragraph on why a run waits, was skipped or gave up, or why a job did not run
//! at a time.

use std::ops::Range;
use std::time::Duration;

use serde_json::json;

use crate::cli;
use crate::cmd::{Context, Exit, Failure, Jobs, Out, Result, Toward, Viewer};
use crate::core::job::Job;
use crate::core::pause::{Pause, PauseNote};
use crate::core::run::State;
use crate::core::time::Wall;
use crate::store::{Filter, JobRow, RunRow, Store};

mod ended;
mod waiting;

/// A time without seconds means any occurrence of that minute.
const MINUTE: Duration = Duration::from_secs(60);

/// What the sentences are made from.
struct Case<'a> {
    store: &'a Store,
    jobs: &'a Jobs,
    viewer: Viewer,
    is_supervised: bool,
}

/// Answers `jobctl why`.
pub(crate) fn answer(context: &Context, args: &cli::Why, out: &mut Out) -> Result<Exit> {
    let viewer = context.viewer();
    let at = args.at.as_deref().map(|text| viewer.parse(text, Toward::Past)).transpose()?;
    let id = args.target.parse::<i64>().ok();
    if id.is_some() && at.is_some() {
        return Err(Failure::usage("why: --at needs the name of a job, not a run"));
    }
    let store = context.open_read()?;
    let Some(store) = store else {
        return without_store(context, args, id);
    };
    let jobs = Jobs::load(context, Some(&store)).unwrap_or_else(|_| Jobs::none());
    let case = Case { store: &store, jobs: &jobs, viewer, is_supervised: context.is_supervised()? };
    let (run, text) = match (id, at) {
        (Some(id), _) => {
            let run = store.run(id)?.ok_or_else(|| Failure::no_such_run(id))?;
            let text = case.of_run(&run)?;
            (Some(run), text)
        }
        (None, None) => case.of_job(&args.target)?,
        (None, Some(at)) => case.of_instant(&args.target, at)?,
    };
    let facts = json!({
        "job": run.as_ref().map_or(args.target.as_str(), |run| run.job.as_str()),
        "run": run.as_ref().map(|run| run.id),
        "state": run.as_ref().map(|run| run.state),
        "at": at,
        "why": text,
    });
    out.answer(&facts, |out| out.text(&format!("{text}\n")))
}

/// Nothing has ever been recorded.
fn without_store(context: &Context, args: &cli::Why, id: Option<i64>) -> Result<Exit> {
    if let Some(id) = id {
        return Err(Failure::no_such_run(id));
    }
    Jobs::load(context, None)?.find(&args.target)?;
    context.say("no store yet: no supervisor has run and nothing was enqueued");
    Ok(Exit::No)
}

impl Case<'_> {
    fn of_run(&self, run: &RunRow) -> Result<String> {
        let what = match run.state {
            State::Scheduled | State::Queued | State::Retrying => self.waiting(run)?,
            State::Running => self.running(run),
            State::Succeeded | State::Failed | State::Skipped | State::Cancelled => {
                self.ended(run)?
            }
        };
        Ok(format!("run {} of `{}`: {what}", run.id, run.job))
    }

    fn running(&self, run: &RunRow) -> String {
        let known = if self.is_supervised { "" } else { " (last known; no supervisor is running)" };
        let stop = run.stop.map_or("", |_| "; it was asked to stop");
        let what = match run.started_at {
            Some(at) => format!("has been running since {}", self.time(at)),
            None => "is running".to_owned(),
        };
        format!("attempt {} {what}{known}{stop}", run.attempt)
    }

    /// What is next in the queue of a job, else what it did last, else why it has nothing to do.
    fn of_job(&self, name: &str) -> Result<(Option<RunRow>, String)> {
        let Some(row) = self.known(name)? else {
            return Ok((None, format!("job `{name}`: {}", self.idle(name, None)?)));
        };
        let of =
            |states: Vec<State>| Filter { states, job: Some(name.to_owned()), ..Filter::default() };
        let queued = match row.queued {
            0 => None,
            _ => self.store.queue_head(row.id)?,
        };
        let unfinished = || {
            let filter = of(vec![State::Running, State::Retrying, State::Scheduled]);
            Ok::<_, Failure>(self.store.runs(&filter, Some(1))?.pop())
        };
        let newest = || Ok::<_, Failure>(self.store.runs(&of(Vec::new()), Some(1))?.pop());
        let run = match queued {
            Some(run) => Some(run),
            None => match unfinished()? {
                Some(run) => Some(run),
                None => newest()?,
            },
        };
        let Some(run) = run else {
            return Ok((None, format!("job `{name}`: {}", self.idle(name, Some(&row))?)));
        };
        let mut text = self.of_run(&run)?;
        if run.state.is_ended() {
            text = format!("{text}. Nothing is queued; {}", self.idle(name, Some(&row))?);
        }
        Ok((Some(run), text))
    }

    /// The row of a job; none if only the jobfile knows it. Errs if neither does.
    fn known(&self, name: &str) -> Result<Option<JobRow>> {
        match self.store.job(name)? {
            Some(row) => Ok(Some(row)),
            None => self.jobs.find(name).map(|_| None),
        }
    }

    /// Why a job without waiting runs has nothing to do now.
    fn idle(&self, name: &str, row: Option<&JobRow>) -> Result<String> {
        let Some(job) = self.jobs.get(name) else {
            return Ok("it is not in the jobfile".to_owned());
        };
        let mut parts = Vec::new();
        if job.schedules.is_empty() {
            parts.push("the job has no schedule and runs only when enqueued".to_owned());
        } else if !job.policy.enabled {
            parts.push("it is not enabled, so no occurrence is planned".to_owned());
        } else if let Some(coming) = self.jobs.coming(job, row, self.viewer.now) {
            parts.push(format!("its next occurrence is {}", self.time(coming.due_at())));
        }
        parts.extend(self.hindrances(row)?);
        Ok(parts.join("; "))
    }

    /// What keeps every run of a job from starting.
    fn hindrances(&self, row: Option<&JobRow>) -> Result<Vec<String>> {
        let mut parts = Vec::new();
        let supervisor = self.store.supervisor()?;
        let now = self.viewer.now;
        if !self.is_supervised {
            parts.push("no supervisor is running".to_owned());
        } else if supervisor.is_shadow {
            parts.push("the supervisor runs with --shadow, so no runs start".to_owned());
        } else if supervisor.stopping_at.is_some() {
            parts.push("the supervisor is stopping; it starts after the next start".to_owned());
        }
        let until = |pause: Pause, note: &PauseNote, whose: &str| {
            let until = match pause.until {
                Some(until) => format!("until {}", self.time(until)),
                None => format!("until `jobctl resume {whose}`"),
            };
            let said = Some(note.text()).filter(|text| !text.is_empty());
            let said = said.map(|text| format!(", {text}")).unwrap_or_default();
            format!("{until} (since {}{said})", self.viewer.show(pause.since))
        };
        if let Some(pause) = supervisor.pause.filter(|pause| pause.holds(now)) {
            parts.push(format!(
                "everything is paused {}",
                until(pause, &supervisor.pause_note, "--all")
            ));
        }
        let own = row.and_then(|row| Some((row.pause?, row)));
        if let Some((pause, row)) = own.filter(|(pause, _)| pause.holds(now)) {
            parts.push(format!("the job is paused {}", until(pause, &row.pause_note, &row.name)));
        }
        if row.is_some_and(|row| !row.present) {
            parts.push("the job is not in the jobfile that was last loaded".to_owned());
        }
        Ok(parts)
    }

    /// What became of the occurrence of a job at a time, or why there was none.
    fn of_instant(&self, name: &str, at: Wall) -> Result<(Option<RunRow>, String)> {
        let row = self.known(name)?;
        let until = if at.ms() % 60_000 == 0 { at + MINUTE } else { at + Duration::from_secs(1) };
        if let Some(row) = &row {
            let mut runs = self.store.runs_of_instant(row.id, at, until)?;
            runs.retain(|run| !self.is_between(run, (name, row), at..until));
            if let Some(run) = runs.pop() {
                let mut text = self.of_run(&run)?;
                for other in &runs {
                    text = format!("{text}. {}", self.of_run(other)?);
                }
                return Ok((Some(run), text));
            }
        }
        let text = match self.jobs.get(name) {
            None => "it is not in the jobfile, and no run is on record for that time".to_owned(),
            Some(job) => self.unrecorded(job, row.as_ref(), at, until)?,
        };
        Ok((None, format!("job `{name}`: {text}")))
    }

    /// Returns whether a run stands for earlier and later occurrences, but for none of that time.
    /// Only a schedule that has its ends can tell: it may have changed since.
    fn is_between(&self, run: &RunRow, (name, row): (&str, &JobRow), time: Range<Wall>) -> bool {
        let (Some(job), Some(first), Some(last)) =
            (self.jobs.get(name), run.scheduled_at, run.last_scheduled_at)
        else {
            return false;
        };
        let from =
            |at: Wall| Some(self.jobs.next(job, row.grid_at, at.just_before())?.occurrence.at);
        let ends_are_outside = first < time.start && last >= time.end;
        let has_ends = || [first, last].iter().all(|at| from(*at) == Some(*at));
        ends_are_outside && has_ends() && from(time.start).is_none_or(|at| at >= time.end)
    }

    /// Why there is no row of a time.
    fn unrecorded(&self, job: &Job, row: Option<&JobRow>, at: Wall, until: Wall) -> Result<String> {
        if job.schedules.is_empty() {
            return Ok("it has no schedule; it runs items from its queue".to_owned());
        }
        if !job.policy.enabled {
            return Ok("it is not enabled, so no occurrence is planned".to_owned());
        }
        let grid_at = row.and_then(|row| row.grid_at);
        let next = |after: Wall| Some(self.jobs.next(job, grid_at, after)?.occurrence.at);
        let named = next(at.just_before()).filter(|named| *named < until);
        let Some(named) = named else {
            let following = next(at).map_or_else(
                || "no later occurrence is known".to_owned(),
                |next| format!("the next occurrence is {}", self.time(next)),
            );
            return Ok(format!("not scheduled at {}; {following}", self.viewer.show(at)));
        };
        if named > self.viewer.now {
            return Ok(format!("not due yet: scheduled {}", self.time(named)));
        }
        let down = self.downtime(named)?;
        let undecided = row.and_then(|row| row.watermark).is_none_or(|decided| decided < named);
        let mut parts = vec![format!("scheduled at {}", self.viewer.show(named))];
        if undecided {
            parts.push("not decided yet".to_owned());
            parts.extend(self.hindrances(row)?);
        } else {
            parts.push(
                "no run is on record: the job did not exist, was not enabled or had another \
                     schedule then, or `keep` has passed"
                    .to_owned(),
            );
        }
        parts.extend(down);
        Ok(parts.join("; "))
    }

    /// Why nothing was started at an instant.
    fn downtime(&self, at: Wall) -> Result<Option<String>> {
        let span = self.store.downtime_of(at)?;
        Ok(span.map(|down| {
            let what =
                if down.is_stopping { "the supervisor was stopping" } else { "no supervisor ran" };
            let (from, to) = (self.viewer.show(down.from), self.viewer.show(down.to));
            format!("{what} from {from} to {to}")
        }))
    }

    fn time(&self, at: Wall) -> String {
        format!("{} ({})", self.viewer.show(at), self.viewer.relative(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::run::{Cause, Reason};
    use crate::facts::jobs::tests::jobs;
    use crate::store::NewSkip;

    #[test]
    fn a_skip_of_many_occurrences_answers_for_no_other_time() {
        let store = Store::in_memory();
        let noon = Wall::from_secs(1_785_067_200);
        let later = |secs: u64| noon + Duration::from_secs(secs);
        let job_id = store.register_job("a", &[], Some("0 * * * *"), noon).unwrap().id;
        let skip = NewSkip {
            job_id,
            cause: Cause::Schedule,
            scheduled_at: noon,
            last_scheduled_at: Some(later(7200)),
            count: 3,
            reason: Reason::Missed,
            by: None,
            same_since: None,
            now: later(7300),
        };
        store.record_skip(&skip).unwrap();
        let answer = |schedule: &str, at: Wall| {
            let viewer = Viewer { zone: crate::os::zone::load("UTC").unwrap(), now: later(7300) };
            let jobs = jobs(&format!(
                "timezone = 'UTC'\n[jobs.a]\nschedule = '{schedule}'\ncommand = 'x'\n"
            ));
            let case = Case { store: &store, jobs: &jobs, viewer, is_supervised: true };
            case.of_instant("a", at).unwrap().1
        };
        for at in [noon, later(3600), later(7200)] {
            assert!(answer("0 * * * *", at).starts_with("run 1 of `a`: "));
        }
        assert!(answer("0 * * * *", later(1800)).contains("not scheduled at "));
        // Another schedule cannot tell.
        assert!(answer("15 * * * *", later(1800)).starts_with("run 1 of `a`: "));
    }
}
