//! Parses one line of a crontab like cron (load_user, load_env and load_entry of Vixie's cron, with
//! cronie's additions).

use super::env;
use super::fields::{self, Fields};
use crate::core::noun::count;

/// The kind of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// An empty line.
    Blank,
    /// A comment, with its `#`.
    Comment(String),
    /// A variable for the lines after it.
    Variable {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
        /// A note about its syntax.
        remark: Option<String>,
    },
    /// A line that starts a command.
    Entry(Entry),
    /// A line that cron refuses or that has no equivalent, and why.
    Bad(String),
}

/// A line that starts a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The schedule as written.
    pub(super) written: String,
    /// The schedule for jobctl.
    pub(super) schedule: String,
    /// The user column.
    pub(super) user: Option<String>,
    /// The rest of the line.
    pub(super) rest: String,
    /// Notes about how cron reads it.
    pub(super) remarks: Vec<String>,
}

/// The macros of crontab(5), case as in cron.
const MACROS: [&str; 8] =
    ["@reboot", "@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

/// Parses a line without its line feed and carriage return.
pub(super) fn read(bytes: &[u8], has_user: bool) -> Line {
    let bytes = trim_start(bytes);
    match bytes.first() {
        None => return Line::Blank,
        Some(b'#') => return Line::Comment(String::from_utf8_lossy(bytes).into_owned()),
        Some(_) => {}
    }
    if bytes.contains(&0) {
        return Line::Bad("contains a NUL byte, which ends the line for cron".to_owned());
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Line::Bad("not UTF-8, which a jobfile requires".to_owned());
    };
    if let Some((name, value)) = env::read(text) {
        return variable(text, name, value);
    }
    entry(text, has_user).map_or_else(Line::Bad, Line::Entry)
}

fn variable(text: &str, name: String, value: String) -> Line {
    if name.is_empty() {
        return Line::Bad("a variable without a name".to_owned());
    }
    if name.starts_with("JOBCTL_") {
        return Line::Bad(format!("{name} is set by jobctl itself"));
    }
    let remark = if value.is_empty() && env::is_bare(text) {
        Some(format!(
            "`{name}=` is empty, as in cronie; Debian's cron rejects a crontab with such a \
                 line: write {name}=\"\""
        ))
    } else if value.contains('$') {
        Some(format!("neither cron nor jobctl expands `$` in variables: {name} is `{value}`"))
    } else {
        None
    };
    Line::Variable { name, value, remark }
}

fn entry(text: &str, has_user: bool) -> Result<Entry, String> {
    let mut remarks = Vec::new();
    let text = match text.strip_prefix('-') {
        Some(rest)
            if rest.starts_with(['*', '@', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']) =>
        {
            remarks.push(
                "the leading `-` keeps it out of cronie's log; jobctl records all runs".to_owned(),
            );
            rest
        }
        Some(_) | None => text,
    };
    let (written, schedule, rest) = schedule(text, &mut remarks)?;
    let (user, rest) = if has_user {
        let (user, rest) = word(rest);
        if trim(rest).is_empty() {
            return Err("no command after the user column".to_owned());
        }
        (Some(user.to_owned()), rest.get(1..).unwrap_or_default())
    } else {
        (None, rest)
    };
    match rest.trim_start_matches([' ', '\t']).chars().next() {
        None => Err("no command".to_owned()),
        Some('*') if !has_user => Err("six fields: cron's first field is the minute".to_owned()),
        Some('%') => Err("no command before `%`".to_owned()),
        Some('-') => {
            Err("the command begins with `-`, a flag that only OpenBSD's cron has".to_owned())
        }
        Some(_) => Ok(Entry { written, schedule, user, rest: rest.to_owned(), remarks }),
    }
}

/// How commands begin in comments that explain the fields.
const LEGENDS: [&str; 5] =
    ["command to ", "user-name ", "<command", "/path/to/", "tar -zcf /var/backups/home.tgz /home/"];

/// Parses a comment as a line that was commented out; `None` if it is more likely prose.
pub(super) fn commented_out(comment: &str, has_user: bool) -> Option<Entry> {
    let text = comment.trim_start_matches(['#', ' ', '\t']);
    let Ok(entry) = entry(text, has_user) else {
        return None;
    };
    let command = trim(&entry.rest);
    let is_legend = LEGENDS.iter().any(|begin| command.starts_with(begin))
        || entry.user.as_deref() == Some("user-name");
    // "@daily is enough" is a sentence.
    let is_command = !entry.written.starts_with('@') || command.contains('/');
    (is_command && !is_legend && !text.contains('\0')).then_some(entry)
}

/// Returns the schedule as written and for jobctl, and the rest of the line.
fn schedule<'a>(
    text: &'a str,
    remarks: &mut Vec<String>,
) -> Result<(String, String, &'a str), String> {
    if text.starts_with('@') {
        let (name, rest) = word(text);
        let schedule = macro_of(name)?;
        return Ok((name.to_owned(), schedule, trim(rest)));
    }
    let mut rest = text;
    let mut words = [""; 5];
    for (index, field) in words.iter_mut().enumerate() {
        (*field, rest) = word(trim(rest));
        if field.is_empty() {
            return Err(format!(
                "neither `NAME = value` nor five fields and a command: it ends after {}",
                count(index, "field")
            ));
        }
    }
    let written = words.join(" ");
    match fields::read(&words)? {
        Fields::Fires { text, rewritten } => {
            remarks.extend(
                rewritten
                    .into_iter()
                    .map(|(old, new)| format!("written as `{new}`: cron reads `{old}` that way")),
            );
            Ok((written, text, trim(rest)))
        }
        Fields::Never(meant) => {
            let meant = meant.map(|meant| format!("; {meant}")).unwrap_or_default();
            Err(format!("cron accepts this but never runs it{meant}"))
        }
    }
}

fn macro_of(name: &str) -> Result<String, String> {
    if MACROS.contains(&name) {
        return Ok(name.to_owned());
    }
    if name == "@every_minute" {
        return Ok("* * * * *".to_owned());
    }
    let shown: String = name.chars().take(40).collect();
    let lower = shown.to_ascii_lowercase();
    if MACROS.contains(&lower.as_str()) {
        return Err(format!("cron has no `{shown}`, only `{lower}`"));
    }
    if name == "@every_second" || name.get(1..).is_some_and(|rest| rest.parse::<u32>().is_ok()) {
        return Err(format!(
            "`{shown}` is FreeBSD's and counts from the end of the last run; `@every` counts \
                 from its start"
        ));
    }
    Err(format!("`{shown}` is not a macro of cron"))
}

/// Splits a text at the next blank or tab.
fn word(text: &str) -> (&str, &str) {
    text.split_at(text.find([' ', '\t']).unwrap_or(text.len()))
}

fn trim(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

fn trim_start(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|byte| !matches!(byte, b' ' | b'\t'));
    bytes.get(start.unwrap_or(bytes.len())..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry_of(text: &str, has_user: bool) -> Entry {
        match read(text.as_bytes(), has_user) {
            Line::Entry(entry) => entry,
            other @ (Line::Blank | Line::Comment(_) | Line::Variable { .. } | Line::Bad(_)) => {
                panic!("{text}: {other:?}")
            }
        }
    }

    #[test]
    fn blanks_between_fields_do_not_matter_and_those_of_the_command_stay() {
        let entry = entry_of(" \t5\t 4  * * 1-5  \t cmd  a ", false);
        assert_eq!(entry.schedule, "5 4 * * 1-5");
        assert_eq!(entry.rest, "cmd  a ");
    }

    #[test]
    fn a_user_column_is_a_word_and_the_blanks_behind_it_are_those_of_the_log() {
        let entry = entry_of("17 * * * *\troot   cd / && x", true);
        assert_eq!(entry.user.as_deref(), Some("root"));
        assert_eq!(entry.rest, "  cd / && x");
    }

    #[test]
    fn macros_are_those_of_cron() {
        for name in MACROS {
            assert_eq!(entry_of(&format!("{name} x"), false).schedule, name);
        }
        assert_eq!(entry_of("@every_minute x", false).schedule, "* * * * *");
    }

    #[test]
    fn what_cron_does_not_start_is_listed_with_the_reason() {
        for (text, has_user) in [
            ("@Daily x", false),
            ("@every 5m x", false),
            ("@60 x", false),
            ("@daily", false),
            ("* * * * *", false),
            ("* * * * * ", false),
            ("* * * *", false),
            ("* * * * * * x", false),
            ("* * * * * %x", false),
            ("* * * * * -n x", false),
            ("* * * * * root", true),
            ("*\u{a0}* * * * x", false),
            ("0 0 30 2 * x", false),
            ("=x", false),
            ("JOBCTL_RUN=1", false),
            ("nonsense", false),
            ("a\0b", false),
        ] {
            let line = read(text.as_bytes(), has_user);
            assert!(matches!(line, Line::Bad(_)), "{text}: {line:?}");
        }
        assert!(matches!(read(b"* * * * * \xff", false), Line::Bad(_)));
    }

    #[test]
    fn the_dash_of_cronie_is_taken_off() {
        assert_eq!(entry_of("-*/5 * * * * x", false).schedule, "*/5 * * * *");
    }
}
