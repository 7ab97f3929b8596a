//! The only thread that writes: concurrent requests share a commit, and are answered after it is on
//! disk.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::oneshot;

use super::problem::{Kind, Problem, Result};
use crate::os::{aside, clock, poll, wake};
use crate::store::{Store, StoreError};

/// The length of the writer's queue.
const WAITING_MAX: usize = 4096;

/// The limits of one commit, in requests and in time. Including the sync it holds the lock for at
/// most 50 ms, even on a busy machine.
const TOGETHER_MAX: usize = 512;
const PORTION: Duration = Duration::from_millis(15);

/// How long the lock is free for others between two commits.
const GAP: Duration = Duration::from_millis(1);

/// A change within the transaction; if it fails, all of it is undone.
type Work = Box<dyn FnOnce(&mut Store) -> std::result::Result<Done, (Done, Problem)> + Send>;

/// Receives the result of the commit.
type Done = Box<dyn FnOnce(Result<()>) + Send>;

/// A handle of the writing thread.
#[derive(Clone, Debug)]
pub(super) struct Writer(SyncSender<Work>);

impl Writer {
    /// Starts the thread.
    pub(super) fn start(state_dir: &Path) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(WAITING_MAX);
        let state_dir = state_dir.to_path_buf();
        aside::start(move || Thread { state_dir, store: None }.serve(&receiver))?;
        Ok(Self(sender))
    }

    /// Does work in a transaction, together with that of concurrent requests. When this returns,
    /// either all of the work is on disk or none of it was done.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T> {
        let (sender, answer) = oneshot::channel();
        let work: Work = Box::new(move |store| match work(store) {
            // The client may have disconnected.
            Ok(done) => Ok(Box::new(move |committed: Result<()>| {
                let _ = sender.send(committed.map(|()| done));
            })),
            Err(error) => {
                let done = Box::new(move |committed: Result<()>| {
                    let _ = sender.send(committed.and(Err(busy())));
                });
                Err((done, error.into()))
            }
        });
        self.0.try_send(work).map_err(|_| busy())?;
        answer.await.unwrap_or_else(|_| Err(busy()))
    }
}

fn busy() -> Problem {
    Problem::new(Kind::Busy, "too many changes are waiting to be written").retry_after(1)
}

struct Thread {
    state_dir: PathBuf,
    store: Option<Store>,
}

impl Thread {
    /// Writes until all handles are dropped.
    fn serve(mut self, orders: &Receiver<Work>) {
        let mut next = orders.recv().ok();
        while let Some(first) = next {
            self.commit(first, orders);
            next = orders.try_recv().ok();
            if next.is_some() {
                // A signal may cut the pause short, which is harmless.
                let _ = poll::wait(&mut [], Some(GAP));
            } else {
                next = orders.recv().ok();
            }
        }
    }

    /// Commits the first request, with as many others as fit into one commit.
    fn commit(&mut self, first: Work, orders: &Receiver<Work>) {
        let mut done: Vec<Done> = Vec::new();
        let committed = self.together(first, orders, &mut done);
        if committed.is_ok() {
            // Without the ring the supervisor finds the commit a little later.
            let _ = wake::ring(&self.state_dir);
        } else {
            // The file may have been replaced: open it anew next time.
            self.store = None;
        }
        for done in done {
            done(committed.clone());
        }
    }

    fn together(
        &mut self,
        first: Work,
        orders: &Receiver<Work>,
        done: &mut Vec<Done>,
    ) -> Result<()> {
        let store = match &mut self.store {
            Some(store) => Ok(store),
            none => Store::open_write(&self.state_dir).map(|store| none.insert(store)),
        };
        // On an error the work is dropped, which tells the requests that it was not done.
        let store = store?;
        let begin = clock::now().mono;
        store.together(|store| {
            let mut next = Some(first);
            while let Some(work) = next {
                match work(store) {
                    Ok(one) => done.push(one),
                    Err((one, problem)) => {
                        done.push(one);
                        return Err(problem);
                    }
                }
                let is_over =
                    done.len() >= TOGETHER_MAX || clock::now().mono.since(begin) >= PORTION;
                next = if is_over { None } else { orders.try_recv().ok() };
            }
            Ok(())
        })
    }
}
