//! Makes names for imported jobs from their commands: valid, unique, and the same in every import.

use std::collections::HashMap;

/// The length to which names are cut, leaving room for a number.
const LENGTH_MAX: usize = 48;

/// How much of a command is read.
const LOOK_MAX: usize = 4096;

/// Words that do not tell what a command is for.
const SKIPPED: &[&str] = &[
    "cd", "pushd", "test", "[", "[[", ":", "true", "false", "export", "set", "unset", "umask",
    "ulimit", ".", "source", "sleep", "command", "type", "which", "trap", "wait", "exit", "return",
    "echo", "printf", "mkdir", "read", "date", "fi", "done", "esac", "case", "for", "in", "select",
    "function", "local", "shift", "break", "continue", "]", "]]",
];

/// Those that are not used as a name even if there is nothing else.
const NAMELESS: &[&str] = &[
    "test", "[", "[[", ":", "fi", "done", "esac", "case", "for", "in", "select", "function", "]",
    "]]", "cd", "pushd", "umask", "ulimit", "export", "set",
];

/// Words that may precede a command.
const KEYWORDS: &[&str] =
    &["if", "then", "else", "elif", "while", "until", "do", "!", "time", "exec", "builtin"];

/// Programs that run another one, and their options that take a value.
const WRAPPERS: &[(&str, &str, usize)] = &[
    ("sudo", "ugpCchrtTU", 0),
    ("doas", "uC", 0),
    ("nice", "n", 0),
    ("ionice", "cnpPu", 0),
    ("timeout", "ks", 1),
    ("flock", "wE", 1),
    ("env", "uSC", 0),
    ("nohup", "", 0),
    ("setsid", "", 0),
    ("chronic", "", 0),
    ("stdbuf", "ioe", 0),
    ("chrt", "", 1),
    ("taskset", "", 1),
    ("systemd-cat", "tp", 0),
    ("runuser", "ug", 0),
    ("xvfb-run", "", 0),
    ("cronitor", "", 0),
    ("bundle", "", 0),
    ("docker", "uewf", 2),
    ("podman", "uewf", 2),
    ("su", "s", 2),
];

/// Programs whose first argument tells what they do, and a word before it to skip.
const TOOLS: &[(&str, &str)] = &[
    ("rake", ""),
    ("rails", ""),
    ("artisan", ""),
    ("manage.py", ""),
    ("console", ""),
    ("make", ""),
    ("just", ""),
    ("npm", "run"),
    ("yarn", "run"),
    ("pnpm", "run"),
    ("composer", "run"),
];

const INTERPRETERS: &[&str] = &[
    "sh", "bash", "dash", "zsh", "ksh", "ash", "python", "perl", "php", "ruby", "node", "nodejs",
    "lua", "tclsh",
];

/// Extensions of scripts, which are dropped from names.
const ENDINGS: &[&str] =
    &[".sh", ".bash", ".py", ".pl", ".php", ".rb", ".js", ".mjs", ".lua", ".ksh", ".zsh"];

/// The assigned names in lower case, each with the next number to try.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<String, u32>);

impl Names {
    /// Makes a name like `base` that is not yet assigned.
    pub(super) fn unique(&mut self, base: &str) -> String {
        let key = base.to_ascii_lowercase();
        let mut name = base.to_owned();
        let mut number = self.0.get(&key).copied().unwrap_or(2);
        while self.0.contains_key(&name.to_ascii_lowercase()) {
            name = format!("{base}-{number}");
            number += 1;
        }
        self.0.insert(name.to_ascii_lowercase(), 2);
        self.0.insert(key, number);
        name
    }
}

/// Makes a name for the job of a command.
pub(super) fn of_command(command: &str) -> String {
    let end = (0..=LOOK_MAX.min(command.len())).rfind(|end| command.is_char_boundary(*end));
    let command = command.get(..end.unwrap_or(0)).unwrap_or_default();
    valid(&program(command, 0).unwrap_or_default())
}

/// Makes a name for the job of a script.
pub(super) fn of_file(name: &str) -> String {
    valid(name)
}

/// Returns the relevant program.
fn program(command: &str, depth: u8) -> Option<String> {
    let parts = simple_commands(command);
    let found = parts.iter().find_map(|words| named(words, depth));
    found.or_else(|| parts.iter().find_map(|words| named_at_worst(words)))
}

/// Returns the first word if no simple command gives a name: the file that `.` reads, else a
/// builtin.
fn named_at_worst(words: &[String]) -> Option<String> {
    let is_name = |word: &&String| !is_assignment(word) && !KEYWORDS.contains(&word.as_str());
    let mut words = words.iter().filter(is_name);
    match words.next()?.as_str() {
        "." | "source" => words.next().map(|file| basename(file).to_owned()),
        word if NAMELESS.contains(&word) => None,
        word => Some(basename(word).to_owned()),
    }
}

/// Returns the name that one simple command gives, if any.
fn named(words: &[String], depth: u8) -> Option<String> {
    let mut words = words;
    loop {
        let (first, rest) = words.split_first()?;
        let base = basename(first);
        if KEYWORDS.contains(&base) || is_assignment(first) {
            words = rest;
        } else if let Some(wrapper) = WRAPPERS.iter().find(|(name, ..)| *name == base) {
            match after_options(rest, wrapper.1, wrapper.2) {
                Wrapped::Words([]) => return Some(base.to_owned()),
                Wrapped::Words(rest) => words = rest,
                Wrapped::Text(text) if depth < 3 => return program(text, depth + 1),
                Wrapped::Text(_) => return None,
            }
        } else if SKIPPED.contains(&base) || base.is_empty() {
            return None;
        } else if is_interpreter(base) {
            return script(base, rest, depth);
        } else {
            return Some(of_tool(base, rest));
        }
    }
}

/// Returns a program with its subcommand, if that tells more.
fn of_tool(base: &str, words: &[String]) -> String {
    if base == "run-parts" {
        let directory = words.iter().rfind(|word| !word.starts_with('-'));
        return directory.map_or(base, |directory| basename(directory)).to_owned();
    }
    let Some((_, empty)) = TOOLS.iter().find(|(name, _)| *name == base) else {
        return base.to_owned();
    };
    let stem = base.strip_suffix(".py").unwrap_or(base);
    let mut words = words.iter().filter(|word| word != empty && !is_assignment(word));
    match words.next().filter(|word| !word.starts_with('-')) {
        Some(word) => format!("{stem}-{word}"),
        None => stem.to_owned(),
    }
}

/// Returns the words after the options of a program that runs another one.
enum Wrapped<'a> {
    Words(&'a [String]),
    Text(&'a str),
}

fn after_options<'a>(words: &'a [String], with_value: &str, positional: usize) -> Wrapped<'a> {
    let mut left = positional;
    let mut index = 0;
    while let Some(word) = words.get(index) {
        if word == "-c" && left < positional {
            return Wrapped::Text(words.get(index + 1).map_or("", String::as_str));
        }
        if let Some(option) = word.strip_prefix('-').filter(|option| !option.is_empty()) {
            let takes = option.len() == 1 && with_value.contains(option);
            index += if takes { 2 } else { 1 };
        } else if is_assignment(word) {
            index += 1;
        } else if left > 0 {
            left -= 1;
            index += 1;
        } else {
            break;
        }
    }
    Wrapped::Words(words.get(index..).unwrap_or_default())
}

/// Returns the script of an interpreter.
fn script(interpreter: &str, words: &[String], depth: u8) -> Option<String> {
    let is_python = interpreter.starts_with("python");
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-m" if is_python => return words.next().cloned(),
            "-f" => {}
            "-e" | "-r" | "-E" => return None,
            "-o" | "-O" | "-d" | "-W" | "-X" => drop(words.next()),
            "-" | "-s" => break,
            option
                if option.starts_with('-') && option.ends_with('c') && !is_python && depth < 3 =>
            {
                return program(words.next()?, depth + 1);
            }
            "-c" => return None,
            option if option.starts_with('-') => {}
            file => return Some(of_tool(basename(file), words.as_slice())),
        }
    }
    Some(interpreter.to_owned())
}

fn is_interpreter(base: &str) -> bool {
    let bare = base.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    INTERPRETERS.contains(&bare)
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

fn basename(word: &str) -> &str {
    word.trim_end_matches('/').rsplit('/').next().unwrap_or(word)
}

/// Returns the words of each simple command, as far as one can tell without a shell, without
/// redirections.
fn simple_commands(command: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = command.chars().peekable();
    while let Some(char) = chars.next() {
        match (quote, char) {
            (Some(open), _) if open == char => quote = None,
            (Some('\''), _) => word.get_or_insert_default().push(char),
            (_, '\\') => word.get_or_insert_default().extend(chars.next()),
            (_, '$') if chars.next_if_eq(&'(').is_some() => {
                skip_substitution(&mut chars);
                word.get_or_insert_default().push('$');
            }
            (Some(_), _) => word.get_or_insert_default().push(char),
            (None, '\'' | '"') => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            (None, ' ' | '\t') => end_word(&mut commands, &mut word),
            (None, ';' | '&' | '|' | '(' | ')' | '{' | '}' | '\n') => {
                end_word(&mut commands, &mut word);
                commands.push(Vec::new());
            }
            (None, '<' | '>') => {
                // A number before it is a descriptor, and a file follows.
                word = word.filter(|word| !word.chars().all(|c| c.is_ascii_digit()));
                end_word(&mut commands, &mut word);
                while chars.next_if(|next| matches!(next, '>' | '&' | ' ')).is_some() {}
                while chars
                    .next_if(|next| !next.is_whitespace() && !";|&".contains(*next))
                    .is_some()
                {}
            }
            (None, _) => word.get_or_insert_default().push(char),
        }
    }
    end_word(&mut commands, &mut word);
    commands.retain(|words| !words.is_empty());
    commands
}

/// Skips `$(...)`.
fn skip_substitution(chars: &mut impl Iterator<Item = char>) {
    let mut depth = 1;
    for char in chars {
        match char {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
}

fn end_word(commands: &mut [Vec<String>], word: &mut Option<String>) {
    if let (Some(last), Some(word)) = (commands.last_mut(), word.take()) {
        last.push(word);
    }
}

/// Reduces a text to a valid name that no lock's file can have (`lock-x`, `a.3`).
fn valid(text: &str) -> String {
    let text = ENDINGS.iter().find_map(|ending| text.strip_suffix(ending)).unwrap_or(text);
    let mut name = String::new();
    for c in text.chars() {
        let c = if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
        if name.len() < LENGTH_MAX && !(c == '-' && name.ends_with('-')) {
            name.push(c);
        }
    }
    let name = name.trim_matches(['.', '-', '_']);
    let is_place =
        name.rsplit_once('.').is_some_and(|(_, end)| end.bytes().all(|byte| byte.is_ascii_digit()));
    let name = if is_place { name.replace('.', "-") } else { name.to_owned() };
    if name.is_empty() {
        return "job".to_owned();
    }
    if name.starts_with("lock-") || name.bytes().all(|byte| byte.is_ascii_digit()) {
        return format!("job-{name}");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_named_after_the_program_that_matters() {
        for (command, name) in [
            ("/usr/local/bin/backup.sh --all", "backup"),
            ("cd /srv/app && ./bin/rake cleanup", "rake-cleanup"),
            (
                "cd /srv/app && bundle exec rake db:sessions:trim RAILS_ENV=x",
                "rake-db-sessions-trim",
            ),
            ("bundle exec sidekiq-cleaner", "sidekiq-cleaner"),
            ("php /srv/artisan schedule:run >> /dev/null", "artisan-schedule-run"),
            ("/venv/bin/python manage.py clearsessions", "manage-clearsessions"),
            ("npm run report", "npm-report"),
            ("make -C /srv", "make"),
            ("docker exec -t -u www web php artisan cache:prune", "artisan-cache-prune"),
            ("docker system prune -f", "docker"),
            ("su - postgres -c 'vacuumdb -a -z' > /dev/null", "vacuumdb"),
            ("run-parts --report /opt/scripts/", "scripts"),
            ("cd / && run-parts --report /etc/cron.hourly", "cron.hourly"),
            ("run-parts", "run-parts"),
            ("if [ -x /a ]; then . /a/env.sh; fi", "env"),
            ("if [ -x /a ]; then true; fi", "true"),
            ("for f in /spool/*; do /opt/eat $f; done", "eat"),
            ("[ -x /a ]", "job"),
            ("cd /srv && sleep 5", "sleep"),
            ("A=1 B=\"x y\" /opt/report", "report"),
            (
                "test -x /usr/bin/certbot -a \\! -d /run/systemd/system && perl -e 'sleep int(rand(43200))' && certbot -q renew",
                "certbot",
            ),
            (
                "[ -x /usr/lib/php/sessionclean ] && if [ ! -d /run/systemd/system ]; then /usr/lib/php/sessionclean; fi",
                "sessionclean",
            ),
            (
                "test -e /run/systemd/system || SERVICE_MODE=1 /sbin/e2scrub_all -A -r",
                "e2scrub_all",
            ),
            ("command -v debian-sa1 > /dev/null && debian-sa1 1 1", "debian-sa1"),
            ("sudo -u www-data nice -n 10 php -f /srv/cron.php", "cron"),
            ("timeout -k 5 1h flock -n /tmp/x.lock /opt/sync", "sync"),
            ("flock -n /tmp/x.lock -c '/opt/sync a | b'", "sync"),
            ("bash -lc 'cd /x; exec ./run-it'", "run-it"),
            ("python3.11 -m app.jobs nightly", "app.jobs"),
            ("/usr/bin/python3 /opt/a_b.py", "a_b"),
            ("env -i PATH=/bin ionice -c 3 rsync -a a b", "rsync"),
            ("find /tmp -type f | xargs rm", "find"),
            (">/dev/null 2>&1 pg_dump app", "pg_dump"),
            ("(sleep 5; /opt/late) &", "late"),
            ("echo hello", "echo"),
            ("env; pwd", "env"),
            (
                "if [ -x /a/checkarray ] && [ $(date +%d) -le 7 ]; then /a/checkarray --all; fi",
                "checkarray",
            ),
            ("lock-x", "job-lock-x"),
            ("a.3", "a-3"),
            ("12345", "job-12345"),
            ("\"$HOME/bin/x\"", "x"),
            ("日本", "job"),
            ("", "job"),
            ("'", "job"),
        ] {
            assert_eq!(of_command(command), name, "{command}");
        }
    }

    #[test]
    fn a_name_is_given_once() {
        let mut names = Names::default();
        let given: Vec<_> = ["a", "a", "a-2", "A"].map(|base| names.unique(base)).into();
        assert_eq!(given, ["a", "a-2", "a-2-2", "A-3"]);
    }
}
