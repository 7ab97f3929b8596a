//! Detects one jobfile under two paths, one of them through a link: each path has its own state
//! directory, but the jobs must run only once.
//!
//! The path cannot be resolved permanently, because the target of a link may change (a mounted
//! ConfigMap). So a starting supervisor checks whether another one executes the same file now. An
//! explicit state directory is always accepted.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::cmd::{Context, Failure, Result};
use crate::supervisor::daemon::Holder;

/// Refuses to start if the supervisor of another default state directory has the same jobfile.
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

/// Returns the default state directories: of the default jobfile and of all others.
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
