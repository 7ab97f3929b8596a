//! Starts a command, in one of two ways.
//!
//! As vfork(2) does it ([`Spawner`]): the child borrows this process's memory until it executes, so
//! starting costs the same however large this process is, and the child can say exactly what went
//! wrong by writing it down. Everything it needs is made before; between clone and exec it makes
//! system calls only. But this process stands still meanwhile, so it is only for a command that has
//! this process's own ids: nobody else can hold it up then.
//!
//! As fork(2) does it ([`fork`]): the child has its own memory, may look things up before it
//! becomes the command ([`Frame::enter`], [`Command::become_it`]), and may hang: this process goes
//! on and can kill it.

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::ptr;

use nix::errno::Errno;
use nix::libc;
use nix::sched::{CloneFlags, clone};
use nix::unistd::ForkResult;

use super::keyring;
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
    /// The ids it has; none: this process's.
    pub(crate) identity: Option<&'a Identity>,
    /// Resource limits.
    pub(crate) limits: &'a [Limit],
    /// File mode creation mask.
    pub(crate) umask: u32,
    /// The nice value; none: this process's.
    pub(crate) nice: Option<i32>,
}

/// Where a command lives and what it is connected to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    /// The door of the control group it lives in (`cgroup.procs`, open for writing); none: this
    /// process's.
    pub(crate) cgroup: Option<BorrowedFd<'a>>,
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
    /// A session keyring of its own.
    Keyring,
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

/// Descriptors as numbers.
#[derive(Clone, Copy)]
struct Descriptors {
    cgroup: Option<RawFd>,
    stdin: RawFd,
    stdout: RawFd,
    stderr: RawFd,
}

/// Pointers and numbers, all the child needs to become the command.
struct Prepared {
    candidates: Vec<*const libc::c_char>,
    argv: Vec<*const libc::c_char>,
    env: Vec<*const libc::c_char>,
    cwd: *const libc::c_char,
    identity: Option<Ids>,
    limits: Vec<Limit>,
    umask: libc::mode_t,
    nice: Option<i32>,
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
        Self { uid: identity.uid, gid: identity.gid, groups_read: vec![0; groups.len()], groups }
    }
}

impl Spawner {
    /// Makes one. The commands get KILL when the thread that starts them ends.
    pub(crate) fn new() -> Self {
        Self { stack: vec![0; STACK_SIZE], parent: nix::unistd::getpid().as_raw() }
    }

    /// Starts `command` in a session of its own and answers its number. It is executing when this
    /// returns; one that could not be started has been reaped.
    ///
    /// Signals that the caller does not want the child to ignore must not be ignored by the caller;
    /// its mask does not matter.
    #[expect(unsafe_code, reason = "clone(2) as vfork(2) does it")]
    pub(crate) fn spawn(
        &mut self,
        frame: &Frame<'_>,
        command: &Command<'_>,
    ) -> Result<i32, Failure> {
        let descriptors = frame.descriptors();
        let mut prepared = Prepared::new(command, self.parent);
        let mut failure = None;
        let child = Box::new(|| {
            let entered = enter(descriptors).map(|()| close_from(3));
            failure = Some(match entered {
                Ok(()) => execute(&mut prepared),
                Err(failure) => failure,
            });
            127
        });
        // SAFETY: the child runs on `stack`, which lives until after this call: CLONE_VFORK lets
        // this thread go on only when the child has executed another program or ended. Until then
        // it shares this memory (CLONE_VM) and changes nothing of it but `failure`, the room for
        // groups in `prepared`, and errno: `enter` and `execute` make system calls on values that
        // were made before; they do not allocate, do not panic and take no lock. Handlers do not
        // run in it, for the caller has none that could be called.
        let pid = unsafe {
            let flags = CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK;
            clone(child, &mut self.stack, flags, Some(libc::SIGCHLD))
        };
        let pid = pid.map_err(|errno| Failure { step: Step::Clone, errno })?.as_raw();
        match failure {
            None => Ok(pid),
            Some(failure) => {
                forget(pid);
                Err(failure)
            }
        }
    }
}

impl Frame<'_> {
    fn descriptors(&self) -> Descriptors {
        Descriptors {
            cgroup: self.cgroup.map(|door| door.as_raw_fd()),
            stdin: self.stdin.as_raw_fd(),
            stdout: self.stdout.as_raw_fd(),
            stderr: self.stderr.as_raw_fd(),
        }
    }

    /// Goes into it, in a child made by [`fork`], which from then on is killed when `parent` dies.
    /// Of the descriptors besides it only `pipe` stays, as number 3: copies of locks must not live
    /// here if this process hangs.
    pub(crate) fn enter(&self, pipe: BorrowedFd<'_>, parent: i32) -> Result<(), Failure> {
        enter(self.descriptors())?;
        keep_as_third(pipe.as_raw_fd())?;
        close_from(4);
        die_with(parent)
    }
}

/// Where the pipe of a child made by [`fork`] is once it has entered its frame.
const PIPE: RawFd = 3;

/// That pipe, in that child.
#[expect(unsafe_code, reason = "the number is what is known")]
pub(crate) fn pipe_of_child() -> BorrowedFd<'static> {
    // SAFETY: `Frame::enter` has put it there, and nothing closes it before this process ends or
    // executes something.
    unsafe { BorrowedFd::borrow_raw(PIPE) }
}

#[expect(unsafe_code, reason = "the number is what matters")]
fn keep_as_third(pipe: RawFd) -> Result<(), Failure> {
    if pipe == PIPE {
        return Ok(());
    }
    // SAFETY: whatever has that number is not used any more in this process.
    check(Step::Descriptors, unsafe { libc::dup3(pipe, PIPE, libc::O_CLOEXEC) })
}

impl Command<'_> {
    /// Becomes the command, in a child made by [`fork`] that has entered its frame. `at_last` is
    /// done with the ids and in the directory of the command. Returns only if something could not
    /// be done.
    pub(crate) fn become_it(&self, parent: i32, at_last: impl FnOnce()) -> Failure {
        // What was looked up may have left something open.
        close_from(4);
        if self.identity.is_some()
            && let Err(errno) = keyring::join_new_session()
        {
            return Failure { step: Step::Keyring, errno };
        }
        let mut prepared = Prepared::new(self, parent);
        if let Err(failure) = set_up(&mut prepared) {
            return failure;
        }
        at_last();
        Failure { step: Step::Exec, errno: try_candidates(&prepared) }
    }
}

/// Makes a child that does this and nothing else, and answers its number. The caller has no other
/// thread: the child may use everything that is in its memory.
#[expect(unsafe_code, reason = "fork(2)")]
pub(crate) fn fork(child: impl FnOnce()) -> Result<i32, Failure> {
    // SAFETY: a keeper has one thread, so that no lock is held by one that the child does not have,
    // and the child may allocate. It never returns from here: `Gone` ends it, also when `child`
    // panics.
    let forked = unsafe { nix::unistd::fork() };
    match forked {
        Ok(ForkResult::Parent { child }) => Ok(child.as_raw()),
        Ok(ForkResult::Child) => {
            let gone = Gone;
            child();
            drop(gone);
            unreachable!("that was the end of this process")
        }
        Err(errno) => Err(Failure { step: Step::Clone, errno }),
    }
}

/// Ends the process where it is dropped, without running what is to be run at the end of the
/// process that it is a copy of.
struct Gone;

impl Drop for Gone {
    #[expect(unsafe_code, reason = "_exit(2)")]
    fn drop(&mut self) {
        // SAFETY: a number only.
        unsafe { libc::_exit(127) }
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
            candidates: command.candidates.iter().map(|path| path.as_ptr()).collect(),
            argv: pointers(command.argv),
            env: pointers(command.env),
            cwd: command.cwd.as_ptr(),
            identity: command.identity.map(Ids::of),
            limits: command.limits.to_vec(),
            umask: command.umask,
            nice: command.nice,
            parent,
        }
    }
}

/// An array of pointers with a null at its end, as execve(2) wants it.
fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}

/// Becomes the command. Returns only if something could not be done.
fn execute(prepared: &mut Prepared) -> Failure {
    match set_up(prepared) {
        Ok(()) => Failure { step: Step::Exec, errno: try_candidates(prepared) },
        Err(failure) => failure,
    }
}

/// Turns the answer of a system call into the failure of `step`.
fn check(step: Step, answer: libc::c_int) -> Result<(), Failure> {
    if answer == -1 { Err(Failure { step, errno: Errno::last() }) } else { Ok(()) }
}

/// Goes into the control group, a session and the descriptors of the command. The control group
/// comes first: whatever is done later shall be done in it.
#[expect(unsafe_code, reason = "raw calls between clone and exec")]
fn enter(descriptors: Descriptors) -> Result<(), Failure> {
    descriptors.cgroup.map_or(Ok(()), enter_group)?;
    // SAFETY: numbers only.
    check(Step::Session, unsafe { libc::setsid() })?;
    // SAFETY: the descriptor is open in the parent, and this process has a table of its own (no
    // CLONE_FILES).
    check(Step::Descriptors, unsafe { libc::dup2(descriptors.stdin, 0) })?;
    // SAFETY: as above.
    check(Step::Descriptors, unsafe { libc::dup2(descriptors.stdout, 1) })?;
    // SAFETY: as above.
    check(Step::Descriptors, unsafe { libc::dup2(descriptors.stderr, 2) })?;
    Ok(())
}

/// Closes all descriptors from this one on. All are close-on-exec too, so a kernel without this
/// call (before 5.9) is no failure.
#[expect(unsafe_code, reason = "raw calls between clone and exec")]
fn close_from(first: libc::c_uint) {
    // SAFETY: numbers only; this process is about to be another program, and uses none of these any
    // more.
    unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) };
}

/// To be killed when the parent dies. It may have died before: then nobody would ever end this
/// process.
#[expect(unsafe_code, reason = "raw calls between clone and exec")]
fn die_with(parent: i32) -> Result<(), Failure> {
    // SAFETY: numbers only.
    check(Step::DeathSignal, unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) })?;
    // SAFETY: numbers only.
    if unsafe { libc::getppid() } == parent {
        return Ok(());
    }
    Err(Failure { step: Step::DeathSignal, errno: Errno::ESRCH })
}

/// The order matters: the ids of another user go behind nice value and limits (which may need
/// rights) and before the death signal (which a change of ids takes away). That comes before the
/// directory, which may only be open to that user and where this process may hang: it must not
/// outlive its parent even then.
#[expect(unsafe_code, reason = "raw calls between clone and exec")]
fn set_up(prepared: &mut Prepared) -> Result<(), Failure> {
    if let Some(nice) = prepared.nice {
        // SAFETY: numbers only.
        check(Step::Nice, unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) })?;
    }
    for limit in &prepared.limits {
        let value = libc::rlimit { rlim_cur: limit.soft, rlim_max: limit.hard };
        // SAFETY: the kernel reads a living local. They are this process's own: a process that
        // shares memory shares no limits.
        let answer = unsafe { libc::setrlimit(limit.resource as _, &raw const value) };
        check(Step::Limit(*limit), answer)?;
    }
    // SAFETY: numbers only; the mask belongs to this process alone (no CLONE_FS).
    unsafe { libc::umask(prepared.umask) };
    if let Some(ids) = &mut prepared.identity {
        become_them(ids)?;
    }
    die_with(prepared.parent)?;
    // SAFETY: a string with a NUL at its end, made before.
    check(Step::Directory, unsafe { libc::chdir(prepared.cwd) })?;
    let empty = 0_u64;
    // SAFETY: the kernel reads 8 bytes of a living local. The raw call, since the C library leaves
    // 32 and 33 as they are. It cannot fail.
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

/// Takes the ids of another user: groups, group, user, each checked, and then looked at: a kernel
/// or a filter that says yes and does nothing must not let the command run as root (CVE-2006-2607
/// was a check that was missing).
///
/// Raw calls, because the C library's would change the ids of all threads of the process whose
/// memory this is.
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
        Err(Failure { step: Step::Identity(IdentityStep::Verify), errno: Errno::EPERM })
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
    // SAFETY: the kernel writes at most `room` numbers into an array of that many; with no room it
    // only counts.
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
    check(Step::Identity(step), libc::c_int::try_from(answer).unwrap_or(-1))
}

/// Executes the first candidate that is there, as execvp(3) searches: what is missing is passed
/// over, what may not be executed is remembered. Answers why none could be.
#[expect(unsafe_code, reason = "execve(2)")]
fn try_candidates(prepared: &Prepared) -> Errno {
    let mut answer = Errno::ENOENT;
    for path in &prepared.candidates {
        // SAFETY: a string and two arrays of strings, each with its end, made before and alive
        // until the program is executed.
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
        let command = Command {
            candidates: &[c"/bin/sh".to_owned()],
            argv: &argv,
            env: &[],
            cwd: c"/",
            identity: None,
            limits: &[],
            umask: 0o022,
            nice: None,
        };
        let mut frame = Frame {
            // Open for reading: the write into it fails.
            cgroup: Some(null.as_fd()),
            stdin: null.as_fd(),
            stdout: null.as_fd(),
            stderr: null.as_fd(),
        };
        let failure = Spawner::new().spawn(&frame, &command).unwrap_err();
        assert_eq!((failure.step, failure.errno), (Step::Cgroup, Errno::EBADF));
        assert!(!trace.exists());
        // The same command is one that would have left a trace.
        frame.cgroup = None;
        let pid = Spawner::new().spawn(&frame, &command).unwrap();
        forget(pid);
        assert!(trace.exists());
        std::fs::remove_file(trace).unwrap();
    }
}
