//! The text of a jobfile: reading it within its limits, its lines, and its TOML with the place of
//! each value.
//!
//! Knows no key; what a value means is decided by the other rooms.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Findings, Place, Problem};
use super::{Open, Source};

/// The longest jobfile, in bytes.
const SIZE_MAX: usize = 4 << 20;
/// The deepest nesting of tables and arrays.
const DEPTH_MAX: usize = 32;
/// Syntax errors reported of one file: what follows the first ones is mostly their echo.
const SYNTAX_ERRORS_MAX: usize = 100;

/// Why a file could not be read.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The system refused.
    Io(io::Error),
    /// Its content cannot be a jobfile.
    Refused(Problem),
}

/// The text of a file and where its lines begin.
#[derive(Debug)]
pub(super) struct Text {
    path: PathBuf,
    text: String,
    line_starts: Vec<usize>,
}

impl Text {
    /// Reads a file, not more than a jobfile may have.
    pub(super) fn read(path: &Path, open: &Open<'_>) -> Result<Self, ReadError> {
        let mut bytes = Vec::new();
        let limit = SIZE_MAX as u64 + 1;
        let file = open(path).map_err(ReadError::Io)?;
        // A FIFO would be waited for without end.
        if !file.metadata().map_err(ReadError::Io)?.is_file() {
            return Err(ReadError::Io(io::Error::other("not a regular file")));
        }
        file.take(limit).read_to_end(&mut bytes).map_err(ReadError::Io)?;
        Self::from_bytes(path, bytes).map_err(ReadError::Refused)
    }

    /// Takes the content of a file.
    pub(super) fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<Self, Problem> {
        if bytes.len() > SIZE_MAX {
            return Err(too_long(path));
        }
        String::from_utf8(bytes)
            .map_or_else(|error| Err(not_utf8(path, &error)), |text| Self::new(path, &text))
    }

    /// Takes a text that was read before. A byte order mark is dropped.
    pub(super) fn new(path: &Path, text: &str) -> Result<Self, Problem> {
        if text.len() > SIZE_MAX {
            return Err(too_long(path));
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let line_starts =
            std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Ok(Self { path: path.to_owned(), text: text.to_owned(), line_starts })
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The text without a byte order mark.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// The place of a byte.
    pub(super) fn place(&self, offset: usize) -> Place {
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start =
            line.checked_sub(1).and_then(|index| self.line_starts.get(index)).copied().unwrap_or(0);
        let column = self.text.get(start..offset).map_or(0, |before| before.chars().count()) + 1;
        Place { file: self.path.clone(), line: saturate(line), column: saturate(column) }
    }

    /// The header `[...]` that a byte stands in, if it stands in one.
    fn header(&self, offset: usize) -> Option<&str> {
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = self.line_starts.get(line.checked_sub(1)?)?;
        let before = self.text.get(*start..offset)?.trim_start();
        let end = offset + self.text.get(offset..)?.find(']')? + 1;
        let header = self.text.get(offset - before.len()..end)?;
        before.starts_with('[').then_some(header)
    }

    /// The place of the last key in the first header that reads so, if it stands before a byte.
    fn first_header(&self, header: &str, before: usize) -> Option<Place> {
        let key = header.rfind('.').map_or(1, |dot| dot + 1);
        let at = self.line_starts.iter().find_map(|start| {
            let line = self.text.get(*start..)?;
            let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
            line.get(indent..)?.starts_with(header).then_some(start + indent + key)
        });
        at.filter(|at| *at < before).map(|at| self.place(at))
    }

    /// Where the table that a byte stands in ends.
    fn table_end(&self, offset: usize) -> usize {
        let next = self.text.get(offset..).and_then(|rest| rest.find("\n["));
        next.map_or(self.text.len(), |at| offset + at)
    }

    /// Hands the text back.
    pub(super) fn into_source(self) -> Source {
        Source { path: self.path, text: self.text }
    }
}

fn saturate(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn too_long(path: &Path) -> Problem {
    Problem {
        place: Place::whole(path),
        job: None,
        message: "the file is longer than 4 MiB".to_owned(),
        hint: Some("split it with `include`".to_owned()),
    }
}

fn not_utf8(path: &Path, error: &std::string::FromUtf8Error) -> Problem {
    let (bytes, valid) = (error.as_bytes(), error.utf8_error().valid_up_to());
    let before = String::from_utf8_lossy(bytes.get(..valid).unwrap_or_default());
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let place = Place {
        file: path.to_owned(),
        line: saturate(before.matches('\n').count() + 1),
        column: saturate(before.get(line_start..).map_or(0, |line| line.chars().count()) + 1),
    };
    let byte = bytes.get(valid).copied().unwrap_or_default();
    Problem {
        place,
        job: None,
        message: format!("the file is not UTF-8: byte 0x{byte:02x} at offset {valid}"),
        hint: Some("save it as UTF-8, or convert it with iconv(1)".to_owned()),
    }
}

/// A file as TOML.
pub(super) struct Document<'a> {
    /// Its text.
    pub(super) text: &'a Text,
    /// What was understood of it.
    pub(super) table: DeTable<'a>,
    /// It has syntax errors: something may be missing that is there for the reader.
    pub(super) is_broken: bool,
}

impl<'a> Document<'a> {
    /// Parses a text as far as possible; every syntax error is a problem.
    pub(super) fn parse(text: &'a Text, findings: &Findings) -> Self {
        let (table, errors) = DeTable::parse_recoverable(text.as_str());
        let mut echo_end = 0;
        for error in errors.iter().take(SYNTAX_ERRORS_MAX) {
            let span = error.span().unwrap_or_default();
            let is_duplicate = error.message() == DUPLICATE;
            if is_duplicate && span.start < echo_end {
                continue;
            }
            let header = text.header(span.start).filter(|_| is_duplicate);
            let is_unclosed = error.message().starts_with(UNCLOSED);
            if header.is_some() || is_unclosed {
                echo_end = text.table_end(span.end);
            }
            let line_end = if is_unclosed { text.place(echo_end).line + 1 } else { 0 };
            findings.syntax_problem(syntax_problem(text, error, header), line_end);
        }
        let mut document = Self { text, table: table.into_inner(), is_broken: !errors.is_empty() };
        if let Some(offset) = too_deep(&document.table) {
            findings.problem(nesting_problem(text.place(offset)));
            document.table = DeTable::new();
            document.is_broken = true;
        }
        document
    }
}

/// How the parser says that a key is there already.
const DUPLICATE: &str = "duplicate key";
/// How the parser says that a header has no end: the keys below it fall to another table.
const UNCLOSED: &str = "unclosed table";

fn syntax_problem(text: &Text, error: &toml::de::Error, header: Option<&str>) -> Problem {
    let span = error.span();
    let place =
        span.as_ref().map_or_else(|| Place::whole(text.path()), |span| text.place(span.start));
    let found = span.clone().and_then(|span| text.as_str().get(span)).unwrap_or_default();
    let message = error.message();
    if message.contains("recurs") {
        return nesting_problem(place);
    }
    let before = span.map_or(0, |span| span.start);
    let first = header.and_then(|header| text.first_header(header, before));
    let message = match (message, first) {
        (DUPLICATE, Some(first)) => {
            format!("`{}` is also defined at {first}", found.escape_debug())
        }
        (DUPLICATE, None) => format!("`{}` is given twice", found.escape_debug()),
        (other, _) => format!("not valid TOML: {other}"),
    };
    Problem { place, job: None, message, hint: None }
}

fn nesting_problem(place: Place) -> Problem {
    let message = format!("nested deeper than {DEPTH_MAX} tables and arrays");
    Problem { place, job: None, message, hint: None }
}

/// The offset of a value that is nested too deep. The parser's own limits bound what has to be
/// visited.
fn too_deep(table: &DeTable<'_>) -> Option<usize> {
    let mut waiting: Vec<(usize, &Spanned<DeValue<'_>>)> =
        table.values().map(|value| (1, value)).collect();
    while let Some((depth, value)) = waiting.pop() {
        match value.get_ref() {
            DeValue::Array(_) | DeValue::Table(_) if depth > DEPTH_MAX => {
                return Some(value.span().start);
            }
            DeValue::Array(items) => waiting.extend(items.iter().map(|item| (depth + 1, item))),
            DeValue::Table(inner) => waiting.extend(inner.values().map(|item| (depth + 1, item))),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => {}
        }
    }
    None
}
