//! `jobctl completions`: scripts for shells, made from the command line's own definition.
//!
//! Clap's scripts complete commands and options; the parts added here complete job names and run
//! ids by calling `jobctl __complete`. The installed scripts are in `completions/`; a test fails
//! when they are stale.

use clap::{Command, CommandFactory};
use clap_complete::aot;

use crate::cli::{self, Cli, Shell};
use crate::cmd::{Exit, Out, Result};

const BASH_WORDS: &str = include_str!("../../../completions/words.bash");
const ZSH_WORDS: &str = include_str!("../../../completions/words.zsh");
const FISH_WORDS: &str = include_str!("../../../completions/words.fish");

/// Where clap's script begins to register what it has defined.
const BASH_END: &str = "\nif [[ \"${BASH_VERSINFO[0]}\" -eq 4";
const ZSH_END: &str = "if [ \"$funcstack[1]\" = \"_jobctl\" ]";

/// Answers `jobctl completions`.
pub(crate) fn answer(args: &cli::Completions, out: &mut Out) -> Result<Exit> {
    out.bytes(script(args.shell).as_bytes())?;
    Ok(Exit::Done)
}

/// The script of a shell.
fn script(shell: Shell) -> String {
    match shell {
        Shell::Bash => bash(),
        Shell::Zsh => zsh(),
        Shell::Fish => generated(aot::Shell::Fish) + FISH_WORDS,
    }
}

/// Clap's function stays, but another one is registered, which calls it.
fn bash() -> String {
    let script = generated(aot::Shell::Bash);
    let functions = script.find(BASH_END).map_or(&*script, |end| &script[..end]);
    functions.to_owned() + BASH_WORDS
}

/// Where clap completes a job or a run with files, our functions come in.
fn zsh() -> String {
    let mut script = String::new();
    for line in generated(aot::Shell::Zsh).lines() {
        if line.starts_with(ZSH_END) {
            script.push_str(ZSH_WORDS);
        }
        match zsh_words(line) {
            Some(words) => script.push_str(&line.replace(":_default'", &format!(":{words}'"))),
            None => script.push_str(line),
        }
        script.push('\n');
    }
    script
}

/// The function that completes the argument of a line of zsh's `_arguments`.
fn zsh_words(line: &str) -> Option<&'static str> {
    let argument = line.trim_start_matches(['\'', '*', ':']);
    let functions = [
        ("job -- ", "_jobctl_jobs"),
        ("jobs -- ", "_jobctl_jobs"),
        ("--job=", "_jobctl_jobs"),
        ("words -- ", "_jobctl_jobs"),
        ("id -- ", "_jobctl_runs"),
        ("ids -- ", "_jobctl_runs"),
        ("target -- ", "_jobctl_jobs_and_runs"),
    ];
    functions
        .iter()
        .find(|(start, _)| line.starts_with('\'') && argument.starts_with(start))
        .map(|(_, function)| *function)
}

fn generated(shell: aot::Shell) -> String {
    let mut script = Vec::new();
    aot::generate(shell, &mut visible(&Cli::command()), "jobctl", &mut script);
    String::from_utf8(script).expect("names and help texts are text")
}

/// The command line without its hidden commands, which clap's scripts would offer.
fn visible(cli: &Command) -> Command {
    let commands = cli.get_subcommands().filter(|command| !command.is_hide_set());
    Command::new("jobctl")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_subcommand(true)
        .args(cli.get_arguments())
        .subcommands(commands)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_and_runs_are_asked_for() {
        let bash = bash();
        assert!(bash.ends_with(BASH_WORDS) && bash.matches("complete -F").count() == 1);
        let zsh = zsh();
        assert!(zsh.contains(ZSH_WORDS));
        for (line, times) in [
            ("'*::ids -- Ids of runs:_jobctl_runs'", 5),
            (":_jobctl_jobs_and_runs'", 2),
            ("'::job -- Name of the job:_jobctl_jobs'", 2),
            ("arguments of its command:_jobctl_jobs'", 4),
        ] {
            assert_eq!(zsh.matches(line).count(), times, "{line}");
        }
    }

    #[test]
    fn hidden_commands_are_not_offered() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script(shell);
            assert!(!script.contains("jobctl,__complete"));
            assert!(!script.contains("Print words for a shell"));
        }
    }
}
