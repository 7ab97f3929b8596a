//! A directory of a test's own with a jobfile and a store, the real binary in it, and questions
//! about it.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::answer::{Answer, answer_of, answer_to};
use super::process::{
    command_line, environment, has_open_below, is_alive, processes, send, stat_field,
};
use super::supervisor::Supervisor;
use super::waiting::{DEADLINE, found_within, wait_for};
use super::{become_user, program};

static HOUSES: AtomicU32 = AtomicU32::new(0);

/// A directory with a jobfile, a state directory, and a file for whatever commands write. Gone at
/// the end with all processes.
pub(crate) struct House {
    dir: PathBuf,
    /// Who calls commands here, and with which binary; none: who runs the test.
    caller: Option<(u32, PathBuf)>,
}

impl House {
    /// A house with this jobfile. Commands find the directory in `$T`; `@T@` in the jobfile stands
    /// for it.
    pub(crate) fn new(jobfile: &str) -> Self {
        let house = Self::empty();
        house.write_jobfile(jobfile);
        house
    }

    /// A house without a jobfile.
    pub(crate) fn empty() -> Self {
        let number = HOUSES.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir()
            .canonicalize()
            .expect("there is a directory for temporary files")
            .join(format!("jobctl-promise-{}-{number}", std::process::id()));
        fs::create_dir_all(&dir).expect("a directory can be made");
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).expect("it is ours");
        Self { dir, caller: None }
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

    /// Writes a file, and makes the directories above it; its path.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("it is in the house")).expect("it is ours");
        fs::write(&path, text).expect("it can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("it is ours");
        path
    }

    /// Writes a program; its path.
    pub(crate) fn write_program(&self, name: &str, text: &str) -> PathBuf {
        let path = self.write(name, text);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
        path
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

    /// `jobctl` with the jobfile and state directory of this house, and nothing else of ours in its
    /// environment.
    pub(crate) fn jobctl(&self) -> Command {
        match &self.caller {
            None => self.program(env!("CARGO_BIN_EXE_jobctl")),
            Some((uid, binary)) => {
                let mut command = self.at_home(become_user(*uid));
                command.arg(binary);
                command
            }
        }
    }

    /// Another program that calls `jobctl`, with the same environment.
    pub(crate) fn program(&self, path: impl AsRef<std::ffi::OsStr>) -> Command {
        self.at_home(program(path))
    }

    fn at_home(&self, mut command: Command) -> Command {
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
            .env("TZ", "UTC")
            .stdin(Stdio::null());
        command
    }

    /// From now on it belongs to a user of this number, who calls all commands here. Root may do
    /// that.
    pub(crate) fn belong_to(&mut self, uid: u32) {
        // Where the build is may be closed to others. A copy by this process would be open for
        // writing in what other tests fork meanwhile, and could not be executed.
        let binary = self.path("jobctl");
        answer_of(program("cp").arg(env!("CARGO_BIN_EXE_jobctl")).arg(&binary)).expect(0);
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
        answer_to(self.jobctl().args(args), input)
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

    /// All keepers: they have a slot's record open. So has, for a moment, what another test is
    /// about to start: a copy of this process, which is told by its words.
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

    /// Processes of this house: its keepers, and those that have its state directory in the
    /// environment.
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
