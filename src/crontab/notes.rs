//! The notes of an import besides the jobfile: changes of meaning, and cron's own behaviour.

use super::draft::Item;
use super::reader::Reader;
use super::{Kind, Note, percent};
use crate::core::noun::count;

/// The longest command of Debian's cron (MAX_COMMAND of cron.h).
const DEBIAN_COMMAND_MAX: usize = 998;

impl Reader<'_> {
    /// Adds a note about a line or the whole crontab.
    pub(super) fn note(&mut self, line: Option<u32>, text: &str) {
        self.notes.push(Note { file: self.file.to_owned(), line, text: text.to_owned() });
    }

    /// Adds a note about this line, if there is one.
    pub(super) fn note_some(&mut self, text: Option<String>) {
        if let Some(text) = text {
            self.note(Some(self.line), &text);
        }
    }

    /// Notes the differences for a command.
    pub(super) fn note_command(&mut self, rest: &str, command: &str, stdin: &str) {
        let line = Some(self.line);
        if percent::is_mistaken(command, stdin) {
            let text = format!(
                "the first `%` ends the command and the rest is its standard input: cron \
                     runs `{command}`; for a literal `%` write `\\%` in cron, and `%` in the \
                     jobfile"
            );
            self.note(line, &text);
        }
        if command.starts_with("root ") && *self.kind != Kind::System {
            self.note(
                line,
                "the command begins with `root`, like the user column of /etc/crontab; a user's \
                 crontab has no such column, so cron runs a program `root`",
            );
        }
        if rest.len() > DEBIAN_COMMAND_MAX {
            self.note(line, "Debian's cron rejects a crontab with a command longer than 998 bytes");
        }
        if rest.contains("\\\\") {
            self.note(
                line,
                "`\\\\` is written as `\\`, as Debian's cron reads it; cronie keeps both",
            );
        }
        if command.trim_end().strip_suffix('&').is_some_and(|it| !it.ends_with('&')) {
            self.note(
                line,
                "ends with `&`: the run ends at once, and output of the background process is \
                 not kept",
            );
        }
        let home = self.now.env.get("HOME");
        if home.is_some_and(|home| !home.starts_with('/')) {
            self.note(
                line,
                "HOME is not an absolute path; the command starts in its user's home directory",
            );
        }
    }

    /// Notes that Debian's cron ignores a whole crontab with an error.
    pub(super) fn note_refused(&mut self, first: usize) {
        let refused = self.items.iter().skip(first).find_map(|item| match item {
            Item::Kept(unknown) if !unknown.reason.contains("never runs it") => Some(unknown.line),
            Item::Kept(_) | Item::Comment(_) | Item::Break | Item::Job(_) => None,
        });
        let has_jobs = self.items.iter().skip(first).any(|item| matches!(item, Item::Job(_)));
        if let (Some(line), true, true) = (refused, has_jobs, *self.kind != Kind::Anacron) {
            let text = "Debian's cron rejects the whole file because of this line; the other lines are \
                 imported here";
            self.note(Some(line), text);
        }
    }

    /// Adds the notes that are not about a single crontab.
    pub(super) fn note_all(&mut self) {
        self.file = "";
        if self.without_mail > 0 {
            let jobs = count(self.without_mail, "job");
            let text = format!(
                "without MAILTO, cron mails the output of {jobs} to the owner; jobctl keeps \
                     it (`jobctl logs`) and sends mail only with `mailto`"
            );
            self.note(None, &text);
        }
        if self.with_mail > 0 {
            let jobs = count(self.with_mail, "job");
            let text = format!(
                "MAILTO of {jobs} becomes `mailto` with `mail_on = \"output\"`: a mail for \
                     each attempt that prints something"
            );
            self.note(None, &text);
        }
        if self.jobs > 0 {
            self.note(
                None,
                "cron starts everything that is due; jobctl runs at most `max_running` at \
                     once, the rest waits",
            );
        }
    }

    /// Notes directories whose scripts are not run by any line.
    pub(super) fn note_idle_directories(&mut self) {
        for directory in &self.request.directories {
            if !self.run.contains(directory.path.as_str()) && !directory.scripts.is_empty() {
                self.file = &directory.path;
                self.note(
                    None,
                    "no line runs all scripts of this directory; they are not imported",
                );
            }
        }
    }
}
