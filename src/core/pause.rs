//! A pause, of a job or of everything. Pure.

use super::time::Wall;

/// While it holds nothing is started but by `exec`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pause {
    /// When it began.
    pub(crate) since: Wall,
    /// When it ends by itself; none is until `resume`.
    pub(crate) until: Option<Wall>,
}

impl Pause {
    /// Whether it has not ended by itself at a time.
    pub(crate) fn holds(&self, at: Wall) -> bool {
        self.until.is_none_or(|until| at < until)
    }
}
