//! Checks of the supervisor and its systemd unit.

use std::path::{Path, PathBuf};

use super::{Finding, Patient};
use crate::core::door::Listen;
use crate::facts::overview::Supervisor;
use crate::os::user;
use crate::store::{Store, StoreError, SupervisorRow};

/// The directories of system units.
const SYSTEM_UNITS: [&str; 4] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
];

const UNIT: &str = "jobctl.service";

/// Reports a supervisor that is stopping, and what it waits for.
fn stopping(patient: &Patient<'_>, row: &SupervisorRow) -> Result<Option<Finding>, StoreError> {
    let mut supervisor = Supervisor::of(row.clone(), true);
    patient.store.as_ref().map(|store| supervisor.read_waits(store)).transpose()?;
    Ok(supervisor.stopping().map(|text| {
        let message = format!("{text}: no runs start");
        let ids: Vec<String> = supervisor.waits_for.iter().map(i64::to_string).collect();
        let hint = match ids.as_slice() {
            [] => "wait".to_owned(),
            ids => format!("wait, or stop what runs with `jobctl cancel {}`", ids.join(" ")),
        };
        Finding::warning("supervisor", message, hint)
    }))
}

/// Checks that a supervisor runs, and its version.
pub(super) fn supervisor(patient: &Patient<'_>) -> Result<Vec<Finding>, StoreError> {
    if !patient.is_supervised {
        let start = start_command(patient.caller.is_root);
        return Ok(vec![Finding::bad("supervisor", "not running: no runs start", start)]);
    }
    let row = patient.store.as_ref().map(Store::supervisor).transpose()?.unwrap_or_default();
    let (own, theirs) = (env!("CARGO_PKG_VERSION"), row.version.as_deref().unwrap_or_default());
    let mut findings = Vec::new();
    findings.push(if theirs == own {
        Finding::good("supervisor", format!("running, version {own}"))
    } else {
        Finding::warning(
            "supervisor",
            format!("version {theirs} is running, this is {own}"),
            format!("`systemctl {}restart jobctl`; running jobs go on", user_option(patient)),
        )
    });
    if let Some(error) = &row.jobfile_error {
        let first = error.lines().next().unwrap_or_default().to_owned();
        findings.push(Finding::bad(
            "jobfile",
            format!("the file on disk is not in force: {first}"),
            "see `jobctl check`, then load it with `jobctl reload`",
        ));
    }
    findings.extend(door(patient, row.door_error.as_deref()));
    findings.extend(stopping(patient, &row)?);
    if row.is_shadow {
        findings.push(Finding::warning(
            "supervisor",
            "running with --shadow: no runs start",
            "start it without --shadow",
        ));
    }
    Ok(findings)
}

/// Checks each address of the door; `errors` has those that cannot be listened on.
fn door(patient: &Patient<'_>, errors: Option<&str>) -> Vec<Finding> {
    let door = patient.jobs.as_ref().and_then(|jobs| jobs.settings.door.as_ref());
    let listen = door.map_or(&[][..], |door| &door.listen);
    let error_of = |address: &str| {
        let mut lines = errors.unwrap_or_default().lines();
        lines.find_map(|line| line.strip_prefix(address)?.strip_prefix(": "))
    };
    let finding = |listen: &Listen| {
        let address = listen.to_string();
        match error_of(&address) {
            None => Finding::good("door", format!("listening on {address}")),
            Some(error) => Finding::bad(
                "door",
                format!("not listening on {address}: {error}"),
                "correct `listen` of [door], or free the address; it is tried every 5 seconds",
            ),
        }
    };
    listen.iter().map(finding).collect()
}

/// Checks that the unit is installed and enabled, and that a user's unit outlives the session.
pub(super) fn unit(patient: &Patient<'_>) -> Vec<Finding> {
    if !has_systemd() {
        return vec![Finding::good("unit", "not checked: this machine does not run systemd")];
    }
    let caller = patient.caller;
    let dirs: Vec<PathBuf> = if caller.is_root {
        SYSTEM_UNITS.iter().map(PathBuf::from).collect()
    } else {
        let home = caller.home.clone().unwrap_or_default();
        let config = caller.config_home.clone().unwrap_or_else(|| home.join(".config"));
        vec![
            config.join("systemd/user"),
            PathBuf::from("/etc/systemd/user"),
            PathBuf::from("/usr/lib/systemd/user"),
        ]
    };
    let mut findings = installed(&dirs, user_option(patient));
    if !caller.is_root {
        findings.push(linger(&user::current().name));
    }
    findings
}

fn installed(dirs: &[PathBuf], user_option: &str) -> Vec<Finding> {
    let Some(path) = dirs.iter().map(|dir| dir.join(UNIT)).find(|path| path.exists()) else {
        return vec![Finding::warning(
            "unit",
            "no unit is installed: the supervisor does not start at boot",
            format!(
                "copy contrib/jobctl.service from the sources to {}, then run `systemctl \
                     {user_option}enable --now jobctl`",
                dirs[0].display()
            ),
        )];
    };
    let shown = path.display();
    if dirs.iter().any(|dir| is_wanted(dir)) {
        vec![Finding::good("unit", format!("{shown}, enabled"))]
    } else {
        vec![Finding::warning(
            "unit",
            format!("{shown} is not enabled: the supervisor does not start at boot"),
            format!("`systemctl {user_option}enable jobctl`"),
        )]
    }
}

fn is_wanted(dir: &Path) -> bool {
    let targets = ["multi-user.target.wants", "default.target.wants"];
    targets.iter().any(|target| dir.join(target).join(UNIT).symlink_metadata().is_ok())
}

fn linger(user: &str) -> Finding {
    if Path::new("/var/lib/systemd/linger").join(user).exists() {
        Finding::good("linger", format!("{user} may run services without a session"))
    } else {
        Finding::warning(
            "linger",
            format!("the supervisor of {user} stops when the last session ends"),
            format!("`loginctl enable-linger {user}`"),
        )
    }
}

/// Returns whether the system runs systemd (sd_booted(3)).
pub(super) fn has_systemd() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// Returns the command that starts a supervisor.
pub(crate) fn start_command(is_root: bool) -> String {
    match has_systemd() {
        true => format!("`systemctl {}start jobctl`, or `jobctl run`", option_of(is_root)),
        false => "`jobctl run`".to_owned(),
    }
}

fn user_option(patient: &Patient<'_>) -> &'static str {
    option_of(patient.caller.is_root)
}

fn option_of(is_root: bool) -> &'static str {
    if is_root { "" } else { "--user " }
}
