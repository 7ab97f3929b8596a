//! From crontabs to jobs: what an environment line says to the lines after it, which scripts a line runs, and a jobfile that loads.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use super::line::{self, Entry, Line};
use super::name::{self, Names};
use super::parts::{self, Parts};
use super::{Directory, Import, Imported, Kind, Note, Request, Source, Tools, Unknown};
use super::{anacron, percent, switch_off, write};

/// A jobfile may have so many jobs.
const JOBS_MAX: usize = 10_000;
/// A job may have so many variables.
const VARIABLES_MAX: usize = 1000;
/// The longest command of Debian's cron (MAX_COMMAND of cron.h).
const DEBIAN_COMMAND_MAX: usize = 998;
/// cronie's and anacron's limit of `RANDOM_DELAY`, in minutes: a day.
const RANDOM_DELAY_MAX: u32 = 24 * 60;

/// What a command is.
#[derive(Clone, Debug)]
pub(super) enum Action {
    /// Text for a shell.
    Shell(String),
    /// A script of a directory, by its path.
    Script(String),
}

/// A job as far as it is made.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    source: usize,
    base: String,
    line: String,
    /// Where it comes from, and its name.
    pub(super) imported: Imported,
    /// `schedule`.
    pub(super) schedule: String,
    /// `command`.
    pub(super) action: Action,
    /// `stdin`.
    pub(super) stdin: String,
    /// `env`.
    pub(super) env: Rc<BTreeMap<String, String>>,
    /// The program of `shell`.
    pub(super) shell: String,
    /// `cwd`.
    pub(super) cwd: Option<String>,
    /// `mailto`.
    pub(super) mailto: Option<String>,
    /// `jitter`.
    pub(super) jitter: Option<String>,
    /// `lock`.
    pub(super) lock: Option<String>,
    /// Whether it runs under nice(1).
    pub(super) is_nice: bool,
    /// `catch_up = "last"`.
    pub(super) catches_up: bool,
}

/// A piece of the jobfile, in the order of the crontabs.
#[derive(Clone, Debug)]
pub(super) enum Item {
    /// A comment, with its `#`.
    Comment(String),
    /// What stands above belongs to no job below.
    Break,
    /// A job.
    Job(Box<Draft>),
    /// A line that no job was made of.
    Kept(Unknown),
}

/// Makes a jobfile of crontabs. It loads, and each line that starts a command is a job of it or among the unknown ones.
pub(crate) fn import(request: &Request, tools: Tools<'_>) -> Import {
    let mut reader = Reader::new(request, tools);
    for (index, source) in request.sources.iter().enumerate() {
        reader.read(index, source);
    }
    reader.note_idle_directories();
    reader.note_all();
    let Reader {
        mut items, notes, ..
    } = reader;
    give_names(&mut items);
    let text = settle(&mut items, &head(request), tools);
    let switch_off = switch_off(request, &items);
    let (mut jobs, mut unknown) = (Vec::new(), Vec::new());
    for item in items {
        match item {
            Item::Job(draft) => jobs.push(draft.imported),
            Item::Kept(line) => unknown.push(line),
            Item::Comment(_) | Item::Break => {}
        }
    }
    Import {
        text,
        jobs,
        unknown,
        notes,
        switch_off,
    }
}

fn head(request: &Request) -> String {
    let files: Vec<_> = request
        .sources
        .iter()
        .map(|source| source.file.as_str())
        .collect();
    format!("# Made by `jobctl import` from {}.", files.join(", "))
}

fn give_names(items: &mut [Item]) {
    let mut names = Names::default();
    let mut count = 0;
    for item in items {
        let Item::Job(draft) = item else { continue };
        count += 1;
        if count > JOBS_MAX {
            *item = kept(draft, format!("a jobfile has {JOBS_MAX} jobs at most"));
        } else {
            draft.imported.job = names.unique(&draft.base);
        }
    }
}

/// Writes the jobfile, and takes jobs out of it until it loads.
fn settle(items: &mut [Item], head: &str, tools: Tools<'_>) -> String {
    loop {
        let written = write::jobfile(items, head);
        for index in &written.left_out {
            keep(items.get_mut(*index), |_| {
                Some("the jobfile would be longer than 4 MiB".to_owned())
            });
        }
        if !written.left_out.is_empty() {
            continue;
        }
        let refusals = (tools.refusals)(&written.text);
        let Some(first) = refusals.first() else {
            return written.text;
        };
        let whole = &first.reason;
        let named: HashMap<&str, &str> = refusals
            .iter()
            .filter_map(|refusal| Some((refusal.job.as_deref()?, refusal.reason.as_str())))
            .collect();
        let before = count_jobs(items);
        for item in items.iter_mut() {
            keep(Some(item), |draft| {
                named
                    .get(draft.imported.job.as_str())
                    .map(|reason| (*reason).to_owned())
            });
        }
        if count_jobs(items) == before {
            if before == 0 {
                return String::new();
            }
            for item in items.iter_mut() {
                keep(Some(item), |_| Some(whole.clone()));
            }
        }
    }
}

fn count(jobs: usize) -> String {
    match jobs {
        1 => "1 job".to_owned(),
        jobs => format!("{jobs} jobs"),
    }
}

fn count_jobs(items: &[Item]) -> usize {
    items
        .iter()
        .filter(|item| matches!(item, Item::Job(_)))
        .count()
}

/// Keeps a job's line as a comment where there is a reason.
fn keep(item: Option<&mut Item>, reason: impl Fn(&Draft) -> Option<String>) {
    let Some(item) = item else { return };
    if let Item::Job(draft) = item
        && let Some(reason) = reason(draft)
    {
        *item = kept(draft, reason);
    }
}

fn kept(draft: &Draft, reason: String) -> Item {
    Item::Kept(Unknown {
        file: draft.imported.file.clone(),
        line: draft.imported.line,
        text: draft.line.clone(),
        reason,
    })
}

fn switch_off(request: &Request, items: &[Item]) -> Vec<String> {
    let mut lines: Vec<BTreeSet<u32>> = vec![BTreeSet::new(); request.sources.len()];
    for item in items {
        if let Item::Job(draft) = item
            && let Some(lines) = lines.get_mut(draft.source)
        {
            lines.insert(draft.imported.line);
        }
    }
    let sources = request.sources.iter().zip(&lines);
    sources
        .filter_map(|(source, lines)| switch_off::command(&source.off, lines))
        .collect()
}

/// What environment lines have said so far in a crontab.
#[derive(Clone, Debug, Default)]
struct Surroundings {
    env: Rc<BTreeMap<String, String>>,
    zone: Option<String>,
    jitter: Option<String>,
    start_hour: Option<u32>,
}

/// Goes through the crontabs.
struct Reader<'a> {
    request: &'a Request,
    tools: Tools<'a>,
    items: Vec<Item>,
    notes: Vec<Note>,
    run: BTreeSet<&'a str>,
    source: usize,
    file: &'a str,
    kind: &'a Kind,
    line: u32,
    now: Surroundings,
    jobs: usize,
    without_mail: usize,
    with_mail: usize,
}

impl<'a> Reader<'a> {
    fn new(request: &'a Request, tools: Tools<'a>) -> Self {
        Self {
            request,
            tools,
            items: Vec::new(),
            notes: Vec::new(),
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

    fn read(&mut self, index: usize, source: &'a Source) {
        self.source = index;
        (self.file, self.kind) = (&source.file, &source.kind);
        self.now = Surroundings::default();
        Rc::make_mut(&mut self.now.env).insert("SHELL".to_owned(), "/bin/sh".to_owned());
        if self.request.sources.len() > 1 {
            self.items.push(Item::Break);
            self.items
                .push(Item::Comment(format!("# From {}:", self.file)));
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
            self.note(None, "its lines end in CR LF; cron would take the CR for part of the command, here it is left out");
        }
        if !bytes.is_empty() && !bytes.ends_with(b"\n") && *self.kind != Kind::Anacron {
            self.note(None, "its last line has no line feed; Debian's cron takes none of such a file, here it counts");
        }
        self.note_refused(first_kept);
    }

    fn without_mark(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Some(rest) = bytes.strip_prefix(b"\xef\xbb\xbf") else {
            return bytes;
        };
        self.note(None, "it begins with a byte order mark, which cron would not understand; here it is left out");
        rest
    }

    fn read_line(&mut self, bytes: &[u8]) {
        if *self.kind == Kind::Anacron {
            self.read_anacron(bytes);
            return;
        }
        match line::read(bytes, *self.kind == Kind::System) {
            Line::Blank => self.items.push(Item::Break),
            Line::Comment(text) => self.items.push(Item::Comment(text)),
            Line::Variable {
                name,
                value,
                remark,
            } => {
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
                    self.note(
                        Some(self.line),
                        "cron sets LOGNAME itself, whatever this line says",
                    );
                }
                return;
            }
            "CRON_TZ" if !is_anacron => {
                self.now.zone = None;
                if !value.is_empty() && !(self.tools.is_zone)(&value) {
                    self.refuse(bytes, format!("CRON_TZ: there is no time zone {value:?}; the lines after it are in the system's"));
                } else if !value.is_empty() {
                    self.note(Some(self.line), "CRON_TZ is cronie's; Debian's cron does not look at it, and its jobs run in the system's zone");
                    self.now.zone = Some(value.clone());
                }
            }
            "RANDOM_DELAY" => self.set_delay(&value),
            "START_HOURS_RANGE" if is_anacron => {
                self.now.start_hour = anacron::start_hour(&value);
                return;
            }
            _ => {}
        }
        Rc::make_mut(&mut self.now.env).insert(name, value);
    }

    fn set_delay(&mut self, value: &str) {
        let minutes = value
            .parse::<u32>()
            .ok()
            .filter(|minutes| *minutes <= RANDOM_DELAY_MAX);
        self.now.jitter = minutes
            .filter(|minutes| *minutes > 0)
            .map(|minutes| format!("{minutes}m"));
        if minutes.is_none() {
            self.note(
                Some(self.line),
                "RANDOM_DELAY is no number of minutes up to a day; cronie does not look at it",
            );
        } else if self.now.jitter.is_some() {
            let text = "RANDOM_DELAY is `jitter` here: a delay that is fixed for machine and job; Debian's cron does not look at it";
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
        let (command, stdin) = percent::split(entry.rest.trim_start_matches([' ', '\t']));
        let user = entry.user.clone().or_else(|| match self.kind {
            Kind::User(owner) => owner.clone(),
            Kind::System | Kind::Anacron => None,
        });
        let draft = self.draft(bytes, &entry.written, &entry.rest);
        let draft = Draft {
            schedule: entry.schedule,
            imported: Imported {
                user,
                zone: self.now.zone.clone(),
                ..draft.imported
            },
            cwd: self
                .now
                .env
                .get("HOME")
                .filter(|home| home.starts_with('/'))
                .cloned(),
            stdin,
            ..draft
        };
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
                format!(
                    "SHELL is {:?}, which is no path: cron cannot start it",
                    draft.shell
                ),
            );
            return;
        }
        self.note_command(&entry.rest, &command);
        self.push(Draft {
            base: name::of_command(&command),
            action: Action::Shell(command),
            ..draft
        });
    }

    /// Why there can be no further job.
    fn is_full(&self) -> Option<String> {
        if self.now.env.len() > VARIABLES_MAX {
            return Some(format!(
                "it has more than {VARIABLES_MAX} variables from the lines before it"
            ));
        }
        (self.jobs >= JOBS_MAX).then(|| format!("a jobfile has {JOBS_MAX} jobs at most"))
    }

    /// What a line has from the lines before it.
    fn draft(&self, bytes: &[u8], schedule: &str, rest: &str) -> Draft {
        let env = Rc::clone(&self.now.env);
        let shell = env.get("SHELL").cloned().unwrap_or_default();
        let mailto = env.get("MAILTO").filter(|to| {
            !to.trim().is_empty() && !to.starts_with('-') && !to.chars().any(char::is_control)
        });
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
            },
            schedule: schedule.to_owned(),
            action: Action::Shell(String::new()),
            stdin: String::new(),
            mailto: mailto.cloned(),
            env,
            shell,
            cwd: None,
            jitter: self.now.jitter.clone(),
            lock: None,
            is_nice: false,
            catches_up: false,
        }
    }

    fn push(&mut self, draft: Draft) {
        self.jobs += 1;
        self.without_mail += usize::from(!draft.env.contains_key("MAILTO"));
        self.with_mail += usize::from(draft.mailto.is_some());
        self.items.push(Item::Job(Box::new(draft)));
    }

    fn directory(&self, parts: &Parts) -> Option<&'a Directory> {
        let mut directories = self.request.directories.iter();
        directories.find(|directory| directory.path == parts.directory)
    }

    /// The scripts of a directory, instead of the line that runs them.
    fn scripts(&mut self, parts: &Parts, directory: &'a Directory, line: Draft) {
        let place = format!("({}:{})", self.file, self.line);
        if parts.is_guarded && self.request.has_anacron {
            self.items.push(Item::Comment(format!(
                "# Does nothing while there is an anacron {place}:"
            )));
            self.items.push(Item::Comment(format!("# {}", line.line)));
            self.items.push(Item::Break);
            return;
        }
        self.run.insert(&directory.path);
        let what = if directory.scripts.is_empty() {
            "No script is there to be run by"
        } else {
            "Its scripts are the jobs below, one after the other by their lock:"
        };
        self.items.push(Item::Comment(format!("# {what} {place}")));
        self.items.push(Item::Comment(format!("# {}", line.line)));
        self.items.push(Item::Break);
        let lock = directory.path.rsplit('/').next().unwrap_or_default();
        for script in &directory.scripts {
            self.push(Draft {
                base: name::of_file(script),
                action: Action::Script(format!("{}/{script}", directory.path)),
                lock: Some(lock.to_owned()),
                is_nice: parts.is_nice,
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
        let read = read.map_err(|_| "it is not UTF-8, as all text of a jobfile is".to_owned());
        let line = match read.and_then(|text| anacron::read(text, hour)) {
            Ok(line) => line,
            Err(reason) => return self.refuse(bytes, reason),
        };
        self.note_some(line.remark);
        let draft = self.draft(bytes, &line.schedule, &line.command);
        // anacron starts /bin/sh in `/`, whatever SHELL and HOME say.
        let draft = Draft {
            cwd: Some("/".to_owned()),
            shell: "/bin/sh".to_owned(),
            catches_up: true,
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

    fn note(&mut self, line: Option<u32>, text: &str) {
        self.notes.push(Note {
            file: self.file.to_owned(),
            line,
            text: text.to_owned(),
        });
    }

    fn note_some(&mut self, text: Option<String>) {
        if let Some(text) = text {
            self.note(Some(self.line), &text);
        }
    }

    fn note_command(&mut self, rest: &str, command: &str) {
        let line = Some(self.line);
        if rest.len() > DEBIAN_COMMAND_MAX {
            self.note(
                line,
                "Debian's cron takes none of a crontab with a command of more than 998 bytes",
            );
        }
        if rest.contains("\\\\") {
            self.note(
                line,
                "`\\\\` is `\\` to Debian's cron, and so it is written; cronie leaves both",
            );
        }
        if command.trim_end().ends_with('&') {
            self.note(line, "it ends with `&`: the run ends at once, and what the background process writes is not kept");
        }
        let home = self.now.env.get("HOME");
        if home.is_some_and(|home| !home.starts_with('/')) {
            self.note(
                line,
                "HOME is no absolute path; the command starts in the home of its user",
            );
        }
    }

    /// Debian's cron is all or nothing.
    fn note_refused(&mut self, first: usize) {
        let refused = self.items.iter().skip(first).find_map(|item| match item {
            Item::Kept(unknown) if !unknown.reason.contains("never runs it") => Some(unknown.line),
            Item::Kept(_) | Item::Comment(_) | Item::Break | Item::Job(_) => None,
        });
        let has_jobs = self
            .items
            .iter()
            .skip(first)
            .any(|item| matches!(item, Item::Job(_)));
        if let (Some(line), true, true) = (refused, has_jobs, *self.kind != Kind::Anacron) {
            let text = "with a line that it does not understand, Debian's cron takes none of the file; here the other lines are jobs";
            self.note(Some(line), text);
        }
    }

    /// What is not about one crontab alone.
    fn note_all(&mut self) {
        self.file = "";
        if self.without_mail > 0 {
            let jobs = count(self.without_mail);
            let text = format!(
                "without MAILTO, cron mails the output of {jobs} to the owner; jobctl keeps it (`jobctl logs`), and mails where `mailto` says so"
            );
            self.note(None, &text);
        }
        if self.with_mail > 0 {
            let jobs = count(self.with_mail);
            let text = format!(
                "MAILTO of {jobs} is `mailto` with `mail_on = \"output\"`; `jobctl check` says if this version does not mail yet"
            );
            self.note(None, &text);
        }
        if self.jobs > 0 {
            self.note(
                None,
                "cron starts all that is due; jobctl has `max_running` run at once, the rest waits",
            );
        }
    }

    fn note_idle_directories(&mut self) {
        for directory in &self.request.directories {
            if !self.run.contains(directory.path.as_str()) && !directory.scripts.is_empty() {
                self.file = &directory.path;
                self.note(None, "no line runs the scripts of this directory as it is; there are no jobs for them");
            }
        }
    }
}
