//! The key of an item, made from its arguments by the job's template (`key = "{1}"`).

use std::fmt::Write;

/// Explains why there is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyError {
    /// The template names an argument that the item does not have, counted from 1.
    Missing(usize),
    /// Nothing stands in it.
    Empty,
}

/// Puts the arguments into a template that the jobfile has checked: `{1}` is the first one.
///
/// An argument that is not UTF-8 stands there with U+FFFD before it and `\xNN` for the bytes that
/// are none, so that two different ones do not make the same key.
pub(crate) fn of(template: &str, args: &[Vec<u8>]) -> Result<String, KeyError> {
    let (mut key, mut rest) = (String::new(), template);
    while let Some((before, inside)) = rest.split_once('{') {
        key.push_str(before);
        let (number, after) = inside.split_once('}').unwrap_or((inside, ""));
        let index: usize = number.parse().unwrap_or(0);
        let arg = index.checked_sub(1).and_then(|at| args.get(at));
        push(&mut key, arg.ok_or(KeyError::Missing(index))?);
        rest = after;
    }
    key.push_str(rest);
    if key.is_empty() {
        return Err(KeyError::Empty);
    }
    Ok(key)
}

fn push(key: &mut String, arg: &[u8]) {
    if let Ok(text) = std::str::from_utf8(arg) {
        key.push_str(text);
        return;
    }
    key.push(char::REPLACEMENT_CHARACTER);
    for chunk in arg.utf8_chunks() {
        key.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a text cannot fail.
            let _ = write!(key, "\\x{byte:02x}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(texts: &[&[u8]]) -> Vec<Vec<u8>> {
        texts.iter().map(|text| text.to_vec()).collect()
    }

    #[test]
    fn arguments_stand_where_the_template_names_them() {
        let args = args(&[b"a", b"", b"{1}"]);
        assert_eq!(of("{1}", &args).as_deref(), Ok("a"));
        assert_eq!(of("x-{3}-{1}{1}", &args).as_deref(), Ok("x-{1}-aa"));
        assert_eq!(of("constant", &[]).as_deref(), Ok("constant"));
    }

    #[test]
    fn a_missing_argument_and_an_empty_key_are_errors() {
        assert_eq!(of("{1}-{2}", &args(&[b"a"])), Err(KeyError::Missing(2)));
        assert_eq!(of("{1}", &args(&[b""])), Err(KeyError::Empty));
    }

    #[test]
    fn arguments_that_are_not_utf8_make_different_keys() {
        let keys = [&b"a\xff"[..], b"a\xfe", "a\u{fffd}".as_bytes(), b"a\\xff"];
        let keys: std::collections::BTreeSet<_> =
            keys.iter().map(|arg| of("{1}", &args(&[arg])).unwrap()).collect();
        assert_eq!(keys.len(), 4);
    }
}
