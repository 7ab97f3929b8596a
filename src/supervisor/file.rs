//! The file of the store: whether it is still where it was, and whether its log can be begun anew.

use super::log::{Log, LogEvent};
use super::when::LOOK_EVERY;
use crate::core::time::{Mono, Now};
use crate::store::{Rescued, Store};

/// A log of the store that is larger than this, four times what it is begun anew at, is worth a
/// word.
const LOG_LARGE: i64 = 16 << 20;

/// The known state of the store's file.
#[derive(Debug)]
pub(super) struct StoreFile {
    /// It was deleted or replaced, and what was in it is safe: where.
    astray: Option<Rescued>,
    looked_at: Mono,
    /// The log grows, because somebody reads for long, and that was said.
    is_log_large: bool,
}

impl StoreFile {
    pub(super) fn seen_at(now: Now) -> Self {
        Self { astray: None, looked_at: now.mono, is_log_large: false }
    }

    /// Returns whether it is time to look at it.
    pub(super) fn is_due(&self, now: Now) -> bool {
        now.mono.since(self.looked_at) >= LOOK_EVERY
    }

    /// Returns whether the store has another file now.
    pub(super) fn is_astray(&self) -> bool {
        self.astray.is_some()
    }

    /// Returns whether another file has taken its place.
    pub(super) fn is_replaced(&self) -> bool {
        matches!(self.astray, Some(Rescued::Aside(_)))
    }

    /// A reader that keeps a transaction open needs all that was written since: the log grows
    /// meanwhile, and nothing else can be done.
    fn look_at_log(&mut self, store: &Store, log: &mut Log, now: Now) {
        if !self.is_log_large && store.log_len() <= LOG_LARGE.cast_unsigned() {
            return;
        }
        let Some((bytes, moved)) = store.log_bytes() else {
            return;
        };
        let grows = bytes > LOG_LARGE && moved < bytes;
        if grows && !self.is_log_large {
            let hint = "a process keeps reading the store; find it with `fuser`";
            log.event(now.wall, LogEvent::WalGrows, &[("bytes", &bytes), ("hint", &hint)]);
        } else if !grows && self.is_log_large {
            log.event(now.wall, LogEvent::WalReset, &[("bytes", &bytes)]);
        }
        self.is_log_large = grows;
    }

    /// The store's file may have been deleted or replaced while it is in use: it would live on as a
    /// ghost, and nobody would see what happens in it. Where it cannot be written to a file that
    /// people find, it is tried again.
    pub(super) fn look(&mut self, store: &Store, log: &mut Log, now: Now) {
        self.looked_at = now.mono;
        self.look_at_log(store, log, now);
        if !store.is_astray() {
            return;
        }
        match store.rescue(now.wall) {
            Ok(rescued @ Rescued::PutBack) => {
                log.event(now.wall, LogEvent::StorePutBack, &[]);
                self.astray = Some(rescued);
            }
            Ok(Rescued::Aside(path)) => {
                let hint = "this file has the previous store; restore it with `jobctl restore`";
                let fields: [(&str, &dyn std::fmt::Display); 2] =
                    [("kept", &path.display()), ("hint", &hint)];
                log.event(now.wall, LogEvent::StoreReplaced, &fields);
                self.astray = Some(Rescued::Aside(path));
            }
            Ok(Rescued::Nowhere) => {
                let error = "the file at its path cannot be used as a store";
                log.event(now.wall, LogEvent::StoreNotPutBack, &[("error", &error)]);
            }
            Err(error) => {
                log.event(now.wall, LogEvent::StoreNotPutBack, &[("error", &error)]);
            }
        }
    }
}
