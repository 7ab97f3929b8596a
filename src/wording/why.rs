//! One paragraph on why a run waits, was skipped or gave up, or why a job did not run at a given
//! time.

use super::when::{self, Viewer};
use crate::core::ended::HowItEnded;
use crate::core::noun::count;
use crate::core::pause::{Pause, PauseNote};
use crate::core::run::{Reason, State};
use crate::facts::traffic::{Holder, Obstacle};
use crate::facts::why::{
    Because, ExplainedRun, Explanation, Hindrance, Idle, NextStart, NoRun, Past, Waits,
};
use crate::store::{AttemptRow, Downtime, RunRow};

const DISABLED: &str = "it is not enabled, so no occurrence is planned";

/// Answers a question about a run, or about the job with this name.
pub(crate) fn paragraph(explanation: &Explanation, name: &str, viewer: &Viewer) -> String {
    match explanation {
        Explanation::Runs { runs, idle } => {
            let nothing =
                idle.iter().map(|idle| format!("Nothing is queued; {}", viewer.idle(idle)));
            let runs = runs.iter().map(|explained| viewer.run(explained));
            runs.chain(nothing).collect::<Vec<_>>().join(". ")
        }
        Explanation::Idle(idle) => format!("job `{name}`: {}", viewer.idle(idle)),
        Explanation::NoRun(why) => format!("job `{name}`: {}", viewer.no_run(why)),
    }
}

impl Viewer {
    fn run(&self, ExplainedRun { run, because }: &ExplainedRun) -> String {
        let what = match because {
            Because::Waits(waits) => self.waits(run, waits),
            Because::Runs { is_supervised } => self.runs(run, *is_supervised),
            Because::Ended(past) => self.ended(run, past),
        };
        format!("run {} of `{}`: {what}", run.id, run.job)
    }

    fn runs(&self, run: &RunRow, is_supervised: bool) -> String {
        let known = if is_supervised { "" } else { " (last known; no supervisor is running)" };
        let stop = run.stop.map_or("", |_| "; it was asked to stop");
        let what = match run.started_at {
            Some(at) => format!("has been running since {}", self.both(at)),
            None => "is running".to_owned(),
        };
        format!("attempt {} {what}{known}{stop}", run.attempt)
    }

    fn waits(&self, run: &RunRow, waits: &Waits) -> String {
        let mut parts = match (run.state, run.due_at) {
            (State::Queued, _) => self.in_the_way(waits),
            (_, None) => vec![predecessors(&waits.after)],
            (State::Retrying, Some(due)) => vec![format!(
                "{}; the next attempt is due {}",
                attempts_text(run, &waits.attempts),
                self.both(due)
            )],
            (_, Some(due)) => vec![format!("due {}", self.both(due))],
        };
        parts.extend(waits.hindrances.iter().map(|one| self.hindrance(one)));
        if waits.is_orphan {
            parts.push("its job is not in the jobfile".to_owned());
        }
        if let Some(expires) = run.expires_at.filter(|_| run.attempt == 0) {
            parts.push(format!("it is cancelled if not started by {}", self.show(expires)));
        }
        if parts.is_empty() {
            parts.push(
                "it starts at once, unless another program holds one of its locks".to_owned(),
            );
        }
        parts.join("; ")
    }

    /// Describes its obstacles, the number of runs ahead of it, and its rate limit.
    fn in_the_way(&self, waits: &Waits) -> Vec<String> {
        let is_rate = |obstacle: &&Obstacle| matches!(obstacle, Obstacle::Rate(_));
        let (rate, others): (Vec<_>, Vec<_>) = waits.obstacles.iter().partition(is_rate);
        let mut parts: Vec<String> = others.into_iter().map(|other| self.obstacle(other)).collect();
        match waits.ahead {
            0 => {}
            ahead if parts.is_empty() => parts.push(format!("{ahead} ahead of it")),
            ahead => parts.push(format!("then {ahead} ahead of it")),
        }
        parts.extend(rate.into_iter().map(|rate| self.obstacle(rate)));
        parts
    }

    fn obstacle(&self, obstacle: &Obstacle) -> String {
        match obstacle {
            Obstacle::Place(holders) => {
                format!("waiting for its place, held by {}", self.held(holders))
            }
            Obstacle::Lock { name, job, holders } => {
                let held = self.held(holders);
                format!("waiting for lock `{name}`, held by `{job}`: {held}")
            }
            Obstacle::MaxRunning(running) => {
                format!("{running} runs are running, as many as `max_running` allows")
            }
            Obstacle::Rate(at) => format!("`rate` allows the next start {}", self.both(*at)),
        }
    }

    /// `run 812 for 3m 12s`, up to three of them.
    fn held(&self, runs: &[Holder]) -> String {
        const SHOWN_MAX: usize = 3;
        let one = |run: &Holder| {
            let ms = self.now.ms().saturating_sub(run.since.ms());
            format!("run {} for {}", run.run, when::span(ms))
        };
        let shown = runs.iter().rev().take(SHOWN_MAX).map(one);
        let more = runs.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0);
        shown.chain(more.map(|more| format!("{more} more"))).collect::<Vec<_>>().join(", ")
    }

    fn ended(&self, run: &RunRow, past: &Past) -> String {
        let text = match run.reason {
            None => {
                let ended = run.ended_at.map(|at| format!(", {}", self.both(at)));
                let attempts = attempts_text(run, &past.attempts);
                format!("{}{}: {attempts}", run.state, ended.unwrap_or_default())
            }
            Some(reason) => self.judged(run, reason, past),
        };
        let acked = run.acked.filter(|_| run.state == State::Failed);
        let acked = acked.map(|at| format!("; acknowledged {}", self.both(at)));
        let times = (run.count > 1).then(|| {
            let last = run.last_scheduled_at.map(|at| self.show(at));
            format!(" ({} times, last at {})", run.count, last.unwrap_or_default())
        });
        format!("{text}{}{}", times.unwrap_or_default(), acked.unwrap_or_default())
    }

    fn judged(&self, run: &RunRow, reason: Reason, past: &Past) -> String {
        let by = run.by.map_or_else(|| "another run".to_owned(), |by| format!("run {by}"));
        let gave_up = |why: &str| {
            let attempts = attempts_text(run, &past.attempts);
            format!("gave up{why} {attempts}{}", output(&past.last_lines))
        };
        match reason {
            Reason::Exit if run.state == State::Skipped => format!(
                "skipped: its command had nothing to do (exit {}, in `skip_exit`)",
                run.exit_code.unwrap_or_default()
            ),
            Reason::Exit | Reason::Signal | Reason::Timeout | Reason::Spawn => gave_up(""),
            Reason::Lost => format!("{}; {}", gave_up(""), lost(run)),
            Reason::Shutdown => {
                "failed: the supervisor stopped while it ran, and its job has no retries".to_owned()
            }
            Reason::GiveUpAfter => gave_up(" because `give_up_after` would have passed,"),
            Reason::Superseded => gave_up(&format!(" in favour of {by}, a newer occurrence,")),
            Reason::Poison => gave_up(" because its keeper was lost too often,"),
            Reason::Overlap => format!("skipped: {by} of the same job was still unfinished"),
            Reason::Missed => match past.down {
                Some(down) => format!("skipped: missed, {}", self.down(down)),
                None => "skipped: missed, it did not start in time".to_owned(),
            },
            Reason::Paused => "skipped: the job, or everything, was paused".to_owned(),
            Reason::JobRemoved => "skipped: its job was removed from the jobfile".to_owned(),
            Reason::Shadow => "skipped: the supervisor ran with --shadow".to_owned(),
            Reason::ByHand => "cancelled: by hand".to_owned(),
            Reason::Replaced => format!("cancelled: replaced by {by}"),
            Reason::Dependency => format!("cancelled: it waited for {by}, which did not succeed"),
            Reason::Expired => {
                let at = run.expires_at.map(|at| self.show(at));
                format!("cancelled: not started by {}", at.unwrap_or_default())
            }
        }
    }

    fn down(&self, Downtime { from, to, is_stopping }: Downtime) -> String {
        let what = if is_stopping { "the supervisor was stopping" } else { "no supervisor ran" };
        format!("{what} from {} to {}", self.show(from), self.show(to))
    }

    fn hindrance(&self, hindrance: &Hindrance) -> String {
        match hindrance {
            Hindrance::NoSupervisor => "no supervisor is running".to_owned(),
            Hindrance::Shadow => "the supervisor runs with --shadow, so no runs start".to_owned(),
            Hindrance::Stopping => {
                "the supervisor is stopping; the run starts with the next one".to_owned()
            }
            Hindrance::Paused(None, pause, note) => {
                format!("everything is paused {}", self.pause(pause, note, "--all"))
            }
            Hindrance::Paused(Some(job), pause, note) => {
                format!("the job is paused {}", self.pause(pause, note, job))
            }
            Hindrance::NotLoaded => "the job is not in the jobfile that was last loaded".to_owned(),
        }
    }

    fn pause(&self, pause: &Pause, note: &PauseNote, whose: &str) -> String {
        let until = match pause.until {
            Some(until) => self.both(until),
            None => format!("`jobctl resume {whose}`"),
        };
        let said = Some(note.text()).filter(|text| !text.is_empty());
        let said = said.map(|text| format!(", {text}")).unwrap_or_default();
        format!("until {until} (since {}{said})", self.show(pause.since))
    }

    fn idle(&self, idle: &Idle) -> String {
        let (next, hindrances) = match idle {
            Idle::NotInJobfile => return "it is not in the jobfile".to_owned(),
            Idle::Waits(next, hindrances) => (next, hindrances),
        };
        let next = match next {
            NextStart::NoSchedule => {
                Some("the job has no schedule and runs only when enqueued".to_owned())
            }
            NextStart::Disabled => Some(DISABLED.to_owned()),
            NextStart::At(at) => Some(format!("its next occurrence is {}", self.both(*at))),
            NextStart::Unknown => None,
        };
        let hindrances = hindrances.iter().map(|one| self.hindrance(one));
        next.into_iter().chain(hindrances).collect::<Vec<_>>().join("; ")
    }

    fn no_run(&self, why: &NoRun) -> String {
        match why {
            NoRun::NotInJobfile => {
                "it is not in the jobfile, and no run is on record for that time".to_owned()
            }
            NoRun::NoSchedule => "it has no schedule; it runs items from its queue".to_owned(),
            NoRun::Disabled => DISABLED.to_owned(),
            NoRun::NotScheduled { at, next } => {
                let next = next.map_or_else(
                    || "no later occurrence is known".to_owned(),
                    |next| match next < self.now {
                        true => format!("the next occurrence after that was {}", self.both(next)),
                        false => format!("the next occurrence is {}", self.both(next)),
                    },
                );
                format!("not scheduled at {}; {next}", self.show(*at))
            }
            NoRun::NotDue(at) => format!("not due yet: scheduled {}", self.both(*at)),
            NoRun::Unrecorded { at, undecided, down } => {
                let mut parts = vec![format!("scheduled at {}", self.show(*at))];
                match undecided {
                    Some(hindrances) => {
                        parts.push("not decided yet".to_owned());
                        parts.extend(hindrances.iter().map(|one| self.hindrance(one)));
                    }
                    None => parts.push(
                        "no run is on record: the job did not exist, was not enabled or had \
                         another schedule then, or `keep` has passed"
                            .to_owned(),
                    ),
                }
                parts.extend(down.map(|down| self.down(down)));
                parts.join("; ")
            }
        }
    }
}

fn predecessors(after: &[(i64, Option<State>)]) -> String {
    let unmet = after.iter().filter(|(_, state)| *state != Some(State::Succeeded));
    let words: Vec<String> = unmet
        .map(|(id, state)| format!("run {id} ({})", state.map_or("gone", State::as_str)))
        .collect();
    format!("waiting for {}", words.join(", "))
}

/// `after 4 attempts in 12m: exit 1 three times, then timed out`.
fn attempts_text(run: &RunRow, attempts: &[AttemptRow]) -> String {
    let (Some(first), Some(last)) = (attempts.first(), attempts.last()) else {
        return "without an attempt".to_owned();
    };
    let took = first
        .started_at
        .zip(last.ended_at)
        .map(|(first, last)| format!(" in {}", when::span(last.ms().saturating_sub(first.ms()))));
    let error = run.error.as_ref().map(|error| format!(" ({error})"));
    format!(
        "after {}{}: {}{}",
        count(attempts.len(), "attempt"),
        took.unwrap_or_default(),
        story(attempts),
        error.unwrap_or_default()
    )
}

/// Explains a lost attempt, and why no other one followed.
fn lost(run: &RunRow) -> String {
    let why = match run.budget.max {
        Some(max) if max.saturating_sub(run.budget.before) <= 1 => "its job has no retries",
        Some(max) if run.budget.charged >= max => "no attempt was left",
        Some(_) | None => "its job has `lost = false`",
    };
    format!(
        "its keeper was killed or the machine lost power, so nobody knows how the command ended; \
         it was not retried because {why}"
    )
}

fn output(last_lines: &[String]) -> String {
    match last_lines {
        [] => String::new(),
        [only] => format!("; last line of output: {only}"),
        several => format!("; last lines of output: {}", several.join(" / ")),
    }
}

/// `exit 1 three times, then timed out`.
fn story(attempts: &[AttemptRow]) -> String {
    let phrase = |it: &AttemptRow| HowItEnded::of(it.outcome, it.exit_code, it.signal).phrase();
    let words: Vec<String> = attempts.iter().map(phrase).collect();
    words
        .chunk_by(|one, other| one == other)
        .map(|same| match same.len() {
            1 => same[0].clone(),
            2 => format!("{} twice", same[0]),
            3 => format!("{} three times", same[0]),
            count => format!("{} {count} times", same[0]),
        })
        .collect::<Vec<_>>()
        .join(", then ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::retry::Budget;
    use crate::facts::run::tests::sample_run;

    #[test]
    fn what_a_lost_attempt_means_is_said_with_why_no_other_followed() {
        let of = |max, charged| {
            let budget = Budget { max, charged, ..Budget::default() };
            lost(&RunRow { budget, ..sample_run() })
        };
        assert!(of(Some(1), 1).ends_with("because its job has no retries"));
        assert!(of(Some(3), 3).ends_with("because no attempt was left"));
        assert!(of(Some(3), 1).ends_with("because its job has `lost = false`"));
        assert!(of(None, 1).starts_with("its keeper was killed or the machine lost power, so "));
    }
}
