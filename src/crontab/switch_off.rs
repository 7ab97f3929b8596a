//! Makes the shell commands that comment out exactly the imported lines.

use std::collections::BTreeSet;

use super::Off;
use crate::core::shell;

/// Makes the command for the lines of one crontab; `None` without lines.
pub(super) fn command(off: &Off, lines: &BTreeSet<u32>) -> Option<String> {
    let hidden = match off {
        Off::Of { hidden, .. } => *hidden,
        Off::Own | Off::File(_) | Off::Elsewhere => 0,
    };
    let script = script(lines.iter().map(|line| line.saturating_sub(hidden)))?;
    Some(match off {
        Off::Elsewhere => return None,
        Off::Own => format!("crontab -l | sed '{script}' | crontab -"),
        Off::Of { user, .. } => {
            let user = quoted(user);
            format!("crontab -u {user} -l | sed '{script}' | crontab -u {user} -")
        }
        Off::File(path) => format!("sed -i '{script}' {}", quoted(path)),
    })
}

/// Makes a script for sed(1); consecutive lines become a range.
fn script(lines: impl Iterator<Item = u32>) -> Option<String> {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for line in lines {
        match ranges.last_mut() {
            Some((_, end)) if *end + 1 == line => *end = line,
            Some(_) | None => ranges.push((line, line)),
        }
    }
    let commands = ranges.iter().map(|(first, last)| match first == last {
        true => format!("{first}s/^/# /"),
        false => format!("{first},{last}s/^/# /"),
    });
    let commands: Vec<_> = commands.collect();
    (!commands.is_empty()).then(|| commands.join(";"))
}

/// Quotes a word for a POSIX shell.
fn quoted(text: &str) -> String {
    let is_option = text.starts_with('-');
    shell::quote(text, |c| !is_option && (c.is_ascii_alphanumeric() || "/._-@+".contains(c)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_follow_one_another_are_a_range() {
        let command = command(&Off::Own, &BTreeSet::from([1, 3, 4, 5, 9]));
        let wanted = "crontab -l | sed '1s/^/# /;3,5s/^/# /;9s/^/# /' | crontab -";
        assert_eq!(command.as_deref(), Some(wanted));
    }

    #[test]
    fn the_lines_that_crontab_hides_are_not_counted_and_words_are_quoted() {
        let off = Off::Of { user: "o'hara".to_owned(), hidden: 3 };
        let wanted = r"crontab -u 'o'\''hara' -l | sed '2s/^/# /' | crontab -u 'o'\''hara' -";
        assert_eq!(command(&off, &BTreeSet::from([5])).as_deref(), Some(wanted));
        assert_eq!(command(&Off::Own, &BTreeSet::new()), None);
    }
}
