//! Guesses the kind of a crontab by its content, if its path does not tell.

use super::anacron;
use super::line::{self, Line};

/// Returns whether a file is anacron's table: each line is one of anacrontab(5), and none has five
/// fields for cron.
pub(crate) fn is_anacrontab(bytes: &[u8]) -> bool {
    let mut has_lines = false;
    for line in lines(bytes) {
        let is_anacrons =
            || std::str::from_utf8(line).is_ok_and(|text| anacron::read(text, 0).is_ok());
        match line::read(line, false) {
            Line::Blank | Line::Comment(_) | Line::Variable { .. } => continue,
            Line::Entry(entry) if !entry.written.starts_with('@') => return false,
            Line::Entry(_) | Line::Bad(_) if !is_anacrons() => return false,
            Line::Entry(_) | Line::Bad(_) => has_lines = true,
        }
    }
    has_lines
}

/// Returns the first word of each command of a user's crontab; a command of one word cannot have a
/// user column.
pub(crate) fn first_words(bytes: &[u8]) -> Vec<String> {
    let entries = lines(bytes).filter_map(|line| match line::read(line, false) {
        Line::Entry(entry) => Some(entry),
        Line::Blank | Line::Comment(_) | Line::Variable { .. } | Line::Bad(_) => None,
    });
    let word = |command: &str| match command.trim().split_once([' ', '\t']) {
        Some((word, _)) => word.to_owned(),
        None => String::new(),
    };
    entries.map(|entry| word(&entry.rest)).collect()
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_anacrons_is_told_from_a_crontab() {
        for (text, is_anacrons) in [
            ("SHELL=/bin/sh\n1 5 cron.daily nice run-parts /etc/cron.daily\n", true),
            ("1\t5\ta\tx\n@monthly 45 m run-parts /m\n", true),
            ("@daily 10 backup /opt/backup\n", true),
            ("@daily /opt/backup\n", false),
            ("1 5 * * * x\n", false),
            ("1 5 a x\n0 5 1 1 1 x y\n", false),
            ("nonsense\n", false),
            ("# nothing\n", false),
        ] {
            assert_eq!(is_anacrontab(text.as_bytes()), is_anacrons, "{text}");
        }
    }

    #[test]
    fn the_first_words_are_those_of_commands_with_more() {
        let text = b"A=b\n# x\n1 * * * * root x\n@daily\twww-data  y z\n2 * * * * backup\n";
        assert_eq!(first_words(text), ["root", "www-data", ""]);
    }
}
