//! What a command finds (jobctl.toml(5), "What a command finds"): makes the order of an attempt
//! from its job and its run.
//!
//! Looks at nothing that could hang: users, groups and files are named in the order, and
//! `core::environment` has the rules.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;

use crate::core::environment::{Sources, Variable};
use crate::core::hash::fnv1a;
use crate::core::job::{CommandLine, Job, Leftovers, Limits, Policy};
use crate::keeper::order::{Order, OwnAccount};
use crate::os::user::UserEntry;
use crate::os::{limit, process};
use crate::store::RunRow;

/// Names that are the supervisor's own business and never passed on.
const OWN_NAMES: [&str; 6] = [
    "NOTIFY_SOCKET",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "STATE_DIRECTORY",
    "RUNTIME_DIRECTORY",
    "JOBCTL_JOBFILE",
];

/// Beginnings of such names.
const OWN_PREFIXES: [&str; 3] = ["WATCHDOG_", "LISTEN_", "JOBCTL_"];

/// A hook and a mail have this long, and this much of what they print is kept.
pub(super) const NOTICE_TIMES: (Option<Duration>, Duration) =
    (Some(Duration::from_secs(60)), Duration::from_secs(5));
const NOTICE_OUTPUT_MAX: u64 = 4096;

/// Where sendmail is on systems whose users do not have it in their path.
pub(super) const MAILERS_PATH: &[u8] = b":/usr/sbin:/usr/lib";

/// The facts that all orders share.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    /// The supervisor's own environment.
    pub(crate) inherited: Vec<(OsString, OsString)>,
    /// The user's name, home and shell.
    pub(crate) user: UserEntry,
    /// The jobfile.
    pub(crate) jobfile: PathBuf,
    /// The state directory.
    pub(crate) state_dir: PathBuf,
    /// Where commands report; none where there is no such place.
    pub(crate) reports_dir: Option<PathBuf>,
}

/// The subject of a hook or a mail.
#[derive(Default)]
pub(super) struct Subject<'a> {
    /// The job; none: it is about the supervisor.
    pub(super) job: Option<&'a Job>,
    /// The run; none: it is about the job.
    pub(super) run: Option<&'a RunRow>,
    /// The program with its arguments, in the place of the job's command.
    pub(super) argv: Vec<Vec<u8>>,
    /// What it gets on standard input.
    pub(super) stdin: Vec<u8>,
    /// Variables of its own.
    pub(super) env: Vec<(&'static str, String)>,
    /// Where else programs are looked for, behind `PATH`.
    pub(super) path_end: &'static [u8],
}

impl Surroundings {
    /// Makes the order for the attempt that `run` has just been claimed for. What it names outside
    /// of this process, a user or a file, is not looked at: its keeper does that.
    pub(crate) fn order(&self, job: &Job, run: &RunRow) -> Order {
        let policy = &job.policy;
        let (program, argv) = command(job, run);
        let mut sources = self.sources(policy);
        self.add_places(&mut sources.told, Some(job));
        add_run(&mut sources.told, run);
        let report = self.report_of(run.id, run.attempt);
        if let Some(path) = &report {
            tell(&mut sources.told, "JOBCTL_REPORT", path.as_os_str().as_bytes());
        }
        Order {
            run: run.id,
            attempt: run.attempt,
            claim: run.claim,
            program,
            argv,
            sources,
            cwd: policy.cwd.as_deref().map(|cwd| cwd.as_bytes().to_vec()),
            own_account: self.own_account(),
            user: policy.user.as_deref().map(str::to_owned),
            group: policy.group.as_deref().map(str::to_owned),
            limits: limit::of_job(&policy.limits),
            cgroup: None,
            memory_max: policy.limits.memory,
            umask: policy.umask,
            nice: policy.nice,
            stdin: policy.stdin.as_deref().unwrap_or_default().as_bytes().to_vec(),
            timeout: policy.timeout,
            stop_signal: policy.stop_signal,
            stop_grace: policy.stop_grace,
            leftovers: policy.leftovers,
            report: report.and_then(|path| path.into_os_string().into_string().ok()),
            spool: None,
            feeds: None,
            output_max: policy.output_max,
            output_file: policy.output_file.as_deref().map(str::to_owned),
        }
    }

    /// Makes the order for a hook or a mail: whose job it is about, with that one's user, place and
    /// environment, but without its limits, its report and its files.
    pub(super) fn notice_order(&self, subject: Subject<'_>) -> Order {
        let policy = subject.job.map(|job| job.policy.clone()).unwrap_or_default();
        let mut sources = self.sources(&policy);
        self.add_places(&mut sources.told, subject.job);
        if let Some(run) = subject.run {
            add_run(&mut sources.told, run);
        }
        for (name, value) in subject.env {
            tell(&mut sources.told, name, value.as_bytes());
        }
        sources.path_end = subject.path_end.to_vec();
        Order {
            run: 0,
            attempt: 0,
            claim: 0,
            program: subject.argv.first().cloned().unwrap_or_default(),
            argv: subject.argv,
            sources,
            // A place that is gone must not keep anybody from hearing of it.
            cwd: Some(b"/".to_vec()),
            own_account: self.own_account(),
            user: policy.user.as_deref().map(str::to_owned),
            group: policy.group.as_deref().map(str::to_owned),
            // Of open files it has what the supervisor was started with.
            limits: limit::of_job(&Limits::default()),
            cgroup: None,
            memory_max: None,
            umask: policy.umask,
            nice: 0,
            stdin: subject.stdin,
            timeout: NOTICE_TIMES.0,
            stop_signal: policy.stop_signal,
            stop_grace: NOTICE_TIMES.1,
            leftovers: Leftovers::Leave,
            report: None,
            spool: None,
            feeds: None,
            output_max: NOTICE_OUTPUT_MAX,
            output_file: None,
        }
    }

    /// The same order for the supervisor's own user, with nothing of the job's environment: a mail
    /// needs none of it.
    pub(super) fn as_own_user(&self, order: Order) -> Order {
        let told = order.sources.told;
        let path_end = order.sources.path_end;
        Order {
            sources: Sources { told, path_end, ..self.sources(&Policy::default()) },
            user: None,
            group: None,
            ..order
        }
    }

    /// What the environment of a job's commands is made of, but for what jobctl tells them.
    fn sources(&self, policy: &Policy) -> Sources {
        let is_given = policy.user.is_some();
        let is_passed = policy.passes_env();
        let inherited =
            self.inherited.iter().filter(|(name, _)| is_passed && !is_own(name.as_bytes()));
        Sources {
            inherited: inherited
                .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
                .collect(),
            account_wins: is_given,
            env_file: policy.env_file.as_deref().map(str::to_owned),
            values: policy
                .env
                .iter()
                .map(|(name, value)| (name.to_string(), value.clone()))
                .collect(),
            told: Vec::new(),
            path_end: Vec::new(),
        }
    }

    fn own_account(&self) -> OwnAccount {
        OwnAccount {
            name: self.user.name.as_bytes().to_vec(),
            home: self.user.home.as_os_str().as_bytes().to_vec(),
            shell: self.user.shell.as_os_str().as_bytes().to_vec(),
        }
    }

    /// The file in which the command of an attempt reports. Several supervisors share the
    /// directory, so that it has the state directory in its name.
    pub(super) fn report_of(&self, run: i64, attempt: u32) -> Option<PathBuf> {
        let mark = fnv1a(self.state_dir.as_os_str().as_bytes().iter().copied());
        let dir = self.reports_dir.as_ref()?;
        Some(dir.join(format!("{mark:016x}-{run}.{attempt}")))
    }

    /// The variables that tell a command of which job and where it is.
    fn add_places(&self, told: &mut Vec<Variable>, job: Option<&Job>) {
        if let Some(job) = job {
            tell(told, "JOBCTL_JOB", job.name.as_str().as_bytes());
        }
        tell(told, "JOBCTL_JOBFILE", self.jobfile.as_os_str().as_bytes());
        tell(told, "JOBCTL_STATE_DIR", self.state_dir.as_os_str().as_bytes());
    }
}

/// The same order without what stands in files: of the job's user as before, never of another.
pub(super) fn without_files(order: Order) -> Order {
    Order { sources: order.sources.without_files(), ..order }
}

fn tell(told: &mut Vec<Variable>, name: &str, value: &[u8]) {
    told.push((name.into(), value.to_vec()));
}

/// The variables that tell a command what it is a run of.
fn add_run(told: &mut Vec<Variable>, run: &RunRow) {
    let mut add = |name: &str, value: String| tell(told, name, value.as_bytes());
    add("JOBCTL_RUN", run.id.to_string());
    add("JOBCTL_ATTEMPT", run.attempt.to_string());
    let max = run.budget.max.map_or_else(|| "unlimited".to_owned(), |max| max.to_string());
    add("JOBCTL_MAX_ATTEMPTS", max);
    add("JOBCTL_CAUSE", run.cause.as_str().to_owned());
    if let Some(at) = run.scheduled_at {
        add("JOBCTL_SCHEDULED_AT", at.rfc3339());
    }
    if let Some(key) = &run.key {
        add("JOBCTL_KEY", key.clone());
    }
    if let Some(outcome) = run.outcome {
        add("JOBCTL_LAST_OUTCOME", outcome.as_str().to_owned());
    }
}

/// Program and arguments: text goes to the shell with the job's name as `$0`; an array is executed
/// as it is.
fn command(job: &Job, run: &RunRow) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut argv = words_of(&job.policy.shell, job.name.as_str(), &job.command);
    argv.extend(run.args.iter().cloned());
    (argv.first().cloned().unwrap_or_default(), argv)
}

/// A command as program and arguments; a shell calls it by this name.
pub(super) fn words_of(shell: &[Box<str>], name: &str, command: &CommandLine) -> Vec<Vec<u8>> {
    match command {
        CommandLine::Shell(text) => {
            let shell = shell.iter().map(|word| word.as_bytes().to_vec());
            shell.chain([text.as_bytes().to_vec(), name.into()]).collect()
        }
        CommandLine::Exec(words) => words.iter().map(|word| word.as_bytes().to_vec()).collect(),
    }
}

fn is_own(name: &[u8]) -> bool {
    OWN_NAMES.iter().any(|own| own.as_bytes() == name)
        || OWN_PREFIXES.iter().any(|own| name.starts_with(own.as_bytes()))
}

/// The environment that another process of this user was started with (proc_pid_environ(5)). Errs
/// for one that has ended or is ending, of which the kernel shows an empty one.
pub(crate) fn of_process(pid: i32) -> io::Result<Vec<(OsString, OsString)>> {
    let bytes = process::environment(pid)?;
    if bytes.is_empty() && process::has_no_image(pid) {
        return Err(io::ErrorKind::NotFound.into());
    }
    let variables = bytes.split(|byte| *byte == 0).filter_map(|variable| {
        let at = variable.iter().position(|byte| *byte == b'=')?;
        let (name, value) = variable.split_at(at);
        Some((OsString::from_vec(name.to_vec()), OsString::from_vec(value[1..].to_vec())))
    });
    Ok(variables.collect())
}

/// The environment of this process, as it was started with.
pub(crate) fn inherited() -> Vec<(OsString, OsString)> {
    std::env::vars_os().map(|(name, value)| (OsString::from_vec(name.into_vec()), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel shows an empty environment of about every third process that is ending.
    const KILLED: u32 = 50;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "processes that are killed")]
    fn a_process_that_is_ending_has_no_environment_instead_of_an_empty_one() {
        for _ in 0..KILLED {
            let mut child =
                std::process::Command::new("/bin/sleep").arg("60").env("A", "b").spawn().unwrap();
            let pid = i32::try_from(child.id()).unwrap();
            // Until its execve(2) is done, it has none.
            while of_process(pid).unwrap_or_default().is_empty() {}
            child.kill().unwrap();
            while let Ok(variables) = of_process(pid) {
                assert!(!variables.is_empty());
            }
            child.wait().unwrap();
        }
    }
}
