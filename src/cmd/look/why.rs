//! `jobctl why`: explains in one paragraph why a run waits, was skipped or gave up, or why a job
//! did not run at a given time.

use serde_json::json;

use crate::cli;
use crate::cmd::{Context, Exit, Failure, Jobs, Out, Result, Toward};
use crate::facts::why::Sources;
use crate::wording::why::paragraph;

/// Answers `jobctl why`.
pub(crate) fn answer(context: &Context, args: &cli::Why, out: &mut Out) -> Result<Exit> {
    let viewer = context.viewer();
    let at = args.at.as_deref().map(|text| viewer.parse(text, Toward::Past)).transpose()?;
    let id = args.target.parse::<i64>().ok();
    if id.is_some() && at.is_some() {
        return Err(Failure::usage("why: --at needs the name of a job, not a run"));
    }
    let Some(store) = context.open_read()? else {
        return without_store(context, args, id);
    };
    let jobs = Jobs::load(context, Some(&store)).unwrap_or_else(|_| Jobs::none());
    let is_supervised = context.is_supervised()?;
    let from = Sources { store: &store, jobs: &jobs, now: viewer.now, is_supervised };
    let explanation = match (id, at) {
        (Some(id), _) => {
            from.of_run(store.run(id)?.ok_or_else(|| Failure::no_such_run(id))?).map(Some)
        }
        (None, None) => from.of_job(&args.target),
        (None, Some(at)) => from.of_instant(&args.target, at),
    };
    let explanation = explanation?.ok_or_else(|| jobs.no_such_job(&args.target))?;
    let text = paragraph(&explanation, &args.target, &viewer);
    let text = context.reaching(&text);
    let run = explanation.run();
    let answer = json!({
        "job": run.map_or(args.target.as_str(), |run| run.job.as_str()),
        "run": run.map(|run| run.id),
        "state": run.map(|run| run.state),
        "at": at,
        "why": text,
    });
    out.answer(&answer, |out| out.text(&format!("{text}\n")))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::cmd::Viewer;
    use crate::core::run::{Cause, Reason};
    use crate::core::time::Wall;
    use crate::facts::jobs::tests::jobs;
    use crate::store::{NewSkip, Store};

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
            let now = viewer.now;
            let from = Sources { store: &store, jobs: &jobs, now, is_supervised: true };
            paragraph(&from.of_instant("a", at).unwrap().unwrap(), "a", &viewer)
        };
        for at in [noon, later(3600), later(7200)] {
            assert!(answer("0 * * * *", at).starts_with("run 1 of `a`: "));
        }
        assert!(answer("0 * * * *", later(1800)).contains("not scheduled at "));
        // Another schedule cannot tell.
        assert!(answer("15 * * * *", later(1800)).starts_with("run 1 of `a`: "));
    }
}
