//! Finds directories, files and programs that jobs name and this machine does not have.
//!
//! It checks with the caller's rights and starts nothing. Only a run can find out what another
//! user's rights allow.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::core::env_file;
use crate::core::environment::{Account, Reader, Sources};
use crate::core::forewarn::{About, Finding};
use crate::core::job::{CommandLine, EnvValue, Job, Policy};
use crate::core::reason::plain;
use crate::keeper::ENV_FILE_MAX;
use crate::os::user::{self, UserEntry};
use crate::os::{file, program, trust};

/// The consequence of a wrong key.
const FAILS: &str = "attempts fail (spawn_failed)";

/// A key, what is wrong with its value, and a hint.
type Remark = (&'static str, String, Option<String>);

/// Checks every enabled job.
pub(super) fn look(jobs: &[Job]) -> impl Iterator<Item = Finding> {
    let may_run = jobs.iter().enumerate().filter(|(_, job)| job.policy.enabled);
    may_run.flat_map(|(index, job)| {
        of_job(job).into_iter().map(move |(key, message, hint)| Finding {
            about: About::Key(index, key),
            message,
            hint,
        })
    })
}

fn of_job(job: &Job) -> Vec<Remark> {
    let policy = &job.policy;
    // A missing account is a finding of its own.
    let Ok(account) = user::account_of(policy.user.as_deref(), policy.group.as_deref()) else {
        return Vec::new();
    };
    let entry = account.map_or_else(user::current, |account| account.entry);
    let cwd = policy.cwd.as_deref().map_or_else(|| entry.home.clone(), PathBuf::from);
    let mut remarks = Vec::new();
    let is_cwd_there = match directory(&cwd) {
        Some(why) => {
            remarks.push((
                "cwd",
                format!("working directory {}: {why}: {FAILS}", cwd.display()),
                None,
            ));
            false
        }
        None => true,
    };
    remarks.extend(files(policy));
    remarks.extend(policy.output_file.as_deref().and_then(|path| output_file(path, &entry)));
    let path = path_of(policy, &entry);
    let search = Search { policy, path: &path, home: &entry.home, cwd: &cwd, fails: FAILS };
    if is_cwd_there {
        remarks.extend(search.command("command", &job.command));
    }
    let search = Search { cwd: Path::new("/"), fails: "the hook fails", ..search };
    remarks.extend(policy.hooks.given().filter_map(|(key, hook)| search.command(key, hook)));
    remarks
}

fn directory(path: &Path) -> Option<String> {
    match path.metadata() {
        Ok(meta) if meta.is_dir() => None,
        Ok(_) => Some("not a directory".to_owned()),
        Err(error) => Some(plain(&error)),
    }
}

/// Checks a file that a user's command appends its output to.
fn output_file(path: &str, user: &UserEntry) -> Option<Remark> {
    let file = Path::new(path);
    let dir = file.parent().unwrap_or(file);
    // Other users could create a link there, and root would write through it.
    if user.name == "root" && dir.metadata().is_ok_and(|meta| meta.mode() & 0o002 != 0) {
        let message =
            format!("output_file {path}: every user may write in {}: not for root", dir.display());
        return Some(("output_file", message, Some("use a directory such as /var/log".to_owned())));
    }
    let why = match file.metadata() {
        Ok(meta) if meta.is_file() => return None,
        Ok(_) => "not a regular file".to_owned(),
        Err(_) => format!("directory {}: {}", dir.display(), directory(dir)?),
    };
    let message = format!("output_file {path}: {why}: no output is written to it");
    Some(("output_file", message, None))
}

/// Checks the environment files of a job; their ownership is checked elsewhere.
fn files(policy: &Policy) -> Vec<Remark> {
    let mut remarks = Vec::new();
    if let Some(path) = &policy.env_file
        && let Err(why) = variables(path)
    {
        remarks.push(("env_file", format!("env_file {path}: {why}: {FAILS}"), None));
    }
    for (name, value) in &policy.env {
        if let EnvValue::File(path) = value
            && let Err(error) = trust::open(Path::new(&**path))
        {
            remarks.push(("env", format!("env {name}: {path}: {}: {FAILS}", plain(&error)), None));
        }
    }
    remarks
}

fn variables(path: &str) -> Result<env_file::Variables, String> {
    let opened = trust::open(Path::new(path)).map_err(|error| plain(&error))?;
    let bytes = file::read_whole(opened.file, ENV_FILE_MAX).map_err(|error| plain(&error))?;
    env_file::parse(&bytes).map_err(|error| format!("line {}: {}", error.line, error.message))
}

/// Returns the `PATH` of a job's commands, as far as it is known before a run.
fn path_of(policy: &Policy, entry: &UserEntry) -> Vec<u8> {
    let own = std::env::var_os("PATH").filter(|_| policy.passes_env());
    let sources = Sources {
        inherited: own
            .map(|path| (b"PATH".to_vec(), path.into_encoded_bytes()))
            .into_iter()
            .collect(),
        account_wins: policy.user.is_some(),
        env_file: policy.env_file.as_deref().map(str::to_owned),
        values: policy.env.iter().map(|(name, value)| (name.to_string(), value.clone())).collect(),
        ..Sources::default()
    };
    let account = Account {
        name: entry.name.as_bytes(),
        home: entry.home.as_os_str().as_encoded_bytes(),
        shell: entry.shell.as_os_str().as_encoded_bytes(),
    };
    let Ok(composed) = sources.compose(account, &mut Readable);
    let path = composed.iter().find_map(|entry| entry.strip_prefix(b"PATH="));
    path.unwrap_or_default().to_vec()
}

/// Reads the readable files; the others are reported elsewhere.
struct Readable;

impl Reader for Readable {
    type Error = std::convert::Infallible;

    fn env_file(&mut self, path: &str) -> Result<env_file::Variables, Self::Error> {
        Ok(variables(path).unwrap_or_default())
    }

    fn value(&mut self, _: &str, path: &str) -> Result<Vec<u8>, Self::Error> {
        Ok(file::read_small(Path::new(path), ENV_FILE_MAX)
            .unwrap_or_default()
            .trim_ascii_end()
            .to_vec())
    }
}

/// Where programs are searched.
struct Search<'a> {
    policy: &'a Policy,
    path: &'a [u8],
    home: &'a Path,
    cwd: &'a Path,
    /// The consequence of a wrong program.
    fails: &'a str,
}

impl Search<'_> {
    /// Checks the program of a command: of an array, or the path that a shell command begins with.
    fn command(&self, key: &'static str, command: &CommandLine) -> Option<Remark> {
        let fails = self.fails;
        match command {
            CommandLine::Exec(words) => {
                let program = words.first()?;
                let why = self.program(program)?;
                if words.len() == 1 && program.contains(' ') {
                    return Some((
                        key,
                        format!("its only element names one program, `{program}`: {fails}"),
                        Some(
                            "write the command as text, or each argument as an element".to_owned(),
                        ),
                    ));
                }
                Some((key, format!("{why}: {fails}"), None))
            }
            CommandLine::Shell(text) => {
                if let Some(why) = self.program(self.policy.shell.first()?) {
                    return Some(("shell", format!("{why}: {fails}"), None));
                }
                let path = first_path(text)?;
                let path = match path.strip_prefix("~/") {
                    Some(rest) => self.home.join(rest),
                    None => self.cwd.join(path),
                };
                let fault = match program::look(&path) {
                    // A shell interprets the file itself.
                    Ok(()) | Err(program::Fault::Text) => return None,
                    Err(fault) => fault,
                };
                Some((
                    key,
                    format!("{}: {fault}: the shell cannot execute it", path.display()),
                    None,
                ))
            }
        }
    }

    fn program(&self, name: &str) -> Option<String> {
        let path = if name.contains('/') {
            self.cwd.join(name)
        } else {
            match program::find(name, self.path, self.cwd) {
                Ok(path) => path,
                Err(Some((path, fault))) => return Some(format!("{}: {fault}", path.display())),
                Err(None) => return Some(format!("{name}: not found in PATH")),
            }
        };
        program::look(&path).err().map(|fault| format!("{}: {fault}", path.display()))
    }
}

/// Returns the path that a shell command begins with, if its first word is a plain path.
fn first_path(text: &str) -> Option<&str> {
    let text = text.trim_start();
    let ends = |c: char| c.is_whitespace() || matches!(c, ';' | '&' | '|' | '<' | '>');
    let word = text.split(ends).next()?;
    let path = word.strip_prefix('~').unwrap_or(word);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._+@%:,-".contains(c);
    let is_path = ["/", "./", "../"].iter().any(|start| path.starts_with(start));
    (is_path && path.chars().all(is_plain)).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_first_word_that_is_a_path_is_taken_for_one() {
        for (text, path) in [
            ("/usr/bin/x -a /b", Some("/usr/bin/x")),
            ("  ./x.sh>/dev/null", Some("./x.sh")),
            ("../x; y", Some("../x")),
            ("~/bin/x", Some("~/bin/x")),
            ("x /y", None),
            ("/srv/*/x", None),
            ("$HOME/x", None),
            ("A=/x y", None),
            ("'/a b/x'", None),
            ("cd /x && ./y", None),
            ("bin/x", None),
            ("~ann/x", None),
            ("", None),
        ] {
            assert_eq!(first_path(text), path, "{text}");
        }
    }
}
