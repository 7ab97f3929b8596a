//! The keys of `jobctl status --watch`, which scroll the page and filter its jobs. Does no I/O.

use unicode_width::UnicodeWidthChar;

use crate::cmd::Style;
use crate::core::escape;

/// To the first cell of the screen; a line, and what is below the last one, is empty; lines are cut
/// at the edge, or wrapped again (ECMA-48: CUP, EL, ED; DECAWM). The screen is not made empty as a
/// whole, so that it does not flicker; a line is before it is written, because its last cell would
/// go with what is behind it.
const HOME: &str = "\x1b[?7l\x1b[H";
const WRAPS: &str = "\x1b[?7h";
const WRAPPED: &str = "\x1b[?7l\n";
const LINE: &str = "\x1b[K";
const END: &str = "\x1b[J\x1b[?7h";

const ESCAPE: u8 = 0x1b;

const HELP: &str = "\
keys of `jobctl status --watch`

  q                      quit
  Up, k   Down, j        scroll by a line
  PgUp    PgDn           scroll by a page
  Home    End            to the beginning, to the end
  /                      show jobs by a part of their name
  Esc                    show all jobs again
  Ctrl-Z                 suspend
  ?                      these keys
";

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// A printable character.
    Char(char),
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    Enter,
    Erase,
    Escape,
}

/// Parses the keys that a terminal has sent; also returns how many bytes they are, because the last
/// sequence may be incomplete.
pub(super) fn parse(bytes: &[u8]) -> (Vec<Key>, usize) {
    let (mut keys, mut at) = (Vec::new(), 0);
    while let Some(byte) = bytes.get(at) {
        let rest = &bytes[at..];
        let (key, len) = match (*byte, rest.get(1)) {
            (ESCAPE, Some(b'[' | b'O')) => match sequence(rest) {
                Some(found) => found,
                None => break,
            },
            (ESCAPE, None) => break,
            (ESCAPE, Some(_)) => (Some(Key::Escape), 1),
            (b'\r' | b'\n', _) => (Some(Key::Enter), 1),
            (0x08 | 0x7f, _) => (Some(Key::Erase), 1),
            _ => match character(rest) {
                Some(found) => found,
                None => break,
            },
        };
        keys.extend(key);
        at += len;
    }
    (keys, at)
}

/// Parses a key that is a sequence (ECMA-48, CSI and SS3), if it is complete.
fn sequence(bytes: &[u8]) -> Option<(Option<Key>, usize)> {
    let end = 2 + bytes.get(2..)?.iter().position(|byte| (0x40..=0x7e).contains(byte))?;
    let key = match (&bytes[2..end], bytes[end]) {
        (_, b'A') => Some(Key::Up),
        (_, b'B') => Some(Key::Down),
        (b"5", b'~') => Some(Key::PageUp),
        (b"6", b'~') => Some(Key::PageDown),
        (_, b'H') | (b"1" | b"7", b'~') => Some(Key::Home),
        (_, b'F') | (b"4" | b"8", b'~') => Some(Key::End),
        _ => None,
    };
    Some((key, end + 1))
}

/// Parses a printable character, if it is complete.
fn character(bytes: &[u8]) -> Option<(Option<Key>, usize)> {
    let len = match bytes[0] {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0.. => 4,
        _ => 1,
    };
    let text = std::str::from_utf8(bytes.get(..len)?).unwrap_or_default();
    let writes = text.chars().next().filter(|c| !c.is_control());
    Some((writes.map(Key::Char), len))
}

/// The content of the lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Page,
    /// The page, while a filter is being typed.
    Typing,
    /// The help about the keys.
    Help,
}

/// The visible part of the page.
#[derive(Debug, Default)]
pub(super) struct View {
    mode: Mode,
    part: String,
    /// Lines above the screen.
    above: usize,
    /// Lines that the screen has for the page.
    rows: usize,
}

impl View {
    /// Handles a key; returns whether it quits.
    pub(super) fn press(&mut self, key: Key) -> bool {
        match (self.mode, key) {
            (Mode::Help, _) | (Mode::Typing, Key::Enter) => self.mode = Mode::Page,
            (Mode::Typing, Key::Char(c)) => self.part.push(c),
            (Mode::Typing, Key::Erase) => drop(self.part.pop()),
            (_, Key::Escape) => (self.mode, self.part) = (Mode::Page, String::new()),
            (Mode::Page, Key::Char('q')) => return true,
            (Mode::Page, Key::Char('?')) => self.mode = Mode::Help,
            (Mode::Page, Key::Char('/')) => (self.mode, self.above) = (Mode::Typing, 0),
            (_, Key::Up) | (Mode::Page, Key::Char('k')) => self.scroll_up(1),
            (_, Key::Down) | (Mode::Page, Key::Char('j')) => self.scroll_down(1),
            (_, Key::PageUp) => self.scroll_up(self.rows),
            (_, Key::PageDown) => self.scroll_down(self.rows),
            (_, Key::Home) => self.above = 0,
            (_, Key::End) => self.above = usize::MAX,
            (Mode::Page, Key::Char(_) | Key::Enter | Key::Erase) => {}
        }
        false
    }

    fn scroll_up(&mut self, lines: usize) {
        self.above = self.above.saturating_sub(lines);
    }

    fn scroll_down(&mut self, lines: usize) {
        self.above = self.above.saturating_add(lines);
    }

    /// Returns the filter on the names of jobs.
    pub(super) fn part(&self) -> Option<&str> {
        Some(&*self.part).filter(|part| !part.is_empty())
    }

    /// Returns how many lines of the page are needed: at its top those of the screen, else all.
    pub(super) fn lines_max(&self, lines_max: Option<usize>) -> Option<usize> {
        lines_max.filter(|_| self.above == 0)
    }

    /// Returns the page, or the help, in a form that overwrites the one before, with `line` below
    /// it. If it does not fit and is at its top, the last line tells how many rows are missing.
    pub(super) fn compose(&mut self, page: &str, room: Room, line: &str) -> String {
        let page = if self.mode == Mode::Help { HELP } else { page };
        let mut rows: Vec<Row<'_>> =
            page.lines().flat_map(|line| rows_of(line, room.width)).collect();
        let max = room.rows.unwrap_or(usize::MAX).max(1);
        self.rows = max;
        self.above = self.above.min(rows.len().saturating_sub(max));
        let is_cut = self.above == 0 && rows.len() > max;
        rows.drain(..self.above);
        let end = whole_lines(&rows, if is_cut { max - 1 } else { max });
        let more = is_cut.then(|| format!("... {} more lines", rows.len() - end));
        rows.truncate(end);
        rows.extend(more.as_deref().map(|text| Row { text, is_rest: false }));
        format!("{HOME}{}{LINE}{line}{END}", written(&rows))
    }

    /// Returns the line below the page: the typed filter, or the available keys.
    pub(super) fn line(&self, has_color: bool) -> String {
        let part = escape::text(&self.part);
        match (self.mode, self.part.is_empty()) {
            (Mode::Typing, _) => format!("/{part}"),
            (Mode::Help, _) => Style::Dim.paint("any key: back", has_color).into_owned(),
            (Mode::Page, true) => {
                Style::Dim.paint("q: quit  /: filter  ?: keys", has_color).into_owned()
            }
            (Mode::Page, false) => {
                let text = format!("only /{part}  Esc: all jobs");
                Style::Bold.paint(&text, has_color).into_owned()
            }
        }
    }
}

/// The size of a screen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// The columns.
    pub(super) width: usize,
    /// The rows above the last line, if known.
    pub(super) rows: Option<usize>,
}

/// A row of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row<'a> {
    text: &'a str,
    /// Whether it continues the line of the row above.
    is_rest: bool,
}

/// Splits a line into rows; characters without width stay with the one before.
fn rows_of(line: &str, width: usize) -> Vec<Row<'_>> {
    let (mut rows, mut begin, mut used, mut is_sequence) = (Vec::new(), 0, 0, false);
    for (at, c) in line.char_indices() {
        is_sequence |= c == '\x1b';
        let columns = if is_sequence { 0 } else { c.width().unwrap_or(0) };
        is_sequence &= !c.is_ascii_alphabetic();
        if used > 0 && used + columns > width {
            rows.push(Row { text: &line[begin..at], is_rest: begin > 0 });
            (begin, used) = (at, 0);
        }
        used += columns;
    }
    rows.push(Row { text: &line[begin..], is_rest: begin > 0 });
    rows
}

/// Returns how many of at most `max` rows are whole lines: half a command is worse than none.
fn whole_lines(rows: &[Row<'_>], max: usize) -> usize {
    let is_whole = |end: &usize| rows.get(*end).is_none_or(|next| !next.is_rest);
    (1..=max.min(rows.len())).rev().find(is_whole).unwrap_or(max.min(rows.len()))
}

/// Formats rows so that the terminal itself wraps long lines, which can then be copied.
fn written(rows: &[Row<'_>]) -> String {
    let mut text = String::new();
    for (nth, row) in rows.iter().enumerate() {
        let wraps = rows.get(nth + 1).is_some_and(|next| next.is_rest);
        match row.text.char_indices().nth(1).filter(|_| row.is_rest && nth > 0) {
            // The row is made empty as soon as the terminal is in it.
            Some((second, _)) => text.extend([&row.text[..second], LINE, &row.text[second..]]),
            None if row.is_rest && nth > 0 => text.extend([row.text, LINE]),
            None => text.extend([LINE, if wraps { WRAPS } else { "" }, row.text]),
        }
        text.push_str(match (wraps, row.is_rest && nth > 0) {
            (true, _) => "",
            (false, true) => WRAPPED,
            (false, false) => "\n",
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(view: &mut View, page: &str, max: usize) -> String {
        shown_in(view, page, (80, max))
    }

    fn shown_in(view: &mut View, page: &str, (width, max): (usize, usize)) -> String {
        let text = view.compose(page, Room { width, rows: Some(max) }, "=");
        let text = text.strip_prefix(HOME).and_then(|text| text.strip_suffix(END)).unwrap();
        let text = text.replace(LINE, "").replace(WRAPS, "").replace(WRAPPED, "\n");
        text.replace('\n', "|")
    }

    #[test]
    fn a_command_that_is_wider_than_the_screen_wraps_and_is_shown_whole_or_not_at_all() {
        let view = &mut View::default();
        let page = "a\n\x1b[2m`retry 302`\x1b[0m\n";
        let row = |text, is_rest| Row { text, is_rest };
        let line = page.lines().nth(1).unwrap();
        let rows = [row("\x1b[2m`retry", false), row(" 302`\x1b[0m", true)];
        assert_eq!(rows_of(line, 6), rows);
        let both = format!("{LINE}{WRAPS}{} {LINE}302`\x1b[0m{WRAPPED}", rows[0].text);
        assert_eq!(written(&rows), both);
        assert_eq!(shown_in(view, page, (6, 3)), "a|\x1b[2m`retry 302`\x1b[0m|=");
        assert_eq!(shown_in(view, page, (6, 2)), "a|... 2 more lines|=");
        assert_eq!(rows_of("\u{6f22}\u{6f22}", 3).len(), 2);
        assert!(HELP.lines().all(|line| rows_of(line, 60).len() == 1));
    }

    #[test]
    fn a_page_is_written_over_and_says_what_the_screen_has_no_room_for() {
        let view = &mut View::default();
        assert_eq!(shown(view, "a\nb\nc\n", 3), "a|b|c|=");
        assert_eq!(shown(view, "a\nb\nc\nd\n", 3), "a|b|... 2 more lines|=");
        assert_eq!(shown(view, "", 0), "=");
    }

    #[test]
    fn keys_are_known_whole() {
        use Key::*;
        for (bytes, keys, len) in [
            (&b"jq"[..], vec![Char('j'), Char('q')], 2),
            (b"\x1b[A\x1bOB\x1b[5~\x1b[6~", vec![Up, Down, PageUp, PageDown], 14),
            (b"\x1b[H\x1b[F\x1b[1~\x1b[4~", vec![Home, End, Home, End], 14),
            (b"\x1b[1;5A\x1b[200~\r\x7f", vec![Up, Enter, Erase], 14),
            (b"a\x1b", vec![Char('a')], 1),
            (b"\x1b[5", vec![], 0),
            (b"\x1bq", vec![Escape, Char('q')], 2),
            ("\u{e9}\u{6f22}".as_bytes(), vec![Char('\u{e9}'), Char('\u{6f22}')], 5),
            (b"\xe6\xbc", vec![], 0),
            (b"\x01\xff\xff\xff\xff", vec![], 5),
        ] {
            assert_eq!(parse(bytes), (keys, len), "{bytes:?}");
        }
    }

    #[test]
    fn keys_scroll_within_the_page() {
        let page = "1\n2\n3\n4\n5\n6\n7\n";
        let mut view = View::default();
        assert_eq!(shown(&mut view, page, 3), "1|2|... 5 more lines|=");
        for (key, lines) in [
            (Key::Down, "2|3|4|="),
            (Key::Char('j'), "3|4|5|="),
            (Key::PageDown, "5|6|7|="),
            (Key::Down, "5|6|7|="),
            (Key::Char('k'), "4|5|6|="),
            (Key::Home, "1|2|... 5 more lines|="),
            (Key::Up, "1|2|... 5 more lines|="),
            (Key::End, "5|6|7|="),
            (Key::PageUp, "2|3|4|="),
        ] {
            assert!(!view.press(key));
            assert_eq!(shown(&mut view, page, 3), lines, "{key:?}");
        }
        assert!(view.press(Key::Char('q')));
    }

    #[test]
    fn a_part_of_a_name_is_typed_and_ended() {
        let mut view = View::default();
        for key in "/quark".chars().map(Key::Char).chain([Key::Erase]) {
            assert!(!view.press(key));
        }
        assert_eq!((view.part(), &*view.line(false)), (Some("quar"), "/quar"));
        assert!(!view.press(Key::Enter));
        assert_eq!(view.line(false), "only /quar  Esc: all jobs");
        assert!(!view.press(Key::Escape));
        assert_eq!((view.part(), &*view.line(false)), (None, "q: quit  /: filter  ?: keys"));
        assert!(!view.press(Key::Char('?')));
        assert!(shown(&mut view, "a\n", 50).starts_with("keys of "));
        assert!(!view.press(Key::Char('q')), "it only ends the help");
        assert_eq!(shown(&mut view, "a\n", 50), "a|=");
    }
}
