//! The policies of attempts: what judges their ends, each text once, named by a number.

use serde::{Deserialize, Serialize};

use super::sql::{RUNS, sql};
use super::{Store, StoreError};
use crate::core::terms::Terms;

/// As it stands in the store. Fields that are not known are passed over; what a reader of today
/// would misunderstand takes another version.
#[derive(Serialize, Deserialize)]
#[serde(tag = "version")]
enum Text<T> {
    #[serde(rename = "1")]
    One(T),
}

impl Store {
    /// The number of a policy, which has a row from now on.
    pub(super) fn intern(&self, terms: &Terms) -> Result<i64, StoreError> {
        let text = serde_json::to_string(&Text::One(terms)).expect("a policy is JSON");
        let action = "record a policy";
        let known = self.one(action, "SELECT id FROM policy WHERE text = ?1", [&text])?;
        if let Some(id) = known {
            return Ok(id);
        }
        self.execute(action, "INSERT INTO policy(text) VALUES (?1)", [&text])?;
        Ok(self.conn.last_insert_rowid())
    }

    /// Returns the rules that judge the newest attempt of a run; none if they were tampered with.
    pub(crate) fn terms(&self, run: i64) -> Result<Option<Terms>, StoreError> {
        let text: Option<String> = self.one(
            "read a policy",
            sql! {"SELECT text FROM {RUNS} JOIN policy ON policy.id = attempt.policy \
            WHERE run.id = ?1"},
            [run],
        )?;
        Ok(text.and_then(|text| {
            let Text::One(terms) = serde_json::from_str(&text).ok()?;
            Some(terms)
        }))
    }
}
