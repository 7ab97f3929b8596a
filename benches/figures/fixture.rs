//! A state directory with its jobfile and, while it lives, its supervisor.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rusqlite::{Connection, OpenFlags};

/// The binary under measurement.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_jobctl");

/// Nothing here takes longer; if it does, something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory of its own, removed at the end.
pub(crate) struct Place {
    dir: PathBuf,
}

impl Place {
    /// Makes one with a jobfile.
    pub(crate) fn new(name: &str, jobfile: &str) -> io::Result<Self> {
        // On a disk that others keep busy, what is measured is theirs: FIGURES_DIR=/dev/shm leaves
        // the disk out.
        let base = std::env::var_os("FIGURES_DIR").unwrap_or(env!("CARGO_TARGET_TMPDIR").into());
        let dir = Path::new(&base).join(format!("figures-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir)?;
        let place = Self { dir };
        place.write_jobfile(jobfile)?;
        Ok(place)
    }

    /// Gives it another jobfile.
    pub(crate) fn write_jobfile(&self, jobfile: &str) -> io::Result<()> {
        fs::write(self.dir.join("jobs.toml"), jobfile)
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.dir.join("state")
    }

    pub(crate) fn store_path(&self) -> PathBuf {
        self.state_dir().join("jobctl.db")
    }

    /// A command of the binary on this place.
    pub(crate) fn jobctl(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command
            .arg("--jobfile")
            .arg(self.dir.join("jobs.toml"))
            .arg("--state-dir")
            .arg(self.state_dir())
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }

    /// How long a command of the binary takes from its start to its end.
    pub(crate) fn time(&self, args: &[&str]) -> io::Result<Duration> {
        let begin = Instant::now();
        let output = self.jobctl(args).output()?;
        let took = begin.elapsed();
        if output.status.success() {
            return Ok(took);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(io::Error::other(format!("jobctl {args:?}: {}: {said}", output.status)))
    }

    /// Adds so many runs at once.
    pub(crate) fn enqueue(&self, job: &str, count: usize) -> io::Result<()> {
        let mut lines = String::new();
        for number in 0..count {
            let _ = writeln!(lines, "{number}");
        }
        let path = self.dir.join("lines");
        fs::write(&path, lines)?;
        let status = self
            .jobctl(&["-q", "enqueue", "--lines", job])
            .stdin(fs::File::open(path)?)
            .status()?;
        assert!(status.success(), "enqueue: {status}");
        Ok(())
    }

    /// The store as any reader opens it.
    pub(crate) fn store(&self) -> io::Result<Connection> {
        Connection::open_with_flags(self.store_path(), OpenFlags::SQLITE_OPEN_READ_ONLY)
            .map_err(io::Error::other)
    }

    /// One number of the store.
    pub(crate) fn number(&self, sql: &str) -> io::Result<i64> {
        self.store()?.query_row(sql, [], |row| row.get(0)).map_err(io::Error::other)
    }

    /// Waits until so many runs of jobs named `tick-...` have ended from now on.
    pub(crate) fn wait_for_ticks(&self, count: i64) -> io::Result<()> {
        let ticks = "FROM job WHERE name LIKE 'tick-%'";
        let wanted = self.number(&format!("SELECT sum(ended) {ticks}"))? + count;
        self.wait_for(&format!("SELECT sum(ended) >= {wanted} {ticks}"), 1)
    }

    /// Waits until the store answers `sql` with this number.
    pub(crate) fn wait_for(&self, sql: &str, number: i64) -> io::Result<()> {
        let store = self.store()?;
        let mut query = store.prepare(sql).map_err(io::Error::other)?;
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            let found: i64 = query.query_row([], |row| row.get(0)).map_err(io::Error::other)?;
            if found == number {
                return Ok(());
            }
            pause();
        }
        Err(io::Error::other(format!("`{sql}` is not {number}")))
    }

    /// Starts a supervisor and waits until it is ready.
    pub(crate) fn supervise(&self) -> io::Result<Supervisor> {
        self.supervise_until("event=ready", 1)
    }

    /// From the start of a supervisor to so many lines of its log with a text in them.
    pub(crate) fn time_until(&self, text: &str, count: usize) -> io::Result<Duration> {
        Ok(self.supervise_until(text, count)?.ready_after)
    }

    fn supervise_until(&self, text: &str, count: usize) -> io::Result<Supervisor> {
        let begin = Instant::now();
        let mut child = self.jobctl(&["run"]).stderr(Stdio::piped()).spawn()?;
        let log = child.stderr.take().expect("it is a pipe");
        let mut lines = BufReader::new(log);
        let (mut line, mut found) = (String::new(), 0);
        while found < count {
            line.clear();
            if lines.read_line(&mut line)? == 0 {
                return Err(io::Error::other(format!("the supervisor ended before {text}")));
            }
            found += usize::from(line.contains(text));
        }
        let ready_after = begin.elapsed();
        std::thread::spawn(move || io::copy(&mut lines, &mut io::sink()));
        Ok(Supervisor { child, ready_after })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Left behind, it is in the target directory.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A supervisor that is ended with this.
pub(crate) struct Supervisor {
    child: Child,
    /// From its start to its readiness.
    pub(crate) ready_after: Duration,
}

impl Supervisor {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        let pid = Pid::from_raw(self.child.id().cast_signed());
        let _ = kill(pid, Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

/// The middle one of several spans, in milliseconds.
pub(crate) fn median_ms(spans: &[Duration]) -> f64 {
    let ms: Vec<f64> = spans.iter().map(|span| span.as_secs_f64() * 1e3).collect();
    median(&ms)
}

/// The middle one of several numbers.
pub(crate) fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A jobfile with so many jobs and several hundred different schedules, of which none is due today.
pub(crate) fn many_jobs(count: usize, now_day: u32) -> String {
    let mut text = String::from("timezone = 'UTC'\nmax_running = 8\n");
    for number in 0..count {
        let (minute, hour) = (number % 60, number / 60 % 24);
        let day = (now_day + 10 + u32::try_from(number % 7).unwrap_or(0)) % 28 + 1;
        let _ = write!(
            text,
            "[jobs.job-{number:05}]\nschedule = '{minute} {hour} {day} * *'\ncommand = 'true --some-option {number}'\n"
        );
    }
    text
}

/// Between two looks at what is waited for.
pub(crate) fn pause() {
    std::thread::sleep(Duration::from_millis(20));
}
