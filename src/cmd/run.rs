//! `jobctl run`: the supervisor, in the foreground.

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Out;
use crate::cli;

/// Answers `jobctl run`.
pub(crate) fn answer(_context: &Context, args: &cli::Run, _out: &mut Out) -> Result<Exit, Failure> {
    refuse_names(args)?;
    Err(Failure::system("run: not implemented yet"))
}

/// Who names a job wants to run it, not the supervisor.
fn refuse_names(args: &cli::Run) -> Result<(), Failure> {
    let Some(name) = args.names.first() else {
        return Ok(());
    };
    let name = name.display();
    Err(Failure::usage(format!(
        "run: takes no name (`{name}`): it is the supervisor"
    ))
    .hint(format!("to run the job now, use `jobctl enqueue {name}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_job_is_a_hint_to_enqueue() {
        let args = cli::Run {
            on_stop: None,
            names: vec!["backup".into()],
        };
        let failure = refuse_names(&args).unwrap_err();
        assert_eq!(failure.code, Exit::Usage);
        assert_eq!(
            failure.hint.unwrap(),
            "to run the job now, use `jobctl enqueue backup`"
        );
    }
}
