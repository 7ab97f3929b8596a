//! Finds the place of a job's key, for warnings about a loaded jobfile.
//!
//! The text is parsed again for this, so that a supervisor with ten thousand jobs need not keep
//! places that only `check` uses.

use toml::de::{DeTable, DeValue};

use super::Source;
use super::problem::{Findings, Place};
use super::text::{Document, Text};

/// A key of a job, or one element of its value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot<'a> {
    /// The job's name.
    pub(crate) job: &'a str,
    /// The key.
    pub(crate) key: &'a str,
    /// The index of the element, if the value is an array.
    pub(crate) element: usize,
}

/// Returns the places of values: in the job, else in `[defaults]`, else the place of the job's
/// name.
pub(crate) fn places(sources: &[Source], spots: &[Spot<'_>]) -> Vec<Place> {
    let findings = Findings::default();
    let read = |source: &Source| Text::new(&source.path, &source.text).ok();
    let texts: Vec<Text> = sources.iter().filter_map(read).collect();
    let documents: Vec<Document<'_>> =
        texts.iter().map(|text| Document::parse(text, &findings)).collect();
    spots.iter().map(|spot| place(&documents, spot)).collect()
}

fn place(documents: &[Document<'_>], spot: &Spot<'_>) -> Place {
    let owned = documents.iter().find_map(|document| {
        let jobs = table(&document.table, "jobs")?;
        let (name, node) = jobs.get_key_value(spot.job)?;
        let offset = offset(node.get_ref().as_table()?, spot);
        Some((document, name.span().start, offset))
    });
    let by_default = || {
        let main = documents.first()?;
        let offset = offset(table(&main.table, "defaults")?, spot)?;
        Some(main.text.place(offset))
    };
    match owned {
        Some((document, _, Some(offset))) => document.text.place(offset),
        Some((document, name, None)) => by_default().unwrap_or_else(|| document.text.place(name)),
        None => documents.first().map_or_else(
            || Place::whole(std::path::Path::new("")),
            |main| Place::whole(main.text.path()),
        ),
    }
}

fn table<'t, 'a>(table: &'t DeTable<'a>, key: &str) -> Option<&'t DeTable<'a>> {
    table.get(key)?.get_ref().as_table()
}

fn offset(table: &DeTable<'_>, spot: &Spot<'_>) -> Option<usize> {
    let value = table.get(spot.key)?;
    let element = match value.get_ref() {
        DeValue::Array(items) => items.get(spot.element),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Table(_) => None,
    };
    Some(element.unwrap_or(value).span().start)
}
