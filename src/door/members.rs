//! Reads the members of an item from JSON, and says of a wrong one what it must be.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::problem::{Kind, Problem, Result};

/// The members of an item; all are optional.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Members {
    pub(super) args: Option<Vec<String>>,
    pub(super) args_base64: Option<Vec<String>>,
    pub(super) stdin: Option<String>,
    pub(super) stdin_base64: Option<String>,
    pub(super) key: Option<String>,
    pub(super) priority: Option<i8>,
    pub(super) r#in: Option<String>,
    pub(super) at: Option<String>,
    pub(super) expires: Option<String>,
    pub(super) after: Option<Vec<i64>>,
    pub(super) on_conflict: Option<String>,
}

const NAMES: &str =
    "args, args_base64, stdin, stdin_base64, key, priority, in, at, expires, after, on_conflict";

const TEXT: &str = "a string";
const TEXTS: &str = "an array of strings";

impl Members {
    /// Parses an object.
    pub(super) fn read(text: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(text)
            .map_err(|_| Problem::new(Kind::BadJson, "the body is not UTF-8"))?;
        // Any error after this is one of the members, not of the JSON.
        serde_json::from_str::<IgnoredAny>(text)
            .map_err(|error| Problem::new(Kind::BadJson, syntax(&error)))?;
        let mut problem = None;
        let object = Object { problem: &mut problem };
        let read = serde_json::Deserializer::from_str(text).deserialize_map(object);
        read.map_err(|_| problem.unwrap_or_else(|| invalid("the item must be an object")))
    }
}

/// Returns what is wrong with the JSON and where; the number of the only line says nothing.
fn syntax(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column ", " at column ")
}

fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(Kind::Invalid, detail)
}

/// Collects the members of an object; leaves the first problem where it is found.
struct Object<'p> {
    problem: &'p mut Option<Problem>,
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut all = Members::default();
        while let Some(name) = map.next_key::<String>()? {
            let mut member = Member { name: &name, map: &mut map, problem: self.problem };
            match name.as_str() {
                "args" => member.read(&mut all.args, TEXTS),
                "args_base64" => member.read(&mut all.args_base64, TEXTS),
                "stdin" => member.read(&mut all.stdin, TEXT),
                "stdin_base64" => member.read(&mut all.stdin_base64, TEXT),
                "key" => member.read(&mut all.key, TEXT),
                "priority" => member.read(&mut all.priority, "-100 to 100"),
                "in" => member.read(&mut all.r#in, TEXT),
                "at" => member.read(&mut all.at, TEXT),
                "expires" => member.read(&mut all.expires, TEXT),
                "after" => member.read(&mut all.after, "an array of run ids"),
                "on_conflict" => member.read(&mut all.on_conflict, TEXT),
                _ => {
                    let unknown = invalid(format!("`{name}`: no such member"));
                    Err(member.fail(unknown.hint(format!("known are {NAMES}"))))
                }
            }?;
        }
        Ok(all)
    }
}

/// A member whose value is to be read.
struct Member<'m, A> {
    name: &'m str,
    map: &'m mut A,
    problem: &'m mut Option<Problem>,
}

impl<'de, A: MapAccess<'de>> Member<'_, A> {
    /// Reads the value, which must be of the kind that `wants` names, or null.
    fn read<T: Deserialize<'de>>(
        &mut self,
        into: &mut Option<T>,
        wants: &str,
    ) -> Result<(), A::Error> {
        if into.is_some() {
            return Err(self.fail(invalid(format!("`{}` is given twice", self.name))));
        }
        match self.map.next_value() {
            Ok(value) => {
                *into = value;
                Ok(())
            }
            Err(_) => Err(self.fail(invalid(format!("`{}` must be {wants}", self.name)))),
        }
    }

    fn fail(&mut self, problem: Problem) -> A::Error {
        *self.problem = Some(problem);
        A::Error::custom("refused")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_refused(text: &str, kind: Kind, detail: &str) {
        let problem = Members::read(text.as_bytes()).unwrap_err();
        assert_eq!((problem.kind, problem.detail.as_str()), (kind, detail), "{text}");
    }

    #[test]
    fn an_item_is_an_object_of_known_members() {
        let all = Members::read(br#"{"args": ["a"], "priority": -100, "after": [1], "key": null}"#);
        let wanted = Members {
            args: Some(vec!["a".to_owned()]),
            priority: Some(-100),
            after: Some(vec![1]),
            ..Members::default()
        };
        assert_eq!(all, Ok(wanted));
        for text in ["[]", r#"[["positional.png"]]"#, "1", "null", r#""x""#] {
            assert_refused(text, Kind::Invalid, "the item must be an object");
        }
    }

    #[test]
    fn a_wrong_member_is_named_with_what_it_must_be() {
        for (text, detail) in [
            (r#"{"args": "a"}"#, "`args` must be an array of strings"),
            (r#"{"args": [1]}"#, "`args` must be an array of strings"),
            (r#"{"stdin": 1}"#, "`stdin` must be a string"),
            (r#"{"priority": "high"}"#, "`priority` must be -100 to 100"),
            (r#"{"priority": 1000}"#, "`priority` must be -100 to 100"),
            (r#"{"after": 1}"#, "`after` must be an array of run ids"),
            (r#"{"key": "a", "key": "b"}"#, "`key` is given twice"),
            (r#"{"arg": []}"#, "`arg`: no such member"),
        ] {
            assert_refused(text, Kind::Invalid, detail);
        }
    }

    #[test]
    fn what_is_not_json_is_said_with_its_place() {
        assert_refused("{]", Kind::BadJson, "key must be a string at column 2");
        assert_refused("{\n]", Kind::BadJson, "key must be a string at line 2 column 1");
        assert_refused("{} {}", Kind::BadJson, "trailing characters at column 4");
    }
}
