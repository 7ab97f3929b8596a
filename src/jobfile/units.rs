//! Parsers of sizes, rates, signals, octal masks and templates, and the search for the nearest
//! known word.
//!
//! Pure; an error is a sentence fragment that tells what to write.

use std::time::Duration;

use crate::core::job::{Name, Rate};

/// Parses a size: `1 MiB`, `512KiB`, `10MB`, `4096`.
pub(super) fn parse_size(text: &str) -> Result<u64, &'static str> {
    const USAGE: &str = "write a whole number and a unit: B, KiB, MiB, GiB, TiB (of 1024), kB, MB, GB, TB (of 1000)";
    let (digits, unit) = split_number(text.trim());
    let number: u64 = digits.parse().map_err(|_| USAGE)?;
    let factor: u64 = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        "kB" | "KB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        _ => return Err(USAGE),
    };
    number.checked_mul(factor).ok_or("is more than any machine has")
}

/// Parses a rate: `10/min`, `5/10s`.
pub(crate) fn parse_rate(text: &str) -> Result<Rate, &'static str> {
    const USAGE: &str = "write starts per time: \"10/min\", \"5/10s\"; units are s, min, h and d";
    let (burst, per) = text.split_once('/').ok_or(USAGE)?;
    let burst: u32 = burst.trim().parse().map_err(|_| USAGE)?;
    let (count, unit) = split_number(per.trim());
    let count: u64 = if count.is_empty() { 1 } else { count.parse().map_err(|_| USAGE)? };
    let unit = match unit.trim() {
        "s" | "sec" | "second" => 1,
        "min" | "minute" => 60,
        "h" | "hour" => 3600,
        "d" | "day" => 86_400,
        _ => return Err(USAGE),
    };
    let per = count.checked_mul(unit).filter(|secs| (1..=366 * 86_400).contains(secs));
    match (burst, per) {
        (1..=1_000_000, Some(secs)) => Ok(Rate { burst, per: Duration::from_secs(secs) }),
        _ => Err("write 1 to 1000000 starts per time of 1 s to 366 d"),
    }
}

fn split_number(text: &str) -> (&str, &str) {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at(end)
}

/// The signals that may begin a stop sequence, with the numbers of signal(7).
pub(super) const SIGNALS: &[(&str, i32)] = &[
    ("TERM", 15),
    ("INT", 2),
    ("HUP", 1),
    ("QUIT", 3),
    ("USR1", 10),
    ("USR2", 12),
    ("ABRT", 6),
    ("ALRM", 14),
    ("PIPE", 13),
    ("WINCH", 28),
    ("KILL", 9),
];

/// Parses the name of a signal, with or without `SIG`.
pub(super) fn parse_signal(text: &str) -> Option<i32> {
    let name = text.strip_prefix("SIG").unwrap_or(text);
    SIGNALS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

/// Parses an octal mask: `022`.
pub(super) fn parse_umask(text: &str) -> Option<u32> {
    let is_octal = matches!(text.len(), 1..=4) && text.bytes().all(|b| matches!(b, b'0'..=b'7'));
    u32::from_str_radix(text, 8).ok().filter(|mask| is_octal && *mask <= 0o777)
}

/// Checks the name of a lock, which may contain `{1}` for the first argument.
pub(super) fn check_lock(text: &str) -> Result<(), &'static str> {
    Name::parse(&text.replace("{1}", "x")).map(|_| ())
}

/// Checks the template of a key: text with `{1}`, `{2}` ... for the arguments.
pub(super) fn check_key_template(text: &str) -> Result<(), &'static str> {
    const USAGE: &str =
        "write `{1}`, `{2}` ... for the run's arguments; no other braces are allowed";
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let inside = rest.get(at..).and_then(|tail| tail.strip_prefix('{')).ok_or(USAGE)?;
        let (number, after) = inside.split_once('}').ok_or(USAGE)?;
        if !matches!(number.as_bytes(), [b'1'..=b'9'] | [b'1'..=b'9', b'0'..=b'9']) {
            return Err(USAGE);
        }
        rest = after;
    }
    Ok(())
}

/// Returns the candidate that was probably meant, by the same measure as clap.
pub(super) fn nearest<'a>(
    text: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    const SIMILAR: f64 = 0.7;
    let folded = fold(text);
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro(&folded, &fold(candidate)), candidate))
        .filter(|(similarity, _)| *similarity > SIMILAR)
        .reduce(|best, other| if other.0 > best.0 { other } else { best })
        .map(|(_, candidate)| candidate)
}

fn fold(text: &str) -> String {
    text.to_ascii_lowercase().replace('-', "_")
}

/// Returns whether a shell text contains a pipe, as far as one can tell without parsing it: a `|`
/// that is not quoted, part of `||`, in a pattern of `case`, or an operator in `[[ ]]` or `(( ))`.
pub(super) fn has_pipe(text: &str) -> bool {
    let plain = plain_text(text);
    let bytes = plain.as_bytes();
    let mut end_of_test: Option<&str> = None;
    let mut at = 0;
    let mut cases = 0_usize;
    while at < bytes.len() {
        let rest = &plain[at..];
        let is_begin = at == 0 || !is_word(bytes[at - 1]);
        let width = match end_of_test {
            Some(end) if rest.starts_with(end) => {
                end_of_test = None;
                2
            }
            Some(_) => 1,
            None if rest.starts_with("[[ ") => {
                end_of_test = Some("]]");
                2
            }
            None if rest.starts_with("((") => {
                end_of_test = Some("))");
                2
            }
            None if is_begin && begins_word(rest, "case") => {
                cases += 1;
                4
            }
            None if is_begin && begins_word(rest, "esac") => {
                cases = cases.saturating_sub(1);
                4
            }
            None if rest.starts_with("||") => 2,
            None if rest.starts_with('|') => {
                let is_clobber = at > 0 && bytes[at - 1] == b'>';
                let is_harmless = is_clobber || cases > 0 && is_pattern(rest);
                if !is_harmless {
                    return true;
                }
                1
            }
            None => 1,
        };
        at += width;
    }
    false
}

/// Returns whether a shell text sets `pipefail`: `-o pipefail`, or for example `-euo pipefail`.
pub(super) fn has_pipefail(text: &str) -> bool {
    let mut before = "";
    text.split(|c: char| c.is_whitespace() || ";&|()'\"".contains(c))
        .filter(|word| !word.is_empty())
        .any(|word| {
            let is_option = before.starts_with('-') && before.ends_with('o');
            before = word;
            is_option && word == "pipefail"
        })
}

/// Reduces a shell text to ASCII without comments, with a letter in place of everything quoted.
fn plain_text(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut quote = None;
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match (quote, char) {
            (None | Some('"'), '\\') => {
                chars.next();
                plain.push('x');
            }
            (Some(open), _) if open == char => quote = None,
            (Some(_), _) => plain.push('x'),
            (None, '"' | '\'') => quote = Some(char),
            (None, '#')
                if plain.chars().last().is_none_or(|c| c.is_whitespace() || ";&(".contains(c)) =>
            {
                while chars.next_if(|next| *next != '\n').is_some() {}
            }
            (None, _) => plain.push(if char.is_ascii() { char } else { 'x' }),
        }
    }
    plain
}

/// The number of bytes in which to look for the end of a list of `case` patterns.
const PATTERN_MAX: usize = 1024;

/// Returns whether the text after a `|` is another pattern of `case`: it reaches a closing bracket
/// before anything else begins.
fn is_pattern(rest: &str) -> bool {
    // Real patterns are shorter, and without a limit each `|` of a long line would scan the rest.
    let near = &rest.as_bytes()[..rest.len().min(PATTERN_MAX)];
    let end = near.iter().position(|byte| b")\n;(".contains(byte));
    end.is_some_and(|end| {
        rest[end..].starts_with(')') && !rest[..end].trim_start_matches('|').trim().contains(' ')
    })
}

fn begins_word(rest: &str, word: &str) -> bool {
    let after = rest.strip_prefix(word);
    after.is_some_and(|after| !after.bytes().next().is_some_and(is_word))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-./=$".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_whole_number_and_a_unit() {
        let good = [
            ("0", 0),
            ("4096", 4096),
            ("1 MiB", 1 << 20),
            ("512KiB", 512 << 10),
            ("10MB", 10_000_000),
            (" 7 B ", 7),
        ];
        for (text, bytes) in good {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for bad in [
            "",
            "MiB",
            "1.5 MiB",
            "1M",
            "-1",
            "1 MiB 2",
            "99999999999999999999",
            "20000000 TiB",
            "1 mib",
        ] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_rate_is_starts_per_time() {
        let good = [
            ("10/min", 10, 60),
            ("5/10s", 5, 10),
            ("1/ h", 1, 3600),
            ("2 / day", 2, 86_400),
            ("3/2d", 3, 172_800),
        ];
        for (text, burst, secs) in good {
            assert_eq!(
                parse_rate(text),
                Ok(Rate { burst, per: Duration::from_secs(secs) }),
                "{text}"
            );
        }
        for bad in
            ["", "10", "/min", "0/min", "10/", "10/0s", "10/month", "10/367d", "1000001/s", "1/s/s"]
        {
            assert!(parse_rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_mask_is_octal() {
        assert_eq!(
            (parse_umask("022"), parse_umask("0777"), parse_umask("7")),
            (Some(0o22), Some(0o777), Some(7))
        );
        for bad in ["", "0o22", "089", "1000", "00022", "+22", "-1"] {
            assert_eq!(parse_umask(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_key_template_knows_arguments_only() {
        for good in ["{1}", "a", "{1}-{12}", ""] {
            assert!(check_key_template(good).is_ok(), "{good}");
        }
        for bad in ["{}", "{0}", "{1", "1}", "{{1}}", "{name}", "{100}"] {
            assert!(check_key_template(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_pipe_is_told_from_what_looks_like_one() {
        for piped in [
            "a | b",
            "a|b",
            "a |& b",
            "a || b | c",
            "echo 'x' | y",
            "a # no\n| b",
            "a \\\\| b",
            "case $1 in a|b) c | d;; esac",
            "[[ a || b ]] | c",
            "case a in a) b;; esac | c",
            "casein | b",
        ] {
            assert!(has_pipe(piped), "{piped}");
        }
        for plain in [
            "a",
            "a || b",
            "echo 'a|b'",
            "echo \"a|b\"",
            "echo a\\|b",
            "a # b | c",
            "a >| b",
            "'",
            "case $1 in start|stop) a;; x | y) b;; esac",
            "[[ $a =~ b|c ]] && d",
            "echo $(( a | b ))",
            "a;# b | c",
            "a 'ü|b'",
        ] {
            assert!(!has_pipe(plain), "{plain}");
        }
    }

    #[test]
    fn pipefail_counts_as_the_argument_of_an_option() {
        for told in [
            "set -o pipefail; a | b",
            "set -euo pipefail\na | b",
            "/bin/bash -o pipefail -c",
            "bash -o pipefail -c 'a | b'",
        ] {
            assert!(has_pipefail(told), "{told}");
        }
        for untold in ["echo pipefail", "set +o pipefail", "# pipefail", "-o pipefailure", ""] {
            assert!(!has_pipefail(untold), "{untold}");
        }
    }
}
