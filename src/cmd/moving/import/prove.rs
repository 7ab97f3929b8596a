//! `jobctl import --prove`: the range of the proof, and the report of its result.

use std::collections::HashMap;
use std::rc::Rc;

use serde_json::{Value, json};

use crate::cmd::{Context, Failure, Jobs, Progress, Result};
use crate::core::local::with_offset;
use crate::core::noun::count;
use crate::core::schedule::{Span, Zone};
use crate::core::time::Wall;
use crate::crontab::prove::{Difference, Mismatch, Pair, Proof, prove};
use crate::crontab::{Import, Imported, Starter};
use crate::os::zone;

/// The default number of days of a proof.
pub(super) const DAYS_DEFAULT: u32 = 400;

/// The maximum number of days: ten years.
pub(super) const DAYS_MAX: u32 = 3660;

const DAY_SECS: i64 = 86_400;

/// Schedules end here: 2100-01-01.
const END_SECS: i64 = 4_102_444_800;

/// The report of a proof.
#[derive(Debug)]
pub(super) struct Told {
    /// The differences, then the verdict.
    pub(super) lines: Vec<String>,
    /// The report as JSON.
    pub(super) json: Value,
    /// Whether there are none.
    pub(super) is_equal: bool,
}

/// Parses a number of days.
pub(super) fn parse_days(text: &str) -> Result<u32> {
    match text.parse() {
        Ok(days @ 1..=DAYS_MAX) => Ok(days),
        Ok(_) | Err(_) => Err(Failure::usage(format!(
            "`--prove {text}`: not a number of days from 1 to {DAYS_MAX}"
        ))),
    }
}

/// Proves that the jobs run when the lines did, from the next full minute on. Skips lines of
/// anacron, which cron does not run.
pub(super) fn proof(context: &Context, import: &Import, days: u32) -> Result<Told> {
    let jobs = Jobs::of_text(&import.text)?;
    let span = span_of(context.now.wall, days);
    let (anacron, lines): (Vec<_>, Vec<_>) =
        import.jobs.iter().partition(|job| job.starter == Starter::Anacron);
    let zones = Zones::of(&import.jobs);
    let job_zones: Vec<_> =
        lines.iter().map(|line| jobs.get(&line.job).map(|job| (job, jobs.zone(job)))).collect();
    let pairs: Vec<Pair<'_>> = lines
        .iter()
        .zip(&job_zones)
        .map(|(line, job)| Pair {
            line,
            line_zone: zones.of_line(line),
            job: job.as_ref().map(|(job, zone)| (*job, &**zone)),
        })
        .collect();
    let mut progress = Progress::of(context);
    let compared = |compared| {
        progress.tick(|| format!("proving: {compared} of {}", count(pairs.len(), "job")));
    };
    let report = Report {
        proof: prove(&pairs, span, compared),
        days: (span.until.secs() - span.after.secs()) / DAY_SECS,
        anacron: anacron.len(),
        unknown: import.unknown.len(),
        zones: &zones,
    };
    Ok(report.told())
}

/// The days from the next full minute on, which is the first that counts.
fn span_of(now: Wall, days: u32) -> Span {
    let minute = now.ms().div_euclid(60_000) * 60;
    let until = minute + i64::from(days.min(DAYS_MAX)) * DAY_SECS;
    Span { after: Wall::from_secs(minute), until: Wall::from_secs(until.min(END_SECS).max(minute)) }
}

/// The zones of lines: of their `CRON_TZ`, else the system's.
struct Zones {
    system: Rc<Zone>,
    named: HashMap<String, Zone>,
}

impl Zones {
    fn of(imported: &[Imported]) -> Self {
        let mut named = HashMap::new();
        for name in imported.iter().filter_map(|line| line.zone.as_ref()) {
            if !named.contains_key(name)
                && let Ok(zone) = zone::load(name)
            {
                named.insert(name.clone(), zone);
            }
        }
        Self { system: Rc::new(zone::system()), named }
    }

    fn of_line(&self, line: &Imported) -> Option<&Zone> {
        match &line.zone {
            Some(name) => self.named.get(name),
            None => Some(&self.system),
        }
    }
}

/// A proof with the data to report it.
struct Report<'a> {
    proof: Proof<'a>,
    days: i64,
    /// Jobs that were left out.
    anacron: usize,
    /// Lines that became no job.
    unknown: usize,
    zones: &'a Zones,
}

impl Report<'_> {
    fn told(&self) -> Told {
        let mismatches = self.proof.mismatches.iter();
        let mut lines: Vec<String> = mismatches.flat_map(|it| self.lines(it)).collect();
        if self.proof.boots > 0 {
            lines.push(format!(
                "{} of @reboot not compared: no occurrences",
                count(self.proof.boots, "job")
            ));
        }
        if self.anacron > 0 {
            lines.push(format!(
                "{} of anacron not compared: cron does not start them",
                count(self.anacron, "job")
            ));
        }
        if self.unknown > 0 {
            lines.push(match self.unknown {
                1 => "1 line kept as a comment was not compared".to_owned(),
                unknown => format!("{unknown} lines kept as comments were not compared"),
            });
        }
        lines.push(self.verdict());
        Told { lines, json: self.json(), is_equal: self.proof.mismatches.is_empty() }
    }

    fn verdict(&self) -> String {
        let proof = &self.proof;
        let counts = format!(
            "{}, {} in {}",
            count(proof.jobs, "job"),
            count(proof.occurrences, "occurrence"),
            count(self.days.unsigned_abs(), "day"),
        );
        let differences: u64 = proof.mismatches.iter().map(|it| it.count).sum();
        match proof.mismatches.len() {
            0 => format!("{counts}, all equal"),
            jobs => {
                format!("{counts}, {} in {}", count(differences, "difference"), count(jobs, "job"))
            }
        }
    }

    /// The differences of a job, a line each.
    fn lines(&self, mismatch: &Mismatch<'_>) -> Vec<String> {
        let line = mismatch.line;
        let place = format!("{}:{}: job `{}`", line.file, line.line, line.job);
        let mut lines: Vec<String> = mismatch
            .shown
            .iter()
            .map(|difference| match difference {
                Difference::Only(side, at) => {
                    let at = self.instant(line, *at);
                    format!("{place}: {at}: only {}", side.as_str())
                }
                Difference::Other(text) => format!("{place}: {text}"),
            })
            .collect();
        let more = mismatch.count - mismatch.shown.len() as u64;
        if more > 0 {
            lines.push(format!("{place}: and {}", count(more, "more difference")));
        }
        lines
    }

    fn instant(&self, line: &Imported, at: Wall) -> String {
        with_offset(self.zones.of_line(line).unwrap_or(&self.zones.system), at)
    }

    fn json(&self) -> Value {
        let mismatches: Value = self.proof.mismatches.iter().map(mismatch_json).collect();
        json!({
            "equal": self.proof.mismatches.is_empty(),
            "jobs": self.proof.jobs,
            "occurrences": self.proof.occurrences,
            "days": self.days,
            "reboot_jobs": self.proof.boots,
            "anacron_jobs": self.anacron,
            "unknown_lines": self.unknown,
            "differences": mismatches,
        })
    }
}

/// The differences of a job as an object.
fn mismatch_json(mismatch: &Mismatch<'_>) -> Value {
    let line = mismatch.line;
    let shown: Value = mismatch
        .shown
        .iter()
        .map(|difference| match difference {
            Difference::Only(side, at) => {
                json!({ "only": side.as_str(), "at": at, "message": null })
            }
            Difference::Other(text) => json!({ "only": null, "at": null, "message": text }),
        })
        .collect();
    json!({
        "job": line.job,
        "file": line.file,
        "line": line.line,
        "count": mismatch.count,
        "shown": shown,
    })
}
