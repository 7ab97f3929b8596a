//! The control group of an attempt: created before its command, killed with it, and read for what
//! happened in it.
//!
//! Only where the order names one; else there is nothing here, and the sweep below the keeper is
//! all.

use std::io;
use std::time::Duration;

use nix::errno::Errno;

use super::order::Order;
use super::record::{End, Record};
use super::refusal::reason;
use super::remark::{PATIENCE, named};
use crate::os::cgroup::{self, Cgroup};
use crate::os::process;

/// How long a supervisor waits for the end of processes that it killed.
const PATIENCE_FOR_LOST: Duration = Duration::from_secs(2);

/// The control group of an attempt.
#[derive(Clone, Debug)]
pub(super) struct Enclosure {
    /// Its directory.
    pub(super) dir: String,
    /// The group itself.
    pub(super) group: Cgroup,
    memory_max: Option<u64>,
}

impl Enclosure {
    /// Creates the group that `order` names, empty and with its limits; none if it names none. Errs
    /// with the end of the attempt.
    pub(super) fn make(order: &Order) -> Result<Option<Self>, End> {
        let (dir, max) = match (order.cgroup.as_deref(), order.memory_max) {
            (Some(dir), max) => (dir, max),
            (None, None) => return Ok(None),
            (None, Some(_)) => return Err(refused(no_cgroup())),
        };
        let dir = make_group(dir, order.claim)
            .map_err(|error| refused(format!("cgroup {dir}: {}", reason_of(&error))))?;
        let enclosure = Self { group: Cgroup::at(&dir), dir, memory_max: max };
        if let Some(Err(end)) = max.map(|max| enclosure.limit_memory(max)) {
            enclosure.close();
            return Err(end);
        }
        Ok(Some(enclosure))
    }

    fn limit_memory(&self, max: u64) -> Result<(), End> {
        let parent = self.dir.rsplit_once('/').map_or("/", |(parent, _)| parent);
        let said = |reason: String| refused(format!("limits.memory: cgroup {parent}: {reason}"));
        Cgroup::at(parent).let_memory_be_limited().map_err(|error| {
            said(match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::EBUSY) => "it contains processes of other programs".to_owned(),
                Some(Errno::ENOENT | Errno::EINVAL) => "it has no memory controller".to_owned(),
                Some(_) | None => reason_of(&error),
            })
        })?;
        let written = self.group.limit_memory(max);
        written.map_err(|error| refused(format!("limits.memory: {}", reason_of(&error))))
    }

    /// Kills all its processes without waiting.
    pub(super) fn strike(&self) {
        // Where the group is gone, so is everybody in it; and there is the sweep below the keeper.
        let _ = self.group.kill();
    }

    /// Kills all its processes and waits until it is empty. Returns what could not be killed.
    pub(super) fn end_all(&self) -> Option<String> {
        self.strike();
        match self.group.is_empty_within(PATIENCE) {
            Ok(true) | Err(_) => None,
            Ok(false) => named("could not be killed", &self.group.processes()),
        }
    }

    /// Names the processes left in it, for people.
    pub(super) fn left_running(&self) -> Option<String> {
        named("left running", &self.group.processes())
    }

    /// Tells what its limits did, for people.
    pub(super) fn remark(&self) -> Option<String> {
        let max = self.memory_max?;
        let count = self.group.killed_at_limit();
        let what = if count == 1 { "process" } else { "processes" };
        (count > 0).then(|| {
            format!(
                "memory limit of {max} bytes reached: {count} {what} killed by the kernel (oom)"
            )
        })
    }

    /// Removes it, unless processes were left in it.
    pub(super) fn close(&self) {
        // The next attempt of the slot finds it, and removes it when it is empty.
        let _ = self.group.remove();
    }
}

/// Kills what a keeper that died left in its attempt's control group, whatever session it is in,
/// and waits a moment for its end. Does nothing for an attempt that had none, and on another boot.
pub(super) fn end_lost(record: &Record) -> io::Result<()> {
    let Some(dir) = record.cgroup.as_deref() else {
        return Ok(());
    };
    if record.boot_id != process::boot_id()? {
        return Ok(());
    }
    let group = Cgroup::at(dir);
    match group.kill() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        killed => killed?,
    }
    if group.is_empty_within(PATIENCE_FOR_LOST)? {
        group.remove()?;
    }
    Ok(())
}

/// Limits the memory of a running attempt again: systemd takes the controller away from what it has
/// delegated when it starts the supervisor anew, and the limit is forgotten with it. Does nothing
/// for an attempt without a limit.
pub(crate) fn limit_again(record: &Record) -> Result<(), String> {
    let (Some(dir), Some(max)) = (&record.cgroup, record.memory_max) else {
        return Ok(());
    };
    let enclosure = Enclosure { group: Cgroup::at(dir), dir: dir.clone(), memory_max: Some(max) };
    match enclosure.limit_memory(max) {
        Err(End::SpawnFailed { error, .. }) => Err(error),
        Ok(()) | Err(End::Exited(_) | End::Signaled(_)) => Ok(()),
    }
}

/// Makes an empty group at `dir`; where a daemon lives in the one that is there, beside it under
/// the name of the claim, for a group cannot be renamed.
fn make_group(dir: &str, claim: i64) -> io::Result<String> {
    let first = Cgroup::at(dir);
    first.remove_later_ones();
    match first.make_anew() {
        Err(error) if cgroup::is_inhabited(&error) => {}
        made => return made.map(|()| dir.to_owned()),
    }
    let dir = format!("{dir}.{claim}");
    Cgroup::at(&dir).make_anew()?;
    Ok(dir)
}

fn no_cgroup() -> String {
    "limits.memory: no control group (cgroup v2) is delegated to the supervisor (in a \
     systemd unit: `Delegate=yes`)"
        .to_owned()
}

fn refused(error: String) -> End {
    End::SpawnFailed { exit_code: None, error }
}

fn reason_of(error: &io::Error) -> String {
    let errno = error.raw_os_error().map(Errno::from_raw);
    errno.map_or_else(|| error.to_string(), reason)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_limit_names_what_is_missing_and_is_written_where_nothing_is() {
        let parent = std::env::temp_dir().join(format!("jobctl-enclosure-{}", std::process::id()));
        let group = parent.join("slot-0");
        fs::create_dir_all(&group).unwrap();
        let dir = group.to_str().unwrap().to_owned();
        let enclosure = Enclosure { group: Cgroup::at(&dir), dir, memory_max: Some(1 << 29) };
        let limit = || match enclosure.limit_memory(1 << 29) {
            Err(End::SpawnFailed { error, .. }) => error,
            other => format!("{other:?}"),
        };
        assert!(limit().ends_with("it has no memory controller"));
        fs::write(parent.join("cgroup.subtree_control"), "").unwrap();
        assert_eq!(limit(), "limits.memory: no such file or directory");
        fs::write(group.join("memory.max"), "").unwrap();
        assert_eq!(limit(), "Ok(())");
        let written = fs::read_to_string(group.join("memory.max")).unwrap();
        assert_eq!(written, "536870912");
        assert_eq!(enclosure.remark(), None);
        fs::write(group.join("memory.events"), "oom 1\noom_kill 2\n").unwrap();
        let said =
            "memory limit of 536870912 bytes reached: 2 processes killed by the kernel (oom)";
        assert_eq!(enclosure.remark().as_deref(), Some(said));
        fs::remove_dir_all(parent).unwrap();
    }
}
