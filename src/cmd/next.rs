//! `jobctl next`: coming occurrences.

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Out;
use crate::cli;

/// Answers `jobctl next`.
pub(crate) fn answer(
    _context: &Context,
    _args: &cli::Next,
    _out: &mut Out,
) -> Result<Exit, Failure> {
    Err(Failure::system("next: not implemented yet"))
}
