//! What the supervisor does in a turn, a file each: when it is due, and the work.
//!
//! A turn is begun when one of them is due. Then all have their turn, in this order, for what one
//! does may be what another one waits for; each of them may find nothing to do.

pub(super) mod books;
pub(super) mod claim;
pub(super) mod ends;
mod feed;
mod forgotten;
mod lanes;
pub(super) mod late;
mod mail;
pub(super) mod notify;
mod plan;
pub(super) mod prune;
mod refresh;
pub(super) mod stop;
mod waiting;

use std::time::Duration;

use super::memory::Memory;
use super::queue::Queue;
use super::spawner::Spawner;
use super::turn::Turn;
pub(super) use super::when::When;
use crate::core::time::Now;
use crate::store::StoreError;

/// Of which supervisors something is a duty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// Of all.
    All,
    /// Of those that do not stop.
    Open,
    /// Of those that start something, and do not stop.
    Live,
}

impl Of {
    fn includes(self, memory: &Memory) -> bool {
        match self {
            Self::All => true,
            Self::Open => memory.stopping.is_none(),
            Self::Live => memory.stopping.is_none() && memory.is_live(),
        }
    }
}

/// A duty: whose it is, when it is due, and what is done.
type Duty<S> =
    (Of, fn(&Memory, &Queue, Now) -> Option<When>, fn(&mut Turn<'_, S>) -> Result<(), StoreError>);

/// In the order in which they are done.
fn all<S: Spawner>() -> [Duty<S>; 21] {
    /// It is done along with others.
    fn along(_: &Memory, _: &Queue, _: Now) -> Option<When> {
        None
    }
    [
        (
            Of::All,
            |memory, _, _| When::soon_if(!memory.ended.is_empty()),
            |turn| turn.finish_ended(),
        ),
        (Of::All, along, |turn| turn.write_boot_id()),
        (Of::All, |_, queue, _| When::soon_if(queue.is_stale), |turn| turn.refresh_if_stale()),
        (Of::All, |memory, _, _| memory.clock.due(), |turn| turn.follow_clock()),
        (Of::All, |memory, _, now| memory.clock.age_due(now), |turn| turn.write_age_held()),
        (Of::Live, |_, queue, _| When::soon_if(queue.has_feeds), |turn| turn.bring_fed()),
        (
            Of::Live,
            |_, queue, _| When::soon_if(queue.has_followers),
            |turn| turn.release_followers(),
        ),
        (
            Of::Live,
            |_, queue, _| When::soon_if(queue.owes_acknowledgements),
            |turn| turn.acknowledge_owed(),
        ),
        (Of::Live, |_, queue, _| queue.next_expiry_at.map(When::At), |turn| turn.expire_due()),
        (Of::Live, |_, queue, _| queue.next_due_at.map(When::At), |turn| turn.queue_due()),
        (Of::Open, |_, queue, _| When::soon_if(queue.owes_moves), |turn| turn.move_former()),
        (Of::Open, |memory, _, _| plan::due(memory), |turn| turn.plan_due()),
        (Of::Live, |_, queue, _| queue.next_overdue_at().map(When::At), |turn| turn.skip_overdue()),
        (Of::Live, |_, queue, _| lanes::due(queue), |turn| turn.free_lanes()),
        (Of::Live, claim::due, |turn| turn.claim_what_can_start()),
        (Of::Live, late::due, |turn| turn.look_for_late()),
        (
            Of::Live,
            |_, queue, _| queue.next_forgotten_at.map(When::At),
            |turn| turn.tell_of_forgotten(),
        ),
        (Of::All, |memory, _, _| stop::due(memory), |turn| turn.stop_in_time()),
        (Of::All, notify::due, |turn| turn.tell()),
        (Of::All, |memory, _, _| Some(When::By(prune::due_at(memory))), |turn| turn.prune()),
        (Of::All, along, |turn| turn.write_lag()),
    ]
}

/// Returns whether there is anything to write: an idle look at the clock costs no transaction.
pub(super) fn are_due<S: Spawner>(memory: &Memory, queue: &Queue, now: Now) -> bool {
    let mine = all::<S>().into_iter().filter(|(of, ..)| of.includes(memory));
    mine.filter_map(|(_, due, _)| due(memory, queue, now)).any(|when| when.is_due(now))
}

/// Returns how long nothing will be due.
pub(super) fn next_wait<S: Spawner>(memory: &Memory, queue: &Queue, now: Now) -> Option<Duration> {
    let mine = all::<S>().into_iter().filter(|(of, ..)| of.includes(memory));
    mine.filter_map(|(_, due, _)| due(memory, queue, now)).map(|when| when.wait(now)).min()
}

/// Does all that is to be done.
pub(super) fn work<S: Spawner>(turn: &mut Turn<'_, S>) -> Result<(), StoreError> {
    let memory = turn.memory;
    let mine = all::<S>().into_iter().filter(|(of, ..)| of.includes(memory));
    mine.into_iter().try_for_each(|(.., work)| work(turn))
}

/// Lets all duties have their turn in a transaction, if one of them is due. Whether one was.
pub(super) fn decide<S: Spawner>(turn: &mut Turn<'_, S>) -> Result<bool, StoreError> {
    turn.queue.look_at_version(turn.store)?;
    if !are_due::<S>(turn.memory, turn.queue, turn.now) {
        return Ok(false);
    }
    turn.store.begin()?;
    // From here on nobody else writes: what was written since the look is known, too, before
    // anything is claimed.
    turn.queue.look_at_version(turn.store)?;
    work(turn)?;
    Ok(true)
}
