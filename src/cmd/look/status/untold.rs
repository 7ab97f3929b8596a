//! What `jobctl status` says of failures whose hook or mail failed, too.

use crate::cmd::look::show;
use crate::cmd::{Out, Result, Style};
use crate::core::escape;
use crate::core::notice::Means;
use crate::store::{Store, Untold};

/// So many are shown, the newest ones.
const SHOWN_MAX: usize = 3;

/// Prints a line for each of the newest, and how many more there are.
pub(super) fn print(store: &Store, out: &mut Out) -> Result<()> {
    for line in lines(&store.untold(None)?) {
        out.line(out.styled(Style::Bad, &line))?;
    }
    Ok(())
}

/// A line for each of the newest, and how many more there are.
pub(super) fn lines(untold: &[Untold]) -> Vec<String> {
    let mut lines: Vec<String> = untold.iter().take(SHOWN_MAX).map(line).collect();
    if untold.len() > SHOWN_MAX {
        let more = untold.len() - SHOWN_MAX;
        lines.push(format!("and {more} more such hooks or mails"));
    }
    lines
}

/// `nobody was told of run 12 (backup): on_failure spawn_failed (no such user)`.
fn line(untold: &Untold) -> String {
    let who = match untold.is_told_otherwise {
        true => "not everybody",
        false => "nobody",
    };
    let means = match untold.means {
        Means::Hook => format!("on_{}", untold.event.as_str()),
        Means::Mail => "mail".to_owned(),
    };
    // The error says more than the code that stands for it.
    let exit_code = untold.exit_code.filter(|_| untold.error.is_none());
    let outcome = show::outcome_text(untold.outcome, exit_code, untold.signal);
    let last_line = |text: &str| text.trim_end().lines().last().unwrap_or("").to_owned();
    let output = untold.output.as_deref().map(last_line);
    let said = untold.error.as_deref().or(output.as_deref());
    let said = said.map(str::trim).filter(|said| !said.is_empty());
    let said = said.map(|said| format!(" ({})", escape::text(said)));
    let (run, job) = (untold.run, escape::text(&untold.job));
    format!("{who} was told of run {run} ({job}): {means} {outcome}{}", said.unwrap_or_default())
}
