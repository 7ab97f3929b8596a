//! `jobctl man`: the manual pages, as they are installed.

use super::exit::Exit;
use super::failure::Failure;
use super::output::Out;
use crate::cli::{self, Page};

const COMMAND: &str = include_str!("../../man/jobctl.1");
const JOBFILE: &str = include_str!("../../man/jobctl.toml.5");

/// Answers `jobctl man`: prints the roff source.
pub(crate) fn answer(args: &cli::Man, out: &mut Out) -> Result<Exit, Failure> {
    let page = match args.page {
        Page::Command => COMMAND,
        Page::Jobfile => JOBFILE,
    };
    out.bytes(page.as_bytes())?;
    Ok(Exit::Done)
}
