//! The world of the attack: jobs of every kind, each command a witness of what it does.
//!
//! A command appends lines of its own to `journal`, one write each: `B` begins, `E` ends with a
//! code, `O` met another one where only one may be, `W` took a file's text, `M` found no file, `T`
//! is a hook that was told. Nothing of it is in the state directory.

use crate::support::House;

/// Files that are watched by the job that removes them: so many names, used again and again.
pub(super) const SPOOL_NAMES: u64 = 6;

/// Keys and lanes, few enough to be held mostly.
pub(super) const KEYS: u64 = 5;
pub(super) const LANES: u64 = 4;

/// `rate` of the job `rated`: its bucket, and the time in which one place in it is filled again.
pub(super) const RATE_BURST: usize = 5;
pub(super) const RATE_EVERY_MS: i64 = 400;

/// Items go to these jobs by a plain `enqueue JOB TOKEN`.
pub(super) const ITEMS: [&str; 7] =
    ["plain", "wide", "flaky", "hopeless", "left", "right", "rated"];

/// Jobs that are never retried: each run of them is executed once at most.
pub(super) const ONCE: [&str; 4] = ["tick", "plain", "spool", "hand"];

/// Jobs with a schedule.
pub(super) const SCHEDULED: [&str; 3] = ["tick", "often", "find"];

/// How long an attempt may take; what is stopped for longer runs into it.
pub(super) const STOPPED_LONG_MS: u64 = 14_000;

const JOBS: &str = r#"
max_running = 24
stop_timeout = "2s"

[defaults]
stop_grace = "500ms"
timeout = "6s"
leftovers = "kill"
retry = { max = 6, delay = "50ms", max_delay = "200ms" }
shell = ["/bin/bash", "-c"]
env = { WITNESS = '''
say() {
    echo "$1 $JOBCTL_JOB $JOBCTL_RUN/$JOBCTL_ATTEMPT $EPOCHREALTIME ${2-}" >> "$T/journal"
}
hold() {
    for name in "$@"; do
        exec 9>> "$T/own.$name"
        flock -n 9 && return
    done
    say O "$1"
}
rest() {
    set -m
    (read -t 60 _ <> "$T/never") &
    read -t "0.$((JOBCTL_RUN % 4))$((JOBCTL_RUN % 9))" _ <> "$T/never"
    kill -KILL $!
    wait $!
    flock -u 9
}
leave() {
    say E "$1"
    exit "$1"
}
''' }

[jobs.tick]
schedule = "@every 1s"
retry = 0
command = 'eval "$WITNESS"; say B; hold tick; rest; leave 0'

[jobs.often]
schedule = "@every 2s"
overlap = "queue-one"
catch_up = "last"
command = 'eval "$WITNESS"; say B; hold often; rest; leave 0'

[jobs.plain]
retry = 0
command = 'eval "$WITNESS"; say B "$1"; hold plain; rest; leave 0'

[jobs.hand]
retry = 0
command = 'eval "$WITNESS"; say B "$1"; hold hand; rest; leave 0'

[jobs.wide]
concurrency = 4
command = 'eval "$WITNESS"; say B "$1"; hold wide.1 wide.2 wide.3 wide.4; rest; leave 0'

[jobs.flaky]
concurrency = 2
command = 'eval "$WITNESS"; say B "$1"; hold flaky.1 flaky.2; rest; leave $((JOBCTL_ATTEMPT < 2 ? 3 : 0))'

[jobs.hopeless]
retry = { max = 1, delay = "50ms" }
hook_interval = "0s"
on_failure = 'eval "$WITNESS"; say T'
command = 'eval "$WITNESS"; say B "$1"; hold hopeless; rest; leave 4'

[jobs.left]
lock = "both"
command = 'eval "$WITNESS"; say B "$1"; hold both; rest; leave 0'

[jobs.right]
lock = "both"
concurrency = 3
command = 'eval "$WITNESS"; say B "$1"; hold both; rest; leave 0'

[jobs.lane]
lock = "lane-{1}"
concurrency = 3
command = 'eval "$WITNESS"; say B "$1"; hold "lane.$1"; rest; leave 0'

[jobs.keyed]
key = "{1}"
concurrency = 3
command = 'eval "$WITNESS"; say B "$1"; hold "key.$1"; rest; leave 0'

[jobs.rated]
rate = "5/2s"
concurrency = 5
command = 'eval "$WITNESS"; say B "$1"; hold "rated.$JOBCTL_RUN"; rest; leave 0'

[jobs.after]
concurrency = 3
command = 'eval "$WITNESS"; say B "$1"; hold "after.$JOBCTL_RUN"; rest; leave 0'

[jobs.find]
schedule = "@every 3s"
feeds = "fed"
command = '''
eval "$WITNESS"
count=$((JOBCTL_RUN % 9 ? JOBCTL_RUN % 5 : 40))
say B "$count"
hold find
for ((nth = 1; nth <= count; nth++)); do echo "$JOBCTL_RUN-$nth"; done
rest
leave 0
'''

[jobs.fed]
concurrency = 4
command = 'eval "$WITNESS"; say B "$1"; leave 0'

[jobs.drop]
watch = "@T@/drop"
concurrency = 2
command = 'eval "$WITNESS"; say B "${1##*/}"; hold drop.1 drop.2; rest; leave 0'

[jobs.spool]
watch = "@T@/spool"
retry = 0
concurrency = 2
command = '''
eval "$WITNESS"
say B "${1##*/}"
hold spool.1 spool.2
if { read -r text < "$1"; } 2> /dev/null; then say W "$text"; rm "$1"; else say M "${1##*/}"; fi
rest
leave 0
'''
"#;

/// A house with these jobs.
pub(super) fn house() -> House {
    let house = House::new(JOBS);
    nix::unistd::mkfifo(&house.path("never"), nix::sys::stat::Mode::S_IRWXU)
        .expect("a FIFO can be made");
    for name in ["drop", "spool", "outside"] {
        std::fs::create_dir(house.path(name)).expect("it is new");
    }
    house
}

/// The jobfile without schedules: what is there comes to an end.
pub(super) fn write_last(house: &House) {
    let lines = JOBS.lines().filter(|line| !line.starts_with("schedule"));
    house.write_jobfile(&lines.collect::<Vec<_>>().join("\n"));
}

/// The jobfile once more, with another text and the same jobs.
pub(super) fn write_anew(house: &House, number: u64) {
    house.write_jobfile(&format!("# {number}\n{JOBS}"));
}
