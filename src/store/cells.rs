//! Values as they stand in the store, which another hand may have written: whatever it is, reading it gives a value in range.
//!
//! One bad value must not cost more than its row: an error here would end the turn in which all jobs are looked at, again and again.
//! A number beyond a range is the end of the range; what is no number where one belongs is none, or zero; text is read as far as it is text.

use rusqlite::types::ValueRef;
use rusqlite::{Row, RowIndex};

/// What can be read of any value.
pub(super) trait Cell: Sized {
    /// The value; none where it is of another kind.
    fn of(value: ValueRef<'_>) -> Option<Self>;
}

/// Reads columns of a row.
pub(super) trait Cells {
    /// The value of a column. Errs only where there is no such column.
    fn cell<T: Cell + Default>(&self, column: impl RowIndex) -> rusqlite::Result<T>;
}

impl Cells for Row<'_> {
    fn cell<T: Cell + Default>(&self, column: impl RowIndex) -> rusqlite::Result<T> {
        Ok(T::of(self.get_ref(column)?).unwrap_or_default())
    }
}

impl<T: Cell> Cell for Option<T> {
    fn of(value: ValueRef<'_>) -> Option<Self> {
        Some(T::of(value))
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
        }
    )*};
}

numbers!(i8, u8, i32, u32, i64, u64);

impl Cell for bool {
    fn of(value: ValueRef<'_>) -> Option<Self> {
        number(value).map(|number| number != 0)
    }
}

impl Cell for Vec<u8> {
    fn of(value: ValueRef<'_>) -> Option<Self> {
        match value {
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(bytes.to_vec()),
            ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => None,
        }
    }
}

impl Cell for String {
    fn of(value: ValueRef<'_>) -> Option<Self> {
        match value {
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                Some(Self::from_utf8_lossy(bytes).into_owned())
            }
            ValueRef::Integer(number) => Some(number.to_string()),
            ValueRef::Real(number) => Some(number.to_string()),
            ValueRef::Null => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
