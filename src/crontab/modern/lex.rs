//! Splits a shell text into words, redirections and operators, as far as they are certain. Expands
//! nothing.

/// The kind of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A word, with its quotes.
    Word,
    /// `>`, `2>&1` and the like, with the file.
    Redirection,
    /// `&&`.
    And,
    /// `|`.
    Pipe,
    /// `;`.
    Then,
    /// `||`, `&`, parentheses: operators after which a part depends on more than the one before.
    Other,
}

/// A piece and its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'t> {
    /// Its kind.
    pub(super) kind: Kind,
    /// Its text.
    pub(super) text: &'t str,
    /// The offset of its first byte.
    pub(super) start: usize,
}

impl<'t> Token<'t> {
    /// Returns the text of a word without expansions.
    pub(super) fn plain(&self) -> Option<&'t str> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./:@+,-=".contains(c);
        (self.kind == Kind::Word && self.text.chars().all(is_plain)).then_some(self.text)
    }

    /// Returns the file that a redirection sends standard output to, and whether it appends.
    pub(super) fn output(&self) -> Option<(&'t str, bool)> {
        let text = self.text.strip_prefix('1').unwrap_or(self.text).strip_prefix('>')?;
        let appended = text.strip_prefix('>');
        let file = appended.unwrap_or(text).trim_start();
        let is_file = self.kind == Kind::Redirection && !file.starts_with(['&', '|']);
        is_file.then_some((file, appended.is_some()))
    }

    /// Returns whether it redirects anything but standard input.
    pub(super) fn redirects_output(&self) -> bool {
        self.kind == Kind::Redirection && !self.text.starts_with('<')
    }
}

/// Splits a text; `None` if that is uncertain: comments, several lines, here-documents, unclosed
/// quotes.
pub(super) fn lex(text: &str) -> Option<Vec<Token<'_>>> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let (kind, end) = match byte {
            b' ' | b'\t' => {
                at += 1;
                continue;
            }
            b'\n' | b'#' => return None,
            b'&' if bytes.get(at + 1) == Some(&b'&') => (Kind::And, at + 2),
            b'|' if !matches!(bytes.get(at + 1), Some(b'|' | b'&')) => (Kind::Pipe, at + 1),
            b';' if bytes.get(at + 1) != Some(&b';') => (Kind::Then, at + 1),
            b'|' | b';' if bytes.get(at + 1).is_some() => (Kind::Other, at + 2),
            b'&' | b'(' | b')' | b';' | b'|' => (Kind::Other, at + 1),
            b'<' | b'>' => (Kind::Redirection, redirection(bytes, at)?),
            _ => word_or_redirection(bytes, at)?,
        };
        tokens.push(Token { kind, text: text.get(at..end)?, start: at });
        at = end;
    }
    Some(tokens)
}

/// A word, unless it is the descriptor of a redirection.
fn word_or_redirection(bytes: &[u8], at: usize) -> Option<(Kind, usize)> {
    let end = word(bytes, at)?;
    let is_number = bytes.get(at..end)?.iter().all(u8::is_ascii_digit);
    if is_number && matches!(bytes.get(end), Some(b'<' | b'>')) {
        return Some((Kind::Redirection, redirection(bytes, end)?));
    }
    Some((Kind::Word, end))
}

/// The end of a redirection whose operator begins at a byte.
fn redirection(bytes: &[u8], at: usize) -> Option<usize> {
    let mut end = at + 1;
    match (bytes.get(at)?, bytes.get(end)) {
        (b'<', Some(b'<')) | (_, Some(b'(')) => return None,
        (b'>', Some(b'>' | b'&' | b'|')) | (b'<', Some(b'&' | b'>')) => end += 1,
        _ => {}
    }
    while matches!(bytes.get(end), Some(b' ' | b'\t')) {
        end += 1;
    }
    word(bytes, end).filter(|word_end| *word_end > end)
}

/// The end of a word.
fn word(bytes: &[u8], mut at: usize) -> Option<usize> {
    while let Some(&byte) = bytes.get(at) {
        at = match byte {
            b' ' | b'\t' | b'\n' | b'&' | b'|' | b';' | b'<' | b'>' | b'(' | b')' => break,
            _ => piece(bytes, at)?,
        };
    }
    Some(at)
}

/// The end of a character of a word, or of what is quoted or expanded there.
fn piece(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at)? {
        b'\\' => bytes.get(at + 1).map(|_| at + 2),
        b'\'' => Some(at + 2 + bytes.get(at + 1..)?.iter().position(|byte| *byte == b'\'')?),
        b'"' => until(bytes, at + 1, b'"'),
        b'`' => until(bytes, at + 1, b'`'),
        b'$' if bytes.get(at + 1) == Some(&b'(') => until(bytes, at + 2, b')'),
        b'$' if bytes.get(at + 1) == Some(&b'{') => until(bytes, at + 2, b'}'),
        _ => Some(at + 1),
    }
}

/// What follows the byte that ends a quote or an expansion.
fn until(bytes: &[u8], mut at: usize, close: u8) -> Option<usize> {
    while let Some(&byte) = bytes.get(at) {
        at = match byte {
            _ if byte == close => return Some(at + 1),
            b'\'' if close == b'"' => at + 1,
            b'(' if close == b')' => until(bytes, at + 1, b')')?,
            _ => piece(bytes, at)?,
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Option<Vec<(Kind, &str)>> {
        Some(lex(text)?.into_iter().map(|token| (token.kind, token.text)).collect())
    }

    #[test]
    fn a_text_is_taken_apart() {
        use Kind::{And, Other, Pipe, Redirection, Then, Word};
        let text = r#"a 'b c'"$(d "e)" f)"\ g&&h|i;j || k & >> /l 2>&1 2> m $((1 % (2))) `n o`"#;
        let wanted = vec![
            (Word, "a"),
            (Word, r#"'b c'"$(d "e)" f)"\ g"#),
            (And, "&&"),
            (Word, "h"),
            (Pipe, "|"),
            (Word, "i"),
            (Then, ";"),
            (Word, "j"),
            (Other, "||"),
            (Word, "k"),
            (Other, "&"),
            (Redirection, ">> /l"),
            (Redirection, "2>&1"),
            (Redirection, "2> m"),
            (Word, "$((1 % (2)))"),
            (Word, "`n o`"),
        ];
        assert_eq!(kinds(text), Some(wanted));
    }

    #[test]
    fn what_is_not_certain_is_not_taken_apart() {
        for text in
            ["a 'b", "a \"b", "a $(b", "a `b", "a \\", "a << b", "a <(b)", "a\nb", "a # b", "a >"]
        {
            assert_eq!(kinds(text), None, "{text}");
        }
    }
}
