//! The reason of an I/O error as it stands in messages: in small letters, without the number that
//! std appends.

use std::io;

/// `permission denied`, where std says `Permission denied (os error 13)`; abbreviations such as
/// `I/O` stay as they are.
pub(crate) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = match error.raw_os_error() {
        Some(number) => text.strip_suffix(&format!(" (os error {number})")).unwrap_or(&text),
        None => &text,
    };
    // A name for it is what people look for: of what there was too little, only the kernel knows.
    if error.kind() == io::ErrorKind::WouldBlock && error.raw_os_error().is_some() {
        return "resource temporarily unavailable (EAGAIN)".to_owned();
    }
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(first), Some(second)) if second == ' ' || second.is_lowercase() => {
            first.to_lowercase().chain(text.chars().skip(1)).collect()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_begin_small_and_have_no_number() {
        let of = |number| plain(&io::Error::from_raw_os_error(number));
        assert_eq!(of(13), "permission denied");
        assert_eq!(of(20), "not a directory");
        assert_eq!(of(11), "resource temporarily unavailable (EAGAIN)");
        assert_eq!(plain(&io::Error::other("Odd")), "odd");
        assert_eq!(plain(&io::Error::other("I/O error")), "I/O error");
        assert_eq!(plain(&io::Error::other("")), "");
    }
}
