//! Finders: the lines of a successful run's standard output become runs of another job.
//!
//! A finder that has ended counts as running until its lines are put down, some hundred in a turn,
//! so that nothing waits for it.

use crate::core::job::Job;
use crate::core::key;
use crate::core::retry::Next;
use crate::core::run::{State, Verdict};
use crate::keeper::record::Spooled;
use crate::os::{file, ticket};
use crate::store::{Bringing, Fed, Keys, StoreError};
use crate::supervisor::ending::Attempt;
use crate::supervisor::spawner::{Report, SlotEnd, Spawner};
use crate::supervisor::turn::Turn;

/// Lines and bytes that are put down, and runs that are queued, in one turn at the most.
/// Few in tests, so that they see the portions.
const LINES_AT_ONCE: usize = if cfg!(test) { 3 } else { 500 };
const RUNS_AT_ONCE: u32 = if cfg!(test) { 2 } else { 500 };
const BYTES_AT_ONCE: u64 = 1 << 20;

/// The result of a turn for a finder's output.
pub(super) enum Found {
    /// It feeds nobody, or has not succeeded, or said nothing.
    Nothing,
    /// There is more to put down: the end is not finished in this turn.
    More,
    /// All is put down under this number.
    All(i64),
    /// No runs can be made of it, and why.
    Unfit(String),
}

impl<S: Spawner> Turn<'_, S> {
    /// Puts down some of what an attempt that has ended has found.
    pub(super) fn take_found(&mut self, end: &SlotEnd) -> Result<Found, StoreError> {
        let Report::Ended(record) = &end.report else {
            return Ok(Found::Nothing);
        };
        let (Some(ending), Some(job)) = (&record.ending, &record.feeds) else {
            return Ok(Found::Nothing);
        };
        let Some(spooled) = &ending.spooled else {
            return Ok(Found::Nothing);
        };
        let run = self.store.run(end.run)?;
        let Some(run) = run.filter(|run| run.state == State::Running && run.claim == end.claim)
        else {
            return Ok(Found::Nothing);
        };
        let live = self.live(end.run);
        let attempt = Attempt::of(record, ending, live, None);
        if self.what_follows(&run, live, &attempt).0 != Next::Finish(Verdict::Succeeded) {
            return Ok(Found::Nothing);
        }
        if let Some(failure) = &spooled.failure {
            return Ok(Found::Unfit(failure.clone()));
        }
        self.put_down(end, job, spooled)
    }

    fn put_down(&self, end: &SlotEnd, job: &str, spooled: &Spooled) -> Result<Found, StoreError> {
        if spooled.bytes == 0 {
            return Ok(Found::Nothing);
        }
        let mut feed = self.store.feed(end.run, end.claim)?;
        let read = self.spawner.spool(end.slot).and_then(|spool| {
            let left = spooled.bytes.saturating_sub(feed.position).min(BYTES_AT_ONCE);
            let bytes = file::read_at(
                std::os::fd::AsFd::as_fd(&spool),
                feed.position,
                usize::try_from(left).map_err(std::io::Error::other)?,
            )?;
            if bytes.len() as u64 == left {
                Ok(bytes)
            } else {
                Err(std::io::ErrorKind::UnexpectedEof.into())
            }
        });
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(error) => return Ok(Found::Unfit(format!("standard output: {error}"))),
        };
        let is_rest = feed.position.saturating_add(bytes.len() as u64) >= spooled.bytes;
        let (lines, taken) = some_lines(&bytes, is_rest);
        let target = self.job_of(job);
        // Its record names it as it was called when the finder started.
        let job = target.map_or(job, |target| target.name.as_str());
        if let Some(reason) = target.and_then(|target| unkeyed(target, &lines)) {
            return Ok(Found::Unfit(reason));
        }
        feed.position = feed.position.saturating_add(taken as u64);
        feed.count = feed.count.saturating_add(lines.len() as u64);
        if let Some(max) = target.and_then(|target| target.policy.backlog_max) {
            let waiting = self.store.waiting_count(job)?;
            let count = i64::try_from(feed.count).unwrap_or(i64::MAX);
            if waiting.saturating_add(count) > i64::from(max) {
                return Ok(Found::Unfit(format!(
                    "job `{job}`: {waiting} runs are waiting already, and at least {count} \
                         would follow (backlog_max is {max})"
                )));
            }
        }
        self.store.know_name(job)?;
        let fed = Fed {
            job,
            priority: target.map_or(0, |target| target.policy.priority),
            max_attempts: target.map_or(Some(1), |target| target.policy.attempts_max()),
            now: self.now.wall,
        };
        self.store.stage(&feed, &fed, &lines)?;
        Ok(if feed.position >= spooled.bytes { Found::All(feed.id) } else { Found::More })
    }

    /// The job that has this name, or has taken it over (`was`).
    fn job_of(&self, name: &str) -> Option<&Job> {
        let jobs = || self.memory.jobs.all.iter().map(|state| &state.job);
        jobs().find(|job| job.name.as_str() == name).or_else(|| jobs().find(|job| job.was(name)))
    }

    /// Queues what finished finders have found, some in a turn.
    pub(super) fn bring_fed(&mut self) -> Result<(), StoreError> {
        if !self.queue.has_feeds {
            return Ok(());
        }
        let (memory, now) = (self.memory, self.now.wall);
        let keys = |job_id: i64| {
            let job = &memory.jobs.get(job_id)?.job;
            Some(Keys {
                template: job.policy.key.clone()?,
                held_since: job.policy.key_held_since(now),
            })
        };
        let brought = self.store.bring_fed(&Bringing {
            limit: RUNS_AT_ONCE,
            now,
            keys: &keys,
            is_alive: &|ticket| ticket::is_held(&memory.configuration.state_dir, ticket),
        })?;
        self.queue.has_feeds = brought.has_more;
        self.queue.withheld = brought.withheld;
        if !brought.jobs.is_empty() {
            self.queue.has_followers = true;
            self.queue.next_due_at = self.store.next_due_at()?;
            self.queue.next_expiry_at = self.store.next_expiry_at()?;
        }
        self.load_heads(brought.jobs)
    }
}

/// Whole lines from the beginning of `bytes` that are not empty, and how many bytes they and their
/// ends are. `is_rest`: there is no more, so that the last line needs no end.
fn some_lines(bytes: &[u8], is_rest: bool) -> (Vec<&[u8]>, usize) {
    let (mut lines, mut taken) = (Vec::new(), 0);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if lines.len() == LINES_AT_ONCE || !(line.ends_with(b"\n") || is_rest) {
            break;
        }
        taken += line.len();
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if !line.is_empty() {
            lines.push(line);
        }
    }
    (lines, taken)
}

/// Why a line has no key although the job makes one of it.
fn unkeyed(job: &Job, lines: &[&[u8]]) -> Option<String> {
    let template = job.policy.key.as_ref()?;
    let is_bad = lines.iter().any(|line| key::of(template, &[line.to_vec()]).is_err());
    is_bad.then(|| {
        format!(
            "job `{}`: its key `{template}` needs more than one argument, but a line is one",
            job.name
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_where_they_end() {
        let some = |text: &'static str, is_rest| {
            let (lines, taken) = some_lines(text.as_bytes(), is_rest);
            let lines: Vec<&str> =
                lines.iter().map(|line| std::str::from_utf8(line).unwrap()).collect();
            (lines, taken)
        };
        assert_eq!(some("a\n\nb c\nd", false), (vec!["a", "b c"], 7));
        assert_eq!(some("a\n\nb c\nd", true), (vec!["a", "b c", "d"], 8));
        assert_eq!(some("\n\n", false), (vec![], 2));
        let many = b"x\n".repeat(LINES_AT_ONCE + 5);
        let (lines, taken) = some_lines(&many, true);
        assert_eq!((lines.len(), taken), (LINES_AT_ONCE, 2 * LINES_AT_ONCE));
    }
}
