//! Reads crontabs line by line: applies environment lines to the lines after them, and expands
//! lines that run the scripts of a directory.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::draft::{Action, Draft, Item};
use super::line::{self, Entry, Line};
use super::parts::{self, Parts};
use super::{Directory, Imported, Kind, Note, Request, Source, Starter, Tools, Unknown};
use super::{anacron, name, percent, write};

/// The maximum number of jobs in a jobfile.
const JOBS_MAX: usize = 10_000;
/// The maximum number of variables of a job.
const VARIABLES_MAX: usize = 1000;
/// cronie's and anacron's limit of `RANDOM_DELAY`, in minutes: a day.
const RANDOM_DELAY_MAX: u32 = 24 * 60;

/// The environment lines of a crontab so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Surroundings {
    /// Variables.
    pub(super) env: Rc<BTreeMap<String, String>>,
    zone: Option<String>,
    jitter: Option<String>,
    start_hour: Option<u32>,
}

/// The reader of the crontabs.
pub(super) struct Reader<'a> {
    /// The import options.
    pub(super) request: &'a Request,
    tools: Tools<'a>,
    /// The pieces of the jobfile.
    pub(super) items: Vec<Item>,
    /// The notes for the user.
    pub(super) notes: Vec<Note>,
    /// Lines of cron that do nothing.
    pub(super) idle: Vec<Imported>,
    /// Directories whose scripts some line runs.
    pub(super) run: BTreeSet<&'a str>,
    source: usize,
    /// The name of the crontab in messages.
    pub(super) file: &'a str,
    /// The format of its lines.
    pub(super) kind: &'a Kind,
    /// The line, from 1.
    pub(super) line: u32,
    /// The environment from the lines before it.
    pub(super) now: Surroundings,
    /// The number of jobs so far.
    pub(super) jobs: usize,
    /// The number of those without MAILTO.
    pub(super) without_mail: usize,
    /// The number of those with an address.
    pub(super) with_mail: usize,
}

impl<'a> Reader<'a> {
    /// Makes a reader at its start.
    pub(super) fn new(request: &'a Request, tools: Tools<'a>) -> Self {
        Self {
            request,
            tools,
            items: Vec::new(),
            notes: Vec::new(),
            idle: Vec::new(),
            run: BTreeSet::new(),
            source: 0,
            file: "",
            kind: &Kind::System,
            line: 0,
            now: Surroundings::default(),
            jobs: 0,
            without_mail: 0,
            with_mail: 0,
        }
    }

    /// Reads one of the crontabs.
    pub(super) fn read(&mut self, index: usize, source: &'a Source) {
        self.source = index;
        (self.file, self.kind) = (&source.file, &source.kind);
        self.now = Surroundings::default();
        Rc::make_mut(&mut self.now.env).insert("SHELL".to_owned(), "/bin/sh".to_owned());
        if self.request.sources.len() > 1 {
            self.items.push(Item::Break);
            self.items.push(Item::Comment(format!("# From {}:", self.file)));
            self.items.push(Item::Break);
        }
        let (bytes, first_kept) = (self.without_mark(&source.bytes), self.items.len());
        let mut has_returns = false;
        for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            self.line = u32::try_from(index + 1).unwrap_or(u32::MAX);
            let stripped = line.strip_suffix(b"\r");
            has_returns |= stripped.is_some();
            self.read_line(stripped.unwrap_or(line));
        }
        self.items.push(Item::Break);
        if has_returns {
            self.note(
                None,
                "lines end in CR LF; the CR is removed here, but is part of the command for cron",
            );
        }
        if !bytes.is_empty() && !bytes.ends_with(b"\n") && *self.kind != Kind::Anacron {
            self.note(
                None,
                "the last line lacks a newline; Debian's cron ignores the whole file, jobctl \
                 imports it",
            );
        }
        self.note_refused(first_kept);
    }

    fn without_mark(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Some(rest) = bytes.strip_prefix(b"\xef\xbb\xbf") else {
            return bytes;
        };
        self.note(
            None,
            "begins with a byte order mark; it is removed here, but cron does not understand it",
        );
        rest
    }

    fn read_line(&mut self, bytes: &[u8]) {
        if *self.kind == Kind::Anacron {
            self.read_anacron(bytes);
            return;
        }
        match line::read(bytes, *self.kind == Kind::System) {
            Line::Blank => self.items.push(Item::Break),
            Line::Comment(text) => self.comment(bytes, text),
            Line::Variable { name, value, remark } => {
                self.note_some(remark);
                self.set(bytes, name, value);
            }
            Line::Bad(reason) => self.refuse(bytes, reason),
            Line::Entry(entry) => self.entry(bytes, entry),
        }
    }

    /// Keeps the line as a comment.
    fn refuse(&mut self, bytes: &[u8], reason: String) {
        self.items.push(Item::Kept(Unknown {
            file: self.file.to_owned(),
            line: self.line,
            text: String::from_utf8_lossy(bytes).into_owned(),
            reason,
        }));
    }

    fn set(&mut self, bytes: &[u8], name: String, value: String) {
        self.items.push(Item::Break);
        let is_anacron = *self.kind == Kind::Anacron;
        match name.as_str() {
            "LOGNAME" => {
                if !is_anacron {
                    self.note(Some(self.line), "cron sets LOGNAME itself, whatever this line says");
                }
                return;
            }
            "CRON_TZ" if !is_anacron => {
                self.now.zone = None;
                if !value.is_empty() && !(self.tools.is_zone)(&value) {
                    self.refuse(
                        bytes,
                        format!(
                            "CRON_TZ: unknown time zone {value:?}; the lines after it use the \
                         system's"
                        ),
                    );
                } else if !value.is_empty() {
                    self.note(
                        Some(self.line),
                        "CRON_TZ is cronie's; Debian's cron ignores it and uses the system's \
                         time zone",
                    );
                    self.now.zone = Some(value.clone());
                }
            }
            "RANDOM_DELAY" => self.set_delay(&value),
            "MAILFROM" if !is_anacron && !value.is_empty() => {
                self.note(
                    Some(self.line),
                    "MAILFROM is cronie's and becomes `mail_from`; Debian's cron ignores it",
                );
            }
            "START_HOURS_RANGE" if is_anacron => {
                self.now.start_hour = anacron::start_hour(&value);
                return;
            }
            _ => {}
        }
        Rc::make_mut(&mut self.now.env).insert(name, value);
    }

    fn set_delay(&mut self, value: &str) {
        let minutes = value.parse::<u32>().ok().filter(|minutes| *minutes <= RANDOM_DELAY_MAX);
        self.now.jitter =
            minutes.filter(|minutes| *minutes > 0).map(|minutes| format!("{minutes}m"));
        if minutes.is_none() {
            self.note(
                Some(self.line),
                "RANDOM_DELAY is not a number of minutes up to a day; cronie ignores it",
            );
        } else if self.now.jitter.is_some() {
            let text = "RANDOM_DELAY becomes `jitter`, a fixed delay for each machine and job; Debian's \
                 cron ignores it";
            self.note(Some(self.line), text);
        }
    }

    fn entry(&mut self, bytes: &[u8], entry: Entry) {
        if let Some(reason) = self.is_full() {
            self.refuse(bytes, reason);
            return;
        }
        for remark in &entry.remarks {
            self.note(Some(self.line), remark);
        }
        let (command, draft) = self.job(bytes, &entry);
        if let Some(parts) = parts::read(&command)
            && let Some(directory) = self.directory(&parts)
        {
            let cwd = parts.cwd.clone().or(draft.cwd.clone());
            self.scripts(&parts, directory, Draft { cwd, ..draft });
            return;
        }
        if !draft.shell.starts_with('/') {
            self.refuse(
                bytes,
                format!("SHELL is {:?}, not a path: cron cannot start it", draft.shell),
            );
            return;
        }
        self.note_command(&entry.rest, &command, &draft.stdin);
        let mut remarks = Vec::new();
        if percent::is_mistaken(&command, &draft.stdin) {
            remarks.push(
                "# In cron, `%` ends the command here and begins its standard input, which is \
                 probably a mistake. A jobfile takes `%` literally."
                    .to_owned(),
            );
        }
        self.push(Draft {
            base: name::of_command(&command),
            action: Action::Shell(command),
            remarks,
            ..draft
        });
    }

    /// Reads a comment, or a line that was commented out.
    fn comment(&mut self, bytes: &[u8], text: String) {
        let off = line::commented_out(&text, *self.kind == Kind::System);
        let Some(entry) = off.filter(|_| self.is_full().is_none()) else {
            self.items.push(Item::Comment(text));
            return;
        };
        let (command, mut draft) = self.job(bytes, &entry);
        draft.imported.starter = Starter::Nothing;
        draft.keys.push(("enabled", "false".to_owned()));
        self.push(Draft {
            base: name::of_command(&command),
            action: Action::Shell(command),
            ..draft
        });
    }

    /// Returns the command of a line and its job, without name and action.
    fn job(&self, bytes: &[u8], entry: &Entry) -> (String, Draft) {
        let (command, stdin) = percent::split(entry.rest.trim_start_matches([' ', '\t']));
        let user = entry.user.clone().or_else(|| match self.kind {
            Kind::User(owner) => owner.clone(),
            Kind::System | Kind::Anacron => None,
        });
        let draft = self.draft(bytes, &entry.written, &entry.rest);
        let draft = Draft {
            schedule: entry.schedule.clone(),
            imported: Imported { user, zone: self.now.zone.clone(), ..draft.imported },
            cwd: self.now.env.get("HOME").filter(|home| home.starts_with('/')).cloned(),
            stdin,
            ..draft
        };
        (command, draft)
    }

    /// Returns why no further job is possible.
    fn is_full(&self) -> Option<String> {
        if self.now.env.len() > VARIABLES_MAX {
            return Some(format!("more than {VARIABLES_MAX} variables apply to it"));
        }
        (self.jobs >= JOBS_MAX).then(|| format!("a jobfile has at most {JOBS_MAX} jobs"))
    }

    /// Applies the environment of the lines before to a job.
    fn draft(&self, bytes: &[u8], schedule: &str, rest: &str) -> Draft {
        let env = Rc::clone(&self.now.env);
        let shell = env.get("SHELL").cloned().unwrap_or_default();
        let address = |name: &str| {
            let is_address = |to: &&String| {
                !to.trim().is_empty() && !to.starts_with('-') && !to.chars().any(char::is_control)
            };
            env.get(name).filter(is_address).cloned()
        };
        Draft {
            source: self.source,
            base: String::new(),
            line: String::from_utf8_lossy(bytes).into_owned(),
            imported: Imported {
                job: String::new(),
                file: self.file.to_owned(),
                line: self.line,
                schedule: schedule.to_owned(),
                zone: None,
                user: None,
                command: rest.to_owned(),
                starter: Starter::Cron,
            },
            schedule: schedule.to_owned(),
            action: Action::Shell(String::new()),
            stdin: String::new(),
            mailto: address("MAILTO"),
            mail_from: address("MAILFROM"),
            env,
            shell,
            cwd: None,
            jitter: self.now.jitter.clone(),
            is_quiet: false,
            keys: Vec::new(),
            remarks: Vec::new(),
        }
    }

    fn push(&mut self, draft: Draft) {
        self.jobs += 1;
        let is_on = !draft.is_off();
        self.without_mail += usize::from(is_on && !draft.env.contains_key("MAILTO"));
        self.with_mail += usize::from(is_on && draft.mailto.is_some());
        self.items.push(Item::Job(Box::new(draft)));
    }

    fn directory(&self, parts: &Parts) -> Option<&'a Directory> {
        let mut directories = self.request.directories.iter();
        directories.find(|directory| directory.path == parts.directory)
    }

    /// Adds the scripts of a directory, instead of the line that runs them.
    fn scripts(&mut self, parts: &Parts, directory: &'a Directory, line: Draft) {
        let place = format!("({}:{})", self.file, self.line);
        if parts.is_guarded && self.request.has_anacron {
            self.items
                .push(Item::Comment(format!("# Does nothing while anacron is installed {place}:")));
            self.items.push(Item::Comment(format!("# {}", line.line)));
            self.items.push(Item::Break);
            self.idle.push(line.imported);
            return;
        }
        self.run.insert(&directory.path);
        let what = if directory.scripts.is_empty() {
            "There are no scripts for"
        } else {
            "Its scripts are the jobs below, which run one at a time by their lock:"
        };
        self.items.push(Item::Comment(format!("# {what} {place}")));
        self.items.push(Item::Comment(format!("# {}", line.line)));
        self.items.push(Item::Break);
        if directory.scripts.is_empty() && *self.kind != Kind::Anacron {
            self.idle.push(line.imported.clone());
        }
        let lock = directory.path.rsplit('/').next().unwrap_or_default();
        let mut line = line;
        line.keys.push(("lock", write::string(lock)));
        if parts.is_nice {
            line.keys.push(("nice", "10".to_owned()));
        }
        for script in &directory.scripts {
            self.push(Draft {
                base: name::of_file(script),
                action: Action::Script(format!("{}/{script}", directory.path)),
                ..line.clone()
            });
        }
    }

    fn read_anacron(&mut self, bytes: &[u8]) {
        let read = match line::read(bytes, false) {
            Line::Blank => return self.items.push(Item::Break),
            Line::Comment(text) => return self.items.push(Item::Comment(text)),
            Line::Variable { name, value, .. } => return self.set(bytes, name, value),
            Line::Entry(_) | Line::Bad(_) => std::str::from_utf8(bytes),
        };
        let hour = self.now.start_hour.unwrap_or(anacron::START_HOUR);
        let read = read.map_err(|_| "not UTF-8, which a jobfile requires".to_owned());
        let line = match read.and_then(|text| anacron::read(text, hour)) {
            Ok(line) => line,
            Err(reason) => return self.refuse(bytes, reason),
        };
        self.note_some(line.remark);
        let draft = self.draft(bytes, &line.schedule, &line.command);
        // anacron is root's, and starts /bin/sh in `/`, whatever SHELL and HOME say.
        let draft = Draft {
            imported: Imported {
                user: Some("root".to_owned()),
                starter: Starter::Anacron,
                ..draft.imported
            },
            cwd: Some("/".to_owned()),
            shell: "/bin/sh".to_owned(),
            keys: vec![("catch_up", "\"last\"".to_owned())],
            ..draft
        };
        if let Some(parts) = parts::read(&line.command)
            && let Some(directory) = self.directory(&parts)
        {
            self.scripts(&parts, directory, draft);
            return;
        }
        self.push(Draft {
            base: name::of_file(&line.id),
            action: Action::Shell(line.command),
            ..draft
        });
    }
}
