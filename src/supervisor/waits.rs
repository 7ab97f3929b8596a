//! How long there will be nothing to do.

use std::time::Duration;

use super::spawner::Spawner;
use super::{LOOK_EVERY, Mode, Supervisor};
use crate::core::time::{Mono, Now, Wall};

/// Between two turns of which the first one left something for the second: others that write have the store then.
const GAP: Duration = Duration::from_millis(3);

impl<S: Spawner> Supervisor<S> {
    /// How long nothing will be to do, unless something happens.
    pub(crate) fn next_wait(&self, now: Now) -> Duration {
        let wait = self.next_turn_wait(now);
        let wait = self.next_sign_wait(now).map_or(wait, |sign| sign.min(wait));
        self.log.next_wait().map_or(wait, |log| log.min(wait))
    }

    fn next_turn_wait(&self, now: Now) -> Duration {
        let from_wall = |at: Wall| at.since(now.wall);
        let from_mono = |at: Mono| at.since(now.mono);
        let mut wait =
            LOOK_EVERY.min(from_mono(self.next_prune_at()).max(Duration::from_millis(1)));
        wait = self.room_look_at().map_or(wait, |at| wait.min(from_mono(at)));
        wait = self.execs_look_at().map_or(wait, |at| wait.min(from_mono(at)));
        if let Some(at) = self.again_at {
            let leave = self.leave_at().map_or(wait, from_mono);
            // Once that is over, the loop has left.
            return wait.min(from_mono(at)).min(leave);
        }
        if !self.ended.is_empty() {
            return GAP;
        }
        let has_more = self.has_followers
            || self.owes_acknowledgements
            || self.has_feeds
            || !self.lanes_left.is_empty()
            || self.has_more_heads;
        if has_more && self.stopping.is_none() && self.configuration.mode == Mode::Live {
            return GAP;
        }
        if self.owes_moves && self.stopping.is_none() {
            return GAP;
        }
        wait = self.next_tell_wait(now).map_or(wait, |tell| wait.min(tell));
        if self.stopping.is_none() {
            wait = self.planned.first().map_or(wait, |(at, _)| wait.min(from_wall(*at)));
            if self.configuration.mode == Mode::Live {
                wait = self.next_start_wait(now).map_or(wait, |at| wait.min(at));
            }
        }
        if self.is_kept_by_telling(now) {
            wait = self.leave_at().map_or(wait, |at| wait.min(from_mono(at)));
        }
        wait = self.next_keeper_wait().map_or(wait, |keeper| wait.min(keeper));
        self.next_stop_at().map_or(wait, |at| wait.min(from_mono(at)))
    }

    /// How long nothing that waits will be to start.
    fn next_start_wait(&self, now: Now) -> Option<Duration> {
        let of_wall =
            [self.next_due_at, self.next_expiry_at, self.next_overdue_at(), self.next_resume_at()];
        let of_wall = of_wall.into_iter().flatten().map(|at| at.since(now.wall));
        let again = self.next_try_at().map(|at| at.since(now.mono));
        of_wall.chain(again).chain(self.next_late_wait(now)).min()
    }
}
