//! From an order to a running command, or to a sentence that says why there is none.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::pipe2;

use super::enclosure::Enclosure;
use super::launch::Launch;
use super::order::Order;
use super::ready::Ready;
use super::record::End;
use super::refusal::{Refusal, failed};
use super::tools::Tools;
use crate::core::env_file;
use crate::core::environment::Reader;
use crate::os::file;
use crate::os::process;
use crate::os::spawn::Frame;

/// A command that was started.
#[derive(Debug)]
pub(super) struct Started {
    /// Its main process.
    pub(super) pid: i32,
    /// The end of its output to read from; never waits.
    pub(super) output: OwnedFd,
    /// The same of its standard output, where that is spooled.
    pub(super) stdout: Option<OwnedFd>,
    /// The job's file, opened to append.
    pub(super) file: Option<OwnedFd>,
    /// The process is still on the way to be the command; none: it is executing.
    pub(super) launch: Option<Launch>,
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
        let ready = of_own_account(order, nice)?;
        let pid = tools.spawner.spawn(&frame, &ready.command());
        (pid.map_err(|failure| ready.refusal(failure))?, None)
    };
    Ok(Started { pid, output, stdout, file: None, launch })
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

/// The command of an order that looks at nothing outside.
fn of_own_account(order: &Order, nice: Option<i32>) -> Result<Ready<'_>, End> {
    let account = order.own_account.account();
    let env = order.sources.compose(account, &mut Nothing)?;
    Ready::of(order, nice, env, account.home)
}
