//! `jobctl ack`: acknowledges failed runs, so that they are no longer reported.

use crate::cli;
use crate::cmd::control::selection::{self, Tally, Verb, Wanted, Words, briefly};
use crate::cmd::look::runs::verdict;
use crate::cmd::{Context, Exit, Failure, Out, Result, Viewer};
use crate::core::run::State;
use crate::core::time::Wall;
use crate::store::{Answer, Filter, RunRow, Store, StoreError};
use crate::wording::verbs;

/// Answers `jobctl ack`.
pub(crate) fn answer(context: &Context, args: &cli::Ack, out: &mut Out) -> Result<Exit> {
    let ack = Ack { now: context.now.wall, viewer: context.viewer() };
    let wanted = Wanted { ids: &args.ids, filters: &args.filters, dry_run: args.dry_run };
    selection::all(context, &ack, &wanted, out).map(Tally::exit)
}

struct Ack {
    now: Wall,
    viewer: Viewer,
}

impl Verb for Ack {
    /// Filters without a state select unacknowledged failures.
    fn select(&self, store: &Store, mut filter: Filter) -> Result<Vec<i64>> {
        filter.failed |= filter.states.is_empty();
        Ok(store.ids(&filter)?)
    }

    fn refusal(&self, _: &Store, run: &RunRow) -> Result<Option<Failure>> {
        let id = run.id;
        if run.state != State::Failed && !run.is_missed() {
            let verdict = verdict(run);
            return Ok(Some(Failure::no(format!("run {id} did not fail: {verdict}"))));
        }
        Ok(run.acked.map(|at| {
            let at = briefly(&self.viewer, at);
            Failure::no(format!("run {id} is already acknowledged (since {at})"))
        }))
    }

    fn apply(&self, store: &mut Store, run: &RunRow) -> Result<Answer, StoreError> {
        store.ack_if_failed(run.id, self.now)
    }

    fn words(&self, run: &RunRow, _: bool) -> Words {
        let (id, job) = (run.id, &run.job);
        Words {
            done: verbs::acknowledged(run),
            would: format!("would acknowledge run {id} ({job}, {})", verdict(run)),
        }
    }

    /// The supervisor has nothing to do.
    fn ring(&self, _: &Context, _: Tally) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::run::tests::sample_run;

    #[test]
    fn only_a_failure_that_nobody_knows_of_is_acknowledged() {
        let ack = Ack {
            now: Wall::from_secs(1_785_067_300),
            viewer: Viewer {
                zone: crate::os::zone::load("UTC").unwrap(),
                now: Wall::from_secs(1_785_067_300),
            },
        };
        let store = Store::in_memory();
        let refusal =
            |run: &RunRow| ack.refusal(&store, run).unwrap().map(|failure| failure.message);
        let mut run = sample_run();
        assert_eq!(refusal(&run).as_deref(), Some("run 412 did not fail: succeeded"));
        run.state = State::Failed;
        assert_eq!(refusal(&run), None);
        run.acked = Some(Wall::from_secs(1_785_067_203));
        assert_eq!(
            refusal(&run).as_deref(),
            Some("run 412 is already acknowledged (since 12:00:03)")
        );
    }
}
