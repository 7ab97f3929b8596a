//! `jobctl init`: writes a commented jobfile to start from; never changes an existing one.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;

use serde_json::json;

use crate::cmd::{Context, Exit, Failure, InFile, Out, Result};
use crate::jobfile::STARTER;

/// Answers `jobctl init`.
pub(crate) fn answer(context: &Context, out: &mut Out) -> Result<Exit> {
    let path = context.jobfile()?;
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).in_file(dir)?;
    }
    write(&path)?;
    out.answer(&json!({ "jobfile": path.to_string_lossy() }), |out| {
        out.text(&format!("wrote {}\n", path.display()))?;
        context.say("edit it, check it with `jobctl check`, then start it with `jobctl run`");
        Ok(())
    })
}

fn write(path: &Path) -> Result<()> {
    let mut file = create(path)?;
    let written = file.write_all(STARTER.as_bytes()).and_then(|()| file.sync_all());
    written.map_err(|error| {
        // Half a jobfile is worse than none, and it is this call that made it.
        let _ = fs::remove_file(path);
        Failure::of_file(path, &error)
    })
}

fn create(path: &Path) -> Result<File> {
    let opened = OpenOptions::new().write(true).create_new(true).open(path);
    opened.map_err(|error| {
        if error.kind() == ErrorKind::AlreadyExists {
            return Failure::no(format!("{}: exists already", path.display()))
                .hint("move it away, or name another file with --jobfile");
        }
        Failure::of_file(path, &error)
    })
}
