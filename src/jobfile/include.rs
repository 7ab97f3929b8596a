//! `include`: finds and reads the files that a jobfile names, in a fixed order.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};
use toml::Spanned;
use toml::de::DeValue;

use super::Open;
use super::problem::{Findings, Problem};
use super::text::{Document, ReadError, Text};

/// The maximum number of included files.
const FILES_MAX: usize = 1000;

/// As in a shell, `*` matches neither `/` nor the dot of a hidden file, so editors' lock and swap
/// files are not read.
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// Reads the files that a jobfile includes, sorted by path, each once and never the jobfile itself.
/// Skips patterns of a wrong type, which the reader of the key reports.
pub(super) fn read_all(main: &Document<'_>, open: &Open<'_>, findings: &Findings) -> Vec<Text> {
    let mut found = BTreeMap::new();
    let items = main.table.get("include").and_then(|node| node.get_ref().as_array());
    for item in items.into_iter().flatten() {
        let Some(pattern) = item.get_ref().as_str() else {
            continue;
        };
        let at = Place { main, item, pattern, open, findings };
        for path in at.expand() {
            found.entry(path).or_insert(at);
        }
    }
    let mut seen: HashSet<PathBuf> = fs::canonicalize(main.text.path()).into_iter().collect();
    found.retain(|path, _| fs::canonicalize(path).map_or(true, |file| seen.insert(file)));
    if let Some((_, at)) = found.iter().nth(FILES_MAX) {
        at.report(format_args!("{} files are included, more than {FILES_MAX}", found.len()), None);
        return Vec::new();
    }
    found.iter().filter_map(|(path, at)| at.read(path)).collect()
}

/// Returns the directory that a jobfile's patterns are relative to.
fn base_of(main: &Path) -> &Path {
    main.parent().unwrap_or(Path::new(""))
}

/// Returns whether a pattern, or a component of one, may match names other than itself.
pub(super) fn has_wildcards(pattern: &str) -> bool {
    pattern.contains(['*', '?', '['])
}

/// Prepends the escaped base directory to a pattern; `None` if the directory is not UTF-8.
fn whole_pattern(base: &Path, pattern: &str) -> Option<String> {
    let whole = Path::new(&Pattern::escape(base.to_str()?)).join(pattern);
    whole.to_str().map(str::to_owned)
}

/// Returns the patterns in a jobfile's text, as far as it can be parsed.
pub(super) fn patterns_of(main: &Text) -> Vec<String> {
    // Parsing ten thousand jobs to find no such key would noticeably delay every start.
    let spellings = ["include", "\\u", "\\U", "\\x"];
    if !spellings.iter().any(|part| main.as_str().contains(part)) {
        return Vec::new();
    }
    let document = Document::parse(main, &Findings::default());
    let items = document.table.get("include").and_then(|node| node.get_ref().as_array());
    items
        .into_iter()
        .flatten()
        .filter_map(|item| item.get_ref().as_str().map(str::to_owned))
        .collect()
}

/// Returns the files of a pattern like [`read_all`], skipping unreadable directories.
pub(super) fn files_of(main: &Path, pattern: &str) -> Vec<PathBuf> {
    let base = base_of(main);
    if !has_wildcards(pattern) {
        return vec![base.join(pattern)];
    }
    let paths =
        whole_pattern(base, pattern).and_then(|whole| glob::glob_with(&whole, OPTIONS).ok());
    let found = paths.into_iter().flatten().filter_map(Result::ok);
    found.filter(|path| !path.is_dir()).take(FILES_MAX).collect()
}

/// Returns whether a component of a pattern matches a name.
pub(super) fn is_match(part: &str, name: &str) -> bool {
    Pattern::new(part).is_ok_and(|part| part.matches_with(name, OPTIONS))
}

/// An element of `include`.
#[derive(Clone, Copy)]
struct Place<'p, 'a> {
    main: &'p Document<'a>,
    item: &'p Spanned<DeValue<'a>>,
    pattern: &'p str,
    open: &'p Open<'p>,
    findings: &'p Findings,
}

impl Place<'_, '_> {
    fn report(&self, reason: impl std::fmt::Display, hint: Option<&str>) {
        let place = self.main.text.place(self.item.span().start);
        let message = format!("include {:?}: {reason}", self.pattern);
        self.findings.problem(Problem { place, job: None, message, hint: hint.map(str::to_owned) });
    }

    /// Returns the files of a pattern; a path without wildcards is returned even if it does not
    /// exist.
    fn expand(&self) -> Vec<PathBuf> {
        let base = base_of(self.main.text.path());
        if !has_wildcards(self.pattern) {
            return vec![base.join(self.pattern)];
        }
        let Some(whole) = whole_pattern(base, self.pattern) else {
            self.report(
                "the directory of the jobfile is not UTF-8",
                Some("name each file without wildcards"),
            );
            return Vec::new();
        };
        self.look_at_directories();
        match glob::glob_with(&whole, OPTIONS) {
            Ok(paths) => paths.filter_map(|path| self.found(path)).collect(),
            Err(error) => {
                self.report(format_args!("not a glob: {}", error.msg), None);
                Vec::new()
            }
        }
    }

    /// Opens every directory that the pattern searches, to check who can write to it: they could
    /// also remove files.
    fn look_at_directories(&self) {
        let base = base_of(self.main.text.path());
        for above in Path::new(self.pattern).ancestors().skip(1) {
            let above = above.to_str().unwrap_or_default();
            let paths =
                whole_pattern(base, above).and_then(|whole| glob::glob_with(&whole, OPTIONS).ok());
            let found = paths.into_iter().flatten().filter_map(Result::ok);
            for dir in found.filter(|path| path.is_dir()).take(FILES_MAX) {
                match (self.open)(&dir) {
                    // The search for files reports directories that cannot be read.
                    Err(error) if error.raw_os_error().is_none() => self.report(error, None),
                    Ok(_) | Err(_) => {}
                }
            }
            if !has_wildcards(above) {
                return;
            }
        }
    }

    fn found(&self, path: Result<PathBuf, glob::GlobError>) -> Option<PathBuf> {
        match path {
            Ok(path) => (!path.is_dir()).then_some(path),
            Err(error) => {
                self.report(format_args!("{}: {}", error.path().display(), error.error()), None);
                None
            }
        }
    }

    fn read(&self, path: &Path) -> Option<Text> {
        match Text::read(path, self.open) {
            Ok(text) => Some(text),
            Err(ReadError::Refused(problem)) => {
                self.findings.problem(problem);
                None
            }
            Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                let hint = "a pattern such as \"jobs.d/*.toml\" may match nothing";
                self.report(format_args!("{} does not exist", path.display()), Some(hint));
                None
            }
            Err(ReadError::Io(error)) => {
                self.report(format_args!("{} cannot be read: {error}", path.display()), None);
                None
            }
        }
    }
}
