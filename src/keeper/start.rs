//! From an order to a running command, or to a sentence that says why there is none.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::pipe2;

use super::enclosure::Enclosure;
use super::order::Order;
use super::record::End;
use crate::os::file;
use crate::os::process;
use crate::os::spawn::{Command, Failure, IdentityStep, Spawner, Step};
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
        Self {
            end,
            is_passing: false,
        }
    }
}

/// The strings of an order as the kernel wants them.
struct Strings {
    candidates: Vec<CString>,
    argv: Vec<CString>,
    env: Vec<CString>,
    cwd: CString,
}

/// Starts the command of `order`; `null` is its standard input where the order brings none. Errs with the end of the attempt.
pub(super) fn start(
    spawner: &mut Spawner,
    order: &Order,
    null: BorrowedFd<'_>,
    enclosure: Option<&Enclosure>,
) -> Result<Started, Refusal> {
    let strings = Strings::of(order)?;
    let given = given_input(order).map_err(|error| failed("standard input", &error))?;
    let nice = nice(order).map_err(|error| failed("nice value", &error))?;
    let door = enclosure
        .map(|enclosure| enclosure.group.door())
        .transpose();
    let door = door.map_err(|error| failed("cgroup", &error))?;
    let (output, write_end) = output_pipe().map_err(|error| failed("output pipe", &error))?;
    let spooled = order.spool.as_ref().map(|_| output_pipe()).transpose();
    let (stdout, stdout_end) = spooled
        .map_err(|error| failed("output pipe", &error))?
        .unzip();
    let command = Command {
        candidates: &strings.candidates,
        argv: &strings.argv,
        env: &strings.env,
        cwd: &strings.cwd,
        cgroup: door.as_ref().map(AsFd::as_fd),
        identity: order.identity.as_ref(),
        limits: &order.limits,
        umask: order.umask,
        nice,
        stdin: given.as_ref().map_or(null, AsFd::as_fd),
        stdout: stdout_end.as_ref().unwrap_or(&write_end).as_fd(),
        stderr: write_end.as_fd(),
    };
    match spawner.spawn(&command) {
        Ok(pid) => Ok(Started {
            pid,
            output,
            stdout,
        }),
        Err(failure) => Err(Refusal {
            is_passing: matches!(failure.errno, Errno::EAGAIN | Errno::ENOMEM),
            end: explain(failure, order, &strings),
        }),
    }
}

/// Only the end that is read from must not wait: what the command does with its own is its business.
fn output_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read_end, write_end) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&read_end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((read_end, write_end))
}

fn given_input(order: &Order) -> io::Result<Option<OwnedFd>> {
    if order.stdin.is_empty() {
        Ok(None)
    } else {
        file::sealed_memory(&order.stdin).map(Some)
    }
}

fn nice(order: &Order) -> io::Result<Option<i32>> {
    if order.nice == 0 {
        Ok(None)
    } else {
        Ok(Some(process::nice()?.saturating_add(order.nice)))
    }
}

impl Strings {
    fn of(order: &Order) -> Result<Self, End> {
        Ok(Self {
            candidates: candidates(order)
                .into_iter()
                .map(|path| string("program", path))
                .collect::<Result<_, _>>()?,
            argv: strings("argument", &order.argv)?,
            env: strings("environment", &order.env)?,
            cwd: string("working directory", order.cwd.clone())?,
        })
    }
}

fn strings(what: &str, texts: &[Vec<u8>]) -> Result<Vec<CString>, End> {
    texts
        .iter()
        .map(|text| string(what, text.clone()))
        .collect()
}

fn string(what: &str, text: Vec<u8>) -> Result<CString, End> {
    CString::new(text).map_err(|_| End::SpawnFailed {
        exit_code: None,
        error: format!("{what}: holds a NUL byte"),
    })
}

/// The files that `order.program` may mean: itself if it has a slash, else one in each directory of `PATH`, where an empty
/// one is the working directory, as execvp(3) has it.
fn candidates(order: &Order) -> Vec<Vec<u8>> {
    if order.program.contains(&b'/') || order.program.is_empty() {
        return vec![order.program.clone()];
    }
    let path = order
        .env
        .iter()
        .find_map(|entry| entry.strip_prefix(b"PATH="))
        .unwrap_or(PATH_DEFAULT);
    let in_directory = |directory: &[u8]| match directory {
        b"" => order.program.clone(),
        _ => [directory, b"/", &order.program].concat(),
    };
    path.split(|byte| *byte == b':').map(in_directory).collect()
}

/// The object first, then the reason; exit codes as shells give them for a program that is missing or not executable.
fn explain(failure: Failure, order: &Order, strings: &Strings) -> End {
    match failure.step {
        Step::Clone => failed("new process", &failure.errno.into()),
        Step::Cgroup => failed("cgroup", &failure.errno.into()),
        Step::Session => failed("new session", &failure.errno.into()),
        Step::Descriptors => failed("descriptors", &failure.errno.into()),
        Step::Nice => failed(&format!("nice value {}", order.nice), &failure.errno.into()),
        Step::Limit(limit) => failed(
            &format!("limit {} of {}", limit.name(), limit.soft),
            &failure.errno.into(),
        ),
        Step::Identity(what) => failed(
            &identity_text(what, order.identity.as_ref()),
            &failure.errno.into(),
        ),
        Step::Directory => failed(
            &format!("working directory {}", shown(&order.cwd)),
            &failure.errno.into(),
        ),
        Step::DeathSignal => failed("death signal", &failure.errno.into()),
        Step::Exec => explain_exec(failure.errno, order, strings),
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

fn explain_exec(errno: Errno, order: &Order, strings: &Strings) -> End {
    let program = shown(&order.program);
    let is_missing = matches!(errno, Errno::ENOENT | Errno::ENOTDIR);
    let (exit_code, error) = if errno == Errno::ENOENT && is_there(order, strings) {
        (
            Some(127),
            format!("{program}: its interpreter does not exist"),
        )
    } else if is_missing && !order.program.contains(&b'/') {
        (Some(127), format!("{program}: not found in PATH"))
    } else if is_missing {
        (Some(127), sentence(&program, errno))
    } else if errno == Errno::ENOEXEC {
        (
            Some(126),
            format!("{program}: not a program and has no `#!` line"),
        )
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

/// Whether the program is there although it was not found: then what is missing is the interpreter its first line names.
fn is_there(order: &Order, strings: &Strings) -> bool {
    let cwd = Path::new(OsStr::from_bytes(&order.cwd));
    strings
        .candidates
        .iter()
        .any(|path| cwd.join(OsStr::from_bytes(path.as_bytes())).is_file())
}

fn failed(what: &str, error: &io::Error) -> End {
    let errno = error
        .raw_os_error()
        .map_or(Errno::UnknownErrno, Errno::from_raw);
    End::SpawnFailed {
        exit_code: None,
        error: sentence(what, errno),
    }
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
