//! One jobfile by two paths, of which one goes through a link: each path has a state directory of
//! its own, and the jobs are to be run once.
//!
//! The path cannot be resolved for good, because what a link points to may change (a mounted
//! ConfigMap). So a supervisor that begins looks whether another one executes the same file now.
//! Who names a state directory has said what is wanted, and is not judged.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::cmd::{Context, Failure, Result};
use crate::supervisor::daemon::Holder;

/// Refuses to begin where the supervisor of another state directory, one that follows from a path
/// as well, has the same jobfile.
pub(crate) fn refuse(context: &Context, jobfile: &Path, state_dir: &Path) -> Result<()> {
    if !context.has_derived_state_dir()? {
        return Ok(());
    }
    let root = context.caller.default_state_dir()?;
    for other in derived_in(&root) {
        if is_one_file(&other, state_dir) {
            continue;
        }
        if let Some(holder) = Holder::of(&other).filter(|it| is_one_file(&it.jobfile, jobfile)) {
            return Err(refusal(jobfile, &other, &holder));
        }
    }
    Ok(())
}

fn refusal(jobfile: &Path, other: &Path, holder: &Holder) -> Failure {
    Failure::not_now(format!(
        "jobfile {}: a supervisor already runs it as {}, in state directory {} (pid {})",
        jobfile.display(),
        holder.jobfile.display(),
        other.display(),
        holder.pid
    ))
    .hint(
        "stop that one first; to run the jobs twice, name another state directory with --state-dir",
    )
}

/// The state directory of the default jobfile, and those of all others.
fn derived_in(root: &Path) -> Vec<PathBuf> {
    let below = fs::read_dir(root).into_iter().flatten();
    let mut dirs: Vec<PathBuf> = below
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir()))
        .collect();
    dirs.push(root.to_path_buf());
    dirs
}

fn is_one_file(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
    identity(one).is_some_and(|one| identity(other) == Some(one))
}
