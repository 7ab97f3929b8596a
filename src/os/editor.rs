//! Finds the user's editor and runs it in the foreground.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use nix::unistd::{AccessFlags, access};

use super::signals::Sheltered;

/// Tried if the environment names none: Debian's system default, then the editor that POSIX
/// requires.
const FALLBACKS: [&str; 2] = ["editor", "vi"];

/// How an editor ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With exit code 0.
    Well,
    /// With another one; 127 and 126 are the shell's codes for a missing and a non-executable
    /// program.
    Exited(i32),
    /// By a signal.
    Signaled(i32),
}

/// The command line of the editor: `$VISUAL`, else `$EDITOR`, else an installed one; none if there
/// is none.
pub(crate) fn find() -> Option<OsString> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    variable("VISUAL").or_else(|| variable("EDITOR")).or_else(|| {
        let installed = FALLBACKS.into_iter().find(|name| is_in_path(name));
        installed.map(OsString::from)
    })
}

fn is_in_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    std::env::split_paths(&path).any(|dir| {
        let program = dir.join(name);
        program.is_file() && access(&program, AccessFlags::X_OK).is_ok()
    })
}

/// Runs an editor on a file and waits for it, as crontab(1) does: through the shell, so that its
/// line may have options, and ignoring INT, QUIT and HUP meanwhile, which are meant for the editor.
#[expect(clippy::disallowed_methods, reason = "processes are started here")]
pub(crate) fn run(editor: &OsStr, file: &Path) -> io::Result<Ended> {
    let _sheltered = Sheltered::begin()?;
    let mut script = editor.to_owned();
    script.push(" \"$1\"");
    let status = Command::new("/bin/sh").arg("-c").arg(script).arg(editor).arg(file).status()?;
    Ok(match (status.code(), status.signal()) {
        (Some(0), _) => Ended::Well,
        (Some(code), _) => Ended::Exited(code),
        (None, signal) => Ended::Signaled(signal.unwrap_or(0)),
    })
}
