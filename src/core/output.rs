//! How the output of an attempt is laid out in a file of bounded size: its head, then a ring of its
//! tail.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// What an attempt's error says where the disk took no more of its output, behind the number of
/// bytes.
pub(crate) const NOT_KEPT: &str = "bytes of output not kept";

/// What an attempt's error says where the job's own file did not get its output, before the path.
pub(crate) const NOT_WRITTEN: &str = "output_file";

/// What an attempt's error says of its output, in short; none if nothing of it is missing.
pub(crate) fn missing(error: &str) -> Option<&'static str> {
    if error.contains(NOT_KEPT) {
        Some("output not kept")
    } else {
        error.contains(NOT_WRITTEN).then_some("output not written")
    }
}

/// Where output stands in a slot's output file: the first `head_max` bytes of the output are at its
/// beginning, the rest goes round in the `tail_max` bytes behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OutputLayout {
    /// Bytes kept from the beginning.
    pub(crate) head_max: u64,
    /// Bytes kept from the end.
    pub(crate) tail_max: u64,
}

impl OutputLayout {
    /// Splits `output_max` into head and tail.
    pub(crate) fn of(output_max: u64) -> Self {
        Self { head_max: output_max / 2, tail_max: output_max - output_max / 2 }
    }

    /// Returns where in the file the kept part of `total` bytes of output stands, in the order it
    /// was written: head, older and newer part of the tail, any of which may be empty. Between the
    /// first and the second are the bytes that were [`Self::dropped`].
    pub(crate) fn kept(self, total: u64) -> [Range<u64>; 3] {
        let head = 0..total.min(self.head_max);
        let behind = total.saturating_sub(self.head_max);
        let base = self.head_max;
        if behind <= self.tail_max {
            return [head, base..base + behind, base + behind..base + behind];
        }
        let turn = behind % self.tail_max.max(1);
        [head, base + turn..base + self.tail_max, base..base + turn]
    }

    /// As [`Self::kept`], but `max` bytes at the most, half of them from the beginning of what is
    /// kept.
    pub(crate) fn ends(self, total: u64, max: u64) -> [Range<u64>; 3] {
        let kept = self.kept(total);
        let len = |part: &Range<u64>| part.end - part.start;
        if kept.iter().map(len).sum::<u64>() <= max {
            return kept;
        }
        let half = max / 2;
        if self.dropped(total) == 0 {
            return [0..half, total - half..total, total..total];
        }
        let [head, older, newer] = kept;
        let of_newer = len(&newer).min(half);
        let of_older = len(&older).min(half - of_newer);
        [
            head.start..head.end.min(half),
            older.end - of_older..older.end,
            newer.end - of_newer..newer.end,
        ]
    }

    /// Returns how many of `total` bytes of output were not kept.
    pub(crate) fn dropped(self, total: u64) -> u64 {
        total.saturating_sub(self.head_max.saturating_add(self.tail_max))
    }

    /// Returns where the next byte after `total` bytes of output goes, and how many may follow it
    /// there without a gap. Zero bytes: nothing behind the head is kept.
    pub(crate) fn place(self, total: u64) -> (u64, u64) {
        if total < self.head_max {
            return (total, self.head_max - total);
        }
        let turn = (total - self.head_max) % self.tail_max.max(1);
        (self.head_max + turn, self.tail_max.saturating_sub(turn))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Writes as a keeper does and reads as a supervisor does.
    fn keep(layout: OutputLayout, output: &[u8]) -> Vec<u8> {
        keep_ends(layout, output, u64::MAX)
    }

    fn keep_ends(layout: OutputLayout, output: &[u8], max: u64) -> Vec<u8> {
        let mut file = vec![0; usize::try_from(layout.head_max + layout.tail_max).unwrap()];
        for (total, byte) in output.iter().enumerate() {
            let (place, room) = layout.place(total as u64);
            if room > 0 {
                file[usize::try_from(place).unwrap()] = *byte;
            }
        }
        layout
            .ends(output.len() as u64, max)
            .into_iter()
            .flat_map(|part| {
                file[usize::try_from(part.start).unwrap()..usize::try_from(part.end).unwrap()]
                    .to_vec()
            })
            .collect()
    }

    #[test]
    fn half_of_the_output_is_kept_from_each_end() {
        assert_eq!(OutputLayout::of(10), OutputLayout { head_max: 5, tail_max: 5 });
        assert_eq!(OutputLayout::of(11), OutputLayout { head_max: 5, tail_max: 6 });
        assert_eq!(OutputLayout::of(0), OutputLayout { head_max: 0, tail_max: 0 });
    }

    #[test]
    fn a_place_has_room_up_to_the_end_of_its_part() {
        let layout = OutputLayout { head_max: 5, tail_max: 4 };
        for (total, place) in
            [(0, (0, 5)), (4, (4, 1)), (5, (5, 4)), (7, (7, 2)), (9, (5, 4)), (12, (8, 1))]
        {
            assert_eq!(layout.place(total), place, "{total}");
        }
    }

    proptest! {
        #[test]
        fn the_ends_are_those_of_what_is_kept(
            output in prop::collection::vec(any::<u8>(), 0..200), kept_max in 0_u64..60, max in 0_u64..60,
        ) {
            let layout = OutputLayout::of(kept_max);
            let kept = keep(layout, &output);
            let ends = keep_ends(layout, &output, max);
            let half = usize::try_from(max / 2).unwrap();
            if kept.len() as u64 <= max {
                prop_assert_eq!(ends, kept);
            } else if layout.head_max >= max / 2 && layout.tail_max >= max / 2 {
                let expected = [&kept[..half], &kept[kept.len() - half..]].concat();
                prop_assert_eq!(ends, expected);
            } else {
                prop_assert!(ends.len() as u64 <= max);
            }
        }

        #[test]
        fn head_and_tail_of_the_output_are_kept(output in prop::collection::vec(any::<u8>(), 0..200), max in 0_u64..60) {
            let layout = OutputLayout::of(max);
            let dropped = usize::try_from(layout.dropped(output.len() as u64)).unwrap();
            let head = usize::try_from(layout.head_max).unwrap().min(output.len());
            let mut expected = output[..head].to_vec();
            expected.extend_from_slice(&output[head + dropped..]);
            prop_assert_eq!(keep(layout, &output), expected);
        }
    }
}
