//! man(1), which shows a manual page on the terminal.

use std::io;
use std::process::{Command, Stdio};

use super::file;
use super::signals::Sheltered;

/// Has man(1) show a page, given as roff source, and waits for its end, deaf to INT, QUIT and HUP
/// meanwhile, which are the pager's business. Whether it did; errs with `NotFound` where there is
/// no man(1).
#[expect(clippy::disallowed_methods, reason = "processes are started here")]
pub(crate) fn show(page: &[u8]) -> io::Result<bool> {
    let page = file::sealed_memory(page)?;
    let _sheltered = Sheltered::begin()?;
    // `-l -`: a file instead of a name, standard input.
    let status = Command::new("man").args(["-l", "-"]).stdin(Stdio::from(page)).status()?;
    Ok(status.success())
}
