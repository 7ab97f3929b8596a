//! The five fields as cron reads them (get_list, get_range and get_number of Vixie's entry.c, as in
//! Debian's cron 3.0pl1), and the expression that means the same to jobctl.
//!
//! Vixie's reader accepts more than jobctl's: it ignores text after an element without a comma, and
//! a range that ends before it begins is empty.

use crate::core::schedule::{HashSeed, Schedule};

/// Longer fields are rewritten from their values.
const FIELD_BYTES_MAX: usize = 200;

/// The seed of `H`, which crontabs do not use.
const SEED: HashSeed<'static> = HashSeed { seed: "", job: "" };

/// The meaning of five fields to cron.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fields {
    /// An expression for jobctl.
    Fires {
        /// The expression.
        text: String,
        /// The fields that had to be rewritten, before and after.
        rewritten: Vec<(String, String)>,
    },
    /// Cron accepts it but never runs it; with the probable intention, if jobctl can tell.
    Never(Option<String>),
}

/// One of the five fields.
struct Kind {
    name: &'static str,
    low: u32,
    high: u32,
    names: &'static [&'static str],
}

const KINDS: [Kind; 5] = [
    Kind { name: "minute", low: 0, high: 59, names: &[] },
    Kind { name: "hour", low: 0, high: 23, names: &[] },
    Kind { name: "day of month", low: 1, high: 31, names: &[] },
    Kind {
        name: "month",
        low: 1,
        high: 12,
        names: &[
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ],
    },
    Kind {
        name: "day of week",
        low: 0,
        high: 7,
        names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    },
];

/// A field in cron's representation.
struct Set {
    bits: u64,
    /// Whether the first character is `*`.
    is_starred: bool,
    /// The values of the first element, if it is `*` or `*/S`.
    star_step: u32,
    /// Whether jobctl reads the text in the same way.
    is_strict: bool,
}

/// Reads five fields. Errs with the reason why cron refuses them.
pub(super) fn read(fields: &[&str; 5]) -> Result<Fields, String> {
    let mut sets = Vec::with_capacity(5);
    for (kind, text) in KINDS.iter().zip(fields) {
        sets.push(Reader::new(kind, text).list()?);
    }
    let mut written: Vec<String> = Vec::with_capacity(5);
    let mut rewritten = Vec::new();
    for ((kind, set), text) in KINDS.iter().zip(&sets).zip(fields) {
        let new = match set.is_strict && text.len() <= FIELD_BYTES_MAX {
            true => (*text).to_owned(),
            false => set.write(kind),
        };
        if new != **text {
            rewritten.push((clip(text), new.clone()));
        }
        written.push(new);
    }
    if !rescue_empty_days(&sets, &mut written) {
        return Ok(Fields::Never(meant(&fields.join(" "))));
    }
    let text = written.join(" ");
    match Schedule::parse(&text, SEED) {
        Ok(_) => Ok(Fields::Fires { text, rewritten }),
        Err(error) if error.message.ends_with("never matches a date") => Ok(Fields::Never(None)),
        Err(error) => Err(error.message),
    }
}

/// Returns the probable intention of an expression that cron never runs.
fn meant(text: &str) -> Option<String> {
    match Schedule::parse(text, SEED) {
        Ok(_) => Some("jobctl would run it".to_owned()),
        Err(error) => Some(format!("{}: {}", error.message, error.hint?)),
    }
}

/// An empty day field next to a restricted one leaves only that one; any other empty field never
/// matches.
fn rescue_empty_days(sets: &[Set], written: &mut [String]) -> bool {
    let [minute, hour, month_day, month, weekday] = sets else {
        return false;
    };
    if minute.bits == 0 || hour.bits == 0 || month.bits == 0 {
        return false;
    }
    if month_day.bits != 0 && weekday.bits != 0 {
        return true;
    }
    let is_one_enough = !month_day.is_starred && !weekday.is_starred;
    let empty = if month_day.bits == 0 { 2 } else { 4 };
    if let Some(field) = written.get_mut(empty) {
        field.replace_range(.., "*");
    }
    is_one_enough && (month_day.bits != 0 || weekday.bits != 0)
}

impl Set {
    /// Rewrites the field with the same values, keeping its star.
    fn write(&self, kind: &Kind) -> String {
        let mut items = Vec::new();
        let mut left = self.bits;
        if self.is_starred {
            let step = self.star_step;
            items.push(match step {
                1 => "*".to_owned(),
                _ => format!("*/{step}"),
            });
            left &= !span(kind.low, kind.high, step);
        }
        let mut value = kind.low;
        while value <= kind.high {
            let mut end = value;
            while end < kind.high && left >> end & 1 == 1 && left >> (end + 1) & 1 == 1 {
                end += 1;
            }
            if left >> value & 1 == 1 {
                items.push(match end - value {
                    0 => value.to_string(),
                    _ => format!("{value}-{end}"),
                });
            }
            value = end + 1;
        }
        items.join(",")
    }
}

/// Returns the values from `first` to `last`, both within a field's bounds; none if it ends before
/// it begins.
fn span(first: u32, last: u32, step: u32) -> u64 {
    let step = usize::try_from(step.clamp(1, 64)).unwrap_or(64);
    (first..=last).step_by(step).fold(0, |set, value| set | 1 << value)
}

/// Parses one field.
struct Reader<'a> {
    kind: &'a Kind,
    text: &'a str,
    at: usize,
    set: Set,
}

impl<'a> Reader<'a> {
    fn new(kind: &'a Kind, text: &'a str) -> Self {
        let is_starred = text.starts_with('*');
        Self { kind, text, at: 0, set: Set { bits: 0, is_starred, star_step: 1, is_strict: true } }
    }

    fn list(mut self) -> Result<Set, String> {
        loop {
            self.range()?;
            if self.peek() != Some(b',') {
                break;
            }
            self.at += 1;
        }
        if self.peek() == Some(b'~') {
            return Err(format!(
                "{} `{}` is random in cronie and differs in other crons; write `H`, or `jitter`",
                self.kind.name,
                clip(self.text)
            ));
        }
        // Skip_Nonblanks: cron ignores the rest.
        self.set.is_strict &= self.at == self.text.len();
        Ok(self.set)
    }

    fn range(&mut self) -> Result<(), String> {
        let is_first = self.at == 0;
        let (first, last) = if self.peek() == Some(b'*') {
            self.at += 1;
            (self.kind.low, self.kind.high)
        } else {
            let first = self.value()?;
            match self.peek() {
                Some(b'-') => {
                    self.at += 1;
                    (first, self.value()?)
                }
                Some(b'/') => return Err(self.step_without_range()),
                Some(_) | None => {
                    self.check_bounds(first)?;
                    self.set.bits |= span(first, first, 1);
                    return Ok(());
                }
            }
        };
        let step = if self.peek() == Some(b'/') {
            self.at += 1;
            self.step()?
        } else {
            1
        };
        self.check_bounds(first)?;
        self.check_bounds(last)?;
        if is_first {
            self.set.star_step = step;
        }
        self.set.is_strict &= first <= last;
        self.set.bits |= span(first, last, step);
        Ok(())
    }

    /// A name or number of this field.
    fn value(&mut self) -> Result<u32, String> {
        let word = self.word()?;
        let mut names = self.kind.names.iter();
        if let Some(index) = names.position(|name| name.eq_ignore_ascii_case(word)) {
            return Ok(self.kind.low + u32::try_from(index).unwrap_or(0));
        }
        self.number(word)
    }

    fn step(&mut self) -> Result<u32, String> {
        let word = self.word()?;
        match self.number(word)? {
            0 => Err(format!("{}: the step is 0", self.kind.name)),
            step => Ok(step),
        }
    }

    fn word(&mut self) -> Result<&'a str, String> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.is_empty() {
            let found = after.chars().next();
            let found = found.map_or("the end".to_owned(), |c| format!("`{}`", c.escape_debug()));
            return Err(format!(
                "{} `{}`: a value is missing before {found}",
                self.kind.name,
                clip(self.text)
            ));
        }
        self.at += end;
        Ok(word)
    }

    /// atoi(3) of digits; more than an `int` holds is refused before anything is done with it.
    fn number(&self, word: &str) -> Result<u32, String> {
        if !word.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("`{}` is not a {}", clip(word), self.kind.name));
        }
        let number = word.parse::<i32>().ok().and_then(|n| u32::try_from(n).ok());
        number.ok_or_else(|| format!("{}: {} is too large", self.kind.name, clip(word)))
    }

    fn check_bounds(&self, value: u32) -> Result<(), String> {
        let Kind { name, low, high, .. } = self.kind;
        if (*low..=*high).contains(&value) {
            return Ok(());
        }
        Err(format!("{name} must be {low} to {high}, not {value}"))
    }

    fn step_without_range(&self) -> String {
        format!(
            "{} `{}`: a step needs a range; Debian's cron refuses it, others ignore the step",
            self.kind.name,
            clip(self.text)
        )
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

/// Shortens a long text to its beginning.
fn clip(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_line(line: &str) -> Result<Fields, String> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        read(fields.as_slice().try_into().unwrap())
    }

    #[test]
    fn what_both_read_alike_stays_as_it_is() {
        for line in [
            "* * * * *",
            "*/15 0-23/2 1,15 jan-mar MON-FRI",
            "09,39 * * * *",
            "0 0 * * 0-7",
            "*/99 * * * *",
            "*,5 1 * * 7",
            "0 0 30 2 1",
        ] {
            let fires = Fields::Fires { text: line.to_owned(), rewritten: Vec::new() };
            assert_eq!(read_line(line), Ok(fires), "{line}");
        }
    }

    #[test]
    fn what_cron_reads_otherwise_is_written_as_cron_reads_it() {
        for (line, wanted) in [
            ("*x 1 * * *", "* 1 * * *"),
            ("0 0 * * 5#2", "0 0 * * 5"),
            ("1;2 0 * * *", "1 0 * * *"),
            ("0 0 13 * 5-0", "0 0 13 * *"),
            ("0 0 30-5 * 1", "0 0 * * 1"),
            ("5-0,* 1 * * *", "0-59 1 * * *"),
            ("*/2;3 0 * * *", "*/2 0 * * *"),
            ("0 0 * * 1,fri-sun,2", "0 0 * * 1-2"),
            ("0-59/5/2 * * * *", "0,5,10,15,20,25,30,35,40,45,50,55 * * * *"),
        ] {
            let Ok(Fields::Fires { text, rewritten }) = read_line(line) else {
                panic!("{line} is not read");
            };
            assert_eq!(text, wanted, "{line}");
            assert!(!rewritten.is_empty() || line.contains("5-0"), "{line}");
        }
    }

    #[test]
    fn what_never_comes_true_is_told() {
        for line in [
            "0 0 30 2 *",
            "0 0 * * 5-0",
            "0 0 * * FRI-SUN",
            "50-10 * * * *",
            "0 0 5-1 * *",
            "0 0 * 12-1 *",
        ] {
            assert!(matches!(read_line(line), Ok(Fields::Never(_))), "{line}");
        }
    }

    #[test]
    fn what_never_runs_is_told_with_what_was_meant() {
        for (line, meant) in [
            ("0 22-6/2 * * *", Some("hour 22-6 ends before it begins: write 22-23/2,0-6/2")),
            ("0 0 * * FRI-SUN", Some("jobctl would run it")),
            ("0 0 30 2 *", None),
        ] {
            assert_eq!(read_line(line), Ok(Fields::Never(meant.map(str::to_owned))), "{line}");
        }
    }

    #[test]
    fn what_cron_refuses_is_refused() {
        for line in [
            "5/15 * * * *",
            "60 * * * *",
            "0 24 * * *",
            "0 0 0 * *",
            "0 0 * 13 *",
            "0 0 * * 8",
            "1, * * * *",
            "1,,2 * * * *",
            "*/0 * * * *",
            "5-64/30 * * * *",
            "1-99999999999 * * * *",
            "*/99999999999 * * * *",
            "H * * * *",
            "0 0 L * *",
            "0 0 15W * *",
            "0 0 * * 5L",
            "0 0 ? * *",
            "0~30 * * * *",
            "~ * * * *",
            "0 0 * january *",
            "jan * * * *",
            "é * * * *",
        ] {
            assert!(read_line(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_long_list_is_written_short() {
        let list = vec!["1"; 1_000_000].join(",");
        let line = format!("{list} * * * *");
        let fields: Vec<&str> = line.split(' ').collect();
        let Ok(Fields::Fires { text, .. }) = read(fields.as_slice().try_into().unwrap()) else {
            panic!("it is read");
        };
        assert_eq!(text, "1 * * * *");
    }
}
