//! The jobfiles of the simulation: jobs of all kinds, and three ways to have them.

const HEAD: &str = "timezone = 'UTC'\n[defaults]\ncommand = 'x'\nkeep = { succeeded = '3600d', failed = '3600d', runs = 1000000 }\n";

const SKIP: &str =
    "[jobs.skip]\nschedule = '* * * * *'\nlock = 'shared'\nretry = { max = 2, delay = '40s' }\n";
const ONE: &str = "[jobs.one]\nschedule = '*/2 * * * *'\noverlap = 'queue-one'\nconcurrency = 2\ncatch_up = 'last'\njitter = '40s'\n\
    start_deadline = '10m'\n";
const ALL: &str = "[jobs.all]\nschedule = '*/20 * * * *'\noverlap = 'queue-all'\ncatch_up = 'all'\n\
    retry = { max = 'unlimited', delay = '20s', give_up_after = '10m', on_next = 'keep' }\n";
const REPLACE: &str =
    "[jobs.replace]\nschedule = '*/2 * * * *'\noverlap = 'replace'\nlock = 'shared'\nretry = 0\n";
const ALLOW: &str = "[jobs.allow]\nschedule = '*/5 * * * *'\noverlap = 'allow'\nsuccess_exit = [0, 3]\nskip_exit = [75]\n";
const ITEM: &str =
    "[jobs.item]\nconcurrency = 3\npriority = 5\nretry = { max = 3, delay = '1s', lost = false }\n";

const FIND: &str =
    "[jobs.find]\nschedule = '*/3 * * * *'\nfeeds = 'fed'\nretry = { max = 2, delay = '20s' }\n";
const FED: &str =
    "[jobs.fed]\nconcurrency = 2\nbacklog_max = 12\nretry = { max = 1, delay = '1s' }\n";
const LANE: &str =
    "[jobs.lane]\nlock = 'x-{1}'\nconcurrency = 3\nretry = { max = 1, delay = '1s' }\n";
const FILE: &str = "[jobs.file]\nwatch = '/watched'\nconcurrency = 2\n";

/// All jobs of the jobfiles.
pub(super) const JOBS: [&str; 10] =
    ["skip", "one", "all", "replace", "allow", "item", "find", "fed", "lane", "file"];
/// Where `lane` is in it.
pub(super) const LANE_INDEX: usize = 8;

/// The jobfiles: in each other one a job is missing, schedules and limits are others.
pub(super) fn jobfile(number: usize) -> String {
    let skip_edited = SKIP.replace("* * * * *", "*/2 * * * *");
    let item_alone = ITEM.replace("concurrency = 3", "concurrency = 1");
    let all_wide = format!("{ALL}concurrency = 2\n");
    let lane_other = LANE.replace("x-", "y-");
    let lane_alone = LANE.replace("concurrency = 3", "concurrency = 1");
    let one_alone = ONE.replace("concurrency = 2", "concurrency = 1");
    match number {
        0 => format!(
            "max_running = 4\n{HEAD}{SKIP}{ONE}{ALL}{REPLACE}{ALLOW}{ITEM}{FIND}{FED}{LANE}{FILE}"
        ),
        1 => format!(
            "max_running = 2\n{HEAD}{skip_edited}{ONE}{ALL}{ALLOW}{item_alone}{FIND}{FED}{lane_other}{FILE}"
        ),
        _ => format!(
            "max_running = 6\n{HEAD}{SKIP}{one_alone}{all_wide}{REPLACE}{ALLOW}{lane_alone}{FILE}"
        ),
    }
}
