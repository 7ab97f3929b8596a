//! `jobctl retry`: runs again what failed.

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Out;
use crate::cli;

/// Answers `jobctl retry`.
pub(crate) fn answer(
    _context: &Context,
    _args: &cli::Retry,
    _out: &mut Out,
) -> Result<Exit, Failure> {
    Err(Failure::system("retry: not implemented yet"))
}
