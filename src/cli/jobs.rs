//! The arguments of verbs about the jobfile.

use std::ffi::OsString;

use clap::{Args, ValueEnum};

/// `jobctl run`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  jobctl run\n  jobctl --jobfile ./jobs.toml --state-dir ./state run\n  jobctl run --shadow\n\nTERM or INT stops it, a second one at once; HUP makes it reload the jobfile"
)]
pub(crate) struct Run {
    /// When stopped: wait for running attempts (finish) or leave them to the next supervisor (detach)
    ///
    /// Without it, `on_stop` of the jobfile says which.
    #[arg(long, value_enum, value_name = "finish|detach", hide_possible_values = true)]
    pub(crate) on_stop: Option<OnStop>,
    /// Start nothing and record what would have run, to compare with cron
    #[arg(long)]
    pub(crate) shadow: bool,
    /// Wait for the other supervisor to end, then take over
    #[arg(long)]
    pub(crate) standby: bool,
    /// Format of the log: text or json (an object per line)
    ///
    /// Without it, `log_format` of the jobfile says which; without that, events go to journald with
    /// fields where it reads standard error.
    #[arg(long, value_enum, value_name = "text|json", hide_possible_values = true)]
    pub(crate) log_format: Option<LogFormat>,
    /// What people type who mean `enqueue`; refused with a hint.
    #[arg(hide = true, value_name = "NAME", num_args = 0.., trailing_var_arg = true)]
    pub(crate) names: Vec<OsString>,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// `key=value`
    Text,
    /// JSON
    Json,
}

/// What `run` does with running attempts when it is told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnStop {
    /// Give them time to end, then stop them
    Finish,
    /// Leave at once; the next supervisor adopts them
    Detach,
}
