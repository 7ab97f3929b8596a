//! `jobctl logs`: the output of attempts.

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Out;
use crate::cli;

/// Answers `jobctl logs`.
pub(crate) fn answer(
    _context: &Context,
    _args: &cli::Logs,
    _out: &mut Out,
) -> Result<Exit, Failure> {
    Err(Failure::system("logs: not implemented yet"))
}
