//! `jobctl man`: the manual page.

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Out;

/// Answers `jobctl man`.
pub(crate) fn answer(_context: &Context, _out: &mut Out) -> Result<Exit, Failure> {
    Err(Failure::system("man: not implemented yet"))
}
