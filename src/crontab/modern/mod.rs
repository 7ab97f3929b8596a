//! `import --modern`: keys instead of the programs that lines of crontabs begin with.
//!
//! A command is shortened from its beginning, and only where the key certainly does the same for
//! the whole command; all else stays, with a remark above the job.

mod lex;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::draft::{Action, Draft, Item};
use super::write::string;
use super::{Tools, name};
use lex::{Kind, Token, lex};

/// Shells whose texts are read.
const SHELLS: [&str; 6] = ["sh", "bash", "dash", "ash", "ksh", "zsh"];

/// Programs that are asked for at the beginning of a command.
const PROGRAMS: [&str; 8] = ["cd", "umask", "sleep", "perl", "nice", "timeout", "flock", "ionice"];

/// Words that a shell does not look up in PATH, or that it reads as syntax: another program runs
/// something else by that name, or nothing.
const BUILTINS: &[&str] = &[
    ".", ":", "alias", "bg", "bind", "break", "builtin", "caller", "case", "cd", "chdir",
    "command", "compgen", "complete", "continue", "coproc", "declare", "dirs", "disown", "echo",
    "enable", "eval", "exec", "exit", "export", "fc", "fg", "for", "function", "getopts", "hash",
    "history", "if", "jobs", "kill", "let", "local", "logout", "mapfile", "popd", "print",
    "printf", "pushd", "pwd", "read", "readonly", "return", "select", "set", "shift", "shopt",
    "source", "suspend", "test", "time", "times", "trap", "type", "typeset", "ulimit", "umask",
    "unalias", "unset", "until", "wait", "whence", "while",
];

const NO_KEY: &str = "no key does the same";

/// Rewrites the commands of all jobs; answers of how many.
pub(super) fn apply(items: &mut [Item], tools: Tools<'_>) -> usize {
    let lock = |draft| rewritten(draft, Flock::Replaced, tools).lock;
    let locks: Vec<Option<Lock>> = items.iter().filter_map(job).map(lock).collect();
    let shared = shared_files(items, &locks, tools);
    let jobs = items.iter_mut().filter_map(|item| match item {
        Item::Job(draft) => Some(draft),
        Item::Comment(_) | Item::Break | Item::Kept(_) => None,
    });
    let mut changed = 0;
    for (draft, lock) in jobs.zip(&locks) {
        let is_shared = lock.as_ref().is_some_and(|lock| shared.contains(&lock.path));
        let flock = if is_shared { Flock::Left } else { Flock::Replaced };
        changed += usize::from(rewritten(draft, flock, tools).put_into(draft));
    }
    changed
}

/// How many commands [`apply`] would rewrite.
pub(super) fn count(items: &[Item], tools: Tools<'_>) -> usize {
    let is_rewritten =
        |draft: &&Draft| rewritten(draft, Flock::Replaced, tools).text != text_of(draft);
    items.iter().filter_map(job).filter(is_rewritten).count()
}

/// Lock files that commands name otherwise than all to wait for them, or with which a lock would
/// have the name of another one.
fn shared_files(items: &[Item], locks: &[Option<Lock>], tools: Tools<'_>) -> HashSet<String> {
    let mut shared = HashSet::new();
    let mut known: HashMap<String, &Lock> = HashMap::new();
    for lock in locks.iter().flatten() {
        for name in [lock.path.clone(), lock.key().1] {
            match known.get(&name) {
                Some(other) if !lock.waits || *other != lock => {
                    shared.extend([lock.path.clone(), other.path.clone()]);
                }
                Some(_) => {}
                None if lock.waits || name == lock.path => drop(known.insert(name, lock)),
                None => {}
            }
        }
    }
    for (draft, own) in items.iter().filter_map(job).zip(locks) {
        let text = text_of(draft);
        for path in text.split(|c| !is_in_path(c)).filter(|path| path.starts_with('/')) {
            let path = (tools.real_path)(path);
            let is_own = own.as_ref().is_some_and(|own| own.path == path);
            if !is_own && known.contains_key(&path) {
                shared.insert(path);
            }
        }
    }
    shared
}

/// Whether a character does not end the path of a lock file.
fn is_in_path(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_./-".contains(c)
}

fn job(item: &Item) -> Option<&Draft> {
    match item {
        Item::Job(draft) => Some(draft),
        Item::Comment(_) | Item::Break | Item::Kept(_) => None,
    }
}

fn text_of(draft: &Draft) -> String {
    match &draft.action {
        Action::Shell(text) => text.clone(),
        Action::Script(_) => String::new(),
    }
}

/// What flock(1) locks at the beginning of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Lock {
    path: String,
    waits: bool,
}

impl Lock {
    fn key(&self) -> (&'static str, String) {
        if !self.waits {
            return ("overlap", "\"skip\"".to_owned());
        }
        let file = self.path.rsplit('/').next().unwrap_or_default();
        let stem = [".lock", ".lck", ".pid"].iter().find_map(|end| file.strip_suffix(end));
        ("lock", string(&name::of_file(stem.unwrap_or(file))))
    }
}

/// What happens to flock(1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flock {
    /// It is replaced by a key where that is possible.
    Replaced,
    /// It stays: its file is not the job's alone.
    Left,
}

/// A command on its way to a shorter one.
struct Rewritten<'a> {
    tools: Tools<'a>,
    text: String,
    keys: Vec<(&'static str, String)>,
    cwd: Option<String>,
    jitter: Option<String>,
    lock: Option<Lock>,
    remarks: Vec<String>,
    flock: Flock,
    has_jitter: bool,
    has_random: bool,
    is_quiet: bool,
}

/// What stays of a command without the program that it begins with.
enum Rest {
    From(usize),
    Text(String),
}

fn rewritten<'a>(draft: &Draft, flock: Flock, tools: Tools<'a>) -> Rewritten<'a> {
    let shell = draft.shell.rsplit('/').next().unwrap_or_default();
    let mut new = Rewritten {
        tools,
        text: text_of(draft),
        keys: Vec::new(),
        cwd: None,
        jitter: None,
        lock: None,
        remarks: Vec::new(),
        flock,
        has_jitter: draft.jitter.is_some(),
        has_random: matches!(shell, "bash" | "ksh" | "zsh"),
        is_quiet: false,
    };
    if SHELLS.contains(&shell) {
        while new.shorten() {}
        new.end();
    }
    new
}

impl Rewritten<'_> {
    /// Takes a program off the beginning; false if there is none that can go.
    fn shorten(&mut self) -> bool {
        let text = std::mem::take(&mut self.text);
        let rest = lex(&text).and_then(|tokens| self.rest(&Line { tokens }));
        self.text = match &rest {
            Some(Rest::From(start)) => text.get(*start..).unwrap_or_default().to_owned(),
            Some(Rest::Text(rest)) => rest.clone(),
            None => text,
        };
        rest.is_some()
    }

    fn rest(&mut self, line: &Line<'_>) -> Option<Rest> {
        let program = line.program()?;
        let rest = match program {
            "cd" => self.cd(line),
            "umask" => self.umask(line),
            "sleep" | "perl" => self.sleep(line),
            "nice" => self.nice(line),
            "timeout" => self.timeout(line),
            "flock" => self.flock(line),
            _ => Err(NO_KEY),
        };
        match rest {
            Ok(rest) => Some(rest),
            Err(reason) => {
                if !reason.is_empty() {
                    self.remarks.push(format!("# `{program}` stays in the command: {reason}."));
                }
                None
            }
        }
    }

    /// `cd DIRECTORY && ...`.
    fn cd(&mut self, line: &Line<'_>) -> Result<Rest, &'static str> {
        let path = line.plain(1).filter(|path| path.starts_with('/'));
        let path = path.ok_or("its directory is not a literal absolute path")?;
        let is_and = line.kind(2) == Some(Kind::And);
        let is_one = line.tokens.iter().skip(3).all(|token| {
            matches!(token.kind, Kind::Word | Kind::Redirection | Kind::And | Kind::Pipe)
        });
        if !is_and || !is_one || self.cwd.is_some() {
            return Err("with `cwd`, the command would not run if the directory is missing");
        }
        // `cd` keeps the name of a link in PWD, `cwd` does not.
        if Path::new(&(self.tools.real_path)(path)) != Path::new(path) {
            return Err("a part of its path is a link, which `cwd` resolves");
        }
        let asks = |token: &Token<'_>| {
            token.text == "cd" || ["..", "PWD", "pwd"].iter().any(|it| token.text.contains(it))
        };
        if line.tokens.iter().skip(3).any(asks) {
            return Err("the command asks for its directory, or goes to another one");
        }
        let rest = line.from(3)?;
        self.cwd = Some(path.to_owned());
        Ok(rest)
    }

    /// `umask MASK; ...`.
    fn umask(&mut self, line: &Line<'_>) -> Result<Rest, &'static str> {
        let is_octal = |mask: &&str| {
            let digits = mask.strip_prefix('0').filter(|_| mask.len() == 4).unwrap_or(mask);
            digits.len() == 3 && digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte))
        };
        let mask = line.plain(1).filter(is_octal).ok_or("its mask is not octal")?;
        if !matches!(line.kind(2), Some(Kind::And | Kind::Then)) || self.has("umask") {
            return Err("it is not a command of its own");
        }
        let rest = line.from(3)?;
        self.keys.push(("umask", string(mask)));
        Ok(rest)
    }

    /// `sleep $((RANDOM % SECONDS)); ...`, and what Debian's packages write.
    fn sleep(&mut self, line: &Line<'_>) -> Result<Rest, &'static str> {
        let words: Vec<&str> = line.tokens.iter().map(|token| token.text).take(4).collect();
        let (seconds, length) = match words.as_slice() {
            ["sleep", word, ..] => (random(word), 2),
            ["perl", "-e", word, ..] => (random_of_perl(word), 3),
            _ => (None, 0),
        };
        // Any other sleep and perl is a command like any other.
        let seconds = seconds.ok_or("")?;
        let is_command = matches!(line.kind(length), Some(Kind::And | Kind::Then));
        let is_background = line.tokens.iter().any(|token| token.text == "&");
        if !is_command || is_background || self.has_jitter || self.jitter.is_some() {
            return Err("it does not apply to the whole command, or there is a delay already");
        }
        let rest = line.from(length + 1)?;
        let span = span(seconds, 's').filter(|_| seconds <= 86_400);
        self.jitter = Some(span.ok_or("its delay is longer than a day")?);
        if length == 2 && !self.has_random {
            let remark = "# RANDOM is empty in dash, Debian's /bin/sh: the line never waited there, but \
                 `jitter` does.";
            self.remarks.push(remark.to_owned());
        }
        Ok(rest)
    }

    /// `nice -n 10 PROGRAM ...`.
    fn nice(&mut self, line: &Line<'_>) -> Result<Rest, &'static str> {
        // `-10` is 10, and `--10` is -10.
        let (number, length) = match (line.plain(1), line.plain(2)) {
            (Some("-n"), Some(number)) => (number, 3),
            (Some(option), _) if option.starts_with('-') => {
                let value =
                    ["-n", "--adjustment=", "-"].iter().find_map(|it| option.strip_prefix(it));
                (value.unwrap_or(option), 2)
            }
            (_, _) => ("10", 1),
        };
        let number: u8 = number.parse().map_err(|_| NO_KEY)?;
        line.runs(length)?;
        if number > 19 || self.has("nice") {
            return Err("its number is not between 0 and 19");
        }
        self.keys.push(("nice", number.to_string()));
        line.from(length)
    }

    /// `timeout -k 10 5m PROGRAM ...`.
    fn timeout(&mut self, line: &Line<'_>) -> Result<Rest, &'static str> {
        let mut keys = Vec::new();
        let mut at = 1;
        while let Some(option) = line.plain(at).filter(|word| word.starts_with('-')) {
            let (name, value, length) = match (option.split_once('='), option.get(2..)) {
                (Some((name, value)), _) => (name, Some(value), 1),
                (None, Some("")) => (option, line.plain(at + 1), 2),
                (None, Some(value)) if !option.starts_with("--") => {
                    (option.get(..2).unwrap_or_default(), Some(value), 1)
                }
                (None, _) => (option, line.plain(at + 1), 2),
            };
            let value = value.ok_or(NO_KEY)?;
            keys.push(match name {
                "-k" | "--kill-after" => {
                    ("stop_grace", string(&duration(value).ok_or("its duration is not literal")?))
                }
                "-s" | "--signal" if is_signal(value) => ("stop_signal", string(value)),
                _ => return Err(NO_KEY),
            });
            at += length;
        }
        let timeout = line.plain(at).and_then(duration).ok_or("its duration is not literal")?;
        line.runs(at + 1)?;
        if self.has("timeout") {
            return Err("there is a timeout already");
        }
        self.keys.push(("timeout", string(&timeout)));
        self.keys.extend(keys);
        line.from(at + 1)
    }

    /// `flock -n FILE PROGRAM ...`.
    fn flock(&mut self, line: &Line<'_>) -> Result<Rest, &'static str> {
        let (mut waits, mut at) = (true, 1);
        while let Some(option) = line.plain(at).filter(|word| word.starts_with('-')) {
            match option {
                "-n" | "--nonblock" | "--nb" | "-xn" | "-nx" | "-en" | "-ne" => waits = false,
                "-x" | "-e" | "--exclusive" => {}
                _ => return Err(NO_KEY),
            }
            at += 1;
        }
        let is_path = |path: &&str| {
            path.starts_with('/') && !path.ends_with('/') && path.chars().all(is_in_path)
        };
        let path = line.plain(at).filter(is_path);
        let path = (self.tools.real_path)(path.ok_or("its file is not a literal absolute path")?);
        at += 1;
        if waits && self.has("timeout") {
            return Err("the timeout includes the time it waits");
        }
        let is_text = line.plain(at) == Some("-c");
        let text = line.tokens.get(at + 1).and_then(|token| quoted(token.text));
        match (is_text, text) {
            (true, Some(_)) if line.tokens.len() == at + 2 => {}
            (true, _) => return Err("its text is not the whole command"),
            (false, _) => line.runs(at)?,
        }
        let lock = Lock { path, waits };
        if self.lock.is_some() || self.flock == Flock::Left {
            return Err(
                "other lines use its file too, and `lock` would make the jobs wait for each other",
            );
        }
        self.lock = Some(lock);
        match text.filter(|_| is_text) {
            Some(text) => Ok(Rest::Text(text.to_owned())),
            None => line.from(at),
        }
    }

    /// What stands at the end of what is left.
    fn end(&mut self) {
        let text = self.text.clone();
        let Some(line) = lex(&text).map(|tokens| Line { tokens }) else {
            return;
        };
        if let [command @ .., file] = line.tokens.as_slice()
            && let Some((_, true)) = file.output()
            && !command.iter().any(Token::redirects_output)
        {
            self.remarks.push(format!(
                "# `{}` stays in the command: `output_file` would get standard error, too.",
                file.text
            ));
        }
        let [_, command @ .., file, errors] = line.tokens.as_slice() else {
            return;
        };
        let Some((target, is_appended)) = file.output() else {
            return;
        };
        if !matches!(errors.text, "2>&1" | "2>/dev/null") {
            return;
        }
        let is_path = target.starts_with('/') && target.chars().all(is_in_path);
        let is_key = is_appended
            && is_path
            && errors.text == "2>&1"
            && !command.iter().any(Token::redirects_output);
        if !line.is_simple() || (target != "/dev/null" && !is_key) {
            if target != "/dev/null" {
                let text = text.get(file.start..).unwrap_or_default();
                self.remarks.push(format!(
                    "# Its output goes to {target}; without `{text}`, jobctl keeps it: `jobctl logs`."
                ));
            }
            return;
        }
        self.text = text.get(..file.start).unwrap_or_default().trim_end().to_owned();
        self.is_quiet = true;
        if target != "/dev/null" {
            self.keys.push(("output_file", string(target)));
        }
    }

    fn has(&self, key: &str) -> bool {
        self.keys.iter().any(|(name, _)| *name == key)
    }

    /// Writes itself into the job; answers whether its command is another one now.
    fn put_into(self, draft: &mut Draft) -> bool {
        if !matches!(draft.action, Action::Shell(_)) {
            return false;
        }
        let is_changed = text_of(draft) != self.text;
        if is_changed {
            draft.remarks.push(format!("# In cron: {}", draft.line.trim()));
        }
        draft.remarks.extend(self.remarks);
        draft.keys.extend(self.lock.map(|lock| lock.key()));
        draft.keys.extend(self.keys);
        draft.cwd = self.cwd.or(draft.cwd.take());
        draft.jitter = self.jitter.or(draft.jitter.take());
        draft.action = Action::Shell(self.text);
        draft.is_quiet |= self.is_quiet;
        is_changed
    }
}

/// The pieces of a command.
struct Line<'t> {
    tokens: Vec<Token<'t>>,
}

impl<'t> Line<'t> {
    fn kind(&self, at: usize) -> Option<Kind> {
        self.tokens.get(at).map(|token| token.kind)
    }

    fn plain(&self, at: usize) -> Option<&'t str> {
        self.tokens.get(at)?.plain()
    }

    /// Which of [`PROGRAMS`] it begins with.
    fn program(&self) -> Option<&'t str> {
        let word = self.plain(0)?;
        let base = ["/usr/bin/", "/bin/"].iter().find_map(|bin| word.strip_prefix(bin));
        Some(base.unwrap_or(word)).filter(|word| PROGRAMS.contains(word))
    }

    /// Errs unless a program starts there, and is all that follows.
    fn runs(&self, at: usize) -> Result<(), &'static str> {
        let is_program = |word: &str| !word.starts_with('-') && !word.contains('=');
        if self.plain(at).is_some_and(|word| BUILTINS.contains(&word)) {
            return Err("without it, the next word would be the shell's own command");
        }
        // The shell expands these before it starts the program.
        let is_nested = self.tokens.iter().any(|token| token.text.contains(['`', '(']));
        match self.plain(at).is_some_and(is_program) && self.is_simple() && !is_nested {
            true => Ok(()),
            false => Err("it does not apply to the whole command"),
        }
    }

    /// Whether it starts one program, and nothing else.
    fn is_simple(&self) -> bool {
        self.tokens.iter().all(|token| matches!(token.kind, Kind::Word | Kind::Redirection))
    }

    /// What follows, unless a jobfile would take it for an empty command.
    fn from(&self, at: usize) -> Result<Rest, &'static str> {
        let rest = self.tokens.get(at..).unwrap_or_default();
        let is_blank = rest.iter().all(|token| token.text.trim().is_empty());
        let first = rest.first().filter(|_| !is_blank);
        first.map(|token| Rest::From(token.start)).ok_or("nothing follows it")
    }
}

/// The seconds of `$((RANDOM % 600))`: fewer than so many.
fn random(word: &str) -> Option<u32> {
    let inner = word.strip_prefix("$((")?.strip_suffix("))")?;
    let (variable, seconds) = inner.split_once('%')?;
    let variable = variable.trim();
    if !matches!(variable, "RANDOM" | "$RANDOM" | "${RANDOM}") {
        return None;
    }
    seconds.trim().parse().ok().filter(|seconds| *seconds > 0)
}

/// The seconds of `'sleep int(rand(3600))'`.
fn random_of_perl(word: &str) -> Option<u32> {
    let inner = quoted(word)?.trim().trim_end_matches(';');
    let seconds = inner.strip_prefix("sleep int(rand(")?.strip_suffix("))")?;
    seconds.parse().ok().filter(|seconds| *seconds > 0)
}

/// A duration of timeout(1) as a jobfile has it.
fn duration(text: &str) -> Option<String> {
    let digits = text.trim_end_matches(['s', 'm', 'h', 'd']);
    let unit = match text.strip_prefix(digits)? {
        "" | "s" => 's',
        "m" => 'm',
        "h" => 'h',
        "d" => 'd',
        _ => return None,
    };
    span(digits.parse().ok().filter(|number| *number > 0)?, unit)
}

/// A duration in its largest whole unit; none if it is longer than a year.
fn span(number: u32, unit: char) -> Option<String> {
    let seconds = |unit| match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => 86_400,
    };
    let total = u64::from(number) * seconds(unit);
    let unit = ['h', 'm'].into_iter().find(|unit| total % seconds(*unit) == 0).unwrap_or('s');
    (total <= 366 * 86_400).then(|| format!("{}{unit}", total / seconds(unit)))
}

fn is_signal(name: &str) -> bool {
    let name = name.strip_prefix("SIG").unwrap_or(name);
    ["TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "KILL"].contains(&name)
}

/// What stands between the quotes of a word that a shell leaves as it is.
fn quoted(word: &str) -> Option<&str> {
    if let Some(inner) = word.strip_prefix('\'').and_then(|word| word.strip_suffix('\'')) {
        return (!inner.contains('\'')).then_some(inner);
    }
    let inner = word.strip_prefix('"')?.strip_suffix('"')?;
    (!inner.contains(['"', '$', '`', '\\', '!'])).then_some(inner)
}
