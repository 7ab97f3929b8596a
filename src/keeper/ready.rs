//! A command that is ready to execute, and the explanation of a failure to execute it.

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;

use super::order::Order;
use super::record::End;
use super::refusal::{Refusal, explain_early, failed, identity_text, sentence, shown};
use crate::os::spawn::{Command, Failure, Step};
use crate::os::user::Identity;

/// The search path if the environment has no `PATH`.
const PATH_DEFAULT: &[u8] = b"/usr/bin:/bin";

/// All that is known of a command once everything that its order names was looked up.
pub(super) struct Ready<'a> {
    order: &'a Order,
    nice: Option<i32>,
    identity: Option<Identity>,
    candidates: Vec<CString>,
    argv: Vec<CString>,
    env: Vec<CString>,
    cwd: CString,
}

impl<'a> Ready<'a> {
    /// The command of an order with this environment, for an account that has this home directory.
    pub(super) fn of(
        order: &'a Order,
        nice: Option<i32>,
        env: Vec<Vec<u8>>,
        home: &[u8],
    ) -> Result<Self, End> {
        let candidates = candidates(order, &env).into_iter();
        Ok(Self {
            order,
            nice,
            identity: None,
            candidates: candidates.map(|path| string("program", path)).collect::<Result<_, _>>()?,
            argv: strings("argument", order.argv.clone())?,
            env: strings("environment", env)?,
            cwd: string("working directory", order.cwd.as_deref().unwrap_or(home).to_vec())?,
        })
    }

    /// The same with other ids.
    pub(super) fn with_identity(self, identity: Option<Identity>) -> Self {
        Self { identity, ..self }
    }

    /// As the kernel is asked for it.
    pub(super) fn command(&self) -> Command<'_> {
        Command {
            candidates: &self.candidates,
            argv: &self.argv,
            env: &self.env,
            cwd: &self.cwd,
            identity: self.identity.as_ref(),
            limits: &self.order.limits,
            umask: self.order.umask,
            nice: self.nice,
        }
    }

    /// Names its working directory, for people.
    pub(super) fn directory(&self) -> String {
        shown(self.cwd.as_bytes())
    }

    /// What a failure makes of the attempt.
    pub(super) fn refusal(&self, failure: Failure) -> Refusal {
        Refusal { end: self.explain(failure), ..Refusal::early(failure, self.order) }
    }

    /// The same, with what is known by now; exit codes as shells give them for a program that is
    /// missing or not executable.
    fn explain(&self, failure: Failure) -> End {
        let what = match failure.step {
            Step::Exec => return explain_exec(failure.errno, self),
            Step::Identity(what) => identity_text(what, self.identity.as_ref()),
            Step::Directory => format!("working directory {}", self.directory()),
            Step::Clone
            | Step::Cgroup
            | Step::Session
            | Step::Descriptors
            | Step::Nice
            | Step::Limit(_)
            | Step::Keyring
            | Step::DeathSignal => return explain_early(failure, self.order),
        };
        failed(&what, &failure.errno.into())
    }
}

fn explain_exec(errno: Errno, ready: &Ready<'_>) -> End {
    let order = ready.order;
    let program = shown(&order.program);
    let is_missing = matches!(errno, Errno::ENOENT | Errno::ENOTDIR);
    let (exit_code, error) = if errno == Errno::ENOENT && is_there(ready) {
        (Some(127), format!("{program}: its interpreter does not exist"))
    } else if is_missing && !order.program.contains(&b'/') {
        (Some(127), format!("{program}: not found in PATH"))
    } else if is_missing {
        (Some(127), sentence(&program, errno))
    } else if errno == Errno::ENOEXEC {
        (Some(126), format!("{program}: not a program and has no `#!` line"))
    } else if is_not_executable(errno) {
        (Some(126), sentence(&program, errno))
    } else {
        (None, sentence(&program, errno))
    };
    End::SpawnFailed { exit_code, error }
}

/// Returns whether the program exists but cannot be executed as it is.
fn is_not_executable(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::EACCES
            | Errno::EPERM
            | Errno::EISDIR
            | Errno::ETXTBSY
            | Errno::ELOOP
            | Errno::ELIBBAD
    )
}

/// Whether the program is there although it was not found: then what is missing is the interpreter
/// its first line names.
fn is_there(ready: &Ready<'_>) -> bool {
    let cwd = Path::new(OsStr::from_bytes(ready.cwd.as_bytes()));
    ready.candidates.iter().any(|path| cwd.join(OsStr::from_bytes(path.as_bytes())).is_file())
}

fn strings(what: &str, texts: Vec<Vec<u8>>) -> Result<Vec<CString>, End> {
    texts.into_iter().map(|text| string(what, text)).collect()
}

fn string(what: &str, text: Vec<u8>) -> Result<CString, End> {
    CString::new(text).map_err(|_| End::SpawnFailed {
        exit_code: None,
        error: format!("{what}: contains a NUL byte"),
    })
}

/// The files that `order.program` may mean: itself if it has a slash, else one in each directory of
/// `PATH`, where an empty one is the working directory, as execvp(3) has it.
fn candidates(order: &Order, env: &[Vec<u8>]) -> Vec<Vec<u8>> {
    if order.program.contains(&b'/') || order.program.is_empty() {
        return vec![order.program.clone()];
    }
    let path = env.iter().find_map(|entry| entry.strip_prefix(b"PATH=")).unwrap_or(PATH_DEFAULT);
    let in_directory = |directory: &[u8]| match directory {
        b"" => order.program.clone(),
        _ => [directory, b"/", &order.program].concat(),
    };
    path.split(|byte| *byte == b':').map(in_directory).collect()
}
