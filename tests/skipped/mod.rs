//! A test that cannot run here is skipped, counted and seen: on standard error past the capture of
//! the test runner, in the file that `JOBCTL_SKIPS` names, and as a failure where `JOBCTL_REQUIRE`
//! names what is missing.
//!
//! Every test program has this file as a module, and so have the unit tests in src.

use std::fs::OpenOptions;
use std::io::Write;

/// What a test needs and a machine may lack; the names stand in `JOBCTL_REQUIRE`, separated by
/// commas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// `setfattr`, and a file system with access control lists.
    Acl,
    /// The build that breaks a promise on purpose, named by `JOBCTL_SWEEP_BINARY`.
    BrokenBuild,
    /// A tree of control groups (v2) in which groups can be made.
    Cgroup,
    /// The `crontab` of Debian, which only checks with `-n`.
    Cron,
    /// `curl`.
    Curl,
    /// libfaketime.
    Faketime,
    /// /dev/fuse, and root that may mount it.
    Fuse,
    /// `git`.
    Git,
    /// A kernel with keyrings.
    Keyring,
    /// A loop device with an ext4 image that can be mounted.
    Loop,
    /// `mandoc`.
    Mandoc,
    /// The memory controller of control groups.
    Memory,
    /// A mount namespace in which root mounts something.
    Mount,
    /// A machine without any `crontab`.
    NoCron,
    /// A machine without `sendmail`.
    NoSendmail,
    /// A user who is not root.
    NotRoot,
    /// `promtool`.
    Promtool,
    /// Root.
    Root,
    /// `script` of util-linux.
    Script,
    /// Programs that make root of a user, which `nosuid` and `no_new_privs` forbid.
    Setuid,
    /// A kernel whose inotify forgets within 50,000 events.
    SmallInotify,
    /// `strace`.
    Strace,
    /// `systemd-analyze`.
    Systemd,
    /// `tmux`.
    Tmux,
    /// A process in no control group that was delegated to it.
    Undelegated,
    /// A user and mount namespace of an ordinary user.
    Userns,
    /// The list of all time zones, zone1970.tab.
    Zones,
}

const NEEDS: [(&str, Need); 27] = [
    ("acl", Need::Acl),
    ("broken-build", Need::BrokenBuild),
    ("cgroup", Need::Cgroup),
    ("cron", Need::Cron),
    ("curl", Need::Curl),
    ("faketime", Need::Faketime),
    ("fuse", Need::Fuse),
    ("git", Need::Git),
    ("keyring", Need::Keyring),
    ("loop", Need::Loop),
    ("mandoc", Need::Mandoc),
    ("memory", Need::Memory),
    ("mount", Need::Mount),
    ("no-cron", Need::NoCron),
    ("no-sendmail", Need::NoSendmail),
    ("not-root", Need::NotRoot),
    ("promtool", Need::Promtool),
    ("root", Need::Root),
    ("script", Need::Script),
    ("setuid", Need::Setuid),
    ("small-inotify", Need::SmallInotify),
    ("strace", Need::Strace),
    ("systemd", Need::Systemd),
    ("tmux", Need::Tmux),
    ("undelegated", Need::Undelegated),
    ("userns", Need::Userns),
    ("zones", Need::Zones),
];

impl Need {
    fn name(self) -> &'static str {
        let found = NEEDS.iter().find(|(_, need)| *need == self);
        found.map(|(name, _)| *name).expect("each need has a name")
    }
}

/// Skips a test, or a part of it, for want of something. Panics if that is required.
#[track_caller]
pub(crate) fn skipped(need: Need, why: &str) {
    let required = std::env::var("JOBCTL_REQUIRE").unwrap_or_default();
    if let Err(error) = may_skip(need, &required) {
        panic!("{error}: {why}");
    }
    let program = std::env::current_exe().unwrap_or_default();
    let program = program.file_stem().unwrap_or_default().to_string_lossy();
    // Cargo puts a hash behind the name.
    let program = program.rsplit_once('-').map_or(&*program, |(name, _)| name);
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a thread of a test");
    let line = format!("{}\t{program}\t{test}\t{why}\n", need.name());
    let said = format!("skipped for want of {line}").replace('\t', ": ");
    // Not `eprintln!`, which the test runner captures. A closed stream changes nothing about the
    // test.
    let _ = std::io::stderr().write_all(said.as_bytes());
    if let Some(path) = std::env::var_os("JOBCTL_SKIPS") {
        let file = OpenOptions::new().create(true).append(true).open(&path);
        file.and_then(|mut file| file.write_all(line.as_bytes()))
            .unwrap_or_else(|error| panic!("JOBCTL_SKIPS={}: {error}", path.display()));
    }
}

/// Whether a need may be missing, by the words of `JOBCTL_REQUIRE`.
fn may_skip(need: Need, required: &str) -> Result<(), String> {
    for word in required.split(',').map(str::trim) {
        if word == need.name() {
            return Err(format!("JOBCTL_REQUIRE names `{word}`, which is missing"));
        }
        if !word.is_empty() && !NEEDS.iter().any(|(name, _)| *name == word) {
            return Err(format!("JOBCTL_REQUIRE names `{word}`, which no test needs"));
        }
    }
    Ok(())
}
