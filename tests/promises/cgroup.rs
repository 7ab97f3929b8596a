//! With a delegated part of the tree of control groups (cgroup v2) each attempt has one of its own,
//! and nothing gets out of it alive: not even when the keeper is killed. Without one, no job is
//! started that wants its memory limited.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::libc;
use nix::sys::signal::Signal;

use crate::stopping::NASTY_TREE;
use crate::support::{
    DEADLINE, House, Need, Supervisor, answer_of, found_within, is_alive, is_root, program, send,
    skipped, wait_for, wait_gone,
};

static GROUPS: AtomicU32 = AtomicU32::new(0);

/// A control group for one test; gone at the end with all processes and groups in it.
struct Group {
    dir: PathBuf,
}

impl Group {
    /// One that says that it is delegated. None, and skipped: there can be none here.
    fn delegated() -> Option<Self> {
        let group = Self::made()?;
        if set_mark(&group.dir) {
            return Some(group);
        }
        skipped(Need::Cgroup, "control groups take no extended attributes");
        None
    }

    /// One that nobody delegated.
    fn made() -> Option<Self> {
        if !is_root() {
            skipped(Need::Root, "only root makes control groups");
            return None;
        }
        let Some(home) = own_group() else {
            skipped(Need::Cgroup, "there is no tree of cgroup v2 that holds this process");
            return None;
        };
        let number = GROUPS.fetch_add(1, Ordering::Relaxed);
        let dir = home.join(format!("jobctl-test-{}-{number}", std::process::id()));
        if let Err(error) = fs::create_dir(&dir) {
            skipped(Need::Cgroup, &format!("no control group can be made: {error}"));
            return None;
        }
        Some(Self { dir })
    }

    /// Starts a supervisor in it, or in one below it.
    fn start(&self, house: &House, below: &str) -> Supervisor {
        let jobctl = house.jobctl();
        let mut shell = program("/bin/sh");
        shell
            .args(["-c", "echo $$ > \"$0/cgroup.procs\" && exec \"$@\""])
            .arg(self.dir.join(below))
            .arg(jobctl.get_program())
            .stdin(Stdio::null());
        for (name, value) in jobctl.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        house.start_with(&mut shell, &[])
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.dir.join(name)).unwrap_or_default()
    }

    /// The groups below it, but for the supervisor's own.
    fn slots(&self) -> Vec<String> {
        let mut names: Vec<String> = below(&self.dir)
            .iter()
            .filter_map(|dir| Some(dir.file_name()?.to_str()?.to_owned()))
            .filter(|name| name != "supervisor")
            .collect();
        names.sort();
        names
    }

    fn has(&self, below: &str, pid: i32) -> bool {
        let procs = self.dir.join(below).join("cgroup.procs");
        let pids = fs::read_to_string(procs).unwrap_or_default();
        pids.lines().any(|line| line == pid.to_string())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::write(self.dir.join("cgroup.kill"), "1");
        found_within(DEADLINE, || remove(&self.dir).ok());
    }
}

fn remove(dir: &Path) -> std::io::Result<()> {
    for below in below(dir) {
        remove(&below)?;
    }
    fs::remove_dir(dir)
}

fn below(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

/// The group of this process, where its tree is mounted whole.
fn own_group() -> Option<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mount = mounts
        .lines()
        .find(|line| line.contains(" - cgroup2 ") && line.split(' ').nth(3) == Some("/"))?;
    Some(Path::new(mount.split(' ').nth(4)?).join(group))
}

/// Marks a group as systemd does with `Delegate=yes`.
#[expect(unsafe_code, reason = "nix has no setxattr(2)")]
fn set_mark(dir: &Path) -> bool {
    let dir = CString::new(dir.as_os_str().as_bytes()).expect("a path has no NUL");
    // SAFETY: two strings with a NUL at their ends and one byte, all living.
    unsafe {
        libc::setxattr(dir.as_ptr(), c"user.delegate".as_ptr(), c"1".as_ptr().cast(), 1, 0) == 0
    }
}

/// Waits until `$T/go` is there; has left a daemon in a session of its own before.
const LEAVES: &str = r#"
[jobs.leaves]
command = '''
(setsid sh -c '(setsid sh -c "echo \$\$ >> \"$T/daemon.$JOBCTL_RUN\"; exec sleep 1000" &)' &)
until [ -s "$T/daemon.$JOBCTL_RUN" ]; do sleep 0.02; done
cat /proc/self/cgroup >> "$T/groups"
echo x >> "$T/began"
until [ -e "$T/go" ]; do sleep 0.02; done
'''
"#;

fn daemon_of(house: &House, run: i64) -> i32 {
    let lines = house.wait_lines(&format!("daemon.{run}"), 1);
    lines[0].parse().expect("it said its number")
}

#[test]
fn each_attempt_has_a_group_of_its_own_that_is_gone_when_it_is_empty() {
    let Some(group) = Group::delegated() else {
        return;
    };
    let house = House::new(&LEAVES.replace("[jobs.leaves]", "[jobs.leaves]\nleftovers = 'kill'"));
    let supervisor = group.start(&house, "");
    house.wait_text("log", "event=cgroup");
    assert!(group.has("supervisor", supervisor.pid()));
    let run = house.enqueue(&["leaves"]);
    house.wait_lines("began", 1);
    let daemon = daemon_of(&house, run);
    assert!(group.has("supervisor", house.keeper_of(run)));
    assert!(group.has("slot-0", house.leader_of(run)));
    assert!(group.has("slot-0", daemon));
    house.write("go", "");
    house.wait_state(run, "succeeded");
    assert!(!is_alive(daemon), "leftovers = 'kill'");
    assert_eq!(group.slots(), [""; 0]);
}

#[test]
fn nothing_outlives_an_attempt_whose_keeper_was_killed() {
    let Some(group) = Group::delegated() else {
        return;
    };
    let house = House::new(LEAVES);
    let _supervisor = group.start(&house, "");
    let run = house.enqueue(&["leaves"]);
    house.wait_lines("began", 1);
    let (daemon, keeper) = (daemon_of(&house, run), house.keeper_of(run));
    send(keeper, Signal::SIGKILL);
    let ended = house.wait_state(run, "failed");
    assert_eq!(ended["reason"], "lost", "{ended:#}");
    assert!(!is_alive(daemon), "it had left the session");
    assert!(house.processes_of(run).is_empty());
    assert_eq!(group.slots(), [""; 0]);
}

#[test]
fn nothing_outlives_it_when_supervisor_and_keeper_are_killed_together() {
    let Some(group) = Group::delegated() else {
        return;
    };
    let house = House::new(LEAVES);
    let supervisor = group.start(&house, "");
    let run = house.enqueue(&["leaves"]);
    house.wait_lines("began", 1);
    let (daemon, keeper) = (daemon_of(&house, run), house.keeper_of(run));
    supervisor.kill();
    send(keeper, Signal::SIGKILL);
    wait_gone(keeper);
    assert!(is_alive(daemon), "nobody is there to kill it");
    let _supervisor = group.start(&house, "");
    let ended = house.wait_state(run, "failed");
    assert_eq!(ended["reason"], "lost", "{ended:#}");
    wait_gone(daemon);
}

#[test]
fn a_cancel_leaves_nothing_of_forty_deaf_daemons_in_the_group() {
    let Some(group) = Group::delegated() else {
        return;
    };
    let house = House::new(&format!("[jobs.grows]\nstop_grace = '200ms'\n{NASTY_TREE}"));
    let _supervisor = group.start(&house, "");
    let run = house.enqueue(&["grows"]);
    house.wait_lines("grown", 40);
    assert!(group.read("slot-0/cgroup.procs").lines().count() > 40);
    house.ask(&["cancel", &run.to_string()]).expect(0);
    house.wait_state(run, "cancelled");
    assert!(house.processes_of(run).is_empty());
    assert_eq!(group.slots(), [""; 0]);
}

#[test]
fn a_daemon_that_was_left_alone_keeps_its_group_and_the_next_attempt_gets_another() {
    let Some(group) = Group::delegated() else {
        return;
    };
    let house = House::new(LEAVES);
    let _supervisor = group.start(&house, "");
    house.write("go", "");
    let mut daemons = Vec::new();
    for _ in 0..2 {
        let run = house.enqueue(&["leaves"]);
        let ended = house.wait_state(run, "succeeded");
        let daemon = daemon_of(&house, run);
        daemons.push(daemon);
        let error = ended["error"].as_str().unwrap_or_default().to_owned();
        assert!(error.starts_with("left running: "), "{ended:#}");
        assert!(error.contains(&format!("(pid {daemon})")), "{ended:#}");
        assert!(daemons.iter().all(|daemon| is_alive(*daemon)));
    }
    assert_eq!(group.slots().len(), 2, "{:?}", group.slots());
    for daemon in daemons {
        send(daemon, Signal::SIGKILL);
        wait_gone(daemon);
    }
    let run = house.enqueue(&["leaves"]);
    house.wait_state(run, "succeeded");
    assert_eq!(group.slots(), ["slot-0"]);
}

#[test]
fn a_supervisor_that_starts_again_finds_the_same_groups() {
    let Some(group) = Group::delegated() else {
        return;
    };
    let house = House::new(LEAVES);
    let mut supervisor = group.start(&house, "");
    let run = house.enqueue(&["leaves"]);
    house.wait_lines("began", 1);
    let daemon = daemon_of(&house, run);
    // As systemd starts it, and as somebody does by hand from a shell beside it.
    for below in ["", "supervisor"] {
        supervisor.kill();
        supervisor = group.start(&house, below);
        assert!(group.has("supervisor", supervisor.pid()), "{below:?}");
        assert!(!group.dir.join("supervisor/supervisor").exists());
    }
    house.ask(&["cancel", &run.to_string()]).expect(0);
    house.wait_state(run, "cancelled");
    assert!(!is_alive(daemon));
    assert_eq!(group.slots(), [""; 0]);
}

#[test]
fn two_supervisors_never_share_a_group() {
    let Some(group) = Group::delegated() else {
        return;
    };
    let (first, second) = (House::new(LEAVES), House::new(LEAVES));
    let _first = group.start(&first, "");
    let _second = group.start(&second, "supervisor");
    second.wait_text("log", "another supervisor uses it");
    let run = second.enqueue(&["leaves"]);
    second.wait_lines("began", 1);
    assert!(group.has("supervisor", second.leader_of(run)));
    assert_eq!(group.slots(), [""; 0]);
}

#[test]
fn a_group_that_nobody_delegated_is_left_alone() {
    let Some(group) = Group::made() else { return };
    let house = House::new(LEAVES);
    let supervisor = group.start(&house, "");
    assert!(group.has("", supervisor.pid()));
    assert!(below(&group.dir).is_empty());
    assert!(!house.read("log").contains("cgroup"));
}

const LIMITED: &str = "
[jobs.hungry]
limits = { memory = '64MiB' }
command = 'echo x >> \"$T/began\"; head -c 256M /dev/zero | tail > /dev/null'
";

#[test]
fn without_a_delegated_group_a_job_with_a_memory_limit_is_not_started_and_the_log_says_so_before() {
    let house = House::new(LIMITED);
    let _supervisor = house.start();
    if house.read("log").contains("event=cgroup") {
        return skipped(Need::Undelegated, "this process itself has delegated control groups");
    }
    house.wait_text("log", "event=no_cgroup job=hungry");
    let ended = house.wait_state(house.enqueue(&["hungry"]), "failed");
    assert_eq!(ended["outcome"], "spawn_failed", "{ended:#}");
    let error = ended["error"].as_str().unwrap_or_default();
    assert!(error.starts_with("limits.memory: no control group"), "{ended:#}");
    assert_eq!(house.read("began"), "");
}

#[test]
fn a_memory_limit_holds_for_all_processes_together_and_is_named_when_it_kills() {
    let Some(group) = Group::delegated() else {
        return;
    };
    let is_limitable =
        group.read("cgroup.controllers").split_whitespace().any(|word| word == "memory");
    let house = House::new(LIMITED);
    let _supervisor = group.start(&house, "");
    let ended = house.wait_state(house.enqueue(&["hungry"]), "failed");
    let error = ended["error"].as_str().unwrap_or_default();
    if is_limitable {
        assert!(error.contains("memory limit of 67108864 bytes"), "{ended:#}");
        assert_eq!(house.lines("began").len(), 1);
    } else {
        skipped(Need::Memory, "no memory controller in cgroup v2: only the refusal is looked at");
        assert_eq!(ended["outcome"], "spawn_failed", "{ended:#}");
        assert!(error.contains("it has no memory controller"), "{ended:#}");
        assert_eq!(house.read("began"), "");
    }
    wait_for("its group to be gone", || group.slots().is_empty().then_some(()));
}

/// A user that is not root.
const NOBODY: u32 = 65534;

/// Starts something that becomes root, which nobody else may signal.
const RISES: &str = "
[jobs.rises]
stop_grace = '100ms'
command = '\"$T/rise\" --reuid=0 --regid=0 --clear-groups sleep 1000 & until [ -e \"$T/go\" ]; do sleep 0.02; done'
";

/// A house whose supervisor is nobody's, with a copy of setpriv(1) that makes root of anybody.
/// None, and skipped: there can be none here.
fn house_of_nobody() -> Option<House> {
    if !is_root() {
        skipped(Need::Root, "only root makes programs that make root");
        return None;
    }
    let house = House::new(RISES);
    let flags = nix::sys::statvfs::statvfs(house.dir()).expect("it is there");
    let status = fs::read_to_string("/proc/self/status").expect("there is /proc");
    if flags.flags().contains(nix::sys::statvfs::FsFlags::ST_NOSUID)
        || status.contains("NoNewPrivs:\t1")
    {
        skipped(Need::Setuid, "nothing can become root here");
        return None;
    }
    let copies =
        [("/usr/bin/setpriv", "rise", 0o4755), (env!("CARGO_BIN_EXE_jobctl"), "jobctl", 0o755)];
    for (from, to, mode) in copies {
        fs::copy(from, house.path(to)).expect("it can be copied");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(house.path(to), mode).expect("it is ours");
    }
    for path in [house.dir().to_owned(), house.jobfile()] {
        std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).expect("we are root");
    }
    Some(house)
}

/// `jobctl` as nobody, started in a control group.
fn as_nobody(house: &House, group: Option<&Group>) -> std::process::Command {
    let mut shell = program("/bin/sh");
    let enter = match group {
        Some(_) => "echo $$ > \"$0/cgroup.procs\" && ",
        None => "",
    };
    shell
        .arg("-c")
        .arg(format!("{enter}exec setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups \"$@\""))
        .arg(group.map_or(Path::new("sh"), |group| &group.dir))
        .arg(house.path("jobctl"))
        .stdin(Stdio::null());
    for (name, value) in house.jobctl().get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

/// Cancels a run of `rises` once its child is root; how `show` has it then, and whether that child
/// is still there.
fn cancelled(house: &House) -> (serde_json::Value, bool) {
    let ask = |args: &[&str]| answer_of(as_nobody(house, None).args(args));
    let run = ask(&["enqueue", "rises"]).expect(0).out;
    let id = run.trim().parse().expect("an id is a number");
    let is_root = |pid: &i32| {
        fs::read_to_string(format!("/proc/{pid}/status"))
            .is_ok_and(|status| status.contains("Name:\tsleep") && status.contains("Uid:\t0\t0\t0"))
    };
    let risen =
        wait_for("a child that is root", || house.processes_of(id).into_iter().find(is_root));
    ask(&["cancel", run.trim()]).expect(0);
    let ended = wait_for("the end of the run", || {
        let shown = ask(&["show", run.trim(), "--json"]).expect(0).json();
        (shown["state"] == "cancelled").then_some(shown)
    });
    (ended, is_alive(risen))
}

#[test]
fn what_may_not_be_signalled_is_named_in_show() {
    let Some(house) = house_of_nobody() else {
        return;
    };
    let _supervisor = house.start_with(&mut as_nobody(&house, None), &[]);
    let (ended, is_left) = cancelled(&house);
    assert!(is_left);
    let error = ended["error"].as_str().unwrap_or_default();
    assert!(error.starts_with("could not be killed: sleep (pid "), "{ended:#}");
}

#[test]
fn a_user_to_whom_a_group_was_given_ends_in_it_what_it_may_not_signal() {
    let Some(group) = Group::made() else { return };
    let Some(house) = house_of_nobody() else {
        return;
    };
    for name in ["", "cgroup.procs", "cgroup.subtree_control", "cgroup.kill"] {
        let path = group.dir.join(name);
        std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).expect("we are root");
    }
    let _supervisor = house.start_with(&mut as_nobody(&house, Some(&group)), &[]);
    house.wait_text("log", "event=cgroup");
    let (ended, is_left) = cancelled(&house);
    assert!(!is_left, "{ended:#}");
    assert!(ended["error"].is_null(), "{ended:#}");
    assert_eq!(group.slots(), [""; 0]);
}
