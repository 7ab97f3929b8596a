//! Converts crontabs into a jobfile that loads: names the jobs, and keeps lines that do not load as
//! comments.

use std::collections::{BTreeSet, HashMap};

use super::draft::{Draft, Item};
use super::name::Names;
use super::reader::Reader;
use super::{Import, Note, Request, Tools, Unknown, modern, switch_off, write};
use crate::core::noun::count;

/// Makes a jobfile from crontabs. It loads, and each line that starts a command is either a job in
/// it or among the unknown lines.
pub(crate) fn import(request: &Request, tools: Tools<'_>) -> Import {
    let mut reader = Reader::new(request, tools);
    for (index, source) in request.sources.iter().enumerate() {
        reader.read(index, source);
    }
    reader.note_idle_directories();
    reader.note_all();
    let Reader { mut items, mut notes, idle, .. } = reader;
    give_names(&mut items);
    notes.extend(modernise(&mut items, request, tools));
    let text = settle(&mut items, &head(request), tools);
    let switch_off = switch_off(request, &items);
    let (mut jobs, mut unknown) = (Vec::new(), Vec::new());
    for item in items {
        match item {
            Item::Job(draft) => jobs.push(draft.imported),
            Item::Kept(line) => unknown.push(line),
            Item::Comment(_) | Item::Break => {}
        }
    }
    Import { text, jobs, idle, unknown, notes, switch_off }
}

/// Replaces programs by keys if requested, else notes where it could.
fn modernise(items: &mut [Item], request: &Request, tools: Tools<'_>) -> Option<Note> {
    let jobs = match request.is_modern {
        true => modern::apply(items, tools),
        false => modern::count(items, tools),
    };
    let noun = count(jobs, "job");
    let text = if request.is_modern {
        format!("parts of the commands of {noun} became keys; the line from cron is above each")
    } else {
        format!(
            "--modern would turn parts of the commands of {noun} into keys such as `cwd`, \
                 `lock` and `timeout`"
        )
    };
    (jobs > 0).then(|| Note { file: String::new(), line: None, text })
}

fn head(request: &Request) -> String {
    let files: Vec<_> = request.sources.iter().map(|source| source.file.as_str()).collect();
    format!("# Made by `jobctl import` from {}.", files.join(", "))
}

fn give_names(items: &mut [Item]) {
    let mut names = Names::default();
    // A disabled line must not take the name of its successor.
    for is_off in [false, true] {
        for item in items.iter_mut() {
            if let Item::Job(draft) = item
                && draft.is_off() == is_off
            {
                draft.imported.job = names.unique(&draft.base);
            }
        }
    }
}

/// Writes the jobfile, removing jobs until it loads.
fn settle(items: &mut [Item], head: &str, tools: Tools<'_>) -> String {
    loop {
        let written = write::jobfile(items, head);
        for index in &written.left_out {
            keep(items.get_mut(*index), |_| {
                Some("the jobfile would be longer than 4 MiB".to_owned())
            });
        }
        if !written.left_out.is_empty() {
            continue;
        }
        let refusals = (tools.refusals)(&written.text);
        let Some(first) = refusals.first() else {
            return written.text;
        };
        let whole = &first.reason;
        let named: HashMap<&str, &str> = refusals
            .iter()
            .filter_map(|refusal| Some((refusal.job.as_deref()?, refusal.reason.as_str())))
            .collect();
        let before = count_jobs(items);
        for item in items.iter_mut() {
            keep(Some(item), |draft| {
                named.get(draft.imported.job.as_str()).map(|reason| (*reason).to_owned())
            });
        }
        if count_jobs(items) == before {
            if before == 0 {
                return String::new();
            }
            keep_unnamed(items, whole, tools);
        }
    }
}

/// Turns the jobs that do not load individually into comments, or all jobs if each of them loads.
fn keep_unnamed(items: &mut [Item], whole: &str, tools: Tools<'_>) {
    let reason = |item: &Item| {
        let Item::Job(_) = item else { return None };
        let text = write::jobfile(std::slice::from_ref(item), "").text;
        (tools.refusals)(&text).into_iter().next().map(|refusal| refusal.reason)
    };
    let reasons: Vec<Option<String>> = items.iter().map(reason).collect();
    let is_known = reasons.iter().any(Option::is_some);
    for (item, own) in items.iter_mut().zip(reasons) {
        keep(Some(item), |_| if is_known { own.clone() } else { Some(whole.to_owned()) });
    }
}

fn count_jobs(items: &[Item]) -> usize {
    items.iter().filter(|item| matches!(item, Item::Job(_))).count()
}

/// Turns a job into a comment if there is a reason.
fn keep(item: Option<&mut Item>, reason: impl Fn(&Draft) -> Option<String>) {
    let Some(item) = item else { return };
    if let Item::Job(draft) = item
        && let Some(reason) = reason(draft)
    {
        *item = kept(draft, reason);
    }
}

fn kept(draft: &Draft, reason: String) -> Item {
    if draft.is_off() {
        return Item::Comment(draft.line.clone());
    }
    Item::Kept(Unknown {
        file: draft.imported.file.clone(),
        line: draft.imported.line,
        text: draft.line.clone(),
        reason,
    })
}

fn switch_off(request: &Request, items: &[Item]) -> Vec<String> {
    let mut lines: Vec<BTreeSet<u32>> = vec![BTreeSet::new(); request.sources.len()];
    for item in items {
        if let Item::Job(draft) = item
            && !draft.is_off()
            && let Some(lines) = lines.get_mut(draft.source)
        {
            lines.insert(draft.imported.line);
        }
    }
    let sources = request.sources.iter().zip(&lines);
    sources.filter_map(|(source, lines)| switch_off::command(&source.off, lines)).collect()
}
