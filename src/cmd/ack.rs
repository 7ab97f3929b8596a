//! `jobctl ack`: takes note of failed runs.

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Out;
use crate::cli;

/// Answers `jobctl ack`.
pub(crate) fn answer(
    _context: &Context,
    _args: &cli::Ack,
    _out: &mut Out,
) -> Result<Exit, Failure> {
    Err(Failure::system("ack: not implemented yet"))
}
