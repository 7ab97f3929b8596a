//! `jobctl status --watch`: the page again and again.

use anyhow::Context as _;
use std::io::{self, Write};
use std::time::Duration;

use crate::cli;
use crate::cmd::look::status::print_once;
use crate::cmd::output::Sheet;
use crate::cmd::{Context, Exit, Failure, Out, Result};
use crate::os::poll;
use crate::os::terminal::{self, Terminal};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);

/// To the first cell of the screen; the rest of a line, and of the screen, is empty (ECMA-48: CUP,
/// EL, ED). What is there is written over, not taken away first, so that nothing flickers.
const HOME: &str = "\x1b[H";
const LINE_END: &str = "\x1b[K\n";
const END: &str = "\x1b[J";

/// Prints the page each second over the one before, as much as fits; where nothing can be printed
/// over, below it when something has changed. Ends when it is interrupted, or when nobody reads any
/// more.
pub(super) fn watch(context: &Context, args: &cli::Status) -> Result<Exit> {
    let mut version = None;
    loop {
        let context = Context::of_process(context.global.clone());
        let store = context.open_if_there()?;
        let stdout = io::stdout();
        let screen = Terminal::of(&stdout).filter(|_| terminal::obeys_sequences());
        let supervised = context.is_supervised()?;
        let current = store.as_ref().map(crate::store::Store::stamp).transpose()?;
        let is_news = version.replace((current, supervised)) != Some((current, supervised));
        if screen.is_some() || is_news {
            let sheet = Sheet::default();
            let standard = Out::standard(&context.global);
            let mut out = standard.onto(Box::new(sheet.clone()));
            drop(standard);
            // The last line is where the cursor stays.
            let lines_max = screen.and_then(|screen| screen.height).map(|rows| rows - 1);
            print_once(&context, args, (store.as_ref(), lines_max), &mut out)?;
            out.flush()?;
            let page = sheet.text();
            let shown = match screen {
                Some(_) => over(&page, lines_max),
                None => format!("{page}\n"),
            };
            let mut lock = stdout.lock();
            lock.write_all(shown.as_bytes())
                .and_then(|()| lock.flush())
                .map_err(|error| Failure::of_output(&error))?;
        }
        drop(store);
        poll::wait(&mut [], Some(EVERY)).context("cannot wait")?;
    }
}

/// The page as it is written over the one before; where it has more lines than there is room for,
/// the last one says how many.
fn over(page: &str, lines_max: Option<usize>) -> String {
    let mut lines: Vec<&str> = page.lines().collect();
    let max = lines_max.unwrap_or(usize::MAX).max(1);
    let more = (lines.len() + 1).checked_sub(max).filter(|more| *more > 1);
    let more = more.map(|more| format!("... {more} more lines"));
    if let Some(more) = &more {
        lines.truncate(max - 1);
        lines.push(more);
    }
    let lines: String = lines.iter().flat_map(|line| [*line, LINE_END]).collect();
    format!("{HOME}{lines}{END}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_written_over_and_says_what_the_screen_has_no_room_for() {
        let shown = |page: &str, max| over(page, max).replace(LINE_END, "|");
        assert_eq!(shown("a\nb\nc\n", Some(3)), format!("{HOME}a|b|c|{END}"));
        assert_eq!(shown("a\nb\nc\nd\n", Some(3)), format!("{HOME}a|b|... 2 more lines|{END}"));
        assert_eq!(shown("a\n", None), format!("{HOME}a|{END}"));
        assert_eq!(shown("", Some(0)), format!("{HOME}{END}"));
    }
}
