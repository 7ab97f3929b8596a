//! Whose a store is that `jobctl run` begins with: one from elsewhere starts paused.

use crate::cmd::Result;
use crate::core::time::Now;
use crate::os::machine;
use crate::store::Store;

/// How a supervisor comes to its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begins {
    /// It is as the last one left it, or was put back.
    AsItIs,
    /// It has taken the place of the one that was in use.
    Replaced,
}

/// A store that comes from another machine starts paused, as one that was restored does, and one
/// that was put in the place of another and had a supervisor before: what waits in it may have been
/// done since, and what was to be told may have been told. Why, if it does.
pub(super) fn claim_store(store: &Store, begins: Begins, now: Now) -> Result<Option<&'static str>> {
    let here = machine::id();
    store.begin()?;
    let there = store.machine_id()?;
    let is_former = begins == Begins::Replaced && there.is_some();
    let is_moved = there.is_some_and(|there| there != here);
    if is_former {
        store.distrust(now.wall)?;
    }
    let is_restored = store.is_restored()?;
    store.set_meta("machine_id", Some(&here))?;
    store.set_meta("restored_at", None::<i64>)?;
    if is_moved {
        store.set_meta("paused_at", Some(now.wall))?;
        store.set_meta("paused_until", None::<i64>)?;
    }
    let is_paused = store.supervisor()?.pause.is_some();
    let why = if is_moved {
        Some("the store comes from another machine")
    } else if is_former {
        Some("the store in use was replaced by an older one")
    } else if is_restored {
        Some("the store was restored from a backup")
    } else {
        None
    };
    if let Some(why) = why {
        store.give_up_notices(why, now.wall)?;
    }
    store.commit()?;
    Ok(why.filter(|_| is_paused))
}
