//! Handles clap's errors: help goes to standard output, usage errors become a [`Failure`].

use std::error::Error as _;
use std::ffi::OsString;
use std::fmt::Write as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, FromArgMatches};

use crate::cli::{Cli, Global, IdError};
use crate::cmd::{Context, Exit, Failure, Out, Result};
use crate::core::job::Name;

/// Answers a command line that clap rejected or that asks for help.
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

/// Describes the error in our words, else by the first paragraph of clap's text; its tips become
/// the hint.
fn failure(error: &clap::Error, words: impl Iterator<Item = OsString>) -> Failure {
    let words: Vec<OsString> = words.collect();
    let command = command_of(words.iter().cloned());
    let name =
        command.as_ref().map_or("jobctl".to_owned(), |it| format!("jobctl {}", it.get_name()));
    let see = format!("see `{name} --help`");
    if let Some(wrong) = error.source().and_then(|source| source.downcast_ref::<IdError>()) {
        let hint = match wrong {
            IdError::NoNumber(text) if takes_job(command.as_ref()) && Name::parse(text).is_ok() => {
                let hint = format!("`{name} --job {text}`");
                match options_of(&words) {
                    Some(global) => Context::of_process(global).reaching(&hint).into_owned(),
                    None => hint,
                }
            }
            IdError::NoNumber(_) | IdError::TooSmall => see,
        };
        return Failure::usage(wrong.to_string()).hint(hint);
    }
    if let Some(message) = conflict(error) {
        return Failure::usage(message).hint(see);
    }
    if lacks_ids(error) && takes_job(command.as_ref()) {
        return Failure::usage("give an id or a filter").hint(see);
    }
    let text = error.render().to_string();
    let (mut message, mut hint) = (String::new(), String::new());
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with("Usage:") || line.starts_with("For more information") {
            break;
        }
        match (line.strip_prefix("error: "), line.strip_prefix("tip: ")) {
            (Some(rest), _) => {
                message.push_str(&rest.replace("unrecognized subcommand", "unknown verb"));
            }
            (_, Some(tip)) => push_part(&mut hint, &tip.replace("subcommand", "verb"), "; "),
            _ if line.is_empty() => {}
            _ => push_part(&mut message, line, " "),
        }
    }
    push_part(&mut hint, &see, "; ");
    Failure::usage(message).hint(hint)
}

fn push_part(text: &mut String, part: &str, between: &str) {
    let between = if text.is_empty() { "" } else { between };
    write!(text, "{between}{part}").expect("writing into a string cannot fail");
}

/// Returns the called command, as far as one can tell: the first word that is a command.
fn command_of(mut words: impl Iterator<Item = OsString>) -> Option<clap::Command> {
    let cli = Cli::command();
    words.find_map(|word| cli.find_subcommand(&word).cloned())
}

/// Returns the global options of a command line that does not parse.
fn options_of(words: &[OsString]) -> Option<Global> {
    let command = Cli::command().ignore_errors(true).no_binary_name(true);
    Global::from_arg_matches(&command.try_get_matches_from(words).ok()?).ok()
}

/// Returns whether both ids and filters are missing.
fn lacks_ids(error: &clap::Error) -> bool {
    let missing = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::Strings(missing)) => missing.as_slice(),
        _ => &[],
    };
    error.kind() == ErrorKind::MissingRequiredArgument
        && missing.iter().any(|it| it.contains("<IDS>"))
}

/// Returns whether the command can select runs by job.
fn takes_job(command: Option<&clap::Command>) -> bool {
    command.is_some_and(|it| it.get_arguments().any(|arg| arg.get_long() == Some("job")))
}

/// Describes a conflict: an option given twice, or ids together with filters.
fn conflict(error: &clap::Error) -> Option<String> {
    if error.kind() != ErrorKind::ArgumentConflict {
        return None;
    }
    let Some(ContextValue::String(one)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let other = error.get(ContextKind::PriorArg)?;
    if matches!(other, ContextValue::String(other) if other == one) {
        let option = one.split_whitespace().next().unwrap_or(one);
        return Some(format!("`{option}` was given twice"));
    }
    one.contains("[IDS]").then(|| "give either ids or filters, not both".to_owned())
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
        assert_eq!(failure.message, "unknown verb 'encueue'");
        assert_eq!(failure.hint.unwrap(), "a similar verb exists: 'enqueue'; see `jobctl --help`");
    }

    #[test]
    fn what_is_wrong_with_ids_and_filters_is_said_in_plain_words() {
        for (line, message, hint) in [
            ("jobctl show abc", "`abc` is not a run id", "see `jobctl show --help`"),
            ("jobctl show 0", "run ids start at 1", "see `jobctl show --help`"),
            ("jobctl retry hourly", "`hourly` is not a run id", "`jobctl retry --job hourly`"),
            (
                "jobctl --jobfile /x cancel a --dry-run",
                "`a` is not a run id",
                "`jobctl --jobfile /x cancel --job a`",
            ),
            ("jobctl cancel", "give an id or a filter", "see `jobctl cancel --help`"),
            ("jobctl cancel 1 a/b", "`a/b` is not a run id", "see `jobctl cancel --help`"),
            ("jobctl enqueue --after 3,x a", "`x` is not a run id", "see `jobctl enqueue --help`"),
            (
                "jobctl cancel 3 --state queued",
                "give either ids or filters, not both",
                "see `jobctl cancel --help`",
            ),
            (
                "jobctl why a --at 02:30 --at 03:30",
                "`--at` was given twice",
                "see `jobctl why --help`",
            ),
        ] {
            let failure = failure_of(line);
            assert_eq!((failure.message.as_str(), failure.hint.as_deref()), (message, Some(hint)));
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let failure = failure_of("jobctl show");
        assert!(failure.message.contains("<ID>"), "{failure:?}");
        assert_eq!(failure.code, Exit::Usage);
    }
}
