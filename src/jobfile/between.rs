//! Rules between jobs: duplicate names, former names, feeds, and names whose lock files would be
//! the same.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::entry::Entry;
use super::units;
use super::value::did_you_mean;
use crate::core::job::Name;

/// Checks all jobs, sorted by name, against each other.
pub(super) fn check(entries: &[Entry<'_>]) {
    let mut jobs: HashMap<&str, &Entry<'_>> = HashMap::new();
    for entry in entries {
        match jobs.get(entry.name.as_str()) {
            Some(first) => {
                let there = first.table.scope.text.place(first.offset);
                entry.table.scope.report(
                    entry.offset,
                    format_args!("is also defined at {there}"),
                    None,
                );
            }
            None => drop(jobs.insert(entry.name.as_str(), entry)),
        }
    }
    check_was(entries, &jobs);
    check_places(entries, &jobs);
    check_locks(entries, &jobs);
}

type Jobs<'e, 'a> = HashMap<&'e str, &'e Entry<'a>>;

/// Returns the offset of a key, else of the job's name.
fn offset(entry: &Entry<'_>, key: &str) -> usize {
    entry.table.offset(key).unwrap_or(entry.offset)
}

fn report(entry: &Entry<'_>, key: &str, message: String, hint: Option<String>) {
    entry.table.scope.report(offset(entry, key), message, hint);
}

fn check_was(entries: &[Entry<'_>], jobs: &Jobs<'_, '_>) {
    let mut claimed: HashMap<&Name, &Entry<'_>> = HashMap::new();
    for entry in entries {
        for former in &entry.draft.policy.was {
            if jobs.contains_key(former.as_str()) {
                let hint = "remove it: that job keeps its own history".to_owned();
                report(
                    entry,
                    "was",
                    format!("was {:?}: a job has that name", former.as_str()),
                    Some(hint),
                );
            }
            if let Some(first) = claimed.insert(former, entry) {
                let there = first.table.scope.text.place(offset(first, "was"));
                let (former, other) = (former.as_str(), &first.name);
                let message = if std::ptr::eq(first, entry) {
                    format!("was {former:?}: listed twice")
                } else {
                    format!("was {former:?}: also listed by job `{other}` at {there}")
                };
                report(entry, "was", message, None);
            }
        }
    }
}

/// Checks that the jobs named in `feeds` exist. Only valid if all files were read completely.
pub(super) fn check_feeds(entries: &[Entry<'_>]) {
    let jobs: HashSet<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    for entry in entries {
        let Some(fed) = &entry.draft.policy.feeds else {
            continue;
        };
        if *fed == entry.name {
            report(
                entry,
                "feeds",
                format!("feeds {:?}: a job cannot feed itself", fed.as_str()),
                None,
            );
        } else if !jobs.contains(fed.as_str()) {
            let hint =
                units::nearest(fed.as_str(), entries.iter().map(|entry| entry.name.as_str()))
                    .map(did_you_mean);
            report(entry, "feeds", format!("feeds {:?}: no such job", fed.as_str()), hint);
        }
    }
    check_circles(entries);
}

/// Refuses cycles of jobs that feed each other; each is reported once, at its first job.
fn check_circles(entries: &[Entry<'_>]) {
    let index_of = |name: &Name| {
        let found = entries.binary_search_by(|entry| entry.name.cmp(name));
        found.ok()
    };
    let fed = |index: usize| entries[index].draft.policy.feeds.as_ref().and_then(index_of);
    // The walk that first met each job; a walk that meets one of its own jobs has found a cycle.
    let mut met: Vec<Option<usize>> = vec![None; entries.len()];
    for start in 0..entries.len() {
        let mut at = start;
        while met[at].is_none() {
            met[at] = Some(start);
            let Some(next) = fed(at) else { break };
            at = next;
        }
        if fed(at).is_none() || met[at] != Some(start) {
            continue;
        }
        let mut circle = vec![at];
        circle.extend(
            std::iter::successors(fed(at), |next| fed(*next)).take_while(|next| *next != at),
        );
        report_circle(entries, &circle);
    }
}

fn report_circle(entries: &[Entry<'_>], circle: &[usize]) {
    // A job that feeds itself is reported elsewhere.
    let Some(first) = circle.iter().copied().min().filter(|_| circle.len() > 1) else {
        return;
    };
    let begin = circle.iter().position(|index| *index == first).unwrap_or(0);
    let mut names: Vec<&str> = circle.iter().map(|index| entries[*index].name.as_str()).collect();
    names.rotate_left(begin);
    let message = format!(
        "feeds {:?}: the jobs feed each other in a circle: {} -> {}",
        names.get(1).copied().unwrap_or_default(),
        names.join(" -> "),
        names.first().copied().unwrap_or_default()
    );
    let hint = "remove `feeds` from one of them: items would circle forever".to_owned();
    report(&entries[first], "feeds", message, Some(hint));
}

/// Finds the job whose concurrency place has this name: `a.3` is the third place of `a` if it has
/// that many.
fn place_of<'e, 'a>(name: &str, jobs: &Jobs<'e, 'a>) -> Option<&'e Entry<'a>> {
    let (job, number) = name.rsplit_once('.')?;
    let number: u32 = number.parse().ok().filter(|parsed: &u32| parsed.to_string() == number)?;
    let max = |entry: &&Entry<'_>| entry.draft.policy.running_max().filter(|max| *max > 1);
    jobs.get(job).copied().filter(|entry| max(entry).is_some_and(|max| (1..=max).contains(&number)))
}

/// Refuses a job `JOB.1` beside a job `JOB` with `concurrency`, whose places are locked in
/// `JOB.1.lock`, `JOB.2.lock` ...
fn check_places(entries: &[Entry<'_>], jobs: &Jobs<'_, '_>) {
    for entry in entries {
        if let Some(other) = place_of(entry.name.as_str(), jobs) {
            let there = other.table.scope.text.place(other.offset);
            let message = format!(
                "its lock `{}.lock` is also a lock of job `{}` at {there}",
                entry.name, other.name
            );
            entry.table.scope.report(entry.offset, message, Some("choose another name".to_owned()));
        }
    }
}

/// Refuses a job `lock-x` beside a lock `x`, which is locked in `lock-x.lock`.
fn check_locks(entries: &[Entry<'_>], jobs: &Jobs<'_, '_>) {
    let mut locks: BTreeMap<&str, &Entry<'_>> = BTreeMap::new();
    for entry in entries {
        if let Some(lock) = &entry.draft.policy.lock {
            locks.entry(lock).or_insert(entry);
        }
    }
    for (lock, entry) in locks {
        let file = format!("lock-{lock}");
        let taken = match file.split_once("{1}") {
            None => jobs.get(file.as_str()).copied().or_else(|| place_of(&file, jobs)),
            Some((before, _)) => {
                entries.iter().find(|entry| entry.name.as_str().starts_with(before))
            }
        };
        if let Some(other) = taken {
            let there = other.table.scope.text.place(other.offset);
            let message = format!(
                "lock {lock:?}: its file `{file}.lock` is also the lock of job `{}` at {there}",
                other.name
            );
            report(entry, "lock", message, Some("rename one of them".to_owned()));
        }
    }
}
