//! Turns clap's answers into ours: help goes to standard output, errors become a [`Failure`] in the
//! house's form.

use std::ffi::OsString;
use std::fmt::Write as _;

use clap::CommandFactory;
use clap::error::ErrorKind;

use crate::cli::Cli;
use crate::cmd::{Exit, Failure, Out, Result};

/// Answers a command line that clap did not take, or that asked for help.
pub(crate) fn answer(error: &clap::Error, out: &mut Out) -> Result<Exit> {
    let kind = error.kind();
    if matches!(kind, ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let text = error.render();
        let text = if out.has_color { text.ansi().to_string() } else { text.to_string() };
        out.bytes(text.as_bytes())?;
        out.flush()?;
        return Ok(Exit::Done);
    }
    if kind == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Err(Failure::usage("no command given").hint(
            "list the commands with `jobctl --help`, or see what runs with `jobctl status`",
        ));
    }
    Err(failure(error, std::env::args_os().skip(1)))
}

/// The first paragraph of clap's text is what is wrong, its tips are the hint.
fn failure(error: &clap::Error, words: impl Iterator<Item = OsString>) -> Failure {
    let text = error.render().to_string();
    let (mut message, mut hint) = (String::new(), String::new());
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with("Usage:") || line.starts_with("For more information") {
            break;
        }
        match (line.strip_prefix("error: "), line.strip_prefix("tip: ")) {
            (Some(rest), _) => message.push_str(rest),
            (_, Some(tip)) => push_part(&mut hint, tip, "; "),
            _ if line.is_empty() => {}
            _ => push_part(&mut message, line, " "),
        }
    }
    push_part(&mut hint, &format!("see `{} --help`", command_name(words)), "; ");
    Failure::usage(message).hint(hint)
}

fn push_part(text: &mut String, part: &str, between: &str) {
    let between = if text.is_empty() { "" } else { between };
    write!(text, "{between}{part}").expect("writing into a string cannot fail");
}

/// The command that was called, as far as one can tell: the first word that is one.
fn command_name(words: impl Iterator<Item = OsString>) -> String {
    let cli = Cli::command();
    let mut names = words
        .filter_map(|word| cli.find_subcommand(&word).map(|found| found.get_name().to_owned()));
    names.next().map_or_else(|| "jobctl".to_owned(), |name| format!("jobctl {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure_of(line: &str) -> Failure {
        failure(
            &Cli::read(line.split(' '), None).unwrap_err(),
            line.split(' ').skip(1).map(OsString::from),
        )
    }

    #[test]
    fn a_misspelt_command_is_guessed() {
        let failure = failure_of("jobctl encueue");
        assert_eq!(failure.message, "unrecognized subcommand 'encueue'");
        assert_eq!(
            failure.hint.unwrap(),
            "a similar subcommand exists: 'enqueue'; see `jobctl --help`"
        );
    }

    #[test]
    fn a_bad_id_names_the_value_and_the_command() {
        let failure = failure_of("jobctl show abc");
        assert_eq!(
            failure.message,
            "invalid value 'abc' for '<ID>': invalid digit found in string"
        );
        assert_eq!(failure.hint.unwrap(), "see `jobctl show --help`");
    }

    #[test]
    fn what_is_missing_is_named() {
        let failure = failure_of("jobctl retry");
        assert!(failure.message.contains("<IDS>"), "{failure:?}");
        assert_eq!(failure.code, Exit::Usage);
    }
}
