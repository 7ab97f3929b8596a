//! The state that all requests share.

use std::sync::Arc;

use super::accounts::Accounts;
use super::body::Bodies;
use super::control::Control;
use super::problem::{Kind, Problem, Result};
use super::shelf::Shelf;
use super::waits::Waits;
use super::writer::Writer;
use crate::core::door::Door;
use crate::core::schedule::Zone;
use crate::store::{Store, StoreError};

/// The jobs, the permissions, and access to the store.
pub(super) struct Desk {
    /// The table `[door]`.
    pub(super) rules: Door,
    /// The known callers.
    pub(super) accounts: Accounts,
    /// The zone of times that are given without one.
    pub(super) zone: Zone,
    /// The memory for bodies.
    pub(super) bodies: Bodies,
    /// The writing thread.
    pub(super) writer: Writer,
    /// The requests that wait for the end of a run.
    pub(super) waits: Waits,
    /// The socket to the supervisor.
    pub(super) control: Control,
    /// The part that reading threads use.
    pub(super) shelf: Arc<Shelf>,
}

impl Desk {
    /// Reads the store on another thread, so that a slow disk delays only this request.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Store, &Shelf) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T> {
        let shelf = Arc::clone(&self.shelf);
        let work = move || shelf.read(|store| read(store, &shelf));
        match tokio::task::spawn_blocking(work).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Problem::new(Kind::Busy, "the store was not read").retry_after(1)),
        }
    }
}
