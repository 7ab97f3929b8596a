//! The lock that a run needs: that of its job, with the run's first argument where `{1}` stands
//! (jobctl.toml(5), `lock`).

use super::hash::fnv1a;
use super::job::{Name, Policy};

/// What stands for the first argument.
const FIRST: &str = "{1}";

/// Returns whether each first argument has a lock of its own.
pub(crate) fn is_template(policy: &Policy) -> bool {
    policy.lock.as_ref().is_some_and(|lock| lock.contains(FIRST))
}

/// The lock that a run with these arguments needs; none if its job names none. No argument counts
/// as an empty one.
///
/// What is not fit for the name of a file becomes a number made of it, behind a sign that no name
/// has: the same for the same argument, another one for another.
pub(crate) fn lock_of(policy: &Policy, args: &[Vec<u8>]) -> Option<Box<str>> {
    let lock = policy.lock.as_ref()?;
    if !lock.contains(FIRST) {
        return Some(lock.clone());
    }
    let first = args.first().map(Vec::as_slice).unwrap_or_default();
    let parts: Vec<&[u8]> = lock.split(FIRST).map(str::as_bytes).collect();
    let bytes = parts.join(first);
    let name = std::str::from_utf8(&bytes).ok().filter(|text| Name::parse(text).is_ok());
    Some(match name {
        Some(name) => name.into(),
        None => {
            let (one, other) = (fnv1a(bytes.iter().copied()), fnv1a(bytes.iter().rev().copied()));
            format!("%{one:016x}{other:016x}").into()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(template: &str, args: &[&[u8]]) -> String {
        let policy = Policy { lock: Some(template.into()), ..Policy::default() };
        let args: Vec<Vec<u8>> = args.iter().map(|arg| arg.to_vec()).collect();
        lock_of(&policy, &args).unwrap().into()
    }

    #[test]
    fn the_first_argument_stands_in_the_name() {
        assert_eq!(lock("db", &[b"x"]), "db");
        assert_eq!(lock("c-{1}", &[b"x", b"y"]), "c-x");
        assert_eq!(lock("{1}.{1}", &[b"{1}"]).len(), 33);
        assert_eq!(lock("c-{1}", &[]), "c-");
        assert_eq!(lock_of(&Policy::default(), &[]), None);
    }

    #[test]
    fn only_a_lock_with_the_sign_is_one_for_each_argument() {
        let with = |lock: Option<&str>| Policy { lock: lock.map(Into::into), ..Policy::default() };
        assert!(is_template(&with(Some("c-{1}"))));
        assert!(!is_template(&with(Some("db"))));
        assert!(!is_template(&with(None)));
    }

    #[test]
    fn what_is_no_name_is_a_number_of_its_own() {
        let odd: [&[u8]; 9] =
            [b"a/b", b"../x", b"", b"42", b"a b", b"\xff", b"\xfe", b"%0", b"x\ny"];
        let mut names: Vec<String> = odd.iter().map(|arg| lock("{1}", &[arg])).collect();
        names.push(lock("{1}", &[&[b'x'; 100]]));
        for name in &names {
            assert!(name.starts_with('%') && name.len() == 33, "{name}");
        }
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 10);
    }
}
