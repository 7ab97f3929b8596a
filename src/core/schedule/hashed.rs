//! `H`: a value fixed for machine and job, so that the jobs of many machines do not all start in
//! the same minute.
//!
//! FNV-1a 64 over the field's number as a digit, the seed, a zero byte and the job's name; the
//! halves folded together by exclusive or, then the remainder. Documented for users: changing it
//! moves their jobs.

use super::HashSeed;
use crate::core::hash::fnv1a;

impl HashSeed<'_> {
    /// A number below `count` for a field (0 is minute, 4 is day of week).
    pub(super) fn pick(self, field: u8, count: u64) -> u64 {
        let bytes =
            [b'0' + field].into_iter().chain(self.seed.bytes()).chain([0]).chain(self.job.bytes());
        let hash = fnv1a(bytes);
        (hash >> 32 ^ hash & 0xffff_ffff) % count.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_spread_evenly_over_minutes_and_hours() {
        let mut seen = vec![0_u32; 60 * 24];
        for number in 0..14_400 {
            let job = format!("backup-{number}");
            let seed = HashSeed { seed: "7f3e", job: &job };
            let minute = seed.pick(0, 60) + 60 * seed.pick(1, 24);
            seen[usize::try_from(minute).unwrap()] += 1;
        }
        let (empty, fullest) =
            (seen.iter().filter(|&&n| n == 0).count(), seen.iter().max().unwrap());
        assert!(
            empty < 5 && *fullest < 40,
            "{empty} minutes of the day are empty, the fullest has {fullest} of ten"
        );
    }
}
