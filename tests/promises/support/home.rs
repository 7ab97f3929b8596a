//! A house with a door.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::http::{Reply, request, send};
use super::{House, Supervisor, processes, stat_field, wait_for};

/// The SHA-256 of `secret`.
pub(crate) const SHA256_OF_SECRET: &str =
    "sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

pub(crate) const BEARER: &str = "Authorization: Bearer secret";
pub(crate) const JSON: &str = "Content-Type: application/json";
pub(crate) const NDJSON: &str = "Content-Type: application/x-ndjson";

/// A house with a door, and a supervisor in it.
pub(crate) struct Home {
    pub(crate) house: House,
    pub(crate) supervisor: Supervisor,
}

impl Home {
    pub(crate) fn new(jobs: &str) -> Self {
        Self::with("", jobs)
    }

    pub(crate) fn with(door: &str, jobs: &str) -> Self {
        let house = House::new(&jobfile(door, jobs));
        let supervisor = house.start();
        house.wait_text("log", "event=listening");
        Self { house, supervisor }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.house.path("d.sock")
    }

    #[track_caller]
    pub(crate) fn ask(&self, first: &str, headers: &[&str], body: &str) -> Reply {
        send(&self.socket(), &request(first, headers, body))
    }

    #[track_caller]
    pub(crate) fn add(&self, job: &str, item: &Value) -> Reply {
        self.ask(&format!("POST /v1/jobs/{job}/runs"), &[JSON], &item.to_string())
    }

    /// The process of the door.
    pub(crate) fn door(&self) -> i32 {
        let parent = self.supervisor.pid().to_string();
        let is_door = |pid: &i32| {
            stat_field(*pid, 1).is_some_and(|of| of == parent)
                && fs::read(format!("/proc/{pid}/cmdline"))
                    .is_ok_and(|line| line.ends_with(b"\0door\0"))
        };
        wait_for("the door", || processes().into_iter().find(is_door))
    }
}

/// A jobfile with a door, and the token `secret`.
pub(crate) fn jobfile(door: &str, jobs: &str) -> String {
    format!(
        "[door]\nlisten = ['unix:@T@/d.sock']\n{door}\n\
         [door.tokens]\nshop = '{SHA256_OF_SECRET}'\n{jobs}"
    )
}
