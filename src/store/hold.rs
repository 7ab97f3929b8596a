//! The store's lock: how a process waits for it, and what must not happen to one that has it.
//!
//! While a transaction that writes is open, nobody else can write. A process that is stopped within
//! one would hold up all others, so the signals that a terminal stops it with wait until the
//! transaction has ended. `SIGSTOP` cannot be kept away.

use std::time::Duration;

use nix::poll::ppoll;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::time::TimeSpec;
use rusqlite::Connection;

use super::{Store, StoreError};

/// Between two looks at a lock that another process has. Verbs on many runs leave it free for
/// longer than that, time and again; SQLite's own handler sleeps up to a tenth of a second and
/// would miss that.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Looks of a turn, and of a verb.
const TURN_LOOKS: i32 = 250;
const VERB_LOOKS: i32 = 5_000;

/// The wait for another process's transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// A quarter of a second: a turn of the supervisor, which has other things to do and comes
    /// again.
    Turn,
    /// Five seconds: a verb, which somebody has asked for once.
    Verb,
}

/// Lets a connection wait with this patience.
pub(super) fn be_patient(conn: &mut Connection, patience: Patience) -> rusqlite::Result<()> {
    conn.busy_handler(Some(match patience {
        Patience::Turn => look_again::<TURN_LOOKS>,
        Patience::Verb => look_again::<VERB_LOOKS>,
    }))
}

fn look_again<const LOOKS: i32>(looks: i32) -> bool {
    if looks >= LOOKS {
        return false;
    }
    // A signal may shorten it: then there is one look more.
    let _ = ppoll(&mut [], Some(TimeSpec::from_duration(LOOK_EVERY)), None);
    true
}

/// As long as this lives, the thread's process is not stopped from its terminal.
#[derive(Debug)]
pub(super) struct Unstopped {
    former: SigSet,
}

impl Unstopped {
    /// Keeps these signals waiting. None where the kernel refuses: then one may be stopped, as
    /// everywhere else.
    pub(super) fn begin() -> Option<Self> {
        let signals: SigSet =
            [Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU].into_iter().collect();
        let former = signals.thread_swap_mask(SigmaskHow::SIG_BLOCK).ok()?;
        Some(Self { former })
    }
}

impl Drop for Unstopped {
    fn drop(&mut self) {
        // Whoever was to be stopped meanwhile is stopped in here.
        let _ = self.former.thread_set_mask();
    }
}

impl Store {
    /// Returns how long later transactions wait for those of other processes.
    pub(crate) fn set_patience(&mut self, patience: Patience) -> Result<(), StoreError> {
        be_patient(&mut self.conn, patience).map_err(|e| self.failed("set the busy handler", e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_kept_waiting(signal: Signal) -> bool {
        SigSet::thread_get_mask().unwrap().contains(signal)
    }

    #[test]
    fn a_terminal_cannot_stop_a_process_within_a_transaction() {
        let mut store = Store::in_memory();
        for signal in [Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU] {
            assert!(!is_kept_waiting(signal));
            store.begin().unwrap();
            assert!(is_kept_waiting(signal));
            store.commit().unwrap();
            assert!(!is_kept_waiting(signal));
            store.begin().unwrap();
            store.rollback();
            assert!(!is_kept_waiting(signal));
            let within: Result<bool, StoreError> = store.together(|_| Ok(is_kept_waiting(signal)));
            assert!(within.unwrap() && !is_kept_waiting(signal));
        }
    }
}
