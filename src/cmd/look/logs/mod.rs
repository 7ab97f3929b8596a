//! `jobctl logs`: prints the kept output of attempts.

mod follow;
mod follow_all;

use anyhow::Context as _;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};
use serde_json::json;

use crate::cli;
use crate::cmd::look::transcript::Transcript;
use crate::cmd::{Context, Exit, Failure, Jobs, Out, Result};
use crate::core::output;
use crate::core::run::State;
use crate::facts::live::Live;
use crate::facts::pieces::{self, Piece};
use crate::store::{RunRow, Store};

/// Answers `jobctl logs`.
pub(crate) fn answer(context: &Context, args: &cli::Logs, out: &mut Out) -> Result<Exit> {
    if args.follow && out.is_json {
        return Err(Failure::usage("logs: --follow and --json cannot be combined"));
    }
    let Some(target) = &args.target else {
        return follow_all::answer(context, args, out);
    };
    let store = context.open_read()?;
    let run = find(context, store.as_ref(), target, args.follow)?;
    let Some(store) = store else {
        return Err(Failure::no_such_run(run));
    };
    if args.follow {
        return follow::answer(&follow::Subject { context, store: &store, run }, args, out);
    }
    let run = store.run(run)?.ok_or_else(|| Failure::no_such_run(run))?;
    let attempt = attempt_of(&run, args.attempt)?;
    let pieces = snapshot(context, &store, &run, attempt)?;
    out.answer(&Kept { run: &run, attempt, pieces: &pieces }, |out| {
        let mut transcript = Transcript::new(out, args.raw);
        match args.lines {
            Some(lines) => {
                transcript.print(&pieces::last_lines(pieces.clone(), lines), context, out)?;
            }
            None => transcript.print(&pieces, context, out)?,
        }
        transcript.print_end(out)?;
        say_missing(context, &store, &run, attempt)
    })
}

/// Reports output of the command that was not kept.
fn say_missing(context: &Context, store: &Store, run: &RunRow, attempt: u32) -> Result<()> {
    let rows = store.attempts(run.id)?;
    let Some(row) = rows.into_iter().find(|row| row.attempt == attempt && row.outcome.is_some())
    else {
        return Ok(());
    };
    let id = run.id;
    match row.error {
        Some(error) if output::missing(&error).is_some() => {
            context.say(&format!("run {id}, attempt {attempt}: {error}"));
        }
        Some(_) | None if row.output_bytes.unwrap_or(0) > 0 => {
            if store.output(id, attempt)?.is_none() {
                context.say(&format!(
                    "run {id}, attempt {attempt}: its output was removed (output_total_max)"
                ));
            }
        }
        Some(_) | None => {}
    }
    Ok(())
}

/// Returns the run of a target: by id, or a job's newest run with an attempt.
fn find(context: &Context, store: Option<&Store>, target: &str, is_followed: bool) -> Result<i64> {
    // No job's name is all digits.
    if target.bytes().all(|byte| byte.is_ascii_digit()) {
        return target
            .parse()
            .map_err(|_| Failure::not_found(format!("run {target}: no such run")));
    }
    let Some(store) = store else {
        return Err(no_attempt_yet(context, None, target));
    };
    if let Some(run) = store.newest_attempted(target)? {
        return Ok(run);
    }
    let waiting =
        crate::store::Filter { job: Some(target.to_owned()), ..crate::store::Filter::default() };
    match store.runs(&waiting, Some(1))?.first() {
        Some(run) if is_followed && !run.state.is_ended() => Ok(run.id),
        Some(_) | None => Err(no_attempt_yet(context, Some(store), target)),
    }
}

fn no_attempt_yet(context: &Context, store: Option<&Store>, name: &str) -> Failure {
    match Jobs::load(context, store).map(|jobs| jobs.find(name).map(|_| ())) {
        Ok(Err(no_such_job)) => no_such_job,
        Ok(Ok(())) => Failure::no(format!("job `{name}`: no run has started yet")),
        Err(_) => Failure::not_found(format!("job `{name}`: no such job")),
    }
}

/// Returns the requested attempt, else the newest one.
fn attempt_of(run: &RunRow, asked: Option<u32>) -> Result<u32> {
    match asked.unwrap_or(run.attempt) {
        0 => Err(Failure::no(format!("run {} has not started yet ({})", run.id, run.state))),
        attempt if attempt > run.attempt => Err(Failure::not_found(format!(
            "run {}: no attempt {attempt}, only {}",
            run.id, run.attempt
        ))),
        attempt => Ok(attempt),
    }
}

/// Returns all output of an attempt so far.
pub(crate) fn snapshot(
    context: &Context,
    store: &Store,
    run: &RunRow,
    attempt: u32,
) -> Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut position = 0;
    if run.state == State::Running
        && run.attempt == attempt
        && let Some(live) = Live::open(context.state_dir()?, run)
    {
        while let Some(look) = live.look(position).context("output cannot be read")? {
            pieces.extend(look.pieces);
            position = look.position;
            if !look.has_more {
                return Ok(pieces);
            }
        }
    }
    if let Some(output) = store.output(run.id, attempt)? {
        pieces.extend(pieces::rest(output, position));
    }
    Ok(pieces)
}

/// Returns the kept output of an ended attempt.
struct Kept<'a> {
    run: &'a RunRow,
    attempt: u32,
    pieces: &'a [Piece],
}

impl Serialize for Kept<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let left_out: u64 = self.pieces.iter().map(|piece| piece.left_out).sum();
        let bytes: Vec<&[u8]> = self.pieces.iter().map(|piece| &*piece.bytes).collect();
        let bytes = bytes.concat();
        let mut value = json!({
            "run": self.run.id,
            "job": self.run.job,
            "attempt": self.attempt,
            "output": String::from_utf8_lossy(&bytes),
            "left_out_bytes": left_out,
        });
        if std::str::from_utf8(&bytes).is_err() {
            value["output_base64"] = STANDARD.encode(&bytes).into();
        }
        value.serialize(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::run::tests::sample_run;

    #[test]
    fn only_attempts_that_were_made_can_be_read() {
        let run = RunRow { attempt: 2, ..sample_run() };
        assert_eq!(attempt_of(&run, None), Ok(2));
        assert_eq!(attempt_of(&run, Some(1)), Ok(1));
        assert_eq!(attempt_of(&run, Some(3)).map_err(|failure| failure.code), Err(Exit::NotFound));
        let waiting = RunRow { attempt: 0, state: State::Queued, ..sample_run() };
        assert_eq!(attempt_of(&waiting, None).map_err(|failure| failure.code), Err(Exit::No));
    }

    #[test]
    fn output_that_is_no_text_stands_in_json_twice() {
        let pieces = vec![
            Piece { left_out: 0, bytes: b"a\xff".to_vec() },
            Piece { left_out: 7, bytes: b"z".to_vec() },
        ];
        let kept = Kept { run: &sample_run(), attempt: 1, pieces: &pieces };
        let text = json!(kept).to_string();
        let expected = "{\"run\":412,\"job\":\"backup\",\"attempt\":1,\"output\":\"a\u{fffd}z\",\"left_out_bytes\":7,\"output_base64\":\"Yf96\"}";
        assert_eq!(text, expected);
    }
}
