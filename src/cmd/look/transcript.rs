//! Prints output of commands: unchanged to a file or pipe, escaped to a terminal, with a note where
//! some was not kept.

use crate::cmd::{Context, Out, Result, Style};
use crate::core::escape;
use crate::facts::pieces::Piece;

/// A writer of output: unchanged, or escaped for a terminal by whole characters.
#[derive(Debug, Default)]
pub(crate) struct Transcript {
    is_escaped: bool,
    /// Whether to end an open last line.
    ends_line: bool,
    /// The prefix of each line, if several runs are shown together.
    prefix: String,
    /// An incomplete character or, with a prefix, an incomplete line.
    pending: Vec<u8>,
    is_line_open: bool,
}

impl Transcript {
    /// Prints output of one attempt; unchanged even to a terminal if `is_raw`.
    pub(crate) fn new(out: &Out, is_raw: bool) -> Self {
        let (is_escaped, ends_line) = (out.is_terminal() && !is_raw, out.is_terminal());
        Self { is_escaped, ends_line, ..Self::default() }
    }

    /// Output to a descriptor.
    pub(crate) fn on(is_escaped: bool) -> Self {
        Self { is_escaped, ends_line: is_escaped, ..Self::default() }
    }

    /// Adds a prefix to each line; then only whole lines are printed.
    pub(crate) fn prefixed(self, prefix: String) -> Self {
        let ends_line = self.ends_line || !prefix.is_empty();
        Self { prefix, ends_line, ..self }
    }

    /// Prints pieces. Reports missing output in place on a terminal, otherwise on standard error.
    pub(crate) fn print(
        &mut self,
        pieces: &[Piece],
        context: &Context,
        out: &mut Out,
    ) -> Result<()> {
        for piece in pieces {
            if piece.left_out > 0 {
                self.say_left_out(piece.left_out, context, out)?;
            }
            out.bytes(&self.take(&piece.bytes))?;
        }
        Ok(())
    }

    /// Prints what is still held back.
    pub(crate) fn print_end(&mut self, out: &mut Out) -> Result<()> {
        out.bytes(&self.end())
    }

    /// Takes new bytes and returns what to write now.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.pending.extend_from_slice(bytes);
        let ready = match (self.prefix.is_empty(), self.is_escaped) {
            (false, _) => whole_lines(&self.pending),
            (true, true) => whole_characters(&self.pending),
            (true, false) => self.pending.len(),
        };
        let rest = self.pending.split_off(ready);
        let ready = std::mem::replace(&mut self.pending, rest);
        self.shown(&ready)
    }

    /// Returns what to write at the end.
    pub(crate) fn end(&mut self) -> Vec<u8> {
        let pending = std::mem::take(&mut self.pending);
        let mut shown = self.shown(&pending);
        if self.ends_line && std::mem::take(&mut self.is_line_open) {
            shown.push(b'\n');
        }
        shown
    }

    fn say_left_out(&mut self, count: u64, context: &Context, out: &mut Out) -> Result<()> {
        let text = format!("{}... {count} bytes left out ...", self.prefix);
        if !out.is_terminal() {
            out.flush()?;
            context.say(&text);
            return Ok(());
        }
        self.print_end(out)?;
        out.line(out.styled(Style::Dim, &text))
    }

    fn shown(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.is_line_open = bytes.last().map_or(self.is_line_open, |last| *last != b'\n');
        let safe = |bytes| match self.is_escaped {
            true => escape::output(bytes).into_owned().into_bytes(),
            false => bytes.to_vec(),
        };
        if self.prefix.is_empty() {
            return safe(bytes);
        }
        let lines = bytes.split_inclusive(|byte| *byte == b'\n');
        lines.flat_map(|line| [self.prefix.clone().into_bytes(), safe(line)].concat()).collect()
    }
}

/// Returns how many bytes end with a complete character; invalid bytes count as complete.
fn whole_characters(bytes: &[u8]) -> usize {
    let begin = bytes.len().saturating_sub(3);
    let is_start = |byte: &u8| *byte >= 0xc0;
    let Some(start) = bytes[begin..].iter().rposition(is_start).map(|index| begin + index) else {
        return bytes.len();
    };
    match std::str::from_utf8(&bytes[start..]) {
        // The end came too early: the character goes on.
        Err(error) if error.error_len().is_none() => start,
        Ok(_) | Err(_) => bytes.len(),
    }
}

/// Returns how many bytes end with a complete line; a very long line is split.
fn whole_lines(bytes: &[u8]) -> usize {
    const LINE_MAX: usize = 64 * 1024;
    match bytes.iter().rposition(|byte| *byte == b'\n') {
        Some(index) => index + 1,
        None if bytes.len() > LINE_MAX => bytes.len(),
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::output::capture;

    fn context() -> Context {
        Context::of_process(crate::cli::Global { quiet: true, ..crate::cli::Global::default() })
    }

    fn printed(width: Option<usize>, prefix: &str, chunks: &[&[u8]]) -> String {
        capture(width, |out| {
            let mut transcript = Transcript::new(out, false).prefixed(prefix.to_owned());
            for chunk in chunks {
                transcript.print(
                    &[Piece { left_out: 0, bytes: chunk.to_vec() }],
                    &context(),
                    out,
                )?;
            }
            transcript.print_end(out)
        })
    }

    #[test]
    fn a_pipe_gets_the_bytes_as_they_are() {
        assert_eq!(printed(None, "", &[b"a\x1b[1m", b"b"]), "a\x1b[1mb");
    }

    #[test]
    fn a_terminal_gets_them_escaped_and_its_line_ended() {
        assert_eq!(printed(Some(80), "", &[b"a\x1b[1m\n", b"b"]), "a\\x1b[1m\nb\n");
    }

    #[test]
    fn a_character_in_two_chunks_is_one_character() {
        assert_eq!(printed(Some(80), "", &[b"\xe6\xbc", b"\xa2\n"]), "漢\n");
        assert_eq!(printed(Some(80), "", &[b"\xe6\xbc"]), "\\xe6\\xbc\n");
        assert_eq!(printed(Some(80), "", &[b"\xff", b"x\n"]), "\\xffx\n");
    }

    #[test]
    fn what_goes_to_a_descriptor_is_escaped_for_a_terminal_only() {
        let shown = |is_escaped, chunks: &[&[u8]]| {
            let mut shown = Transcript::on(is_escaped);
            let mut bytes: Vec<u8> = Vec::new();
            for chunk in chunks {
                bytes.extend(shown.take(chunk));
            }
            bytes.extend(shown.end());
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let chunks: &[&[u8]] = &[b"\x1b[1m\xe6\xbc", b"\xa2\n\xe6"];
        assert_eq!(shown(true, chunks), "\\x1b[1m漢\n\\xe6\n");
        assert_eq!(shown(false, &chunks[..1]), "\x1b[1m\u{fffd}");
    }

    #[test]
    fn lines_of_several_runs_are_kept_whole() {
        assert_eq!(
            printed(None, "a#1 | ", &[b"one\ntw", b"o\nthree"]),
            "a#1 | one\na#1 | two\na#1 | three\n"
        );
    }

    #[test]
    fn a_terminal_is_told_where_output_is_missing() {
        let pieces = [
            Piece { left_out: 0, bytes: b"a".to_vec() },
            Piece { left_out: 9, bytes: b"z\n".to_vec() },
        ];
        let text =
            capture(Some(80), |out| Transcript::new(out, false).print(&pieces, &context(), out));
        assert_eq!(text, "a\n... 9 bytes left out ...\nz\n");
    }
}
