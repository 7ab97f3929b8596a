//! The text of a jobfile: reads it within limits, maps bytes to lines, and parses the TOML.
//!
//! Knows no keys; other modules interpret the values.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Findings, Place, Problem};
use super::{Open, Source};

/// The limit of a jobfile in bytes.
const SIZE_MAX: usize = 4 << 20;
/// The limit of nested tables and arrays.
const DEPTH_MAX: usize = 32;
/// The number of syntax errors reported per file; later ones mostly follow from the first.
const SYNTAX_ERRORS_MAX: usize = 100;

/// Why a file could not be read.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The system reported an error.
    Io(io::Error),
    /// The content cannot be a jobfile.
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
    /// Reads a file up to the limit of a jobfile.
    pub(super) fn read(path: &Path, open: &Open<'_>) -> Result<Self, ReadError> {
        let mut bytes = Vec::new();
        let limit = SIZE_MAX as u64 + 1;
        let file = open(path).map_err(ReadError::Io)?;
        // Reading a FIFO could block forever.
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

    /// Takes a text, dropping its byte order mark.
    pub(super) fn new(path: &Path, text: &str) -> Result<Self, Problem> {
        if text.len() > SIZE_MAX {
            return Err(too_long(path));
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let line_starts =
            std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Ok(Self { path: path.to_owned(), text: text.to_owned(), line_starts })
    }

    /// Returns the path of the file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the text without a byte order mark.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the line and column of a byte.
    pub(super) fn place(&self, offset: usize) -> Place {
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start =
            line.checked_sub(1).and_then(|index| self.line_starts.get(index)).copied().unwrap_or(0);
        let column = self.text.get(start..offset).map_or(0, |before| before.chars().count()) + 1;
        Place { file: self.path.clone(), line: saturate(line), column: saturate(column) }
    }

    /// Returns the header `[...]` that contains a byte.
    fn header(&self, offset: usize) -> Option<&str> {
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = self.line_starts.get(line.checked_sub(1)?)?;
        let before = self.text.get(*start..offset)?.trim_start();
        let end = offset + self.text.get(offset..)?.find(']')? + 1;
        let header = self.text.get(offset - before.len()..end)?;
        before.starts_with('[').then_some(header)
    }

    /// Returns the place of the last key in the first such header, if that is before a byte.
    fn first_header(&self, header: &str, before: usize) -> Option<Place> {
        let key = header.rfind('.').map_or(1, |dot| dot + 1);
        let at = self.line_starts.iter().find_map(|start| {
            let line = self.text.get(*start..)?;
            let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
            line.get(indent..)?.starts_with(header).then_some(start + indent + key)
        });
        at.filter(|at| *at < before).map(|at| self.place(at))
    }

    /// Returns the end of the table that contains a byte.
    fn table_end(&self, offset: usize) -> usize {
        let next = self.text.get(offset..).and_then(|rest| rest.find("\n["));
        next.map_or(self.text.len(), |at| offset + at)
    }

    /// Gives up the path and text.
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
    /// Its content, as far as it could be parsed.
    pub(super) table: DeTable<'a>,
    /// Whether it has syntax errors, so that `table` may lack some of the text.
    pub(super) is_broken: bool,
}

impl<'a> Document<'a> {
    /// Parses a text as far as possible and reports every syntax error.
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

/// The parser's message for a duplicate key.
const DUPLICATE: &str = "duplicate key";
/// The parser's message for a header without an end: the keys below it go to another table.
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

/// Returns the offset of a value that is nested too deeply. The parser's own limits bound the
/// recursion.
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
