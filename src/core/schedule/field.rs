//! One field of an expression, from text to a set (crontab(5), stricter where Vixie's is silently
//! wrong).
//!
//! Positions in errors are byte offsets in the whole expression. Bounds are checked before anything
//! is expanded.

use super::days::DayExtras;
use super::{HashSeed, ScheduleError};

/// One of the five fields.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Minute,
    Hour,
    MonthDay,
    Month,
    Weekday,
}

/// A parsed field.
#[derive(Default)]
pub(super) struct Field {
    /// The values; 7 of the days of the week is folded to 0.
    pub(super) set: u64,
    /// Whether the first character is `*`.
    pub(super) is_starred: bool,
    /// The extensions of the day fields.
    pub(super) extra: DayExtras,
}

/// A number or name as it was written.
struct Value<'a> {
    at: usize,
    text: &'a str,
    number: u64,
}

/// Goes through one field.
struct Parser<'a> {
    kind: Kind,
    /// The expression up to the end of the field.
    text: &'a str,
    at: usize,
    seed: HashSeed<'a>,
    field: Field,
}

/// Parses the field that stands in `text` from `start` to the end.
pub(super) fn parse(
    kind: Kind,
    text: &str,
    start: usize,
    seed: HashSeed<'_>,
) -> Result<Field, ScheduleError> {
    let mut parser = Parser { kind, text, at: start, seed, field: Field::default() };
    parser.field.is_starred = parser.peek() == Some('*');
    loop {
        parser.item()?;
        match parser.peek() {
            None => break,
            Some(',') => parser.at += 1,
            Some(_) => return Err(parser.unexpected()),
        }
    }
    if kind == Kind::Weekday {
        parser.field.set = (parser.field.set | parser.field.set >> 7) & 0x7f;
    }
    Ok(parser.field)
}

impl Kind {
    pub(super) const ALL: [Self; 5] =
        [Self::Minute, Self::Hour, Self::MonthDay, Self::Month, Self::Weekday];

    const fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::MonthDay => "day of month",
            Self::Month => "month",
            Self::Weekday => "day of week",
        }
    }

    const fn bounds(self) -> (u64, u64) {
        match self {
            Self::Minute => (0, 59),
            Self::Hour => (0, 23),
            Self::MonthDay => (1, 31),
            Self::Month => (1, 12),
            Self::Weekday => (0, 7),
        }
    }

    /// What `H` picks from: values that each month, and each week once, has.
    const fn hash_bounds(self) -> (u64, u64) {
        match self {
            Self::Minute | Self::Hour | Self::Month => self.bounds(),
            Self::MonthDay => (1, 28),
            Self::Weekday => (0, 6),
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::Minute => 0,
            Self::Hour => 1,
            Self::MonthDay => 2,
            Self::Month => 3,
            Self::Weekday => 4,
        }
    }

    /// The three-letter names, from the lowest value on.
    const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Minute | Self::Hour | Self::MonthDay => &[],
            Self::Month => &[
                "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
            ],
            Self::Weekday => &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
        }
    }

    fn named(self, name: &str) -> Option<u64> {
        (self.bounds().0..)
            .zip(self.names())
            .find(|(_, known)| known.eq_ignore_ascii_case(name))
            .map(|(value, _)| value)
    }
}

impl<'a> Parser<'a> {
    /// One element of the list.
    fn item(&mut self) -> Result<(), ScheduleError> {
        match self.peek() {
            Some('*') => {
                self.at += 1;
                let (low, high) = self.kind.bounds();
                let step = self.step()?;
                self.add(low, high, step);
                Ok(())
            }
            Some('H') => self.hashed(),
            Some('L') if self.kind == Kind::MonthDay => self.last_day(),
            Some(',') | None => Err(self.empty_item()),
            Some(_) => self.number_or_range(),
        }
    }

    /// `A`, `A-B`, `A-B/S`, `nW`, `dL` or `d#n`.
    fn number_or_range(&mut self) -> Result<(), ScheduleError> {
        let first = self.value()?;
        match self.peek() {
            Some('-') => {
                self.at += 1;
                let last = self.value()?;
                self.range(&first, &last)
            }
            Some('/') => Err(self.step_without_range(&first)),
            Some('W') if self.kind == Kind::MonthDay => {
                self.at += 1;
                self.field.extra.workday_near |= 1 << first.number;
                Ok(())
            }
            Some('L') if self.kind == Kind::Weekday => {
                self.at += 1;
                self.field.extra.last_weekdays |= 1 << (first.number % 7);
                Ok(())
            }
            Some('#') if self.kind == Kind::Weekday => {
                self.at += 1;
                self.nth_weekday(first.number)
            }
            Some(_) | None => {
                self.add(first.number, first.number, 1);
                Ok(())
            }
        }
    }

    fn range(&mut self, first: &Value<'_>, last: &Value<'_>) -> Result<(), ScheduleError> {
        // A week may end on Sunday, however it is written.
        let end = if self.kind == Kind::Weekday && last.number == 0 && first.number > 0 {
            7
        } else {
            last.number
        };
        let step = self.step()?;
        if first.number > end {
            let (from, to) = (first.text, last.text);
            let message = format!("{} {from}-{to} ends before it begins", self.kind.name());
            return Err(error(first.at, message, self.range_over_the_end(first, last, step)));
        }
        self.add(first.number, end, step);
        Ok(())
    }

    /// What to write for a range that goes on at the low end of the field, at the same pace.
    fn range_over_the_end(&self, first: &Value<'_>, last: &Value<'_>, step: u64) -> String {
        let (low, high) = self.kind.bounds();
        // A week has two names for Sunday.
        let width = if self.kind == Kind::Weekday { 7 } else { high - low + 1 };
        let last_below = first.number + (high - first.number) / step * step;
        let next = last_below.saturating_add(step) - width;
        let each = if step == 1 { String::new() } else { format!("/{step}") };
        let below = format!("{}-{high}{each}", first.text);
        if next > last.number {
            return format!("write {below}");
        }
        format!("write {below},{next}-{}{each}", last.text)
    }

    /// The `n` of `d#n`.
    fn nth_weekday(&mut self, weekday: u64) -> Result<(), ScheduleError> {
        let nth = self.number("week", (1, 5))?;
        let place = usize::try_from(nth - 1)
            .ok()
            .and_then(|index| self.field.extra.nth_weekdays.get_mut(index));
        *place.expect("the bounds are 1 to 5") |= 1 << (weekday % 7);
        Ok(())
    }

    /// `L`, `L-n` or `LW`.
    fn last_day(&mut self) -> Result<(), ScheduleError> {
        self.at += 1;
        match self.peek() {
            Some('W') => {
                self.at += 1;
                self.field.extra.last_workday = true;
            }
            Some('-') => {
                self.at += 1;
                self.field.extra.before_last |=
                    1 << self.number("days before the last", (1, 30))?;
            }
            Some(_) | None => self.field.extra.before_last |= 1,
        }
        Ok(())
    }

    /// `H`, `H(a-b)`, `H/S` or `H(a-b)/S`.
    fn hashed(&mut self) -> Result<(), ScheduleError> {
        self.at += 1;
        let (low, high) =
            if self.peek() == Some('(') { self.hash_range()? } else { self.kind.hash_bounds() };
        let has_step = self.peek() == Some('/');
        let width = high - low + 1;
        let step = if has_step { self.step()? } else { width };
        let first = low + self.seed.pick(self.kind.number(), step.min(width));
        self.add(first, if has_step { high } else { first }, step);
        Ok(())
    }

    /// `(a-b)`.
    fn hash_range(&mut self) -> Result<(u64, u64), ScheduleError> {
        let start = self.at;
        self.at += 1;
        let first = self.value()?;
        self.expect('-')?;
        let last = self.value()?;
        self.expect(')')?;
        if first.number > last.number {
            let message = format!(
                "{} H({}-{}) ends before it begins",
                self.kind.name(),
                first.text,
                last.text
            );
            return Err(plain_error(start, message));
        }
        Ok((first.number, last.number))
    }

    fn expect(&mut self, wanted: char) -> Result<(), ScheduleError> {
        if self.peek() != Some(wanted) {
            let message = format!("unclosed `H(`: `{wanted}` is missing");
            return Err(error(self.at, message, "write H(a-b), such as H(0-29)".to_owned()));
        }
        self.at += 1;
        Ok(())
    }

    /// What follows `/`; 1 if there is none. A step of any size is right: it leaves only the first
    /// value.
    fn step(&mut self) -> Result<u64, ScheduleError> {
        if self.peek() != Some('/') {
            return Ok(1);
        }
        self.at += 1;
        self.number("step", (1, u64::MAX))
    }

    /// A number or name of this field.
    fn value(&mut self) -> Result<Value<'a>, ScheduleError> {
        if self.peek().is_some_and(|c| c.is_ascii_alphabetic()) {
            return self.name();
        }
        let at = self.at;
        let number = self.number(self.kind.name(), self.kind.bounds())?;
        Ok(Value { at, text: &self.text[at..self.at], number })
    }

    fn name(&mut self) -> Result<Value<'a>, ScheduleError> {
        let at = self.at;
        let rest = &self.text[at..];
        let word = &rest[..rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len())];
        // `FRIL` is a name with an extension.
        let text =
            word.strip_suffix('L').filter(|name| self.kind.named(name).is_some()).unwrap_or(word);
        let Some(number) = self.kind.named(text) else {
            return Err(self.unknown_word(word));
        };
        self.at += text.len();
        Ok(Value { at, text, number })
    }

    /// Digits within bounds. However many there are, nothing overflows.
    fn number(&mut self, what: &str, (low, high): (u64, u64)) -> Result<u64, ScheduleError> {
        let at = self.at;
        let rest = &self.text[at..];
        let digits = &rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())];
        if digits.is_empty() {
            return Err(self.no_number(what));
        }
        self.at += digits.len();
        let number = digits.bytes().fold(0_u64, |number, digit| {
            number.saturating_mul(10).saturating_add(u64::from(digit - b'0'))
        });
        if number < low && high == u64::MAX {
            return Err(plain_error(at, format!("{what} {} is less than {low}", clip(digits))));
        }
        if !(low..=high).contains(&number) {
            return Err(plain_error(
                at,
                format!("{what} must be {low} to {high}, not {}", clip(digits)),
            ));
        }
        Ok(number)
    }

    fn add(&mut self, first: u64, last: u64, step: u64) {
        let step = usize::try_from(step.min(64)).unwrap_or(64);
        self.field.set =
            (first..=last).step_by(step).fold(self.field.set, |set, value| set | 1 << value);
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn empty_item(&self) -> ScheduleError {
        let message = format!("{} list has an empty element", self.kind.name());
        match self.peek() {
            None => error(self.at - 1, message, "remove the trailing comma".to_owned()),
            Some(_) => plain_error(self.at, message),
        }
    }

    fn step_without_range(&self, first: &Value<'_>) -> ScheduleError {
        let rest = &self.text[self.at..];
        let step = &rest[..rest.find(',').unwrap_or(rest.len())];
        let message =
            format!("{} {}{}: a step needs a range", self.kind.name(), first.text, clip(step));
        let high = self.kind.bounds().1;
        error(first.at, message, format!("write {}-{high}{}", first.text, clip(step)))
    }

    fn unknown_word(&self, word: &str) -> ScheduleError {
        let message = format!("`{}` is not a {}", clip(word), self.kind.name());
        let short = word.get(..3).filter(|short| self.kind.named(short).is_some());
        let capital = word.to_ascii_uppercase();
        let hint = match (short, capital.as_str()) {
            (Some(short), _) => Some(format!("write {short}: names have three letters")),
            (None, "H" | "L" | "LW") if word != capital => Some(format!("write {capital}")),
            (None, "L") if self.kind == Kind::Weekday => {
                Some("write 5L or FRIL for the last Friday".to_owned())
            }
            (None, _) => None,
        };
        ScheduleError { position: self.at, message, hint }
    }

    /// There is something else where `what` should be, or nothing.
    fn no_number(&self, what: &str) -> ScheduleError {
        match self.peek() {
            None | Some(',') => plain_error(self.at, format!("{what} is missing")),
            Some(_) => self.unexpected(),
        }
    }

    fn unexpected(&self) -> ScheduleError {
        let found = self.peek().map_or_else(String::new, |c| c.to_string());
        let message = format!("unexpected `{found}` in {}", self.kind.name());
        let hint = match found.as_str() {
            "?" => Some("write *"),
            "~" => Some(
                "write H or H(a-b), a fixed value for each job: random values are not \
                     supported",
            ),
            _ => None,
        };
        ScheduleError { position: self.at, message, hint: hint.map(str::to_owned) }
    }
}

pub(super) fn error(position: usize, message: String, hint: String) -> ScheduleError {
    ScheduleError { position, message, hint: Some(hint) }
}

pub(super) fn plain_error(position: usize, message: String) -> ScheduleError {
    ScheduleError { position, message, hint: None }
}

/// Text of a user, short enough for a message.
pub(super) fn clip(text: &str) -> String {
    const CHARS_MAX: usize = 24;
    if text.chars().count() <= CHARS_MAX {
        return text.to_owned();
    }
    text.chars().take(CHARS_MAX).chain("...".chars()).collect()
}
