//! Any bytes are a record that is the same when it is written and read again, none, or an error.

use crate::core::hash::fnv1a;
use crate::keeper::format::RECORD_MAX;
use crate::keeper::record::Record;

/// Any bytes are a record that is the same when it is written and read again, none, or an error.
pub fn record(data: &[u8]) {
    assert_stays(data);
    // No fuzzer finds a checksum: here the bytes get the one that they should have.
    let Some(first) = data.iter().position(|byte| *byte == b'\n') else {
        return;
    };
    let whole = data.windows(10).position(|part| part == b"\nchecksum ");
    let end = whole.map_or(data.len(), |at| at + 1);
    if let Some(body) = data.get(first + 1..end) {
        let checksum = fnv1a(body.iter().copied());
        let end = format!("checksum {checksum:016x}\nend\n");
        assert_stays(&[&data[..=first], body, end.as_bytes()].concat());
    }
}

/// What is read of bytes is written, and what is read of that is written as the same.
fn assert_stays(data: &[u8]) {
    let Ok(Some(record)) = Record::decode(data) else {
        return;
    };
    let again = record.encode();
    assert!(again.len() <= RECORD_MAX, "{record:?}");
    let read = Record::decode(&again);
    let read = read.ok().flatten().expect("what was written can be read");
    assert_eq!(read.encode(), again);
}
