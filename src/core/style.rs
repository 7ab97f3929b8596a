//! Styles of text on a terminal.

use std::borrow::Cow;

/// How a piece of text is shown where colour is available.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// As it is.
    Plain,
    /// Headings.
    Bold,
    /// What matters less.
    Dim,
    /// What is well.
    Good,
    /// What waits or is worth a look.
    Warn,
    /// What failed.
    Bad,
}

impl Style {
    /// The SGR parameter (ECMA-48); none for plain text.
    const fn sgr(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Bold => Some("1"),
            Self::Dim => Some("2"),
            Self::Good => Some("32"),
            Self::Warn => Some("33"),
            Self::Bad => Some("31"),
        }
    }

    /// The text in this style, if there is colour.
    pub(crate) fn paint(self, text: &str, has_color: bool) -> Cow<'_, str> {
        match self.sgr() {
            Some(sgr) if has_color && !text.is_empty() => {
                format!("\x1b[{sgr}m{text}\x1b[0m").into()
            }
            _ => Cow::Borrowed(text),
        }
    }
}
