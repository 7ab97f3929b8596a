//! What years without a supervisor cost the next one.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use rusqlite::Connection;

use super::fixture::{Place, median_ms};
use super::{Bar, Figure};

const JOBS: usize = 100;
const FIVE_YEARS_MS: i64 = 5 * 365 * 86_400_000;

/// Minutely jobs after five years of downtime: until what was missed is recorded, above a start
/// without.
pub(crate) fn missed() -> io::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for jobs in [1, JOBS] {
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for _ in 0..9 {
            let place = Place::new("missed", &minutely(jobs))?;
            drop(place.supervise()?);
            without.push(place.supervise()?.ready_after);
            move_back(&place).map_err(io::Error::other)?;
            with.push(place.time_until("event=missed", jobs)?);
        }
        let (without, with) = (median_ms(&without), median_ms(&with));
        figures.push(Figure {
            name: format!("{jobs} minutely jobs, 5 years missed"),
            measured: with - without,
            bar: if jobs == 1 { Bar::AtMost(50.0) } else { Bar::None },
            unit: "ms",
            remark: format!(
                "start to recorded {with:.1} ms, start to ready without {without:.1} ms"
            ),
        });
    }
    Ok(figures)
}

fn minutely(jobs: usize) -> String {
    let mut text = String::from("timezone = 'Europe/Berlin'\n");
    for number in 0..jobs {
        let _ = write!(text, "[jobs.job-{number}]\nschedule = '* * * * *'\ncommand = 'true'\n");
    }
    text
}

/// As if nobody had been there for five years.
fn move_back(place: &Place) -> rusqlite::Result<()> {
    let store = Connection::open(place.store_path())?;
    store.busy_timeout(Duration::from_secs(10))?;
    store.execute("UPDATE job SET watermark = watermark - ?1", [FIVE_YEARS_MS]).map(|_| ())
}
