//! `jobctl completions`: a shell's completion script.

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Out;
use crate::cli;

/// Answers `jobctl completions`.
pub(crate) fn answer(
    _context: &Context,
    _args: &cli::Completions,
    _out: &mut Out,
) -> Result<Exit, Failure> {
    Err(Failure::system("completions: not implemented yet"))
}
