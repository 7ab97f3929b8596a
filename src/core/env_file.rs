//! Files of `NAME=value` lines, as systemd reads them (systemd.exec(5), `EnvironmentFile=`):
//! comments, quotes, continued lines.

/// Names and values, as bytes: neither need be UTF-8.
pub(crate) type Variables = Vec<(Vec<u8>, Vec<u8>)>;

/// A line that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EnvFileError {
    /// Its number, from 1.
    pub(crate) line: usize,
    /// What is wrong with it.
    pub(crate) message: &'static str,
}

/// Reads the lines of a file, in order; a later one of the same name wins.
///
/// Empty lines and lines that begin with `#` or `;` are left out. A value may stand in single or
/// double quotes; outside of single quotes a backslash takes the next character as it is, and a
/// backslash at the end of a line goes on with the next one.
pub(crate) fn parse(bytes: &[u8]) -> Result<Variables, EnvFileError> {
    let mut variables = Vec::new();
    let mut reader = Reader { bytes, at: 0, line: 1 };
    while reader.at < bytes.len() {
        reader.skip_blanks();
        match reader.peek() {
            None => break,
            Some(b'\n') => reader.advance(),
            Some(b'#' | b';') => reader.skip_line(),
            Some(_) => variables.push(reader.assignment()?),
        }
    }
    Ok(variables)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn advance(&mut self) {
        if self.peek() == Some(b'\n') {
            self.line += 1;
        }
        self.at += 1;
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    fn skip_line(&mut self) {
        while !matches!(self.peek(), None | Some(b'\n')) {
            self.at += 1;
        }
    }

    fn error(&self, message: &'static str) -> EnvFileError {
        EnvFileError { line: self.line, message }
    }

    fn assignment(&mut self) -> Result<(Vec<u8>, Vec<u8>), EnvFileError> {
        let begin = self.at;
        while matches!(self.peek(), Some(b) if b.is_ascii_alphanumeric() || b == b'_') {
            self.at += 1;
        }
        let name = self.bytes[begin..self.at].to_vec();
        self.skip_blanks();
        if name.is_empty() || name[0].is_ascii_digit() || self.peek() != Some(b'=') {
            return Err(self.error("is not NAME=value"));
        }
        self.advance();
        self.skip_blanks();
        let value = self.value()?;
        if value.contains(&0) {
            return Err(self.error("contains a NUL"));
        }
        Ok((name, value))
    }

    fn value(&mut self) -> Result<Vec<u8>, EnvFileError> {
        let mut value = Vec::new();
        // Blanks at the end of an unquoted value do not belong to it; quoted ones do.
        let mut solid = 0;
        loop {
            match self.peek() {
                None | Some(b'\n') => break,
                Some(quote @ (b'\'' | b'"')) => {
                    self.advance();
                    self.quoted(quote, &mut value)?;
                    solid = value.len();
                }
                Some(b'\\') => {
                    self.advance();
                    self.escaped(&mut value);
                    solid = value.len();
                }
                Some(byte) => {
                    value.push(byte);
                    if !matches!(byte, b' ' | b'\t' | b'\r') {
                        solid = value.len();
                    }
                    self.advance();
                }
            }
        }
        value.truncate(solid);
        Ok(value)
    }

    fn quoted(&mut self, quote: u8, value: &mut Vec<u8>) -> Result<(), EnvFileError> {
        let opened = self.error("has an unclosed quote");
        loop {
            match self.peek() {
                None => return Err(opened),
                Some(byte) if byte == quote => {
                    self.advance();
                    return Ok(());
                }
                Some(b'\\') if quote == b'"' => {
                    self.advance();
                    self.escaped(value);
                }
                Some(byte) => {
                    value.push(byte);
                    self.advance();
                }
            }
        }
    }

    /// What stands behind a backslash: the character itself, or nothing if it is the end of the
    /// line.
    fn escaped(&mut self, value: &mut Vec<u8>) {
        if let Some(byte) = self.peek() {
            if byte != b'\n' {
                value.push(byte);
            }
            self.advance();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_systemd_reads_them() {
        let text = "# comment\n; other\n\nA=1\n B = two words  \nC='it is # \\n'\nD=\"a \\\"b\\\" $X\"\nE=a\\\nb\nF=\nG=x'y'\"z\"";
        let expected = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "it is # \\n"),
            ("D", "a \"b\" $X"),
            ("E", "ab"),
            ("F", ""),
            ("G", "xyz"),
        ];
        let got = parse(text.as_bytes()).unwrap();
        let expected: Vec<(Vec<u8>, Vec<u8>)> =
            expected.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn what_is_no_assignment_is_named_by_its_line() {
        for (text, line) in [
            ("A=1\nB\n", 2),
            ("=x", 1),
            ("1A=x", 1),
            ("A=1\nB='x\ny", 2),
            ("export A=1", 1),
            ("A=\0", 1),
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap_err().line, line, "{text}");
        }
    }
}
