//! Work on many rows in portions that are limited by time, so that other processes can use the
//! store between two of them however much a verb has to do.
//!
//! A portion is a transaction. Its results are reported once it is on disk, and remain when a later
//! portion fails.

use std::time::Duration;

use crate::core::time::Mono;
use crate::os::{clock, poll};
use crate::store::{Store, StoreError};

/// How long a portion works. Including the sync it holds the lock for at most 50 ms, even on a busy
/// machine.
const PORTION: Duration = Duration::from_millis(15);

/// How many bytes, as far as they are known beforehand, a portion writes at most: syncing them is
/// part of its time.
const PORTION_BYTES: usize = 1 << 20;

/// How long the lock is free between two portions: enough for a waiting process to poll it three
/// times.
const GAP: Duration = Duration::from_millis(3);

/// The clock that limits portions, and the pause between them.
#[derive(Clone, Copy)]
pub(crate) struct Portions<'a> {
    clock: &'a dyn Fn() -> Mono,
    rest: &'a dyn Fn(Duration),
}

/// Portions limited by the system's clock.
pub(crate) const PORTIONS: Portions<'static> = Portions {
    clock: &|| clock::now().mono,
    rest: &|span| {
        // A signal may cut the pause short, which is harmless.
        let _ = poll::wait(&mut [], Some(span));
    },
};

impl Portions<'_> {
    /// Runs steps until none is left, several per transaction, and reports their results once they
    /// are on disk. A step returns its result and how many bytes it wrote beyond a row. An error
    /// rolls back the current portion and ends the work.
    pub(crate) fn each<T, E>(
        &self,
        store: &mut Store,
        mut step: impl FnMut(&mut Store) -> Result<Option<(T, usize)>, E>,
        mut tell: impl FnMut(T) -> Result<(), E>,
    ) -> Result<(), E>
    where
        E: From<StoreError>,
    {
        loop {
            let (done, is_over) = store.together(|store| self.portion(store, &mut step))?;
            done.into_iter().try_for_each(&mut tell)?;
            if is_over {
                return Ok(());
            }
            (self.rest)(GAP);
        }
    }

    /// Runs the steps of one portion; returns whether they were the last ones. It runs at least
    /// one, so that even a slow machine makes progress.
    fn portion<T, E>(
        &self,
        store: &mut Store,
        step: &mut impl FnMut(&mut Store) -> Result<Option<(T, usize)>, E>,
    ) -> Result<(Vec<T>, bool), E> {
        let begin = (self.clock)();
        let mut done = Vec::new();
        let mut bytes = 0;
        while let Some((one, size)) = step(store)? {
            done.push(one);
            bytes += size;
            if bytes >= PORTION_BYTES || (self.clock)().since(begin) >= PORTION {
                return Ok((done, false));
            }
        }
        Ok((done, true))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::store::Scope;

    /// Does something with portions on a clock that goes by `tick` at each look.
    pub(crate) fn with_clock<T>(tick: Duration, work: impl FnOnce(Portions<'_>) -> T) -> (T, u32) {
        let (now, rests) = (Cell::new(Duration::ZERO), Cell::new(0));
        let portions = Portions {
            clock: &|| {
                now.set(now.get() + tick);
                Mono::from_duration(now.get())
            },
            rest: &|_| rests.set(rests.get() + 1),
        };
        (work(portions), rests.get())
    }

    #[derive(Debug, PartialEq)]
    struct Gone;

    impl From<StoreError> for Gone {
        fn from(_: StoreError) -> Self {
            Self
        }
    }

    fn ten_steps(tick: Duration, fails_at: Option<i32>) -> (Result<Vec<i32>, Gone>, u32, i64) {
        let mut store = Store::in_memory();
        let before = store.stamp().unwrap();
        let (mut left, mut told) = (10, Vec::new());
        let (answer, rests) = with_clock(tick, |portions| {
            portions.each(
                &mut store,
                |store| {
                    if fails_at == Some(left) {
                        return Err(Gone);
                    }
                    store.pause(Scope::All, None, crate::core::time::Wall::from_ms(left.into()))?;
                    left -= 1;
                    Ok((left >= 0).then_some((left, 0)))
                },
                |step| {
                    told.push(step);
                    Ok(())
                },
            )
        });
        let commits = store.stamp().unwrap() - before;
        (answer.map(|()| told.clone()).or(Ok(told)), rests, commits)
    }

    #[test]
    fn a_portion_ends_by_the_clock_and_the_store_is_free_then() {
        let (told, rests, commits) = ten_steps(Duration::from_millis(10), None);
        assert_eq!(told, Ok((0..10).rev().collect()));
        // Two steps are 20 ms.
        assert_eq!((commits, rests), (6, 5));
        let (_, rests, commits) = ten_steps(Duration::from_millis(1), None);
        assert_eq!((commits, rests), (1, 0));
        let (told, rests, commits) = ten_steps(Duration::from_secs(9), None);
        assert_eq!((told.unwrap().len(), commits, rests), (10, 11, 10));
    }

    #[test]
    fn what_was_done_before_a_failure_stays_and_is_told() {
        let (told, _, commits) = ten_steps(Duration::from_millis(10), Some(1));
        assert_eq!(told, Ok(vec![9, 8, 7, 6, 5, 4, 3, 2]));
        assert_eq!(commits, 4);
    }
}
