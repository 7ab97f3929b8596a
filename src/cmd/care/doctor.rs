//! `jobctl doctor`: diagnoses the installation and suggests fixes.

use crate::cmd::moving::import::lines_of_crontabs;
use crate::cmd::{Context, Exit, Jobs, Out, Result, Style};
use crate::facts::doctor::{self, Finding, Level, Patient};
use crate::store::{Store, StoreError};

/// Answers `jobctl doctor`.
pub(crate) fn answer(context: &Context, out: &mut Out) -> Result<Exit> {
    let state_dir = context.state_dir()?;
    if let Some(finding) = doctor::somebody_elses(state_dir) {
        // The directory cannot be read, so other findings would be wrong.
        print_all(context, &[finding], out)?;
        return Ok(Exit::No);
    }
    let (store, store_error) = match Store::open_read(state_dir) {
        Ok(store) => (Some(store), None),
        Err(StoreError::Missing(_)) => (None, None),
        Err(error) => (None, Some(error)),
    };
    let mut findings = Vec::new();
    let jobs = Jobs::load(context, store.as_ref()).map_err(|failure| {
        let remedy = failure.hint.unwrap_or_else(|| "`jobctl check`".to_owned());
        findings.push(Finding::bad("jobfile", failure.message, remedy));
    });
    let jobs = jobs.ok();
    let is_root = context.caller.is_root;
    let patient = Patient {
        state_dir,
        caller: &context.caller,
        is_supervised: context.is_supervised()?,
        store,
        store_error,
        cron_lines: jobs.as_ref().map_or_else(Vec::new, |_| lines_of_crontabs(is_root)),
        jobs,
    };
    findings.extend(doctor::examine(&patient)?);
    print_all(context, &findings, out)?;
    let is_well = findings.iter().all(|finding| finding.level != Level::Bad);
    Ok(if is_well { Exit::Done } else { Exit::No })
}

fn print_all(context: &Context, findings: &[Finding], out: &mut Out) -> Result<Exit> {
    let is_said = |finding: &&Finding| finding.level != Level::Good || !context.global.quiet;
    out.answers(findings, |out| {
        findings.iter().filter(is_said).try_for_each(|finding| print(context, finding, out))
    })
}

fn print(context: &Context, finding: &Finding, out: &mut Out) -> Result<()> {
    let style = match finding.level {
        Level::Good => Style::Good,
        Level::Warning => Style::Warn,
        Level::Bad => Style::Bad,
    };
    let level = format!("{:7}", finding.level.as_str());
    let level = out.styled(style, &level).into_owned();
    let message = crate::core::escape::text(&finding.message).into_owned();
    out.line(format!("{level}  {}: {message}", finding.check))?;
    match &finding.remedy {
        Some(remedy) => {
            let remedy = context.reaching(remedy);
            out.line(format!("         {}", crate::core::escape::text(&remedy)))
        }
        None => Ok(()),
    }
}
