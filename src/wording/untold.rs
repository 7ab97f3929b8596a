//! Texts about failures whose hook or mail also failed.

use crate::core::ended::HowItEnded;
use crate::core::escape;
use crate::core::notice::Means;
use crate::core::run::OutcomeKind;
use crate::store::Untold;

/// How many are shown, newest first.
const SHOWN_MAX: usize = 3;

/// Formats a line for each of the newest, and the number of the others.
pub(crate) fn lines(untold: &[Untold]) -> Vec<String> {
    let mut lines: Vec<String> = untold.iter().take(SHOWN_MAX).map(line).collect();
    if untold.len() > SHOWN_MAX {
        let more = untold.len() - SHOWN_MAX;
        lines.push(format!("and {more} more failed hooks or mails"));
    }
    lines
}

/// `no alert delivered for run 12 (backup): on_failure not started (no such user)`.
fn line(untold: &Untold) -> String {
    let who = match untold.is_told_otherwise {
        true => "some alerts failed",
        false => "no alert delivered",
    };
    let means = match untold.means {
        Means::Hook => format!("on_{}", untold.event.as_str()),
        Means::Mail => "mail".to_owned(),
    };
    let outcome = match (untold.outcome, untold.signal) {
        (Some(OutcomeKind::Signaled), Some(signal)) => format!("killed by signal {signal}"),
        (outcome, signal) => HowItEnded::of(outcome, untold.exit_code, signal).phrase(),
    };
    let said = said(&untold.error, &untold.output).map(str::trim);
    let said = said.filter(|said| !said.is_empty());
    let what = if untold.error.is_none() { "output: " } else { "" };
    let said = said.map(|said| format!(" ({what}{})", escape::text(said)));
    let (run, job) = (untold.run, escape::text(&untold.job));
    format!("{who} for run {run} ({job}): {means} {outcome}{}", said.unwrap_or_default())
}

/// Returns why a hook or mail was not started, else the last line of its output.
pub(crate) fn said<'a>(error: &'a Option<String>, output: &'a Option<String>) -> Option<&'a str> {
    let last_line = |text: &'a String| text.trim_end().lines().last().unwrap_or("");
    error.as_deref().or(output.as_ref().map(last_line)).map(str::trim_end)
}
