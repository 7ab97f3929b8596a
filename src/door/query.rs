//! Parses paths and queries strictly, with percent-decoding.

use super::problem::{Kind, Problem, Result};

/// Splits a path at its slashes and decodes the parts; `None` if one is malformed.
pub(super) fn segments(path: &str) -> Option<Vec<String>> {
    path.strip_prefix('/')?.split('/').map(|part| decode(part.as_bytes())).collect()
}

/// Parses a query; each name must be one of `known` and may be given only once.
pub(super) fn pairs(query: Option<&str>, known: &[&str]) -> Result<Vec<(String, String)>> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let plain = |text: &str| decode(text.replace('+', " ").as_bytes());
        let (Some(name), Some(value)) = (plain(name), plain(value)) else {
            return Err(Problem::new(Kind::BadRequest, "the query is not percent-encoded UTF-8"));
        };
        if !known.contains(&name.as_str()) {
            let problem = Problem::new(Kind::BadRequest, format!("`{name}`: no such parameter"));
            return Err(match known {
                [] => problem.hint("this resource takes no parameters"),
                _ => problem.hint(format!("known parameters: {}", known.join(", "))),
            });
        }
        if pairs.iter().any(|(other, _)| *other == name) {
            return Err(Problem::new(Kind::BadRequest, format!("`{name}` is given twice")));
        }
        pairs.push((name, value));
    }
    Ok(pairs)
}

/// Encodes a value for a query.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.extend(['%', digit(byte >> 4), digit(byte & 15)]),
        }
    }
    encoded
}

fn digit(value: u8) -> char {
    char::from_digit(value.into(), 16).unwrap_or('0').to_ascii_uppercase()
}

fn decode(text: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, behind)) = rest.split_first() {
        rest = behind;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let digits = rest.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = rest.get(2..).unwrap_or_default();
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_cut_before_it_is_decoded() {
        let parts = |path| segments(path).map(|parts| parts.join("|"));
        assert_eq!(parts("/v1/jobs/a").as_deref(), Some("v1|jobs|a"));
        assert_eq!(parts("/v1/a%2Fb/..").as_deref(), Some("v1|a/b|.."));
        assert_eq!(parts("/").as_deref(), Some(""));
        for path in ["*", "v1", "/%", "/%4", "/%+1", "/%ff"] {
            assert_eq!(parts(path), None, "{path}");
        }
    }

    #[test]
    fn a_query_has_known_names_once_each() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(pairs(None, &[]), Ok(Vec::new()));
        assert_eq!(pairs(Some("wait=1m%2030s"), &["wait"]), Ok(vec![pair("wait", "1m 30s")]));
        assert_eq!(pairs(Some("a=b+c&b"), &["a", "b"]), Ok(vec![pair("a", "b c"), pair("b", "")]));
        for query in ["x=1", "a=1&a=2", "a=%", "%ff=1"] {
            assert!(pairs(Some(query), &["a"]).is_err(), "{query}");
        }
    }
}
