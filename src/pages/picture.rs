//! The geometry of pictures, in the units of their templates.

use std::fmt::Write;

use chrono::{Datelike, NaiveDate};

use super::axis::{self, Tick};
use super::parts::Path;
use crate::core::noun::count;
use crate::core::run::State;
use crate::core::time::Wall;
use crate::facts::report::{Day, Durations, Kind, Queue, Row, Span, Timeline};
use crate::store::RecentRun;
use crate::wording::when::{Viewer, span};

/// The height of the drawing in a plot, and its top.
const PLOT_HEIGHT: i64 = 120;
const PLOT_TOP: i64 = 8;

/// The position of the labels of its time axis.
const PLOT_TIMES: i64 = 146;

/// Weeks of a year, and the distance of its cells.
const WEEKS: i64 = 53;
const CELL: i64 = 11;

/// Minutes in a day, the unit of the time line, and the minimum visible length.
const DAY_MIN: i64 = 1440;
const SEEN_MIN: i64 = 5;

/// The results of the last runs.
#[derive(Debug)]
pub(super) struct Strip {
    pub(super) title: String,
    pub(super) width: usize,
    pub(super) paths: Vec<Path>,
}

/// A picture with axes.
#[derive(Debug)]
pub(super) struct Plot {
    pub(super) title: String,
    pub(super) paths: Vec<Path>,
    /// Values, from above.
    pub(super) labels: Vec<Label>,
    /// The time axis that it stands on.
    pub(super) axis: &'static str,
}

/// The label of a value.
#[derive(Debug)]
pub(super) struct Label {
    pub(super) y: i64,
    pub(super) text: String,
}

/// The days of a year.
#[derive(Debug)]
pub(super) struct Year {
    pub(super) title: String,
    pub(super) caption: String,
    pub(super) paths: Vec<Path>,
}

/// Adds to a line; a string takes everything.
macro_rules! draw {
    ($line:expr, $($what:tt)+) => {
        write!($line, $($what)+).expect("writing into a string cannot fail")
    };
}

/// A bar for each of the last runs, oldest first.
pub(super) fn strip(recent: &[RecentRun]) -> Strip {
    let [mut good, mut again, mut bad, mut rest] = [const { String::new() }; 4];
    let mut succeeded = 0;
    for (nth, run) in recent.iter().rev().enumerate() {
        let x = 4 + nth * 8;
        match run.state {
            State::Succeeded if run.attempt > 1 => draw!(again, "M{x} 16v-4m0-2v-4"),
            State::Succeeded => draw!(good, "M{x} 16v-9"),
            State::Failed => draw!(bad, "M{x} 16v-16"),
            State::Skipped
            | State::Cancelled
            | State::Scheduled
            | State::Queued
            | State::Running
            | State::Retrying => draw!(rest, "M{x} 16v-4"),
        }
        succeeded += usize::from(run.state == State::Succeeded);
    }
    let failed = recent.iter().filter(|run| run.state == State::Failed).count();
    Strip {
        title: format!(
            "Last {}, oldest first: {succeeded} succeeded, {failed} failed",
            count(recent.len() as u64, "run")
        ),
        width: recent.len() * 8,
        paths: Path::all([("o", good), ("r", again), ("f", bad), ("s", rest)]),
    }
}

/// Draws the durations of runs; `None` if none was executed.
pub(super) fn durations(durations: &Durations, (from, to): (Wall, Wall)) -> Option<Plot> {
    if durations.points.is_empty() {
        return None;
    }
    let lines = axis::spans(durations.longest_ms);
    let top = lines.last().copied().unwrap_or(1);
    let height = |ms: i64| 100 - ms.saturating_mul(100) / top;
    let [mut grid, mut usual, mut wide, mut odd, mut bad, mut stems] = [const { String::new() }; 6];
    for point in &durations.points {
        let (x, y) = (axis::share(point.at, (from, to)), height(point.mid_ms));
        match point.kind {
            Kind::Usual => {
                draw!(usual, "M{x} {y}h0");
                if height(point.low_ms) > height(point.high_ms) {
                    draw!(wide, "M{x} {}V{}", height(point.low_ms), height(point.high_ms));
                }
            }
            Kind::Outlier => draw!(odd, "M{x} {}h0", height(point.high_ms)),
            Kind::Failed => {
                // Printed, a square without length would not be there.
                draw!(bad, "M{x} {y}h.1");
                draw!(stems, "M{x} {y}V100");
            }
        }
    }
    let mut labels = Vec::new();
    for line in lines.iter().copied() {
        draw!(grid, "M0 {}H1000", height(line));
        labels.push(Label::at(height(line), span(line)));
    }
    grid.push_str("M0 100H1000");
    let usually = durations.usual_ms.map(height);
    let usually = usually.map(|y| format!("M0 {y}H1000")).unwrap_or_default();
    let inner = odd.clone();
    Some(Plot {
        title: "Durations over time".to_owned(),
        paths: Path::all([
            ("g", grid),
            ("m", usually),
            ("w", wide),
            ("u", usual),
            ("x", odd),
            ("xi", inner),
            ("ft", stems),
            ("f", bad),
        ]),
        labels,
        axis: "times",
    })
}

/// Describes the picture in words.
pub(super) fn about(durations: &Durations) -> String {
    let of = |kind| {
        let of_kind = durations.points.iter().filter(|point| point.kind == kind);
        of_kind.map(|point| point.count).sum::<usize>()
    };
    let usually = durations.usual_ms.map(|ms| format!("usually {} (dashed)", span(ms)));
    let longest = format!("longest {}", span(durations.longest_ms));
    let odd = (of(Kind::Outlier) > 0)
        .then(|| format!("{} far longer than usual (ring)", of(Kind::Outlier)));
    let failed =
        (of(Kind::Failed) > 0).then(|| format!("{} not successful (square)", of(Kind::Failed)));
    let parts = [usually, Some(longest), odd, failed];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

impl Label {
    /// Above the line at a height of the drawing.
    fn at(height: i64, text: String) -> Self {
        Self { y: PLOT_TOP + height * PLOT_HEIGHT / 100 - 3, text }
    }
}

/// The labels of the time axis of plots.
pub(super) fn times(span: (Wall, Wall), viewer: &Viewer) -> Vec<Tick> {
    axis::times(span, PLOT_TIMES, viewer)
}

/// Draws how many runs waited and ended; `None` if none waited.
pub(super) fn depth(queue: &Queue) -> Option<Plot> {
    let most = queue.depth.iter().chain(&queue.ended).copied().max().unwrap_or(0);
    if queue.depth.iter().all(|depth| *depth == 0) {
        return None;
    }
    let lines = axis::counts(most);
    let top = lines.last().copied().unwrap_or(1);
    let height = |number: i64| 100 - number.saturating_mul(100) / top;
    let step = |nth: usize| (nth + 1) * 1000 / queue.depth.len();
    let [mut grid, mut line, mut ended] = [const { String::new() }; 3];
    for (nth, number) in queue.ended.iter().enumerate().filter(|(_, number)| **number > 0) {
        draw!(ended, "M{} 100V{}", step(nth) - 5, height(*number));
    }
    for (nth, number) in queue.depth.iter().enumerate() {
        let command = if nth == 0 { 'M' } else { 'L' };
        draw!(line, "{command}{} {}", step(nth), height(*number));
    }
    let area = format!("{line}V100H{}z", step(0));
    let mut labels = Vec::new();
    for value in lines {
        draw!(grid, "M0 {}H1000", height(value));
        labels.push(Label::at(height(value), value.to_string()));
    }
    grid.push_str("M0 100H1000");
    Some(Plot {
        title: format!("Depth of the queue over the last 24 hours: {}", deepest(queue)),
        paths: Path::all([("g", grid), ("e", ended), ("da", area), ("d", line)]),
        labels,
        axis: "hours",
    })
}

/// The depth in words.
pub(super) fn deepest(queue: &Queue) -> String {
    let now = queue.depth.last().copied().unwrap_or(0);
    let most = queue.depth.iter().copied().max().unwrap_or(0);
    format!("{most} at the most, {now} now, counted every 15 minutes")
}

/// The last Monday of a calendar's weeks, and where a day is in it: its column and row.
fn cell(date: NaiveDate, today: NaiveDate) -> Option<(i64, i64)> {
    let row = i64::from(date.weekday().num_days_from_monday());
    let monday = |date: NaiveDate| {
        i64::from(date.num_days_from_ce()) - i64::from(date.weekday().num_days_from_monday())
    };
    let column = WEEKS - 1 - (monday(today) - monday(date)) / 7;
    (0..WEEKS).contains(&column).then_some((column, row))
}

/// The cells of all days up to today.
pub(super) fn year_cells(today: NaiveDate) -> String {
    let mut cells = String::new();
    for column in 0..WEEKS {
        let days = match column == WEEKS - 1 {
            true => i64::from(today.weekday().num_days_from_monday()) + 1,
            false => 7,
        };
        draw!(cells, "M{} 1v{}", column * CELL + 5, days * CELL - 2);
    }
    cells
}

/// Labels for the months of a year that ends today.
pub(super) fn months(today: NaiveDate) -> Vec<Tick> {
    let firsts = (0..12).filter_map(|back| {
        let month = today.with_day(1)?.checked_sub_months(chrono::Months::new(back))?;
        Some((month, cell(month, today)?.0))
    });
    let tick = |(month, column): (NaiveDate, i64)| Tick {
        x: axis::percent(column * 1000 / WEEKS),
        y: 11,
        class: "",
        text: month.format("%b").to_string(),
    };
    // A text begins at its month's first column and needs some of them.
    firsts.filter(|(_, column)| *column < WEEKS - 2).map(tick).collect()
}

/// Draws a year of days; `None` if no run ended.
pub(super) fn year(days: &[Day], today: NaiveDate) -> Option<Year> {
    let [mut good, mut partly, mut bad] = [const { String::new() }; 3];
    let (mut wrong, mut well) = (0_u64, 0_u64);
    let mut stretch: Option<(i64, i64, i64)> = None;
    for day in days {
        let Some((column, row)) = cell(day.date, today) else {
            continue;
        };
        let (x, y) = (column * CELL, row * CELL + 1);
        if day.failed > 0 && day.succeeded == 0 {
            draw!(bad, "M{} {}h0", x + 5, y + 4);
        } else {
            // Cells below each other are one dashed line.
            stretch = match stretch {
                Some((at, first, last)) if at == column && last + 1 == row => {
                    Some((at, first, row))
                }
                other => {
                    draw_stretch(&mut good, other);
                    Some((column, row, row))
                }
            };
        }
        if day.failed > 0 && day.succeeded > 0 {
            draw!(partly, "M{} {y}h9v9z", x + 1);
        }
        match day.failed > 0 {
            true => wrong += 1,
            false => well += 1,
        }
    }
    draw_stretch(&mut good, stretch);
    let caption = match wrong {
        0 => format!("{}, each without a failure", count(well, "day")),
        _ => format!(
            "{} without a failure, {wrong} with one (corner; dot: all failed)",
            count(well, "day")
        ),
    };
    (wrong + well > 0).then(|| Year {
        title: format!("Success by day over the last year: {caption}"),
        caption,
        paths: Path::all([("o", good), ("p", partly), ("f", bad)]),
    })
}

fn draw_stretch(line: &mut String, stretch: Option<(i64, i64, i64)>) {
    if let Some((column, first, last)) = stretch {
        let (x, y) = (column * CELL + 5, first * CELL + 1);
        draw!(line, "M{x} {y}v{}", (last - first + 1) * CELL - 2);
    }
}

/// A row of the time line.
pub(super) fn row(row: &Row, line: &Timeline) -> Vec<Path> {
    let [mut good, mut bad, mut rest, mut running, mut next] = [const { String::new() }; 5];
    for span in &row.past {
        let (from, to) = (minute(span.from, line), minute(span.to, line));
        let to = to.max(from + SEEN_MIN).min(DAY_MIN.max(to));
        let from = from.min(to - SEEN_MIN);
        let line = match span.state {
            State::Succeeded => &mut good,
            State::Failed => &mut bad,
            State::Running => &mut running,
            State::Scheduled
            | State::Queued
            | State::Retrying
            | State::Skipped
            | State::Cancelled => &mut rest,
        };
        draw!(line, "M{from} 5H{to}");
    }
    for span in &row.coming {
        let (from, to) = (minute(span.from, line), minute(span.to, line));
        match to > from + 2 * SEEN_MIN {
            true => draw!(next, "M{from} 5H{to}"),
            false => draw!(next, "M{from} 2v6"),
        }
    }
    Path::all([("o", good), ("s", rest), ("r", running), ("f", bad), ("n", next)])
}

/// Describes a row of the time line in words.
pub(super) fn row_title(row: &Row, viewer: &Viewer) -> String {
    let of = |state| {
        let spans = row.past.iter().filter(|span| span.state == state);
        let sum = spans.map(|span| span.count).sum::<i64>();
        (sum > 0).then(|| format!("{sum} {state}"))
    };
    let states =
        [State::Succeeded, State::Failed, State::Skipped, State::Cancelled, State::Running];
    let due = |span: &Span| format!("due {}", super::parts::Moment::of(span.from, viewer).text);
    let past = states.into_iter().filter_map(of);
    past.chain(row.coming.first().map(due)).collect::<Vec<_>>().join(", ")
}

/// The times in which nothing was started.
pub(super) fn gaps(line: &Timeline) -> String {
    let mut gaps = String::new();
    for gap in &line.gaps {
        let (from, to) = (minute(gap.from, line), minute(gap.to, line));
        draw!(gaps, "M{from} -1H{}V11H{from}z", to.max(from + SEEN_MIN));
    }
    gaps
}

/// Where the labels of the time line stand, as lines.
pub(super) fn grid(line: &Timeline, viewer: &Viewer) -> String {
    let mut grid = String::new();
    for (_, at) in axis::instants((line.from, line.to), viewer) {
        draw!(grid, "M{} -1V11", minute(at, line));
    }
    grid
}

fn minute(at: Wall, line: &Timeline) -> i64 {
    (at.ms() - line.from.ms()).div_euclid(60_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(paths: &[Path]) -> Vec<(&str, &str)> {
        paths.iter().map(|path| (path.class, &*path.d)).collect()
    }

    #[test]
    fn results_differ_in_shape_and_stand_oldest_first() {
        let run = |id, state, attempt| RecentRun { id, state, attempt, duration_ms: None };
        let strip = strip(&[
            run(4, State::Cancelled, 0),
            run(3, State::Failed, 1),
            run(2, State::Succeeded, 2),
            run(1, State::Succeeded, 1),
        ]);
        let expected =
            [("o", "M4 16v-9"), ("r", "M12 16v-4m0-2v-4"), ("f", "M20 16v-16"), ("s", "M28 16v-4")];
        assert_eq!(drawn(&strip.paths), expected);
        assert_eq!(strip.title, "Last 4 runs, oldest first: 2 succeeded, 1 failed");
    }

    #[test]
    fn a_calendar_ends_with_this_week_and_marks_days_by_shape() {
        let date = |month, day| NaiveDate::from_ymd_opt(2026, month, day).unwrap();
        // A Tuesday.
        let today = date(12, 1);
        assert_eq!(cell(today, today), Some((52, 1)));
        assert_eq!(cell(date(11, 30), today), Some((52, 0)));
        assert_eq!(cell(date(11, 29), today), Some((51, 6)));
        assert_eq!(cell(NaiveDate::from_ymd_opt(2025, 11, 30).unwrap(), today), None);
        let day = |date, succeeded, failed| Day { date, succeeded, failed };
        let days = [
            day(date(11, 26), 3, 0),
            day(date(11, 27), 3, 0),
            day(date(11, 28), 0, 1),
            day(date(11, 30), 1, 1),
        ];
        let year = year(&days, today).unwrap();
        let expected = [("o", "M566 34v20M577 1v9"), ("p", "M573 1h9v9z"), ("f", "M566 60h0")];
        assert_eq!(drawn(&year.paths), expected);
        assert!(super::year(&[], today).is_none());
    }

    #[test]
    fn a_short_run_is_seen_on_the_time_line() {
        let at = |minutes: i64| Wall::from_secs(minutes * 60);
        let line = Timeline { from: at(0), to: at(2880), rows: Vec::new(), gaps: Vec::new() };
        let span = |from, to, state| Span { from: at(from), to: at(to), state, count: 1 };
        let of = |past, coming| row(&Row { job: "a".into(), past, coming }, &line);
        let past = vec![span(60, 60, State::Succeeded), span(1440, 1440, State::Failed)];
        let coming = vec![span(1500, 1500, State::Scheduled), span(1600, 1700, State::Scheduled)];
        let expected = [("o", "M60 5H65"), ("f", "M1435 5H1440"), ("n", "M1500 2v6M1600 5H1700")];
        assert_eq!(drawn(&of(past, coming)), expected);
    }
}
