//! Requests that wait for the end of a run: a single poll of the store serves all of them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::sleep;

use super::shelf::Shelf;
use crate::store::{Store, StoreError};

/// The interval between two polls.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The runs that requests wait for.
#[derive(Debug, Default)]
pub(super) struct Waits {
    waiting: RefCell<BTreeMap<i64, Vec<oneshot::Sender<()>>>>,
    begun: Notify,
    /// Whether a request has started to wait since the last poll.
    has_new: Cell<bool>,
}

impl Waits {
    /// Becomes ready when a run has ended or was deleted.
    pub(super) fn end_of(&self, run: i64) -> oneshot::Receiver<()> {
        let (sender, ended) = oneshot::channel();
        self.waiting.borrow_mut().entry(run).or_default().push(sender);
        self.has_new.set(true);
        self.begun.notify_one();
        ended
    }

    /// Polls for as long as the process lives.
    pub(super) async fn serve(&self, shelf: &Arc<Shelf>) {
        let mut seen = None;
        loop {
            if self.forget_the_gone() {
                self.begun.notified().await;
            } else {
                sleep(LOOK_EVERY).await;
            }
            let runs: Vec<i64> = self.waiting.borrow().keys().copied().collect();
            // Without a new commit no run can have ended.
            let known = seen.filter(|_| !self.has_new.replace(false));
            let shelf = Arc::clone(shelf);
            let look = move || shelf.read(|store| look(store, known, &runs));
            // The next poll tries again.
            let Ok(Ok((stamp, ended))) = tokio::task::spawn_blocking(look).await else {
                self.has_new.set(true);
                continue;
            };
            seen = Some(stamp);
            let mut waiting = self.waiting.borrow_mut();
            for sender in ended.iter().filter_map(|run| waiting.remove(run)).flatten() {
                // The client may have disconnected.
                let _ = sender.send(());
            }
        }
    }

    /// Drops the requests whose clients have disconnected; returns whether none is left.
    fn forget_the_gone(&self) -> bool {
        let mut waiting = self.waiting.borrow_mut();
        waiting.retain(|_, senders| {
            senders.retain(|sender| !sender.is_closed());
            !senders.is_empty()
        });
        waiting.is_empty()
    }
}

/// Returns the stamp of the last commit and the runs that have ended; skips the runs if `known` is
/// still the last commit.
fn look(store: &Store, known: Option<i64>, runs: &[i64]) -> Result<(i64, Vec<i64>), StoreError> {
    let stamp = store.stamp()?;
    let mut ended = Vec::new();
    if known != Some(stamp) {
        for run in runs {
            if store.has_ended(*run)? {
                ended.push(*run);
            }
        }
    }
    Ok((stamp, ended))
}
