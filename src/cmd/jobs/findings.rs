//! Prints findings about a jobfile on standard error: `FILE:LINE:COLUMN: ...` for editors; on a
//! terminal, with a label, the source line and a caret.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use unicode_width::UnicodeWidthStr;

use crate::cmd::output::has_color;
use crate::cmd::table::{last_columns, shorten};
use crate::cmd::{Context, Style, said};
use crate::core::escape;
use crate::jobfile::Problem;
use crate::os::terminal::Terminal;
use crate::os::{file, trust};

/// The limit of a file to quote lines from, in bytes.
const TEXT_MAX: u64 = 16 << 20;

/// The severity of a finding.
#[derive(Clone, Copy, Debug)]
pub(super) enum Label {
    /// The jobfile is refused.
    Error,
    /// The jobfile is valid.
    Warning,
}

impl Label {
    const fn styled(self) -> (&'static str, Style) {
        match self {
            Self::Error => ("error:", Style::Bad),
            Self::Warning => ("warning:", Style::Warn),
        }
    }
}

/// Prints findings. `draft` is the text that was checked instead of a file.
pub(super) fn say(
    context: &Context,
    label: Label,
    problems: &[Problem],
    draft: Option<(&Path, &[u8])>,
) {
    let Some(terminal) = Terminal::of(&io::stderr()) else {
        let texts = problems.iter().map(ToString::to_string);
        let texts: Vec<_> = texts.map(|text| context.reaching(&text).into_owned()).collect();
        return said::lines(&texts);
    };
    let has_color = has_color(context.global.color, Some(terminal));
    let mut texts: HashMap<PathBuf, String> = HashMap::new();
    if let Some((path, bytes)) = draft {
        texts.insert(path.to_owned(), String::from_utf8_lossy(bytes).into_owned());
    }
    for problem in problems {
        let (word, style) = label.styled();
        said::text(&format!("{}: ", problem.place));
        said::plain(&style.paint(word, has_color));
        said::text(&format!(" {}\n", problem.sentence()));
        let path = &problem.place.file;
        let text = texts.entry(path.clone()).or_insert_with(|| text_of(path));
        if let Some([line, caret]) = quoted(problem, text, terminal.width) {
            said::plain(&format!("{line}\n{}\n", style.paint(&caret, has_color)));
        }
        if let Some(hint) = &problem.hint {
            said::text(&format!("hint: {}\n", context.reaching(hint)));
        }
        said::plain("\n");
    }
}

fn text_of(path: &Path) -> String {
    let bytes = trust::open(path).and_then(|opened| file::read_whole(opened.file, TEXT_MAX));
    String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
}

/// Returns the source line with its number, and a line with a caret below the column.
fn quoted(problem: &Problem, text: &str, width: usize) -> Option<[String; 2]> {
    let place = &problem.place;
    let line = text.lines().nth(usize::try_from(place.line).ok()?.checked_sub(1)?)?;
    let gutter = format!("{:>5} | ", place.line);
    let room = width.saturating_sub(gutter.len()).max(1);
    let column = usize::try_from(place.column).ok()?.saturating_sub(1);
    let line = line.replace('\t', " ");
    let at = line.char_indices().nth(column).map_or(line.len(), |(at, _)| at);
    let mut before = escape::text(&line[..at]).into_owned();
    if before.width() >= room {
        before = format!("…{}", last_columns(&before, room / 2));
    }
    let caret = format!("{:>5} | {}^", "", " ".repeat(before.width()));
    let line = shorten(&(before + &escape::text(&line[at..])), room);
    Some([format!("{gutter}{line}"), caret])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobfile::Place;

    #[test]
    fn a_caret_stands_below_the_column_also_of_a_long_line() {
        let cases = [
            ("a = 1", 1, 40, "    2 | a = 1", "      | ^"),
            ("\ta = 漢 x", 8, 40, "    2 |  a = 漢 x", "      |         ^"),
            ("0123456789abcdef", 15, 20, "    2 | …89abcdef", "      |        ^"),
            ("0123456789abcdef", 2, 16, "    2 | 0123456…", "      |  ^"),
            ("\x1bx", 2, 40, "    2 | \\x1bx", "      |     ^"),
            ("a", 9, 40, "    2 | a", "      |  ^"),
        ];
        for (line, column, width, quote, caret) in cases {
            let place = Place { file: "x".into(), line: 2, column };
            let problem = Problem { place, job: None, message: String::new(), hint: None };
            let said = quoted(&problem, &format!("first\n{line}\n"), width);
            assert_eq!(said, Some([quote.to_owned(), caret.to_owned()]), "{line:?}");
        }
        let whole = Problem {
            place: Place::whole(Path::new("x")),
            job: None,
            message: String::new(),
            hint: None,
        };
        assert_eq!(quoted(&whole, "first\n", 40), None);
    }
}
