//! `jobctl man`: shows the manual pages.

use std::io::ErrorKind;

use crate::cli::{self, Page};
use crate::cmd::{Exit, Failure, Out, Result, plain};
use crate::os::manual;

const COMMAND: &str = include_str!("../../../man/jobctl.1");
const JOBFILE: &str = include_str!("../../../man/jobctl.toml.5");
const HTTP: &str = include_str!("../../../man/jobctl-http.7");

/// Answers `jobctl man`: on a terminal man(1) shows the page; elsewhere, and where there is no
/// man(1), its roff source is printed.
pub(crate) fn answer(args: &cli::Man, out: &mut Out) -> Result<Exit> {
    let page = match args.page {
        Page::Command => COMMAND,
        Page::Jobfile => JOBFILE,
        Page::Http => HTTP,
    };
    if out.is_terminal() {
        match manual::show(page.as_bytes()) {
            Ok(true) => return Ok(Exit::Done),
            Ok(false) => return Err(Failure::system("man: could not show the page")),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(Failure::system(format!("man: {}", plain(&error)))),
        }
    }
    out.bytes(page.as_bytes())?;
    Ok(Exit::Done)
}
