//! `jobctl resume`: ends a pause.

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Out;
use crate::cli;

/// Answers `jobctl resume`.
pub(crate) fn answer(
    _context: &Context,
    _args: &cli::Resume,
    _out: &mut Out,
) -> Result<Exit, Failure> {
    Err(Failure::system("resume: not implemented yet"))
}
