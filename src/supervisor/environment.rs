//! What a command finds (spec.md section 8): makes the order of an attempt from its job and its run.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::core::env_file;
use crate::core::hash::fnv1a;
use crate::core::job::{CommandLine, EnvValue, Job, Leftovers, Policy};
use crate::core::reason::plain;
use crate::core::run::Outcome;
use crate::core::terms;
use crate::keeper::order::Order;
use crate::os::user::{self, UserEntry};
use crate::os::{file, limit, trust};
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

/// An `env_file` may be this long: an environment of the kernel's own limit.
const ENV_FILE_MAX: u64 = 2 * 1024 * 1024;

/// A value in a file may be this long: the kernel takes no longer string (MAX_ARG_STRLEN).
const VALUE_MAX: u64 = 128 * 1024;

/// A hook and a mail have this long, and this much of what they print is kept.
const NOTICE_TIMEOUT: Duration = Duration::from_secs(60);
const NOTICE_GRACE: Duration = Duration::from_secs(5);
const NOTICE_OUTPUT_MAX: u64 = 4096;

/// Where sendmail is on systems whose users do not have it in their path.
pub(super) const MAILERS_PATH: &[u8] = b":/usr/sbin:/usr/lib";

/// The path of commands whose supervisor has none.
const DEFAULT_PATH: &str = "/usr/bin:/bin";

/// What all orders have in common.
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

/// What a hook or a mail is told of.
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

type Variables = BTreeMap<Vec<u8>, Vec<u8>>;

impl Surroundings {
    /// Makes the order for the attempt that `run` has just been claimed for.
    ///
    /// Errs with an outcome where something the command needs cannot be read.
    pub(crate) fn order(&self, job: &Job, run: &RunRow) -> Result<Order, Outcome> {
        let policy = &job.policy;
        let (program, argv) = command(job, run);
        let account = user::account_of(policy.user.as_deref(), policy.group.as_deref())
            .map_err(|error| refused(error.to_string()))?;
        let user = account
            .as_ref()
            .map_or(&self.user, |account| &account.entry);
        let mut env = self.variables(policy, user)?;
        self.add_places(&mut env, Some(job));
        add_run(&mut env, run);
        if let Some(path) = self.report_of(run.id, run.attempt) {
            env.insert(b"JOBCTL_REPORT".to_vec(), path.into_os_string().into_vec());
        }
        let cwd = match &policy.cwd {
            Some(cwd) => cwd.as_bytes().to_vec(),
            None => user.home.as_os_str().as_bytes().to_vec(),
        };
        Ok(Order {
            run: run.id,
            attempt: run.attempt,
            claim: run.claim,
            program,
            argv,
            env: joined(env),
            cwd,
            identity: account.and_then(|account| account.identity),
            limits: limit::of_job(&policy.limits),
            cgroup: None,
            memory_max: policy.limits.memory,
            terms: terms::encode(policy, matches!(job.command, CommandLine::Shell(_))),
            umask: policy.umask,
            nice: policy.nice,
            stdin: policy
                .stdin
                .as_deref()
                .unwrap_or_default()
                .as_bytes()
                .to_vec(),
            timeout: policy.timeout,
            stop_signal: policy.stop_signal,
            stop_grace: policy.stop_grace,
            leftovers: policy.leftovers,
            report: self
                .report_of(run.id, run.attempt)
                .and_then(|path| path.into_os_string().into_string().ok()),
            spool: None,
            feeds: None,
            output_max: policy.output_max,
        })
    }

    /// Makes the order for a hook or a mail: whose job it is about, with that one's user, place and environment, but without its limits,
    /// its report and its files.
    ///
    /// Errs with an outcome where something it needs cannot be read.
    pub(super) fn notice_order(&self, subject: Subject<'_>) -> Result<Order, Outcome> {
        let policy = subject
            .job
            .map(|job| job.policy.clone())
            .unwrap_or_default();
        let account = user::account_of(policy.user.as_deref(), policy.group.as_deref())
            .map_err(|error| refused(error.to_string()))?;
        let user = account
            .as_ref()
            .map_or(&self.user, |account| &account.entry);
        let mut env = self.variables(&policy, user)?;
        self.add_places(&mut env, subject.job);
        if let Some(run) = subject.run {
            add_run(&mut env, run);
        }
        for (name, value) in subject.env {
            env.insert(name.into(), value.into_bytes());
        }
        let path = env.entry(b"PATH".to_vec()).or_default();
        path.extend_from_slice(subject.path_end);
        Ok(Order {
            run: 0,
            attempt: 0,
            claim: 0,
            program: subject.argv.first().cloned().unwrap_or_default(),
            argv: subject.argv,
            env: joined(env),
            // A place that is gone must not keep anybody from hearing of it.
            cwd: b"/".to_vec(),
            identity: account.and_then(|account| account.identity),
            limits: Vec::new(),
            cgroup: None,
            memory_max: None,
            terms: terms::encode(&Policy::default(), false),
            umask: policy.umask,
            nice: 0,
            stdin: subject.stdin,
            timeout: Some(NOTICE_TIMEOUT),
            stop_signal: policy.stop_signal,
            stop_grace: NOTICE_GRACE,
            leftovers: Leftovers::Leave,
            report: None,
            spool: None,
            feeds: None,
            output_max: NOTICE_OUTPUT_MAX,
        })
    }

    /// The file in which the command of an attempt reports. Several supervisors share the directory, so that it has the state directory in
    /// its name.
    pub(super) fn report_of(&self, run: i64, attempt: u32) -> Option<PathBuf> {
        let mark = fnv1a(self.state_dir.as_os_str().as_bytes().iter().copied());
        let dir = self.reports_dir.as_ref()?;
        Some(dir.join(format!("{mark:016x}-{run}.{attempt}")))
    }

    fn variables(&self, policy: &Policy, user: &UserEntry) -> Result<Variables, Outcome> {
        let is_given = policy.user.is_some();
        let mut variables = Variables::new();
        if policy.inherit_env.unwrap_or(!is_given) {
            let inherited = self
                .inherited
                .iter()
                .filter(|(name, _)| !is_own(name.as_bytes()));
            variables.extend(
                inherited
                    .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())),
            );
        }
        let theirs = [
            ("HOME", user.home.as_os_str().as_bytes()),
            ("USER", user.name.as_bytes()),
            ("LOGNAME", user.name.as_bytes()),
            ("SHELL", user.shell.as_os_str().as_bytes()),
            ("PATH", DEFAULT_PATH.as_bytes()),
        ];
        for (name, value) in theirs {
            if is_given || !variables.contains_key(name.as_bytes()) {
                variables.insert(name.into(), value.to_vec());
            }
        }
        if let Some(path) = &policy.env_file {
            variables.extend(read_env_file(path)?);
        }
        for (name, value) in &policy.env {
            match value {
                EnvValue::Text(text) => {
                    variables.insert(name.as_bytes().to_vec(), text.as_bytes().to_vec());
                }
                EnvValue::File(path) => {
                    variables.insert(name.as_bytes().to_vec(), read_value(name, path)?);
                }
            }
        }
        Ok(variables)
    }

    /// The variables that tell a command of which job and where it is.
    fn add_places(&self, variables: &mut Variables, job: Option<&Job>) {
        if let Some(job) = job {
            variables.insert(b"JOBCTL_JOB".to_vec(), job.name.as_str().into());
        }
        let places = [
            ("JOBCTL_JOBFILE", self.jobfile.as_os_str().as_bytes()),
            ("JOBCTL_STATE_DIR", self.state_dir.as_os_str().as_bytes()),
        ];
        for (name, value) in places {
            variables.insert(name.into(), value.to_vec());
        }
    }
}

/// The variables that tell a command what it is a run of.
fn add_run(variables: &mut Variables, run: &RunRow) {
    let mut add = |name: &str, value: String| {
        variables.insert(name.into(), value.into_bytes());
    };
    add("JOBCTL_RUN", run.id.to_string());
    add("JOBCTL_ATTEMPT", run.attempt.to_string());
    let max = run
        .max_attempts
        .map_or_else(|| "unlimited".to_owned(), |max| max.to_string());
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

fn joined(variables: Variables) -> Vec<Vec<u8>> {
    let pairs = variables.into_iter();
    pairs
        .map(|(name, value)| [name, value].join(&b'='))
        .collect()
}

/// Program and arguments: text goes to the shell with the job's name as `$0`; an array is executed as it is.
fn command(job: &Job, run: &RunRow) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut argv = words_of(job, &job.command);
    argv.extend(run.args.iter().cloned());
    (argv.first().cloned().unwrap_or_default(), argv)
}

/// A command of a job as program and arguments.
pub(super) fn words_of(job: &Job, command: &CommandLine) -> Vec<Vec<u8>> {
    match command {
        CommandLine::Shell(text) => {
            let shell = job.policy.shell.iter().map(|word| word.as_bytes().to_vec());
            shell
                .chain([text.as_bytes().to_vec(), job.name.as_str().into()])
                .collect()
        }
        CommandLine::Exec(words) => words.iter().map(|word| word.as_bytes().to_vec()).collect(),
    }
}

/// A value that stands in a file of its own, without the newline at its end.
fn read_value(name: &str, path: &str) -> Result<Vec<u8>, Outcome> {
    let failed = |why: String| refused(format!("env {name}: {path}: {why}"));
    let mut value = read_trusted(path, VALUE_MAX).map_err(|error| failed(plain(&error)))?;
    if value.ends_with(b"\n") {
        value.pop();
    }
    if value.contains(&0) {
        return Err(failed("holds a NUL byte".to_owned()));
    }
    Ok(value)
}

fn read_env_file(path: &str) -> Result<env_file::Variables, Outcome> {
    let bytes = read_trusted(path, ENV_FILE_MAX)
        .map_err(|error| refused(format!("env_file {path}: {}", plain(&error))))?;
    env_file::parse(&bytes).map_err(|error| {
        refused(format!(
            "env_file {path}: line {}: {}",
            error.line, error.message
        ))
    })
}

/// Reads a file that nobody but root can change, if this is a supervisor of root's.
fn read_trusted(path: &str, len_max: u64) -> io::Result<Vec<u8>> {
    file::read_whole(trust::open_trusted(Path::new(path))?, len_max)
}

fn refused(error: String) -> Outcome {
    Outcome::SpawnFailed {
        exit_code: None,
        error,
    }
}

fn is_own(name: &[u8]) -> bool {
    OWN_NAMES.iter().any(|own| own.as_bytes() == name)
        || OWN_PREFIXES
            .iter()
            .any(|own| name.starts_with(own.as_bytes()))
}

/// The environment that another process of this user was started with (proc_pid_environ(5)).
pub(crate) fn of_process(pid: i32) -> io::Result<Vec<(OsString, OsString)>> {
    let bytes = std::fs::read(format!("/proc/{pid}/environ"))?;
    let variables = bytes.split(|byte| *byte == 0).filter_map(|variable| {
        let at = variable.iter().position(|byte| *byte == b'=')?;
        let (name, value) = variable.split_at(at);
        Some((
            OsString::from_vec(name.to_vec()),
            OsString::from_vec(value[1..].to_vec()),
        ))
    });
    Ok(variables.collect())
}

/// The environment of this process, as it was started with.
pub(crate) fn inherited() -> Vec<(OsString, OsString)> {
    std::env::vars_os()
        .map(|(name, value)| (OsString::from_vec(name.into_vec()), value))
        .collect()
}
