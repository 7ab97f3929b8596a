//! The two files of a slot as a keeper writes them: its descriptors 1 (the record) and 2 (the
//! output).

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::format::{OUTPUT_TOTAL_AT, RECORD_MAX, output_total_digits};
use super::record::Record;
use crate::os::file;

/// Descriptors 1 and 2.
#[derive(Debug)]
pub(super) struct Slot {
    record: io::Stdout,
    output: io::Stderr,
}

impl Slot {
    /// The slot this process was started with.
    pub(super) fn inherited() -> Self {
        Self { record: io::stdout(), output: io::stderr() }
    }

    /// The record as it stands; none if there is none that can be read.
    pub(super) fn read_record(&self) -> io::Result<Option<Record>> {
        let bytes = file::read_at(self.record.as_fd(), 0, RECORD_MAX)?;
        Ok(Record::decode(&bytes).ok().flatten())
    }

    /// Writes the whole record in one piece. Not flushed to the disk: after a power cut an attempt
    /// is lost anyway.
    pub(super) fn write_record(&self, record: &Record) -> io::Result<()> {
        file::write_at(self.record.as_fd(), &record.encode(), 0)
    }

    /// Moves the live total of the output, and nothing else of the record.
    pub(super) fn write_output_total(&self, total: u64) -> io::Result<()> {
        file::write_at(self.record.as_fd(), output_total_digits(total).as_bytes(), OUTPUT_TOTAL_AT)
    }

    /// The output file.
    pub(super) fn output(&self) -> BorrowedFd<'_> {
        self.output.as_fd()
    }
}
