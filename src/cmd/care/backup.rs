//! `jobctl backup`: a copy of the store in one file, made while the store is in use.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli;
use crate::cmd::{Context, Exit, Failure, InFile, Out, Result, progress};
use crate::os::trust;
use crate::store::{Copied, Goal, Store};

/// Answers `jobctl backup`.
pub(crate) fn answer(context: &Context, args: &cli::Backup, out: &mut Out) -> Result<Exit> {
    let path = named(&args.file, "backup")?;
    let store = Store::open_read(context.state_dir()?)?;
    let dir = path.parent().unwrap_or(Path::new("/"));
    let goal = if trust::is_closed(dir) { Goal::Closed } else { Goal::Shared };
    let Copied { bytes, flaw } =
        progress::during(context, "copying the store", || store.backup(&path, goal))?;
    if let Some(flaw) = flaw {
        context.warn(&format!("warning: `jobctl restore` will refuse this backup: {flaw}"));
    }
    let file = path.display().to_string();
    let words = format!("{file}: {bytes} bytes");
    context.tell(&json!({ "file": file, "bytes": bytes }), &words, out)
}

/// Returns the absolute path of the file. Refuses a stream, which cannot be synced and may end up
/// incomplete.
pub(super) fn named(file: &Path, command: &str) -> Result<PathBuf> {
    if file.as_os_str() == "-" {
        return Err(Failure::usage(format!(
            "{command}: needs a file, not standard input or output"
        ))
        .hint(format!("write `jobctl {command} ./-` for a file named `-`")));
    }
    std::path::absolute(file).in_file(file)
}
