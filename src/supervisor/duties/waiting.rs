//! Runs that were due later and are due now, or have expired, or waited for others.

use crate::store::StoreError;
use crate::supervisor::spawner::Spawner;
use crate::supervisor::turn::Turn;

impl<S: Spawner> Turn<'_, S> {
    /// Queues what was due later and is due now.
    pub(super) fn queue_due(&mut self) -> Result<(), StoreError> {
        if self.queue.next_due_at.is_some_and(|at| at <= self.now.wall) {
            let jobs = self.store.queue_due(self.now.wall)?;
            self.load_heads(jobs)?;
            self.queue.next_due_at = self.store.next_due_at()?;
        }
        Ok(())
    }

    /// Queues or cancels what waited for runs that have ended.
    pub(super) fn release_followers(&mut self) -> Result<(), StoreError> {
        let released = self.store.release_followers(self.now.wall)?;
        self.queue.has_followers = released.has_more;
        self.load_heads(released.jobs)
    }

    /// Acknowledges some of the failures that successes came after.
    pub(super) fn acknowledge_owed(&mut self) -> Result<(), StoreError> {
        self.queue.owes_acknowledgements = self.store.acknowledge_owed()?;
        Ok(())
    }

    /// Moves some runs of jobs that go on under another name.
    pub(super) fn move_former(&mut self) -> Result<(), StoreError> {
        let moved = self.store.move_former()?;
        self.queue.owes_moves = !moved.heirs.is_empty();
        self.queue.uniting = moved.withheld;
        self.load_heads(moved.heirs)
    }

    /// Cancels what was to be started by now and was not.
    pub(super) fn expire_due(&mut self) -> Result<(), StoreError> {
        if self.queue.next_expiry_at.is_some_and(|at| at <= self.now.wall) {
            let jobs = self.store.expire_due(self.now.wall)?;
            self.load_heads(jobs)?;
            self.queue.next_expiry_at = self.store.next_expiry_at()?;
        }
        Ok(())
    }
}
