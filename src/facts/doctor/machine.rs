//! Checks of files, disk, clock, zones, mail, crontabs and locks.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::unit::has_systemd;
use super::{Finding, Patient};
use crate::core::job::{CommandLine, Job};
use crate::core::noun::{count, listed, size};
use crate::core::reason::plain as plain_error;
use crate::facts::jobs::Jobs;
use crate::os::{clock, disk, file, lock, process, user, zone};
use crate::store::{JobRow, Store, StoreError};

/// Free space that is below both one part in this many of the disk and this many bytes is a
/// warning.
const FREE_SHARE: u64 = 20;
const FREE_MIN: u64 = 256 << 20;

/// The maximum number of job names in one finding.
const NAMES_MAX: usize = 5;

/// Runs all checks.
pub(super) fn look(patient: &Patient<'_>) -> Result<Vec<Finding>, StoreError> {
    let state_dir = patient.state_dir;
    let mut findings = vec![rights(state_dir)];
    findings.extend(store(patient));
    findings.extend(free(state_dir));
    findings.extend(patient.jobs.as_ref().and_then(metrics));
    findings.push(zones());
    findings.push(synchronised());
    if let Some(jobs) = &patient.jobs {
        findings.extend(mailer(&jobs.jobs));
        findings.extend(still_in_crontab(patient, &jobs.jobs));
        findings.extend(never_ran(patient, &jobs.jobs)?);
        findings.extend(missed(patient)?);
    }
    findings.extend(strangers(state_dir));
    Ok(findings)
}

/// Reports a state directory that belongs to another user: the caller cannot check it.
pub(crate) fn somebody_elses(state_dir: &Path) -> Option<Finding> {
    let own = nix::unistd::geteuid().as_raw();
    let uid = fs::symlink_metadata(state_dir).ok()?.uid();
    let shown = state_dir.display();
    (uid != own).then(|| {
        Finding::bad(
            "state directory",
            format!("{shown} belongs to {}: not checked", user::name_of(uid)),
            format!("run `{} doctor`", user::sudo_jobctl(uid)),
        )
    })
}

fn rights(state_dir: &Path) -> Finding {
    const CHECK: &str = "state directory";
    let shown = state_dir.display();
    let there = state_dir.ancestors().find(|dir| dir.exists());
    let meta = match fs::symlink_metadata(state_dir) {
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return match there.map(file::is_writable_dir) {
                Some(Err(error)) => Finding::bad(
                    CHECK,
                    format!("{shown} cannot be created: {}", plain_error(&error)),
                    "name another one with --state-dir or state_dir",
                ),
                Some(Ok(())) | None => Finding::good(CHECK, format!("{shown}: not created yet")),
            };
        }
        Err(error) => {
            return Finding::bad(CHECK, format!("{shown}: {error}"), format!("`ls -ld {shown}`"));
        }
    };
    if let Err(error) = file::is_writable_dir(state_dir) {
        return Finding::bad(
            CHECK,
            format!("{shown} cannot be written: {}", plain_error(&error)),
            "find its file system with `findmnt -T`, then remount it with `mount -o remount,rw`",
        );
    }
    if meta.permissions().mode() & 0o077 != 0 {
        let mode = meta.permissions().mode() & 0o7777;
        return Finding::bad(
            CHECK,
            format!("{shown} is open to others (mode {mode:04o})"),
            format!("`chmod 700 {shown}`"),
        );
    }
    Finding::good(CHECK, format!("{shown}, private"))
}

fn store(patient: &Patient<'_>) -> Option<Finding> {
    const CHECK: &str = "store";
    const RESTORE: &str = "restore the newest backup with `jobctl restore BACKUP`";
    if let Some(error) = &patient.store_error {
        let remedy = error.hint().unwrap_or(RESTORE);
        return Some(Finding::bad(CHECK, error.to_string(), remedy));
    }
    let store = patient.store.as_ref()?;
    Some(match store.integrity() {
        Ok(found) if found.is_empty() => {
            let bytes = i64::try_from(store.bytes()).unwrap_or(i64::MAX);
            Finding::good(CHECK, format!("sound, {}", size(bytes)))
        }
        Ok(found) => Finding::bad(CHECK, found.join("; "), RESTORE),
        Err(error) => Finding::bad(CHECK, error.to_string(), RESTORE),
    })
}

fn free(state_dir: &Path) -> Option<Finding> {
    let there = state_dir.ancestors().find(|dir| dir.exists())?;
    let space = disk::space(there).ok()?;
    let bytes = |bytes: u64| size(i64::try_from(bytes).unwrap_or(i64::MAX));
    let text = format!("{} of {} free", bytes(space.available), bytes(space.total));
    let is_little = space.available < FREE_MIN.min(space.total / FREE_SHARE);
    Some(if is_little {
        Finding::warning(
            "disk",
            text,
            "free some space; `jobctl prune` removes old runs and their output",
        )
    } else {
        Finding::good("disk", text)
    })
}

fn zones() -> Finding {
    let source = zone::source();
    let name = zone::system().name;
    let text = format!("{source}; the system's time zone is {name}");
    if zone::is_bundled() {
        Finding::warning(
            "time zones",
            format!("{text}: new rules need a new jobctl"),
            "install tzdata (`apt install tzdata`)",
        )
    } else {
        Finding::good("time zones", text)
    }
}

fn synchronised() -> Finding {
    match clock::is_synchronised() {
        Some(true) => Finding::good("clock", "synchronised"),
        Some(false) if has_systemd() => {
            Finding::warning("clock", "not synchronised", "`timedatectl set-ntp true`")
        }
        Some(false) => Finding::warning(
            "clock",
            "the kernel reports it as not synchronised",
            "start your time service, e.g. chronyd; in a container, on the host",
        ),
        None => Finding::good("clock", "cannot tell here whether it is synchronised"),
    }
}

/// Checks that sendmail exists if a job sends mail.
fn mailer(jobs: &[Job]) -> Option<Finding> {
    let names: Vec<&str> = jobs
        .iter()
        .filter(|job| job.policy.mailto.is_some())
        .map(|job| job.name.as_str())
        .collect();
    if names.is_empty() {
        return None;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(["/usr/sbin", "/usr/lib"].map(PathBuf::from));
    let found = dirs.map(|dir| dir.join("sendmail")).find(|path| is_program(path));
    Some(match found {
        Some(path) => Finding::good("mail", path.display().to_string()),
        None => Finding::bad(
            "mail",
            format!(
                "no sendmail found, but {} of {} need it: {}",
                names.len(),
                count(jobs.len(), "job"),
                listed(&names, NAMES_MAX),
            ),
            "install one (`apt install msmtp-mta`), or use a hook from contrib/hooks",
        ),
    })
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Reports jobs whose command cron also starts.
fn still_in_crontab(patient: &Patient<'_>, jobs: &[Job]) -> Vec<Finding> {
    let commands: BTreeMap<String, &Job> = jobs
        .iter()
        .filter(|job| job.policy.enabled && !job.schedules.is_empty())
        .filter_map(|job| match &job.command {
            CommandLine::Shell(text) => Some((plain(text), job)),
            CommandLine::Exec(_) => None,
        })
        .collect();
    patient
        .cron_lines
        .iter()
        .filter_map(|line| {
            let job = commands.get(&plain(&line.command))?;
            let off = match &line.off {
                Some(command) => format!("`{command}`"),
                None => format!("comment out line {} of {}", line.line, line.file),
            };
            Some(Finding::bad(
                "crontab",
                format!(
                    "cron also starts the command of job `{}`: {} line {}",
                    job.name, line.file, line.line
                ),
                off,
            ))
        })
        .collect()
}

/// Normalizes the blanks of a command.
fn plain(command: &str) -> String {
    command.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn never_ran(patient: &Patient<'_>, jobs: &[Job]) -> Result<Option<Finding>, StoreError> {
    let Some(store) = &patient.store else {
        return Ok(None);
    };
    let executed: BTreeSet<i64> = store.tallies()?.iter().map(|tally| tally.job_id).collect();
    let mut names = Vec::new();
    let scheduled = |job: &&Job| job.policy.enabled && !job.schedules.is_empty();
    for job in jobs.iter().filter(scheduled) {
        // Occurrences have passed, but nothing was ever executed. A job whose first occurrence is
        // still to come is fine.
        let is_idle = |row: JobRow| {
            row.ended > 0 && row.running + row.retrying == 0 && !executed.contains(&row.id)
        };
        if store.job(job.name.as_str())?.is_some_and(is_idle) {
            names.push(job.name.as_str());
        }
    }
    Ok(names.first().map(|first| {
        Finding::warning(
            "jobs",
            format!("never started: {}", listed(&names, NAMES_MAX)),
            format!("see why with `jobctl why {first}`, or try it with `jobctl enqueue {first}`"),
        )
    }))
}

/// Reports jobs that missed an occurrence or have been paused for long.
fn missed(patient: &Patient<'_>) -> Result<Vec<Finding>, StoreError> {
    let rows = patient.store.as_ref().map(Store::jobs).transpose()?.unwrap_or_default();
    let now = clock::now().wall;
    let of = |is_it: &dyn Fn(&JobRow) -> bool, text: &str, remedy: &str| {
        let those = rows.iter().filter(|row| is_it(row)).map(|row| row.name.as_str());
        let names: Vec<&str> = those.collect();
        names.first().map(|first| {
            let message = format!("{text}: {}", listed(&names, NAMES_MAX));
            Finding::warning("jobs", message, remedy.replace("JOB", first))
        })
    };
    let missed = of(
        &|row| row.missed_at.is_some(),
        "missed, without a success since",
        "see why with `jobctl why JOB`, or run it with `jobctl enqueue JOB`",
    );
    let paused = of(
        &|row| row.pause.is_some_and(|pause| pause.is_forgotten(now)),
        "paused for more than a day",
        "`jobctl resume JOB`",
    );
    Ok(missed.into_iter().chain(paused).collect())
}

/// Checks that the metrics file, if there is one, can be written.
fn metrics(jobs: &Jobs) -> Option<Finding> {
    const CHECK: &str = "metrics";
    let path = jobs.settings.metrics_file.as_deref().map(Path::new)?;
    let dir = path.parent()?;
    Some(match file::is_writable_dir(dir) {
        Ok(()) => Finding::good(CHECK, path.display().to_string()),
        Err(error) => Finding::bad(
            CHECK,
            format!("{} cannot be written: {}", path.display(), plain_error(&error)),
            format!("run `mkdir -p {}`, or set another metrics_file", dir.display()),
        ),
    })
}

/// Returns the process that holds a lock, unless it is a jobctl. The kernel names the process that
/// took it, possibly a supervisor that has ended: its keeper inherited the lock, so the holder is
/// whichever process has the file open now.
fn stranger(path: &Path, taken_by: i32) -> Option<i32> {
    let have_open = process::that_have_open(path);
    let mut holders = have_open.iter().copied().chain([taken_by]);
    if holders.clone().any(process::is_executing_like_this) {
        return None;
    }
    holders.next()
}

/// Reports locks of jobs that other programs hold.
fn strangers(state_dir: &Path) -> Vec<Finding> {
    let held = lock::holders_in(&state_dir.join("locks")).unwrap_or_default();
    held.into_iter()
        .filter_map(|(path, pid)| Some((stranger(&path, pid)?, path)))
        .map(|(pid, path)| {
            let name = process::name_of(pid).unwrap_or_else(|| "ended".to_owned());
            Finding::warning(
                "locks",
                format!("{} is held by process {pid} ({name}), not by jobctl", path.display()),
                format!(
                    "look at it with `ps -fp {pid}`; the job can start when it releases the lock"
                ),
            )
        })
        .collect()
}
