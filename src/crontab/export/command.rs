//! Writes the command of a job as the rest of a crontab's line.

use super::{Export, Remarks, Variables};
use crate::core::job::{CommandLine, EnvValue, Job};
use crate::core::shell;

/// Shells with the `export`, `cd` and `umask` of sh(1).
const SHELLS: &[&str] = &["sh", "bash", "dash", "zsh", "ksh", "ash", "mksh", "busybox"];

/// Returns the command with its setup before it, `%` escaped, and its standard input after it.
pub(super) fn text(
    export: &Export<'_>,
    common: &Variables<'_>,
    remarks: &mut Remarks<'_>,
) -> String {
    let job = export.job;
    let policy = &job.policy;
    let mut is_simple = true;
    let command = match (&job.command, &*policy.shell) {
        (CommandLine::Exec(words), _) => quoted(words.iter().map(|word| &**word)),
        (CommandLine::Shell(text), [_, flag]) if &**flag == "-c" => {
            is_simple = !text
                .contains([';', '&', '|', '(', ')', '{', '}', '`', '$', '=', '<', '>', '#', '\n']);
            text.to_string()
        }
        // The shell with its options, given the text and the job's name as jobctl gives them.
        (CommandLine::Shell(text), shell) => {
            let words = shell.iter().map(|word| &**word);
            quoted(words.chain([&**text, job.name.as_str()]))
        }
    };
    let nice = match policy.nice {
        0 => String::new(),
        nice => format!("nice -n {nice} "),
    };
    let output = policy.output_file.as_deref().map(|path| format!(" >>{} 2>&1", quote(path)));
    let command = if is_simple || (nice.is_empty() && output.is_none()) {
        command
    } else {
        let shell = policy.shell.first().map_or("/bin/sh", |shell| &**shell);
        quoted([shell, "-c", command.as_str()])
    };
    let command = nice + &command + &output.unwrap_or_default();
    let command = preamble(export, common, remarks) + &command;
    if command.contains("JOBCTL_") {
        remarks.add("command", "uses JOBCTL_ variables, which cron does not set");
    }
    with_input(&command, policy.stdin.as_deref(), remarks)
}

/// Returns the variables that all jobs share and that an environment line can express, except those
/// with a meaning for cron.
pub(super) fn common<'a>(jobs: &[&'a Export<'a>]) -> Variables<'a> {
    const VALUE_MAX: usize = 900;
    let is_crons = |name: &str| {
        matches!(name, "SHELL" | "HOME" | "USER" | "LOGNAME" | "RANDOM_DELAY")
            || ["MAIL", "CRON", "CONTENT_"].iter().any(|begin| name.starts_with(begin))
    };
    let is_name = |name: &str| {
        !name.starts_with(|c: char| c.is_ascii_digit())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let is_value = |value: &str| {
        value.len() + 1 < VALUE_MAX
            && !value.contains(char::is_control)
            && !(value.contains('"') && value.contains('\''))
    };
    let Some((first, rest)) = jobs.split_first() else {
        return Variables::new();
    };
    let variables = first.job.policy.env.iter().filter_map(|(name, value)| {
        let EnvValue::Text(text) = value else {
            return None;
        };
        let has = |export: &&Export<'_>| {
            let mut env = export.job.policy.env.iter();
            env.any(|other| (&other.0, &other.1) == (name, value))
        };
        let is_common = !is_crons(name) && is_name(name) && is_value(text) && rest.iter().all(has);
        is_common.then_some((&**name, &**text))
    });
    variables.collect()
}

/// Returns whether an environment line above the command sets this variable.
fn is_given(export: &Export<'_>, common: &Variables<'_>, name: &str, value: &str) -> bool {
    match name {
        "SHELL" => value == line_shell(export.job),
        "MAILTO" => value == export.job.policy.mailto.as_deref().unwrap_or_default(),
        "MAILFROM" => Some(value) == export.job.policy.mail_from.as_deref(),
        "CRON_TZ" => export.zone == Some(value),
        _ => common.get(name) == Some(&value),
    }
}

/// Returns the shell that cron starts for a job.
pub(super) fn line_shell(job: &Job) -> &str {
    match (&job.command, &*job.policy.shell) {
        (CommandLine::Shell(_), [shell, flag]) if &**flag == "-c" => shell,
        (CommandLine::Shell(_) | CommandLine::Exec(_), _) => "/bin/sh",
    }
}

/// Returns the setup in the shell: umask, environment, working directory.
fn preamble(export: &Export<'_>, common: &Variables<'_>, remarks: &mut Remarks<'_>) -> String {
    let job = export.job;
    let policy = &job.policy;
    let mut text = String::new();
    if policy.umask != 0o022 {
        text.push_str(&format_umask(policy.umask));
    }
    for (name, value) in &policy.env {
        match value {
            EnvValue::Text(value) if is_given(export, common, name, value) => {}
            EnvValue::Text(value) => {
                text.push_str("export ");
                text.push_str(name);
                text.push('=');
                text.push_str(&quote(value));
                text.push_str("; ");
            }
            EnvValue::File(_) => {
                remarks.refuse("env", format!("{name}: cron cannot read a value from a file"))
            }
        }
    }
    if let Some(dir) = &policy.cwd {
        text.push_str("cd ");
        text.push_str(&quote(dir));
        // All parts of the command depend on the setup.
        text.push_str(" || exit; ");
    }
    let shell = match &job.command {
        CommandLine::Shell(_) if policy.shell.len() == 2 => &*policy.shell[0],
        CommandLine::Shell(_) | CommandLine::Exec(_) => "/bin/sh",
    };
    let name = shell.rsplit('/').next().unwrap_or(shell);
    let is_set_up = !text.is_empty() || policy.output_file.is_some();
    if is_set_up && !SHELLS.contains(&name) {
        remarks.refuse(
            "shell",
            format!("{shell}: umask, env, cwd and output_file cannot be written for this shell"),
        );
    }
    text
}

fn format_umask(mask: u32) -> String {
    format!("umask {mask:03o}; ")
}

/// Escapes `%` and appends the standard input to the command (do_command.c: `%` is a line feed,
/// `\%` a percent sign).
fn with_input(command: &str, stdin: Option<&str>, remarks: &mut Remarks<'_>) -> String {
    if command.contains(['\n', '\0']) {
        remarks.refuse("command", "has several lines");
        return command.to_owned();
    }
    if has_odd_backslashes_before_percent(command) {
        remarks.refuse("command", "has a backslash before a percent sign");
    }
    if command.contains("\\\\") {
        remarks.add(
            "command",
            "pairs of backslashes are doubled, because Debian's cron halves them; cronie does not",
        );
    }
    let mut text = escaped(command);
    let Some(stdin) = stdin.filter(|stdin| !stdin.is_empty()) else {
        return text;
    };
    if command.ends_with('\\') || stdin.contains("\\\n") {
        remarks.refuse("stdin", "has a backslash at the end of a line");
    }
    if !stdin.ends_with('\n') {
        remarks.add("stdin", "gets a line feed at the end");
    }
    // Cron ends the last line itself, but adds no empty one.
    let body = stdin.strip_suffix('\n').filter(|body| !body.is_empty() && !body.ends_with('\n'));
    text.push('%');
    text.push_str(&body.unwrap_or(stdin).replace('%', "\\%").replace('\n', "%"));
    text
}

/// Escapes a command for Debian's cron: it reads `\%` as `%`, `\\` as `\`, and any other backslash
/// as itself.
fn escaped(command: &str) -> String {
    let mut text = String::with_capacity(command.len());
    let mut rest = command;
    while let Some(at) = rest.find(['\\', '%']) {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let count = rest.bytes().take_while(|byte| *byte == b'\\').count();
        match count {
            0 => text.push_str("\\%"),
            1 => text.push('\\'),
            count => text.push_str(&"\\".repeat(2 * count)),
        }
        rest = &rest[count.max(1)..];
    }
    text + rest
}

/// Returns whether an odd number of backslashes precedes a percent sign: cron would read the last
/// one as an escape.
fn has_odd_backslashes_before_percent(text: &str) -> bool {
    text.match_indices('%').any(|(at, _)| {
        let before = text[..at].bytes().rev();
        before.take_while(|byte| *byte == b'\\').count() % 2 == 1
    })
}

/// Quotes words for a shell.
fn quoted<'t>(words: impl IntoIterator<Item = &'t str>) -> String {
    words.into_iter().map(quote).collect::<Vec<_>>().join(" ")
}

/// Quotes a word for a shell: unchanged if it has no special characters, else in single quotes.
fn quote(word: &str) -> String {
    shell::quote(word, |c| c.is_ascii_alphanumeric() || "/._-+:,@".contains(c))
}

/// Writes the value of an environment line for cron (load_env), in quotes if blanks or quotes
/// matter.
pub(super) fn value(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+:,@".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    let mark = if text.contains('"') { '\'' } else { '"' };
    format!("{mark}{text}{mark}")
}
