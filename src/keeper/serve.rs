//! The life of a keeper: set up, one order after another, and the end.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::{chdir, dup2_stderr, dup2_stdin, dup2_stdout, read, setsid};

use super::attempt::{self, Aftermath};
use super::message::{IN_MEMORY, INLINE, Lent, RETIRED, REUSABLE, SWEEP};
use super::order::Order;
use super::output::{Buffer, Copy};
use super::slot::Slot;
use super::sweep::{self, Witness};
use super::tools::{Identity, Tools};
use crate::core::time::Mono;
use crate::os::signals::{self, SignalQueue};
use crate::os::spawn::Spawner;
use crate::os::{clock, file, poll, process, socket};

/// An order in memory is not longer: standard input of a command is at most 16 MiB, its arguments
/// and environment less.
const ORDER_MAX: u64 = 64 * 1024 * 1024;

/// A daemon whose output nobody keeps has a reader for so long; what it writes later is a broken
/// pipe.
const RETIRED_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// What came over the socket.
enum Incoming {
    /// An order, the locks to hold for it, and what was lent for it.
    Order(Box<Order>, Vec<OwnedFd>, Lent),
    /// What another keeper left is to be ended: who says that it is dead, and the state directory.
    Sweep(Witness, PathBuf),
    /// Nothing after all.
    Nothing,
    /// The supervisor is gone.
    End,
}

/// Serves until there is nobody to serve.
pub(super) fn serve() -> io::Result<()> {
    let mut tools = set_up()?;
    let socket = io::stdin();
    loop {
        if wait(&tools, &socket)? == Wake::Terminated {
            return Ok(());
        }
        let (order, locks, lent) = match receive(&socket, tools.buffer.bytes())? {
            Incoming::Order(order, locks, lent) => (order, locks, lent),
            Incoming::Sweep(witness, state_dir) => {
                if let Some(record) = tools.slot.read_record()? {
                    sweep::end_lost(&record, &state_dir, witness)?;
                }
                if report(&socket, REUSABLE).is_err() {
                    return Ok(());
                }
                continue;
            }
            Incoming::Nothing => continue,
            Incoming::End => return Ok(()),
        };
        let aftermath = attempt::work(&mut tools, &order, lent)?;
        unlock(locks);
        match aftermath {
            Aftermath::Clean => {
                if report(&socket, REUSABLE).is_err() {
                    return Ok(());
                }
            }
            Aftermath::Left { pipes, copy } => {
                return retire(&tools, &socket, pipes, copy);
            }
        }
    }
}

/// Nothing of the supervisor stays with this process but descriptors 0 to 2: a keeper that held its
/// lock, its FIFO or its database would keep the next supervisor out.
fn set_up() -> io::Result<Tools> {
    process::close_from(3)?;
    match setsid() {
        // It leads a session already.
        Ok(_) | Err(Errno::EPERM) => {}
        Err(errno) => return Err(errno.into()),
    }
    signals::reset_dispositions();
    let signals = SignalQueue::open(&[Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGUSR1])?;
    process::become_subreaper()?;
    chdir("/")?;
    Ok(Tools {
        identity: Identity::of_this_process()?,
        slot: Slot::inherited(),
        signals,
        null: nothing()?,
        spawner: Spawner::new(),
        buffer: Buffer::new(),
    })
}

/// What a command reads from that is given nothing: `/dev/null`, or an empty file where a machine
/// lacks that.
fn nothing() -> io::Result<OwnedFd> {
    let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC;
    match nix::fcntl::open("/dev/null", flags, Mode::empty()) {
        Ok(null) => Ok(null),
        Err(_) => file::sealed_memory(&[]),
    }
}

/// Why an idle keeper woke up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wake {
    /// Something may be in the socket.
    Message,
    /// TERM or USR1: there is nothing to stop but itself.
    Terminated,
}

/// Signals come before messages: one that was meant for the attempt before must not stop the next
/// one.
fn wait(tools: &Tools, socket: &io::Stdin) -> io::Result<Wake> {
    loop {
        let mut fds = [poll::readable(tools.signals.fd()), poll::readable(socket.as_fd())];
        poll::wait(&mut fds, None)?;
        let [has_signals, has_message] = [poll::is_ready(&fds[0]), poll::is_ready(&fds[1])];
        while has_signals && let Some(signal) = tools.signals.take()? {
            if signal != Signal::SIGCHLD {
                return Ok(Wake::Terminated);
            }
        }
        if has_message {
            return Ok(Wake::Message);
        }
    }
}

fn receive(socket: &io::Stdin, buffer: &mut [u8]) -> io::Result<Incoming> {
    let message = match socket::receive(socket.as_fd(), buffer) {
        Ok(message) => message,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Incoming::Nothing),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Incoming::Nothing),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(Incoming::End),
        Err(error) => return Err(error),
    };
    let mut locks = message.descriptors;
    let (order, flags) = match buffer[..message.len] {
        [] => return Ok(Incoming::End),
        [INLINE, flags, ref bytes @ ..] => (Order::decode(bytes)?, flags),
        [IN_MEMORY, flags] => (Order::decode(&read_memory(locks.pop())?)?, flags),
        [SWEEP, witness, ref state_dir @ ..] => {
            let witness = match witness {
                0 => Witness::Heard,
                _ => Witness::Saw,
            };
            let state_dir = PathBuf::from(OsStr::from_bytes(state_dir));
            return Ok(Incoming::Sweep(witness, state_dir));
        }
        [..] => return Err(io::ErrorKind::InvalidData.into()),
    };
    let lent = Lent::taken(flags, &mut locks);
    Ok(Incoming::Order(Box::new(order), locks, lent))
}

fn read_memory(memory: Option<OwnedFd>) -> io::Result<Vec<u8>> {
    let memory = File::from(memory.ok_or(io::ErrorKind::InvalidData)?);
    let len = memory.metadata()?.len().min(ORDER_MAX);
    file::read_at(memory.as_fd(), 0, usize::try_from(len).unwrap_or(0))
}

/// Ends the locks for every copy of them, wherever it is: the supervisor may have died before it
/// closed its own.
fn unlock(locks: Vec<OwnedFd>) {
    for lock in locks {
        // Closing does the same where nobody else has a copy.
        let _ = File::from(lock).unlock();
    }
}

fn report(socket: &io::Stdin, word: u8) -> io::Result<()> {
    socket::send(socket.as_fd(), &[&[word]], &[])
}

/// Lets go of the slot and stays only as long as somebody holds the command's output, which is read
/// and forgotten: a daemon that the command left behind shall neither write into the next attempt's
/// output nor die of a broken pipe. But no longer than [`RETIRED_MAX`]: as root, such keepers would
/// be there for ever for anybody who may start a daemon.
fn retire(
    tools: &Tools,
    socket: &io::Stdin,
    pipes: Vec<OwnedFd>,
    copy: Option<Copy>,
) -> io::Result<()> {
    dup2_stdout(&tools.null)?;
    dup2_stderr(&tools.null)?;
    // Nobody may be there to hear it; the record tells as well.
    let _ = report(socket, RETIRED);
    dup2_stdin(&tools.null)?;
    if pipes.is_empty() && copy.is_none() {
        return Ok(());
    }
    signals::ignore_children()?;
    outlast(pipes, copy, || clock::now().mono)
}

/// Reads and forgets until nobody holds the output any more, or [`RETIRED_MAX`] is over by this
/// clock. Closes it then.
fn outlast(
    mut pipes: Vec<OwnedFd>,
    mut copy: Option<Copy>,
    mut clock: impl FnMut() -> Mono,
) -> io::Result<()> {
    let deadline = clock() + RETIRED_MAX;
    let mut buffer = [0; 16 * 1024];
    while !pipes.is_empty() || copy.is_some() {
        let left = deadline.since(clock());
        if left.is_zero() {
            return Ok(());
        }
        let pipes_awaited = pipes.iter().map(|pipe| poll::readable(pipe.as_fd()));
        let copy_awaited = copy.as_ref().and_then(Copy::awaited);
        let mut fds: Vec<_> = pipes_awaited.chain(copy_awaited).collect();
        poll::wait(&mut fds, Some(left))?;
        if copy.as_mut().is_some_and(|copy| !copy.catch_up())
            || copy.as_ref().is_some_and(|copy| copy.awaited().is_none())
        {
            copy = None;
        }
        forget_output(&mut pipes, &mut buffer)?;
    }
    Ok(())
}

/// Reads a chunk of each pipe, and lets go of those that have ended.
fn forget_output(pipes: &mut Vec<OwnedFd>, buffer: &mut [u8]) -> io::Result<()> {
    let mut failure = None;
    pipes.retain(|pipe| match read(pipe, &mut *buffer) {
        Ok(0) => false,
        Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => true,
        Err(errno) => {
            failure = Some(errno);
            false
        }
    });
    failure.map_or(Ok(()), |errno| Err(errno.into()))
}

#[cfg(test)]
mod tests {
    use nix::unistd::{pipe2, write};

    use super::*;

    #[test]
    fn a_daemon_that_holds_the_output_has_a_reader_for_a_day_and_no_longer() {
        let (output, daemon) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).unwrap();
        let day = Duration::from_secs(24 * 60 * 60);
        let second = Duration::from_secs(1);
        let retired = Duration::from_secs(1_000);
        // When it retires, before each look, and when the day is over.
        let mut times = [retired, retired + second, retired + day - second, retired + day]
            .into_iter()
            .map(Mono::from_duration);
        outlast(vec![output], None, || {
            // Something to read, so that no look waits.
            assert_eq!(write(&daemon, b"x"), Ok(1), "it is read for a day");
            times.next().expect("it stays for more than a day")
        })
        .unwrap();
        assert_eq!(times.next(), None, "it went before the day was over");
        assert_eq!(write(&daemon, b"x"), Err(Errno::EPIPE));
    }
}
