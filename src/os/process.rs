//! Processes: identify them, list their descendants, signal and reap them, and start a keeper.
//!
//! The command itself is started in `os::spawn`.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};

use super::poll;

/// What /proc/PID/stat says of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    /// Its number.
    pub(crate) pid: i32,
    /// The name of its program, at most 15 bytes of it.
    pub(crate) name: String,
    /// `R`, `S`, `Z`, ... as in proc_pid_stat(5).
    pub(crate) state: u8,
    /// The number of its parent.
    pub(crate) parent: i32,
    /// The number of its process group.
    pub(crate) group: i32,
    /// The number of its session.
    pub(crate) session: i32,
    /// When it started, in clock ticks since boot.
    pub(crate) start_ticks: u64,
}

impl Stat {
    /// Returns whether it has ended and only waits to be reaped.
    pub(crate) fn is_dead(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }
}

/// Reads /proc/PID/stat. Errs with `NotFound` where there is no such process.
pub(crate) fn stat(pid: i32) -> io::Result<Stat> {
    // One read gives it whole and it is never longer; asking for its length first would cost as
    // much again.
    let mut text = [0; 1024];
    let read = File::open(format!("/proc/{pid}/stat")).and_then(|mut file| file.read(&mut text));
    let len = match read {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {
            return Err(io::ErrorKind::NotFound.into());
        }
        read => read?,
    };
    parse_stat(&text[..len])
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc/PID/stat cannot be read"))
}

/// The name is in parentheses and may contain any character, even a parenthesis: the last one ends
/// it.
fn parse_stat(text: &[u8]) -> Option<Stat> {
    let open = text.iter().position(|byte| *byte == b'(')?;
    let close = text.iter().rposition(|byte| *byte == b')')?;
    let pid = std::str::from_utf8(&text[..open]).ok()?.trim().parse().ok()?;
    let name = String::from_utf8_lossy(text.get(open + 1..close)?).into_owned();
    let rest = std::str::from_utf8(&text[close + 1..]).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let session = fields.next()?.parse().ok()?;
    // Field 22 of the line; those above are 3 to 6.
    let start_ticks = fields.nth(22 - 7)?.parse().ok()?;
    Some(Stat { pid, name, state, parent, group, session, start_ticks })
}

/// The environment with which a process was executed; a NUL ends each variable.
pub(crate) fn environment(pid: i32) -> io::Result<Vec<u8>> {
    fs::read(format!("/proc/{pid}/environ"))
}

/// Waits for the end of a process that has got KILL or is exiting, `limit` at most: until then it
/// holds its locks. Does nothing for one that lives. Whether it is gone.
pub(crate) fn wait_if_dying(pid: i32, limit: Duration) -> bool {
    let Ok(pidfd) = pidfd_open(pid) else {
        return stat(pid).is_err();
    };
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    is_dying(&status)
        && poll::wait(&mut [poll::readable(pidfd.as_fd())], Some(limit))
            .is_ok_and(|ended| ended > 0)
}

/// What /proc/PID/status says of a process that KILL is pending for, or that has ended and waits to
/// be reaped.
fn is_dying(status: &str) -> bool {
    let field = |name: &str| {
        let mut lines = status.lines();
        lines.find_map(|line| Some(line.strip_prefix(name)?.trim()))
    };
    let has_kill = |name: &str| {
        field(name)
            .and_then(|mask| u64::from_str_radix(mask, 16).ok())
            .is_some_and(|mask| mask & (1 << (libc::SIGKILL - 1)) != 0)
    };
    let is_ended = field("State:").is_none_or(|state| state.starts_with(['Z', 'X']));
    is_ended || has_kill("ShdPnd:") || has_kill("SigPnd:")
}

/// Whether a process is in the middle of execve(2) or of its end, where it has neither environment
/// nor arguments; a process that was executed without an environment still has arguments.
pub(crate) fn has_no_image(pid: i32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|arguments| arguments.is_empty())
}

/// Whether no number of a process, group or session can have been given twice on this boot: the
/// kernel counts up to the greatest one before it begins anew (proc_sys_kernel(5), `pid_max`).
/// False where that cannot be told.
pub(crate) fn has_given_no_number_twice() -> bool {
    let max = fs::read_to_string("/proc/sys/kernel/pid_max").ok();
    let max = max.and_then(|max| max.trim().parse::<u64>().ok());
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let forks = stat.lines().find_map(|line| line.strip_prefix("processes "));
    let forks = forks.and_then(|forks| forks.trim().parse::<u64>().ok());
    // Numbers that are in use are passed over, which makes the round shorter; half of it is far
    // from that.
    max.zip(forks).is_some_and(|(max, forks)| forks < max / 2)
}

/// Whether a process executes the same program as this one, whatever its version.
pub(crate) fn is_executing_like_this(pid: i32) -> bool {
    let name = |path: &str| {
        let exe = fs::read_link(path).ok()?;
        let name = exe.file_name()?.to_string_lossy().into_owned();
        // The kernel says so of a file that was replaced by an upgrade.
        Some(name.strip_suffix(" (deleted)").unwrap_or(&name).to_owned())
    };
    let own = name("/proc/self/exe");
    own.is_some() && name(&format!("/proc/{pid}/exe")) == own
}

/// What a process calls itself (proc_pid_comm(5)); none if there is no such process.
pub(crate) fn name_of(pid: i32) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(name.trim_end().to_owned())
}

/// The processes that can be seen to have a file open.
pub(crate) fn that_have_open(path: &Path) -> Vec<i32> {
    let has_it = |pid: &i32| {
        let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
            return false;
        };
        entries
            .flatten()
            .any(|entry| fs::read_link(entry.path()).is_ok_and(|target| target == path))
    };
    let all = all().unwrap_or_default();
    all.iter().map(|process| process.pid).filter(has_it).collect()
}

/// All processes that can be seen.
pub(crate) fn all() -> io::Result<Vec<Stat>> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // It may have gone since.
        all.extend(stat(pid));
    }
    Ok(all)
}

/// Everything below the process `of`, parents before their children.
pub(crate) fn descendants(of: i32) -> io::Result<Vec<Stat>> {
    let mut by_parent: HashMap<i32, Vec<Stat>> = HashMap::new();
    for process in all()? {
        by_parent.entry(process.parent).or_default().push(process);
    }
    let mut below = by_parent.remove(&of).unwrap_or_default();
    let mut seen = 0;
    while seen < below.len() {
        below.append(&mut by_parent.remove(&below[seen].pid).unwrap_or_default());
        seen += 1;
    }
    Ok(below)
}

/// What identifies a boot of the machine (/proc/sys/kernel/random/boot_id).
pub(crate) fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// With this code.
    Exited(u8),
    /// By this signal.
    Signaled(i32),
}

/// What a child used, itself and what it waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// CPU time in user mode.
    pub(crate) user: Duration,
    /// CPU time in the kernel.
    pub(crate) system: Duration,
    /// Largest resident set, in KiB.
    pub(crate) max_rss_kib: u64,
}

/// What [`reap`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reaped {
    /// This child had ended; its number is free now.
    Ended {
        /// Its number.
        pid: i32,
        /// How it ended.
        status: Status,
        /// What it used.
        usage: Usage,
    },
    /// There are children, and none of them has ended.
    NoneEnded,
    /// There are no children.
    NoChildren,
}

/// Takes one child that has ended, without waiting.
#[expect(unsafe_code, reason = "nix has no wait4(2)")]
pub(crate) fn reap() -> io::Result<Reaped> {
    loop {
        let mut raw = 0;
        // SAFETY: a struct rusage is plain numbers, for which all zero is a value.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: both pointers are to living locals of the right type; wait4(2) writes nothing
        // else.
        let pid =
            unsafe { libc::wait4(-1, &raw mut raw, libc::WNOHANG | libc::__WALL, &raw mut usage) };
        match Errno::result(pid) {
            Ok(0) => return Ok(Reaped::NoneEnded),
            Ok(pid) if libc::WIFEXITED(raw) => {
                let status = Status::Exited(libc::WEXITSTATUS(raw).to_le_bytes()[0]);
                return Ok(Reaped::Ended { pid, status, usage: usage_of(&usage) });
            }
            Ok(pid) if libc::WIFSIGNALED(raw) => {
                let status = Status::Signaled(libc::WTERMSIG(raw));
                return Ok(Reaped::Ended { pid, status, usage: usage_of(&usage) });
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(Errno::ECHILD) => return Ok(Reaped::NoChildren),
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Returns freed memory to the system, after work that needed much of it once.
#[cfg_attr(
    target_env = "gnu",
    expect(unsafe_code, reason = "only the C library knows what it has freed")
)]
pub(crate) fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim(3) takes a number and touches only free memory.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Lets this process use what it makes itself, whatever the umask it was started with says. What is
/// executed gets a mask of its own.
pub(crate) fn keep_own_rights() {
    let former = umask(Mode::empty());
    umask(former & !Mode::S_IRWXU);
}

/// How many descriptors this process may have open at once.
pub(crate) fn descriptors_max() -> usize {
    let soft = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
    usize::try_from(soft).unwrap_or(usize::MAX)
}

/// Reaps all children that have ended and ignores how.
pub(crate) fn reap_children() {
    while let Ok(Reaped::Ended { .. }) = reap() {}
}

fn usage_of(usage: &libc::rusage) -> Usage {
    Usage {
        user: span_of(usage.ru_utime),
        system: span_of(usage.ru_stime),
        max_rss_kib: u64::try_from(usage.ru_maxrss).unwrap_or(0),
    }
}

fn span_of(time: libc::timeval) -> Duration {
    let micros = u64::try_from(time.tv_usec).unwrap_or(0);
    Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or(0)) + Duration::from_micros(micros)
}

/// Sends a signal, by number since it may be a real-time one, to the process group of `leader`.
/// That is still its own as long as the caller has a child in it, alive or not yet reaped.
pub(crate) fn signal_group(leader: i32, signal: i32) -> io::Result<()> {
    assert!(leader > 1, "a group of 0 or 1 would be ourselves or everybody");
    kill(-leader, signal)
}

/// Returns whether the process group still has a member, even an unreaped one.
pub(crate) fn has_group(leader: i32) -> bool {
    match signal_group(leader, 0) {
        Ok(()) => true,
        Err(error) => error.raw_os_error() == Some(libc::EPERM),
    }
}

#[expect(unsafe_code, reason = "nix knows no real-time signals")]
fn kill(target: i32, signal: i32) -> io::Result<()> {
    // SAFETY: kill(2) takes numbers only.
    Errno::result(unsafe { libc::kill(target, signal) })?;
    Ok(())
}

/// Opens a handle of a process that stays with it and is never that of a later one with the same
/// number. It becomes readable when the process ends.
#[expect(unsafe_code, reason = "nix has no pidfd_open(2)")]
pub(crate) fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open(2) takes numbers only.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    let fd = RawFd::try_from(fd).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made this descriptor (close-on-exec) and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Returns whether the process behind a handle has ended.
pub(crate) fn has_ended(pidfd: BorrowedFd<'_>) -> bool {
    poll::wait(&mut [poll::readable(pidfd)], Some(Duration::ZERO)).is_ok_and(|ready| ready > 0)
}

/// Sends a signal to the process behind a handle. Errs with ESRCH when it has been reaped.
#[expect(unsafe_code, reason = "nix has no pidfd_send_signal(2)")]
pub(crate) fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: Signal) -> io::Result<()> {
    let none = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the information is none, which is what kill(2) gives too; the rest is numbers.
    let sent = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal as libc::c_int,
            none,
            0,
        )
    };
    Errno::result(sent)?;
    Ok(())
}

/// Sends a signal to exactly the process that `process` describes. Errs with `NotFound` where it is
/// gone.
pub(crate) fn signal_exactly(process: &Stat, signal: Signal) -> io::Result<()> {
    let pidfd = match pidfd_open(process.pid) {
        Ok(pidfd) => pidfd,
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {
            return Err(io::ErrorKind::NotFound.into());
        }
        Err(error) => return Err(error),
    };
    // The handle may be that of a later process with the same number: its start tells.
    if stat(process.pid)?.start_ticks != process.start_ticks {
        return Err(io::ErrorKind::NotFound.into());
    }
    match pidfd_send_signal(pidfd.as_fd(), signal) {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {
            Err(io::ErrorKind::NotFound.into())
        }
        sent => sent,
    }
}

/// Closes all descriptors from `first` on.
#[expect(unsafe_code, reason = "nix has no close_range(2)")]
pub(crate) fn close_from(first: u32) -> io::Result<()> {
    // SAFETY: the caller is a process that has just begun and owns no descriptors but the ones
    // below `first`.
    Errno::result(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) })?;
    Ok(())
}

/// Makes orphans below this process its children, instead of those of the machine's first process.
pub(crate) fn become_subreaper() -> io::Result<()> {
    Ok(nix::sys::prctl::set_child_subreaper(true)?)
}

/// Returns the nice value of this process.
#[expect(unsafe_code, reason = "nix has no getpriority(2)")]
pub(crate) fn nice() -> io::Result<i32> {
    // -1 is an answer too, so the error is told apart by errno.
    Errno::clear();
    // SAFETY: getpriority(2) takes numbers only.
    match unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) } {
        -1 if Errno::last_raw() != 0 => Err(Errno::last().into()),
        nice => Ok(nice),
    }
}

/// Starts a keeper: `exe keeper` with the order socket, the record and the output file as its
/// descriptors 0, 1 and 2. Answers its number; it is a child of the caller, which reaps it.
///
/// The caller's own mask and dispositions do not matter: a keeper sets up its own. Nothing is done
/// between fork and exec, so the C library can start it without copying the caller's memory.
#[expect(clippy::disallowed_methods, reason = "processes are started here")]
pub(crate) fn spawn_keeper(
    exe: &Path,
    socket: OwnedFd,
    record: BorrowedFd<'_>,
    output: BorrowedFd<'_>,
) -> io::Result<i32> {
    let child = Command::new(exe)
        .arg0(OsStr::new("jobctl"))
        .arg("keeper")
        .stdin(Stdio::from(socket))
        .stdout(Stdio::from(record.try_clone_to_owned()?))
        .stderr(Stdio::from(output.try_clone_to_owned()?))
        .spawn()?;
    i32::try_from(child.id()).map_err(io::Error::other)
}

/// What a door needs of the environment: time zones, and what a test puts before the C library.
const DOOR_ENVIRONMENT: [&str; 4] = ["TZ", "TZDIR", "LD_PRELOAD", "FAKETIME"];

/// Starts a door: `exe door` with a socket as its standard input. Answers its number; it is a child
/// of the caller, which reaps it.
#[expect(clippy::disallowed_methods, reason = "processes are started here")]
pub(crate) fn spawn_door(exe: &Path, socket: OwnedFd) -> io::Result<i32> {
    let kept = std::env::vars_os()
        .filter(|(name, _)| DOOR_ENVIRONMENT.iter().any(|kept| name.as_os_str() == *kept));
    let child = Command::new(exe)
        .arg0(OsStr::new("jobctl"))
        .arg("door")
        .env_clear()
        .envs(kept)
        .stdin(Stdio::from(socket))
        .stdout(Stdio::null())
        .spawn()?;
    i32::try_from(child.id()).map_err(io::Error::other)
}

/// Runs a program to its end, with nothing to read and messages in English, and answers what it
/// printed.
#[expect(clippy::disallowed_methods, reason = "processes are started here")]
pub(crate) fn output_of(program: &str, args: &[&str]) -> io::Result<Output> {
    Command::new(program).args(args).env("LC_ALL", "C").stdin(Stdio::null()).output()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_disturb() {
        let line = b"42 (a) R (b) S 7 42 42 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 1 0 123456 1000 10 18446744073709551615\n";
        let stat = parse_stat(line).unwrap();
        assert_eq!(
            stat,
            Stat {
                pid: 42,
                name: "a) R (b".to_owned(),
                state: b'S',
                parent: 7,
                group: 42,
                session: 42,
                start_ticks: 123_456
            }
        );
    }

    #[test]
    fn a_line_that_is_cut_off_is_refused() {
        for line in [&b""[..], b"42", b"42 (a", b"42 (a)", b")(", b"42 (a) S 7 42", b"x (a) S 7 42"]
        {
            assert_eq!(parse_stat(line), None, "{line:?}");
        }
    }

    #[test]
    fn a_process_with_a_pending_kill_is_dying_and_one_that_lives_is_not() {
        let living =
            "Name:\tx\nState:\tR (running)\nSigPnd:\t0000000000000000\nShdPnd:\t0000000000004000\n";
        assert!(!is_dying(living));
        assert!(is_dying(&living.replace("4000", "4100")));
        assert!(is_dying(&living.replace("R (running)", "Z (zombie)")));
        assert!(is_dying(""), "it is gone");
        let me = i32::try_from(std::process::id()).unwrap();
        assert!(!wait_if_dying(me, Duration::ZERO));
    }

    #[test]
    fn this_process_is_alive_and_has_a_start() {
        let me = stat(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(!me.is_dead());
        assert!(me.start_ticks > 0);
        assert_eq!(stat(i32::MAX).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
