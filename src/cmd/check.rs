//! `jobctl check`: what would surprise in the jobfile.

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Out;

/// Answers `jobctl check`.
pub(crate) fn answer(_context: &Context, _out: &mut Out) -> Result<Exit, Failure> {
    Err(Failure::system("check: not implemented yet"))
}
