//! Lists: one object per line, or one object with all of them. A page continues after the last item
//! of the one before, so additions in between neither hide nor repeat an item.

use hyper::header::{ACCEPT, LINK};
use hyper::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::Value;

use super::answer::{self, Answer, JSON};
use super::problem::{Kind, Problem, Result};
use super::query;

/// Items of a page: the default and the maximum.
const LIMIT: u32 = 50;
const LIMIT_MAX: u32 = 1000;

/// A page of a list.
#[derive(Debug)]
pub(super) struct Page {
    /// The items.
    pub(super) items: Vec<Value>,
    /// Where the next page starts; `None` if this is the last one.
    pub(super) cursor: Option<String>,
}

/// The request for a list: its path and parameters.
#[derive(Debug)]
pub(super) struct Asked {
    path: String,
    pairs: Vec<(String, String)>,
    is_object: bool,
}

#[derive(Serialize)]
struct Object<'a> {
    items: &'a [Value],
    next: Option<&'a str>,
}

impl Asked {
    /// Reads the parameters: the `known` ones, `limit` and `cursor`.
    pub(super) fn read(
        (path, query): (&str, Option<&str>),
        headers: &HeaderMap,
        known: &[&str],
    ) -> Result<Self> {
        let known = [known, &["limit", "cursor"]].concat();
        let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let wants = |kind: &str| {
            accept
                .split(',')
                .any(|part| part.split(';').next().is_some_and(|one| one.trim() == kind))
        };
        let is_object = wants(JSON) && !wants(answer::NDJSON);
        Ok(Self { path: path.to_owned(), pairs: query::pairs(query, &known)?, is_object })
    }

    /// Returns the value of a parameter.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Returns the maximum number of items of the page.
    pub(super) fn limit(&self) -> Result<u32> {
        let Some(text) = self.get("limit") else {
            return Ok(LIMIT);
        };
        let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
        limit.ok_or_else(|| Problem::new(Kind::BadRequest, "`limit` must be 1 to 1000"))
    }

    /// Responds with a page.
    pub(super) fn answer(&self, page: &Page) -> Answer {
        let next = page.cursor.as_ref().map(|cursor| self.next(cursor));
        let answered = match self.is_object {
            true => {
                let object = Object { items: &page.items, next: next.as_deref() };
                answer::json(StatusCode::OK, &object)
            }
            false => answer::ndjson(StatusCode::OK, &page.items),
        };
        match next {
            Some(next) => answer::with(answered, LINK, &format!("<{next}>; rel=\"next\"")),
            None => answered,
        }
    }

    /// Returns the address of the next page.
    fn next(&self, cursor: &str) -> String {
        let kept = self.pairs.iter().filter(|(name, _)| name != "cursor");
        let pairs: String = kept
            .map(|(name, value)| format!("{}={}&", query::encode(name), query::encode(value)))
            .collect();
        format!("{}?{pairs}cursor={}", self.path, query::encode(cursor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_where_it_goes_on_with_all_that_was_asked() {
        let asked = ("/v1/runs", Some("job=a%20b&limit=2&cursor=9"));
        let asked = Asked::read(asked, &HeaderMap::new(), &["job"]).unwrap();
        assert_eq!(asked.limit(), Ok(2));
        assert_eq!(asked.next("7"), "/v1/runs?job=a%20b&limit=2&cursor=7");
        for query in ["limit=0", "limit=1001", "limit=x"] {
            let asked = Asked::read(("/", Some(query)), &HeaderMap::new(), &[]).unwrap();
            assert!(asked.limit().is_err(), "{query}");
        }
    }
}
