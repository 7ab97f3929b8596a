//! `jobctl logs -f`: prints the output of all running runs, each line prefixed with its run. Ends
//! when the reader of the output goes away.
//!
//! Runs that start and end between two looks are found by the jobs' last runs; of several such runs
//! of one job, only the last.

use std::collections::{BTreeMap, HashSet};

use crate::cli;
use crate::cmd::look::logs::follow::{Cursor, Waited, wait};
use crate::cmd::look::transcript::Transcript;
use crate::cmd::{Context, Exit, Out, Result};
use crate::core::run::State;
use crate::store::{Filter, RunRow, Store};

/// An attempt that is followed.
struct Followed {
    cursor: Cursor,
    transcript: Transcript,
}

/// The followed attempts, and the state at the last look.
struct Watch {
    data_version: Option<i64>,
    /// Id and claim of the running runs, and of each job's last run, at the last look.
    seen: HashSet<(i64, i64)>,
    followed: BTreeMap<(i64, i64), Followed>,
    is_raw: bool,
}

/// Follows everything.
pub(crate) fn answer(context: &Context, args: &cli::Logs, out: &mut Out) -> Result<Exit> {
    let mut store = context.open_read()?;
    if !context.is_supervised()? {
        context.say("no supervisor is running: no run will start");
    }
    let mut watch = Watch {
        data_version: None,
        seen: HashSet::new(),
        followed: BTreeMap::new(),
        is_raw: args.raw,
    };
    loop {
        match &store {
            Some(store) => watch.look(context, store, out)?,
            None => store = context.open_if_there()?,
        }
        if wait(out)? == Waited::ReaderGone {
            return Ok(Exit::Done);
        }
    }
}

impl Watch {
    fn look(&mut self, context: &Context, store: &Store, out: &mut Out) -> Result<()> {
        let version = store.data_version()?;
        if self.data_version != Some(version) {
            self.take_new(store, out)?;
            self.data_version = Some(version);
        }
        let mut over = Vec::new();
        for (&(id, claim), followed) in &mut self.followed {
            let Some(run) = store.run(id)? else {
                over.push((id, claim));
                continue;
            };
            let found = followed.cursor.advance(context, store, &run)?;
            followed.transcript.print(&found, context, out)?;
            if followed.cursor.is_over {
                followed.transcript.print_end(out)?;
                over.push((id, claim));
            }
        }
        over.iter().for_each(|key| drop(self.followed.remove(key)));
        Ok(())
    }

    /// Starts to follow the running runs and those that have run since the last look.
    fn take_new(&mut self, store: &Store, out: &Out) -> Result<()> {
        let is_first = self.data_version.is_none();
        let filter = Filter { states: vec![State::Running], ..Filter::default() };
        let running = store.runs(&filter, None)?;
        let ids: Vec<i64> = store.jobs()?.iter().filter_map(|job| job.last_run).collect();
        let mut last = store.runs_of_ids(&ids)?;
        last.retain(|run| run.attempt > 0);
        let key = |run: &RunRow| (run.id, run.claim);
        let ended = last.iter().filter(|run| !is_first && run.state != State::Running);
        for run in running.iter().chain(ended) {
            if !self.seen.contains(&key(run)) {
                self.follow(run, out);
            }
        }
        self.seen = running.iter().chain(&last).map(key).collect();
        Ok(())
    }

    fn follow(&mut self, run: &RunRow, out: &Out) {
        let is_raw = self.is_raw;
        self.followed.entry((run.id, run.claim)).or_insert_with(|| Followed {
            cursor: Cursor::new(run, run.attempt),
            transcript: Transcript::new(out, is_raw).prefixed(format!("{}#{} | ", run.job, run.id)),
        });
    }
}
