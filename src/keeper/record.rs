//! What a keeper leaves behind about the attempt it works on: enough to finish the books without it.

use std::io;
use std::ops::Range;
use std::time::Duration;

use crate::core::time::{Mono, Wall};
use crate::os::process;

/// Where output stands in a slot's output file: the first `head_max` bytes of the output are at its beginning, the rest goes
/// round in the `tail_max` bytes behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutputLayout {
    /// Bytes kept from the beginning.
    pub(crate) head_max: u64,
    /// Bytes kept from the end.
    pub(crate) tail_max: u64,
}

impl OutputLayout {
    /// Splits `output_max` into head and tail.
    pub(crate) fn of(output_max: u64) -> Self {
        Self {
            head_max: output_max / 2,
            tail_max: output_max - output_max / 2,
        }
    }

    /// Where in the file the kept part of `total` bytes of output stands, in the order it was written: head, older and newer
    /// part of the tail, any of which may be empty. Between the first and the second are the bytes that were [`Self::dropped`].
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

    /// How many of `total` bytes of output were not kept.
    pub(crate) fn dropped(self, total: u64) -> u64 {
        total.saturating_sub(self.head_max.saturating_add(self.tail_max))
    }

    /// Where the next byte after `total` bytes of output goes, and how many may follow it there without a gap. Zero bytes:
    /// nothing behind the head is kept.
    pub(crate) fn place(self, total: u64) -> (u64, u64) {
        if total < self.head_max {
            return (total, self.head_max - total);
        }
        let turn = (total - self.head_max) % self.tail_max.max(1);
        (self.head_max + turn, self.tail_max.saturating_sub(turn))
    }
}

/// A process that cannot be mistaken for another of the same boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProcessId {
    /// Its number.
    pub(crate) pid: i32,
    /// Its start time in clock ticks since boot (field 22 of /proc/PID/stat).
    pub(crate) start_ticks: u64,
}

impl ProcessId {
    /// The process that has this number now. Errs with `NotFound` where there is none.
    pub(crate) fn of(pid: i32) -> io::Result<Self> {
        Ok(Self {
            pid,
            start_ticks: process::stat(pid)?.start_ticks,
        })
    }

    /// Whether it is still there and has not ended, on the boot it was seen on.
    pub(crate) fn is_alive(self) -> bool {
        process::stat(self.pid)
            .is_ok_and(|stat| stat.start_ticks == self.start_ticks && !stat.is_dead())
    }
}

/// Who or what began the stop sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopCause {
    /// The timeout of the order.
    Timeout,
    /// A TERM sent to the keeper.
    Signal,
}

/// How the main process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By itself, with this code.
    Exited(u8),
    /// By this signal.
    Signaled(i32),
    /// It never ran.
    SpawnFailed {
        /// 127: no such program; 126: not executable; none: anything else.
        exit_code: Option<u8>,
        /// What could not be done and why, for people.
        error: String,
    },
}

/// The end of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    /// How the main process ended.
    pub(crate) end: End,
    /// Wall time of the end.
    pub(crate) ended_at: Wall,
    /// From start to end on the monotonic clock.
    pub(crate) duration: Duration,
    /// CPU time in user mode, of the main process and what it waited for (wait4(2)).
    pub(crate) user: Duration,
    /// CPU time in the kernel, likewise.
    pub(crate) system: Duration,
    /// Largest resident set, in KiB, likewise.
    pub(crate) max_rss_kib: u64,
    /// What could not be ended or was left behind, for people.
    pub(crate) remark: Option<String>,
}

/// The record of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// /proc/sys/kernel/random/boot_id.
    pub(crate) boot_id: String,
    /// The keeper that wrote it.
    pub(crate) keeper: ProcessId,
    /// The run, attempt and claim of the order.
    pub(crate) run: i64,
    /// See [`super::order::Order::attempt`].
    pub(crate) attempt: u32,
    /// See [`super::order::Order::claim`].
    pub(crate) claim: i64,
    /// Written before the command exists.
    pub(crate) started_at: Wall,
    /// The same on the monotonic clock of `boot_id`.
    pub(crate) started_mono: Mono,
    /// The command's main process; none until it exists.
    pub(crate) command: Option<ProcessId>,
    /// Why it was stopped, if it was.
    pub(crate) stopped: Option<StopCause>,
    /// How output is laid out.
    pub(crate) layout: OutputLayout,
    /// Bytes of output so far, kept or not. Not covered by the checksum: it moves while the command runs.
    pub(crate) output_total: u64,
    /// The end; none while it works.
    pub(crate) ending: Option<Ending>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Writes as a keeper does and reads as a supervisor does.
    fn keep(layout: OutputLayout, output: &[u8]) -> Vec<u8> {
        let mut file = vec![0; usize::try_from(layout.head_max + layout.tail_max).unwrap()];
        for (total, byte) in output.iter().enumerate() {
            let (place, room) = layout.place(total as u64);
            if room > 0 {
                file[usize::try_from(place).unwrap()] = *byte;
            }
        }
        layout
            .kept(output.len() as u64)
            .into_iter()
            .flat_map(|part| {
                file[usize::try_from(part.start).unwrap()..usize::try_from(part.end).unwrap()]
                    .to_vec()
            })
            .collect()
    }

    proptest! {
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

    #[test]
    fn this_process_is_alive_and_another_start_is_another_process() {
        let me = ProcessId::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(me.is_alive());
        assert!(
            !ProcessId {
                start_ticks: me.start_ticks + 1,
                ..me
            }
            .is_alive()
        );
    }
}
