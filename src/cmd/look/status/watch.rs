//! `jobctl status --watch`: redraws the page, and handles the keys that scroll it.

use std::io::{self, Write};
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::Signal;

use crate::cli;
use crate::cmd::look::status::keys::{Room, View, parse};
use crate::cmd::look::status::{Part, print_once};
use crate::cmd::output::Sheet;
use crate::cmd::{Context, Exit, Failure, Out, Result};
use crate::os::poll;
use crate::os::signals::{self, SelfPipe};
use crate::os::terminal::{self, Keys, Terminal};
use crate::store::Store;

/// The interval between two looks.
const EVERY: Duration = Duration::from_secs(1);

/// How long the rest of a key's sequence may take.
const REST_OF_KEY: Duration = Duration::from_millis(50);

/// Erases the line below the page (ECMA-48: EL).
const NO_LINE: &str = "\r\x1b[K";

/// The signals that end or stop this process after the terminal is restored.
const OBEYED: [Signal; 5] =
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGTSTP];

/// Redraws as much of the page as fits each second; without a terminal, prints it again whenever it
/// has changed. Ends with the key `q`, an interrupt, or when the reader of the output goes away.
pub(super) fn watch(context: &Context, args: &cli::Status) -> Result<Exit> {
    let mut version = None;
    let mut view = View::default();
    let mut typist = match screen() {
        Some(_) => Typist::of_stdin().context("the terminal")?,
        None => None,
    };
    loop {
        let context = Context::of_process(context.global.clone());
        let store = context.open_if_there()?;
        let screen = screen();
        let supervised = context.is_supervised()?;
        let current = store.as_ref().map(Store::stamp).transpose()?;
        let is_news = version.replace((current, supervised)) != Some((current, supervised));
        if screen.is_some() || is_news {
            // The last line is where the cursor stays.
            let lines_max = screen.and_then(|screen| screen.height).map(|rows| rows - 1);
            let part = Part { lines_max: view.lines_max(lines_max), jobs: view.part() };
            let (page, has_color) = page(&context, (args, &part), store.as_ref())?;
            let line = typist.as_ref().map(|_| view.line(has_color)).unwrap_or_default();
            write(&match screen {
                Some(Terminal { width, .. }) => {
                    view.compose(&page, Room { width, rows: lines_max }, &line)
                }
                None => format!("{page}\n"),
            })?;
        }
        drop(store);
        let is_over = match &mut typist {
            Some(typist) => typist.wait(&mut view).context("the terminal")?,
            None => poll::wait(&mut [], Some(EVERY)).map(|_| false).context("cannot wait")?,
        };
        if is_over {
            write(NO_LINE)?;
            return Ok(Exit::Done);
        }
    }
}

/// Returns the terminal, if it can be redrawn.
fn screen() -> Option<Terminal> {
    Terminal::of(&io::stdout()).filter(|_| terminal::obeys_sequences())
}

/// Renders the current page.
fn page(
    context: &Context,
    what: (&cli::Status, &Part<'_>),
    store: Option<&Store>,
) -> Result<(String, bool)> {
    let sheet = Sheet::default();
    let standard = Out::standard(&context.global);
    let mut out = standard.onto(Box::new(sheet.clone()));
    drop(standard);
    print_once(context, what, store, &mut out)?;
    out.flush()?;
    Ok((sheet.text(), out.has_color))
}

fn write(text: &str) -> Result<()> {
    let mut lock = io::stdout().lock();
    let written = lock.write_all(text.as_bytes()).and_then(|()| lock.flush());
    written.map_err(|error| Failure::of_output(&error))
}

/// The keyboard of a terminal.
struct Typist {
    keys: Keys,
    signals: SelfPipe,
    /// The beginning of a key.
    pending: Vec<u8>,
}

impl Typist {
    /// `None` if standard input is not a terminal.
    fn of_stdin() -> io::Result<Option<Self>> {
        let Some(keys) = Keys::of(&io::stdin())? else {
            return Ok(None);
        };
        let others = [Signal::SIGCONT, Signal::SIGWINCH];
        let signals = SelfPipe::install(&[&OBEYED[..], &others].concat())?;
        Ok(Some(Self { keys, signals, pending: Vec::new() }))
    }

    /// Waits until the page has to be redrawn; returns whether the user quit instead.
    fn wait(&mut self, view: &mut View) -> io::Result<bool> {
        let timeout = if self.pending.is_empty() { EVERY } else { REST_OF_KEY };
        let mut fds = vec![poll::readable(self.signals.fd())];
        fds.extend(self.keys.fd().map(poll::readable));
        let ready = poll::wait(&mut fds, Some(timeout))?;
        let [is_signalled, is_typed] = [0, 1].map(|nth| fds.get(nth).is_some_and(poll::is_ready));
        if ready > 0 && is_signalled {
            self.obey()?;
        }
        if ready > 0 && is_typed {
            let bytes = self.keys.read()?;
            if bytes.is_empty() {
                return Ok(true);
            }
            self.pending.extend(bytes);
        } else if !self.pending.is_empty() {
            // Nothing follows, so an incomplete sequence is dropped.
            self.pending.push(0);
        }
        let (keys, len) = parse(&self.pending);
        self.pending.drain(..len);
        Ok(keys.into_iter().any(|key| view.press(key)))
    }

    fn obey(&self) -> io::Result<()> {
        let signals = self.signals.take()?;
        for signal in signals.iter().filter(|signal| OBEYED.contains(signal)) {
            // If the reader has gone away, there is nothing to erase.
            let _ = write(NO_LINE);
            terminal::give_back();
            signals::obey(*signal)?;
        }
        // After a stop, which may have been by a signal that cannot be handled.
        self.keys.take()
    }
}
