//! Aligned columns. On a terminal a table fits its width: flexible columns are shortened, nothing
//! wraps.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::cmd::{Out, Result, Style};
use crate::core::escape;

/// The gap between two columns.
const GAP: usize = 2;

/// The minimum width of a flexible column.
const FLEXIBLE_MIN: usize = 8;

/// How the width of a column is determined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Left,
    Right,
    Flexible,
    Firm,
}

/// Longer texts are shortened before other columns are omitted.
const FLEXIBLE_FAIR: usize = 32;

/// A column: its title, its kind of width, and its cells.
#[derive(Clone, Debug)]
struct Column {
    title: &'static str,
    kind: Kind,
    /// Whether it may be omitted on a narrow terminal.
    is_spare: bool,
    /// Whether its cells are names, whose ends matter as much as their beginnings.
    is_of_names: bool,
    cells: Vec<Cell>,
}

impl Column {
    fn width(&self) -> usize {
        let cells = self.cells.iter().map(|cell| cell.text.width());
        cells.chain([self.title.width()]).max().unwrap_or(0)
    }

    fn is_empty(&self) -> bool {
        self.cells.iter().all(|cell| cell.text.is_empty())
    }
}

/// A cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// Text in a style. Control characters are escaped, so that a row stays a line.
    pub(crate) fn styled(style: Style, text: impl AsRef<str>) -> Self {
        Self { text: escape::text(text.as_ref()).into_owned(), style }
    }

    /// Makes a cell of a value; `None` is an empty cell, and a column of empty cells is omitted.
    pub(crate) fn maybe(value: Option<impl ToString>) -> Self {
        value.map(|value| value.to_string()).unwrap_or_default().into()
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::styled(Style::Plain, text)
    }
}

/// Rows and columns. Empty columns are omitted.
#[derive(Clone, Debug)]
pub(crate) struct Table<'a, R> {
    rows: &'a [R],
    columns: Vec<Column>,
}

impl<'a, R> Table<'a, R> {
    /// Makes a table of some rows, without columns.
    pub(crate) const fn of(rows: &'a [R]) -> Self {
        Self { rows, columns: Vec::new() }
    }

    /// Adds a column of words.
    pub(crate) fn left(self, title: &'static str, cell: impl Fn(&R) -> Cell) -> Self {
        self.with(title, Kind::Left, cell)
    }

    /// Adds a column of numbers.
    pub(crate) fn right(self, title: &'static str, cell: impl Fn(&R) -> Cell) -> Self {
        self.with(title, Kind::Right, cell)
    }

    /// Adds a column of words that may be shortened.
    pub(crate) fn flexible(self, title: &'static str, cell: impl Fn(&R) -> Cell) -> Self {
        self.with(title, Kind::Flexible, cell)
    }

    /// Adds a column of names, which are shortened in the middle.
    pub(crate) fn names(self, title: &'static str, cell: impl Fn(&R) -> Cell) -> Self {
        let mut table = self.flexible(title, cell);
        if let Some(column) = table.columns.last_mut() {
            column.is_of_names = true;
        }
        table
    }

    /// Adds a column of words that are shortened last, because they identify the row.
    pub(crate) fn firm(self, title: &'static str, cell: impl Fn(&R) -> Cell) -> Self {
        self.with(title, Kind::Firm, cell)
    }

    /// Allows the last added column to be omitted if the table is too wide; those to its right are
    /// omitted first.
    pub(crate) fn spare(mut self) -> Self {
        if let Some(column) = self.columns.last_mut() {
            column.is_spare = true;
        }
        self
    }

    fn with(mut self, title: &'static str, kind: Kind, cell: impl Fn(&R) -> Cell) -> Self {
        let cells = self.rows.iter().map(cell).collect();
        self.columns.push(Column { title, kind, is_spare: false, is_of_names: false, cells });
        self
    }

    /// Prints heading and rows.
    pub(crate) fn print(&self, out: &mut Out) -> Result<()> {
        let mut columns = self.filled();
        if let Some(width) = out.width {
            leave_out(&mut columns, width);
        }
        let mut widths = widths_of(&columns);
        if let Some(width) = out.width {
            fit(&columns, &mut widths, width);
        }
        let titles: Vec<Cell> =
            columns.iter().map(|column| Cell::styled(Style::Bold, column.title)).collect();
        print_row(&columns, titles.iter(), &widths, out)?;
        (0..self.rows.len()).try_for_each(|row| {
            print_row(&columns, columns.iter().map(|column| &column.cells[row]), &widths, out)
        })
    }

    /// Returns whether it fits unshortened; always if there is no limit.
    pub(crate) fn fits(&self, width: Option<usize>) -> bool {
        width.is_none_or(|width| total(&widths_of(&self.filled())) <= width)
    }

    /// Returns whether it fits with flexible columns shortened to a fair width.
    pub(crate) fn fits_shortened(&self, width: Option<usize>) -> bool {
        let fair = |column: &&Column| match column.kind {
            Kind::Flexible => column.width().min(FLEXIBLE_FAIR),
            Kind::Left | Kind::Right | Kind::Firm => column.width(),
        };
        let widths: Vec<usize> = self.filled().iter().map(fair).collect();
        width.is_none_or(|width| total(&widths) <= width)
    }

    /// Returns the columns that are not empty.
    fn filled(&self) -> Vec<&Column> {
        self.columns.iter().filter(|column| !column.is_empty()).collect()
    }
}

fn widths_of(columns: &[&Column]) -> Vec<usize> {
    columns.iter().map(|column| column.width()).collect()
}

/// Omits optional columns, the last one first, until the others fit.
fn leave_out(columns: &mut Vec<&Column>, width: usize) {
    while total(&widths_of(columns)) > width {
        let Some(last) = columns.iter().rposition(|column| column.is_spare) else {
            return;
        };
        columns.remove(last);
    }
}

/// Narrows the widest flexible column, then the widest column of words, firm ones last, until the
/// table fits or nothing can be narrowed.
fn fit(columns: &[&Column], widths: &mut [usize], width: usize) {
    take(columns, widths, width, &[Kind::Flexible]);
    take(columns, widths, width, &[Kind::Flexible, Kind::Left]);
    take(columns, widths, width, &[Kind::Flexible, Kind::Left, Kind::Firm]);
}

fn take(columns: &[&Column], widths: &mut [usize], width: usize, from: &[Kind]) {
    loop {
        let candidates = (0..widths.len()).filter(|&index| from.contains(&columns[index].kind));
        let Some(widest) = candidates.max_by_key(|&index| widths[index]) else {
            return;
        };
        if total(widths) <= width || widths[widest] <= FLEXIBLE_MIN {
            return;
        }
        widths[widest] -= 1;
    }
}

fn print_row<'c>(
    columns: &[&Column],
    cells: impl Iterator<Item = &'c Cell>,
    widths: &[usize],
    out: &mut Out,
) -> Result<()> {
    let mut line = String::new();
    for ((cell, &width), column) in cells.zip(widths).zip(columns) {
        if !line.is_empty() {
            line.push_str(&" ".repeat(GAP));
        }
        let text = match (out.is_terminal(), column.is_of_names) {
            (false, _) => cell.text.clone(),
            (true, false) => shorten(&cell.text, width),
            (true, true) => shorten_middle(&cell.text, width),
        };
        let padding = " ".repeat(width.saturating_sub(text.width()));
        let styled = out.styled(cell.style, &text);
        match column.kind {
            Kind::Right => line.extend([&*padding, &*styled]),
            Kind::Left | Kind::Flexible | Kind::Firm => line.extend([&*styled, &*padding]),
        }
    }
    out.line(line.trim_end_matches(' '))
}

/// Returns the total width of columns.
fn total(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1)
}

/// Shortens a text to a width, with an ellipsis at its end.
pub(crate) fn shorten(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        short.push(c);
    }
    short.push('…');
    short
}

/// Shortens a text to a width, with an ellipsis in the middle.
fn shorten_middle(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(1);
    let end = last_columns(text, room / 2);
    // `shorten` appends the ellipsis.
    format!("{}{end}", shorten(text, width - end.width()))
}

/// Returns the end of a text, at most this wide.
pub(crate) fn last_columns(text: &str, width: usize) -> &str {
    let mut left = width;
    let mut from = text.len();
    for (at, c) in text.char_indices().rev() {
        match left.checked_sub(c.width().unwrap_or(0)) {
            Some(rest) => (left, from) = (rest, at),
            None => break,
        }
    }
    &text[from..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::output::capture;

    fn printed(width: Option<usize>) -> String {
        let rows = [["7", "backup", "", "one two three four five"], ["412", "漢字", "", "a\nb"]];
        let table = Table::of(&rows)
            .right("ID", |row| row[0].into())
            .left("JOB", |row| row[1].into())
            .left("KEY", |row| row[2].into())
            .flexible("ARGS", |row| row[3].into());
        capture(width, |out| table.print(out))
    }

    #[test]
    fn a_firm_column_keeps_what_a_narrow_terminal_can_show() {
        let table = Table::of(&["2027-10-31 00:00:00"])
            .firm("AT", |at| (*at).into())
            .left("TIME", |at| at.repeat(2).into())
            .flexible("NOTE", |at| (*at).into());
        let columns = table.filled();
        let mut widths = widths_of(&columns);
        fit(&columns, &mut widths, 39);
        assert_eq!(widths, [19, 8, 8]);
        fit(&columns, &mut widths, 36);
        assert_eq!(widths, [16, 8, 8]);
    }

    #[test]
    fn spare_columns_go_from_the_right_before_anything_is_shortened() {
        let rows = ["12345678"];
        let table = Table::of(&rows)
            .left("A", |row| (*row).into())
            .left("B", |row| (*row).into())
            .spare()
            .left("C", |row| (*row).into())
            .right("D", |row| (*row).into())
            .spare();
        let heading = |width| {
            let text = capture(Some(width), |out| table.print(out));
            text.lines().next().unwrap_or_default().split_whitespace().collect::<String>()
        };
        for (width, columns) in [(38, "ABCD"), (37, "ABC"), (28, "ABC"), (27, "AC"), (9, "AC")] {
            assert_eq!(heading(width), columns, "{width}");
        }
    }

    #[test]
    fn columns_are_aligned_by_what_one_sees_and_empty_ones_left_out() {
        assert_eq!(
            printed(None),
            " ID  JOB     ARGS\n  7  backup  one two three four five\n412  漢字    a\\nb\n"
        );
    }

    #[test]
    fn a_terminal_gets_no_line_that_wraps() {
        assert_eq!(
            printed(Some(24)),
            " ID  JOB     ARGS\n  7  backup  one two th…\n412  漢字    a\\nb\n"
        );
    }

    #[test]
    fn where_nothing_is_flexible_words_are_shortened_and_numbers_are_not() {
        let table = Table::of(&[("1234567890", "skipped (overlap, by 1)")])
            .right("ID", |(id, _)| (*id).into())
            .left("STATE", |(_, state)| (*state).into());
        let text = capture(Some(24), |out| table.print(out));
        assert_eq!(text, "        ID  STATE\n1234567890  skipped (ov…\n");
    }

    #[test]
    fn a_name_is_shortened_in_the_middle() {
        assert_eq!(shorten_middle("backup-database-nightly", 11), "backu…ghtly");
        assert_eq!(shorten_middle("backup-database-nightly", 10), "backu…htly");
        assert_eq!(shorten_middle("backup", 6), "backup");
        assert_eq!(shorten_middle("漢字漢字", 5), "漢…字");
    }

    #[test]
    fn a_wide_character_is_not_cut_in_two() {
        assert_eq!(shorten("漢字漢字", 4), "漢…");
        assert_eq!(shorten("漢字", 4), "漢字");
    }
}
