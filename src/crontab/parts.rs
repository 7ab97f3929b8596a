//! Recognizes lines that run the scripts of a directory: `run-parts /etc/cron.daily`, also after
//! Debian's test for anacron.

/// A line that only runs the scripts of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    /// The directory.
    pub(super) directory: String,
    /// Whether it only does so if anacron is not installed.
    pub(super) is_guarded: bool,
    /// The working directory of the scripts.
    pub(super) cwd: Option<String>,
    /// Whether they run under nice(1).
    pub(super) is_nice: bool,
}

/// Options of run-parts(8) that affect neither which scripts run nor how.
const OPTIONS: &[&str] = &["--report", "-v", "--verbose", "--new-session", "-r"];

/// Parses a command; `None` if it does anything else.
pub(super) fn read(command: &str) -> Option<Parts> {
    if command.len() > 500 || command.contains(['\'', '"', '\\', '$', '`']) {
        return None;
    }
    let spaced: String = command.chars().fold(String::new(), |mut text, c| {
        match c {
            '(' | ')' | '{' | '}' | ';' => text.extend([' ', c, ' ']),
            _ => text.push(c),
        }
        text
    });
    let mut words: Vec<&str> = spaced.split_whitespace().collect();
    let is_guarded = take_guard(&mut words);
    if let [open @ ("{" | "("), .., close] = words.as_slice() {
        if (*open == "{") != (*close == "}") || !matches!(*close, "}" | ")") {
            return None;
        }
        words.remove(0);
        words.pop();
    }
    if words.last() == Some(&";") {
        words.pop();
    }
    let cwd = match words.as_slice() {
        ["cd", directory, "&&", ..] => Some((*directory).to_owned()),
        _ => None,
    };
    words.drain(..if cwd.is_some() { 3 } else { 0 });
    let is_nice = words.first() == Some(&"nice");
    words.drain(..usize::from(is_nice));
    let (program, rest) = words.split_first()?;
    let (directory, options) = rest.split_last()?;
    let is_plain = matches!(*program, "run-parts" | "/bin/run-parts" | "/usr/bin/run-parts")
        && options.iter().all(|option| OPTIONS.contains(option))
        && directory.starts_with('/')
        && !directory.contains(['|', '&', '<', '>', '*', '?', ';']);
    is_plain.then(|| Parts {
        directory: directory.trim_end_matches('/').to_owned(),
        is_guarded,
        cwd,
        is_nice,
    })
}

/// Strips `test -x /usr/sbin/anacron ||`.
fn take_guard(words: &mut Vec<&str>) -> bool {
    let length = match words.as_slice() {
        ["test", "-x", "/usr/sbin/anacron", "||", ..] => 4,
        ["[", "-x", "/usr/sbin/anacron", "]", "||", ..] => 5,
        _ => 0,
    };
    words.drain(..length);
    length > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_debian_and_fedora_are_known() {
        for (command, is_guarded, cwd, is_nice) in [
            ("cd / && run-parts --report /etc/cron.daily", false, Some("/"), false),
            (
                "test -x /usr/sbin/anacron || { cd / && run-parts --report /etc/cron.daily; }",
                true,
                Some("/"),
                false,
            ),
            (
                "test -x /usr/sbin/anacron || ( cd / && run-parts --report /etc/cron.daily )",
                true,
                Some("/"),
                false,
            ),
            ("run-parts /etc/cron.daily/", false, None, false),
            ("nice run-parts /etc/cron.daily", false, None, true),
        ] {
            let wanted = Parts {
                directory: "/etc/cron.daily".to_owned(),
                is_guarded,
                cwd: cwd.map(str::to_owned),
                is_nice,
            };
            assert_eq!(read(command), Some(wanted), "{command}");
        }
    }

    #[test]
    fn a_line_that_does_more_is_a_command_like_any_other() {
        for command in [
            "run-parts",
            "run-parts --regex=x /etc/cron.daily",
            "run-parts /etc/cron.daily && echo done",
            "run-parts /etc/cron.daily >/dev/null",
            "run-parts /etc/cron.daily | logger",
            "{ run-parts /etc/cron.daily )",
            "run-parts \"$DIR\"",
            "echo run-parts /etc/cron.daily",
        ] {
            assert_eq!(read(command), None, "{command}");
        }
    }
}
