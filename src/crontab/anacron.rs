//! Lines of /etc/anacrontab: period, delay, identifier, command (anacrontab(5)).
//!
//! anacron starts in the morning, or when the machine boots, runs each job whose period has passed,
//! and waits for the job's delay. An imported job gets that time of day plus its delay, and
//! `catch_up = "last"`.

/// A line that starts a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The schedule for jobctl.
    pub(super) schedule: String,
    /// The identifier.
    pub(super) id: String,
    /// The command.
    pub(super) command: String,
    /// A note about differences.
    pub(super) remark: Option<String>,
}

/// The hour in which Debian starts anacron.
pub(super) const START_HOUR: u32 = 7;

/// Parses a line that does not set a variable. Errs with the reason why it cannot become a job.
pub(super) fn read(text: &str, start_hour: u32) -> Result<Line, String> {
    let mut rest = text;
    let mut words = [""; 3];
    for word in &mut words {
        rest = rest.trim_start_matches([' ', '\t']);
        (*word, rest) = rest.split_at(rest.find([' ', '\t']).unwrap_or(rest.len()));
    }
    let [period, delay, id] = words;
    let command = rest.trim_matches([' ', '\t']);
    if command.is_empty() {
        return Err("neither `NAME = value` nor a period, delay, identifier and command".to_owned());
    }
    let delay: u32 = delay
        .parse()
        .ok()
        .filter(|delay| *delay < 24 * 60)
        .ok_or_else(|| format!("the delay `{delay}` is not a number of minutes below a day"))?;
    let minutes = (start_hour * 60 + delay) % (24 * 60);
    let (minute, hour) = (minutes % 60, minutes / 60);
    let (schedule, remark) = match period {
        "1" | "@daily" => (format!("{minute} {hour} * * *"), None),
        "7" | "@weekly" => (format!("{minute} {hour} * * 0"), None),
        "28" | "29" | "30" | "31" | "@monthly" => (format!("{minute} {hour} 1 * *"), None),
        "365" | "366" | "@yearly" | "@annually" => (format!("{minute} {hour} 1 1 *"), None),
        _ => {
            let days = period.parse::<u32>().ok().filter(|days| (1..=36_500).contains(days));
            let days =
                days.ok_or_else(|| format!("the period `{period}` is not a number of days"))?;
            let remark = format!(
                "runs every {days} days, counted from the first load of the jobfile and at \
                     its time of day"
            );
            (format!("@every {days}d"), Some(remark))
        }
    };
    Ok(Line { schedule, id: id.to_owned(), command: command.to_owned(), remark })
}

/// The first hour of `START_HOURS_RANGE`.
pub(super) fn start_hour(range: &str) -> Option<u32> {
    let (first, last) = range.split_once('-')?;
    let hour = |text: &str| text.trim().parse::<u32>().ok().filter(|hour| *hour <= 24);
    let (first, _) = (hour(first)?, hour(last)?);
    Some(first % 24)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_becomes_a_time_of_the_day() {
        for (text, schedule) in [
            ("1\t5\tcron.daily\trun-parts /etc/cron.daily", "5 7 * * *"),
            ("7 70 w x", "10 8 * * 0"),
            ("@monthly 15 m x y", "15 7 1 * *"),
            ("10 0 t x", "@every 10d"),
        ] {
            assert_eq!(read(text, 7).unwrap().schedule, schedule, "{text}");
        }
    }

    #[test]
    fn what_is_no_line_of_anacron_is_refused() {
        for text in [
            "1 5 id",
            "x 5 id cmd",
            "0 5 id cmd",
            "1 x id cmd",
            "1 1440 id cmd",
            "@hourly 5 id cmd",
            "99999999999 1 a b",
        ] {
            assert!(read(text, 7).is_err(), "{text}");
        }
    }

    #[test]
    fn the_range_of_hours_is_read() {
        assert_eq!((start_hour("3-22"), start_hour("6 - 8")), (Some(3), Some(6)));
        assert_eq!((start_hour("x"), start_hour("25-26")), (None, None));
    }
}
