//! How durations are counted: buckets of a histogram, the same for all jobs, so that old counts
//! stay what they were.

use std::time::Duration;

/// Upper bounds of the buckets in milliseconds; what takes longer than the last one is in one more.
/// Part of the store's format: bounds may be added behind the last one only.
pub(crate) const BOUNDS_MS: [i64; 12] = [
    100, 500, 1_000, 5_000, 15_000, 60_000, 300_000, 900_000, 3_600_000, 10_800_000, 21_600_000,
    86_400_000,
];

/// The bucket of a duration, from 0.
pub(crate) fn bucket(duration: Duration) -> i64 {
    let ms = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    let below = BOUNDS_MS.iter().take_while(|bound| **bound < ms).count();
    i64::try_from(below).unwrap_or(i64::MAX)
}

/// The value below or at which the share `percent` of the sorted `values` lies (nearest rank); none
/// of none.
pub(crate) fn percentile(values: &[i64], percent: usize) -> Option<i64> {
    let rank = (values.len() * percent).div_ceil(100).max(1);
    values.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let of = |ms| bucket(Duration::from_millis(ms));
        assert_eq!((of(0), of(100), of(101), of(86_400_000)), (0, 0, 1, 11));
        assert_eq!((of(86_400_001), of(u64::MAX)), (12, 12));
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        assert_eq!(percentile(&[], 50), None);
        assert_eq!(percentile(&[7], 95), Some(7));
        let values: Vec<i64> = (1..=100).collect();
        assert_eq!(percentile(&values, 50), Some(50));
        assert_eq!(percentile(&values, 95), Some(95));
        assert_eq!(percentile(&[1, 2, 3, 4], 50), Some(2));
        assert_eq!(percentile(&[1, 2, 3, 4], 95), Some(4));
    }
}
