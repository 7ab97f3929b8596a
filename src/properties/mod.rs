//! What holds for any bytes that come from outside: a property for each parser.
//!
//! `fuzz/` runs them on bytes of libFuzzer's making, and the unit test here on the inputs that are
//! checked in.

mod crontab;
mod duration;
mod env_file;
mod jobfile;
mod order;
mod record;
mod records;
mod report;
mod restore;
mod schedule;

pub use crontab::crontab;
pub use duration::duration;
pub use env_file::env_file;
pub use jobfile::jobfile;
pub use order::order;
pub use record::record;
pub use records::records;
pub use report::report;
pub use restore::restore;
pub use schedule::schedule;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    type Property = fn(&[u8]);

    #[test]
    fn every_property_holds_for_the_inputs_that_are_checked_in() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
        for (name, property) in [
            ("crontab", crontab as Property),
            ("duration", duration as Property),
            ("env_file", env_file as Property),
            ("jobfile", jobfile as Property),
            ("order", order as Property),
            ("record", record as Property),
            ("records", records as Property),
            ("report", report as Property),
            ("restore", restore as Property),
            ("schedule", schedule as Property),
        ] {
            let inputs = fs::read_dir(corpus.join(name)).expect("each property has inputs");
            let mut count = 0;
            for input in inputs {
                property(&fs::read(input.expect("it is listed").path()).expect("it is readable"));
                count += 1;
            }
            assert!(count > 0, "{name} has no input");
        }
    }
}
