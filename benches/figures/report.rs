//! The page of a real week: how long it takes, and how large it is.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::fixture::{BINARY, Place, median_ms};
use crate::{Bar, Figure};

/// Measures `report --html` of 200 jobs and 50,000 runs, which contrib/week makes.
pub(crate) fn report() -> io::Result<Vec<Figure>> {
    const ROUNDS: usize = 11;
    let place = Place::new("report", "")?;
    let week = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/week");
    let made = Command::new(week).arg(place.dir()).arg(BINARY).stdout(Stdio::null()).status()?;
    assert!(made.success(), "contrib/week: {made}");
    let runs = place.number("SELECT count(*) FROM run")?;
    let page = place.dir().join("report.html");
    let file = page.display().to_string();
    let spans = (0..ROUNDS)
        .map(|_| place.time(&["report", "--html", &file]))
        .collect::<io::Result<Vec<_>>>()?;
    let remark = format!("200 jobs, {runs} runs");
    Ok(vec![
        Figure {
            name: "a week: `report --html`, whole process".into(),
            measured: median_ms(&spans),
            bar: Bar::AtMost(300.0),
            unit: "ms",
            remark: remark.clone(),
        },
        Figure {
            name: "a week: the page".into(),
            measured: fs::metadata(&page)?.len() as f64 / 1e6,
            bar: Bar::AtMost(1.0),
            unit: "MB",
            remark,
        },
    ])
}
