//! The events of the log, each with its name and its priority.

use crate::core::words::{Word, words};
use crate::os::journal::Priority;

/// Defines the events from a table of priorities.
macro_rules! events {
    ($($priority:ident { $($event:ident $name:literal,)+ })+) => {
        words! {
            /// An event of the log; jobctl(1) describes each in "The log". The end of an attempt
            /// matters by what comes next for its run.
            LogEvent { $($($event $name,)+)+ }
        }

        impl LogEvent {
            /// How much it matters.
            pub(crate) const fn priority(self) -> Priority {
                match self { $($(Self::$event => Priority::$priority,)+)+ }
            }
        }
    };
}

events! {
    Error {
        StoreFailed "store_failed",
        StoreLostCommits "store_lost_commits",
        Ousted "ousted",
        StoreNotPutBack "store_not_put_back",
        StoreReplaced "store_replaced",
        DiskFull "disk_full",
        JobfileBad "jobfile_bad",
        ReserveNotReleased "reserve_not_released",
        EndFailed "end",
    }
    Warning {
        Late "late",
        Missed "missed",
        HookFailed "hook_failed",
        MailFailed "mail_failed",
        CannotStart "cannot_start",
        CannotTell "cannot_tell",
        CannotWatch "cannot_watch",
        NotStarted "not_started",
        OutputNotKept "output_not_kept",
        JobfileHeld "jobfile_held",
        WatchFailed "watch_failed",
        Paused "paused",
        ClockForward "clock_forward",
        ClockBack "clock_back",
        ClockUnseen "clock_unseen",
        NoCgroup "no_cgroup",
        NoReports "no_reports",
        FilesWait "files_wait",
        WalGrows "wal_grows",
        StorePutBack "store_put_back",
        LogDropped "log_dropped",
        MetricsFailed "metrics_failed",
        HeartbeatFailed "heartbeat_failed",
        NotifyFailed "notify_failed",
        CannotListen "cannot_listen",
        DoorFailed "door_failed",
        DoorEnded "door_ended",
        EndRetried "end",
    }
    Info {
        StoreMigrated "store_migrated",
        Ready "ready",
        Start "start",
        End "end",
        Adopt "adopt",
        Skipped "skipped",
        Reload "reload",
        HookWorks "hook_works",
        MailWorks "mail_works",
        MetricsWork "metrics_work",
        HeartbeatWorks "heartbeat_works",
        Cgroup "cgroup",
        Listening "listening",
        DiskHasRoom "disk_has_room",
        ReserveReleased "reserve_released",
        WalReset "wal_reset",
        KeeperKilled "keeper_killed",
        Leaving "leaving",
        Stopping "stopping",
    }
}

/// The names of all events of the log.
pub fn events() -> impl Iterator<Item = &'static str> {
    LogEvent::ALL.iter().map(|event| event.as_str())
}
