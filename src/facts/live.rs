//! Reads the output of a running attempt from its slot while its keeper writes.
//!
//! A slot serves one attempt after another; its record names the current one and is therefore
//! checked before and after each read.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsFd;
use std::path::Path;

use nix::fcntl::OFlag;

use crate::core::output::OutputLayout;
use crate::core::report::{self, Report};
use crate::core::run::State;
use crate::facts::pieces::Piece;
use crate::keeper::format::RECORD_MAX;
use crate::keeper::record::Record;
use crate::os::inside::open_inside;
use crate::os::{file, reports};
use crate::store::RunRow;

/// The number of bytes per read.
const LOOK_MAX: u64 = 1 << 20;

/// How many bytes may be in the file before its total counts them.
const UNDER_WAY: u64 = 64 * 1024;

/// An attempt that was seen running.
#[derive(Debug)]
pub(crate) struct Live {
    record: File,
    output: File,
    run: i64,
    claim: i64,
}

/// The result of a read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    /// New output.
    pub(crate) pieces: Vec<Piece>,
    /// Where the next read continues.
    pub(crate) position: u64,
    /// Whether more can be read immediately.
    pub(crate) has_more: bool,
    /// Whether the attempt has ended and all of its output was read.
    pub(crate) is_ended: bool,
}

/// Fills in the progress that running commands report; the store gets it when they end.
pub(crate) fn fill_in(state_dir: &Path, runs: &mut [RunRow]) {
    for run in runs.iter_mut().filter(|run| run.state == State::Running) {
        if let Some(report) = Live::open(state_dir, run).and_then(|live| live.report()) {
            run.progress = report.progress;
            run.result = report.result;
        }
    }
}

impl Live {
    /// Opens the slot of a run's newest attempt; `None` if it has none yet or no longer.
    pub(crate) fn open(state_dir: &Path, run: &RunRow) -> Option<Self> {
        let slot = run.slot?;
        let open = |ending: &str| {
            let path = state_dir.join("slots").join(format!("{slot}.{ending}"));
            open_inside(&path, OFlag::O_RDONLY).ok()
        };
        let live =
            Self { record: open("rec")?, output: open("out")?, run: run.id, claim: run.claim };
        live.current().map(|_| live)
    }

    /// Reads the output from `position` on; `None` if the slot already serves another attempt.
    pub(crate) fn look(&self, position: u64) -> io::Result<Option<Look>> {
        let Some(before) = self.current() else {
            return Ok(None);
        };
        let wanted = self.wanted(&before, position);
        let bytes = self.read(before.layout, wanted.clone())?;
        let Some(after) = self.current() else {
            return Ok(None);
        };
        Ok(Some(look_of(position, wanted, bytes, &before, &after)))
    }

    /// Returns the id of the attempt's main process; `None` until it exists.
    pub(crate) fn pid(&self) -> Option<i32> {
        Some(self.current()?.command?.pid)
    }

    /// Returns the command's latest report; `None` if there is none that this user may read.
    fn report(&self) -> Option<Report> {
        let path = self.current()?.report?;
        let tail = reports::read(Path::new(&path), report::REPORT_MAX).ok()?;
        Some(report::parse(tail.whole_lines()).0)
    }

    /// Returns the record if it belongs to this attempt.
    fn current(&self) -> Option<Record> {
        let bytes = file::read_at(self.record.as_fd(), 0, RECORD_MAX).ok()?;
        let record = Record::decode(&bytes).ok().flatten()?;
        (record.run == self.run && record.claim == self.claim).then_some(record)
    }

    /// Returns the range of the next kept bytes, all from the head or all from the tail.
    fn wanted(&self, record: &Record, position: u64) -> Range<u64> {
        let (head_max, total) = (record.layout.head_max, record.output_total);
        let start =
            if position < head_max { position } else { position.max(oldest(record, false)) };
        let end = if start < head_max { total.min(head_max) } else { total };
        start.min(end)..end.min(start.saturating_add(LOOK_MAX))
    }

    fn read(&self, layout: OutputLayout, wanted: Range<u64>) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut at = wanted.start;
        while at < wanted.end {
            let (place, room) = layout.place(at);
            let len = room.min(wanted.end - at);
            if len == 0 {
                break;
            }
            let part = file::read_at(
                self.output.as_fd(),
                place,
                usize::try_from(len).map_err(io::Error::other)?,
            )?;
            bytes.extend_from_slice(&part);
            if part.len() as u64 != len {
                break;
            }
            at += len;
        }
        Ok(bytes)
    }
}

/// Drops the bytes that may have been overwritten during the read.
fn look_of(
    position: u64,
    wanted: Range<u64>,
    mut bytes: Vec<u8>,
    before: &Record,
    after: &Record,
) -> Look {
    let mut start = wanted.start;
    if start >= before.layout.head_max {
        let lost = oldest(after, after.ending.is_none()).saturating_sub(start);
        start += lost;
        bytes.drain(..usize::try_from(lost).unwrap_or(usize::MAX).min(bytes.len()));
    }
    let end = start + bytes.len() as u64;
    // Nothing after the head is kept, or the file is shorter than it should be: skip the range.
    let end = if bytes.is_empty() { start.max(wanted.end) } else { end };
    let left_out = start.saturating_sub(position);
    let is_new = left_out > 0 || !bytes.is_empty();
    Look {
        pieces: is_new.then_some(Piece { left_out, bytes }).into_iter().collect(),
        position: end.max(position),
        has_more: end < after.output_total && end > position,
        is_ended: after.ending.is_some() && end >= after.output_total,
    }
}

/// Returns the oldest byte of the tail; with `is_moving` it may already be overwritten.
fn oldest(record: &Record, is_moving: bool) -> u64 {
    let OutputLayout { head_max, tail_max } = record.layout;
    let margin = if is_moving { UNDER_WAY.min(tail_max / 2) } else { 0 };
    (record.output_total + margin).saturating_sub(tail_max).max(head_max)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;
    use std::path::PathBuf;

    use super::*;
    use crate::core::time::{Mono, Wall};
    use crate::facts::run::tests::sample_run;
    use crate::keeper::record::{End, Ending, ProcessId};

    const LAYOUT: OutputLayout = OutputLayout { head_max: 4, tail_max: 6 };

    fn record(total: u64, is_ended: bool) -> Record {
        let ending = Ending {
            report: Report::default(),
            spooled: None,
            end: End::Exited(0),
            ended_at: Wall::from_secs(1),
            duration: std::time::Duration::ZERO,
            user: std::time::Duration::ZERO,
            system: std::time::Duration::ZERO,
            max_rss_kib: 1,
            remark: None,
        };
        Record {
            feeds: None,
            report: None,
            boot_id: "boot".into(),
            keeper: ProcessId { pid: 1, start_ticks: 1 },
            run: 412,
            attempt: 1,
            claim: 9,
            started_at: Wall::from_secs(0),
            started_mono: Mono::from_duration(std::time::Duration::ZERO),
            command: None,
            cgroup: None,
            memory_max: None,
            stopped: None,
            layout: LAYOUT,
            output_total: total,
            ending: is_ended.then_some(ending),
        }
    }

    /// A slot as a keeper leaves it after writing `text`.
    fn slot(name: &str, text: &str, is_ended: bool) -> (PathBuf, Option<Live>) {
        let dir = std::env::temp_dir().join(format!("jobctl-live-{name}-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("slots")).unwrap();
        write(&dir, text, &record(text.len() as u64, is_ended));
        let live = Live::open(&dir, &RunRow { slot: Some(3), ..sample_run() });
        (dir, live)
    }

    fn write(dir: &Path, text: &str, record: &Record) {
        let mut file = File::options();
        let file =
            file.write(true).create(true).truncate(false).open(dir.join("slots/3.out")).unwrap();
        for (at, byte) in text.bytes().enumerate() {
            let (place, room) = LAYOUT.place(at as u64);
            assert!(room > 0);
            file.write_all_at(&[byte], place).unwrap();
        }
        std::fs::write(dir.join("slots/3.rec"), record.encode()).unwrap();
    }

    fn read_all(live: &Live) -> (String, u64, bool) {
        let (mut text, mut left_out, mut position) = (String::new(), 0, 0);
        loop {
            let look = live.look(position).unwrap().unwrap();
            for piece in &look.pieces {
                left_out += piece.left_out;
                text.push_str(std::str::from_utf8(&piece.bytes).unwrap());
            }
            position = look.position;
            if !look.has_more {
                return (text, left_out, look.is_ended);
            }
        }
    }

    #[test]
    fn head_and_tail_of_an_ended_attempt_are_read_to_the_end() {
        for (name, text, expected) in [
            ("small", "abc", ("abc", 0)),
            ("full", "abcdefghij", ("abcdefghij", 0)),
            ("over", "abcdefghijklmno", ("abcdjklmno", 5)),
        ] {
            let (dir, live) = slot(name, text, true);
            assert_eq!(
                read_all(&live.unwrap()),
                (expected.0.to_owned(), expected.1, true),
                "{name}"
            );
            std::fs::remove_dir_all(dir).unwrap();
        }
    }

    #[test]
    fn what_may_be_written_over_meanwhile_is_left_out() {
        let (dir, live) = slot("moving", "abcdefghijklmno", false);
        assert_eq!(read_all(&live.unwrap()), ("abcdmno".to_owned(), 8, false));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_slot_that_serves_another_attempt_gives_nothing() {
        let (dir, live) = slot("other", "abc", false);
        let live = live.unwrap();
        write(&dir, "xyz", &Record { claim: 10, ..record(3, false) });
        // The record's file is the same one, written over.
        assert_eq!(live.look(0).unwrap(), None);
        assert!(Live::open(&dir, &RunRow { slot: Some(3), ..sample_run() }).is_none());
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn output_that_comes_later_is_read_from_where_one_was() {
        let (dir, live) = slot("later", "abc", false);
        let live = live.unwrap();
        let first = live.look(0).unwrap().unwrap();
        assert_eq!((first.position, first.is_ended), (3, false));
        write(&dir, "abcdef", &record(6, true));
        let mut second = live.look(3).unwrap().unwrap();
        assert_eq!((second.pieces.remove(0).bytes, second.has_more), (b"d".to_vec(), true));
        std::fs::remove_dir_all(dir).unwrap();
    }
}
