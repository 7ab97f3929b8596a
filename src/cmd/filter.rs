//! Turns the filters of the command line into the store's; `runs`, `retry`, `cancel` and `ack`
//! share them.

use crate::cli::Filters;
use crate::cmd::{Result, Toward, Viewer};
use crate::store::Filter;

/// Makes the store's filter.
pub(crate) fn read(filters: &Filters, viewer: &Viewer) -> Result<Filter> {
    let time = |text: &Option<String>| {
        text.as_deref().map(|text| viewer.parse(text, Toward::Past)).transpose()
    };
    Ok(Filter {
        states: filters.states.clone(),
        job: filters.job.clone(),
        since: time(&filters.since)?,
        until: time(&filters.until)?,
        exit: filters.exit,
        key: filters.key.clone(),
        failed: filters.failed,
        before: None,
        owner: None,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::core::run::State;
    use crate::core::time::Wall;
    use crate::core::words::Word;

    #[test]
    fn every_filter_of_the_command_line_reaches_the_store() {
        let viewer =
            Viewer { zone: crate::os::zone::load("UTC").unwrap(), now: Wall::from_secs(7200) };
        let line = "jobctl runs --state failed,skipped --state queued --job a --since 1h --until 1970-01-02 --exit 3 --key k --failed";
        let Command::Runs(args) = Cli::try_parse_from(line.split(' ')).unwrap().command else {
            panic!()
        };
        let expected = Filter {
            states: vec![State::Failed, State::Skipped, State::Queued],
            job: Some("a".into()),
            since: Some(Wall::from_secs(3600)),
            until: Some(Wall::from_secs(86_400)),
            exit: Some(3),
            key: Some("k".into()),
            failed: true,
            before: None,
            owner: None,
        };
        assert_eq!(read(&args.filters, &viewer), Ok(expected));
    }

    #[test]
    fn every_state_can_be_asked_for() {
        for state in State::ALL {
            assert!(
                Cli::try_parse_from(["jobctl", "runs", "--state", state.as_str()]).is_ok(),
                "{state}"
            );
        }
    }
}
