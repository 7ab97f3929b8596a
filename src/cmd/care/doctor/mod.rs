//! `jobctl doctor`: whether all around the supervisor is well, and the command that mends what is not.

mod machine;
mod unit;

use serde::{Serialize, Serializer};

use crate::cmd::{Context, Exit, Jobs, Out, Result, Style};
use crate::store::{Store, StoreError};

/// How it stands with something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    /// As it should be.
    Good,
    /// Worth a look.
    Warning,
    /// Something will not work, or does not.
    Bad,
}

impl Level {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Warning => "warning",
            Self::Bad => "error",
        }
    }

    const fn style(self) -> Style {
        match self {
            Self::Good => Style::Good,
            Self::Warning => Style::Warn,
            Self::Bad => Style::Bad,
        }
    }
}

impl Serialize for Level {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

/// What was found about one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    /// What was looked at, in one word.
    check: &'static str,
    level: Level,
    message: String,
    /// The command that mends it.
    remedy: Option<String>,
}

impl Finding {
    fn good(check: &'static str, message: impl Into<String>) -> Self {
        Self { check, level: Level::Good, message: message.into(), remedy: None }
    }

    fn warning(check: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, level: Level::Warning, message: message.into(), remedy: Some(remedy.into()) }
    }

    fn bad(check: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: Level::Bad, ..Self::warning(check, message, remedy) }
    }
}

/// What the checks look at.
struct Patient<'a> {
    context: &'a Context,
    store: Option<Store>,
    /// Why there is none though there is a file.
    store_error: Option<StoreError>,
    jobs: Option<Jobs>,
}

/// Answers `jobctl doctor`.
pub(crate) fn answer(context: &Context, out: &mut Out) -> Result<Exit> {
    if let Some(finding) = machine::somebody_elses(context.state_dir()?) {
        // Nothing in it can be looked at, and what would be said of it would be wrong.
        print_all(context, &[finding], out)?;
        return Ok(Exit::No);
    }
    let (store, store_error) = match Store::open_read(context.state_dir()?) {
        Ok(store) => (Some(store), None),
        Err(StoreError::Missing(_)) => (None, None),
        Err(error) => (None, Some(error)),
    };
    let loaded = Jobs::load(context, store.as_ref());
    let mut findings = Vec::new();
    let jobs = match loaded {
        Ok(jobs) => Some(jobs),
        Err(failure) => {
            let remedy = failure.hint.clone().unwrap_or_else(|| "`jobctl check`".to_owned());
            findings.push(Finding::bad("jobfile", failure.message, remedy));
            None
        }
    };
    let patient = Patient { context, store, store_error, jobs };
    findings.extend(unit::supervisor(&patient)?);
    findings.extend(unit::unit(&patient));
    findings.extend(machine::look(&patient)?);
    print_all(context, &findings, out)?;
    let is_well = findings.iter().all(|finding| finding.level != Level::Bad);
    Ok(if is_well { Exit::Done } else { Exit::No })
}

fn print_all(context: &Context, findings: &[Finding], out: &mut Out) -> Result<Exit> {
    let is_said = |finding: &&Finding| finding.level != Level::Good || !context.global.quiet;
    out.answers(findings, |out| {
        findings.iter().filter(is_said).try_for_each(|finding| print(finding, out))
    })
}

fn print(finding: &Finding, out: &mut Out) -> Result<()> {
    let level = format!("{:7}", finding.level.as_str());
    let level = out.styled(finding.level.style(), &level).into_owned();
    let message = crate::core::escape::text(&finding.message).into_owned();
    out.line(format!("{level}  {}: {message}", finding.check))?;
    match &finding.remedy {
        Some(remedy) => out.line(format!("         {}", crate::core::escape::text(remedy))),
        None => Ok(()),
    }
}
