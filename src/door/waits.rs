//! Requests that wait for the end of a run: one look at the store for all of them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::sleep;

use super::desk::Shelf;
use crate::store::{Store, StoreError};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The runs whose end somebody waits for.
#[derive(Debug, Default)]
pub(super) struct Waits {
    waiting: RefCell<BTreeMap<i64, Vec<oneshot::Sender<()>>>>,
    begun: Notify,
    /// Somebody has begun to wait since the last look.
    has_new: Cell<bool>,
}

impl Waits {
    /// Becomes ready when a run has ended, or is gone.
    pub(super) fn end_of(&self, run: i64) -> oneshot::Receiver<()> {
        let (sender, ended) = oneshot::channel();
        self.waiting.borrow_mut().entry(run).or_default().push(sender);
        self.has_new.set(true);
        self.begun.notify_one();
        ended
    }

    /// Looks after them, for as long as this process lives.
    pub(super) async fn serve(&self, shelf: &Arc<Shelf>) {
        let mut seen = None;
        loop {
            if self.forget_the_gone() {
                self.begun.notified().await;
            } else {
                sleep(LOOK_EVERY).await;
            }
            let runs: Vec<i64> = self.waiting.borrow().keys().copied().collect();
            // Where nothing was committed, nothing has ended.
            let known = seen.filter(|_| !self.has_new.replace(false));
            let shelf = Arc::clone(shelf);
            let look = move || shelf.read(|store| look(store, known, &runs));
            // What cannot be read now is read at the next look.
            let Ok(Ok((stamp, ended))) = tokio::task::spawn_blocking(look).await else {
                self.has_new.set(true);
                continue;
            };
            seen = Some(stamp);
            let mut waiting = self.waiting.borrow_mut();
            for sender in ended.iter().filter_map(|run| waiting.remove(run)).flatten() {
                // Who waited may have left.
                let _ = sender.send(());
            }
        }
    }

    /// Forgets those who have left. Whether nobody waits.
    fn forget_the_gone(&self) -> bool {
        let mut waiting = self.waiting.borrow_mut();
        waiting.retain(|_, senders| {
            senders.retain(|sender| !sender.is_closed());
            !senders.is_empty()
        });
        waiting.is_empty()
    }
}

/// What was committed last, and which of the runs have ended, unless nothing was committed since.
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
