//! What each key means: a jobfile with all of them, defaults and what is shared.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::core::door::{Door, Listen, Principal, Token};
use crate::core::job::{
    CatchUp, CommandLine, EnvValue, ExpectEvery, HeartbeatTarget, Leftovers, LogFormat, MailOn,
    OnNext, OnStop, Overlap, Rate, RetryMax,
};
use crate::jobfile::keys::{JOB, TOP};

#[test]
fn a_job_with_a_command_only_has_the_defaults_of_the_contract() {
    let file = good("[jobs.a]\ncommand = \"true\"");
    assert_eq!(*file.jobs[0].policy, crate::core::job::Policy::default());
    assert!(file.jobs[0].schedules.is_empty() && file.notes.is_empty());
}

#[test]
fn one_value_stands_for_an_array_of_it_and_one_duration_for_what_is_kept() {
    let one =
        good("[jobs.a]\ncommand = '1'\nwas = 'b'\nsuccess_exit = 0\nskip_exit = 75\nkeep = '3d'");
    let many = good(
        "[jobs.a]\ncommand = '1'\nwas = ['b']\nsuccess_exit = [0]\nskip_exit = [75]\n\
         keep = { succeeded = '3d', failed = '3d' }",
    );
    assert_eq!(one.jobs[0].policy, many.jobs[0].policy);
}

const EVERYTHING: &str = r#"
timezone = "Europe/Berlin"
include = ["jobs.d/*.toml"]
state_dir = "/var/lib/x"
max_running = 32
on_stop = "detach"
stop_timeout = "90s"
output_total_max = "1 GiB"
forward_output = true
metrics_file = "/run/x.prom"
heartbeat = { command = ["ping", "x"], every = "1m" }
hash_seed = "seed"
log_format = "json"
door = { listen = ["unix:/run/x.sock", "127.0.0.1:7070"], view = ["group:adm", "anyone"], operate = "user:alice", tokens = { shop = "sha256:0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f" } }

[defaults]
timeout = "2h"
env = { A = "default", B = "default" }

[jobs.all]
command = "true"
shell = ["/bin/bash", "-o", "pipefail", "-c"]
schedule = ["@daily", "0 12 * * *"]
timezone = "UTC"
enabled = false
description = "all keys"
was = ["some"]
overlap = "queue-all"
concurrency = 3
lock = "disk"
priority = -7
rate = "10/min"
backlog_max = 9
enqueue_by = ["user:www-data", "token:shop"]
retry = { max = "unlimited", delay = "0s", factor = 1.5, max_delay = "5m", jitter = 0, give_up_after = "1d", on_next = "keep", lost = false }
timeout = "1m"
stop_signal = "SIGINT"
stop_grace = "0s"
leftovers = "kill"
success_exit = [1, 0, 1]
skip_exit = [75]
no_retry_exit = [2, 64]
catch_up = "last"
start_deadline = "10m"
jitter = "30s"
cwd = "/srv"
umask = "0077"
nice = 5
user = "www"
group = "www"
env = { B = "job", C = { file = "/run/secrets/c" } }
env_file = "/etc/default/x"
inherit_env = true
limits = { cpu_time = "10s", open_files = 64, processes = 8, file_size = "1 MiB", address_space = "1 GiB", memory = "512MB" }
stdin = "hello\n"
output_max = "64 KiB"
output_file = "/var/log/x.log"
feeds = "small"
watch = "/in/*.png"
key = "{1}-{2}"
key_for = "1h"
expect_within = "5m"
expect_every = "1d"
on_failure = "echo"
on_recovery = ["echo", "r"]
on_success = "echo"
on_attempt_failure = "echo"
on_late = "echo"
mailto = "ops@example.org"
mail_from = "cron@example.org"
mail_on = "output"
hook_interval = "0s"
keep = { succeeded = "1d", failed = "2d", runs = 10 }

[jobs.small]
command = ["true"]
"#;

#[test]
fn every_key_is_accepted_and_arrives() {
    let file = good(EVERYTHING);
    let [all, small] = file.jobs.as_slice() else { panic!("two jobs") };
    let policy = &*all.policy;
    assert_eq!(all.command, CommandLine::Shell("true".into()));
    assert_eq!(
        all.schedules.iter().map(|(text, _)| &**text).collect::<Vec<_>>(),
        ["@daily", "0 12 * * *"]
    );
    assert_eq!(all.timezone.as_deref(), Some("UTC"));
    assert_eq!((policy.overlap, policy.concurrency, policy.priority), (Overlap::QueueAll, 3, -7));
    assert_eq!(policy.rate, Some(Rate { burst: 10, per: Duration::from_secs(60) }));
    assert_eq!((policy.retry.max, policy.retry.factor_milli), (RetryMax::Unlimited, 1500));
    assert_eq!(
        (policy.retry.jitter_milli, policy.retry.on_next, policy.retry.lost),
        (0, OnNext::Keep, false)
    );
    assert_eq!((policy.stop_signal, policy.stop_grace, policy.umask), (2, Duration::ZERO, 0o77));
    assert_eq!((&*policy.success_exit, &*policy.no_retry_exit), (&[0, 1][..], &[2, 64][..]));
    assert_eq!(
        (policy.catch_up, policy.leftovers, policy.mail_on),
        (CatchUp::Last, Leftovers::Kill, MailOn::Output)
    );
    let text = |text: &str| EnvValue::Text(text.into());
    let env: Vec<_> = policy.env.iter().map(|(name, value)| (&**name, value.clone())).collect();
    let file_value = EnvValue::File("/run/secrets/c".into());
    assert_eq!(env, [("A", text("default")), ("B", text("job")), ("C", file_value)]);
    assert_eq!((policy.limits.open_files, policy.limits.memory), (Some(64), Some(512_000_000)));
    assert_eq!((policy.output_max, policy.keep.runs), (64 << 10, 10));
    assert_eq!(policy.output_file.as_deref(), Some("/var/log/x.log"));
    assert_eq!(policy.expect_every, ExpectEvery::Span(Duration::from_secs(86_400)));
    assert_eq!(policy.feeds.as_ref(), Some(&small.name));
    assert_eq!(
        (policy.timeout, small.policy.timeout),
        (Some(Duration::from_secs(60)), Some(Duration::from_secs(7200)))
    );
    let settings = &file.settings;
    assert_eq!(
        (settings.on_stop, settings.log_format),
        (Some(OnStop::Detach), Some(LogFormat::Json))
    );
    let principal = |text: &str| Principal::parse(text).expect("it is one");
    let door = Door {
        listen: [
            Listen::Unix("/run/x.sock".into()),
            Listen::Tcp("127.0.0.1:7070".parse().expect("an address")),
        ]
        .into(),
        view: [principal("group:adm"), Principal::Anyone].into(),
        operate: [principal("user:alice")].into(),
        tokens: [Token { name: "shop".into(), sha256: [0x0f; 32] }].into(),
    };
    assert_eq!(settings.door.as_deref(), Some(&door));
    assert_eq!(*policy.enqueue_by, [principal("user:www-data"), principal("token:shop")]);
    let beat = settings.heartbeat.clone().expect("a heartbeat");
    assert_eq!(
        beat,
        (
            HeartbeatTarget::Command(CommandLine::Exec(["ping".into(), "x".into()].into())),
            Duration::from_secs(60)
        )
    );
}

#[test]
fn every_key_of_the_table_is_in_the_big_file_and_refuses_a_wrong_type() {
    for row in TOP {
        let header = format!("\n[{}", row.name);
        assert!(
            EVERYTHING.contains(&format!("\n{} = ", row.name)) || EVERYTHING.contains(&header),
            "{}",
            row.name
        );
        let expected = format!(
            "j.toml:1:{}: {}: expected {}, got a date or time",
            row.name.len() + 4,
            row.name,
            row.wants
        );
        assert_eq!(wrong(&[&format!("{} = 2026-01-01", row.name)]).0, [expected]);
    }
    for row in JOB {
        assert!(EVERYTHING.contains(&format!("\n{} = ", row.name)), "{}", row.name);
        let text = format!("[defaults]\n{} = 2026-01-01", row.name);
        let expected =
            format!("defaults: {}: expected {}, got a date or time", row.name, row.wants);
        assert!(wrong(&[&text]).0.iter().any(|line| line.ends_with(&expected)), "{expected}");
    }
}

#[test]
fn a_default_is_replaced_whole_but_variables_merge() {
    let file = good(
        "[defaults]\nretry = { max = 5, delay = \"1m\" }\nenv = { A = \"1\" }\ncommand = \"true\"\nconcurrency = 4\n\
         [jobs.a]\nretry = { max = 2 }\nenv = { B = \"2\" }\n[jobs.b]\n[jobs.c]\noverlap = \"allow\"",
    );
    let [a, b, c] = file.jobs.as_slice() else { panic!("three jobs") };
    assert_eq!(
        (a.policy.retry.max, a.policy.retry.delay),
        (RetryMax::Times(2), Duration::from_secs(10))
    );
    assert_eq!(
        (b.policy.retry.max, b.policy.retry.delay),
        (RetryMax::Times(5), Duration::from_secs(60))
    );
    assert_eq!((a.policy.env.len(), b.policy.env.len()), (2, 1));
    assert_eq!((b.policy.running_max(), c.policy.running_max()), (Some(4), None));
}

#[test]
fn a_jobs_own_concurrency_limits_it_although_others_may_overlap() {
    let file = good(
        "[defaults]\noverlap = \"allow\"\ncommand = \"true\"\n\
         [jobs.a]\nconcurrency = 2\n[jobs.b]\nconcurrency = 2\noverlap = \"queue-all\"\n[jobs.c]\n",
    );
    let found = file.jobs.iter().map(|job| (job.policy.overlap, job.policy.running_max()));
    let wanted = [(Overlap::Skip, Some(2)), (Overlap::QueueAll, Some(2)), (Overlap::Allow, None)];
    assert_eq!(found.collect::<Vec<_>>(), wanted);
}

#[test]
fn a_default_schedule_is_hashed_for_each_job() {
    let text = "[defaults]\nschedule = \"H H * * *\"\ncommand = \"true\"\n";
    let names: String = ["a", "b", "c", "d"].map(|name| format!("[jobs.{name}]\n")).concat();
    let file = good(&format!("{text}{names}"));
    assert!(file.jobs.iter().any(|job| job.schedules[0].1 != file.jobs[0].schedules[0].1));
    let seeded = good(&format!("hash_seed = \"other\"\n{text}{names}"));
    let differs = |(one, other): (&Job, &Job)| one.schedules != other.schedules;
    assert!(file.jobs.iter().zip(&seeded.jobs).any(differs));
}

#[test]
fn equal_policies_are_one() {
    let file = good(
        "[jobs.b]\ncommand = \"1\"\nnice = 1\n[jobs.a]\ncommand = \"2\"\nnice = 1\n[jobs.c]\ncommand = \"3\"",
    );
    let [a, b, c] = file.jobs.as_slice() else { panic!("three jobs") };
    assert!(Arc::ptr_eq(&a.policy, &b.policy) && !Arc::ptr_eq(&a.policy, &c.policy));
}

#[test]
fn a_pipe_whose_failures_are_lost_is_a_warning() {
    let file = good("[jobs.a]\ncommand = \"pg_dump app | gzip\"\n");
    assert_eq!(
        file.notes[0].to_string(),
        "j.toml:2:11: job `a`: `command` has a pipe, but its shell reports only the last command's failure\n\
         hint: write `shell = [\"/bin/bash\", \"-o\", \"pipefail\", \"-c\"]`"
    );
    assert!(good("[jobs.a]\ncommand = \"set -o pipefail; a | b\"").notes.is_empty());
    assert!(good("[jobs.a]\ncommand = [\"a\", \"|\", \"b\"]").notes.is_empty());
    assert!(good(&job("retry = { delay = \"1s\" }")).notes[0].message.contains("has no `max`"));
}
