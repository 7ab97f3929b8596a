//! Checks where the store of a starting supervisor comes from: one from elsewhere starts paused.

use crate::cmd::Result;
use crate::core::time::Now;
use crate::os::machine;
use crate::store::Store;

/// How a supervisor comes to its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begins {
    /// The store is as the last supervisor left it, or was restored.
    AsItIs,
    /// The store has replaced the one in use.
    Replaced,
}

/// Returns why a store has to start paused: it comes from another machine, was restored, or has
/// replaced another store after having had a supervisor. Its waiting runs may have been done, and
/// its notifications sent, in the meantime.
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
