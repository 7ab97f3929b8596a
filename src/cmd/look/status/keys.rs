//! The keys of `jobctl status --watch`, which scroll the page and filter its jobs. Does no I/O.

use crate::cmd::Style;
use crate::core::escape;

/// To the first cell of the screen; a line, and what is below the last one, is empty; lines are cut
/// at the edge, or wrapped again (ECMA-48: CUP, EL, ED; DECAWM). The screen is not made empty as a
/// whole, so that it does not flicker; a line is before it is written, because its last cell would
/// go with what is behind it.
const HOME: &str = "\x1b[?7l\x1b[H";
const LINE: &str = "\x1b[K";
const END: &str = "\x1b[J\x1b[?7h";

const ESCAPE: u8 = 0x1b;

const HELP: &str = "\
keys of `jobctl status --watch`

  q                      quit
  Up, k   Down, j        scroll by a line
  PgUp    PgDn           scroll by a page
  Home    End            to the beginning, to the end
  /                      show only jobs whose name contains what you type
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
    /// it. If it does not fit and is at its top, the last line tells how many lines are missing.
    pub(super) fn compose(&mut self, page: &str, lines_max: Option<usize>, line: &str) -> String {
        let page = if self.mode == Mode::Help { HELP } else { page };
        let mut lines: Vec<&str> = page.lines().collect();
        let max = lines_max.unwrap_or(usize::MAX).max(1);
        self.rows = max;
        self.above = self.above.min(lines.len().saturating_sub(max));
        let more = (lines.len() + 1).checked_sub(max).filter(|more| *more > 1 && self.above == 0);
        let more = more.map(|more| format!("... {more} more lines"));
        lines.drain(..self.above);
        lines.truncate(max);
        if let Some(more) = &more {
            lines.truncate(max - 1);
            lines.push(more);
        }
        let lines: String = lines.iter().flat_map(|line| [LINE, *line, "\n"]).collect();
        format!("{HOME}{lines}{LINE}{line}{END}")
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(view: &mut View, page: &str, max: usize) -> String {
        let text = view.compose(page, Some(max), "=");
        let text = text.strip_prefix(HOME).and_then(|text| text.strip_suffix(END)).unwrap();
        text.replace(LINE, "").replace('\n', "|")
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
