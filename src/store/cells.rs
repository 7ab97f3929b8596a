//! Values as they stand in the store, which another hand may have written: whatever it is, reading
//! it gives a value in range.
//!
//! One bad value must not cost more than its row: an error here would end the turn in which all
//! jobs are looked at, again and again. A number beyond a range is the end of the range; what is no
//! number where one belongs is none, or zero; text is read as far as it is text.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Row, ToSql};

use crate::core::notice::{Event, Means};
use crate::core::pause::Pause;
use crate::core::retry::{Budget, Stopped};
use crate::core::run::{Cause, OutcomeKind, Reason, State};
use crate::core::time::Wall;

/// A type that can be read from any value.
pub(super) trait Cell: Sized {
    /// The value; none where it is of another kind.
    fn of(value: ValueRef<'_>) -> Option<Self>;

    /// What stands for one that is of another kind.
    fn unknown() -> Self;
}

/// The columns of a row, one after the other.
pub(super) struct Columns<'r> {
    row: &'r Row<'r>,
    next: usize,
}

impl<'r> Columns<'r> {
    /// All of them.
    pub(super) fn of(row: &'r Row<'r>) -> Self {
        Self { row, next: 0 }
    }

    /// Reads the next one, or the next ones. Errs only where there are no more.
    pub(super) fn take<T: Read>(&mut self) -> rusqlite::Result<T> {
        T::read(self)
    }
}

/// A type that is read from one or several columns.
pub(super) trait Read: Sized {
    /// Reads it.
    fn read(columns: &mut Columns<'_>) -> rusqlite::Result<Self>;
}

impl<T: Cell> Read for T {
    fn read(columns: &mut Columns<'_>) -> rusqlite::Result<Self> {
        let value = columns.row.get_ref(columns.next)?;
        columns.next += 1;
        Ok(T::of(value).unwrap_or_else(T::unknown))
    }
}

impl<T: Cell> Cell for Option<T> {
    fn of(value: ValueRef<'_>) -> Option<Self> {
        Some(T::of(value))
    }

    fn unknown() -> Self {
        None
    }
}

/// When it began, and when it ends by itself.
impl Read for Option<Pause> {
    fn read(columns: &mut Columns<'_>) -> rusqlite::Result<Self> {
        let (since, until): (Option<Wall>, Option<Wall>) = columns.take()?;
        Ok(since.map(|since| Pause { since, until }))
    }
}

macro_rules! tuples {
    ($($($part:ident)+;)+) => {$(
        impl<$($part: Read),+> Read for ($($part,)+) {
            fn read(columns: &mut Columns<'_>) -> rusqlite::Result<Self> {
                Ok(($(columns.take::<$part>()?,)+))
            }
        }
    )+};
}

tuples! {
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
}

impl Read for [i64; 4] {
    fn read(columns: &mut Columns<'_>) -> rusqlite::Result<Self> {
        columns.take().map(|(a, b, c, d)| [a, b, c, d])
    }
}

/// Reads a row: its fields in the order of the columns. One field may be what no column has.
macro_rules! reads {
    ($row:ident: $($field:ident)+ $(; $own:ident)?) => {
        impl $crate::store::cells::Read for $row {
            fn read(columns: &mut $crate::store::cells::Columns<'_>) -> rusqlite::Result<Self> {
                Ok(Self { $($field: columns.take()?,)+ $($own: Default::default())? })
            }
        }
    };
}

pub(super) use reads;

reads!(Budget: charged max lost put_off began_at before);

/// Words stand in the store as numbers; one that is not known here is the word given.
macro_rules! words {
    ($($word:ident::$unknown:ident),+) => {$(
        impl Cell for $word {
            fn of(value: ValueRef<'_>) -> Option<Self> {
                number(value).and_then(Self::from_code)
            }

            fn unknown() -> Self {
                Self::$unknown
            }
        }

        impl ToSql for $word {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.code().into())
            }
        }
    )+};
}

words!(
    State::Cancelled,
    Cause::Enqueue,
    Reason::ByHand,
    OutcomeKind::Lost,
    Event::Failure,
    Means::Hook,
    Stopped::ByHand
);

impl ToSql for Wall {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.ms().into())
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a float that is too large becomes the end of the range"
)]
fn number(value: ValueRef<'_>) -> Option<i64> {
    match value {
        ValueRef::Integer(number) => Some(number),
        // SQLite's own sums become one where they are too large.
        ValueRef::Real(number) => Some(number as i64),
        ValueRef::Null | ValueRef::Text(_) | ValueRef::Blob(_) => None,
    }
}

fn clamped<T: TryFrom<i64>>(value: ValueRef<'_>, [min, max]: [T; 2]) -> Option<T> {
    let number = number(value)?;
    let end = if number < 0 { min } else { max };
    Some(T::try_from(number).unwrap_or(end))
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Cell for $number {
            fn of(value: ValueRef<'_>) -> Option<Self> {
                clamped(value, [Self::MIN, Self::MAX])
            }

            fn unknown() -> Self {
                0
            }
        }
    )*};
}

numbers!(i8, u8, i32, u32, i64, u64);

/// Reads a type from a value that is of its kind; what stands for another kind comes first.
macro_rules! cells {
    ($($cell:ty = $unknown:expr, |$value:ident| $read:expr;)+) => {$(
        impl Cell for $cell {
            fn of($value: ValueRef<'_>) -> Option<Self> {
                $read
            }

            fn unknown() -> Self {
                $unknown
            }
        }
    )+};
}

cells! {
    bool = false, |value| number(value).map(|number| number != 0);
    Wall = Self::from_ms(0), |value| number(value).map(Self::from_ms);
    Vec<u8> = Self::new(), |value| match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(bytes.to_vec()),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => None,
    };
    String = Self::new(), |value| match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            Some(Self::from_utf8_lossy(bytes).into_owned())
        }
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Null => None,
    };
    // Arguments as one blob, each ended by a NUL (which no argument can hold).
    Vec<Vec<u8>> = Self::new(), |value| {
        let blob = Vec::<u8>::of(value)?;
        let mut args: Self = blob.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect();
        args.pop();
        Some(args)
    };
    // Ids as one text, with a comma between them.
    Vec<i64> = Self::new(), |value| {
        let text = String::of(value)?;
        Some(text.split(',').filter_map(|id| id.parse().ok()).collect())
    };
}

/// Arguments the other way; none if there are none.
pub(super) fn encode_args(args: &[Vec<u8>]) -> Option<Vec<u8>> {
    let ended = args.iter().flat_map(|arg| [arg.as_slice(), &[0]]);
    (!args.is_empty()).then(|| ended.collect::<Vec<_>>().concat())
}

/// Ids the other way; none if there are none.
pub(super) fn encode_ids(ids: &[i64]) -> Option<String> {
    let texts: Vec<String> = ids.iter().map(i64::to_string).collect();
    (!texts.is_empty()).then(|| texts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_come_back_as_they_were() {
        for args in [vec![], vec![b"".to_vec()], vec![b"a".to_vec(), vec![], vec![0xFF, b'\n']]] {
            let blob = encode_args(&args);
            let read = blob.and_then(|blob| Vec::<Vec<u8>>::of(ValueRef::Blob(&blob)));
            assert_eq!(read.unwrap_or_default(), args);
        }
    }

    #[test]
    fn what_is_out_of_range_is_the_end_of_the_range_and_another_kind_is_none() {
        for (value, number) in [
            (ValueRef::Integer(7), Some(7)),
            (ValueRef::Integer(-1), Some(0)),
            (ValueRef::Integer(i64::MAX), Some(u32::MAX)),
            (ValueRef::Real(1e300), Some(u32::MAX)),
            (ValueRef::Real(f64::NAN), Some(0)),
            (ValueRef::Text(b"7"), None),
            (ValueRef::Null, None),
        ] {
            assert_eq!(u32::of(value), number, "{value:?}");
        }
        assert_eq!(String::of(ValueRef::Blob(b"a\xff")).as_deref(), Some("a\u{fffd}"));
        assert_eq!(Vec::<u8>::of(ValueRef::Integer(7)), None);
    }
}
