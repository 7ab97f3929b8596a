//! The errors of a jobfile, and warnings about likely mistakes.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use serde::Serialize;

use super::absent;
use super::callers;
use super::jobs::Jobs;
use super::trust;
use crate::core::forewarn::history::{self, History};
use crate::core::forewarn::{self, About, Finding};
use crate::core::job::Job;
use crate::core::run::{Reason, State};
use crate::core::time::Wall;
use crate::jobfile::{self, Jobfile, Place, Problem, Spot};
use crate::os::delegated;
use crate::os::user::{self, AccountError};
use crate::os::zone;
use crate::store::{JobRow, PastRun, Store};

/// How far back `check` reads, and how many runs per job.
const PAST: Duration = Duration::from_secs(30 * 86_400);
const PAST_RUNS: u32 = 1000;

/// The findings about a jobfile.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// The number of jobs.
    pub(crate) jobs: usize,
    /// The problems that make `run` refuse it.
    pub(crate) errors: Vec<Problem>,
    /// Likely mistakes.
    pub(crate) warnings: Vec<Problem>,
}

/// The store's records of each job in the last weeks.
#[derive(Debug, Default)]
pub(crate) struct Past(HashMap<String, History>);

impl Past {
    /// Reads the past; it is empty if the store is missing or unreadable, because `check` is about
    /// the jobfile.
    pub(crate) fn of(store: Option<&Store>, now: Wall) -> Self {
        let Some((store, Ok(rows))) = store.map(|store| (store, store.jobs())) else {
            return Self::default();
        };
        let since = now - PAST;
        let of = |row: JobRow| {
            let runs = store.past_runs(row.id, since, PAST_RUNS).ok()?;
            Some((row.name, history_of(&runs)))
        };
        Self(rows.into_iter().filter_map(of).collect())
    }
}

fn history_of(runs: &[PastRun]) -> History {
    let span = |run: &PastRun| {
        let ms = u64::try_from(run.duration_ms?).ok()?;
        Some(Duration::from_millis(ms)).filter(|_| run.state == State::Succeeded)
    };
    let mut successes: Vec<Duration> = runs.iter().filter_map(span).collect();
    successes.sort_unstable();
    let is_overlap =
        |run: &&PastRun| run.reason == Some(Reason::Overlap) && run.cause.is_occurrence();
    let overlaps: i64 = runs.iter().filter(is_overlap).map(|run| run.count).sum();
    let timeouts = runs.iter().filter(|run| run.has_timed_out).count();
    History {
        successes,
        timeouts: u64::try_from(timeouts).unwrap_or(u64::MAX),
        overlaps: overlaps.unsigned_abs(),
    }
}

impl Report {
    /// Makes the findings about a jobfile that could be read.
    pub(crate) fn of(jobfile: &Jobfile) -> Self {
        Self { jobs: jobfile.jobs.len(), errors: Vec::new(), warnings: jobfile.notes.clone() }
    }

    /// Adds the warnings about the jobs, each with its place.
    pub(crate) fn forewarned(mut self, jobfile: Jobfile, past: &Past, now: Wall) -> Self {
        let sources = jobfile.sources.clone();
        let jobs = Jobs::of(jobfile);
        let mut findings = forewarn::look(&jobs.jobs, &|job| jobs.zone(job), now);
        for (index, job) in jobs.jobs.iter().enumerate() {
            if let Some(history) = past.0.get(job.name.as_str()) {
                findings.extend(history::look(index, job, history));
            }
        }
        findings.extend(nobody(&jobs.jobs));
        findings.extend(callers::look(jobs.settings.door.as_deref(), &jobs.jobs));
        findings.extend(untrusted(&jobs.jobs));
        findings.extend(absent::look(&jobs.jobs));
        findings.extend(unlimited(&jobs.jobs));
        let spots: Vec<Spot<'_>> =
            findings.iter().map(|finding| spot(&jobs.jobs, &finding.about)).collect();
        let places = jobfile::places(&sources, &spots);
        for (finding, place) in findings.into_iter().zip(places) {
            let job = match finding.about {
                About::Key(job, _) | About::Schedule(job, _) => {
                    Some(jobs.jobs[job].name.to_string())
                }
                About::Jobs(_, _) | About::File => None,
            };
            self.warnings.push(Problem {
                place,
                job,
                message: finding.message,
                hint: finding.hint,
            });
        }
        merge(&mut self.warnings);
        let file = |note: &Problem| sources.iter().position(|it| it.path == note.place.file);
        self.warnings.sort_by_key(|note| (file(note), note.place.line, note.place.column));
        self
    }

    /// Adds the warnings about files that users other than root can change.
    pub(crate) fn distrusted(mut self, untrusted: Vec<Problem>) -> Self {
        self.warnings.splice(..0, untrusted);
        self
    }

    /// Makes the findings about a jobfile that could not be read.
    pub(crate) fn of_errors(errors: Vec<Problem>) -> Self {
        Self { errors, ..Self::default() }
    }

    /// Returns whether `run` accepts it.
    pub(crate) fn is_ok(&self) -> bool {
        self.errors.is_empty()
    }

    /// The findings in the form of the JSON.
    pub(crate) fn facts(&self) -> Facts<'_> {
        Facts {
            ok: self.is_ok(),
            jobs: self.jobs,
            errors: &self.errors,
            warnings: &self.warnings,
            time_zones: zone::source(),
        }
    }
}

/// The findings in the form of the JSON.
#[derive(Serialize)]
pub(crate) struct Facts<'a> {
    ok: bool,
    jobs: usize,
    errors: &'a [Problem],
    warnings: &'a [Problem],
    time_zones: String,
}

/// Merges equal warnings of several jobs at one place, such as in `[defaults]`.
fn merge(warnings: &mut Vec<Problem>) {
    let mut firsts: Vec<Problem> = Vec::new();
    let mut seen: HashMap<(Place, String), usize> = HashMap::new();
    for warning in warnings.drain(..) {
        match seen.entry((warning.place.clone(), warning.message.clone())) {
            Entry::Occupied(first) => firsts[*first.get()].job = None,
            Entry::Vacant(new) => {
                new.insert(firsts.len());
                firsts.push(warning);
            }
        }
    }
    *warnings = firsts;
}

/// Returns the place of a finding; an empty job name, which no job has, means the whole file.
fn spot<'a>(jobs: &'a [Job], about: &About) -> Spot<'a> {
    let (job, key, element) = match *about {
        About::File => ("", "", 0),
        About::Key(job, key) => (jobs[job].name.as_str(), key, 0),
        About::Schedule(job, nth) | About::Jobs(job, nth) => {
            (jobs[job].name.as_str(), "schedule", nth)
        }
    };
    Spot { job, key, element }
}

/// Warns about jobs whose user or group does not exist here or that the caller cannot switch to.
fn nobody(jobs: &[Job]) -> impl Iterator<Item = Finding> {
    jobs.iter().enumerate().filter_map(|(index, job)| {
        let (user, group) = (job.policy.user.as_deref(), job.policy.group.as_deref());
        let error = user::account_of(user, group).err()?;
        let key = match &error {
            AccountError::NoSuchGroup(_) => "group",
            AccountError::NoSuchUser(_) | AccountError::NotRoot(_) | AccountError::Failed(..) => {
                if user.is_some() {
                    "user"
                } else {
                    "group"
                }
            }
        };
        Some(Finding {
            about: About::Key(index, key),
            message: format!("{error}: attempts fail (spawn_failed)"),
            hint: None,
        })
    })
}

/// Warns about environment files that an attempt would refuse or that all users can read.
fn untrusted(jobs: &[Job]) -> impl Iterator<Item = Finding> {
    jobs.iter().enumerate().flat_map(|(index, job)| {
        trust::remarks(job).into_iter().map(move |remark| Finding {
            about: About::Key(index, remark.key),
            message: remark.message,
            hint: Some(remark.hint),
        })
    })
}

/// Warns about jobs whose memory cannot be limited on this machine. Only the supervisor can tell
/// whether a group is delegated to it.
fn unlimited(jobs: &[Job]) -> impl Iterator<Item = Finding> {
    let limited = |job: &Job| job.policy.limits.memory.is_some();
    let is_out = jobs.iter().any(limited) && !delegated::is_memory_limitable();
    let those = jobs.iter().enumerate();
    those.filter(move |(_, job)| is_out && limited(job)).map(|(index, _)| Finding {
        about: About::Key(index, "limits"),
        message: "limits.memory: the control groups (cgroup v2) of this machine have no memory \
             controller: attempts fail (spawn_failed)"
            .to_owned(),
        hint: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::jobs::with_environment;
    use crate::jobfile::Source;

    /// 2026-11-23T22:00:00Z, a Monday.
    const NOW: Wall = Wall::from_secs(1_795_471_200);

    /// What is said of the jobs of a file in Europe/Berlin, but for words about the whole file.
    fn warnings(jobs: &str) -> Vec<String> {
        let text = format!("timezone = 'Europe/Berlin'\n[defaults]\ncommand = 'true'\n{jobs}");
        let report = report(&text);
        assert!(report.is_ok(), "{report:?}");
        let said = report.warnings.iter().map(Problem::to_string);
        said.filter(|note| !is_of_the_file(note)).collect()
    }

    fn is_of_the_file(note: &str) -> bool {
        note.contains("no alert") || note.contains("falls into a downtime")
    }

    /// What is said of one job.
    fn of_job(keys: &str) -> Vec<String> {
        warnings(&format!("[jobs.a]\n{keys}"))
    }

    #[test]
    fn a_user_who_is_not_there_is_said_at_the_key() {
        assert_said("user = 'no-such-user'", &["jobs.toml:5:8", "user no-such-user: no such user"]);
        assert_said(
            "group = 'no-such-group'",
            &["jobs.toml:5:9", "group no-such-group: no such group"],
        );
        assert_said(
            "enqueue_by = ['user:no-such-user', 'user:0', 'anyone']",
            &["jobs.toml:5:15", "user no-such-user: no such user: matches no caller"],
        );
        assert_said("enqueue_by = 'user:65534'", &["namespaces: matches no caller"]);
        let door = report("[door]\nlisten = 'unix:/d'\nview = 'group:no-such-group'\n").warnings;
        let said = "`door.view`: group no-such-group: no such group: matches no caller";
        assert!(door.iter().any(|note| note.message == said), "{door:?}");
        let myself = format!("user = '{}'", user::current().name);
        assert_eq!(of_job(&myself), Vec::<String>::new());
    }

    #[track_caller]
    fn assert_said(keys: &str, parts: &[&str]) {
        let said = of_job(keys);
        assert_eq!(said.len(), 1, "{keys}: {said:#?}");
        for part in parts {
            assert!(said[0].contains(part), "{keys}: {} lacks {part}", said[0]);
        }
    }

    #[test]
    fn a_timeout_longer_than_the_period_is_warned_of() {
        for (keys, parts) in [
            (
                "schedule = '*/15 * * * *'\ntimeout = '1h'",
                &[
                    "jobs.toml:6:11: job `a`: timeout 1h is longer than the 15m",
                    "up to 3 occurrences",
                    "skipped (overlap)",
                ][..],
            ),
            ("schedule = '@every 10s'\ntimeout = '11s'", &["the 10s between", "1 occurrence fall"]),
            ("schedule = ['0 * * * *', '5 12 * * *']\ntimeout = '6m'", &["the 5m between"]),
            ("schedule = '0,50 23,0 * * *'\ntimeout = '11m'", &["the 10m between"]),
            ("schedule = '59 23,0 * * *'\ntimeout = '2h'", &["the 1h between"]),
            ("schedule = '0 0 L,1 * *'\ntimeout = '25h'", &["the 1d between"]),
            ("schedule = '0 0 1 * *'\ntimeout = '28d 1m'", &["the 28d between"]),
            (
                "schedule = '* * * * *'\ntimeout = '2m'\noverlap = 'allow'",
                &["up to 2 runs may run at once"],
            ),
            ("schedule = '* * * * *'\ntimeout = '2m'\noverlap = 'replace'", &["replaces the run"]),
            (
                "schedule = '* * * * *'\ntimeout = '4m'\noverlap = 'queue-all'",
                &["up to 3 occurrences fall due in that time and wait"],
            ),
            ("schedule = '* * * * *'\ntimeout = '4m'\nconcurrency = 3", &["up to 3 occurrences"]),
        ] {
            assert_said(keys, parts);
        }
        for keys in [
            "schedule = '*/15 * * * *'\ntimeout = '15m'",
            "schedule = '0 0 * * *'\ntimeout = '24h'",
            "schedule = '0 0 1 * *'\ntimeout = '28d'",
            "schedule = '@reboot'\ntimeout = '28d'",
            "timeout = '28d'",
            "schedule = '* * * * *'\ntimeout = '2h'\nenabled = false",
            "schedule = '* * * * *'\ntimeout = '4m'\nconcurrency = 4",
            "schedule = ['0 12 * * *', '0 12 * * *']\ntimeout = '24h'",
        ] {
            assert_eq!(of_job(keys), [""; 0], "{keys}");
        }
    }

    #[test]
    fn retries_that_cannot_end_before_the_next_occurrence_are_warned_of() {
        for (keys, parts) in [
            (
                "schedule = '*/5 * * * *'\nretry = { max = 3, delay = '1m' }",
                &[
                    "jobs.toml:6:9: job `a`: 3 retries take up to 7m",
                    "after 5m",
                    "failed (superseded)",
                ][..],
            ),
            (
                "schedule = '*/5 * * * *'\nretry = { max = 3, delay = '1m', on_next = 'keep' }",
                &["side by side"],
            ),
            (
                "schedule = '@daily'\nretry = { max = 'unlimited' }",
                &["without a limit", "after 1d"],
            ),
            (
                "schedule = '@hourly'\ntimeout = '20m'\nretry = 2",
                &["take up to 1h 30s with the timeout of each attempt"],
            ),
            (
                "schedule = '@hourly'\nretry = { max = 9, delay = '1m', give_up_after = '61m' }",
                &["take up to 1h 1m"],
            ),
        ] {
            assert_said(keys, parts);
        }
        for keys in [
            "schedule = '*/5 * * * *'\nretry = { max = 2, delay = '1m' }",
            "schedule = '@hourly'\ntimeout = '19m'\nretry = 2",
            "schedule = '@hourly'\nretry = { max = 9, delay = '1m', give_up_after = '1h' }",
            "schedule = '@reboot'\nretry = { max = 'unlimited' }",
            "retry = { max = 'unlimited' }",
            "schedule = '* * * * *'",
        ] {
            assert_eq!(of_job(keys), [""; 0], "{keys}");
        }
    }

    #[test]
    fn a_fixed_time_inside_a_gap_of_the_zone_is_warned_of() {
        assert_said(
            "schedule = ['0 12 * * *', '30 2 * * *']",
            &[
                "jobs.toml:5:27: job `a`: ",
                "02:30 does not exist on 2027-03-28 in Europe/Berlin",
                "it runs at 03:00",
            ],
        );
        assert_said(
            "schedule = '0,30 2 * * 0'",
            &["2 times starting at 02:00", "runs once, at 03:00"],
        );
        assert_said(
            "schedule = '5 0 * * *'\ntimezone = 'Asia/Beirut'",
            &["00:05 does not exist on 2027-03-28", "at 01:00"],
        );
        assert_said(
            "schedule = '15 2 * * *'\ntimezone = 'Australia/Lord_Howe'",
            &["on 2027-10-03", "from 02:00 to 02:30"],
        );
        for keys in [
            "schedule = '59 1 * * *'",
            "schedule = '0 3 * * *'",
            "schedule = '30 2 * * *'\ntimezone = 'UTC'",
            "schedule = '*/10 2 * * *'",
            "schedule = '30 2 * * 1-6'",
            "schedule = '30 2 * * *'\nenabled = false",
            "schedule = '30 2 * * *'\ntimezone = 'America/Sao_Paulo'",
        ] {
            assert_eq!(of_job(keys), [""; 0], "{keys}");
        }
    }

    #[test]
    fn steps_that_are_uneven_at_the_wrap_are_warned_of() {
        for (schedule, parts) in [
            (
                "*/7 * * * *",
                &["minute 0 comes 4 minutes after minute 56", "hint: write @every 7m"][..],
            ),
            ("0-59/7 * * * *", &["minute 0 comes 4 minutes"]),
            ("0 */5 * * *", &["hour 0 comes 4 hours after hour 20", "@every 5h"]),
            ("0 */9 * * 1-5", &["hour 0 comes 6 hours after hour 18"]),
            ("3-59/7 * * * *", &["minute 3 comes 4 minutes after minute 59"]),
            ("*/90 * * * *", &["only minute 0 of each hour", "@every 90m"]),
            ("*/59 * * * *", &["minute 0 comes 1 minute after minute 59"]),
        ] {
            assert_said(&format!("schedule = '{schedule}'"), parts);
        }
        for schedule in [
            "*/15 * * * *",
            "*/60 * * * *",
            "*/1 * * * *",
            "0 */6 * * *",
            "0 */24 * * *",
            "*/7 12 * * *",
            "*/7 6,12 * * *",
            "0 */5 * * 1",
            "0-30/7 * * * *",
            "30-59/7 * * * *",
            "3-59/10 * * * *",
            "@every 7m",
        ] {
            assert_eq!(of_job(&format!("schedule = '{schedule}'")), [""; 0], "{schedule}");
        }
    }

    #[test]
    fn both_day_fields_set_are_explained() {
        for (schedule, parts) in [
            (
                "0 23 1,15 * mon",
                &[
                    "runs on the 1st and 15th and on every Monday",
                    "next: Mon 2026-11-30, Tue 2026-12-01, Mon 2026-12-07",
                ][..],
            ),
            ("59 23 13 * fri", &["the 13th and on every Friday"]),
            ("0 1 */2 * mon", &["both must match", "next: Mon 2026-12-07, Mon 2026-12-21"]),
            ("0 1 1-7 * */2", &["both must match", "on days `1-7` of the month"]),
            (
                "0 1 1-31 * mon",
                &["either matches", "every Monday", "next: Tue 2026-11-24, Wed 2026-11-25"],
            ),
            ("0 1 L * 5L", &["either matches", "on days `L` of the month and on days `5L`"]),
            ("0 1 22,23 * sun,tue", &["the 22nd and 23rd", "every Sunday and Tuesday"]),
        ] {
            assert_said(&format!("schedule = '{schedule}'"), parts);
        }
        for schedule in [
            "0 1 1 * *",
            "0 1 * * 1",
            "0 1 */1 * 1",
            "0 1 1 * */1",
            "0 1 *,5 * 1",
            "0 1 1-31 * 0-6",
            "@weekly",
        ] {
            assert_eq!(of_job(&format!("schedule = '{schedule}'")), [""; 0], "{schedule}");
        }
    }

    fn crowd(count: usize, keys: &str) -> Vec<String> {
        let job = |number| format!("[jobs.j{number:03}]\n{keys}\n");
        warnings(&(0..count).map(job).collect::<String>())
    }

    #[test]
    fn more_than_fifty_jobs_in_a_minute_are_one_warning() {
        let said = crowd(51, "schedule = ['15 12 * * *', '0 4 * * *']");
        assert_eq!(said.len(), 1, "{said:#?}");
        let parts = [
            "jobs.toml:5:28: 51 jobs start in the same minute, 2026-11-24 04:00 Europe/Berlin: `j000`, `j001`",
            "and 47 more",
            "more than 50 in 63 other minutes",
            "jitter",
            "`H`",
        ];
        for part in parts {
            assert!(said[0].contains(part), "{} lacks {part}", said[0]);
        }
        assert_eq!(crowd(51, "schedule = '* * * * *'").len(), 1);
        for (count, keys) in [
            (50, "schedule = '0 4 * * *'"),
            (51, "schedule = '0 4 * * *'\njitter = '1m'"),
            (51, "schedule = '0 4 * * *'\nenabled = false"),
            (51, "schedule = '@every 1m'"),
            (50, "schedule = ['0 4 * * *', '0 4 * * *']"),
        ] {
            assert_eq!(crowd(count, keys), [""; 0], "{keys}");
        }
        let apart = "schedule = '0 4 * * *'\ntimezone = 'UTC'\n";
        let job = |number| {
            format!(
                "[jobs.j{number}]\n{}",
                if number % 2 == 0 { apart } else { "schedule = '0 4 * * *'\n" }
            )
        };
        assert_eq!(warnings(&(0..80).map(job).collect::<String>()), [""; 0]);
    }

    #[test]
    fn rare_jobs_that_skip_what_they_miss_are_one_warning() {
        let said = |keys: &str| {
            let text = format!("[defaults]\ncommand = 'x'\n[jobs.a]\n{keys}[jobs.b]\n{keys}");
            let all = report(&text).warnings.into_iter().map(|note| note.to_string());
            all.filter(|note| note.contains("falls into a downtime")).collect::<Vec<_>>()
        };
        let both = said("schedule = '30 2 * * *'\n");
        assert_eq!(both.len(), 1, "{both:?}");
        assert!(
            both[0].contains("a day or more later: `a` and `b`\nhint: write `catch_up = \"last\"`")
        );
        for keys in [
            "",
            "schedule = '30 2,14 * * *'\n",
            "schedule = '@daily'\ncatch_up = 'last'\n",
            "schedule = '@daily'\nexpect_every = '25h'\n",
            "schedule = '@daily'\nenabled = false\n",
        ] {
            assert_eq!(said(keys), [""; 0], "{keys}");
        }
    }

    #[test]
    fn failures_that_reach_nobody_are_one_warning_for_the_file() {
        let said = |text: &str| {
            let all = report(text).warnings.into_iter().map(|note| note.to_string());
            all.filter(|note| note.contains("no alert")).collect::<Vec<_>>()
        };
        let both = said(
            "[jobs.a]\ncommand = 'x'\n[jobs.b]\ncommand = 'x'\n[jobs.c]\ncommand = 'x'\nmailto = 'o@x'\n",
        );
        assert_eq!(both.len(), 1);
        assert!(
            both[0].starts_with("jobs.toml: no alert for failures of 2 jobs: `a` and `b` have"),
            "{}",
            both[0]
        );
        assert!(both[0].contains("write `on_failure` or `mailto` under [defaults]"), "{}", both[0]);
        assert_eq!(said("[defaults]\non_failure = 'x'\n[jobs.a]\ncommand = 'x'\n"), [""; 0]);
        assert_eq!(said("[jobs.a]\ncommand = 'x'\nenabled = false\n"), [""; 0]);
    }

    #[test]
    fn the_examples_and_the_starter_surprise_nobody() {
        let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
        let mut texts: Vec<String> = std::fs::read_dir(examples)
            .unwrap()
            .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
            .collect();
        texts.push(jobfile::STARTER.to_owned());
        assert!(texts.len() > 3);
        for text in texts {
            let said: Vec<String> = report(&text).warnings.iter().map(Problem::to_string).collect();
            assert!(said.iter().all(|note| is_of_the_file(note)), "{said:#?}");
        }
    }

    fn report(text: &str) -> Report {
        let source = Source { path: "jobs.toml".into(), text: text.to_owned() };
        let loaded = with_environment(|env| jobfile::load_sources(&[source], env));
        match loaded {
            Ok(jobfile) => Report::of(&jobfile).forewarned(jobfile, &Past::default(), NOW),
            Err(errors) => Report { errors, ..Report::default() },
        }
    }

    #[test]
    fn all_errors_are_reported_with_their_places() {
        let report = report("[jobs.a]\ncomand = 'true'\n[jobs.b]\ncommand = 3\n");
        assert!(report.errors.len() >= 2, "{report:?}");
        assert!(!report.facts().ok);
    }

    #[test]
    fn the_starter_is_in_order() {
        let report = report(jobfile::STARTER);
        assert!(report.is_ok());
        assert!(report.jobs > 0);
    }
}
