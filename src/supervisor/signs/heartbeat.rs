//! The heartbeat: a file that is touched, or a command that is executed, as long as all is well.

use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::{Hands, Sight};
use crate::core::job::{CommandLine, HeartbeatTarget, Policy};
use crate::core::reason::plain;
use crate::core::retry::describe;
use crate::core::run::Outcome;
use crate::core::time::{Mono, Now};
use crate::keeper::order::Order;
use crate::os::outside;
use crate::supervisor::ending::{Attempt, Word};
use crate::supervisor::environment::{Subject, Surroundings, words_of};
use crate::supervisor::errand::{Errand, OVERDUE};
use crate::supervisor::log::{Log, LogEvent};
use crate::supervisor::oversight::Oversight;
use crate::supervisor::spawner::{SlotEnd, Spawner};
use crate::supervisor::work::Work;

/// The beats that were given.
#[derive(Debug, Default)]
pub(in crate::supervisor) struct Heartbeat {
    next_at: Option<Mono>,
    /// The command is under way.
    is_beating: bool,
    errand: Errand<io::Result<()>>,
    beats: i64,
    /// The last one failed, which was said.
    is_ill: bool,
}

/// What it takes to start and to end the command.
pub(in crate::supervisor) struct Starter<'a, S> {
    pub(in crate::supervisor) spawner: &'a mut S,
    pub(in crate::supervisor) oversight: &'a mut Oversight,
}

impl Heartbeat {
    pub(super) fn give<S: Spawner>(
        &mut self,
        sight: Sight<'_>,
        hands: &mut Hands<'_>,
        starter: Starter<'_, S>,
    ) {
        let now = sight.now;
        if let Some(touched) = self.errand.take(now) {
            let error = touched.err().map(|error| plain(&error));
            self.note(error.as_deref(), hands.log, now);
        } else if self.errand.is_newly_overdue(now) {
            self.note(Some(OVERDUE), hands.log, now);
        }
        if self.due_at(sight).is_none_or(|at| at > now.mono) {
            return;
        }
        if let Err(error) = self.beat(sight, hands, starter) {
            self.note(Some(&error), hands.log, now);
        }
    }

    pub(super) fn next_wait(&self, sight: Sight<'_>) -> Option<Duration> {
        let due = self.due_at(sight).map(|at| at.since(sight.now.mono));
        due.into_iter().chain(self.errand.next_wait(sight.now)).min()
    }

    fn due_at(&self, sight: Sight<'_>) -> Option<Mono> {
        sight.memory.configuration.heartbeat.as_ref()?;
        // A supervisor whose store fails, or that stops, is not well; a shadow starts nothing.
        let is_live = sight.memory.is_live() && sight.memory.stopping.is_none();
        let is_free = !self.is_beating && !self.errand.is_under_way();
        (is_live && sight.is_well && is_free).then(|| self.next_at.unwrap_or(sight.now.mono))
    }

    fn beat<S: Spawner>(
        &mut self,
        sight: Sight<'_>,
        hands: &mut Hands<'_>,
        starter: Starter<'_, S>,
    ) -> Result<(), String> {
        let Sight { memory, now, .. } = sight;
        let Some((target, every)) = &memory.configuration.heartbeat else {
            return Ok(());
        };
        self.next_at = Some(now.mono + *every);
        match target {
            HeartbeatTarget::File(path) => {
                let since_epoch = Duration::from_millis(u64::try_from(now.wall.ms()).unwrap_or(0));
                let at = SystemTime::UNIX_EPOCH + since_epoch;
                let path = path.clone();
                let work = move || outside::touch(Path::new(&*path), at);
                self.errand.begin(hands.errands, now, work).map_err(|error| plain(&error))
            }
            HeartbeatTarget::Command(command) => {
                self.start(command, *every, &memory.surroundings, starter)
            }
        }
    }

    fn start<S: Spawner>(
        &mut self,
        command: &CommandLine,
        every: Duration,
        surroundings: &Surroundings,
        Starter { spawner, oversight }: Starter<'_, S>,
    ) -> Result<(), String> {
        let argv = words_of(&Policy::default().shell, "heartbeat", command);
        let subject = Subject { argv, ..Subject::default() };
        let order = surroundings.notice_order(subject);
        let slot = spawner.free_slot().map_err(|error| plain(&error))?;
        self.beats += 1;
        let order = Order {
            run: Work::Heartbeat.number(),
            claim: self.beats,
            cgroup: spawner.cgroup_of(slot),
            timeout: order.timeout.map(|timeout| timeout.min(every.max(Duration::from_secs(1)))),
            ..order
        };
        let started = oversight.start(spawner, slot, &order, Vec::new());
        self.is_beating = started.is_ok();
        started.map_err(|error| {
            spawner.give_back(slot);
            plain(&error)
        })
    }

    /// The command has ended. That is nothing for the store.
    pub(in crate::supervisor) fn finish<S: Spawner>(
        &mut self,
        end: &SlotEnd,
        Starter { spawner, oversight }: Starter<'_, S>,
        log: &mut Log,
        now: Now,
    ) {
        spawner.release(end.slot, now);
        let outcome = match Word::of(end, None, oversight, now.wall) {
            Word::Written(record, ending) => Attempt::of(record, ending, None, None).outcome,
            Word::Missing(attempt) => attempt.outcome,
            Word::NeverStarted => Outcome::Lost,
        };
        oversight.forget(end.run, end.claim);
        self.is_beating = false;
        let error = (outcome != Outcome::Exited(0)).then(|| describe(&outcome));
        self.note(error.as_deref(), log, now);
    }

    fn note(&mut self, error: Option<&str>, log: &mut Log, now: Now) {
        let was_ill = std::mem::replace(&mut self.is_ill, error.is_some());
        match error {
            Some(error) if !was_ill => {
                log.event(now.wall, LogEvent::HeartbeatFailed, &[("error", &error)])
            }
            None if was_ill => log.event(now.wall, LogEvent::HeartbeatWorks, &[]),
            Some(_) | None => {}
        }
    }
}
