//! A vertical list of names and values, for the details of one object.

use unicode_width::UnicodeWidthStr;

use crate::cmd::{Out, Result, Style};
use crate::core::escape;

/// Fields in the order of their addition; unknown values are omitted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(Vec<(&'static str, Style, String)>);

impl Fields {
    /// Adds a field.
    pub(crate) fn put(&mut self, name: &'static str, value: Option<String>) {
        self.put_styled(name, Style::Plain, value);
    }

    /// Adds a field whose value has a style.
    pub(crate) fn put_styled(&mut self, name: &'static str, style: Style, value: Option<String>) {
        self.0.extend(value.map(|value| (name, style, value)));
    }

    /// Prints the fields, one per line; control characters in values are escaped.
    pub(crate) fn print(&self, out: &mut Out) -> Result<()> {
        let width = self.0.iter().map(|(name, _, _)| name.width()).max().unwrap_or(0);
        for (name, style, value) in &self.0 {
            let padding = " ".repeat(width + 2 - name.width());
            let name = out.styled(Style::Dim, name);
            let value = escape::text(value);
            let line = format!("{name}{padding}{}", out.styled(*style, &value));
            out.line(line)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::output::capture;

    #[test]
    fn a_value_stays_in_its_line() {
        let mut fields = Fields::default();
        fields.put("key", Some("a\nb".to_owned()));
        fields.put("error", None);
        fields.put("priority", Some("3".to_owned()));
        assert_eq!(capture(None, |out| fields.print(out)), "key       a\\nb\npriority  3\n");
    }
}
