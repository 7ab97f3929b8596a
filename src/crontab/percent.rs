//! Splits the rest of a crontab's line at `%` into command and standard input (child_process of
//! do_command.c).

/// Separates command and standard input like Debian's cron 3.0pl1.
///
/// The first `%` ends the command, `\%` is `%` and `\\` is `\` in it. In the standard input `%` is
/// a line feed and `\%` is `%`; a line feed is added to a last line that has none.
pub(super) fn split(rest: &str) -> (String, String) {
    let mut command = String::with_capacity(rest.len());
    let mut is_escaped = false;
    let mut input = "";
    for (at, char) in rest.char_indices() {
        if is_escaped {
            is_escaped = false;
            if matches!(char, '%' | '\\') {
                command.pop();
            }
        } else if char == '\\' {
            is_escaped = true;
        } else if char == '%' {
            input = rest.get(at + 1..).unwrap_or_default();
            break;
        }
        command.push(char);
    }
    (command, stdin(input))
}

/// Returns whether a `%` probably ended the command by mistake: within quotes or parentheses, or in
/// the format of `date`.
pub(super) fn is_mistaken(command: &str, stdin: &str) -> bool {
    !stdin.is_empty() && (command.ends_with('+') || is_open(command))
}

/// Returns whether a shell text has an unclosed quote or parenthesis.
fn is_open(command: &str) -> bool {
    let (mut quote, mut depth, mut backticks) = (None, 0_i32, 0);
    let mut chars = command.chars();
    while let Some(char) = chars.next() {
        match (quote, char) {
            (Some(open), _) if open == char => quote = None,
            (Some('\''), _) => {}
            (_, '\\') => drop(chars.next()),
            (None, '\'' | '"') => quote = Some(char),
            (_, '`') => backticks += 1,
            (_, '(') => depth += 1,
            (_, ')') => depth -= 1,
            _ => {}
        }
    }
    quote.is_some() || depth > 0 || backticks % 2 == 1
}

fn stdin(input: &str) -> String {
    let mut text = String::with_capacity(input.len() + 1);
    let (mut is_escaped, mut needs_newline) = (false, false);
    for char in input.chars() {
        let mut char = char;
        if is_escaped {
            if char != '%' {
                text.push('\\');
            }
        } else if char == '%' {
            char = '\n';
        }
        is_escaped = char == '\\';
        if !is_escaped {
            text.push(char);
            needs_newline = char != '\n';
        }
    }
    if is_escaped {
        text.push('\\');
    }
    if needs_newline {
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percent_within_quotes_or_parentheses_is_a_mistake() {
        for (rest, is_mistake) in [
            ("echo \"$(date +%F)\"", true),
            ("tar czf /b/`date +%F`.tgz /srv", true),
            ("tar czf /b/$(date -u +%F).tgz /srv", true),
            ("mysql -e \"select '%'\"", true),
            ("date +%F", true),
            (r"date +\%F", false),
            (r#"echo "it's" \" | mail root%Hello%"World"#, false),
            ("(cat; date)%x", false),
        ] {
            let (command, stdin) = split(rest);
            assert_eq!(is_mistaken(&command, &stdin), is_mistake, "{rest}");
        }
    }

    #[test]
    fn the_first_percent_ends_the_command() {
        for (rest, command, input) in [
            ("a", "a", ""),
            ("a%b", "a", "b\n"),
            ("a%b%", "a", "b\n"),
            ("a%b%%c", "a", "b\n\nc\n"),
            ("a%", "a", ""),
            ("a%%", "a", "\n"),
            (r"date +\%F", "date +%F", ""),
            (r"a\\b", r"a\b", ""),
            (r"a\\%b", r"a\", "b\n"),
            (r"a\nb", r"a\nb", ""),
            (r"a%x\%y\z", "a", "x%y\\z\n"),
            (r"a%x\\%y", "a", "x\\%y\n"),
            (r"a%x\", "a", "x\\\n"),
            (r"a%\", "a", "\\"),
            (r"a\", r"a\", ""),
        ] {
            let wanted = (command.to_owned(), input.to_owned());
            assert_eq!(split(rest), wanted, "{rest}");
        }
    }
}
