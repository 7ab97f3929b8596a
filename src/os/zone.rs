//! Time zones of the system, read once and handed to the core as plain data. The only code that
//! knows `jiff`.
//!
//! TZ, /etc/localtime and the zoneinfo directory (TZDIR honoured); a copy of the database in the
//! binary where there is none.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::core::schedule::{Transition, Zone};

/// Transitions are read from here, 1969-12-31, ...
const BEGIN_SECS: i64 = -86_400;

/// ... to here, 2200-01-02: past the end of what schedules know.
const END_SECS: i64 = 7_258_118_400 + 86_400;

/// Where the system's zones are.
const DIRECTORY: &str = "/usr/share/zoneinfo";

/// The system's zone.
const LOCALTIME: &str = "/etc/localtime";

/// A zone that the database does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneError {
    /// What was asked for.
    pub name: String,
    /// The most similar name there is, if one is similar.
    pub suggestion: Option<String>,
}

impl fmt::Display for ZoneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "time zone `{}` is not known", self.name)
    }
}

impl std::error::Error for ZoneError {}

/// Reads a zone by its IANA name, in any case.
pub fn load(name: &str) -> Result<Zone, ZoneError> {
    let zone = direct(name).or_else(|| jiff::tz::db().get(name).ok());
    match zone {
        Some(zone) => Ok(flatten(&zone, name)),
        None => Err(ZoneError { name: name.to_owned(), suggestion: similar(name) }),
    }
}

/// Reads a zone's file where its name says it is: jiff looks at every file of the directory first,
/// which takes longer than all else a small command does. None: jiff decides.
fn direct(name: &str) -> Option<TimeZone> {
    // Names in lower case may be files that are no zones of their own.
    let is_plain = name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_+-".contains(&byte));
    if !is_plain {
        return None;
    }
    let directory = std::env::var_os("TZDIR").map_or_else(|| DIRECTORY.into(), PathBuf::from);
    let bytes = fs::read(directory.join(name)).ok()?;
    TimeZone::tzif(name, &bytes).ok()
}

/// The zone that /etc/localtime is a link to, where nothing else is asked for.
fn linked() -> Option<TimeZone> {
    if std::env::var_os("TZ").is_some() {
        return None;
    }
    let target = fs::read_link(LOCALTIME).ok()?;
    let (_, name) = target.to_str()?.split_once("/zoneinfo/")?;
    direct(name)
}

/// Reads the system's zone: TZ, else /etc/localtime, else UTC.
pub(crate) fn system() -> Zone {
    let zone = linked().unwrap_or_else(|| TimeZone::try_system().unwrap_or(TimeZone::UTC));
    let unnamed = std::env::var("TZ").ok().filter(|name| !name.is_empty());
    flatten(&zone, unnamed.as_deref().unwrap_or(LOCALTIME))
}

/// Whether zones come from the copy in jobctl, which new rules do not reach.
pub(crate) fn is_bundled() -> bool {
    directory().is_none()
}

/// Says which database is in use, for people, and whether the system's zone was readable.
pub(crate) fn source() -> String {
    let database = match directory() {
        Some(directory) => match version(Path::new(&directory)) {
            Some(version) => format!("{directory}, version {version}"),
            None => directory,
        },
        None => "the copy built into jobctl (no zoneinfo directory found)".to_owned(),
    };
    match TimeZone::try_system() {
        Ok(_) => database,
        Err(cause) => {
            format!("{database}; the system's time zone cannot be read, using UTC: {cause}")
        }
    }
}

/// Forgets what was read, so that the next look reads files again: for a reload.
pub(crate) fn forget() {
    jiff::tz::db().reset();
}

fn flatten(zone: &TimeZone, unnamed: &str) -> Zone {
    let begin = Timestamp::from_second(BEGIN_SECS).expect("1969 is within what jiff knows");
    let offset_first_secs = zone.to_offset(begin).seconds();
    let mut offset_secs = offset_first_secs;
    let mut transitions = Vec::new();
    for transition in
        zone.following(begin).take_while(|transition| transition.timestamp().as_second() < END_SECS)
    {
        // Many transitions change only the abbreviation.
        if transition.offset().seconds() != offset_secs {
            offset_secs = transition.offset().seconds();
            transitions
                .push(Transition { at_secs: transition.timestamp().as_second(), offset_secs });
        }
    }
    let name = zone.iana_name().unwrap_or(unnamed).into();
    Zone { name, offset_first_secs, transitions: transitions.into() }
}

/// The most similar name; none if nothing is close.
fn similar(name: &str) -> Option<String> {
    const SIMILAR_MIN: f64 = 0.8;
    if name.len() > 64 {
        return None;
    }
    let wanted = name.to_ascii_lowercase();
    jiff::tz::db()
        .available()
        .map(|known| (likeness(&wanted, &known.as_str().to_ascii_lowercase()), known.to_string()))
        .filter(|(likeness, _)| *likeness >= SIMILAR_MIN)
        .max_by(|(a, left), (b, right)| a.total_cmp(b).then_with(|| right.cmp(left)))
        .map(|(_, known)| known)
}

/// How alike a name is to a known one or, where no area was written, to its city.
fn likeness(wanted: &str, known: &str) -> f64 {
    let wanted = wanted.replace(' ', "_");
    let city = known.rsplit_once('/').map_or(0.0, |(_, city)| strsim::jaro(&wanted, city));
    strsim::jaro(&wanted, known).max(city)
}

/// The directory that jiff reads; it tells only in its debug text.
fn directory() -> Option<String> {
    let text = format!("{:?}", jiff::tz::db());
    let (_, rest) = text.split_once("ZoneInfo(")?;
    Some(rest.trim_end_matches(')').to_owned())
}

fn version(directory: &Path) -> Option<String> {
    let text = std::fs::read_to_string(directory.join("tzdata.zi")).ok()?;
    Some(text.lines().next()?.strip_prefix("# version ")?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_reach_from_1970_to_2199() {
        let zone = load("Europe/Berlin").unwrap();
        assert_eq!((&*zone.name, zone.offset_first_secs), ("Europe/Berlin", 3600));
        let last = zone.transitions.last().unwrap();
        assert_eq!((last.at_secs, last.offset_secs), (7_252_419_600, 3600));
        assert!(zone.transitions.is_sorted_by(|a, b| a.at_secs < b.at_secs));
        assert!(zone.transitions.windows(2).all(|pair| pair[0].offset_secs != pair[1].offset_secs));
        assert!(zone.transitions.len() < 500);
    }

    #[test]
    fn zones_without_changes_are_small() {
        assert_eq!(load("UTC").unwrap().transitions.len(), 0);
        assert!(load("asia/tokyo").unwrap().transitions.is_empty());
    }

    #[test]
    fn an_unknown_zone_suggests_a_similar_one() {
        for (name, suggestion) in [
            ("Europe/Berln", Some("Europe/Berlin")),
            ("europe/berlim", Some("Europe/Berlin")),
            ("Berlin", Some("Europe/Berlin")),
            ("New York", Some("America/New_York")),
            ("America/NewYork", Some("America/New_York")),
            ("", None),
            ("qqqqqqq", None),
            ("../../etc/passwd", None),
        ] {
            let error = load(name).unwrap_err();
            assert_eq!((error.name.as_str(), error.suggestion.as_deref()), (name, suggestion));
        }
    }

    #[test]
    fn a_file_read_directly_is_the_zone_that_the_database_has() {
        for name in ["Europe/Berlin", "UTC", "America/New_York", "Australia/Lord_Howe"] {
            let Some(zone) = direct(name) else { continue };
            let known = jiff::tz::db().get(name).unwrap();
            assert_eq!(flatten(&zone, name), flatten(&known, name), "{name}");
        }
        for name in ["europe/berlin", "posixrules", "../etc/passwd", "/etc/localtime", ""] {
            assert!(direct(name).is_none(), "{name}");
        }
    }

    #[test]
    fn the_source_is_a_directory_or_the_copy() {
        let source = source();
        assert!(source.starts_with('/') || source.starts_with("the copy"), "{source}");
        assert!(!system().name.is_empty());
    }
}
