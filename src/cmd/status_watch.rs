//! `jobctl status --watch`: the page again and again.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::Duration;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Out;
use super::status::print_once;
use crate::cli;
use crate::os::poll;
use crate::os::terminal::{self, Terminal};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);

/// To the first cell of the screen, and all behind it empty (ECMA-48: CUP, ED).
const HOME: &str = "\x1b[H\x1b[J";

/// A page that is not printed yet.
#[derive(Clone, Default)]
struct Sheet(Rc<RefCell<Vec<u8>>>);

impl Write for Sheet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Prints the page each second over the one before, as much as fits; where nothing can be printed over, below it when something has
/// changed. Ends when it is interrupted, or when nobody reads any more.
pub(super) fn watch(context: &Context, args: &cli::Status) -> Result<Exit, Failure> {
    let mut version = None;
    loop {
        let context = Context::of_process(context.global.clone());
        let store = context.open_read()?;
        let stdout = io::stdout();
        let screen = Terminal::of(&stdout).filter(|_| terminal::obeys_sequences());
        let supervised = context.is_supervised()?;
        let current = store.as_ref().map(crate::store::Store::stamp).transpose()?;
        let is_news = version.replace((current, supervised)) != Some((current, supervised));
        if screen.is_some() || is_news {
            let sheet = Sheet::default();
            let standard = Out::standard(context.global.color);
            let mut out = Out::over(Box::new(sheet.clone()), standard.width, standard.has_color);
            drop(standard);
            print_once(&context, args, store.as_ref(), &mut out)?;
            out.flush()?;
            drop(out);
            let page = sheet.0.borrow();
            let bytes = match screen {
                Some(screen) => [HOME.as_bytes(), fitting(&page, screen.height)].concat(),
                None => [&page[..], b"\n"].concat(),
            };
            let mut lock = stdout.lock();
            lock.write_all(&bytes)
                .and_then(|()| lock.flush())
                .map_err(|error| Failure::of_output(&error))?;
        }
        drop(store);
        poll::wait(&mut [], Some(EVERY))
            .map_err(|error| Failure::system(format!("cannot wait: {error}")))?;
    }
}

/// As many lines of a page as a screen of this height shows, without the last line's end.
fn fitting(page: &[u8], height: Option<usize>) -> &[u8] {
    let page = page.strip_suffix(b"\n").unwrap_or(page);
    let Some(height) = height else {
        return page;
    };
    let mut ends = page.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    match ends.nth(height.saturating_sub(1)) {
        Some((end, _)) => &page[..end],
        None => page,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_cut_where_the_screen_ends() {
        assert_eq!(fitting(b"a\nb\nc\n", Some(2)), b"a\nb");
        assert_eq!(fitting(b"a\nb\nc\n", Some(3)), b"a\nb\nc");
        assert_eq!(fitting(b"a\nb\n", None), b"a\nb");
        assert_eq!(fitting(b"", Some(1)), b"");
    }
}
