//! Cron's own records of what it started: `(root) CMD (command)`, in the formats that system logs
//! have.
//!
//! Pure: takes lines, the zone of local times, and the current time. Ignores lines that are not
//! cron's, except that any line with a time extends the range of the log.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};

use super::percent;
use crate::core::local::instants;
use crate::core::schedule::Zone;
use crate::core::time::Wall;

/// A command that cron started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    /// When the line was written.
    pub(crate) at: Wall,
    /// The user.
    pub(crate) user: String,
    /// The command in the form of [`printed`].
    pub(crate) command: String,
    /// Whether the end of the command is missing.
    pub(crate) is_cut: bool,
}

/// The content of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Records {
    /// In the order of the log.
    pub(crate) starts: Vec<Start>,
    /// The times of the first and the last line that has one.
    pub(crate) covered: Option<(Wall, Wall)>,
}

/// The time of a line, as far as it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stamp {
    /// With year and offset.
    Full(Wall),
    /// Local, without a year; `turns` is how many new years the log has seen before.
    Local {
        turns: u32,
        month: u32,
        day: u32,
        time: NaiveTime,
        /// After the clock went back, in the hour that comes twice.
        is_again: bool,
    },
}

/// User, command, and whether the end of the command is missing.
type Said = (String, String, bool);

/// A log that is being read line by line.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    lines: Vec<(Stamp, Option<Said>)>,
    last: Option<Stamp>,
    turns: u32,
    /// The latest local time so far, as seconds in a leap year.
    high: i64,
    /// Whether the clock has gone back and has not reached that time again.
    is_again: bool,
    /// 29 February was seen after so many turns.
    leap_turns: Vec<u32>,
}

impl Reader {
    /// Takes a line of a file: syslog's traditional format, RFC 3339 times in front, or RFC 5424.
    pub(crate) fn line(&mut self, line: &str) {
        let line = line.trim_end_matches(['\r', '\n']);
        let (line, is_5424) = without_priority(line);
        let Some((stamp, rest)) = self.stamp(line) else {
            return;
        };
        self.put(stamp, message_of(rest, is_5424).and_then(command_of));
    }

    /// Takes a record with a known time and program.
    pub(crate) fn record(&mut self, at: Wall, message: &str) {
        self.put(Stamp::Full(at), command_of(message));
    }

    fn put(&mut self, stamp: Stamp, start: Option<Said>) {
        // Only the ends of a log and what cron started are kept; a log may be large.
        if start.is_some() || self.lines.is_empty() {
            self.lines.push((stamp, start));
        }
        self.last = Some(stamp);
    }

    /// Splits the time off the beginning of a line.
    fn stamp<'l>(&mut self, line: &'l str) -> Option<(Stamp, &'l str)> {
        if line.starts_with(|c: char| c.is_ascii_digit()) {
            let (word, rest) = line.split_once(' ')?;
            return Some((Stamp::Full(full_time(word)?), rest));
        }
        let (month, rest) = line.split_at_checked(3)?;
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let month = 1 + u32::try_from(MONTHS.iter().position(|name| *name == month)?).ok()?;
        let (day, rest) = rest.strip_prefix(' ')?.trim_start().split_once(' ')?;
        let (time, rest) = rest.split_once(' ')?;
        let day: u32 = day.parse().ok()?;
        let time = NaiveTime::parse_from_str(time, "%H:%M:%S%.f").ok()?;
        // A year with all days; only the order counts here.
        let in_leap_year = NaiveDate::from_ymd_opt(2024, month, day)?.and_time(time);
        Some((self.local(in_leap_year, month, day), rest))
    }

    /// Counts new years, and notices when the clock goes back.
    fn local(&mut self, in_leap_year: NaiveDateTime, month: u32, day: u32) -> Stamp {
        const DAY_SECS: i64 = 86_400;
        const SLACK_SECS: i64 = 120;
        let secs = in_leap_year.and_utc().timestamp();
        if secs < self.high - DAY_SECS {
            self.turns += 1;
            self.high = secs;
        }
        // Once back, until the latest time is passed.
        let is_again = secs < self.high - SLACK_SECS || self.is_again && secs <= self.high;
        self.is_again = is_again;
        self.high = self.high.max(secs);
        if (month, day) == (2, 29) && self.leap_turns.last() != Some(&self.turns) {
            self.leap_turns.push(self.turns);
        }
        Stamp::Local { turns: self.turns, month, day, time: in_leap_year.time(), is_again }
    }

    /// The records, with the years that a log without years must mean: the newest ones in which its
    /// end is not in the future.
    pub(crate) fn finish(self, zone: &Zone, now: Wall) -> Records {
        let year = self.last_year(zone, now);
        let place = |stamp| instant(stamp, year - i64::from(self.turns), zone);
        let first = self.lines.first().and_then(|(stamp, _)| place(*stamp));
        let last = self.last.and_then(place);
        let starts = self.lines.iter().filter_map(|(stamp, start)| {
            let (user, command, is_cut) = start.clone()?;
            Some(Start { at: place(*stamp)?, user, command, is_cut })
        });
        Records { starts: starts.collect(), covered: first.zip(last) }
    }

    /// The year of the last line, where lines have none.
    fn last_year(&self, zone: &Zone, now: Wall) -> i64 {
        const SLACK_SECS: i64 = 86_400;
        const YEARS_BACK: i64 = 12;
        let this_year = DateTime::from_timestamp(now.secs(), 0)
            .map_or(1970, |now| i64::from(chrono::Datelike::year(&now)));
        let fits = |year: &i64| {
            let first = year - i64::from(self.turns);
            let is_past = self.last.is_none_or(|last| {
                instant(last, first, zone).is_some_and(|at| at.secs() <= now.secs() + SLACK_SECS)
            });
            let is_leap =
                |turns: &u32| NaiveDate::from_ymd_opt(year_of(first, *turns), 2, 29).is_some();
            is_past && self.leap_turns.iter().all(is_leap)
        };
        (this_year - YEARS_BACK..=this_year + 1).rev().find(fits).unwrap_or(this_year)
    }
}

fn year_of(first: i64, turns: u32) -> i32 {
    i32::try_from(first + i64::from(turns)).unwrap_or(i32::MAX)
}

/// Returns the instant of a stamp; `None` for a day that its year does not have.
fn instant(stamp: Stamp, first_year: i64, zone: &Zone) -> Option<Wall> {
    match stamp {
        Stamp::Full(at) => Some(at),
        Stamp::Local { turns, month, day, time, is_again } => {
            let date = NaiveDate::from_ymd_opt(year_of(first_year, turns), month, day)?;
            let (first, last) = instants(zone, date.and_time(time));
            Some(if is_again { last } else { first })
        }
    }
}

/// RFC 3339, also with a blank-free offset without a colon, as `journalctl -o short-iso` has it.
fn full_time(word: &str) -> Option<Wall> {
    let time = DateTime::parse_from_rfc3339(word)
        .or_else(|_| DateTime::parse_from_str(word, "%Y-%m-%dT%H:%M:%S%.f%z"));
    time.ok().map(|time| Wall::from_ms(time.timestamp_millis()))
}

/// Takes `<PRI>` off, and the version of RFC 5424; whether there was one.
fn without_priority(line: &str) -> (&str, bool) {
    let rest = line
        .strip_prefix('<')
        .and_then(|rest| rest.split_once('>'))
        .filter(|(number, _)| number.bytes().all(|byte| byte.is_ascii_digit()));
    match rest {
        None => (line, false),
        Some((_, rest)) => rest.strip_prefix("1 ").map_or((rest, false), |it| (it, true)),
    }
}

/// Returns the message, if it is from cron; `rest` begins with the host.
fn message_of(rest: &str, is_5424: bool) -> Option<&str> {
    let (_, rest) = rest.split_once(' ')?;
    if is_5424 {
        let mut parts = rest.splitn(4, ' ');
        let (program, _, _, rest) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let message = match rest.strip_prefix("- ") {
            Some(message) => message,
            None => rest.split_once("] ")?.1,
        };
        return is_cron(program).then(|| message.trim_start_matches('\u{feff}'));
    }
    let (tag, message) = rest.trim_start().split_once(": ")?;
    let program = tag.split_once('[').map_or(tag, |(program, _)| program);
    is_cron(program).then_some(message)
}

/// The names that cron has in logs.
pub(crate) fn is_cron(program: &str) -> bool {
    let name = program.rsplit('/').next().unwrap_or(program);
    matches!(name, "CRON" | "CROND" | "cron" | "crond")
}

/// User and command of `(user) CMD (command)`, and whether the end of it is missing. `CMDEND` and
/// `CMDOUT` of cronie are none.
fn command_of(message: &str) -> Option<Said> {
    let (user, command) = message.trim_start().strip_prefix('(')?.split_once(") CMD (")?;
    let whole = command.trim_end().strip_suffix(')');
    // rsyslog writes control characters as `#ooo`.
    let text = whole.unwrap_or(command);
    let text = without_pid(text).replace("#011", "\t");
    Some((user.to_owned(), printed(&text), whole.is_none()))
}

/// Takes off the `[PID] ` that Debian's cron writes at some log levels (`-L 8`).
fn without_pid(text: &str) -> &str {
    text.strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
        .filter(|(pid, _)| !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit()))
        .map_or(text, |(_, rest)| rest)
}

/// A command as cron's `mkprint` writes it: control characters as `^X`, other bytes than ASCII as
/// `\ooo`; without blanks around it.
///
/// What is printed already stays as it is.
pub(crate) fn printed(command: &str) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(command.len());
    for byte in command.trim().bytes() {
        match byte {
            0..b' ' => text.extend(['^', char::from(byte + b'@')]),
            0x7f => text.push_str("^?"),
            b' '..0x7f => text.push(char::from(byte)),
            0x80.. => write!(text, "\\{byte:03o}").expect("writing into a string cannot fail"),
        }
    }
    let mut text = text.as_str();
    while let Some(rest) = text.strip_prefix("^I").or_else(|| text.strip_prefix(' ')) {
        text = rest;
    }
    text.to_owned()
}

/// The forms in which a line's command may stand in a log: with its `%` text, without it, and as
/// Debian's cron gives it to the shell, with `\%` as `%` and `\\` as `\`.
pub(crate) fn printed_forms(command: &str) -> Vec<String> {
    let mut is_escaped = false;
    let end = command.find(|c| {
        let ends = c == '%' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        ends
    });
    let cut = &command[..end.unwrap_or(command.len())];
    let mut forms = vec![
        printed(command),
        printed(cut),
        printed(&cut.replace("\\%", "%")),
        printed(&percent::split(command).0),
    ];
    forms.dedup();
    forms
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::zone;

    fn instant(text: &str) -> Wall {
        let time = DateTime::parse_from_rfc3339(text).unwrap();
        Wall::from_ms(time.timestamp_millis())
    }

    fn read(lines: &[&str], now: &str) -> Records {
        let mut reader = Reader::default();
        for line in lines {
            reader.line(line);
        }
        reader.finish(&zone::load("Europe/Berlin").unwrap(), instant(now))
    }

    fn times(lines: &[&str], now: &str) -> Vec<Wall> {
        read(lines, now).starts.iter().map(|it| it.at).collect()
    }

    #[test]
    fn every_format_of_a_log_is_read() {
        for line in [
            "Nov 23 06:25:01 host CRON[1234]: (root) CMD (  cd / && run-parts x)",
            "<78>Nov 23 06:25:01 host CRON[1234]: (root) CMD (cd / && run-parts x)",
            "Nov 23 06:25:01 host CRON[5710]: (root) CMD ([5714] cd / && run-parts x)",
            "Nov 23 06:25:01 host /USR/SBIN/CRON[1234]: (root) CMD (cd / && run-parts x)",
            "2026-11-23T06:25:01+01:00 host CRON[1234]: (root) CMD (\tcd / && run-parts x)",
            "2026-11-23T06:25:01.000000+01:00 host CROND[1234]: (root) CMD (cd / && run-parts x)",
            "2026-11-23T06:25:01+0100 host crond[1234]: (root) CMD (cd / && run-parts x)",
            "<78>1 2026-11-23T05:25:01.000Z host CRON 1234 - - (root) CMD (cd / && run-parts x)",
            "<78>1 2026-11-23T05:25:01Z host CRON 1 - [a b=\"c d\"] (root) CMD (#011cd / && run-parts x)",
        ] {
            let records = read(&[line], "2026-11-23T12:00:00Z");
            let wanted = Start {
                at: instant("2026-11-23T05:25:01Z"),
                user: "root".to_owned(),
                command: "cd / && run-parts x".to_owned(),
                is_cut: false,
            };
            assert_eq!(records.starts, [wanted], "{line}");
        }
    }

    #[test]
    fn what_is_no_start_of_cron_is_passed_over() {
        let lines = [
            "",
            "garbage",
            "\u{0}\u{fffd}\u{fffd}",
            "Nov 23",
            "Növ 23 06:25:01 host CRON[1]: (root) CMD (x)",
            "Nov 99 06:25:01 host CRON[1]: (root) CMD (x)",
            "Nov 23 06:25:01 host sshd[1]: (root) CMD (x)",
            "Nov 23 06:25:01 host CROND[1]: (root) CMDEND (x)",
            "Nov 23 06:25:01 host CROND[1]: (root) CMDOUT (x)",
            "Nov 23 06:25:01 host CRON[1]: (CRON) INFO (pidfile fd = 3)",
            "Nov 23 06:25:01 host crontab[1]: (root) LIST (root)",
        ];
        assert_eq!(read(&lines, "2026-11-23T12:00:00Z").starts, []);
    }

    #[test]
    fn the_year_is_that_of_the_files_order_and_now() {
        let line = |time: &str| format!("{time} h CRON[1]: (u) CMD (x)");
        for (written, now, wanted) in [
            (
                vec!["Dec 31 23:59:01", "Jan  1 00:00:01"],
                "2027-01-02T00:00:00Z",
                vec!["2026-12-31T22:59:01Z", "2026-12-31T23:00:01Z"],
            ),
            (vec!["Dec 31 23:59:01"], "2027-01-02T00:00:00Z", vec!["2026-12-31T22:59:01Z"]),
            (
                vec!["Feb 28 12:00:00", "Feb 29 12:00:00", "Mar  1 12:00:00"],
                "2026-11-23T00:00:00Z",
                vec!["2024-02-28T11:00:00Z", "2024-02-29T11:00:00Z", "2024-03-01T11:00:00Z"],
            ),
            (
                vec!["Feb 29 12:00:00", "Jan  5 12:00:00"],
                "2026-11-23T00:00:00Z",
                vec!["2024-02-29T11:00:00Z", "2025-01-05T11:00:00Z"],
            ),
        ] {
            let lines: Vec<String> = written.iter().map(|time| line(time)).collect();
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let wanted: Vec<Wall> = wanted.into_iter().map(instant).collect();
            assert_eq!(times(&lines, now), wanted, "{written:?}");
        }
    }

    #[test]
    fn the_hour_that_comes_twice_is_told_by_the_order() {
        let line = |time: &str| format!("Oct 25 {time} h CRON[1]: (u) CMD (x)");
        let lines = ["02:10:01", "02:50:01", "02:10:01", "02:50:01", "03:10:01"].map(line);
        let found = times(&lines.each_ref().map(String::as_str), "2026-11-23T00:00:00Z");
        let wanted = ["00:10:01", "00:50:01", "01:10:01", "01:50:01", "02:10:01"];
        assert_eq!(found, wanted.map(|time| instant(&format!("2026-10-25T{time}Z"))));
    }

    #[test]
    fn commands_are_compared_as_cron_prints_them() {
        assert_eq!(printed(" \techo ä\tb\u{7f} "), "echo \\303\\244^Ib^?");
        assert_eq!(printed(&printed("echo ä\tb")), printed("echo ä\tb"));
        assert_eq!(printed_forms("date +\\%d%in"), ["date +\\%d%in", "date +\\%d", "date +%d"]);
        assert_eq!(printed_forms("true"), ["true"]);
        // Debian's cron logs what it gives to the shell: `\\` has become `\`.
        assert_eq!(printed_forms(r"printf a\\n"), [r"printf a\\n", r"printf a\n"]);
        let cut = read(&["Nov 23 06:25:01 h CRON[1]: (u) CMD (abc"], "2026-11-23T12:00:00Z");
        assert!(cut.starts[0].is_cut);
    }
}
