//! The rules of a command's environment: which sources it is made of, and which of them wins.
//!
//! Reads nothing: whoever makes an environment says what stands in the files that it names.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::bytes;
use super::env_file;
use super::job::EnvValue;

/// The sources of a command's environment; a later one overrides an earlier one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Sources {
    /// What the supervisor passes on.
    #[serde(with = "bytes")]
    pub(crate) inherited: Vec<Variable>,
    /// Whether the names that an account gives win over what is inherited, or only fill what is
    /// missing.
    pub(crate) account_wins: bool,
    /// A file of `NAME=value` lines.
    pub(crate) env_file: Option<String>,
    /// The job's own variables.
    pub(crate) values: Vec<(String, EnvValue)>,
    /// What jobctl tells the command.
    #[serde(with = "bytes")]
    pub(crate) told: Vec<Variable>,
    /// Stands behind the value of `PATH`.
    #[serde(with = "bytes")]
    pub(crate) path_end: Vec<u8>,
}

/// A name and a value, as bytes: neither need be UTF-8.
pub(crate) type Variable = (Vec<u8>, Vec<u8>);

/// The variables that an account gives to its commands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account<'a> {
    /// Login name.
    pub(crate) name: &'a [u8],
    /// Home directory.
    pub(crate) home: &'a [u8],
    /// Login shell.
    pub(crate) shell: &'a [u8],
}

/// The path of commands that are given none.
const DEFAULT_PATH: &[u8] = b"/usr/bin:/bin";

/// Whoever reads what stands outside of the sources.
pub(crate) trait Reader {
    /// Why something cannot be read.
    type Error;

    /// Reads the variables of an `env_file`.
    fn env_file(&mut self, path: &str) -> Result<env_file::Variables, Self::Error>;

    /// Reads the value of the variable `name` from the file at `path`.
    fn value(&mut self, name: &str, path: &str) -> Result<Vec<u8>, Self::Error>;
}

impl Sources {
    /// Returns whether all of it stands here.
    pub(crate) fn is_whole(&self) -> bool {
        let is_file = |(_, value): &(String, EnvValue)| match value {
            EnvValue::Text(_) => false,
            EnvValue::File(_) => true,
        };
        self.env_file.is_none() && !self.values.iter().any(is_file)
    }

    /// Leaves out everything that stands in a file.
    pub(crate) fn without_files(mut self) -> Self {
        self.env_file = None;
        self.values.retain(|(_, value)| match value {
            EnvValue::Text(_) => true,
            EnvValue::File(_) => false,
        });
        self
    }

    /// Makes the environment, as `NAME=value`.
    pub(crate) fn compose<R: Reader>(
        &self,
        account: Account<'_>,
        reader: &mut R,
    ) -> Result<Vec<Vec<u8>>, R::Error> {
        let mut variables: BTreeMap<Vec<u8>, Vec<u8>> = self.inherited.iter().cloned().collect();
        let theirs = [
            ("HOME", account.home),
            ("USER", account.name),
            ("LOGNAME", account.name),
            ("SHELL", account.shell),
            ("PATH", DEFAULT_PATH),
        ];
        for (name, value) in theirs {
            if self.account_wins || !variables.contains_key(name.as_bytes()) {
                variables.insert(name.into(), value.to_vec());
            }
        }
        if let Some(path) = &self.env_file {
            variables.extend(reader.env_file(path)?);
        }
        for (name, value) in &self.values {
            let value = match value {
                EnvValue::Text(text) => text.as_bytes().to_vec(),
                EnvValue::File(path) => reader.value(name, path)?,
            };
            variables.insert(name.as_bytes().to_vec(), value);
        }
        variables.extend(self.told.iter().cloned());
        if !self.path_end.is_empty() {
            let path = variables.entry(b"PATH".to_vec()).or_default();
            path.extend_from_slice(&self.path_end);
        }
        let pairs = variables.into_iter();
        Ok(pairs.map(|(name, value)| [name, value].join(&b'=')).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Files;

    impl Reader for Files {
        type Error = String;

        fn env_file(&mut self, path: &str) -> Result<env_file::Variables, String> {
            match path {
                "/none" => Err("none".to_owned()),
                _ => Ok(vec![pair("A", "file"), pair("B", "file"), pair("C", "file")]),
            }
        }

        fn value(&mut self, name: &str, path: &str) -> Result<Vec<u8>, String> {
            Ok(format!("{name} of {path}").into_bytes())
        }
    }

    fn pair(name: &str, value: &str) -> Variable {
        (name.into(), value.into())
    }

    const ACCOUNT: Account<'_> = Account { name: b"ann", home: b"/home/ann", shell: b"/bin/sh" };

    fn composed(sources: &Sources) -> Vec<String> {
        let made = sources.compose(ACCOUNT, &mut Files).unwrap();
        made.into_iter().map(|pair| String::from_utf8(pair).unwrap()).collect()
    }

    fn sources() -> Sources {
        Sources {
            inherited: vec![pair("A", "passed"), pair("HOME", "/root")],
            account_wins: false,
            env_file: Some("/env".into()),
            values: vec![
                ("B".into(), EnvValue::Text("text".into())),
                ("D".into(), EnvValue::File("/d".into())),
            ],
            told: vec![pair("C", "told")],
            path_end: b":/sbin".to_vec(),
        }
    }

    #[test]
    fn a_later_source_wins_over_an_earlier_one() {
        let expected = [
            "A=file",
            "B=text",
            "C=told",
            "D=D of /d",
            "HOME=/root",
            "LOGNAME=ann",
            "PATH=/usr/bin:/bin:/sbin",
            "SHELL=/bin/sh",
            "USER=ann",
        ];
        assert_eq!(composed(&sources()), expected);
        let given = Sources { account_wins: true, ..sources() };
        assert_eq!(composed(&given)[4], "HOME=/home/ann");
    }

    #[test]
    fn one_file_is_enough_to_be_not_whole() {
        let text = |path: Option<&str>| Sources {
            env_file: path.map(str::to_owned),
            values: vec![("B".into(), EnvValue::Text("text".into()))],
            ..Sources::default()
        };
        assert!(text(None).is_whole());
        assert!(!text(Some("/env")).is_whole());
        assert!(!Sources { env_file: None, ..sources() }.is_whole());
    }

    #[test]
    fn without_files_nothing_is_read() {
        let broken = Sources { env_file: Some("/none".into()), ..sources() };
        assert!(!broken.is_whole());
        assert_eq!(broken.compose(ACCOUNT, &mut Files), Err("none".to_owned()));
        let bare = broken.without_files();
        assert!(bare.is_whole());
        assert_eq!(composed(&bare)[..3], ["A=passed", "B=text", "C=told"]);
    }
}
