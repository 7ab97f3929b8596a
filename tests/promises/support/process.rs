//! Processes as /proc shows them.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::waiting::wait_for;

/// Sends a signal to a process, which may be gone.
pub(crate) fn send(pid: i32, signal: Signal) {
    let _ = kill(Pid::from_raw(pid), signal);
}

/// Whether a process is there and no zombie.
pub(crate) fn is_alive(pid: i32) -> bool {
    stat_field(pid, 0).is_some_and(|state| state != "Z" && state != "X")
}

/// Waits until a process is gone.
#[track_caller]
pub(crate) fn wait_gone(pid: i32) {
    wait_for(&format!("process {pid} to be gone"), || (!is_alive(pid)).then_some(()));
}

/// A field of /proc/PID/stat after the name: 0 is the state, 1 the parent, 2 the group, 3 the
/// session.
pub(crate) fn stat_field(pid: i32, index: usize) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    rest.split(' ').nth(index).map(str::to_owned)
}

/// All processes of the machine.
pub(crate) fn processes() -> Vec<i32> {
    let entries = fs::read_dir("/proc").expect("there is /proc");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// The environment that a process was started with; empty if it is gone or another user's.
pub(crate) fn environment(pid: i32) -> Vec<String> {
    words_of(pid, "environ")
}

pub(super) fn command_line(pid: i32) -> Vec<String> {
    words_of(pid, "cmdline")
}

fn words_of(pid: i32, file: &str) -> Vec<String> {
    let mut bytes = Vec::new();
    if let Ok(mut file) = File::open(format!("/proc/{pid}/{file}")) {
        // Gone meanwhile, or not ours.
        let _ = file.read_to_end(&mut bytes);
    }
    bytes.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

pub(super) fn has_open_below(pid: i32, dir: &Path) -> bool {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    entries
        .filter_map(Result::ok)
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .any(|target| target.starts_with(dir))
}
