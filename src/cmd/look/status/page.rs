//! What the parts of the page of `jobctl status` are made from.

use crate::cmd::Viewer;
use crate::facts::overview::JobStatus;
use crate::facts::status::Status;

/// What a page is made from.
pub(super) struct Page<'a> {
    /// What is known.
    pub(super) status: &'a Status<'a>,
    /// Who looks.
    pub(super) viewer: &'a Viewer,
    /// The command line that reaches the same store.
    pub(super) jobctl: String,
    /// Where the supervisor of the system is, for those who have another one.
    pub(super) elsewhere: Option<String>,
    /// How many lines there are for it, if it is shown again and again.
    pub(super) lines_max: Option<usize>,
    /// Only failures were asked for.
    pub(super) is_failed_only: bool,
}

/// What is not as usual with a job.
pub(super) fn note(page: &Page<'_>, view: &JobStatus<'_>) -> String {
    match view.job {
        None => return "not in the jobfile".to_owned(),
        Some(job) if !job.policy.enabled => return "not enabled".to_owned(),
        Some(_) => {}
    }
    let pause = view.row.and_then(|row| row.pause);
    let Some(pause) = pause.filter(|pause| pause.holds(page.viewer.now)) else {
        return String::new();
    };
    let said = view.row.map(|row| noted(row.pause_note.text())).unwrap_or_default();
    let paused = match pause.until {
        Some(until) => format!("paused, ends {}", page.viewer.relative(until)),
        None if pause.is_forgotten(page.viewer.now) => {
            format!("paused since {}", page.viewer.show(pause.since))
        }
        None => "paused".to_owned(),
    };
    paused + &said
}

/// What a pause says of itself, behind it.
pub(super) fn noted(text: String) -> String {
    if text.is_empty() { text } else { format!(", {text}") }
}
