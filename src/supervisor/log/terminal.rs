//! The log on a terminal: short, in local time, coloured by what matters.

use std::fmt::Write as _;
use std::io::stderr;

use chrono::{DateTime, NaiveDateTime};

use super::event::LogEvent;
use crate::core::escape;
use crate::core::local::local;
use crate::core::schedule::Zone;
use crate::core::style::Style;
use crate::core::time::Wall;
use crate::os::journal::Priority;
use crate::os::terminal::Terminal;
use crate::os::zone;

/// Names of events are padded to this, so that what they are about stands in a column.
const NAME_WIDTH: usize = 8;

/// A terminal that the log is written to.
#[derive(Debug)]
pub(crate) struct Screen {
    zone: Zone,
    has_color: bool,
}

impl Screen {
    /// The terminal behind standard error, if it is one.
    pub(super) fn of_stderr() -> Option<Self> {
        let terminal = Terminal::of(&stderr())?;
        Some(Self { zone: zone::system(), has_color: terminal.has_color })
    }

    /// `14:03:05 end      backup run 12: exit 0, succeeded`
    pub(super) fn line(&self, at: Wall, event: LogEvent, fields: &[(&str, String)]) -> String {
        let time = local(&self.zone, at).map(time_of).unwrap_or_default();
        let value = |key: &str| fields.iter().find(|(name, _)| *name == key).map(|(_, text)| text);
        let mut about = String::new();
        if let Some(job) = value("job") {
            about.push_str(&self.styled(Style::Bold, job));
        }
        for key in ["run", "attempt"] {
            // Most runs have one attempt.
            if let Some(number) = value(key).filter(|text| key == "run" || *text != "1") {
                let _ = write!(about, " {key} {number}");
            }
        }
        let mut end = vec![];
        for (key, text) in fields {
            match *key {
                "job" | "run" | "attempt" => {}
                "outcome" => end.push(escape::text(text).into_owned()),
                "next" => {
                    end.push(self.styled(style_of_next(event.priority()), &self.localized(text)))
                }
                _ if text.contains(' ') => end.push(format!("{key} \"{}\"", escape::text(text))),
                _ => end.push(format!("{key} {}", escape::text(text))),
            }
        }
        let between = if about.is_empty() || end.is_empty() { "" } else { ": " };
        let name = self.styled(style_of(event.priority()), &format!("{event:NAME_WIDTH$}"));
        let time = self.styled(Style::Dim, &time);
        let line = format!("{time} {name} {}{between}{}", about.trim_start(), end.join(", "));
        format!("{}\n", line.trim_end())
    }

    fn styled(&self, style: Style, text: &str) -> String {
        style.paint(&escape::text(text), self.has_color).into_owned()
    }

    /// `retry at 2026-07-26T12:03:05Z` in local time.
    fn localized(&self, next: &str) -> String {
        let found = next.split_once(" at ").and_then(|(what, at)| {
            let at = DateTime::parse_from_rfc3339(at).ok()?;
            let at = local(&self.zone, Wall::from_ms(at.timestamp_millis()))?;
            Some(format!("{what} at {}", time_of(at)))
        });
        found.unwrap_or_else(|| next.to_owned())
    }
}

fn time_of(at: NaiveDateTime) -> String {
    at.format("%H:%M:%S").to_string()
}

fn style_of(priority: Priority) -> Style {
    match priority {
        Priority::Error => Style::Bad,
        Priority::Warning => Style::Warn,
        Priority::Info => Style::Plain,
    }
}

/// The style of what comes next for a run, where a success is worth a colour.
fn style_of_next(priority: Priority) -> Style {
    match priority {
        Priority::Error | Priority::Warning => style_of(priority),
        Priority::Info => Style::Good,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(has_color: bool) -> Screen {
        Screen { zone: zone::load("Asia/Tokyo").unwrap(), has_color }
    }

    fn line(screen: &Screen, event: LogEvent, fields: &[(&str, &str)]) -> String {
        let fields: Vec<(&str, String)> =
            fields.iter().map(|(key, text)| (*key, (*text).to_owned())).collect();
        screen.line(Wall::from_secs(1_785_067_385), event, &fields)
    }

    #[test]
    fn an_event_is_a_short_line_in_local_time() {
        let plain = screen(false);
        let of_run = [("job", "a"), ("run", "12"), ("attempt", "1")];
        assert_eq!(line(&plain, LogEvent::Start, &of_run), "21:03:05 start    a run 12\n");
        let end = [&of_run[..2], &[("attempt", "2"), ("outcome", "exit 1")]].concat();
        let retry = [&end[..], &[("next", "retry at 2026-07-26T12:04:00Z")]].concat();
        assert_eq!(
            line(&plain, LogEvent::EndRetried, &retry),
            "21:03:05 end      a run 12 attempt 2: exit 1, retry at 21:04:00\n"
        );
        let ready = [("mode", "live"), ("state_dir", "/a b")];
        assert_eq!(
            line(&plain, LogEvent::Ready, &ready),
            "21:03:05 ready    mode live, state_dir \"/a b\"\n"
        );
    }

    #[test]
    fn colour_says_what_matters_and_nothing_commands_the_terminal() {
        let fields = [("job", "a"), ("run", "1"), ("error", "\x1b[2J"), ("next", "failed (exit)")];
        let coloured = line(&screen(true), LogEvent::EndFailed, &fields);
        assert!(coloured.contains("\x1b[31mend     \x1b[0m \x1b[1ma\x1b[0m run 1"), "{coloured:?}");
        assert!(coloured.ends_with("\x1b[31mfailed (exit)\x1b[0m\n"), "{coloured:?}");
        assert!(!coloured.contains("\x1b[2J"), "{coloured:?}");
    }
}
