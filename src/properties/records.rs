//! Any bytes are a log of cron's: no line is more than one start, and what was printed once is
//! printed the same.

use crate::core::schedule::{Transition, Zone};
use crate::core::time::Wall;
use crate::crontab::compare::covered;
use crate::crontab::records::{Reader, printed, printed_forms};

/// Any bytes are a log of cron's: no line is more than one start, and what was printed once is
/// printed the same.
pub fn records(data: &[u8]) {
    // The first two bytes are the day on which the log is read, 1970 to 2149.
    let (Some(day), Some(log)) = (data.first_chunk::<2>(), data.get(2..)) else {
        return;
    };
    let now = Wall::from_secs(i64::from(u16::from_be_bytes(*day)) * 86_400);
    let zone = Zone {
        name: "Here".into(),
        offset_first_secs: 3600,
        transitions: [(1_774_746_000, 7200), (1_792_890_000, 3600)]
            .map(|(at_secs, offset_secs)| Transition { at_secs, offset_secs })
            .into(),
    };
    let mut reader = Reader::default();
    let mut lines = 0;
    for line in String::from_utf8_lossy(log).split('\n') {
        reader.line(line);
        lines += 1;
    }
    let records = reader.finish(&zone, now);
    assert!(records.starts.len() <= lines);
    let _ = covered(&records);
    for start in &records.starts {
        assert!(start.command.is_ascii(), "{start:?}");
        assert_eq!(printed(&start.command), start.command);
        assert!(!printed_forms(&start.command).is_empty());
    }
}
