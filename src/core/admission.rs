//! Decides what a caller of the door may do. Identifying the caller is the door's part.

use super::door::{Door, Principal};

/// A user or group, by its number and, if known, its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    /// The number.
    pub(crate) id: u32,
    /// The name.
    pub(crate) name: Option<String>,
}

impl Account {
    /// Returns whether this text in a list names it; digits are always a number.
    fn is(&self, text: &str) -> bool {
        match text.parse::<u32>() {
            Ok(id) => id == self.id,
            Err(_) => self.name.as_deref() == Some(text),
        }
    }
}

/// An identified caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Neither a token nor a user that the kernel could identify.
    Unknown,
    /// A process on this machine.
    User {
        /// Its user.
        user: Account,
        /// Its groups.
        groups: Vec<Account>,
        /// Whether the user is root or the supervisor's, who need no permission.
        is_master: bool,
    },
    /// The holder of the token with this name.
    Token(Box<str>),
}

impl Caller {
    /// Returns the name that is recorded with the caller's changes: `user:www-data`, `token:shop`.
    pub(crate) fn name(&self) -> Option<String> {
        match self {
            Self::Unknown => None,
            Self::User { user: Account { id, name }, .. } => {
                Some(name.as_ref().map_or_else(|| format!("user:{id}"), |n| format!("user:{n}")))
            }
            Self::Token(name) => Some(format!("token:{name}")),
        }
    }

    /// Returns whether a list names the caller.
    pub(crate) fn is_in(&self, list: &[Principal]) -> bool {
        list.iter().any(|principal| match (principal, self) {
            (Principal::Anyone, _) => true,
            (Principal::User(text), Self::User { user, .. }) => user.is(text),
            (Principal::Group(text), Self::User { groups, .. }) => {
                groups.iter().any(|group| group.is(text))
            }
            (Principal::Token(text), Self::Token(name)) => text == name,
            (Principal::User(_) | Principal::Group(_) | Principal::Token(_), _) => false,
        })
    }
}

/// Who owns a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The caller, who added it by `enqueue_by`.
    Own,
    /// Anyone else, or no one: schedules and the command line add runs without an owner.
    Foreign,
}

/// What a caller wants to do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act<'a> {
    /// Add runs to a job.
    Add {
        /// The job's list; empty if the job does not exist.
        enqueue_by: &'a [Principal],
        /// Whether the requested priority is above the job's.
        is_raised: bool,
    },
    /// Read a run.
    See(Whose),
    /// Cancel a run.
    Cancel(Whose),
    /// Retry or acknowledge a run.
    Change(Whose),
    /// Pause or resume jobs.
    Steer,
    /// Read anything else: jobs, status, metrics.
    Look,
}

/// A list that may name the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    /// `view`.
    View,
    /// `operate`.
    Operate,
    /// The job's `enqueue_by`.
    EnqueueBy,
}

/// The runs that a permission covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// All runs.
    All,
    /// The caller's own runs, including those that the caller adds.
    Own,
}

/// The decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// Allowed, for these runs.
    Allowed(Reach),
    /// Refused, as if the object did not exist.
    Hidden,
    /// Refused because this list does not name the caller.
    Forbidden(List),
}

impl Door {
    /// Decides what a caller may do.
    pub(crate) fn judge(&self, caller: &Caller, act: Act<'_>) -> Ruling {
        let is_master = matches!(caller, Caller::User { is_master: true, .. });
        if is_master || caller.is_in(&self.operate) {
            return Ruling::Allowed(Reach::All);
        }
        let may_view = caller.is_in(&self.view);
        match act {
            Act::Add { enqueue_by, is_raised } => match (caller.is_in(enqueue_by), is_raised) {
                (true, false) => Ruling::Allowed(Reach::Own),
                (true, true) => Ruling::Forbidden(List::Operate),
                (false, _) => Ruling::Forbidden(List::EnqueueBy),
            },
            Act::See(Whose::Own) | Act::Cancel(Whose::Own) => Ruling::Allowed(Reach::Own),
            Act::Change(Whose::Own) | Act::Steer => Ruling::Forbidden(List::Operate),
            Act::See(Whose::Foreign) | Act::Look if may_view => Ruling::Allowed(Reach::All),
            Act::Cancel(Whose::Foreign) | Act::Change(Whose::Foreign) if may_view => {
                Ruling::Forbidden(List::Operate)
            }
            Act::See(Whose::Foreign)
            | Act::Cancel(Whose::Foreign)
            | Act::Change(Whose::Foreign) => Ruling::Hidden,
            Act::Look => Ruling::Forbidden(List::View),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(texts: &[&str]) -> Box<[Principal]> {
        texts.iter().map(|text| Principal::parse(text).unwrap()).collect()
    }

    fn user(id: u32, name: &str, group: &str) -> Caller {
        let account = |id, name: &str| Account { id, name: Some(name.to_owned()) };
        let groups = vec![account(id, group)];
        Caller::User { user: account(id, name), groups, is_master: id == 0 }
    }

    #[test]
    fn a_list_names_users_groups_tokens_and_anyone() {
        let alice = user(1000, "alice", "adm");
        let shop = Caller::Token("shop".into());
        for (text, caller, is_named) in [
            ("user:alice", &alice, true),
            ("user:1000", &alice, true),
            ("user:bob", &alice, false),
            ("user:adm", &alice, false),
            ("group:adm", &alice, true),
            ("group:alice", &alice, false),
            ("token:alice", &alice, false),
            ("token:shop", &shop, true),
            ("token:sho", &shop, false),
            ("user:shop", &shop, false),
            ("anyone", &alice, true),
            ("anyone", &shop, true),
            ("anyone", &Caller::Unknown, true),
            ("user:0", &Caller::Unknown, false),
        ] {
            assert_eq!(caller.is_in(&list(&[text])), is_named, "{text} {caller:?}");
        }
    }

    #[test]
    fn a_number_means_the_account_of_that_number_whatever_another_one_is_called() {
        let odd = user(1000, "33", "34");
        assert!(!odd.is_in(&list(&["user:33", "group:34"])));
        assert!(odd.is_in(&list(&["user:1000"])));
    }

    #[test]
    fn a_caller_is_recorded_by_name_else_by_number() {
        assert_eq!(user(33, "www-data", "x").name().as_deref(), Some("user:www-data"));
        let nameless = Account { id: 4711, name: None };
        let caller = Caller::User { user: nameless, groups: Vec::new(), is_master: false };
        assert_eq!(caller.name().as_deref(), Some("user:4711"));
        assert_eq!(Caller::Token("shop".into()).name().as_deref(), Some("token:shop"));
        assert_eq!(Caller::Unknown.name(), None);
    }

    /// Each line: an act, and the decision for an operator, a viewer, an enqueuer and a caller in
    /// none of the lists.
    #[test]
    fn what_each_caller_may_do() {
        use Ruling::{Allowed, Forbidden, Hidden};
        let by = list(&["user:www-data", "user:viewer-too"]);
        let none = list(&[]);
        let door =
            Door { view: list(&["group:adm"]), operate: list(&["user:alice"]), ..Door::default() };
        let callers = [
            user(1000, "alice", "alice"),
            user(1001, "vera", "adm"),
            user(33, "www-data", "www-data"),
            user(1002, "bob", "bob"),
        ];
        let add = |enqueue_by, is_raised| Act::Add { enqueue_by, is_raised };
        let (all, own) = (Allowed(Reach::All), Allowed(Reach::Own));
        let (no_view, no_operate, no_add) =
            (Forbidden(List::View), Forbidden(List::Operate), Forbidden(List::EnqueueBy));
        for (act, rulings) in [
            (add(&by, false), [all, no_add, own, no_add]),
            (add(&by, true), [all, no_add, no_operate, no_add]),
            (add(&none, false), [all, no_add, no_add, no_add]),
            (Act::See(Whose::Foreign), [all, all, Hidden, Hidden]),
            (Act::See(Whose::Own), [all, own, own, own]),
            (Act::Cancel(Whose::Foreign), [all, no_operate, Hidden, Hidden]),
            (Act::Cancel(Whose::Own), [all, own, own, own]),
            (Act::Change(Whose::Foreign), [all, no_operate, Hidden, Hidden]),
            (Act::Change(Whose::Own), [all, no_operate, no_operate, no_operate]),
            (Act::Steer, [all, no_operate, no_operate, no_operate]),
            (Act::Look, [all, all, no_view, no_view]),
        ] {
            let found = callers.each_ref().map(|caller| door.judge(caller, act));
            assert_eq!(found, rulings, "{act:?}");
        }
    }

    #[test]
    fn root_and_the_supervisors_own_user_may_do_everything() {
        let root = user(0, "root", "root");
        for act in [Act::Add { enqueue_by: &[], is_raised: true }, Act::Steer, Act::Look] {
            assert_eq!(Door::default().judge(&root, act), Ruling::Allowed(Reach::All));
        }
    }
}
