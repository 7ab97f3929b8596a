//! Starts the command of an attempt, and tries again if the system has too few processes. A start
//! that hangs does not keep the keeper from noticing a stop or the timeout.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::libc;

use super::asked::Asked;
use super::enclosure::Enclosure;
use super::launch::{self, Launch, News};
use super::order::Order;
use super::record::{End, Record, StopCause};
use super::refusal::Refusal;
use super::start::{self, Started};
use super::sweep;
use super::tools::Tools;
use crate::core::time::Mono;
use crate::os::signals::SignalQueue;
use crate::os::{clock, poll};

/// How long a command waits for its next start where the system has too few processes for it.
const START_AGAIN: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
];

/// The time limit for looking up what an order names and executing its program.
pub(crate) const START_MAX: Duration = Duration::from_secs(30);

/// The result of a start.
pub(super) enum Begun {
    /// The command runs.
    Started {
        /// What the keeper has of it.
        started: Started,
        /// A word about what it cannot use.
        remark: Option<String>,
        /// What was heard meanwhile, and is for the command now.
        asked: Asked,
    },
    /// The command was not started and will not be.
    Ended {
        /// What that makes of the attempt.
        end: End,
        /// What it was doing, or what could not be ended, for people.
        remark: Option<String>,
    },
}

/// The result of a launch.
enum Followed {
    /// It is the command now; with what was heard meanwhile.
    Executed(Asked),
    /// The command cannot be started; with what could not be ended.
    Refused(Refusal, Option<String>),
    /// It was killed before it was the command.
    Killed(End, Option<String>),
}

/// Starts the command.
pub(super) fn begin(
    tools: &mut Tools,
    order: &Order,
    input: Option<&OwnedFd>,
    enclosure: Option<&Enclosure>,
    record: &mut Record,
) -> io::Result<Begun> {
    let own_report = match order.looks_outside() {
        // Whose it will be is not known yet.
        true => None,
        false => launch::make_report(order, None),
    };
    let mut waits = START_AGAIN.into_iter();
    loop {
        let (refusal, remark) = match start::start(tools, order, input, enclosure) {
            Ok(mut started) => {
                let Some(mut launch) = started.launch.take() else {
                    return Ok(Begun::Started {
                        started,
                        remark: own_report,
                        asked: Asked::default(),
                    });
                };
                match follow(tools, order, &mut launch, enclosure, record)? {
                    Followed::Executed(asked) => {
                        started.file = launch.file;
                        return Ok(Begun::Started { started, remark: launch.remark, asked });
                    }
                    Followed::Refused(refusal, unended) => (refusal, unended),
                    Followed::Killed(end, remark) => return Ok(Begun::Ended { end, remark }),
                }
            }
            Err(refusal) => (refusal, None),
        };
        let end = refusal.end;
        let is_tried_again = refusal.is_passing && record.stopped.is_none();
        let Some(wait) = waits.next().filter(|_| is_tried_again) else {
            return Ok(Begun::Ended { end, remark });
        };
        if is_told_to_stop(&tools.signals, wait)? {
            record.stopped = Some(StopCause::Signal);
            return Ok(Begun::Ended { end, remark });
        }
    }
}

/// Waits until a child has executed the command, reports that it cannot, or must be killed.
fn follow(
    tools: &Tools,
    order: &Order,
    launch: &mut Launch,
    enclosure: Option<&Enclosure>,
    record: &mut Record,
) -> io::Result<Followed> {
    let start_deadline = clock::now().mono + START_MAX;
    let timeout_deadline = order.timeout.map(|timeout| record.started_mono + timeout);
    let deadline = timeout_deadline.map_or(start_deadline, |at| at.min(start_deadline));
    loop {
        let left = deadline.since(clock::now().mono);
        let mut fds = [poll::readable(tools.signals.fd()), poll::readable(launch.socket())];
        poll::wait(&mut fds, Some(left))?;
        // What is heard and what is over comes before the look: a child that is the command by then
        // is stopped as one.
        let asked = Asked::take(&tools.signals)?;
        let now = clock::now().mono;
        match launch.look()? {
            News::None => {}
            News::Gone => return Ok(Followed::Executed(asked)),
            News::Refused(refusal) => {
                if refusal.is_passing && asked.is_to_end() {
                    record.stopped = Some(StopCause::Signal);
                }
                // It is about to end; but whoever it is a process of may stop it before it has.
                let unended = kill(tools, enclosure)?;
                return Ok(Followed::Refused(refusal, unended));
            }
        }
        let cause = if asked.is_to_end() {
            Some(StopCause::Signal)
        } else if is_over(timeout_deadline, now) {
            Some(StopCause::Timeout)
        } else if is_over(Some(start_deadline), now) {
            None
        } else {
            continue;
        };
        record.stopped = cause;
        let unended = kill(tools, enclosure)?;
        return Ok(killed(cause, &launch.doing, unended));
    }
}

fn is_over(deadline: Option<Mono>, now: Mono) -> bool {
    deadline.is_some_and(|deadline| deadline <= now)
}

/// The outcome of a child that was killed before it executed the command.
fn killed(cause: Option<StopCause>, doing: &str, unended: Option<String>) -> Followed {
    let (end, remark) = match cause {
        Some(StopCause::Timeout | StopCause::Signal) => {
            (End::Signaled(libc::SIGKILL), Some(format!("killed before it started: {doing}")))
        }
        None => {
            let secs = START_MAX.as_secs();
            let end = End::SpawnFailed {
                exit_code: None,
                error: format!("did not start within {secs}s: {doing}"),
            };
            (end, None)
        }
    };
    let remarks = [remark, unended].into_iter().flatten();
    let remark = remarks.reduce(|one, other| format!("{one}; {other}"));
    Followed::Killed(end, remark)
}

/// Kills the child. Returns what could not be killed.
fn kill(tools: &Tools, enclosure: Option<&Enclosure>) -> io::Result<Option<String>> {
    if let Some(enclosure) = enclosure {
        enclosure.strike();
    }
    sweep::end_all(tools.identity.process.pid, &tools.signals)
}

/// Waits, but notices TERM and USR1.
fn is_told_to_stop(signals: &SignalQueue, wait: Duration) -> io::Result<bool> {
    let deadline = clock::now().mono + wait;
    loop {
        let left = deadline.since(clock::now().mono);
        poll::wait(&mut [poll::readable(signals.fd())], Some(left))?;
        if Asked::take(signals)?.is_to_end() {
            return Ok(true);
        }
        if clock::now().mono >= deadline {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_that_takes_too_long_says_what_it_was_doing() {
        let doing = "reading env_file /mnt/x";
        let Followed::Killed(end, remark) = killed(None, doing, Some("left: a".into())) else {
            panic!("it was killed");
        };
        let said = "did not start within 30s: reading env_file /mnt/x";
        let expected = End::SpawnFailed { exit_code: None, error: said.to_owned() };
        assert_eq!((end, remark.as_deref()), (expected, Some("left: a")));
        let Followed::Killed(end, remark) = killed(Some(StopCause::Timeout), doing, None) else {
            panic!("it was killed");
        };
        let said = "killed before it started: reading env_file /mnt/x";
        assert_eq!((end, remark.as_deref()), (End::Signaled(9), Some(said)));
    }
}
