//! A full disk: output goes first, then the reserve; the job that makes room still runs, and
//! nothing has to be mended afterwards.
//!
//! The disk is a tmpfs of 2 MiB in a namespace of its own, kept by a process that waits for the end
//! of its input.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::support::{Answer, House, Need, Supervisor, answer_of, program, skipped, wait_for};

/// Commands find the disk in `$D`; what cleans up does so once it may.
///
/// Who made the namespace is root in it, whose home may be closed to who it really is.
const JOBS: &str = r#"
[defaults]
cwd = "/"

[jobs.cleans]
schedule = "@every 1s"
command = '[ ! -e "$T/may" ] || rm -f "$D/ballast"; echo "$JOBCTL_RUN $JOBCTL_ATTEMPT" >> "$T/cleaned"'

[jobs.removes]
command = 'rm -r "$D/files"; echo done >> "$T/removed"'

[jobs.says]
command = 'echo a word; echo done >> "$T/said"'

[jobs.floods]
shell = ["/bin/bash", "-o", "pipefail", "-c"]
output_max = "8 MiB"
command = 'head -c 6000000 /dev/zero | tr "\000" x && echo whole >> "$T/flooded"'

[jobs.appends]
shell = ["/bin/bash", "-o", "pipefail", "-c"]
output_max = "1 KiB"
output_file = "@T@/disk/log"
command = 'head -c 6000000 /dev/zero | tr "\000" x && echo whole >> "$T/appended"'
"#;

struct Disk {
    house: House,
    holder: Child,
}

impl Disk {
    /// None: no namespace can be made here.
    fn of_2_mib() -> Option<Self> {
        Self::with("size=2m")
    }

    /// None: no namespace can be made here.
    fn with(options: &str) -> Option<Self> {
        let house = House::new(JOBS);
        fs::create_dir(house.path("disk")).expect("it can be made");
        let holder = program("unshare")
            .args(["-Urm", "sh", "-c"])
            .arg("mount -t tmpfs -o \"$O\" none \"$T/disk\" && echo ready > \"$T/holder\" && exec cat")
            .env("T", house.dir())
            .env("O", options)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut holder) = holder else {
            skipped(Need::Userns, "there is no unshare(1)");
            return None;
        };
        let is_ready = wait_for("the disk", || {
            let is_over = holder.try_wait().expect("it is ours").is_some();
            let is_ready = house.read("holder") == "ready\n";
            (is_over || is_ready).then_some(is_ready)
        });
        if !is_ready {
            skipped(Need::Userns, "no user and mount namespace can be made here");
            return None;
        }
        Some(Self { house, holder })
    }

    /// A path on the disk, as it is seen from outside of the namespace.
    fn path(&self, name: &str) -> PathBuf {
        let disk = self.house.path("disk");
        let inside = disk.strip_prefix("/").expect("it is absolute");
        PathBuf::from(format!("/proc/{}/root", self.holder.id())).join(inside).join(name)
    }

    fn jobctl(&self) -> Command {
        let mut command = program("nsenter");
        for (name, value) in self.house.jobctl().get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let holder = self.holder.id().to_string();
        command
            .args(["-t", &holder, "-U", "-m", "--preserve-credentials"])
            .arg(env!("CARGO_BIN_EXE_jobctl"))
            .env("D", self.house.path("disk"))
            .env("JOBCTL_STATE_DIR", self.house.path("disk/state"))
            .stdin(Stdio::null());
        command
    }

    fn start(&self) -> Supervisor {
        self.house.start_with(&mut self.jobctl(), &[])
    }

    fn ask(&self, args: &[&str]) -> Answer {
        answer_of(self.jobctl().args(args))
    }

    /// Writes until nothing more goes in.
    fn fill(&self) {
        let mut ballast = OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.path("ballast"))
            .expect("it can be opened");
        let page = [b'x'; 4096];
        while ballast.write_all(&page).is_ok() {}
    }

    /// Makes files until there can be no more.
    fn use_up_files(&self) {
        fs::create_dir_all(self.path("files")).expect("it can be made");
        for number in 0.. {
            let path = self.path(&format!("files/{number}"));
            if fs::write(path, "").is_err() {
                return;
            }
        }
    }

    fn enqueue(&self, job: &str) -> i64 {
        let answer = self.ask(&["enqueue", job]).expect(0);
        answer.out.trim().parse().expect("it is an id")
    }

    fn show(&self, run: i64) -> serde_json::Value {
        self.ask(&["show", &run.to_string(), "--json"]).expect(0).json()
    }

    fn wait_ended(&self, run: i64) -> serde_json::Value {
        wait_for("the run to end", || Some(self.show(run)).filter(|run| !run["ended_at"].is_null()))
    }

    fn spare_files(&self) -> usize {
        fs::read_dir(self.path("state/spare")).map_or(0, Iterator::count)
    }

    fn wait_log(&self, event: &str) {
        self.house.wait_text("log", &format!("event={event}"));
    }

    fn is_reserved(&self) -> bool {
        fs::metadata(self.path("state/reserve"))
            .is_ok_and(|meta| meta.len() == 256 * 1024 && meta.blocks() * 512 >= meta.len())
    }

    /// Nothing was lost, executed twice or left over.
    fn assert_sound(&self) {
        let runs = self.ask(&["runs", "cleans", "-n", "0", "--json"]).expect(0);
        let mut succeeded = Vec::new();
        for line in runs.out.lines() {
            let run: serde_json::Value = serde_json::from_str(line).expect("a line is an object");
            assert!(
                run["state"] == "succeeded"
                    || run["reason"] == "overlap"
                    || run["reason"] == "missed",
                "{run:#}"
            );
            if run["state"] == "succeeded" {
                succeeded.push(format!("{} {}", run["id"], run["attempt"]));
            }
        }
        succeeded.reverse();
        let mut cleaned = self.house.lines("cleaned");
        cleaned.sort_by_key(|line| line.split(' ').next().and_then(|id| id.parse::<i64>().ok()));
        assert_eq!(cleaned, succeeded);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

#[test]
fn on_a_full_disk_the_job_that_makes_room_still_runs_and_all_recovers_by_itself() {
    let Some(disk) = Disk::of_2_mib() else { return };
    let supervisor = disk.start();
    assert!(disk.is_reserved());
    let mode = fs::metadata(disk.path("state/reserve")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    disk.house.wait_lines("cleaned", 1);
    // Until it hurts: what is written in place, and what is dropped first, goes a long way.
    wait_for("the reserve to be released", || {
        disk.fill();
        let log = disk.house.read("log");
        log.contains("event=reserve_released").then_some(())
    });
    let log = disk.house.read("log");
    let at = |event: &str| log.find(event).expect("it is said");
    assert!(at("event=disk_full") < at("event=reserve_released"), "{log}");
    // It goes on while the disk is full, and then cleans up.
    let done = disk.house.lines("cleaned").len();
    disk.house.wait_lines("cleaned", done + 2);
    assert!(disk.path("ballast").exists(), "it may not yet");
    disk.house.write("may", "");
    wait_for("the ballast to be gone", || (!disk.path("ballast").exists()).then_some(()));
    disk.wait_log("disk_has_room");
    assert!(disk.is_reserved());
    let run = disk.enqueue("says");
    let ended = disk.wait_ended(run);
    assert_eq!((&ended["state"], &ended["error"]), (&"succeeded".into(), &serde_json::Value::Null));
    assert_eq!(disk.ask(&["logs", &run.to_string()]).expect(0).out, "a word\n");
    assert_eq!(supervisor.stop(), 0);
    disk.assert_sound();
}

#[test]
fn output_that_does_not_fit_on_the_disk_is_dropped_and_said_and_does_the_command_no_harm() {
    let Some(disk) = Disk::of_2_mib() else { return };
    let _supervisor = disk.start();
    let run = disk.enqueue("floods");
    let ended = disk.wait_ended(run);
    assert_eq!(
        (&ended["state"], &ended["exit_code"]),
        (&"succeeded".into(), &0.into()),
        "{ended:#}"
    );
    assert_eq!(disk.house.lines("flooded"), ["whole"]);
    let error = ended["error"].as_str().expect("it is said");
    assert!(error.contains(" bytes of output not kept: no space left on device"), "{error}");
    let said = disk.ask(&["logs", &run.to_string()]).expect(0);
    assert!(said.err.contains("bytes of output not kept"), "{said:?}");
    let status = disk.ask(&["status"]).expect(0).out;
    let jobs = status.split_once("NOW\n").map_or("", |(_, jobs)| jobs);
    assert!(jobs.starts_with("floods ") && jobs.contains(&format!("  {error}\n")), "{status}");
    let closely = disk.ask(&["status", "floods"]).expect(0).out;
    assert!(closely.contains(&format!("run {run}: {error}\n")), "{closely}");
    let listed = disk.ask(&["runs", "floods"]).expect(0).out;
    assert!(listed.contains("  succeeded (output not kept)  "), "{listed}");
    // Afterwards all is as before.
    let run = disk.enqueue("says");
    assert_eq!(disk.wait_ended(run)["state"], "succeeded");
}

#[test]
fn a_log_file_on_a_full_disk_is_said_and_does_the_command_no_harm() {
    let Some(disk) = Disk::of_2_mib() else { return };
    let _supervisor = disk.start();
    let run = disk.enqueue("appends");
    let ended = disk.wait_ended(run);
    assert_eq!((&ended["state"], &ended["exit_code"]), (&"succeeded".into(), &0.into()));
    assert_eq!(disk.house.lines("appended"), ["whole"]);
    let error = ended["error"].as_str().expect("it is said");
    let log = disk.house.path("disk/log").display().to_string();
    let (file, why) = error.split_once(": ").expect("it names the file");
    assert_eq!(file, format!("output_file {log}"));
    let (lost, why) = why.split_once(' ').expect("it says how much");
    assert!(why.starts_with("bytes not written: no space left on device"), "{error}");
    let written = fs::metadata(disk.path("log")).expect("it is there").len();
    assert_eq!(written + lost.parse::<u64>().expect("a number"), 6_000_000);
}

#[test]
fn a_supervisor_that_starts_on_a_full_disk_starts_what_makes_room() {
    let Some(disk) = Disk::of_2_mib() else { return };
    assert_eq!(disk.start().stop(), 0);
    assert!(disk.is_reserved());
    disk.fill();
    disk.house.write("may", "");
    let supervisor = disk.start();
    disk.wait_log("disk_has_room");
    assert!(disk.is_reserved() && !disk.path("ballast").exists());
    assert_eq!(supervisor.stop(), 0);
    disk.assert_sound();
}

#[test]
fn what_does_not_fit_into_the_store_is_refused_with_a_reason_and_not_written() {
    let Some(disk) = Disk::of_2_mib() else { return };
    let supervisor = disk.start();
    let run = disk.enqueue("says");
    disk.wait_ended(run);
    let large = "x".repeat(100_000);
    let args = ["enqueue", "says", &large, &large, &large, &large, &large];
    let refused = |args: &[&str]| {
        disk.fill();
        let answer = disk.ask(args).expect(111);
        assert_eq!(answer.out, "", "{answer:?}");
        assert!(answer.err.contains("jobctl.db: no space left on its disk\nhint: "), "{answer:?}");
    };
    // With a supervisor there is some room left in the store's log; a larger item does not fit into
    // that.
    refused(&args);
    assert_eq!(supervisor.stop(), 0);
    refused(&["enqueue", "says"]);
    fs::remove_file(disk.path("ballast")).expect("it is there");
    assert_eq!(disk.ask(&["runs", "says", "-n", "0", "--json"]).expect(0).out.lines().count(), 1);
    let supervisor = disk.start();
    let run = disk.enqueue("says");
    assert_eq!(disk.wait_ended(run)["state"], "succeeded");
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn on_a_disk_without_free_files_a_job_that_never_ran_still_starts_and_makes_room() {
    let Some(disk) = Disk::with("size=4m,nr_inodes=80") else {
        return;
    };
    let supervisor = disk.start();
    let spare = disk.spare_files();
    disk.house.wait_lines("cleaned", 1);
    disk.use_up_files();
    let run = disk.enqueue("removes");
    assert_eq!(disk.wait_ended(run)["state"], "succeeded");
    disk.wait_log("reserve_released");
    disk.wait_log("disk_has_room");
    assert_eq!(disk.spare_files(), spare);
    assert_eq!(supervisor.stop(), 0);
    disk.assert_sound();
}

#[test]
fn a_supervisor_that_starts_on_a_disk_without_free_files_starts_what_makes_room() {
    let Some(disk) = Disk::with("size=4m,nr_inodes=80") else {
        return;
    };
    let supervisor = disk.start();
    let run = disk.enqueue("says");
    disk.wait_ended(run);
    assert_eq!(supervisor.stop(), 0);
    let run = disk.enqueue("removes");
    disk.use_up_files();
    let supervisor = disk.start();
    assert_eq!(disk.wait_ended(run)["state"], "succeeded");
    disk.wait_log("disk_has_room");
    assert_eq!(supervisor.stop(), 0);
}
