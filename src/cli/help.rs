//! The command line as a whole: its verbs in groups, and the help of the terminal's width.

use std::ffi::OsString;
use std::fmt::Write as _;

use clap::{Command, CommandFactory, FromArgMatches};

use super::Cli;

/// The verbs of a first day, then the groups of `cmd`.
const GROUPS: [(&str, &[&str]); 6] = [
    ("First day", &["init", "check", "run", "status", "retry"]),
    ("Look", &["next", "runs", "show", "why", "logs", "stats", "report", "metrics"]),
    ("Control", &["enqueue", "exec", "cancel", "ack", "wait", "pause", "resume"]),
    ("Jobfile", &["edit", "reload"]),
    ("Move", &["import", "export"]),
    ("Care", &["doctor", "prune", "backup", "restore", "token", "completions", "man", "help"]),
];

/// Where the description of a verb begins.
const INDENT: usize = 15;

/// The width of help that is not on a terminal, and the widest that is read with ease.
const WIDTH_MAX: usize = 100;

impl Cli {
    /// Parses a command line. `width` is the terminal's, in columns.
    pub(crate) fn read<W: Into<OsString> + Clone>(
        words: impl IntoIterator<Item = W>,
        width: Option<usize>,
    ) -> clap::error::Result<Self> {
        let mut command = grouped(Self::command(), width.unwrap_or(WIDTH_MAX).min(WIDTH_MAX));
        let matches = command.try_get_matches_from_mut(words)?;
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    }
}

fn grouped(command: Command, width: usize) -> Command {
    let mut command = command.term_width(width);
    command.build();
    command = command.mut_subcommand("help", |help| help.about("Show the help of a verb"));
    let header = *command.get_styles().get_header();
    let literal = *command.get_styles().get_literal();
    let mut verbs = String::new();
    for (title, names) in GROUPS {
        write_line(&mut verbs, format_args!("{header}{title}:{header:#}"));
        for name in names {
            let about = command.find_subcommand(name).map(described).unwrap_or_default();
            let about = wrapped(&about, width);
            let pad = INDENT - 2 - name.len();
            write_line(&mut verbs, format_args!("  {literal}{name}{literal:#}{:pad$}{about}", ""));
        }
        verbs.push('\n');
    }
    command.help_template(format!(
        "{{about}}\n\n{{usage-heading}} {{usage}}\n\n{verbs}{header}Options:{header:#}\n{{options}}{{after-help}}"
    ))
}

/// What a verb does, and what else it may be called.
fn described(verb: &Command) -> String {
    let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
    let aliases: Vec<&str> = verb.get_visible_aliases().collect();
    match aliases[..] {
        [] => about,
        [one] => format!("{about} [alias: {one}]"),
        _ => format!("{about} [aliases: {}]", aliases.join(", ")),
    }
}

fn write_line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("writing into a string cannot fail");
}

/// A description in lines that end before `width`, the later ones indented.
fn wrapped(about: &str, width: usize) -> String {
    let mut lines = vec![String::new()];
    for word in about.split(' ') {
        let line = lines.last_mut().expect("there is one");
        if !line.is_empty() && INDENT + line.len() + 1 + word.len() > width {
            lines.push(word.to_owned());
        } else {
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(word);
        }
    }
    lines.join(&format!("\n{:INDENT$}", ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn help(words: &[&str], width: usize) -> String {
        let words = ["jobctl"].iter().chain(words);
        let error = Cli::read(words, Some(width)).expect_err("help is no command");
        error.render().to_string()
    }

    #[test]
    fn each_verb_stands_in_one_group() {
        let mut grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| *names).copied().collect();
        let mut cli = Cli::command();
        cli.build();
        let mut verbs: Vec<&str> = cli
            .get_subcommands()
            .filter(|verb| !verb.is_hide_set())
            .map(Command::get_name)
            .collect();
        grouped.sort_unstable();
        verbs.sort_unstable();
        assert_eq!(grouped, verbs);
    }

    #[test]
    fn help_is_as_wide_as_the_terminal() {
        for width in [50, 60, 80, 100] {
            for words in [&["--help"][..], &["help", "enqueue"], &["status", "-h"]] {
                let help = help(words, width);
                let wide = help.lines().find(|line| line.len() > width);
                assert!(wide.is_none_or(|line| line.contains("jobctl ")), "{width}: {wide:?}");
            }
        }
    }

    #[test]
    fn each_verb_has_examples_that_are_command_lines() {
        let cli = Cli::command();
        for verb in cli.get_subcommands().filter(|verb| !verb.is_hide_set()) {
            let name = verb.get_name();
            let help = help(&["help", name], 200);
            let (_, examples) =
                help.split_once("\nExamples:\n").unwrap_or_else(|| panic!("{name}"));
            let lines = examples.lines().take_while(|line| !line.is_empty());
            let calls: Vec<&str> = lines.filter_map(|line| line.split("jobctl ").nth(1)).collect();
            assert!(!calls.is_empty(), "{name} has no examples");
            for call in calls {
                let call = call.split(['<', '>', '|', '&']).next().unwrap_or_default();
                let quoted = call.split('\'').enumerate();
                let words = quoted.flat_map(|(nth, part)| match nth % 2 {
                    0 => part.split_whitespace().collect(),
                    _ => vec![part],
                });
                let read = Cli::read(["jobctl"].into_iter().chain(words), None);
                assert!(read.is_ok(), "{name}: {call}: {read:?}");
            }
        }
    }

    #[test]
    fn a_description_is_at_most_ten_words() {
        let cli = Cli::command();
        for verb in cli.get_subcommands() {
            let about = verb.get_about().expect("a verb is described").to_string();
            assert!(about.split(' ').count() <= 10, "{about}");
        }
    }
}
