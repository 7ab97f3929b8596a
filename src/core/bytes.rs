//! Bytes that need not be UTF-8, as serde writes them: as they are where they are plain text, else
//! as base64 behind a NUL, which plain text does not have. To be named with `#[serde(with =
//! "bytes")]`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes, and what is made of them.
pub(crate) trait Bytes: Sized {
    /// The same as text.
    type Text: Serialize + DeserializeOwned;

    /// Writes them as text.
    fn to_text(&self) -> Self::Text;

    /// Reads them. None: the text is no base64.
    fn of_text(text: Self::Text) -> Option<Self>;
}

impl Bytes for Vec<u8> {
    type Text = String;

    fn to_text(&self) -> String {
        let is_plain = |text: &&str| text.bytes().all(|byte| byte >= b' ' || byte == b'\n');
        match std::str::from_utf8(self).ok().filter(is_plain) {
            Some(text) => text.to_owned(),
            None => format!("\0{}", STANDARD.encode(self)),
        }
    }

    fn of_text(text: String) -> Option<Self> {
        match text.strip_prefix('\0') {
            Some(text) => STANDARD.decode(text).ok(),
            None => Some(text.into_bytes()),
        }
    }
}

impl<B: Bytes> Bytes for Vec<B> {
    type Text = Vec<B::Text>;

    fn to_text(&self) -> Self::Text {
        self.iter().map(B::to_text).collect()
    }

    fn of_text(text: Self::Text) -> Option<Self> {
        text.into_iter().map(B::of_text).collect()
    }
}

impl<B: Bytes> Bytes for Option<B> {
    type Text = Option<B::Text>;

    fn to_text(&self) -> Self::Text {
        self.as_ref().map(B::to_text)
    }

    fn of_text(text: Self::Text) -> Option<Self> {
        text.map(B::of_text).map_or(Some(None), |read| read.map(Some))
    }
}

impl<A: Bytes, B: Bytes> Bytes for (A, B) {
    type Text = (A::Text, B::Text);

    fn to_text(&self) -> Self::Text {
        (self.0.to_text(), self.1.to_text())
    }

    fn of_text((first, second): Self::Text) -> Option<Self> {
        Some((A::of_text(first)?, B::of_text(second)?))
    }
}

/// For `#[serde(with = "bytes")]`.
pub(crate) fn serialize<B: Bytes, S: Serializer>(bytes: &B, to: S) -> Result<S::Ok, S::Error> {
    bytes.to_text().serialize(to)
}

/// For `#[serde(with = "bytes")]`.
pub(crate) fn deserialize<'de, B: Bytes, D: Deserializer<'de>>(from: D) -> Result<B, D::Error> {
    B::of_text(B::Text::deserialize(from)?).ok_or_else(|| D::Error::custom("no base64"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An argument, a value that may be absent, and a variable.
    type All = (Vec<Vec<u8>>, (Option<Vec<u8>>, Vec<u8>));

    #[test]
    fn bytes_stand_as_text_where_they_are_text_and_all_of_them_come_back() {
        for (bytes, text) in [
            (&b"a b\nc"[..], "a b\nc"),
            (b"", ""),
            ("h\u{e4}".as_bytes(), "h\u{e4}"),
            (b"\0", "\0AA=="),
            (b"a\tb", "\0YQli"),
            (b"\xff", "\0/w=="),
        ] {
            assert_eq!(bytes.to_vec().to_text(), text);
            assert_eq!(Vec::<u8>::of_text(text.to_owned()).as_deref(), Some(bytes));
        }
        assert_eq!(Vec::<u8>::of_text("\0no base64".to_owned()), None);
    }

    #[test]
    fn what_is_made_of_bytes_comes_back_too() {
        let bytes = |text: &str| text.as_bytes().to_vec();
        let args = vec![bytes("a"), vec![0xff]];
        let both: All = (args.clone(), (Some(bytes("b")), bytes("c")));
        let without: All = (args, (None, bytes("c")));
        for all in [both, without] {
            assert_eq!(All::of_text(all.to_text()), Some(all));
        }
        assert_eq!(Option::<Vec<u8>>::of_text(Some("\0?".to_owned())), None);
    }
}
