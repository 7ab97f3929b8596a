//! What `jobctl status` says of failures whose hook or mail failed, too.

use crate::cmd::look::show;
use crate::core::ended::HowItEnded;
use crate::core::escape;
use crate::core::notice::Means;
use crate::core::run::OutcomeKind;
use crate::store::Untold;

/// So many are shown, the newest ones.
const SHOWN_MAX: usize = 3;

/// A line for each of the newest, and how many more there are.
pub(super) fn lines(untold: &[Untold]) -> Vec<String> {
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
    let said = show::said(&untold.error, &untold.output).map(str::trim);
    let said = said.filter(|said| !said.is_empty());
    let what = if untold.error.is_none() { "output: " } else { "" };
    let said = said.map(|said| format!(" ({what}{})", escape::text(said)));
    let (run, job) = (untold.run, escape::text(&untold.job));
    format!("{who} for run {run} ({job}): {means} {outcome}{}", said.unwrap_or_default())
}
