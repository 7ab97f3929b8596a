//! Words for a POSIX shell.

/// A word as it is where every character is plain to the caller's reader, else in single quotes.
pub(crate) fn quote(word: &str, is_plain: impl Fn(char) -> bool) -> String {
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
