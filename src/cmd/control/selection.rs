//! The common part of `retry`, `cancel` and `ack`: applies a verb to several runs, each separately.
//!
//! Selects the runs, applies the verb to each, reports the results, and determines the exit code.

use serde::Serialize;

use crate::cli::Filters;
use crate::cmd::filter;
use crate::cmd::look::runs;
use crate::cmd::{Context, Exit, Failure, Out, Progress, Result, Viewer};
use crate::core::run::State;
use crate::core::time::Wall;
use crate::os::wake::{self, Rung};
use crate::store::{Answer, Filter, RunRow, Store, StoreError};
use crate::verbs::portions::PORTIONS;

/// Up to this many runs found by a filter, each is reported separately.
const SAID_MAX: u32 = 20;

/// A verb on one run.
pub(crate) trait Verb {
    /// The runs of a filter that the verb is for, oldest first.
    fn select(&self, store: &Store, filter: Filter) -> Result<Vec<i64>>;
    /// Returns why the verb is refused for a run; `None` if it is not.
    fn refusal(&self, store: &Store, run: &RunRow) -> Result<Option<Failure>>;
    /// Applies the verb.
    fn apply(&self, store: &mut Store, run: &RunRow) -> Result<Answer, StoreError>;
    /// Describes what was done or would be; `asked` is whether the supervisor has to do the rest.
    fn words(&self, run: &RunRow, asked: bool) -> Words;
    /// Notifies the supervisor, if the verb needs it.
    fn ring(&self, context: &Context, tally: Tally) -> Result<()>;
}

/// A verb's text about a run.
pub(crate) struct Words {
    /// What was done.
    pub(crate) done: String,
    /// What would be done.
    pub(crate) would: String,
}

/// The selected runs; clap ensures that either ids or filters are given.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// The ids.
    pub(crate) ids: &'a [i64],
    /// The filters, if there are no ids.
    pub(crate) filters: &'a Filters,
    /// Whether to only report what would be done.
    pub(crate) dry_run: bool,
}

/// The combined result of all runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// How many were done.
    pub(crate) done: u32,
    /// How many the supervisor was asked to do.
    pub(crate) asked: u32,
    refused: u32,
    unknown: u32,
}

impl Tally {
    /// 1 if any was refused, else 3 if any does not exist.
    pub(crate) fn exit(self) -> Exit {
        match (self.refused, self.unknown) {
            (0, 0) => Exit::Done,
            (0, _) => Exit::NotFound,
            _ => Exit::No,
        }
    }
}

/// Applies a verb to all selected runs.
pub(crate) fn all(
    context: &Context,
    verb: &impl Verb,
    wanted: &Wanted<'_>,
    out: &mut Out,
) -> Result<Tally> {
    let Some(mut store) = open(context, wanted)? else {
        return none_without_store(context, wanted, out);
    };
    let ids = ids(context, verb, &store, wanted)?;
    let mut teller = Teller::new(context, wanted, out);
    teller.total = ids.len();
    let mut ids = ids.into_iter();
    let told = if wanted.dry_run {
        ids.try_for_each(|id| teller.tell(&one(verb, &mut store, id, Mode::Rehearsal)?))
    } else {
        let step = |store: &mut Store| match ids.next() {
            Some(id) => one(verb, store, id, Mode::Earnest).map(|step| Some((step, 0))),
            None => Ok(None),
        };
        PORTIONS.each(&mut store, step, |step| teller.tell(&step))
    };
    let tally = teller.finish();
    // The supervisor still has to act on what was done before an error.
    verb.ring(context, tally)?;
    match told {
        Ok(()) => Ok(tally),
        Err(failure) => Err(failure.after(tally.done + tally.asked)),
    }
}

/// Wakes the supervisor; if none runs, prints `nobody`.
pub(crate) fn ring(context: &Context, nobody: &str) -> Result<()> {
    match wake::ring(context.state_dir()?) {
        Ok(Rung::Heard) => {}
        Ok(Rung::NobodyListens) => {
            context.say(&format!("no supervisor is running; {nobody}"));
        }
        Err(error) => context.say(&format!("the supervisor could not be woken: {error}")),
    }
    Ok(())
}

/// Formats a time briefly: without the date if it is today.
pub(crate) fn briefly(viewer: &Viewer, at: Wall) -> String {
    let (at, now) = (viewer.show(at), viewer.show(viewer.now));
    match (at.split_once(' '), now.split_once(' ')) {
        (Some((day, time)), Some((today, _))) if day == today => time.to_owned(),
        _ => at,
    }
}

/// The result of one run in the JSON.
#[derive(Serialize)]
struct Step {
    id: i64,
    answer: Became,
    job: Option<String>,
    message: String,
    hint: Option<String>,
}

/// The result of a verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Became {
    Done,
    Asked,
    Would,
    Refused,
    NotFound,
}

impl Step {
    fn done(answer: Became, run: &RunRow, message: String) -> Self {
        Self { id: run.id, answer, job: Some(run.job.clone()), message, hint: None }
    }

    fn refused(id: i64, Failure { message, hint, .. }: Failure) -> Self {
        Self { id, answer: Became::Refused, job: None, message, hint }
    }

    fn unknown(id: i64) -> Self {
        Self { answer: Became::NotFound, ..Self::refused(id, Failure::no_such_run(id)) }
    }
}

fn open(context: &Context, wanted: &Wanted<'_>) -> Result<Option<Store>> {
    let opened = if wanted.dry_run {
        Store::open_read(context.state_dir()?)
    } else {
        Store::open_write(context.state_dir_to_write()?)
    };
    match opened {
        Ok(store) => Ok(Some(store)),
        Err(StoreError::Missing(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Answers without a store, and therefore without runs.
fn none_without_store(context: &Context, wanted: &Wanted<'_>, out: &mut Out) -> Result<Tally> {
    if wanted.ids.is_empty() {
        return Err(nothing_matched());
    }
    let mut teller = Teller::new(context, wanted, out);
    for &id in wanted.ids {
        teller.tell(&Step::unknown(id))?;
    }
    Ok(teller.finish())
}

fn ids(
    context: &Context,
    verb: &impl Verb,
    store: &Store,
    wanted: &Wanted<'_>,
) -> Result<Vec<i64>> {
    if !wanted.ids.is_empty() {
        return Ok(distinct(wanted.ids));
    }
    let filter = filter::read(wanted.filters, &context.viewer())?;
    if let Some(name) = &filter.job {
        runs::check_job(context, Some(store), name)?;
    }
    let ids = verb.select(store, filter)?;
    if ids.is_empty() {
        return Err(nothing_matched());
    }
    Ok(ids)
}

fn nothing_matched() -> Failure {
    Failure::no("nothing matched").hint("try the same filters with `jobctl runs`")
}

/// Removes duplicate ids and keeps their order: `retry 5 5` means one run.
fn distinct(ids: &[i64]) -> Vec<i64> {
    let mut seen = std::collections::HashSet::new();
    ids.iter().copied().filter(|id| seen.insert(*id)).collect()
}

/// Whether a verb is applied or only simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Earnest,
    Rehearsal,
}

fn one(verb: &impl Verb, store: &mut Store, id: i64, mode: Mode) -> Result<Step> {
    let Some(run) = store.run(id)? else {
        return Ok(Step::unknown(id));
    };
    if let Some(failure) = verb.refusal(store, &run)? {
        return Ok(Step::refused(id, failure));
    }
    if mode == Mode::Rehearsal {
        let words = verb.words(&run, run.state == State::Running);
        return Ok(Step::done(Became::Would, &run, words.would));
    }
    Ok(match verb.apply(store, &run)? {
        Answer::Done => Step::done(Became::Done, &run, verb.words(&run, false).done),
        Answer::Asked => Step::done(Became::Asked, &run, verb.words(&run, true).done),
        Answer::NoSuchRun => Step::unknown(id),
        // The run changed between the check and the verb.
        Answer::Refused(run) => Step::refused(
            id,
            verb.refusal(store, &run)?.unwrap_or_else(|| {
                Failure::no(format!("run {id} has changed in the meantime (now {})", run.state))
            }),
        ),
        Answer::KeyHeld { by } => Step::refused(id, key_held(&run, by)),
        Answer::SameOccurrence { by } => Step::refused(
            id,
            Failure::no(format!("run {id}: run {by} of the same occurrence has not ended"))
                .hint(format!("see `jobctl show {by}`")),
        ),
    })
}

/// Another run has the key.
pub(crate) fn key_held(run: &RunRow, by: i64) -> Failure {
    let key = run.key.as_deref().unwrap_or_default();
    Failure::no(format!("run {}: its key `{key}` is held by run {by}", run.id))
        .hint(format!("see `jobctl show {by}`"))
}

/// Reports the results of the runs, one after the other.
struct Teller<'a> {
    context: &'a Context,
    out: &'a mut Out,
    said_max: u32,
    tally: Tally,
    /// The number of runs that it will report.
    total: usize,
    progress: Progress,
}

impl<'a> Teller<'a> {
    fn new(context: &'a Context, wanted: &Wanted<'_>, out: &'a mut Out) -> Self {
        let is_all_said = !wanted.ids.is_empty() || context.global.verbose > 0;
        Self {
            context,
            out,
            said_max: if is_all_said { u32::MAX } else { SAID_MAX },
            tally: Tally::default(),
            total: 0,
            progress: Progress::of(context),
        }
    }

    fn tell(&mut self, step: &Step) -> Result<()> {
        match step.answer {
            Became::Done => self.tally.done += 1,
            Became::Asked => self.tally.asked += 1,
            Became::Would => {}
            Became::Refused => self.tally.refused += 1,
            Became::NotFound => self.tally.unknown += 1,
        }
        let Step { message, hint, .. } = step;
        let done = self.tally.done + self.tally.asked;
        if matches!(step.answer, Became::Done | Became::Asked) && done > self.said_max {
            self.progress.tick(|| format!("{done} of {} runs", self.total));
        } else {
            self.progress.clear();
        }
        self.out.answer(step, |out| {
            match step.answer {
                Became::Done | Became::Asked if done <= self.said_max => self.context.say(message),
                Became::Done | Became::Asked => {}
                Became::Would => out.text(&format!("{message}\n"))?,
                Became::Refused | Became::NotFound => {
                    let failure = Failure { hint: hint.clone(), ..Failure::no(message) };
                    self.context.failure(failure).print();
                }
            }
            Ok(())
        })?;
        Ok(())
    }

    fn finish(mut self) -> Tally {
        self.progress.clear();
        let unsaid = (self.tally.done + self.tally.asked).saturating_sub(self.said_max);
        if unsaid > 0 && !self.out.is_json {
            self.context.say(&format!("and {unsaid} more"));
        }
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_weighs_more_than_an_unknown_run() {
        let tally = |refused, unknown| Tally { refused, unknown, ..Tally::default() };
        assert_eq!(tally(0, 0).exit(), Exit::Done);
        assert_eq!(tally(0, 2).exit(), Exit::NotFound);
        assert_eq!(tally(1, 2).exit(), Exit::No);
    }

    #[test]
    fn an_id_given_twice_is_one_run() {
        assert_eq!(distinct(&[5, 3, 5]), [5, 3]);
    }

    #[test]
    fn the_date_is_said_only_of_another_day() {
        let viewer = Viewer {
            zone: crate::os::zone::load("UTC").unwrap(),
            now: Wall::from_secs(86_400 + 7203),
        };
        assert_eq!(briefly(&viewer, Wall::from_secs(86_400 + 3)), "00:00:03");
        assert_eq!(briefly(&viewer, Wall::from_secs(7203)), "1970-01-01 02:00:03");
    }
}
