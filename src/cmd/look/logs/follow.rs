//! `jobctl logs -f ID`: prints the output of a run as it is written, from the newest attempt on,
//! until the run has ended.

use anyhow::Context as _;
use std::time::Duration;

use crate::cli;
use crate::cmd::look::runs;
use crate::cmd::look::transcript::Transcript;
use crate::cmd::{Context, Exit, Failure, Out, Result};
use crate::core::run::State;
use crate::facts::live::Live;
use crate::facts::pieces::{self, Piece};
use crate::os::poll;
use crate::store::{RunRow, Store};

/// The interval between two looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// The run to follow.
pub(crate) struct Subject<'a> {
    /// The context of the command.
    pub(crate) context: &'a Context,
    /// The store with the ended attempts.
    pub(crate) store: &'a Store,
    /// The run.
    pub(crate) run: i64,
}

/// The position in the output of an attempt.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    /// The attempt; 0 before the first.
    pub(crate) attempt: u32,
    claim: i64,
    position: u64,
    live: Option<Live>,
    /// Whether all of it was read and no more can follow.
    pub(crate) is_over: bool,
}

impl Cursor {
    /// At the beginning of an attempt of a run.
    pub(crate) fn new(run: &RunRow, attempt: u32) -> Self {
        Self { attempt, claim: run.claim, ..Self::default() }
    }

    /// Reads the output since the last time.
    pub(crate) fn advance(
        &mut self,
        context: &Context,
        store: &Store,
        run: &RunRow,
    ) -> Result<Vec<Piece>> {
        if self.is_over || self.attempt == 0 {
            return Ok(Vec::new());
        }
        let is_current = run.attempt == self.attempt;
        if is_current && run.claim != self.claim {
            // The claim before was taken back before anything was started.
            *self = Self::new(run, self.attempt);
        }
        if is_current && run.state == State::Running {
            self.look(context, run)
        } else {
            self.finish(store, run)
        }
    }

    fn look(&mut self, context: &Context, run: &RunRow) -> Result<Vec<Piece>> {
        if self.live.is_none() {
            self.live = Live::open(context.state_dir()?, run);
        }
        let mut found = Vec::new();
        while let Some(live) = &self.live {
            let Some(look) = live.look(self.position).context("output cannot be read")? else {
                self.live = None;
                break;
            };
            found.extend(look.pieces);
            self.position = look.position;
            self.is_over = look.is_ended;
            if !look.has_more {
                break;
            }
        }
        Ok(found)
    }

    fn finish(&mut self, store: &Store, run: &RunRow) -> Result<Vec<Piece>> {
        self.is_over = true;
        self.live = None;
        let output = store.output(run.id, self.attempt)?;
        Ok(output.map(|output| pieces::rest(output, self.position)).unwrap_or_default())
    }
}

/// Follows a run.
pub(crate) fn answer(subject: &Subject<'_>, args: &cli::Logs, out: &mut Out) -> Result<Exit> {
    let Subject { context, store, run: id } = *subject;
    let mut transcript = Transcript::new(out, args.raw);
    let mut cursor: Option<Cursor> = None;
    let mut lines = args.lines;
    loop {
        let run = store.run(id)?.ok_or_else(|| Failure::no_such_run(id))?;
        let cursor =
            cursor.get_or_insert_with(|| Cursor::new(&run, args.attempt.unwrap_or(run.attempt)));
        let found = cursor.advance(context, store, &run)?;
        let found = match lines.take() {
            Some(lines) => pieces::last_lines(found, lines),
            None => found,
        };
        transcript.print(&found, context, out)?;
        match what_follows(cursor, &run, args.attempt) {
            Step::NextAttempt => {
                transcript.print_end(out)?;
                out.flush()?;
                *cursor = Cursor::new(&run, cursor.attempt.saturating_add(1));
                context.say(&format!("run {id}: attempt {}", cursor.attempt));
                continue;
            }
            Step::End => {
                transcript.print_end(out)?;
                out.flush()?;
                context.say(&format!("run {id}: {}", runs::verdict(&run)));
                return Ok(Exit::Done);
            }
            Step::Wait => {}
        }
        refuse_to_wait_in_vain(context, cursor, &run)?;
        if wait(out)? == Waited::ReaderGone {
            return Ok(Exit::Done);
        }
    }
}

/// What to do after a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Wait,
    NextAttempt,
    End,
}

fn what_follows(cursor: &Cursor, run: &RunRow, only: Option<u32>) -> Step {
    let is_done = cursor.is_over || cursor.attempt == 0;
    match (is_done, only) {
        (false, _) => Step::Wait,
        (true, Some(_)) if cursor.is_over => Step::End,
        (true, _) if run.attempt > cursor.attempt => Step::NextAttempt,
        (true, _) if run.state.is_ended() => Step::End,
        (true, _) => Step::Wait,
    }
}

/// Without a supervisor an attempt goes on under its keeper, but nothing comes after it.
fn refuse_to_wait_in_vain(context: &Context, cursor: &Cursor, run: &RunRow) -> Result<()> {
    let is_going_on =
        run.state == State::Running && run.attempt == cursor.attempt && !cursor.is_over;
    if is_going_on || context.is_supervised()? {
        return Ok(());
    }
    Err(Failure::no_supervisor(format!(
        "run {} is {}, but no supervisor is running",
        run.id, run.state
    )))
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    /// It is time for another look.
    Elapsed,
    /// The reader of the output has gone away.
    ReaderGone,
}

/// Flushes the output and waits for the next look.
pub(crate) fn wait(out: &mut Out) -> Result<Waited> {
    use std::os::fd::AsFd;
    out.flush()?;
    let stdout = std::io::stdout();
    let mut reader = [poll::hang_up(stdout.as_fd())];
    match poll::wait(&mut reader, Some(LOOK_INTERVAL)) {
        Ok(0) => Ok(Waited::Elapsed),
        Ok(_) => Ok(Waited::ReaderGone),
        Err(error) => Err(Failure::system(format!("cannot wait: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::run::tests::sample_run;

    fn cursor(attempt: u32, is_over: bool) -> Cursor {
        Cursor { attempt, is_over, ..Cursor::default() }
    }

    #[test]
    fn following_ends_with_the_run_or_with_the_attempt_asked_for() {
        let ended = RunRow { attempt: 2, ..sample_run() };
        let retrying = RunRow { attempt: 2, state: State::Retrying, ..sample_run() };
        let waiting = RunRow { attempt: 0, state: State::Queued, ..sample_run() };
        for (cursor, run, only, step) in [
            (cursor(2, true), &ended, None, Step::End),
            (cursor(1, true), &ended, None, Step::NextAttempt),
            (cursor(1, true), &ended, Some(1), Step::End),
            (cursor(2, true), &retrying, None, Step::Wait),
            (cursor(2, true), &retrying, Some(2), Step::End),
            (cursor(2, false), &retrying, None, Step::Wait),
            (cursor(0, false), &waiting, None, Step::Wait),
            (cursor(0, false), &ended, None, Step::NextAttempt),
        ] {
            assert_eq!(
                what_follows(&cursor, run, only),
                step,
                "{cursor:?} {:?} {only:?}",
                run.state
            );
        }
    }

    #[test]
    fn a_claim_that_was_taken_back_begins_anew() {
        let context = Context::of_process(cli::Global {
            state_dir: Some("/nowhere".into()),
            ..cli::Global::default()
        });
        let store = Store::in_memory();
        let run = RunRow { state: State::Running, claim: 10, ..sample_run() };
        let mut cursor = Cursor { attempt: 1, claim: 9, position: 7, ..Cursor::default() };
        assert_eq!(cursor.advance(&context, &store, &run), Ok(Vec::new()));
        assert_eq!((cursor.position, cursor.claim), (0, 10));
    }
}
