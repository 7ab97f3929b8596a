//! `jobctl cancel`: removes waiting runs from the queue and has running ones stopped.

use crate::cli;
use crate::cmd::control::selection::{self, Tally, Verb, Wanted, Words};
use crate::cmd::look::runs::verdict;
use crate::cmd::{Context, Exit, Failure, Out, Result};
use crate::core::run::State;
use crate::core::time::Wall;
use crate::core::words::Word;
use crate::store::{Answer, Filter, RunRow, Store, StoreError};
use crate::wording::verbs;

/// Answers `jobctl cancel`.
pub(crate) fn answer(context: &Context, args: &cli::Cancel, out: &mut Out) -> Result<Exit> {
    let cancel = Cancel { now: context.now.wall };
    let wanted = Wanted { ids: &args.ids, filters: &args.filters, dry_run: args.dry_run };
    selection::all(context, &cancel, &wanted, out).map(Tally::exit)
}

struct Cancel {
    now: Wall,
}

impl Verb for Cancel {
    /// Filters without a state select runs that have not ended. Running ones come last, so that no
    /// waiting run starts in their place.
    fn select(&self, store: &Store, mut filter: Filter) -> Result<Vec<i64>> {
        if filter.states.is_empty() {
            filter.states = State::ALL
                .iter()
                .copied()
                .filter(|state| filter.failed || !state.is_ended())
                .collect();
        }
        let (running, others): (Vec<_>, Vec<_>) =
            filter.states.iter().partition(|&&state| state == State::Running);
        let mut ids = Vec::new();
        for states in [others, running] {
            if !states.is_empty() {
                filter.states = states;
                ids.extend(store.ids(&filter)?);
            }
        }
        Ok(ids)
    }

    fn refusal(&self, _: &Store, run: &RunRow) -> Result<Option<Failure>> {
        Ok(run
            .state
            .is_ended()
            .then(|| Failure::no(format!("run {} has already ended: {}", run.id, verdict(run)))))
    }

    fn apply(&self, store: &mut Store, run: &RunRow) -> Result<Answer, StoreError> {
        store.cancel_if_unfinished(run.id, self.now)
    }

    fn words(&self, run: &RunRow, asked: bool) -> Words {
        let (id, job) = (run.id, &run.job);
        let (done, verb) =
            if asked { (verbs::stopping(run), "stop") } else { (verbs::cancelled(run), "cancel") };
        Words { done, would: format!("would {verb} run {id} ({job}, {})", verdict(run)) }
    }

    /// A waiting run is cancelled in the store; only a running one needs a supervisor.
    fn ring(&self, context: &Context, tally: Tally) -> Result<()> {
        if tally.asked > 0 {
            return selection::ring(context, "it takes effect when one starts");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::run::tests::sample_run;

    #[test]
    fn filters_find_what_has_not_ended_unless_they_name_a_state() {
        let cancel = Cancel { now: Wall::from_secs(0) };
        let mut store = Store::in_memory();
        let addition = crate::store::Addition {
            job: "a",
            due_at: Wall::from_secs(0),
            priority: 0,
            max_attempts: None,
            backlog_max: None,
            cause: crate::core::run::Cause::Enqueue,
            created_at: Wall::from_secs(0),
            conditions: crate::store::Conditions::default(),
        };
        let items = [(), (), ()].map(|()| crate::store::NewItem::default());
        store.enqueue(&addition, items).unwrap();
        store.cancel_if_unfinished(2, cancel.now).unwrap();
        let selected = |filter| cancel.select(&store, filter).unwrap();
        assert_eq!(selected(Filter::default()), [1, 3]);
        let cancelled =
            Filter { states: vec![State::Running, State::Cancelled], ..Filter::default() };
        assert_eq!(selected(cancelled), [2]);
    }

    #[test]
    fn what_has_ended_is_not_cancelled() {
        let cancel = Cancel { now: Wall::from_secs(0) };
        let store = Store::in_memory();
        let failure = cancel.refusal(&store, &sample_run()).unwrap().unwrap();
        assert_eq!(failure.message, "run 412 has already ended: succeeded");
        for state in [State::Scheduled, State::Queued, State::Running, State::Retrying] {
            let run = RunRow { state, ..sample_run() };
            assert_eq!(cancel.refusal(&store, &run), Ok(None), "{state}");
        }
    }

    #[test]
    fn a_running_run_is_being_stopped_not_cancelled() {
        let cancel = Cancel { now: Wall::from_secs(0) };
        assert_eq!(cancel.words(&sample_run(), true).done, "stopping run 412 (backup)");
        assert_eq!(cancel.words(&sample_run(), false).done, "run 412 (backup) is cancelled");
    }
}
