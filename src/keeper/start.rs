//! From an order to a running command, or to a sentence that says why there is none.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::pipe2;

use super::attempt::Tools;
use super::enclosure::Enclosure;
use super::launch::Launch;
use super::order::Order;
use super::record::End;
use crate::core::env_file;
use crate::core::environment::Reader;
use crate::os::file;
use crate::os::process;
use crate::os::spawn::{Command, Failure, Frame, IdentityStep, Step};
use crate::os::user::Identity;

/// Where programs are looked for if the environment has no `PATH`.
const PATH_DEFAULT: &[u8] = b"/usr/bin:/bin";

/// A command that was started.
#[derive(Debug)]
pub(super) struct Started {
    /// Its main process.
    pub(super) pid: i32,
    /// The end of its output to read from; never waits.
    pub(super) output: OwnedFd,
    /// The same of its standard output, where that is spooled.
    pub(super) stdout: Option<OwnedFd>,
    /// The process is still on the way to be the command; none: it is executing.
    pub(super) launch: Option<Launch>,
}

/// A command that was not started.
#[derive(Debug)]
pub(super) struct Refusal {
    /// What that makes of the attempt.
    pub(super) end: End,
    /// The system had too few processes or too little memory, which may be otherwise in a moment.
    pub(super) is_passing: bool,
}

impl From<End> for Refusal {
    fn from(end: End) -> Self {
        Self { end, is_passing: false }
    }
}

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

/// Starts the command of `order`; `null` is its standard input where the order brings none. Errs
/// with the end of the attempt.
pub(super) fn start(
    tools: &mut Tools,
    order: &Order,
    input: Option<&OwnedFd>,
    enclosure: Option<&Enclosure>,
) -> Result<Started, Refusal> {
    let given = given_input(order).map_err(|error| failed("standard input", &error))?;
    let nice = nice(order).map_err(|error| failed("nice value", &error))?;
    let door = enclosure.map(|enclosure| enclosure.group.door()).transpose();
    let door = door.map_err(|error| failed("cgroup", &error))?;
    let (output, write_end) = output_pipe().map_err(|error| failed("output pipe", &error))?;
    let spooled = order.spool.as_ref().map(|_| output_pipe()).transpose();
    let (stdout, stdout_end) = spooled.map_err(|error| failed("output pipe", &error))?.unzip();
    let null = input.unwrap_or(&tools.null);
    let frame = Frame {
        cgroup: door.as_ref().map(AsFd::as_fd),
        stdin: given.as_ref().unwrap_or(null).as_fd(),
        stdout: stdout_end.as_ref().unwrap_or(&write_end).as_fd(),
        stderr: write_end.as_fd(),
    };
    let (pid, launch) = if order.looks_outside() {
        let launch = Launch::begin(order, &frame, nice, tools.identity.process.pid)?;
        (launch.pid, Some(launch))
    } else {
        let ready = Ready::of_own_account(order, nice)?;
        let pid = tools.spawner.spawn(&frame, &ready.command());
        (pid.map_err(|failure| ready.refusal(failure))?, None)
    };
    Ok(Started { pid, output, stdout, launch })
}

/// Only the end that is read from must not wait: what the command does with its own is its
/// business.
fn output_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read_end, write_end) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&read_end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((read_end, write_end))
}

fn given_input(order: &Order) -> io::Result<Option<OwnedFd>> {
    if order.stdin.is_empty() { Ok(None) } else { file::sealed_memory(&order.stdin).map(Some) }
}

fn nice(order: &Order) -> io::Result<Option<i32>> {
    if order.nice == 0 { Ok(None) } else { Ok(Some(process::nice()?.saturating_add(order.nice))) }
}

/// An order that looks at nothing outside has nothing to read.
struct Nothing;

impl Reader for Nothing {
    type Error = End;

    fn env_file(&mut self, path: &str) -> Result<env_file::Variables, End> {
        Err(failed(&format!("env_file {path}"), &Errno::ENOSYS.into()))
    }

    fn value(&mut self, name: &str, path: &str) -> Result<Vec<u8>, End> {
        Err(failed(&format!("env {name}: {path}"), &Errno::ENOSYS.into()))
    }
}

impl<'a> Ready<'a> {
    fn of_own_account(order: &'a Order, nice: Option<i32>) -> Result<Self, End> {
        let account = order.own_account.account();
        let env = order.sources.compose(account, &mut Nothing)?;
        Self::of(order, nice, env, account.home)
    }

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

    /// Its working directory, for people.
    pub(super) fn directory(&self) -> String {
        shown(self.cwd.as_bytes())
    }

    /// What a failure makes of the attempt.
    pub(super) fn refusal(&self, failure: Failure) -> Refusal {
        Refusal { is_passing: is_passing(failure.errno), end: self.explain(failure) }
    }
}

/// What a failure makes of an attempt before anything of its command was looked up.
pub(super) fn early_refusal(failure: Failure, order: &Order) -> Refusal {
    Refusal { is_passing: is_passing(failure.errno), end: explain_early(failure, order) }
}

fn is_passing(errno: Errno) -> bool {
    matches!(errno, Errno::EAGAIN | Errno::ENOMEM)
}

fn strings(what: &str, texts: Vec<Vec<u8>>) -> Result<Vec<CString>, End> {
    texts.into_iter().map(|text| string(what, text)).collect()
}

fn string(what: &str, text: Vec<u8>) -> Result<CString, End> {
    CString::new(text).map_err(|_| End::SpawnFailed {
        exit_code: None,
        error: format!("{what}: holds a NUL byte"),
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

/// The object first, then the reason.
fn explain_early(failure: Failure, order: &Order) -> End {
    let what = match failure.step {
        Step::Clone => "new process".to_owned(),
        Step::Cgroup => "cgroup".to_owned(),
        Step::Session => "new session".to_owned(),
        Step::Descriptors => "descriptors".to_owned(),
        Step::Nice => format!("nice value {}", order.nice),
        Step::Limit(limit) => format!("limit {} of {}", limit.name(), limit.soft),
        Step::Keyring => "session keyring".to_owned(),
        Step::Identity(what) => identity_text(what, None),
        Step::Directory => "working directory".to_owned(),
        Step::DeathSignal => "death signal".to_owned(),
        Step::Exec => shown(&order.program),
    };
    failed(&what, &failure.errno.into())
}

impl Ready<'_> {
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

fn identity_text(what: IdentityStep, identity: Option<&Identity>) -> String {
    let (uid, gid) = identity.map_or((0, 0), |identity| (identity.uid, identity.gid));
    match what {
        IdentityStep::Groups => format!("groups of user id {uid}"),
        IdentityStep::Group => format!("group id {gid}"),
        IdentityStep::User => format!("user id {uid}"),
        IdentityStep::Verify => format!("ids {uid}:{gid} were not taken"),
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

/// Whether the program is there and cannot be executed as it is.
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

/// A pipe could not be made.
pub(super) fn output_failed(errno: Errno) -> Refusal {
    failed("output pipe", &errno.into()).into()
}

fn failed(what: &str, error: &io::Error) -> End {
    let errno = error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw);
    End::SpawnFailed { exit_code: None, error: sentence(what, errno) }
}

/// `/bin/zsh: no such file or directory`.
fn sentence(what: &str, errno: Errno) -> String {
    format!("{what}: {}", reason(errno))
}

/// Why, in small letters but for those of `I/O error`.
pub(super) fn reason(errno: Errno) -> String {
    if errno == Errno::EAGAIN {
        return "resource temporarily unavailable (EAGAIN)".to_owned();
    }
    let text = errno.desc();
    match text.split_at_checked(1) {
        Some((first, rest)) if rest.starts_with(|c: char| c == ' ' || c.is_ascii_lowercase()) => {
            format!("{}{rest}", first.to_ascii_lowercase())
        }
        Some(_) | None => text.to_owned(),
    }
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
