//! What holds for every page: nothing in it does anything, and nothing in it leads elsewhere.

use std::path::Path;
use std::time::Duration;

use crate::core::run::{Reason, State};
use crate::core::time::Wall;
use crate::facts::failures::Alike;
use crate::facts::jobs::tests::jobs;
use crate::facts::overview::{Overview, Sources};
use crate::facts::report::{Asked, Day, Kind, Point, Report, Row, Span};
use crate::facts::run::tests::sample_run;
use crate::facts::status::Why;
use crate::facts::status::tests::row;
use crate::pages::{Frame, report};
use crate::store::{Downtime, JobRow, RecentRun, RunRow};
use crate::wording::when::tests::viewer;

/// Text that means harm wherever it is shown.
const HARM: &str = "</title></svg><script src=//x>1</script>' onload=\"x\" style='y' & \x1b]8;;http://x\x07a\x1b[31m\u{202e}\0";

const JOBS: &str = "[jobs.bad]\nschedule = '30 2 * * *'\ntimezone = 'Asia/Tokyo'\n\
    description = \"</h3><img src=x> & 'y'\"\ncommand = 'echo \"<b>\" && exit 1'\n\
    retry = { max = 2, delay = '1m' }\n[jobs.quiet]\ncommand = 'true'\n";

/// Attributes that pages have. None of them does anything, and one leads somewhere.
const ATTRIBUTES: [&str; 22] = [
    "aria-hidden",
    "aria-label",
    "aria-labelledby",
    "charset",
    "class",
    "content",
    "d",
    "datetime",
    "focusable",
    "height",
    "href",
    "id",
    "lang",
    "name",
    "preserveAspectRatio",
    "role",
    "scope",
    "tabindex",
    "viewBox",
    "width",
    "x",
    "y",
];

/// A page with something in each of its parts, and harm in each text.
fn page() -> String {
    let viewer = viewer();
    let now = viewer.now;
    let jobs = jobs(JOBS);
    let rows = vec![
        JobRow { failed: 2, queued: 3, last_success_at: Some(now - DAY), ..row("bad") },
        JobRow { id: 2, ..row("quiet") },
    ];
    let mut overview = Overview::default();
    overview.rows = rows;
    let from = Sources {
        overview: &overview,
        jobs: &jobs,
        store: None,
        state_dir: Path::new("/nowhere"),
        now,
    };
    let asked = Asked { jobs: &[], since: now - DAY * 7, zone: &viewer.zone };
    let mut facts = Report::gather(&from, &asked).unwrap();
    fill(&mut facts, now);
    let only = vec![HARM.to_owned()];
    report(&facts, &Frame { host: HARM, only: &only, viewer: &viewer }).unwrap()
}

const DAY: Duration = Duration::from_secs(86_400);

/// What a store would have said.
fn fill(facts: &mut Report<'_>, now: Wall) {
    let failed = RunRow {
        state: State::Failed,
        reason: Some(Reason::Exit),
        exit_code: Some(1),
        job: "bad".to_owned(),
        args: vec![HARM.as_bytes().to_vec()],
        ..sample_run()
    };
    facts.failed.count = 2;
    let last_line = Some(HARM.to_owned());
    facts.failed.runs =
        vec![Alike { newest: failed.clone(), count: 2, has_older: false, last_line }];
    let waits = RunRow { state: State::Queued, id: 413, ..failed.clone() };
    facts.queue.waiting.count = 1;
    facts.queue.waiting.runs = vec![(waits, Why::Paused)];
    facts.queue.depth[90] = 7;
    let recent = |id, state, attempt| RecentRun { id, state, attempt, duration_ms: Some(90) };
    let job = &mut facts.jobs[0];
    job.status.recent = vec![
        recent(4, State::Failed, 1),
        recent(3, State::Skipped, 0),
        recent(2, State::Succeeded, 2),
        recent(1, State::Succeeded, 1),
    ];
    job.closely.newest = vec![failed];
    let point = |kind, ms| Point {
        at: now - DAY,
        kind,
        count: 2,
        low_ms: ms / 2,
        mid_ms: ms,
        high_ms: ms * 2,
    };
    job.durations.points =
        vec![point(Kind::Usual, 100), point(Kind::Outlier, 4_000), point(Kind::Failed, 7)];
    job.durations.longest_ms = 8_000;
    job.durations.usual_ms = Some(100);
    let day = |day, succeeded, failed| Day {
        date: chrono::NaiveDate::from_ymd_opt(2026, 7, day).unwrap(),
        succeeded,
        failed,
    };
    job.calendar = vec![day(1, 4, 0), day(2, 3, 0), day(3, 2, 1), day(4, 0, 9)];
    let span = |state| Span { from: now - DAY / 2, to: now, state, count: 3 };
    facts.timeline.rows = vec![Row {
        job: "bad".to_owned(),
        past: vec![span(State::Succeeded), span(State::Failed), span(State::Running)],
        coming: vec![Span { from: now, to: now, state: State::Scheduled, count: 1 }],
    }];
    facts.timeline.gaps = vec![Downtime { from: now - DAY / 2, to: now, is_stopping: false }];
}

/// The tags of a page, without its style sheet.
fn tags(page: &str) -> Vec<&str> {
    let (before, rest) = page.split_once("<style>").unwrap();
    let (_, after) = rest.split_once("</style>").unwrap();
    let parts = before.split('<').chain(after.split('<'));
    parts.skip(1).filter_map(|part| Some(part.split_once('>')?.0)).collect()
}

/// The names and values of a tag's attributes.
fn attributes(tag: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = tag;
    while let Some((before, after)) = rest.split_once("=\"") {
        let name = before.rsplit([' ', '"']).next().unwrap_or_default();
        let (value, more) = after.split_once('"').unwrap_or((after, ""));
        found.push((name, value));
        rest = more;
    }
    found
}

/// References of a page that lead nowhere in it.
fn dangling(page: &str) -> Vec<&str> {
    let all = tags(page).into_iter().flat_map(attributes);
    let targets = all.filter(|(name, _)| *name == "href").map(|(_, target)| &target[1..]);
    targets.filter(|target| !page.contains(&format!("id=\"{target}\""))).collect()
}

#[test]
fn a_page_has_no_script_no_style_attribute_and_no_reference_to_elsewhere() {
    let page = page();
    for tag in tags(&page) {
        let name = tag.split([' ', '/']).next().unwrap_or_default();
        assert!(!["script", "img", "iframe", "link", "object", "embed"].contains(&name), "<{tag}>");
        for (name, value) in attributes(tag) {
            assert!(!name.is_empty() && ATTRIBUTES.contains(&name), "{name} in <{tag}>");
            assert!(name != "href" || value.starts_with('#'), "<{tag}>");
        }
    }
    let (_, css) = page.split_once("<style>").unwrap();
    let (css, _) = css.split_once("</style>").unwrap();
    assert!(!css.contains("url(") && !css.contains("@import"), "the style sheet leads elsewhere");
    assert_eq!(dangling(&page), [""; 0]);
}

#[test]
fn text_from_elsewhere_is_shown_and_does_nothing() {
    let page = page();
    let control = |c: char| c.is_control() && c != '\n';
    assert!(!page.contains(control) && !page.contains('\u{202e}'), "control characters");
    assert!(!page.contains("<script") && !page.contains("onload=\""));
    // The last line of output, the arguments, the name of the machine, the jobs asked for.
    let shown = page.matches("&#60;script src=//x&#62;1&#60;/script&#62;").count();
    assert!(shown >= 6, "{shown} times");
    assert!(page.contains("&#38; a\\u{202e}\\x00"), "sequences are left out, the rest is shown");
    assert!(page.contains("echo &#34;&#60;b&#62;&#34; &#38;&#38; exit 1"));
}

#[test]
fn a_failed_job_begins_with_its_error_its_last_success_and_its_duration() {
    let page = page();
    let (_, job) = page.split_once("id=\"job-bad\"").unwrap();
    let (trouble, _) = job.split_once("</div>").unwrap();
    for words in
        ["Run 412 failed (exit 1)", "It took 3.2s", "Last success Sat 25 Jul 14:00 (1d ago)"]
    {
        assert!(trouble.contains(words), "{words}: {trouble}");
    }
    let (_, quiet) = page.split_once("id=\"job-quiet\"").unwrap();
    assert!(!quiet.contains("class=\"trouble\""));
    // The job's own time stands beside the viewer's.
    assert!(job.contains("Asia/Tokyo"), "{job}");
}

#[test]
fn each_picture_has_a_name_or_is_hidden_and_each_header_a_scope() {
    let page = page();
    for picture in page.split("<svg").skip(1) {
        let (tag, rest) = picture.split_once('>').unwrap();
        let is_inner = tag.contains("y=\"8\"");
        let is_named = tag.contains("role=\"img\"") && rest.starts_with("<title>");
        assert!(is_named || is_inner || tag.contains("aria-hidden"), "<svg{tag}>");
    }
    for header in tags(&page).iter().filter(|tag| tag.starts_with("th ") || **tag == "th") {
        assert!(header.contains("scope="), "<{header}>");
    }
}

#[test]
fn a_page_of_nothing_says_so() {
    let viewer = viewer();
    let (overview, jobs) = (Overview::default(), crate::facts::jobs::Jobs::none());
    let state_dir = Path::new("/nowhere");
    let from =
        Sources { overview: &overview, jobs: &jobs, store: None, state_dir, now: viewer.now };
    let asked = Asked { jobs: &[], since: viewer.now - DAY, zone: &viewer.zone };
    let facts = Report::gather(&from, &asked).unwrap();
    let page = report(&facts, &Frame { host: "db1", only: &[], viewer: &viewer }).unwrap();
    for words in ["Nothing: no failure", "Nothing waits.", "Nothing ran and nothing is due."] {
        assert!(page.contains(words), "{words}");
    }
    assert_eq!(dangling(&page), [""; 0]);
}
