//! Assembles jobs from parsed files: settings, `[defaults]`, then each job on top of them.

use std::collections::HashSet;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeString, DeValue};

use super::Environment;
use super::between;
use super::door;
use super::entry::{Entry, Table};
use super::keys::{self, Draft, JOB, TOP};
use super::problem::{Findings, Place, Problem};
use super::scope::{Owner, Scope};
use super::text::Document;
use super::units;
use super::value;
use crate::core::job::{CommandLine, Job, Name, Overlap, Policy, Settings};

/// The maximum number of jobs, including those of included files.
const JOBS_MAX: usize = 10_000;

/// Reads everything. If `findings` has problems afterwards, the result must not be used.
pub(super) fn assemble<'a>(
    documents: &'a [Document<'a>],
    env: &'a Environment<'a>,
    findings: &'a Findings,
) -> (Settings, Vec<Job>) {
    // Broken or unreadable files may contain further jobs.
    let is_whole = findings.is_clean();
    let mut settings = Settings::default();
    let Some(main) = documents.first() else {
        return (settings, Vec::new());
    };
    let scope = Scope {
        text: main.text,
        owner: Owner::Top,
        env,
        hash_seed: env.machine_id,
        hint_for_unknown: keys::hint_for_unknown,
        findings,
    };
    value::read(&scope, "", &main.table, TOP, &mut settings);
    for document in documents.iter().skip(1) {
        check_included(document, Scope { text: document.text, ..scope });
    }
    let hash_seed = hash_seed_of(main).unwrap_or(env.machine_id);
    let reader = Reader::new(Scope { hash_seed, ..scope }, main);
    let mut entries = Vec::new();
    for document in documents {
        reader.read_jobs(document, &mut entries);
    }
    check_count(entries.len(), main, findings);
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    between::check(&entries);
    door::check_tokens(settings.door.as_deref(), &entries);
    if is_whole {
        between::check_feeds(&entries);
    }
    (settings, finish(entries))
}

/// Returns the seed in the file; the reader of the key reports an invalid one.
fn hash_seed_of<'a>(main: &'a Document<'_>) -> Option<&'a str> {
    main.table.get("hash_seed").and_then(|node| node.get_ref().as_str())
}

fn check_included(document: &Document<'_>, scope: Scope<'_>) {
    for key in document.table.keys().filter(|key| key.get_ref() != "jobs") {
        let name = key.get_ref().as_ref();
        let known = TOP.iter().any(|row| row.name == name);
        let hint = if known {
            Some(format!("write `{name}` in the main file"))
        } else {
            keys::hint_for_unknown(name, vec!["jobs"])
        };
        let message =
            format!("an included file may contain only [jobs.NAME], not `{}`", name.escape_debug());
        scope.report(key.span().start, message, hint);
    }
}

fn check_count(count: usize, main: &Document<'_>, findings: &Findings) {
    if count > JOBS_MAX {
        let place = Place::whole(main.text.path());
        let message = format!("{count} jobs, more than {JOBS_MAX}");
        findings.problem(Problem { place, job: None, message, hint: None });
    }
}

/// Reads jobs on top of the defaults.
struct Reader<'a> {
    scope: Scope<'a>,
    base: Draft,
    defaults: Option<Table<'a>>,
}

impl<'a> Reader<'a> {
    fn new(top: Scope<'a>, main: &'a Document<'a>) -> Self {
        let scope = Scope { owner: Owner::Defaults, ..top };
        let mut base = Draft::default();
        let table = main.table.get("defaults").and_then(|node| node.get_ref().as_table());
        let defaults = table.map(|keys| Table { scope, keys, is_broken: main.is_broken });
        if let Some(table) = &defaults {
            value::read(&scope, "", table.keys, JOB, &mut base);
            if let Some(offset) = table.offset("was") {
                scope.report(offset, "`was` cannot be a default: it names one job", None);
            }
            check_overlap(table);
        }
        Self { scope: top, base, defaults }
    }

    fn read_jobs(&self, document: &'a Document<'a>, into: &mut Vec<Entry<'a>>) {
        let scope = Scope { text: document.text, ..self.scope };
        let Some(node) = document.table.get("jobs") else {
            return;
        };
        let DeValue::Table(jobs) = node.get_ref() else {
            return;
        };
        for (key, node) in jobs {
            let scope = Scope { owner: Owner::Job(key.get_ref().as_ref()), ..scope };
            let name = check_name(key, scope);
            let Some(keys) = node.get_ref().as_table() else {
                scope.report(key.span().start, "expected a table", not_a_job_hint(key.get_ref()));
                continue;
            };
            let table = Table { scope, keys, is_broken: document.is_broken };
            let draft = self.read_job(&table, key.span().start);
            into.extend(name.map(|name| Entry { name, table, offset: key.span().start, draft }));
        }
    }

    fn read_job(&self, table: &Table<'a>, offset: usize) -> Draft {
        let mut draft = self.base.clone();
        let defaults = self.defaults.as_ref();
        let inherited =
            defaults.filter(|defaults| !table.has("schedule") && defaults.has("schedule"));
        // The defaults' schedule is read again, because `H` depends on the job. Its problems have
        // been reported already.
        if let Some(defaults) = inherited.filter(|_| !self.base.schedules.is_empty()) {
            let scope = Scope { owner: table.scope.owner, ..defaults.scope };
            let again =
                Table { scope, ..*defaults }.value("schedule").and_then(|value| value.schedules());
            draft.schedules = again.unwrap_or_default();
        }
        value::read(&table.scope, "", table.keys, JOB, &mut draft);
        let has_command =
            table.has("command") || defaults.is_some_and(|defaults| defaults.has("command"));
        if !has_command && !table.is_broken {
            table.scope.report(
                offset,
                "has no `command`",
                Some("write `command = \"...\"`".to_owned()),
            );
        }
        check_overlap(table);
        prefer_own_concurrency(table, &mut draft);
        check_exit_codes(table, offset, &draft.policy);
        warn_of_pipe(table, offset, &draft);
        draft
    }
}

fn check_name(key: &Spanned<DeString<'_>>, scope: Scope<'_>) -> Option<Name> {
    let parsed = Name::parse(key.get_ref());
    if let Err(reason) = parsed {
        let hint = "a name is a letter or digit, then letters, digits, `.`, `_` and `-`, at most 64 in all";
        scope.report(key.span().start, format_args!("the name {reason}"), Some(hint.to_owned()));
    }
    parsed.ok()
}

fn not_a_job_hint(name: &str) -> Option<String> {
    let is_key = JOB.iter().any(|row| row.name == name);
    is_key.then(|| format!("`{name}` is a key of a job: write it under [jobs.NAME]"))
}

/// Refuses `concurrency` with `overlap = "allow"`, which would silently ignore it.
fn check_overlap(table: &Table<'_>) {
    let overlap = table.keys.get("overlap").filter(|node| node.get_ref().as_str() == Some("allow"));
    if let (Some(overlap), Some(offset)) = (overlap, table.offset("concurrency")) {
        let line = table.scope.text.place(overlap.span().start).line;
        let message = format!("`concurrency` conflicts with `overlap = \"allow\"` in line {line}");
        let hint = "remove one of them: `allow` means no limit".to_owned();
        table.scope.report(offset, message, Some(hint));
    }
}

/// Lets a job's own `concurrency` override an `overlap = "allow"` of `[defaults]`, such as that of
/// an imported crontab.
fn prefer_own_concurrency(table: &Table<'_>, draft: &mut Draft) {
    let is_inherited = draft.policy.overlap == Overlap::Allow && !table.has("overlap");
    if is_inherited && table.has("concurrency") {
        draft.policy().overlap = Overlap::Skip;
    }
}

/// Checks that every exit code has only one meaning.
fn check_exit_codes(table: &Table<'_>, offset: usize, policy: &Policy) {
    let meanings = [
        ("success_exit", &policy.success_exit),
        ("skip_exit", &policy.skip_exit),
        ("no_retry_exit", &policy.no_retry_exit),
    ];
    for (index, (key, codes)) in meanings.iter().enumerate() {
        for (other, others) in meanings.iter().skip(index + 1) {
            if let Some(code) = codes.iter().find(|code| others.contains(code)) {
                let offset = table.offset(other).or(table.offset(key)).unwrap_or(offset);
                let message = format!("exit code {code} is both in `{key}` and in `{other}`");
                table.scope.report(offset, message, Some("remove it from one of them".to_owned()));
            }
        }
    }
}

fn warn_of_pipe(table: &Table<'_>, offset: usize, draft: &Draft) {
    let Some(CommandLine::Shell(text)) = &draft.command else {
        return;
    };
    let has_pipefail =
        units::has_pipefail(text) || units::has_pipefail(&draft.policy.shell.join(" "));
    if !has_pipefail && units::has_pipe(text) {
        let message = "`command` has a pipe, but its shell reports only the last command's failure";
        let hint = "write `shell = [\"/bin/bash\", \"-o\", \"pipefail\", \"-c\"]`".to_owned();
        table.scope.note(table.offset("command").unwrap_or(offset), message, Some(hint));
    }
}

/// Makes the jobs; equal policies are shared.
fn finish(entries: Vec<Entry<'_>>) -> Vec<Job> {
    let mut policies: HashSet<Arc<Policy>> = HashSet::new();
    // Most jobs have the policy of the job before; comparing it first saves hashing, the most
    // expensive step here.
    let mut last: Option<Arc<Policy>> = None;
    let mut jobs = Vec::with_capacity(entries.len());
    for Entry { name, draft, .. } in entries {
        let Draft { command, schedules, timezone, policy } = draft;
        let policy = match last.take().filter(|last| *last == policy) {
            Some(same) => same,
            None => shared(&mut policies, policy),
        };
        last = Some(Arc::clone(&policy));
        jobs.extend(command.map(|command| Job { name, command, schedules, timezone, policy }));
    }
    jobs
}

fn shared(policies: &mut HashSet<Arc<Policy>>, policy: Arc<Policy>) -> Arc<Policy> {
    if let Some(known) = policies.get(&policy) {
        return Arc::clone(known);
    }
    policies.insert(Arc::clone(&policy));
    policy
}
