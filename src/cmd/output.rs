//! Checked standard output: a failed write is a [`Failure`], never a panic and never silent.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io::{self, BufWriter, Write};
use std::rc::Rc;

use serde::Serialize;

use crate::cli::{Color, Global};
use crate::cmd::{Exit, Failure, Result};
use crate::core::escape;
pub(crate) use crate::core::style::Style;
use crate::os::terminal::Terminal;

/// The only way to standard output.
pub(crate) struct Out {
    sink: BufWriter<Box<dyn Write>>,
    /// The width of a line; `None` if the output is not a terminal.
    pub(crate) width: Option<usize>,
    /// Whether output may be coloured.
    pub(crate) has_color: bool,
    /// Whether programs read it: then it is only JSON.
    pub(crate) is_json: bool,
}

/// Buffered output.
#[derive(Clone, Default)]
pub(crate) struct Sheet(Rc<RefCell<Vec<u8>>>);

impl Sheet {
    /// The bytes written to it.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.borrow()).into_owned()
    }
}

impl Write for Sheet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns whether to colour output, depending on whether it is a terminal.
pub(crate) fn has_color(wanted: Color, terminal: Option<Terminal>) -> bool {
    match wanted {
        Color::Auto => terminal.is_some_and(|terminal| terminal.has_color),
        Color::Always => true,
        Color::Never => false,
    }
}

impl Out {
    /// Writes to the process's standard output.
    pub(crate) fn standard(global: &Global) -> Self {
        let stdout = io::stdout();
        let terminal = Terminal::of(&stdout);
        let has_color = has_color(global.color, terminal);
        let width = terminal.map(|terminal| terminal.width);
        Self { is_json: global.json, ..Self::over(Box::new(stdout.lock()), width, has_color) }
    }

    /// Makes output with the same properties for another sink.
    pub(crate) fn onto(&self, sink: Box<dyn Write>) -> Self {
        Self { is_json: self.is_json, ..Self::over(sink, self.width, self.has_color) }
    }

    fn over(sink: Box<dyn Write>, width: Option<usize>, has_color: bool) -> Self {
        let sink = BufWriter::with_capacity(1 << 16, sink);
        Self { sink, width, has_color, is_json: false }
    }

    /// Prints an answer: as JSON for programs, else by `text`. This is the only place that chooses
    /// between the two.
    pub(crate) fn answer(
        &mut self,
        facts: &impl Serialize,
        text: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<Exit> {
        self.answers(std::slice::from_ref(facts), text)
    }

    /// Prints a list like [`Self::answer`]; in JSON, one object per line.
    pub(crate) fn answers(
        &mut self,
        list: &[impl Serialize],
        text: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<Exit> {
        if self.is_json {
            for facts in list {
                let value = serde_json::to_value(facts);
                self.json(&value.map_err(|error| Failure::of_output(&error.into()))?)?;
            }
        } else {
            text(self)?;
        }
        Ok(Exit::Done)
    }

    /// Returns whether it is a terminal.
    pub(crate) fn is_terminal(&self) -> bool {
        self.width.is_some()
    }

    /// Returns the text in a style, if colours are on.
    pub(crate) fn styled<'t>(&self, style: Style, text: &'t str) -> Cow<'t, str> {
        style.paint(text, self.has_color)
    }

    /// Writes a line.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) -> Result<()> {
        self.bytes(text.as_ref().as_bytes())?;
        self.bytes(b"\n")
    }

    /// Writes lines with untrusted text: on a terminal, control characters are escaped.
    pub(crate) fn text(&mut self, text: &str) -> Result<()> {
        if self.is_terminal() {
            self.bytes(escape::lines(text).as_bytes())
        } else {
            self.bytes(text.as_bytes())
        }
    }

    /// Writes bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.sink.write_all(bytes).map_err(|error| Failure::of_output(&error))
    }

    /// Writes a JSON value as one line. JSON itself escapes less than a terminal needs.
    fn json(&mut self, value: &serde_json::Value) -> Result<()> {
        if self.is_terminal() {
            return self.line(escape::json(&value.to_string()));
        }
        serde_json::to_writer(&mut self.sink, value)
            .map_err(|error| Failure::of_output(&error.into()))?;
        self.bytes(b"\n")
    }

    /// Flushes the buffer. Must be called before the process ends.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.sink.flush().map_err(|error| Failure::of_output(&error))
    }
}

/// Returns what `print` prints at this width, for tests of commands.
#[cfg(test)]
pub(crate) fn capture(width: Option<usize>, print: impl FnOnce(&mut Out) -> Result<()>) -> String {
    let (mut reader, writer) = io::pipe().unwrap();
    let mut out = Out::over(Box::new(writer), width, false);
    print(&mut out).unwrap();
    out.flush().unwrap();
    drop(out);
    let mut text = String::new();
    io::Read::read_to_string(&mut reader, &mut text).unwrap();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Full;

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::from_raw_os_error(nix::libc::ENOSPC))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_is_a_failure_at_the_latest_when_flushing() {
        let mut out = Out::over(Box::new(Full), None, false);
        assert!(out.line("fits into the buffer").is_ok());
        assert_eq!(out.flush().map_err(|failure| failure.code), Err(Exit::System));
    }

    #[test]
    fn colour_is_written_only_where_it_is_wanted() {
        let out = Out::over(Box::new(io::sink()), Some(80), true);
        assert_eq!(out.styled(Style::Bad, "failed"), "\x1b[31mfailed\x1b[0m");
        assert_eq!(out.styled(Style::Plain, "x"), "x");
        let out = Out::over(Box::new(io::sink()), None, false);
        assert_eq!(out.styled(Style::Bad, "failed"), "failed");
    }
}
