//! What the supervisor is told by its jobfile and its command line, and may be told anew.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use super::door::Charge;
use crate::core::job::{HeartbeatTarget, LogFormat, OnStop};

/// The mode of a supervisor: does it start what it plans?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It does.
    Live,
    /// It puts each occurrence down as `skipped (shadow)` and starts nothing; what waits is left
    /// alone.
    Shadow,
}

/// The options of a supervisor at its start.
#[derive(Clone, Debug)]
pub(crate) struct Configuration {
    /// Attempts at once over all jobs.
    pub(crate) running_max: usize,
    /// Whether anything is started.
    pub(crate) mode: Mode,
    /// What a stop does.
    pub(crate) on_stop: OnStop,
    /// How long a stop may take.
    pub(crate) stop_timeout: Duration,
    /// Seed of `jitter`: `hash_seed` of the jobfile, else the machine id.
    pub(crate) seed: String,
    /// Bytes of output that are kept in all.
    pub(crate) output_total_max: i64,
    /// The state directory.
    pub(crate) state_dir: PathBuf,
    /// The boot of the machine.
    pub(crate) boot_id: String,
    /// The form of the log; none: what suits its reader.
    pub(crate) log_format: Option<LogFormat>,
    /// Where metrics are written.
    pub(crate) metrics_file: Option<PathBuf>,
    /// What says that the supervisor lives, and how often.
    pub(crate) heartbeat: Option<(HeartbeatTarget, Duration)>,
    /// What the door is told; none: there is none.
    pub(crate) door: Option<Rc<Charge>>,
}
