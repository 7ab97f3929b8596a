//! What lines of a finder's standard output may be, before they become runs of another job
//! (jobctl.toml(5), `feeds`).

/// So many lines that are not empty.
pub(crate) const LINES_MAX: u64 = 1_000_000;

/// So many bytes in all.
pub(crate) const BYTES_MAX: u64 = 256 << 20;

/// So many bytes in a line, its end not counted: `MAX_ARG_STRLEN` of Linux is 131,072 with the NUL
/// that ends it.
pub(crate) const LINE_MAX: u64 = 131_071;

/// Counts lines as they come, in pieces of any size.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lines {
    /// Bytes so far.
    pub(crate) bytes: u64,
    /// Lines that have begun, empty ones included.
    begun: u64,
    /// Lines that are not empty.
    filled: u64,
    /// Bytes of the line that has not ended.
    line_len: u64,
}

impl Lines {
    /// Counts a piece. Errs with the reason why it makes no runs.
    pub(crate) fn take(&mut self, piece: &[u8]) -> Result<(), String> {
        self.bytes += piece.len() as u64;
        if self.bytes > BYTES_MAX {
            let max = BYTES_MAX >> 20;
            return Err(format!("standard output: more than {max} MiB"));
        }
        for (index, part) in piece.split(|byte| *byte == b'\n').enumerate() {
            if index > 0 {
                self.begun += 1;
                self.line_len = 0;
            }
            self.part(part)?;
        }
        Ok(())
    }

    fn part(&mut self, part: &[u8]) -> Result<(), String> {
        let number = self.begun + 1;
        if self.line_len == 0 && !part.is_empty() {
            self.filled += 1;
        }
        self.line_len += part.len() as u64;
        if self.line_len > LINE_MAX {
            return Err(format!("standard output: line {number} is longer than {LINE_MAX} bytes"));
        }
        if part.contains(&0) {
            return Err(format!("standard output: line {number} contains a NUL"));
        }
        if self.filled > LINES_MAX {
            return Err(format!("standard output: more than {LINES_MAX} lines"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_any_size_count_the_same() {
        let text = b"one\n\n\ntwo\nthree";
        for size in 1..=text.len() {
            let mut lines = Lines::default();
            for piece in text.chunks(size) {
                assert_eq!(lines.take(piece), Ok(()));
            }
            assert_eq!((lines.bytes, lines.filled, lines.begun), (15, 3, 4));
        }
    }

    #[test]
    fn the_last_byte_that_is_allowed_is_taken() {
        let mut lines = Lines { bytes: BYTES_MAX - 1, ..Lines::default() };
        assert_eq!(lines.take(b"x"), Ok(()));
        assert_eq!(lines.take(b"x"), Err("standard output: more than 256 MiB".to_owned()));
    }

    #[test]
    fn what_no_command_can_take_is_named_by_its_line() {
        let long = vec![b'x'; 65_536];
        let mut lines = Lines::default();
        assert_eq!(lines.take(b"\n"), Ok(()));
        assert_eq!(lines.take(&long), Ok(()));
        assert_eq!(lines.take(&long[..65_535]), Ok(()));
        let error = lines.take(b"x").unwrap_err();
        assert_eq!(error, "standard output: line 2 is longer than 131071 bytes");
        let error = Lines::default().take(b"a\nb\0").unwrap_err();
        assert_eq!(error, "standard output: line 2 contains a NUL");
    }

    #[test]
    fn there_is_a_most_of_lines_and_of_bytes() {
        let mut lines = Lines::default();
        assert_eq!(lines.take(&b"x\n".repeat(1_000_000)), Ok(()));
        assert_eq!(lines.take(b"\n\n"), Ok(()));
        assert!(lines.take(b"x").unwrap_err().contains("1000000 lines"));
        let mut lines = Lines { bytes: BYTES_MAX, ..Lines::default() };
        assert!(lines.take(b"\n").unwrap_err().contains("256 MiB"));
    }
}
