//! Who is told of what (jobctl.toml(5), "Notifications"): which events an attempt's end is, which
//! of them a job wants to hear of, by hook or by mail, and what the mail says. Pure.

use std::fmt::Write as _;

use super::escape;
use super::job::{CommandLine, Hooks, MailOn, Policy};
use super::retry::Next;
use super::run::{Reason, Verdict};
use super::words::words;

words! {
    /// What happened.
    Event {
        /// A run gave up.
        Failure = 1 "failure",
        /// The first success after that.
        Recovery = 2 "recovery",
        /// A run succeeded.
        Success = 3 "success",
        /// An attempt failed, whatever follows.
        AttemptFailure = 4 "attempt_failure",
        /// An attempt takes longer than expected, or there was no success for longer.
        Late = 5 "late",
        /// An attempt has printed something.
        Output = 6 "output",
    }
}

words! {
    /// How somebody is told.
    Means {
        /// By the job's hook.
        Hook = 1 "hook",
        /// By mail.
        Mail = 2 "mail",
    }
}

/// Identifies a series of hooks or mails that fail and recover: job id, event and means.
pub(crate) type Kind = (i64, Event, Means);

/// The result of an attempt, as far as notices need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AttemptEnd {
    /// What follows.
    pub(crate) next: Next,
    /// Whether the job's last run that gave up had no success after it.
    pub(crate) was_failing: bool,
    /// Whether it printed anything.
    pub(crate) has_output: bool,
}

/// Returns the notices for the end of an attempt, in this order.
pub(crate) fn told_of_end(policy: &Policy, end: AttemptEnd) -> Vec<(Event, Means)> {
    let events: &[Event] = match end.next {
        Next::Finish(Verdict::Failed(_)) => &[Event::AttemptFailure, Event::Failure],
        Next::Finish(Verdict::Succeeded) if end.was_failing => &[Event::Recovery, Event::Success],
        Next::Finish(Verdict::Succeeded) => &[Event::Success],
        Next::RetryAt(_) => &[Event::AttemptFailure],
        Next::Finish(Verdict::Skipped(_) | Verdict::Cancelled(_))
        | Next::PutOffTo(_)
        | Next::Requeue => &[],
    };
    let mut told: Vec<(Event, Means)> =
        events.iter().flat_map(|event| told(policy, *event)).collect();
    let is_mailed = told.iter().any(|(_, means)| *means == Means::Mail);
    if end.has_output && !is_mailed {
        told.extend(self::told(policy, Event::Output));
    }
    told
}

/// Returns the means by which a job is notified of an event.
pub(crate) fn told(policy: &Policy, event: Event) -> impl Iterator<Item = (Event, Means)> {
    let is_mailed = match event {
        Event::Failure | Event::Late => policy.mailto.is_some(),
        Event::Output => policy.mailto.is_some() && policy.mail_on == MailOn::Output,
        Event::Recovery | Event::Success | Event::AttemptFailure => false,
    };
    let by_hook = hook(&policy.hooks, event).map(|_| (event, Means::Hook));
    by_hook.into_iter().chain(is_mailed.then_some((event, Means::Mail)))
}

/// The command that hears of an event.
pub(crate) fn hook(hooks: &Hooks, event: Event) -> Option<&CommandLine> {
    match event {
        Event::Failure => hooks.on_failure.as_ref(),
        Event::Recovery => hooks.on_recovery.as_ref(),
        Event::Success => hooks.on_success.as_ref(),
        Event::AttemptFailure => hooks.on_attempt_failure.as_ref(),
        Event::Late => hooks.on_late.as_ref(),
        Event::Output => None,
    }
}

/// Returns whether a notice is one of those of which a job sends at most one in its
/// `hook_interval`.
pub(crate) const fn is_bounded(event: Event, means: Means) -> bool {
    matches!((event, means), (Event::Failure, _) | (_, Means::Mail))
}

/// Returns the weight of an event: a mail for several shows the heaviest, the newest of those.
pub(crate) const fn weight(event: Event) -> u8 {
    match event {
        Event::Failure => 2,
        Event::Late => 1,
        Event::Output | Event::Recovery | Event::Success | Event::AttemptFailure => 0,
    }
}

/// The parts of a mail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mail<'a> {
    /// `mailto`.
    pub(crate) to: &'a str,
    /// `mail_from`.
    pub(crate) from: Option<&'a str>,
    /// The job.
    pub(crate) job: &'a str,
    /// `user@host`.
    pub(crate) place: &'a str,
    /// What happened.
    pub(crate) event: Event,
    /// For how many it stands since the mail before.
    pub(crate) count: i64,
    /// In a few words, such as `exit 3` or `no success since ...`.
    pub(crate) summary: &'a str,
    /// Names and values of what is known, a line each.
    pub(crate) facts: &'a [(&'a str, String)],
    /// What the attempt printed.
    pub(crate) output: &'a [u8],
}

/// A mail in two parts: the head lacks the line that says how the body is encoded. Both are UTF-8,
/// with line feeds at their ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Header fields, a line each.
    pub(crate) head: String,
    /// What is known, and the output; without control characters.
    pub(crate) body: String,
}

impl Mail<'_> {
    /// The message, for `sendmail -t`. What the command printed is escaped where it is no text, as
    /// on a terminal (RFC 5322, section 3.5: no NUL, no bare CR).
    pub(crate) fn message(&self) -> Message {
        let Self { to, from, job, place, summary, count, .. } = self;
        let what = match self.event {
            Event::Failure | Event::AttemptFailure => "failed",
            Event::Late => "late",
            Event::Recovery => "recovered",
            Event::Success => "succeeded",
            Event::Output => "output",
        };
        let from = from.map(|from| format!("From: {}\n", one_line(from))).unwrap_or_default();
        let (to, place) = (one_line(to), one_line(place));
        let mut head = format!("To: {to}\n{from}Subject: jobctl <{place}> {job}: {what}");
        if !summary.is_empty() {
            let _ = write!(head, " ({})", one_line(summary));
        }
        let _ = write!(
            head,
            "\nMIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\n\
             Auto-Submitted: auto-generated\nX-Jobctl-Job: {job}\nX-Jobctl-Event: {}\n",
            self.event
        );
        let mut body = String::new();
        if *count > 1 {
            let _ = writeln!(
                body,
                "This mail covers {count} events since the last one. `jobctl runs {job}` \
                     lists them.\n"
            );
        }
        let width = self.facts.iter().map(|(name, _)| name.len()).max();
        for (name, value) in self.facts {
            let _ =
                writeln!(body, "{name:width$}  {}", one_line(value), width = width.unwrap_or(0));
        }
        if !self.output.is_empty() {
            body.push('\n');
            body.push_str(&escape::output(self.output));
        }
        Message { head, body }
    }
}

/// A header must stay one: what would end it becomes a blank.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Explains why a run gave up, for the subject of a mail: what its last attempt did, unless the
/// reason is another one.
pub(crate) fn summary(reason: Option<Reason>, outcome: Option<&str>) -> String {
    match (reason, outcome) {
        (
            Some(Reason::Exit | Reason::Signal | Reason::Timeout | Reason::Spawn | Reason::Lost)
            | None,
            Some(outcome),
        ) => outcome.to_owned(),
        (Some(reason), Some(outcome)) => format!("{reason}, {outcome}"),
        (Some(reason), None) => reason.to_string(),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::time::Wall;

    fn policy(mail_on: MailOn) -> Policy {
        let hook = || Some(CommandLine::Shell("true".into()));
        Policy {
            hooks: Hooks {
                on_failure: hook(),
                on_recovery: hook(),
                on_success: hook(),
                on_attempt_failure: hook(),
                on_late: hook(),
            },
            mailto: Some("ops".into()),
            mail_on,
            ..Policy::default()
        }
    }

    fn end(next: Next) -> AttemptEnd {
        AttemptEnd { next, was_failing: false, has_output: true }
    }

    #[test]
    fn mails_are_bounded_and_hooks_of_failures_and_a_mail_shows_what_is_worst() {
        assert!(is_bounded(Event::Failure, Means::Hook) && is_bounded(Event::Success, Means::Mail));
        assert!(!is_bounded(Event::Success, Means::Hook) && !is_bounded(Event::Late, Means::Hook));
        assert!(weight(Event::Failure) > weight(Event::Late));
        for event in [Event::Output, Event::Recovery, Event::Success, Event::AttemptFailure] {
            assert!(weight(Event::Late) > weight(event), "{event:?}");
        }
    }

    #[test]
    fn each_end_is_told_as_what_it_is() {
        use {Event as E, Means as M};
        let failed = Next::Finish(Verdict::Failed(Reason::Exit));
        let succeeded = Next::Finish(Verdict::Succeeded);
        let retry = Next::RetryAt(Wall::from_secs(0));
        let told = |mail_on, end| told_of_end(&policy(mail_on), end);
        assert_eq!(
            told(MailOn::Failure, end(failed)),
            [(E::AttemptFailure, M::Hook), (E::Failure, M::Hook), (E::Failure, M::Mail)]
        );
        assert_eq!(told(MailOn::Output, end(failed)), told(MailOn::Failure, end(failed)));
        assert_eq!(told(MailOn::Failure, end(retry)), [(E::AttemptFailure, M::Hook)]);
        assert_eq!(
            told(MailOn::Output, end(succeeded)),
            [(E::Success, M::Hook), (E::Output, M::Mail)]
        );
        let recovered = AttemptEnd { was_failing: true, has_output: false, ..end(succeeded) };
        assert_eq!(
            told(MailOn::Output, recovered),
            [(E::Recovery, M::Hook), (E::Success, M::Hook)]
        );
        for next in [
            Next::Requeue,
            Next::PutOffTo(Wall::from_secs(0)),
            Next::Finish(Verdict::Skipped(Reason::Exit)),
            Next::Finish(Verdict::Cancelled(Reason::ByHand)),
        ] {
            assert_eq!(told(MailOn::Failure, end(next)), []);
        }
        assert_eq!(told_of_end(&Policy::default(), end(failed)), []);
    }

    #[test]
    fn nothing_that_a_job_says_adds_a_header() {
        let mail = Mail {
            to: "ops\nBcc: all",
            from: Some("cron\nCc: all"),
            job: "backup",
            place: "root@host",
            event: Event::Failure,
            count: 3,
            summary: "exit 3\r\nX: y",
            facts: &[("run", "7".to_owned()), ("error", "a\n\nb".to_owned())],
            output: b"said \xff\0\r\n",
        };
        let Message { head, body } = mail.message();
        assert_eq!(
            head,
            "To: ops Bcc: all\nFrom: cron Cc: all\nSubject: jobctl <root@host> backup: failed (exit 3  X: y)\nMIME-Version: 1.0\n\
             Content-Type: text/plain; charset=UTF-8\nAuto-Submitted: auto-generated\n\
             X-Jobctl-Job: backup\nX-Jobctl-Event: failure\n"
        );
        assert_eq!(
            body,
            "This mail covers 3 events since the last one. `jobctl runs backup` lists them.\n\n\
             run    7\nerror  a  b\n\nsaid \\xff\\x00\\r\n"
        );
    }

    #[test]
    fn a_summary_says_what_the_last_attempt_did() {
        assert_eq!(summary(Some(Reason::Exit), Some("exit 3")), "exit 3");
        assert_eq!(summary(Some(Reason::GiveUpAfter), Some("exit 3")), "give_up_after, exit 3");
        assert_eq!(summary(Some(Reason::Superseded), None), "superseded");
    }
}
