//! Starts a command the way vfork(2) does: the child borrows this process's memory until it executes, so starting costs the
//! same however large this process is, and the child can say exactly what went wrong by writing it down.
//!
//! Everything the child needs is made before; between clone and exec it makes system calls only.

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::ptr;

use nix::errno::Errno;
use nix::libc;
use nix::sched::{CloneFlags, clone};

use super::limit::Limit;
use super::user::Identity;

/// Enough for a few calls of small functions, in a build without optimisation too.
const STACK_SIZE: usize = 64 * 1024;

/// What to start.
#[derive(Clone, Debug)]
pub(crate) struct Command<'a> {
    /// The files to try, in this order; the first that can be executed is.
    pub(crate) candidates: &'a [CString],
    /// The arguments, the zeroth included.
    pub(crate) argv: &'a [CString],
    /// The environment.
    pub(crate) env: &'a [CString],
    /// Working directory.
    pub(crate) cwd: &'a CStr,
    /// The door of the control group it lives in (`cgroup.procs`, open for writing); none: this process's.
    pub(crate) cgroup: Option<BorrowedFd<'a>>,
    /// The ids it has; none: this process's.
    pub(crate) identity: Option<&'a Identity>,
    /// Resource limits.
    pub(crate) limits: &'a [Limit],
    /// File mode creation mask.
    pub(crate) umask: u32,
    /// The nice value; none: this process's.
    pub(crate) nice: Option<i32>,
    /// Standard input.
    pub(crate) stdin: BorrowedFd<'a>,
    /// Standard output.
    pub(crate) stdout: BorrowedFd<'a>,
    /// Standard error.
    pub(crate) stderr: BorrowedFd<'a>,
}

/// What could not be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Making the process.
    Clone,
    /// Getting into its control group.
    Cgroup,
    /// A session of its own.
    Session,
    /// Descriptors 0, 1 and 2.
    Descriptors,
    /// The nice value.
    Nice,
    /// A resource limit.
    Limit(Limit),
    /// The ids of another user.
    Identity(IdentityStep),
    /// The working directory.
    Directory,
    /// To be killed when its parent dies.
    DeathSignal,
    /// Executing the program.
    Exec,
}

/// What could not be done about the ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdentityStep {
    /// The supplementary groups.
    Groups,
    /// The group.
    Group,
    /// The user.
    User,
    /// The kernel answered yes and gave other ids, or would give the old ones back.
    Verify,
}

/// What could not be done and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The step.
    pub(crate) step: Step,
    /// Why.
    pub(crate) errno: Errno,
}

/// Starts commands, one after another, on a stack of its own.
#[derive(Debug)]
pub(crate) struct Spawner {
    stack: Vec<u8>,
    parent: i32,
}

/// Pointers and numbers, all the child needs.
struct Prepared {
    candidates: Vec<*const libc::c_char>,
    argv: Vec<*const libc::c_char>,
    env: Vec<*const libc::c_char>,
    cwd: *const libc::c_char,
    cgroup: Option<RawFd>,
    identity: Option<Ids>,
    limits: Vec<Limit>,
    umask: libc::mode_t,
    nice: Option<i32>,
    stdin: RawFd,
    stdout: RawFd,
    stderr: RawFd,
    parent: i32,
}

/// An [`Identity`] and room to read the groups back.
struct Ids {
    uid: libc::uid_t,
    gid: libc::gid_t,
    groups: Vec<libc::gid_t>,
    groups_read: Vec<libc::gid_t>,
}

impl Ids {
    fn of(identity: &Identity) -> Self {
        // The kernel sorts them.
        let mut groups = identity.groups.clone();
        groups.sort_unstable();
        Self {
            uid: identity.uid,
            gid: identity.gid,
            groups_read: vec![0; groups.len()],
            groups,
        }
    }
}

impl Spawner {
    /// Makes one. The commands get KILL when the thread that starts them ends.
    pub(crate) fn new() -> Self {
        Self {
            stack: vec![0; STACK_SIZE],
            parent: nix::unistd::getpid().as_raw(),
        }
    }

    /// Starts `command` in a session of its own and answers its number. It is executing when this returns; one that could not
    /// be started has been reaped.
    ///
    /// Signals that the caller does not want the child to ignore must not be ignored by the caller; its mask does not matter.
    #[expect(unsafe_code, reason = "clone(2) as vfork(2) does it")]
    pub(crate) fn spawn(&mut self, command: &Command<'_>) -> Result<i32, Failure> {
        let mut prepared = Prepared::new(command, self.parent);
        let mut failure = None;
        let child = Box::new(|| {
            failure = Some(execute(&mut prepared));
            127
        });
        // SAFETY: the child runs on `stack`, which lives until after this call: CLONE_VFORK lets this thread go on only when
        // the child has executed another program or ended. Until then it shares this memory (CLONE_VM) and changes nothing of
        // it but `failure`, the room for groups in `prepared`, and errno: `execute` makes system calls on values that were made before, does not allocate, does
        // not panic and takes no lock. Handlers do not run in it, for the caller has none that could be called.
        let pid = unsafe {
            let flags = CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK;
            clone(child, &mut self.stack, flags, Some(libc::SIGCHLD))
        };
        let pid = pid
            .map_err(|errno| Failure {
                step: Step::Clone,
                errno,
            })?
            .as_raw();
        match failure {
            None => Ok(pid),
            Some(failure) => {
                forget(pid);
                Err(failure)
            }
        }
    }
}

/// Reaps a child that has ended without executing anything.
fn forget(pid: i32) {
    let pid = nix::unistd::Pid::from_raw(pid);
    while nix::sys::wait::waitpid(pid, None) == Err(Errno::EINTR) {}
}

impl Prepared {
    fn new(command: &Command<'_>, parent: i32) -> Self {
        Self {
            candidates: command
                .candidates
                .iter()
                .map(|path| path.as_ptr())
                .collect(),
            argv: pointers(command.argv),
            env: pointers(command.env),
            cwd: command.cwd.as_ptr(),
            cgroup: command.cgroup.map(|door| door.as_raw_fd()),
            identity: command.identity.map(Ids::of),
            limits: command.limits.to_vec(),
            umask: command.umask,
            nice: command.nice,
            stdin: command.stdin.as_raw_fd(),
            stdout: command.stdout.as_raw_fd(),
            stderr: command.stderr.as_raw_fd(),
            parent,
        }
    }
}

/// An array of pointers with a null at its end, as execve(2) wants it.
fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings
        .iter()
        .map(|string| string.as_ptr())
        .chain([ptr::null()])
        .collect()
}

/// All that happens in the child. Returns only if something could not be done.
fn execute(prepared: &mut Prepared) -> Failure {
    // The control group comes first: whatever is done later shall be done in it.
    let entered = prepared.cgroup.map_or(Ok(()), enter_group);
    match entered.and_then(|()| set_up(prepared)) {
        Ok(()) => Failure {
            step: Step::Exec,
            errno: try_candidates(prepared),
        },
        Err(failure) => failure,
    }
}

/// Turns the answer of a system call into the failure of `step`.
fn check(step: Step, answer: libc::c_int) -> Result<(), Failure> {
    if answer == -1 {
        Err(Failure {
            step,
            errno: Errno::last(),
        })
    } else {
        Ok(())
    }
}

/// The order matters: the ids of another user go behind nice value and limits (which may need rights) and before the directory (which
/// may only be open to that user) and the death signal (which a change of ids takes away).
#[expect(unsafe_code, reason = "raw calls between clone and exec")]
fn set_up(prepared: &mut Prepared) -> Result<(), Failure> {
    // SAFETY: numbers only.
    check(Step::Session, unsafe { libc::setsid() })?;
    // SAFETY: both descriptors are open in the parent, and this process has a table of its own (no CLONE_FILES).
    check(Step::Descriptors, unsafe { libc::dup2(prepared.stdin, 0) })?;
    // SAFETY: as above.
    check(Step::Descriptors, unsafe { libc::dup2(prepared.stdout, 1) })?;
    // SAFETY: as above.
    check(Step::Descriptors, unsafe { libc::dup2(prepared.stderr, 2) })?;
    // SAFETY: numbers only. All that is left is close-on-exec too, so a kernel without this call (before 5.9) is no failure.
    unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) };
    if let Some(nice) = prepared.nice {
        // SAFETY: numbers only.
        check(Step::Nice, unsafe {
            libc::setpriority(libc::PRIO_PROCESS, 0, nice)
        })?;
    }
    for limit in &prepared.limits {
        let value = libc::rlimit {
            rlim_cur: limit.soft,
            rlim_max: limit.hard,
        };
        // SAFETY: the kernel reads a living local. They are this process's own: a process that shares memory shares no limits.
        let answer = unsafe { libc::setrlimit(limit.resource, &raw const value) };
        check(Step::Limit(*limit), answer)?;
    }
    // SAFETY: numbers only; the mask belongs to this process alone (no CLONE_FS).
    unsafe { libc::umask(prepared.umask) };
    if let Some(ids) = &mut prepared.identity {
        become_them(ids)?;
    }
    // SAFETY: a string with a NUL at its end, made before.
    check(Step::Directory, unsafe { libc::chdir(prepared.cwd) })?;
    // SAFETY: numbers only.
    check(Step::DeathSignal, unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL)
    })?;
    // SAFETY: numbers only.
    if unsafe { libc::getppid() } != prepared.parent {
        // The parent died before the line above: nobody would ever end this process.
        return Err(Failure {
            step: Step::DeathSignal,
            errno: Errno::ESRCH,
        });
    }
    let empty = 0_u64;
    // SAFETY: the kernel reads 8 bytes of a living local. The raw call, since the C library leaves 32 and 33 as they are.
    // It cannot fail.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const empty,
            ptr::null::<u64>(),
            8,
        )
    };
    Ok(())
}

/// Goes into the control group whose door this is.
#[expect(unsafe_code, reason = "raw calls between clone and exec")]
fn enter_group(door: RawFd) -> Result<(), Failure> {
    // SAFETY: the kernel reads one byte of a constant; 0 is the process that writes.
    let written = unsafe { libc::write(door, c"0".as_ptr().cast(), 1) };
    check(Step::Cgroup, if written == 1 { 0 } else { -1 })
}

/// Takes the ids of another user: groups, group, user, each checked, and then looked at: a kernel or a filter that says yes and
/// does nothing must not let the command run as root (CVE-2006-2607 was a check that was missing).
///
/// Raw calls, because the C library's would change the ids of all threads of the process whose memory this is.
#[expect(unsafe_code, reason = "raw calls between clone and exec")]
fn become_them(ids: &mut Ids) -> Result<(), Failure> {
    let (uid, gid, count) = (ids.uid, ids.gid, ids.groups.len());
    // SAFETY: the kernel reads `count` numbers of a living array.
    let answer = unsafe { libc::syscall(libc::SYS_setgroups, count, ids.groups.as_ptr()) };
    check_ids(IdentityStep::Groups, answer)?;
    // SAFETY: numbers only.
    let answer = unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) };
    check_ids(IdentityStep::Group, answer)?;
    // SAFETY: numbers only.
    let answer = unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) };
    check_ids(IdentityStep::User, answer)?;
    let has_them = has_ids(ids);
    // SAFETY: numbers only; -1 leaves an id as it is. What must fail: there is no way back to root.
    let goes_back =
        uid != 0 && unsafe { libc::syscall(libc::SYS_setresuid, u32::MAX, 0, u32::MAX) } == 0;
    if has_them && !goes_back {
        Ok(())
    } else {
        Err(Failure {
            step: Step::Identity(IdentityStep::Verify),
            errno: Errno::EPERM,
        })
    }
}

/// Whether the kernel says that this process has these ids and no others.
#[expect(unsafe_code, reason = "raw calls between clone and exec")]
fn has_ids(ids: &mut Ids) -> bool {
    let (mut uids, mut gids) = ([0_u32; 3], [0_u32; 3]);
    let [real, effective, saved] = &mut uids;
    // SAFETY: the kernel writes three numbers into living locals.
    let users = unsafe { libc::getresuid(real, effective, saved) };
    let [real, effective, saved] = &mut gids;
    // SAFETY: as above.
    let groups = unsafe { libc::getresgid(real, effective, saved) };
    let room = ids.groups_read.len();
    let size = libc::c_int::try_from(room).unwrap_or(libc::c_int::MAX);
    // SAFETY: the kernel writes at most `room` numbers into an array of that many; with no room it only counts.
    let count = unsafe { libc::getgroups(size, ids.groups_read.as_mut_ptr()) };
    users == 0
        && groups == 0
        && uids == [ids.uid; 3]
        && gids == [ids.gid; 3]
        && count == size
        && ids.groups_read == ids.groups
}

/// Turns the answer of a raw call about ids into a failure.
fn check_ids(step: IdentityStep, answer: libc::c_long) -> Result<(), Failure> {
    check(
        Step::Identity(step),
        libc::c_int::try_from(answer).unwrap_or(-1),
    )
}

/// Executes the first candidate that is there, as execvp(3) searches: what is missing is passed over, what may not be
/// executed is remembered. Answers why none could be.
#[expect(unsafe_code, reason = "execve(2)")]
fn try_candidates(prepared: &Prepared) -> Errno {
    let mut answer = Errno::ENOENT;
    for path in &prepared.candidates {
        // SAFETY: a string and two arrays of strings, each with its end, made before and alive until the program is executed.
        unsafe { libc::execve(*path, prepared.argv.as_ptr(), prepared.env.as_ptr()) };
        let errno = Errno::last();
        if prepared.candidates.len() == 1 || !is_passed_over(errno) {
            return errno;
        }
        if errno == Errno::EACCES {
            answer = errno;
        }
    }
    answer
}

/// Whether the search goes on behind a candidate that failed like this.
fn is_passed_over(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::EACCES
            | Errno::ENOENT
            | Errno::ENOTDIR
            | Errno::ESTALE
            | Errno::ENODEV
            | Errno::ETIMEDOUT
    )
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn what_cannot_get_into_its_control_group_is_never_executed() {
        let trace = std::env::temp_dir().join(format!("jobctl-spawn-{}", std::process::id()));
        let script = CString::new(format!("echo > {}", trace.display())).unwrap();
        let argv = [c"sh".to_owned(), c"-c".to_owned(), script];
        let null = File::open("/dev/null").unwrap();
        let mut command = Command {
            candidates: &[c"/bin/sh".to_owned()],
            argv: &argv,
            env: &[],
            cwd: c"/",
            // Open for reading: the write into it fails.
            cgroup: Some(null.as_fd()),
            identity: None,
            limits: &[],
            umask: 0o022,
            nice: None,
            stdin: null.as_fd(),
            stdout: null.as_fd(),
            stderr: null.as_fd(),
        };
        let failure = Spawner::new().spawn(&command).unwrap_err();
        assert_eq!((failure.step, failure.errno), (Step::Cgroup, Errno::EBADF));
        assert!(!trace.exists());
        // The same command is one that would have left a trace.
        command.cgroup = None;
        let pid = Spawner::new().spawn(&command).unwrap();
        forget(pid);
        assert!(trace.exists());
        std::fs::remove_file(trace).unwrap();
    }
}
