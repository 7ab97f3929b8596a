//! `jobctl export crontab`: prints the jobs as a crontab; lists what it cannot express on standard
//! error.

use std::rc::Rc;

use serde_json::json;

use crate::cli::{self, ExportFormat};
use crate::cmd::{Context, Exit, Jobs, Out, Result};
use crate::core::schedule::Zone;
use crate::crontab::export::{Export, Kind, Remark, export};
use crate::os::{user, zone};

/// Answers `jobctl export`.
pub(crate) fn answer(context: &Context, args: &cli::Export, out: &mut Out) -> Result<Exit> {
    match args.format {
        ExportFormat::Crontab => {}
    }
    let store = context.open_read()?;
    let jobs = Jobs::load(context, store.as_ref())?;
    let system = zone::system();
    let zones: Vec<Rc<Zone>> = jobs.jobs.iter().map(|job| jobs.zone(job)).collect();
    let exports: Vec<Export<'_>> = jobs
        .jobs
        .iter()
        .zip(&zones)
        .map(|(job, zone)| Export { job, zone: (!is_same(zone, &system)).then_some(&*zone.name) })
        .collect();
    let caller = user::current().name;
    let kind = if args.system { Kind::System(&caller) } else { Kind::User(&caller) };
    let exported = export(&exports, kind);
    let facts = json!({
        "crontab": exported.text,
        "jobs": exports.len(),
        "refused": exported.refused,
        "not_said": exported.remarks,
    });
    out.answer(&facts, |out| {
        out.text(&exported.text)?;
        out.flush()?;
        exported.remarks.iter().for_each(|remark| context.say(&line(remark)));
        Ok(())
    })?;
    Ok(if exported.refused == 0 { Exit::Done } else { Exit::No })
}

/// Returns whether clocks in both zones always agree, whatever the zones' names.
fn is_same(a: &Zone, b: &Zone) -> bool {
    a.offset_first_secs == b.offset_first_secs && a.transitions == b.transitions
}

fn line(remark: &Remark) -> String {
    let Remark { job, key, text, is_refusal } = remark;
    let refused = if *is_refusal { " (the line is a comment)" } else { "" };
    format!("job `{job}`: {key}: {text}{refused}")
}
