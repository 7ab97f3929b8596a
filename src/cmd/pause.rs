//! `jobctl pause`: starts nothing more of a job.

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Out;
use crate::cli;

/// Answers `jobctl pause`.
pub(crate) fn answer(
    _context: &Context,
    _args: &cli::Pause,
    _out: &mut Out,
) -> Result<Exit, Failure> {
    Err(Failure::system("pause: not implemented yet"))
}
