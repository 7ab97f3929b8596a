//! The export: jobs as lines of a crontab, and remarks on what a crontab cannot express.
//!
//! A line is active only if cron would start the same command at the same times; otherwise it is a
//! comment.

mod command;
mod remarks;
mod schedule;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::core::job::{Job, MailOn};

/// A job to export.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Export<'a> {
    /// The job.
    pub(crate) job: &'a Job,
    /// The zone of its schedules, if it is not the machine's.
    pub(crate) zone: Option<&'a str>,
}

/// The kind of crontab to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind<'a> {
    /// The crontab of this user.
    User(&'a str),
    /// A crontab with a user column; jobs without a user run as this one.
    System(&'a str),
}

/// Something that a crontab cannot express.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Remark {
    /// The job.
    pub(crate) job: String,
    /// The key.
    pub(crate) key: &'static str,
    /// What is lost, or has to be done.
    #[serde(rename = "message")]
    pub(crate) text: String,
    /// Whether the line is a comment because of it.
    #[serde(rename = "refused")]
    pub(crate) is_refusal: bool,
}

/// A crontab, and what it cannot express.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exported {
    /// The crontab.
    pub(crate) text: String,
    /// What it cannot express, in the order of its jobs.
    pub(crate) remarks: Vec<Remark>,
    /// The number of enabled jobs that are only comments in it.
    pub(crate) refused: usize,
}

/// Names and values.
type Variables<'a> = BTreeMap<&'a str, &'a str>;

/// The longest command that Debian's cron does not truncate (`MAX_COMMAND`).
const COMMAND_MAX: usize = 998;

/// Makes a crontab. Jobs in the machine's zone come first, because a `CRON_TZ` applies to all lines
/// after it.
pub(crate) fn export<'a>(jobs: &'a [Export<'a>], kind: Kind<'a>) -> Exported {
    let mut jobs: Vec<&Export<'a>> = jobs.iter().collect();
    jobs.sort_by_key(|export| export.zone);
    let common = command::common(&jobs);
    let mut writer = Writer {
        kind,
        shell: "/bin/sh".to_owned(),
        mailto: None,
        mail_from: String::new(),
        zone: None,
        common,
        exported: Exported::default(),
    };
    writer.comment(
        "Made by `jobctl export crontab`. Besides the variables below, each command gets only",
    );
    writer.comment("HOME, LOGNAME, SHELL and PATH=/usr/bin:/bin, as cron sets them.");
    for (name, text) in std::mem::take(&mut writer.common) {
        writer.line(&format!("{name}={}", command::value(text)));
        writer.common.insert(name, text);
    }
    for export in jobs {
        writer.job(export);
    }
    writer.exported
}

/// The remarks on one job while it is written.
struct Remarks<'a> {
    job: &'a Job,
    list: Vec<Remark>,
}

impl Remarks<'_> {
    fn add(&mut self, key: &'static str, text: impl Into<String>) {
        self.put(key, text.into(), false);
    }

    fn refuse(&mut self, key: &'static str, text: impl Into<String>) {
        self.put(key, text.into(), true);
    }

    fn put(&mut self, key: &'static str, text: String, is_refusal: bool) {
        self.list.push(Remark { job: self.job.name.to_string(), key, text, is_refusal });
    }

    fn has_refusal(&self) -> bool {
        self.list.iter().any(|remark| remark.is_refusal)
    }
}

/// The crontab so far, and the environment in force at its end.
struct Writer<'a> {
    kind: Kind<'a>,
    shell: String,
    mailto: Option<String>,
    mail_from: String,
    zone: Option<String>,
    /// Variables that all jobs share, in lines at the top.
    common: Variables<'a>,
    exported: Exported,
}

impl Writer<'_> {
    fn job(&mut self, export: &Export<'_>) {
        let job = export.job;
        let mut remarks = Remarks { job, list: Vec::new() };
        let schedules = schedule::lines(job, &mut remarks);
        let command = command::text(export, &self.common, &mut remarks);
        remarks::policy(job, &mut remarks);
        let user = self.user(job, &mut remarks);
        if export.zone.is_some() {
            remarks
                .add("timezone", "becomes CRON_TZ, which cronie knows and Debian's cron ignores");
        }
        let lines = schedules.into_iter().map(|schedule| match &user {
            Some(user) => format!("{schedule} {user} {command}"),
            None => format!("{schedule} {command}"),
        });
        let lines: Vec<String> = lines.collect();
        if command.len() > COMMAND_MAX {
            remarks.refuse(
                "command",
                format!("is longer than the {COMMAND_MAX} bytes that Debian's cron takes"),
            );
        }
        self.write(export, &lines, remarks);
    }

    fn write(&mut self, export: &Export<'_>, lines: &[String], remarks: Remarks<'_>) {
        let policy = &export.job.policy;
        let is_active = policy.enabled && !remarks.has_refusal();
        self.exported.refused += usize::from(policy.enabled && !is_active);
        self.exported.text.push('\n');
        self.comment(&format!("job `{}`", export.job.name));
        for text in policy.description.iter().flat_map(|text| text.lines()) {
            self.comment(text);
        }
        for remark in &remarks.list {
            let label = if remark.is_refusal { "not exported" } else { "note" };
            self.comment(&format!("{label}: {}: {}", remark.key, remark.text));
        }
        if is_active {
            self.environment(export);
        }
        for line in lines {
            if is_active {
                self.line(line);
            } else {
                // A command of several lines stays a comment in all of them.
                line.lines().for_each(|line| self.comment(line));
            }
        }
        self.exported.remarks.extend(remarks.list);
    }

    /// Writes the user column, if there is one.
    fn user(&self, job: &Job, remarks: &mut Remarks<'_>) -> Option<String> {
        let user = job.policy.user.as_deref();
        match self.kind {
            Kind::System(default) => Some(user.unwrap_or(default).to_owned()),
            Kind::User(owner) => {
                if let Some(user) = user.filter(|user| *user != owner) {
                    remarks.refuse("user", format!("{user}: a user's crontab runs as its owner; `--system` has a column for it"));
                }
                None
            }
        }
    }

    /// Writes the environment lines that have to change for a job.
    fn environment(&mut self, export: &Export<'_>) {
        if let Some(zone) = export.zone
            && self.zone.as_deref() != Some(zone)
        {
            self.zone = Some(zone.to_owned());
            self.line(&format!("CRON_TZ={zone}"));
        }
        let policy = &export.job.policy;
        let shell = command::line_shell(export.job).to_owned();
        if self.shell != shell {
            self.line(&format!("SHELL={}", command::value(&shell)));
            self.shell = shell;
        }
        // Without it, cron would mail all output to the owner.
        let mailto = policy.mailto.as_deref().unwrap_or_default().to_owned();
        if self.mailto.as_ref() != Some(&mailto) {
            self.line(&format!("MAILTO={}", command::value(&mailto)));
            self.mailto = Some(mailto);
        }
        // Only cronie knows it; for Debian's cron it is an ordinary variable.
        let mail_from = policy.mail_from.as_deref().unwrap_or_default();
        if self.mail_from != mail_from {
            self.line(&format!("MAILFROM={}", command::value(mail_from)));
            mail_from.clone_into(&mut self.mail_from);
        }
    }

    fn comment(&mut self, text: &str) {
        let text: String =
            text.chars().map(|c| if c.is_control() && c != '\t' { ' ' } else { c }).collect();
        self.line(&format!("# {text}"));
    }

    fn line(&mut self, text: &str) {
        self.exported.text.push_str(text);
        self.exported.text.push('\n');
    }
}

/// Returns whether mail is sent like by cron.
fn mails_output(job: &Job) -> bool {
    match job.policy.mail_on {
        MailOn::Output => true,
        MailOn::Failure => false,
    }
}
