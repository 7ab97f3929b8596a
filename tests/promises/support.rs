//! What every test stands on: a directory of its own, the real binary in it, and one way to wait.
//!
//! Nothing here knows the inside of jobctl: it calls commands, reads files and looks at processes as a user could.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::poll::ppoll;
use nix::sys::signal::{Signal, kill};
use nix::sys::time::TimeSpec;
use nix::unistd::Pid;
use serde_json::Value;

pub(crate) use crate::skipped::{Need, skipped};

/// Nothing a test waits for takes longer on the slowest machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(15);

/// Waits until `look` finds something; panics with `what` when the deadline is over.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    match found_within(DEADLINE, look) {
        Some(found) => found,
        None => panic!("waited {DEADLINE:?} in vain for {what}"),
    }
}

/// What `look` finds within a time.
pub(crate) fn found_within<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let begin = now();
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if begin.elapsed() >= limit {
            return None;
        }
        pass(LOOK_EVERY);
    }
}

/// Lets a moment pass between two looks at what is waited for.
pub(crate) fn pass(span: Duration) {
    // A signal may shorten it; whoever waits looks again anyway.
    let _ = ppoll(&mut [], Some(TimeSpec::from_duration(span)), None);
}

/// The monotonic clock.
#[expect(clippy::disallowed_methods, reason = "a test has a clock of its own")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// A program to be started.
#[expect(clippy::disallowed_methods, reason = "a test is a user that starts programs")]
pub(crate) fn program(path: impl AsRef<std::ffi::OsStr>) -> Command {
    Command::new(path)
}

/// A program of a user of this number, to be put behind it.
pub(crate) fn become_user(uid: u32) -> Command {
    let uid = uid.to_string();
    let mut command = program("setpriv");
    command.args(["--reuid", &uid, "--regid", &uid, "--clear-groups"]);
    command
}

/// Whether the test runs as root.
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// What a command answered.
pub(crate) struct Answer {
    /// The exit code; the negative number of the signal that ended it.
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) err: String,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { code, out, err, .. } = self;
        write!(f, "exit code {code}\n--- standard output\n{out}--- standard error\n{err}---")
    }
}

impl Answer {
    /// The same, if the exit code is this one.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

static HOUSES: AtomicU32 = AtomicU32::new(0);

/// A directory with a jobfile, a state directory, and a file for whatever commands write. Gone at the end with all processes.
pub(crate) struct House {
    dir: PathBuf,
    /// Who calls commands here, and with which binary; none: who runs the test.
    caller: Option<(u32, PathBuf)>,
}

impl House {
    /// A house with this jobfile. Commands find the directory in `$T`; `@T@` in the jobfile stands for it.
    pub(crate) fn new(jobfile: &str) -> Self {
        let number = HOUSES.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir()
            .canonicalize()
            .expect("there is a directory for temporary files")
            .join(format!("jobctl-promise-{}-{number}", std::process::id()));
        fs::create_dir_all(&dir).expect("a directory can be made");
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).expect("it is ours");
        let house = Self { dir, caller: None };
        house.write_jobfile(jobfile);
        house
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(crate) fn jobfile(&self) -> PathBuf {
        self.path("jobs.toml")
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.path("state")
    }

    pub(crate) fn write_jobfile(&self, text: &str) {
        let text = text.replace("@T@", &self.dir.display().to_string());
        // As an editor does it: never half a file.
        self.write("jobs.toml.new", &text);
        fs::rename(self.path("jobs.toml.new"), self.jobfile()).expect("it can be renamed");
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).expect("it can be written");
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o644))
            .expect("it is ours");
    }

    /// A file's text; empty if there is none.
    pub(crate) fn read(&self, name: &str) -> String {
        let bytes = fs::read(self.path(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Whole lines of a file.
    pub(crate) fn lines(&self, name: &str) -> Vec<String> {
        let text = self.read(name);
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(str::to_owned).collect()
    }

    /// `jobctl` with the jobfile and state directory of this house, and nothing else of ours in its environment.
    pub(crate) fn jobctl(&self) -> Command {
        let mut command = match &self.caller {
            None => program(env!("CARGO_BIN_EXE_jobctl")),
            Some((uid, binary)) => {
                let mut command = become_user(*uid);
                command.arg(binary);
                command
            }
        };
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("JOBCTL_") {
                command.env_remove(name);
            }
        }
        command
            .env("JOBCTL_JOBFILE", self.jobfile())
            .env("JOBCTL_STATE_DIR", self.state_dir())
            .env("T", &self.dir)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }

    /// From now on it belongs to a user of this number, who calls all commands here. Root may do that.
    pub(crate) fn belong_to(&mut self, uid: u32) {
        // Where the build is may be closed to others.
        let binary = self.path("jobctl");
        fs::copy(env!("CARGO_BIN_EXE_jobctl"), &binary).expect("it can be copied");
        for path in [self.dir(), &self.jobfile(), &binary] {
            std::os::unix::fs::chown(path, Some(uid), Some(uid)).expect("root may");
        }
        self.caller = Some((uid, binary));
    }

    /// Calls a command and waits for its answer.
    #[track_caller]
    pub(crate) fn ask(&self, args: &[&str]) -> Answer {
        answer_of(self.jobctl().args(args))
    }

    /// The same with something on standard input.
    #[track_caller]
    pub(crate) fn ask_with(&self, args: &[&str], input: impl AsRef<[u8]>) -> Answer {
        let mut child = self
            .jobctl()
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("jobctl can be started");
        let mut stdin = child.stdin.take().expect("it was asked for");
        stdin.write_all(input.as_ref()).expect("it reads");
        drop(stdin);
        answer_from(child.wait_with_output().expect("it ends"))
    }

    /// Adds an item; its id.
    #[track_caller]
    pub(crate) fn enqueue(&self, args: &[&str]) -> i64 {
        let answer = self.ask(&[&["enqueue"], args].concat()).expect(0);
        answer.out.trim().parse().unwrap_or_else(|_| panic!("no id: {answer:#?}"))
    }

    /// A run as `show --json` has it.
    #[track_caller]
    pub(crate) fn show(&self, run: i64) -> Value {
        self.ask(&["show", &run.to_string(), "--json"]).expect(0).json()
    }

    /// All runs of a job, oldest first.
    #[track_caller]
    pub(crate) fn runs(&self, job: &str) -> Vec<Value> {
        let answer = self.ask(&["runs", job, "-n", "0", "--json"]);
        // 1 is: there are none.
        assert!(matches!(answer.code, 0 | 1), "{answer:#?}");
        let mut runs: Vec<Value> = answer
            .out
            .lines()
            .map(|line| serde_json::from_str(line).expect("a line is an object"))
            .collect();
        runs.sort_by_key(|run| run["id"].as_i64());
        runs
    }

    /// What `status --json` says.
    #[track_caller]
    pub(crate) fn status(&self) -> Value {
        self.ask(&["status", "--json"]).expect(0).json()
    }

    /// Waits until a run is in a state; answers how it is then.
    #[track_caller]
    pub(crate) fn wait_state(&self, run: i64, state: &str) -> Value {
        let mut last = Value::Null;
        let found = found_within(DEADLINE, || {
            last = self.show(run);
            (last["state"] == state).then(|| last.clone())
        });
        found.unwrap_or_else(|| panic!("run {run} did not get {state}: {last:#}"))
    }

    /// Waits until a job has a run that `is_wanted`; answers the first one.
    #[track_caller]
    pub(crate) fn wait_run(
        &self,
        job: &str,
        what: &str,
        is_wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        wait_for(what, || self.runs(job).into_iter().find(&is_wanted))
    }

    /// Waits until a file has a text in it.
    #[track_caller]
    pub(crate) fn wait_text(&self, name: &str, text: &str) {
        wait_for(&format!("`{text}` in {name}"), || self.read(name).contains(text).then_some(()));
    }

    /// Waits until a file has so many lines.
    #[track_caller]
    pub(crate) fn wait_lines(&self, name: &str, count: usize) -> Vec<String> {
        wait_for(&format!("{count} lines in {name}"), || {
            Some(self.lines(name)).filter(|lines| lines.len() >= count)
        })
    }

    /// Waits until nothing is due or running any more.
    #[track_caller]
    pub(crate) fn wait_idle(&self, jobs: &[&str]) {
        wait_for("all runs to end", || {
            let is_ended = |run: &Value| {
                ["succeeded", "failed", "skipped", "cancelled"]
                    .contains(&run["state"].as_str().expect("a state is text"))
            };
            jobs.iter().all(|job| self.runs(job).iter().all(is_ended)).then_some(())
        });
    }

    /// Starts a supervisor and waits until it is ready.
    #[track_caller]
    pub(crate) fn start(&self) -> Supervisor {
        self.start_with(&mut self.jobctl(), &[])
    }

    /// The same with more arguments or another environment.
    #[track_caller]
    pub(crate) fn start_with(&self, command: &mut Command, args: &[&str]) -> Supervisor {
        let before = self.read("log").matches("event=ready").count();
        let mut supervisor = self.spawn(command, args);
        wait_for("the supervisor to be ready", || {
            if let Some(status) = supervisor.status() {
                panic!("it ended: {status}\n{}", self.read("log"));
            }
            (self.read("log").matches("event=ready").count() > before).then_some(())
        });
        supervisor
    }

    /// Starts a supervisor and does not wait.
    pub(crate) fn spawn(&self, command: &mut Command, args: &[&str]) -> Supervisor {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path("log"))
            .expect("the log can be opened");
        let child =
            command.arg("run").args(args).stderr(log).spawn().expect("jobctl can be started");
        Supervisor { child }
    }

    /// The keeper of a running run: the parent of its command.
    #[track_caller]
    pub(crate) fn keeper_of(&self, run: i64) -> i32 {
        wait_for("the keeper", || stat_field(self.leader_of(run), 1)?.parse().ok())
    }

    /// The main process of a running run: it leads its session.
    #[track_caller]
    pub(crate) fn leader_of(&self, run: i64) -> i32 {
        let leads =
            |pid: &i32| stat_field(*pid, 3).is_some_and(|session| session == pid.to_string());
        wait_for("the command's process", || {
            self.processes_of(run).into_iter().find(|pid| leads(pid) && is_alive(*pid))
        })
    }

    /// All keepers: they have a slot's record open. So has, for a moment, what another test is about to start: a copy of this
    /// process, which is told by its words.
    pub(crate) fn keepers(&self) -> Vec<i32> {
        let slots = self.state_dir().join("slots");
        processes()
            .into_iter()
            .filter(|pid| command_line(*pid).get(1).is_some_and(|word| word == "keeper"))
            .filter(|pid| has_open_below(*pid, &slots))
            .collect()
    }

    /// Processes that have `JOBCTL_RUN` of this run in this house.
    pub(crate) fn processes_of(&self, run: i64) -> Vec<i32> {
        let wanted = [
            format!("JOBCTL_RUN={run}"),
            format!("JOBCTL_STATE_DIR={}", self.state_dir().display()),
        ];
        processes()
            .into_iter()
            .filter(|pid| {
                let environment = environment(*pid);
                wanted.iter().all(|word| environment.iter().any(|found| found == word))
            })
            .collect()
    }

    /// Processes of this house: its keepers, and those that have its state directory in the environment.
    pub(crate) fn processes(&self) -> Vec<i32> {
        let wanted = format!("JOBCTL_STATE_DIR={}", self.state_dir().display());
        let commands = processes().into_iter().filter(|pid| environment(*pid).contains(&wanted));
        commands.chain(self.keepers()).collect()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of the supervisor\n{}---", self.read("log"));
        }
        found_within(DEADLINE, || {
            let left = self.processes();
            for pid in &left {
                send(*pid, Signal::SIGKILL);
            }
            left.is_empty().then_some(())
        });
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A supervisor; killed at the end if it is still there.
pub(crate) struct Supervisor {
    child: Child,
}

impl Supervisor {
    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a pid is small")
    }

    pub(crate) fn send(&self, signal: Signal) {
        send(self.pid(), signal);
    }

    /// Its standard output, where that is a pipe.
    #[track_caller]
    pub(crate) fn stdout(&mut self) -> std::process::ChildStdout {
        self.child.stdout.take().expect("it was asked for")
    }

    /// How it ended, if it has.
    pub(crate) fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is our child")
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait_for("the supervisor to end", || self.status())
    }

    /// Waits for its end by itself; the exit code.
    #[track_caller]
    pub(crate) fn wait_code(&mut self) -> i32 {
        let status = self.wait();
        status.code().unwrap_or_else(|| panic!("it was killed: {status}"))
    }

    /// KILL, and waits until it is gone.
    #[track_caller]
    pub(crate) fn kill(mut self) {
        self.send(Signal::SIGKILL);
        assert_eq!(self.wait().signal(), Some(9), "it had ended before");
    }

    /// TERM, and waits until it has left.
    #[track_caller]
    pub(crate) fn stop(mut self) -> i32 {
        self.send(Signal::SIGTERM);
        self.wait_code()
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A mount on which every call waits until this is dropped, as on a server that is gone: FUSE, and nobody answers.
pub(crate) struct DeadMount {
    at: PathBuf,
    /// Closing it ends all waits with an error.
    connection: Option<File>,
}

impl DeadMount {
    /// Mounts one on a directory of the house, which is made. None: it takes root and /dev/fuse.
    pub(crate) fn at(house: &House, name: &str) -> Option<Self> {
        use std::os::fd::AsRawFd;
        let at = house.path(name);
        fs::create_dir_all(&at).expect("it is ours");
        let connection = OpenOptions::new().read(true).write(true).open("/dev/fuse").ok()?;
        let options = format!("fd={},rootmode=40755,user_id=0,group_id=0", connection.as_raw_fd());
        let flags = nix::mount::MsFlags::empty();
        nix::mount::mount(Some("dead"), &at, Some("fuse"), flags, Some(&*options)).ok()?;
        Some(Self { at, connection: Some(connection) })
    }
}

impl Drop for DeadMount {
    fn drop(&mut self) {
        self.connection = None;
        let _ = nix::mount::umount2(&self.at, nix::mount::MntFlags::MNT_DETACH);
    }
}

/// Calls a program and waits for its answer.
#[track_caller]
pub(crate) fn answer_of(command: &mut Command) -> Answer {
    answer_from(command.output().expect("it can be started"))
}

pub(crate) fn answer_from(output: std::process::Output) -> Answer {
    Answer {
        code: output.status.code().unwrap_or_else(|| -output.status.signal().unwrap_or(0)),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        bytes: output.stdout,
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

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

/// A field of /proc/PID/stat after the name: 0 is the state, 1 the parent, 2 the group, 3 the session.
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

fn command_line(pid: i32) -> Vec<String> {
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

fn has_open_below(pid: i32, dir: &Path) -> bool {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    entries
        .filter_map(Result::ok)
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .any(|target| target.starts_with(dir))
}

/// How often each line stands there.
pub(crate) fn tally(lines: &[String]) -> HashMap<&str, usize> {
    let mut counts = HashMap::new();
    for line in lines {
        *counts.entry(line.as_str()).or_default() += 1;
    }
    counts
}

/// A time as JSON has it.
#[track_caller]
pub(crate) fn time(value: &Value) -> chrono::DateTime<chrono::FixedOffset> {
    let text = value.as_str().unwrap_or_else(|| panic!("no time: {value}"));
    chrono::DateTime::parse_from_rfc3339(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}
