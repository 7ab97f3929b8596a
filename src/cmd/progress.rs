//! A progress line for long work on a terminal, overwritten on each update and removed at the end;
//! nothing if standard error is not a terminal.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use nix::sys::signal::SigSet;
use unicode_width::UnicodeWidthStr;

use crate::cmd::table::shorten;
use crate::cmd::{Context, said};
use crate::core::duration::in_words;
use crate::core::escape;
use crate::core::time::Mono;
use crate::os::clock;
use crate::os::terminal::Terminal;

/// Shorter work shows no progress.
const UNSEEN: Duration = Duration::from_millis(500);

/// The interval of updates.
const GAP: Duration = Duration::from_millis(100);

/// The line.
#[derive(Debug)]
pub(crate) struct Progress {
    is_shown: bool,
    /// The width of the current line.
    width: usize,
    next_at: Mono,
}

impl Progress {
    /// Starts a line, unless told to be quiet.
    pub(crate) fn of(context: &Context) -> Self {
        let is_shown = !context.global.quiet && Terminal::of(&io::stderr()).is_some();
        Self { is_shown, width: 0, next_at: clock::now().mono + UNSEEN }
    }

    /// Returns whether the next update is due.
    pub(crate) fn is_due(&self) -> bool {
        self.is_shown && self.next_at <= clock::now().mono
    }

    /// Shows `text` if the next update is due.
    pub(crate) fn tick(&mut self, text: impl FnOnce() -> String) {
        if self.is_due() {
            self.show(&text());
        }
    }

    /// Shows a text.
    pub(crate) fn show(&mut self, text: &str) {
        let Some(terminal) = Terminal::of(&io::stderr()).filter(|_| self.is_shown) else {
            return;
        };
        self.next_at = clock::now().mono + GAP;
        // A text in the last column would begin a new line.
        self.write(&shorten(&escape::text(text), terminal.width.saturating_sub(1)));
    }

    /// Removes the line, so that others can write there.
    pub(crate) fn clear(&mut self) {
        if self.width > 0 {
            self.write("");
        }
    }

    fn write(&mut self, text: &str) {
        let width = text.width();
        let blanks = " ".repeat(self.width.saturating_sub(width));
        said::over(&format!("{text}{blanks}\r{text}"));
        self.width = width;
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Runs work that cannot report its progress, and shows how long it has taken so far.
pub(crate) fn during<T>(context: &Context, what: &str, work: impl FnOnce() -> T) -> T {
    let mut progress = Progress::of(context);
    if !progress.is_shown {
        return work();
    }
    let begin = clock::now().mono;
    let (done, is_done) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            // They are for the thread that works, which keeps some away from a transaction.
            let _ = SigSet::all().thread_block();
            while is_done.recv_timeout(GAP) == Err(RecvTimeoutError::Timeout) {
                let seconds = clock::now().mono.since(begin).as_secs();
                progress.tick(|| format!("{what} ({})", in_words(Duration::from_secs(seconds))));
            }
        });
        let answer = work();
        drop(done);
        answer
    })
}
