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

/// The author and the reason of a pause.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PauseNote {
    /// Who paused: `user:ann`, `token:deploy`.
    pub(crate) by: Option<String>,
    /// Why.
    pub(crate) reason: Option<String>,
}

impl PauseNote {
    /// `by ann: disk is replaced`; empty if it says nothing.
    pub(crate) fn text(&self) -> String {
        let by = self.author().map(|by| format!("by {by}"));
        by.into_iter().chain(self.reason.clone()).collect::<Vec<_>>().join(": ")
    }

    /// The author, for people: `ann`, `token:deploy`.
    pub(crate) fn author(&self) -> Option<&str> {
        self.by.as_deref().map(|by| by.strip_prefix("user:").unwrap_or(by))
    }
}

impl Pause {
    /// Returns whether it has no end and has gone on for so long that it is worth a look.
    pub(crate) fn is_forgotten(&self, at: Wall) -> bool {
        self.forgotten_at().is_some_and(|forgotten_at| forgotten_at <= at)
    }

    /// Returns when it is forgotten; none: it ends by itself.
    pub(crate) fn forgotten_at(&self) -> Option<Wall> {
        self.until.is_none().then_some(self.since + FORGOTTEN_AFTER)
    }

    /// Returns whether it has not ended by itself at a time.
    pub(crate) fn holds(&self, at: Wall) -> bool {
        self.until.is_none_or(|until| at < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_says_who_and_why_as_far_as_it_knows() {
        let note = |by: Option<&str>, reason: Option<&str>| PauseNote {
            by: by.map(str::to_owned),
            reason: reason.map(str::to_owned),
        };
        assert_eq!(note(Some("user:ann"), Some("new disk")).text(), "by ann: new disk");
        assert_eq!(note(Some("token:deploy"), None).text(), "by token:deploy");
        assert_eq!(note(None, Some("new disk")).text(), "new disk");
        assert_eq!(note(None, None).text(), "");
    }

    #[test]
    fn a_pause_holds_up_to_its_end() {
        let (since, until) = (Wall::from_secs(0), Wall::from_secs(60));
        let pause = Pause { since, until: Some(until) };
        assert!(pause.holds(until.just_before()));
        assert!(!pause.holds(until));
        assert!(!pause.holds(Wall::from_secs(61)));
        assert!(Pause { since, until: None }.holds(Wall::from_secs(1 << 40)));
    }

    #[test]
    fn only_a_pause_without_an_end_is_forgotten_after_a_day() {
        let since = Wall::from_secs(0);
        let day = Wall::from_secs(86_400);
        assert!(Pause { since, until: None }.is_forgotten(day));
        assert!(!Pause { since, until: None }.is_forgotten(day.just_before()));
        assert!(!Pause { since, until: Some(Wall::from_secs(1 << 30)) }.is_forgotten(day));
    }
}
