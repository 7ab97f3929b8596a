//! Writes a jobfile: comments and tables in the order of the crontabs, with the keys that all jobs
//! share in `[defaults]`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use super::draft::{Action, Draft, Item};
use crate::core::escape::is_harmful;

/// The limit of a jobfile in bytes.
const SIZE_MAX: usize = 4 << 20;
/// The length of a jobfile from which comments are omitted.
const COMMENTS_UNTIL: usize = 3 << 20;
/// The length to which a line that is kept as a comment is cut.
const COMMENT_MAX: usize = 64 << 10;

const OVERLAP: &str = "# As with cron, a job may overlap itself. You probably want `overlap = \"skip\"`, for a job \
     or here for all.";

/// A jobfile, and the indexes of jobs that do not fit into it.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// The text.
    pub(super) text: String,
    /// The indexes of jobs that are not in it.
    pub(super) left_out: Vec<usize>,
}

/// Writes a jobfile. All jobs must have their names.
pub(super) fn jobfile(items: &[Item], head: &str) -> Written {
    let shared = Shared::of(items);
    let mut out = Writer::default();
    for line in head.lines() {
        out.line(&comment(line));
    }
    shared.write(&mut out);
    let mut left_out = Vec::new();
    for (index, item) in items.iter().enumerate() {
        match item {
            Item::Comment(text) => out.block.push(comment(text)),
            Item::Break => out.end_block(),
            Item::Kept(unknown) => {
                out.block.push(comment(&format!(
                    "# Not imported ({}:{}): {}",
                    unknown.file, unknown.line, unknown.reason
                )));
                out.block.push(comment(&format!("# {}", unknown.text)));
                out.end_block();
            }
            Item::Job(draft) => {
                out.block.extend(draft.remarks.iter().map(|remark| comment(remark)));
                let table = shared.table(draft);
                let block: usize = out.block.iter().map(|line| line.len() + 1).sum();
                if out.text.len() + block + table.len() + 2 > SIZE_MAX {
                    left_out.push(index);
                    continue;
                }
                out.text.push('\n');
                out.flush_block();
                out.text.push_str(&table);
            }
        }
    }
    out.end_block();
    Written { text: out.text, left_out }
}

#[derive(Default)]
struct Writer {
    text: String,
    block: Vec<String>,
}

impl Writer {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Writes comments that do not belong to a job.
    fn end_block(&mut self) {
        if !self.block.is_empty() {
            self.text.push('\n');
        }
        self.flush_block();
    }

    fn flush_block(&mut self) {
        for line in std::mem::take(&mut self.block) {
            if self.text.len() + line.len() < COMMENTS_UNTIL {
                self.line(&line);
            }
        }
    }
}

/// The keys that all jobs share.
#[derive(Default)]
struct Shared<'a> {
    env: BTreeMap<&'a str, &'a str>,
    shell: Option<&'a str>,
    cwd: Option<&'a str>,
    mailto: Option<&'a str>,
    mail_from: Option<&'a str>,
    zone: Option<&'a str>,
    jitter: Option<&'a str>,
}

impl<'a> Shared<'a> {
    fn of(items: &'a [Item]) -> Self {
        let jobs = || {
            items.iter().filter_map(|item| match item {
                Item::Job(draft) => Some(draft.as_ref()),
                Item::Comment(_) | Item::Break | Item::Kept(_) => None,
            })
        };
        let Some(first) = jobs().next() else {
            return Self::default();
        };
        let mut shared = Self {
            env: BTreeMap::new(),
            shell: most_common(jobs().map(|job| job.shell.as_str())),
            cwd: first.cwd.as_deref(),
            mailto: most_common(jobs().map(|job| job.mailto.as_deref())).flatten(),
            mail_from: most_common(jobs().map(|job| job.mail_from.as_deref())).flatten(),
            zone: first.imported.zone.as_deref(),
            jitter: first.jitter.as_deref(),
        };
        for job in jobs() {
            let keep = |shared: Option<&'a str>, own: Option<&str>| {
                shared.filter(|shared| own == Some(*shared))
            };
            shared.cwd = keep(shared.cwd, job.cwd.as_deref());
            shared.zone = keep(shared.zone, job.imported.zone.as_deref());
            shared.jitter = keep(shared.jitter, job.jitter.as_deref());
        }
        // A job can override a default but not remove it.
        for name in first.env.keys() {
            let values = || jobs().map(|job| job.env.get(name));
            if values().all(|value| value.is_some()) {
                let value = most_common(values().flatten().map(String::as_str));
                shared.env.extend(value.map(|value| (name.as_str(), value)));
            }
        }
        shared
    }

    fn write(&self, out: &mut Writer) {
        if let Some(zone) = self.zone {
            out.line(&format!("\ntimezone = {}", string(zone)));
        }
        out.line("\n[defaults]");
        out.line(OVERLAP);
        out.line("overlap = \"allow\"");
        out.line(
            "# As with cron, a command gets the variables below, and HOME, LOGNAME, USER and \
             PATH=/usr/bin:/bin.",
        );
        out.line("inherit_env = false");
        if let Some(shell) = self.shell.filter(|shell| *shell != "/bin/sh") {
            out.line(&shell_line(shell));
        }
        for (name, value) in &self.env {
            out.line(&variable(name, value));
        }
        if let Some(cwd) = self.cwd {
            out.line(&format!("cwd = {}", string(cwd)));
        }
        if let Some(mailto) = self.mailto {
            out.line(&mail_lines(mailto));
        }
        if let Some(mail_from) = self.mail_from {
            out.line(&format!("mail_from = {}", string(mail_from)));
        }
        if let Some(jitter) = self.jitter {
            out.line(&format!("jitter = {}", string(jitter)));
        }
    }

    fn table(&self, draft: &Draft) -> String {
        let mut lines = vec![
            format!("[jobs.{}]", key(&draft.imported.job)),
            format!("schedule = {}", string(&draft.schedule)),
            match &draft.action {
                Action::Shell(text) => format!("command = {}", string(text)),
                Action::Script(path) => format!("command = [{}]", string(path)),
            },
        ];
        let mut add = |name: &str, value: Option<&str>| {
            lines.extend(value.map(|value| format!("{name} = {}", string(value))));
        };
        add("stdin", Some(draft.stdin.as_str()).filter(|stdin| !stdin.is_empty()));
        // This includes root: another user's supervisor has to refuse the job rather than run it
        // with other rights.
        add("user", draft.imported.user.as_deref());
        add("timezone", draft.imported.zone.as_deref().filter(|zone| Some(*zone) != self.zone));
        add("cwd", draft.cwd.as_deref().filter(|cwd| Some(*cwd) != self.cwd));
        add("jitter", draft.jitter.as_deref().filter(|jitter| Some(*jitter) != self.jitter));
        lines.extend(draft.keys.iter().map(|(name, value)| format!("{name} = {value}")));
        if self.shell != Some(draft.shell.as_str()) && matches!(draft.action, Action::Shell(_)) {
            lines.push(shell_line(&draft.shell));
        }
        let own = draft
            .env
            .iter()
            .filter(|(name, value)| self.env.get(name.as_str()) != Some(&value.as_str()));
        lines.extend(own.map(|(name, value)| variable(name, value)));
        lines.extend(self.mail(draft));
        lines.push(String::new());
        lines.join("\n")
    }

    /// Writes the keys about mail that differ from the defaults.
    fn mail(&self, draft: &Draft) -> Vec<String> {
        let mut lines = Vec::new();
        match (draft.mailto.as_deref(), self.mailto) {
            (own, shared) if own == shared => {}
            (Some(own), None) if !draft.is_quiet => lines.push(mail_lines(own)),
            (own, _) => lines.push(format!("mailto = {}", string(own.unwrap_or_default()))),
        }
        if draft.is_quiet && draft.mailto.is_some() {
            lines.push("mail_on = \"failure\"".to_owned());
        }
        let mail_from = draft.mail_from.as_deref();
        if mail_from != self.mail_from {
            lines.push(format!("mail_from = {}", string(mail_from.unwrap_or_default())));
        }
        lines
    }
}

/// Returns the most common value; the first one of a tie.
fn most_common<T: Copy + Eq + Hash>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut counts: HashMap<T, (usize, Reverse<usize>)> = HashMap::new();
    for (index, value) in values.enumerate() {
        counts.entry(value).or_insert((0, Reverse(index))).0 += 1;
    }
    counts.into_iter().max_by_key(|(_, rank)| *rank).map(|(value, _)| value)
}

fn shell_line(shell: &str) -> String {
    format!("shell = [{}, \"-c\"]", string(shell))
}

fn variable(name: &str, value: &str) -> String {
    format!("env.{} = {}", key(name), string(value))
}

fn mail_lines(mailto: &str) -> String {
    // Like cron, send each mail immediately.
    format!("mailto = {}\nmail_on = \"output\"\nhook_interval = \"0s\"", string(mailto))
}

/// Writes a TOML key.
fn key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !name.is_empty() && name.chars().all(is_bare) {
        return name.to_owned();
    }
    basic(name)
}

/// Writes a TOML value in its most readable form.
pub(super) fn string(text: &str) -> String {
    let has_control = text.chars().any(|c| is_harmful(c) && !matches!(c, '\t' | '\n'));
    let is_plain = !text.contains(['"', '\\', '\n']);
    if has_control || (is_plain && !text.contains('\t')) {
        return basic(text);
    }
    let has_lines = text.contains('\n');
    if !has_lines && !text.contains('\'') {
        return format!("'{text}'");
    }
    if text.contains("'''") || text.ends_with('\'') {
        return basic(text);
    }
    // TOML ignores a line feed right after the opening quotes.
    let newline = if has_lines { "\n" } else { "" };
    format!("'''{newline}{text}'''")
}

fn basic(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if is_harmful(c) && u32::from(c) > 0xffff => {
                out.extend(format!("\\U{:08X}", u32::from(c)).chars());
            }
            c if is_harmful(c) => out.extend(format!("\\u{:04X}", u32::from(c)).chars()),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Writes a TOML comment: one line without control characters and bidirectional overrides.
fn comment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => out.push(c),
            c if is_harmful(c) => out.extend(c.escape_default()),
            c => out.push(c),
        }
        if out.len() >= COMMENT_MAX {
            out.push_str(" ...");
            break;
        }
    }
    out.truncate(out.trim_end().len());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_turns_a_line_around_is_written_as_an_escape_and_means_the_same() {
        let text = "rm x \u{202e}\u{2066}# ok\u{e0001}";
        assert_eq!(string(text), "\"rm x \\u202E\\u2066# ok\\U000E0001\"");
        assert_eq!(comment("# a\u{202e}b"), "# a\\u{202e}b");
        assert_eq!(key("a\u{200f}"), "\"a\\u200F\"");
    }
}
