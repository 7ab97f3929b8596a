//! Environment lines of a crontab (load_env of Vixie's env.c).

/// Parses a line as `NAME = value`; `None` if cron reads it as something else.
///
/// `NAME=` without a value is an empty value for cronie; Debian's cron refuses it, see
/// [`is_bare`].
pub(super) fn read(line: &str) -> Option<(String, String)> {
    let (name, rest) = name(line)?;
    let rest = rest.trim_start_matches(is_space).strip_prefix('=')?;
    let rest = rest.trim_start_matches(is_space);
    let value = match rest.chars().next() {
        Some(quote @ ('\'' | '"')) => {
            let (value, after) = rest.get(1..)?.split_once(quote)?;
            if !after.trim_start_matches(is_space).is_empty() {
                return None;
            }
            value
        }
        Some(_) | None => rest.trim_end_matches(is_space),
    };
    Some((name.to_owned(), unquote(value).to_owned()))
}

/// Returns whether nothing follows `=`.
pub(super) fn is_bare(line: &str) -> bool {
    line.trim_end_matches(is_space).ends_with('=')
}

fn name(line: &str) -> Option<(&str, &str)> {
    if let Some(quote @ ('\'' | '"')) = line.chars().next() {
        let (name, rest) = line.get(1..)?.split_once(quote)?;
        return (!name.contains('=')).then_some((name, rest));
    }
    let end = line.find(|c| c == '=' || is_space(c))?;
    Some(line.split_at(end))
}

/// Blanks at the end go, even within quotes, and so do quotes within quotes.
fn unquote(value: &str) -> &str {
    let trimmed = value.trim_end_matches(is_space);
    let inner = ['\'', '"'].iter().find_map(|quote| {
        let inner = trimmed.strip_prefix(*quote)?;
        inner.strip_suffix(*quote)
    });
    inner.unwrap_or(trimmed)
}

/// isspace(3) in the C locale.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_read_as_cron_reads_it() {
        for (line, name, value) in [
            ("A=b", "A", "b"),
            ("A = b c  ", "A", "b c"),
            ("A\t=\t\" b \"  ", "A", " b"),
            ("'A B'='c'", "A B", "c"),
            ("MAILTO=\"\"", "MAILTO", ""),
            ("MAILTO=", "MAILTO", ""),
            ("A=$B:/x", "A", "$B:/x"),
            ("A=b=c", "A", "b=c"),
            ("A=it's", "A", "it's"),
            ("A=b#c", "A", "b#c"),
        ] {
            let wanted = Some((name.to_owned(), value.to_owned()));
            assert_eq!(read(line), wanted, "{line}");
        }
    }

    #[test]
    fn what_is_no_variable_is_something_else() {
        for line in [
            "* * * * * A=b c",
            "@daily A=b c",
            "A B=c",
            "A",
            "A=\"b\" c",
            "A='b",
            "'A=b'=c",
            "'",
            "",
        ] {
            assert_eq!(read(line), None, "{line}");
        }
    }
}
