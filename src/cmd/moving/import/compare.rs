//! `jobctl import --compare`: reads cron's records, and reports the comparison.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::cmd::when;
use crate::cmd::{Context, Exit, Failure, Jobs, Out, Result, plain};
use crate::core::escape;
use crate::core::local::with_offset;
use crate::core::noun::count;
use crate::core::schedule::{Span, Zone};
use crate::core::time::Wall;
use crate::crontab::Imported;
use crate::crontab::compare::{Comparison, Covered, Due, Expected, Lone, compare, covered};
use crate::crontab::prove::Occurrences;
use crate::crontab::records::{Reader, is_cron};
use crate::os::{process, user, zone};

/// The limit of a line; records of cron are shorter.
const LINE_MAX: usize = 1 << 20;

/// The limit of the time that a log covers, because every minute is computed: one line with a wrong
/// date could make it thousands of years.
const YEARS_MAX: i64 = 12;
const MINUTES_MAX: i64 = YEARS_MAX * 366 * 24 * 60;

/// The source of cron's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Log<'a> {
    /// The journal.
    Journal,
    /// A file; `-` is standard input.
    File(&'a Path),
}

/// The lines that cron starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines<'a> {
    /// Those that became jobs.
    pub(super) with_jobs: &'a [Imported],
    /// Those that do nothing.
    pub(super) idle: &'a [Imported],
}

/// Compares cron's records with the jobs' schedules and reports the result.
///
/// `jobs` are those of the jobfile that was made, as loaded. `Exit::No` if there are differences,
/// or nothing to compare.
pub(super) fn answer(
    context: &Context,
    lines: Lines<'_>,
    jobs: &Jobs,
    log: Log<'_>,
    out: &mut Out,
) -> Result<Exit> {
    let zone = zone::system();
    let records = read(log)?.finish(&zone, context.now.wall);
    let Some(covered) = covered(&records).filter(|_| !records.starts.is_empty()) else {
        return Err(Failure::no(format!(
            "{}: no start recorded by cron (no CMD line)",
            name_of(log)
        ))
        .hint("name the file that cron logs to: `jobctl import --compare /var/log/syslog`"));
    };
    if covered.last - covered.first > MINUTES_MAX {
        return Err(Failure::no(format!(
            "{}: its lines are more than {YEARS_MAX} years apart",
            name_of(log)
        ))
        .hint("one of them has a wrong date: give only a part of the log"));
    }
    let caller = user::current().name;
    let expected = |line| -> Expected<'_> {
        let line: &Imported = line;
        Expected {
            line,
            user: line.user.as_deref().unwrap_or(&caller),
            due: due(line, jobs, covered),
        }
    };
    let lines = lines.with_jobs.iter().chain(lines.idle);
    let expected: Vec<Expected<'_>> = lines.map(expected).collect();
    let found = compare(&records, &expected, covered);
    let report = Report { found: &found, covered, zone: &zone };
    out.answer(&report.json(), |out| report.print(out))?;
    let is_equal = found.only_cron.is_empty() && found.only_jobctl.is_empty();
    Ok(if is_equal { Exit::Done } else { Exit::No })
}

/// The minutes that a line's job names in the time of the log, and the one before it.
fn due(line: &Imported, jobs: &Jobs, covered: Covered) -> Due {
    // A line that does nothing has no job, and no name of one.
    let Some(job) = jobs.get(&line.job).filter(|_| line.schedule != "@reboot") else {
        return Due::AnyTime;
    };
    let span = Span {
        after: Wall::from_secs((covered.first - 3) * 60),
        until: Wall::from_secs((covered.last + 1) * 60),
    };
    Due::At(Occurrences::new(job, &jobs.zone(job), span).collect())
}

fn name_of(log: Log<'_>) -> String {
    match log {
        Log::Journal => "journal".to_owned(),
        Log::File(path) if path == Path::new("-") => "standard input".to_owned(),
        Log::File(path) => path.display().to_string(),
    }
}

fn read(log: Log<'_>) -> Result<Reader> {
    let error = |error: io::Error| Failure::system(format!("{}: {}", name_of(log), plain(&error)));
    let source: Box<dyn BufRead> = match log {
        Log::Journal => Box::new(Cursor::new(journal()?)),
        Log::File(path) if path == Path::new("-") => Box::new(io::stdin().lock()),
        Log::File(path) => Box::new(BufReader::new(open(path).map_err(error)?)),
    };
    read_lines(source).map_err(error)
}

/// Opens a log, which may be a pipe; a device such as /dev/zero might have no end.
fn open(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_char_device() || kind.is_block_device() {
        return Err(io::Error::other("not a file"));
    }
    Ok(file)
}

/// Reads cron's records in the journal.
fn journal() -> Result<Vec<u8>> {
    const ARGS: &[&str] = &[
        "--quiet",
        "--no-pager",
        "--all",
        "--output=json",
        "--output-fields=MESSAGE,SYSLOG_IDENTIFIER",
        "--identifier=CRON",
        "--identifier=CROND",
        "--identifier=cron",
        "--identifier=crond",
    ];
    const HINT: &str = "name the file that cron logs to: `jobctl import --compare FILE`";
    let output = process::output_of("journalctl", ARGS)
        .map_err(|error| Failure::no(format!("journalctl: {}", plain(&error))).hint(HINT))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().next().unwrap_or("failed");
    Err(Failure::no(format!("journalctl: {}", escape::text(said))).hint(HINT))
}

fn read_lines(mut source: Box<dyn BufRead + '_>) -> io::Result<Reader> {
    let mut reader = Reader::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let limit = u64::try_from(LINE_MAX).unwrap_or(u64::MAX);
        if io::Read::take(&mut source, limit).read_until(b'\n', &mut line)? == 0 {
            return Ok(reader);
        }
        let text = String::from_utf8_lossy(&line);
        match text.starts_with('{').then(|| journal_record(&text)).flatten() {
            Some((at, message)) => reader.record(at, &message),
            None => reader.line(&text),
        }
    }
}

/// Time and message of a record of the journal (systemd.journal-fields(7)), as `journalctl -o json`
/// prints it.
fn journal_record(line: &str) -> Option<(Wall, String)> {
    let record: Value = serde_json::from_str(line).ok()?;
    let time = &record["__REALTIME_TIMESTAMP"];
    let micros = match time.as_str() {
        Some(text) => text.parse().ok()?,
        None => time.as_i64()?,
    };
    let at = Wall::from_ms(micros / 1000);
    let is_crons = record["SYSLOG_IDENTIFIER"].as_str().is_none_or(is_cron);
    if !is_crons {
        return Some((at, String::new()));
    }
    let message = match &record["MESSAGE"] {
        Value::String(text) => text.clone(),
        // The journal gives unprintable text as an array of bytes.
        Value::Array(bytes) => {
            let bytes: Option<Vec<u8>> =
                bytes.iter().map(|it| u8::try_from(it.as_u64()?).ok()).collect();
            String::from_utf8_lossy(&bytes?).into_owned()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    };
    Some((at, message))
}

/// A comparison with the data to report it.
struct Report<'a> {
    found: &'a Comparison,
    covered: Covered,
    zone: &'a Zone,
}

impl Report<'_> {
    fn print(&self, out: &mut Out) -> Result<()> {
        let found = self.found;
        for (side, lones) in [("cron", &found.only_cron), ("jobctl", &found.only_jobctl)] {
            for lone in lones {
                out.line(self.line(side, lone))?;
            }
        }
        let at = |minute: i64| when::local_text(self.zone, Wall::from_secs(minute * 60));
        out.line(format!(
            "{} in both, {} only in cron, {} only in jobctl, from {} to {}",
            count(found.both, "start"),
            found.only_cron.len(),
            found.only_jobctl.len(),
            at(self.covered.first),
            at(self.covered.last),
        ))?;
        if found.apart > 0 {
            out.line(format!(
                "{} not compared: @reboot, or a line that does nothing",
                count(found.apart, "start")
            ))?;
        }
        Ok(())
    }

    fn line(&self, side: &str, lone: &Lone) -> String {
        let at = with_offset(self.zone, lone.at);
        let job = match &lone.job {
            Some(job) => format!(" (job `{job}`)"),
            None => String::new(),
        };
        let (user, command) = (escape::text(&lone.user), escape::text(&lone.command));
        format!("only {side}: {at} {user}: {command}{job}")
    }

    fn json(&self) -> Value {
        let at = |minute: i64| Wall::from_secs(minute * 60);
        json!({
            "both": self.found.both,
            "apart": self.found.apart,
            "from": at(self.covered.first),
            "to": at(self.covered.last),
            "only_cron": self.found.only_cron,
            "only_jobctl": self.found.only_jobctl,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crontab::records::Records;

    fn finish(text: &str) -> Records {
        let reader = read_lines(Box::new(Cursor::new(text.as_bytes().to_vec()))).unwrap();
        reader.finish(&zone::load("UTC").unwrap(), Wall::from_secs(1_795_467_600))
    }

    #[test]
    fn records_of_the_journal_are_read_as_text_and_as_bytes() {
        let records = finish(concat!(
            "{\"__REALTIME_TIMESTAMP\":\"1795467601000000\",\"SYSLOG_IDENTIFIER\":\"CRON\",\"MESSAGE\":\"(root) CMD (a)\"}\n",
            "{\"__REALTIME_TIMESTAMP\":\"1795467602000000\",\"MESSAGE\":[40,114,41,32,67,77,68,32,40,255,41]}\n",
            "{\"__REALTIME_TIMESTAMP\":\"1795467603000000\",\"SYSLOG_IDENTIFIER\":\"sshd\",\"MESSAGE\":\"(root) CMD (a)\"}\n",
            "{\"__REALTIME_TIMESTAMP\":\"no\"}\n{garbage\n{}\n\n",
        ));
        let users: Vec<&str> = records.starts.iter().map(|it| it.user.as_str()).collect();
        assert_eq!(users, ["root", "r"]);
        assert_eq!(records.starts[0].at, Wall::from_secs(1_795_467_601));
        assert_eq!(records.covered.unwrap().1, Wall::from_secs(1_795_467_603));
    }
}
