//! `jobctl show`: one run with its attempts.

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Out;
use crate::cli;

/// Answers `jobctl show`.
pub(crate) fn answer(
    _context: &Context,
    _args: &cli::Show,
    _out: &mut Out,
) -> Result<Exit, Failure> {
    Err(Failure::system("show: not implemented yet"))
}
