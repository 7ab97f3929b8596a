//! man(1), which shows a manual page on the terminal.

use std::io;
use std::process::{Command, Stdio};

use super::file;
use super::signals::Sheltered;

/// Shows a page, given as roff source, with man(1) and waits for it, ignoring INT, QUIT and HUP
/// meanwhile, which are meant for the pager. Returns whether man(1) succeeded; errs with `NotFound`
/// if it is not installed.
#[expect(clippy::disallowed_methods, reason = "processes are started here")]
pub(crate) fn show(page: &[u8]) -> io::Result<bool> {
    let page = file::sealed_memory(page)?;
    let _sheltered = Sheltered::begin()?;
    // `-l -`: a file instead of a name, standard input.
    let status = Command::new("man").args(["-l", "-"]).stdin(Stdio::from(page)).status()?;
    Ok(status.success())
}
