//! `jobctl runs`: the newest runs.

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Out;
use crate::cli;

/// Answers `jobctl runs`.
pub(crate) fn answer(
    _context: &Context,
    _args: &cli::Runs,
    _out: &mut Out,
) -> Result<Exit, Failure> {
    Err(Failure::system("runs: not implemented yet"))
}
