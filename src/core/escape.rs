//! Makes text from elsewhere safe for a terminal: what could move the cursor, change its title, or
//! turn the line around is shown as an escape.

use std::borrow::Cow;
use std::fmt::Write;

/// Text that stands in one line: every control character is escaped.
pub(crate) fn text(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

/// Text of several lines: line feeds and tabs stay.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| matches!(c, '\n' | '\t'))
}

/// Bytes that stand in one line; what is not UTF-8 is shown as `\xNN`.
pub(crate) fn bytes(bytes: &[u8]) -> Cow<'_, str> {
    escape_bytes(bytes, text)
}

/// Output of several lines; what is not UTF-8 is shown as `\xNN`.
pub(crate) fn output(bytes: &[u8]) -> Cow<'_, str> {
    escape_bytes(bytes, lines)
}

/// Bytes without what colours text, moves the cursor or names a window: the control sequences and
/// strings of ECMA-48, from ESC to their end, which is at the latest that of the line.
pub(crate) fn without_sequences(bytes: &[u8]) -> Cow<'_, [u8]> {
    let is_escape = |byte: &u8| *byte == 0x1b;
    if !bytes.iter().any(is_escape) {
        return Cow::Borrowed(bytes);
    }
    let mut kept = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(is_escape) {
        kept.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        rest = &rest[sequence_len(rest)..];
    }
    kept.extend_from_slice(rest);
    kept.into()
}

/// How many bytes after an ESC belong to it.
fn sequence_len(after: &[u8]) -> usize {
    let is_in =
        |byte: Option<&u8>, from: u8, to: u8| byte.is_some_and(|byte| (from..=to).contains(byte));
    let count =
        |bytes: &[u8], to: u8| bytes.iter().take_while(|byte| (0x20..=to).contains(*byte)).count();
    match after.first() {
        Some(b'[') => {
            let len = 1 + count(&after[1..], 0x3f);
            len + usize::from(is_in(after.get(len), 0x40, 0x7e))
        }
        // The ESC that begins the end of a string is one of its own.
        Some(b']' | b'P' | b'X' | b'^' | b'_') => {
            let ends = |byte: &u8| matches!(byte, 0x07 | 0x1b | b'\n');
            let len = after.iter().position(ends).unwrap_or(after.len());
            len + usize::from(after.get(len) == Some(&0x07))
        }
        Some(_) | None => {
            let len = count(after, 0x2f);
            len + usize::from(is_in(after.get(len), 0x30, 0x7e))
        }
    }
}

fn escape_bytes(bytes: &[u8], escape: fn(&str) -> Cow<'_, str>) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return escape(text);
    }
    let mut safe = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        safe.push_str(&escape(chunk.valid()));
        for byte in chunk.invalid() {
            push(&mut safe, format_args!("\\x{byte:02x}"));
        }
    }
    safe.into()
}

fn escape(text: &str, stays: fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(|c| is_harmful(c) && !stays(c)) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            _ if !is_harmful(c) || stays(c) => safe.push(c),
            '\n' => safe.push_str("\\n"),
            '\t' => safe.push_str("\\t"),
            '\r' => safe.push_str("\\r"),
            _ if c.is_ascii() => push(&mut safe, format_args!("\\x{:02x}", u32::from(c))),
            _ => push(&mut safe, format_args!("\\u{{{:x}}}", u32::from(c))),
        }
    }
    safe.into()
}

/// JSON on one line, which means the same: what JSON leaves as it is and a terminal would obey
/// stands in strings only, as an escape of JSON's (UTF-16).
pub(crate) fn json(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_harmful(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                push(&mut safe, format_args!("\\u{unit:04x}"));
            }
        } else {
            safe.push(c);
        }
    }
    safe.into()
}

fn push(text: &mut String, piece: std::fmt::Arguments<'_>) {
    text.write_fmt(piece).expect("writing into a string cannot fail");
}

/// C0, DEL, C1 (which hold CSI and OSC as one character), line and paragraph separators, and what
/// changes the direction or cannot be seen (Unicode Bidi_Control and the like).
pub(crate) fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        || matches!(c, '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_instead() {
        for (from, to) in [
            ("plain ünï 漢字 👍", "plain ünï 漢字 👍"),
            ("\x1b[2J", "\\x1b[2J"),
            ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
            ("\u{9b}2J", "\\u{9b}2J"),
            ("a\nb\tc\rd\x7f\0", "a\\nb\\tc\\rd\\x7f\\x00"),
            ("\u{202e}gpj.exe", "\\u{202e}gpj.exe"),
            ("\u{2066}x\u{2069}", "\\u{2066}x\\u{2069}"),
        ] {
            assert_eq!(text(from), to);
        }
    }

    #[test]
    fn json_means_the_same_and_moves_no_cursor() {
        for (from, to) in [
            (r#"{"a":"plain"}"#, r#"{"a":"plain"}"#),
            ("[\"\u{9b}2J\u{7f}\"]", r#"["\u009b2J\u007f"]"#),
            ("[\"\u{e0041}\"]", r#"["\udb40\udc41"]"#),
        ] {
            assert_eq!(json(from), to);
        }
    }

    #[test]
    fn sequences_of_a_terminal_are_left_out() {
        for (from, to) in [
            ("plain", "plain"),
            ("\x1b[1;31merror\x1b[0m: x", "error: x"),
            ("a\x1b]0;title\x07b\x1b]8;;http://x\x1b\\c", "abc"),
            ("a\x1b(Bb\x1b7c\x1b", "abc"),
            ("a\x1b[12\nb\x1b]0;x\nc", "a\nb\nc"),
            ("\x1b[\u{fc}", "\u{fc}"),
        ] {
            let kept = without_sequences(from.as_bytes());
            assert_eq!(std::str::from_utf8(&kept), Ok(to), "{from:?}");
        }
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(lines("a\n\tb\r\n"), "a\n\tb\\r\n");
        assert_eq!(output(b"ok\n\xff\x1b[1m\n"), "ok\n\\xff\\x1b[1m\n");
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_numbers() {
        assert_eq!(bytes(b"caf\xe9\n"), "caf\\xe9\\n");
    }
}
