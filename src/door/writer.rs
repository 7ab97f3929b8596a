//! The one thread that writes: what is asked for together shares a commit, and is answered after it
//! is on disk.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::oneshot;

use super::problem::{Kind, Problem, Result};
use crate::os::{aside, clock, poll, wake};
use crate::store::{Store, StoreError};

/// So much may wait for the writer.
const WAITING_MAX: usize = 4096;

/// A commit has no more of either. With what it takes to put it on disk it holds the lock for
/// 50 ms at the most, also on a busy machine.
const TOGETHER_MAX: usize = 512;
const PORTION: Duration = Duration::from_millis(15);

/// How long others have the store when more waits already.
const GAP: Duration = Duration::from_millis(1);

/// What is done within the transaction. Where it fails, nothing of that is kept.
type Work = Box<dyn FnOnce(&mut Store) -> std::result::Result<Done, (Done, Problem)> + Send>;

/// Hears what became of the commit.
type Done = Box<dyn FnOnce(Result<()>) + Send>;

/// The way to the thread.
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

    /// Does work in a transaction, with what others want at the same time. When this returns, it is
    /// on disk, or nothing of it was done.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T> {
        let (sender, answer) = oneshot::channel();
        let work: Work = Box::new(move |store| match work(store) {
            // Who asked may have left, and then nobody wants to know.
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
    Problem::new(Kind::Busy, "too much waits to be written").retry_after(1)
}

struct Thread {
    state_dir: PathBuf,
    store: Option<Store>,
}

impl Thread {
    /// Writes until nobody can ask any more.
    fn serve(mut self, orders: &Receiver<Work>) {
        let mut next = orders.recv().ok();
        while let Some(first) = next {
            self.commit(first, orders);
            next = orders.try_recv().ok();
            if next.is_some() {
                // A signal may shorten it, which costs somebody else a millisecond.
                let _ = poll::wait(&mut [], Some(GAP));
            } else {
                next = orders.recv().ok();
            }
        }
    }

    /// Does what is wanted, and as much more as a commit may have.
    fn commit(&mut self, first: Work, orders: &Receiver<Work>) {
        let mut done: Vec<Done> = Vec::new();
        let committed = self.together(first, orders, &mut done);
        if committed.is_ok() {
            // It is on disk, and found there without a ring a little later.
            let _ = wake::ring(&self.state_dir);
        } else {
            // Its file may be another one by now.
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
        // Who asked hears of it: the work is dropped, and with it the way to say more.
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
