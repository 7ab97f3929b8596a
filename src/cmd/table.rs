//! Aligned columns. On a terminal a table fits its width: flexible columns are shortened, nothing wraps.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::cmd::{Out, Result, Style};
use crate::core::escape;

/// Between two columns.
const GAP: usize = 2;

/// A flexible column is not shortened below this.
const FLEXIBLE_MIN: usize = 8;

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    title: &'static str,
    is_right: bool,
    is_flexible: bool,
    is_firm: bool,
}

impl Column {
    /// Words.
    pub(crate) const fn left(title: &'static str) -> Self {
        Self { title, is_right: false, is_flexible: false, is_firm: false }
    }

    /// Numbers.
    pub(crate) const fn right(title: &'static str) -> Self {
        Self { title, is_right: true, is_flexible: false, is_firm: false }
    }

    /// Words that may be shortened.
    pub(crate) const fn flexible(title: &'static str) -> Self {
        Self { title, is_right: false, is_flexible: true, is_firm: false }
    }

    /// Words that are shortened last: a row means nothing without them.
    pub(crate) const fn firm(title: &'static str) -> Self {
        Self { title, is_right: false, is_flexible: false, is_firm: true }
    }
}

/// What stands in a row under a column.
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
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::styled(Style::Plain, text)
    }
}

/// Rows under columns.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(columns: &[Column]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row: a cell for each column.
    pub(crate) fn push(&mut self, row: Vec<Cell>) {
        assert!(row.len() == self.columns.len(), "a row has a cell for each column");
        self.rows.push(row);
    }

    /// Prints heading and rows. A column in which nothing stands is left out.
    pub(crate) fn print(mut self, out: &mut Out) -> Result<()> {
        self.drop_empty_columns();
        let mut widths = self.widths();
        if let Some(width) = out.width {
            self.fit(&mut widths, width);
        }
        let heading =
            self.columns.iter().map(|column| Cell::styled(Style::Bold, column.title)).collect();
        self.print_row(heading, &widths, out)?;
        for row in std::mem::take(&mut self.rows) {
            self.print_row(row, &widths, out)?;
        }
        Ok(())
    }

    /// Whether it stands in so many columns as it is; in any number if there is no bound.
    pub(crate) fn fits(&mut self, width: Option<usize>) -> bool {
        self.drop_empty_columns();
        let widths = self.widths();
        width.is_none_or(|width| total(&widths) <= width)
    }

    fn drop_empty_columns(&mut self) {
        let is_used: Vec<bool> = (0..self.columns.len())
            .map(|index| self.rows.iter().any(|row| !row[index].text.is_empty()))
            .collect();
        let keep = |index: usize| is_used[index];
        retain_by_index(&mut self.columns, keep);
        for row in &mut self.rows {
            retain_by_index(row, keep);
        }
    }

    fn widths(&self) -> Vec<usize> {
        let widest = |(index, column): (usize, &Column)| {
            let cells = self.rows.iter().map(|row| row[index].text.width());
            cells.chain([column.title.width()]).max().unwrap_or(0)
        };
        self.columns.iter().enumerate().map(widest).collect()
    }

    /// Takes from the widest flexible column, then from the widest one of words, the firm ones last, until the table fits or nothing more can be taken.
    fn fit(&self, widths: &mut [usize], width: usize) {
        self.take(widths, width, |column| column.is_flexible);
        self.take(widths, width, |column| !column.is_right && !column.is_firm);
        self.take(widths, width, |column| !column.is_right);
    }

    fn take(&self, widths: &mut [usize], width: usize, may_shrink: impl Fn(&Column) -> bool) {
        loop {
            let candidates = (0..widths.len()).filter(|&index| may_shrink(&self.columns[index]));
            let Some(widest) = candidates.max_by_key(|&index| widths[index]) else {
                return;
            };
            if total(widths) <= width || widths[widest] <= FLEXIBLE_MIN {
                return;
            }
            widths[widest] -= 1;
        }
    }

    fn print_row(&self, row: Vec<Cell>, widths: &[usize], out: &mut Out) -> Result<()> {
        let mut line = String::new();
        let last = row.len().saturating_sub(1);
        for (index, cell) in row.into_iter().enumerate() {
            let text =
                if out.is_terminal() { shorten(&cell.text, widths[index]) } else { cell.text };
            let padding = " ".repeat(widths[index].saturating_sub(text.width()));
            let styled = out.styled(cell.style, &text);
            if self.columns[index].is_right {
                line.push_str(&padding);
                line.push_str(&styled);
            } else {
                line.push_str(&styled);
                line.push_str(if index == last { "" } else { &padding });
            }
            line.push_str(if index == last { "" } else { "  " });
        }
        out.line(line.trim_end_matches(' '))
    }
}

/// What columns of these widths take together.
fn total(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1)
}

/// The text in so many columns, with an ellipsis where it is shortened.
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

fn retain_by_index<T>(items: &mut Vec<T>, keep: impl Fn(usize) -> bool) {
    let mut index = 0;
    items.retain(|_| {
        index += 1;
        keep(index - 1)
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::output::capture;

    fn printed(width: Option<usize>) -> String {
        let mut table = Table::new(&[
            Column::right("ID"),
            Column::left("JOB"),
            Column::left("KEY"),
            Column::flexible("ARGS"),
        ]);
        table.push(vec!["7".into(), "backup".into(), "".into(), "one two three four five".into()]);
        table.push(vec!["412".into(), "漢字".into(), "".into(), "a\nb".into()]);
        capture(width, |out| table.print(out))
    }

    #[test]
    fn a_firm_column_keeps_what_a_narrow_terminal_can_show() {
        let mut table =
            Table::new(&[Column::firm("AT"), Column::left("TIME"), Column::flexible("NOTE")]);
        let at = "2027-10-31 00:00:00";
        table.push(vec![at.into(), at.repeat(2).into(), at.into()]);
        let mut widths = table.widths();
        table.fit(&mut widths, 39);
        assert_eq!(widths, [19, 8, 8]);
        table.fit(&mut widths, 36);
        assert_eq!(widths, [16, 8, 8]);
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
        let mut table = Table::new(&[Column::right("ID"), Column::left("STATE")]);
        table.push(vec!["1234567890".into(), "skipped (overlap, by 1)".into()]);
        let text = capture(Some(24), |out| table.print(out));
        assert_eq!(text, "        ID  STATE\n1234567890  skipped (ov…\n");
    }

    #[test]
    fn a_wide_character_is_not_cut_in_two() {
        assert_eq!(shorten("漢字漢字", 4), "漢…");
        assert_eq!(shorten("漢字", 4), "漢字");
    }
}
