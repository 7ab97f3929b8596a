//! The same work without jobctl.

use std::io;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::wait::waitpid;

/// Starts and reaps `sh -c true` so many times, `parallel` at once, from one thread; how long it
/// took.
///
/// Nothing else of this process may end meanwhile: any child is taken for one of these.
pub(crate) fn spawn_loop(count: usize, parallel: usize) -> io::Result<Duration> {
    let begin = Instant::now();
    let mut alive = 0;
    for _ in 0..count {
        if alive == parallel {
            waitpid(None, None)?;
            alive -= 1;
        }
        shell("true").spawn()?;
        alive += 1;
    }
    for _ in 0..alive {
        waitpid(None, None)?;
    }
    Ok(begin.elapsed())
}

/// Runs a shell command to its end; how long it took.
pub(crate) fn run(text: &str) -> io::Result<Duration> {
    let begin = Instant::now();
    shell(text).status()?;
    Ok(begin.elapsed())
}

fn shell(text: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", text]).stdin(Stdio::null());
    command
}
