//! `jobctl man`: the manual pages, as they are installed.

use crate::cli::{self, Page};
use crate::cmd::{Exit, Out, Result};

const COMMAND: &str = include_str!("../../../man/jobctl.1");
const JOBFILE: &str = include_str!("../../../man/jobctl.toml.5");

/// Answers `jobctl man`: prints the roff source.
pub(crate) fn answer(args: &cli::Man, out: &mut Out) -> Result<Exit> {
    let page = match args.page {
        Page::Command => COMMAND,
        Page::Jobfile => JOBFILE,
    };
    out.bytes(page.as_bytes())?;
    Ok(Exit::Done)
}
