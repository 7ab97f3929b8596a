//! Words for a POSIX shell.

/// A word as it is where every character is plain to the caller's reader, else in single quotes.
pub(crate) fn quote(word: &str, is_plain: impl Fn(char) -> bool) -> String {
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_quoted_unless_all_of_it_is_plain() {
        for (word, quoted) in
            [("plain", "plain"), ("", "''"), ("a b", "'a b'"), ("it's", r"'it'\''s'")]
        {
            assert_eq!(quote(word, |c| c.is_ascii_alphanumeric()), quoted);
        }
    }
}
