//! The figures of jobctl, measured on the real binary: `cargo bench --bench figures [NAME...]`.
//!
//! Machines differ and are busy: what can be is measured as a ratio to the same work done barely,
//! both in turns in this one run. Prints a table and judges nothing: a bar that is missed is no
//! failure of the build.

#![expect(
    clippy::disallowed_methods,
    reason = "a bench asks the clock, starts processes and reads the store as anybody could"
)]

mod adding;
mod bare;
mod fixture;
mod idle;
mod large;
mod locks;
mod missed;
mod queue;
mod report;
mod schedule;

use std::io::{self, Write};

/// A measured figure next to its bar.
struct Figure {
    name: String,
    /// As a ratio or in the unit of the bar.
    measured: f64,
    bar: Bar,
    unit: &'static str,
    /// How it came about.
    remark: String,
}

/// What was promised.
enum Bar {
    AtLeast(f64),
    AtMost(f64),
    /// Nothing; good to know.
    None,
}

type Group = (&'static str, fn() -> io::Result<Vec<Figure>>);

const GROUPS: &[Group] = &[
    ("size", idle::size),
    ("drain", queue::drain),
    ("launch", queue::launch),
    ("due", queue::due_at_once),
    ("one", queue::one),
    ("adding", adding::adding),
    ("peers", adding::peers),
    ("output", queue::output),
    ("schedule", schedule::schedule),
    ("start", idle::start),
    ("missed", missed::missed),
    ("idle", idle::idle),
    ("large", large::large),
    ("report", report::report),
    ("locks", locks::locks),
    ("consequences", locks::consequences),
];

fn main() -> io::Result<()> {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let mut out = io::stdout().lock();
    writeln!(out, "{:<44} {:>10} {:>10}      remark", "figure", "measured", "bar")?;
    for (name, measure) in GROUPS {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            for figure in measure()? {
                figure.print(&mut out)?;
            }
        }
    }
    Ok(())
}

impl Figure {
    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let (bar, word) = match self.bar {
            Bar::AtLeast(bar) if self.measured >= bar => (format!(">= {bar}"), "kept"),
            Bar::AtMost(bar) if self.measured <= bar => (format!("<= {bar}"), "kept"),
            Bar::AtLeast(bar) => (format!(">= {bar}"), "MISS"),
            Bar::AtMost(bar) => (format!("<= {bar}"), "MISS"),
            Bar::None => (String::new(), ""),
        };
        let measured = format!("{:.2} {}", self.measured, self.unit);
        let (name, remark) = (&self.name, &self.remark);
        writeln!(out, "{name:<44} {measured:>10} {bar:>10} {word:4} {remark}")?;
        out.flush()
    }
}
