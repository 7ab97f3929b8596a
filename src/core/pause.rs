//! A pause, of a job or of everything. Pure.

use std::time::Duration;

use super::time::Wall;

/// While it holds nothing is started but by `exec`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pause {
    /// When it began.
    pub(crate) since: Wall,
    /// When it ends by itself; none is until `resume`.
    pub(crate) until: Option<Wall>,
}

/// A pause without an end is forgotten after this time.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(86_400);

impl Pause {
    /// Whether it has no end and has gone on for so long that it is worth a look.
    pub(crate) fn is_forgotten(&self, at: Wall) -> bool {
        self.until.is_none() && self.since + FORGOTTEN_AFTER <= at
    }

    /// Whether it has not ended by itself at a time.
    pub(crate) fn holds(&self, at: Wall) -> bool {
        self.until.is_none_or(|until| at < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_pause_without_an_end_is_forgotten_after_a_day() {
        let since = Wall::from_secs(0);
        let day = Wall::from_secs(86_400);
        assert!(Pause { since, until: None }.is_forgotten(day));
        assert!(!Pause { since, until: None }.is_forgotten(day.just_before()));
        assert!(!Pause { since, until: Some(Wall::from_secs(1 << 30)) }.is_forgotten(day));
    }
}
