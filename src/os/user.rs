//! Who this process is, and who a command may be, as passwd(5) and group(5) say.

use std::ffi::CString;
use std::fmt;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::unistd::{Gid, Group, Uid, User, getgrouplist};

/// What passwd(5) says of a user.
#[derive(Clone, Debug)]
pub(crate) struct UserEntry {
    /// Login name.
    pub(crate) name: String,
    /// Home directory; `/` if it has none.
    pub(crate) home: PathBuf,
    /// Login shell.
    pub(crate) shell: PathBuf,
}

impl UserEntry {
    fn of(user: User) -> Self {
        Self {
            name: user.name,
            home: if user.dir.is_dir() { user.dir } else { PathBuf::from("/") },
            shell: user.shell,
        }
    }
}

/// The ids a process has: real, effective and saved ones alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// User id.
    pub(crate) uid: u32,
    /// Group id.
    pub(crate) gid: u32,
    /// Supplementary groups.
    pub(crate) groups: Vec<u32>,
}

/// Somebody to start a command as.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// Who it is.
    pub(crate) entry: UserEntry,
    /// The ids to take; none: those of this process are the right ones.
    pub(crate) identity: Option<Identity>,
}

/// Why nobody can be started as that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AccountError {
    /// passwd(5) has no such name.
    NoSuchUser(String),
    /// group(5) has no such name.
    NoSuchGroup(String),
    /// This process is not root and may not become somebody else.
    NotRoot(String),
    /// It could not be looked up.
    Failed(String, Errno),
}

impl fmt::Display for AccountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchUser(name) => write!(f, "user {name}: no such user"),
            Self::NoSuchGroup(name) => write!(f, "group {name}: no such group"),
            Self::NotRoot(what) => {
                write!(f, "{what}: only root's supervisor can run commands as another user")
            }
            Self::Failed(what, errno) => write!(f, "{what}: {}", errno.desc()),
        }
    }
}

impl std::error::Error for AccountError {}

/// The user this process acts as; a user that passwd(5) does not know has its number as name.
pub(crate) fn current() -> UserEntry {
    let uid = Uid::effective();
    match User::from_uid(uid).ok().flatten() {
        Some(user) => UserEntry::of(user),
        None => UserEntry {
            name: uid.to_string(),
            home: PathBuf::from("/"),
            shell: PathBuf::from("/bin/sh"),
        },
    }
}

/// Returns who calls, as it is recorded: `user:alice`, the one who became root by sudo(8), else the
/// user of this process.
pub(crate) fn author() -> String {
    let user = current();
    let sudo = std::env::var("SUDO_USER").ok().filter(|_| user.name == "root");
    format!("user:{}", sudo.filter(|name| !name.is_empty()).unwrap_or(user.name))
}

/// Whether passwd(5) knows a name.
pub(crate) fn exists(name: &str) -> bool {
    matches!(User::from_name(name), Ok(Some(_)))
}

/// Who a command is started as that names a user, a group, both or neither; none: as this process.
pub(crate) fn account_of(
    user: Option<&str>,
    group: Option<&str>,
) -> Result<Option<Account>, AccountError> {
    match (user, group) {
        (None, None) => Ok(None),
        (Some(user), None) => of_user(user).map(Some),
        (Some(user), Some(group)) => of_user_in_group(user, group).map(Some),
        (None, Some(group)) => of_group(group).map(Some),
    }
}

/// The number of a user, which may be given by name or number.
pub(crate) fn number_of_user(text: &str) -> Result<u32, AccountError> {
    text.parse().or_else(|_| find_user(text).map(|user| user.uid.as_raw()))
}

/// The number of a group, which may be given by name or number.
pub(crate) fn number_of_group(text: &str) -> Result<u32, AccountError> {
    text.parse().or_else(|_| find_group(text).map(Gid::as_raw))
}

/// The number that stands for all users of other namespaces.
pub(crate) fn overflow_uid() -> u32 {
    let text = std::fs::read_to_string("/proc/sys/kernel/overflowuid").unwrap_or_default();
    text.trim().parse().unwrap_or(65_534)
}

/// The account of a user with its groups (initgroups(3)).
fn of_user(name: &str) -> Result<Account, AccountError> {
    let user = find_user(name)?;
    let gid = user.gid;
    account(user, gid)
}

/// The name of a user for messages: `www-data`, or `uid 33` where it has no account.
pub(crate) fn name_of(uid: u32) -> String {
    login_of(uid).unwrap_or_else(|| format!("uid {uid}"))
}

/// The command that runs jobctl as a user: `sudo jobctl`, `sudo -u www-data jobctl`.
pub(crate) fn sudo_jobctl(uid: u32) -> String {
    match (uid, login_of(uid)) {
        (0, _) => "sudo jobctl".to_owned(),
        (_, Some(login)) => format!("sudo -u {login} jobctl"),
        (_, None) => format!("sudo -u '#{uid}' jobctl"),
    }
}

pub(super) fn login_of(uid: u32) -> Option<String> {
    User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name)
}

/// The account of a user with another group than passwd(5) gives it.
fn of_user_in_group(name: &str, group: &str) -> Result<Account, AccountError> {
    account(find_user(name)?, find_group(group)?)
}

/// The account of this process's own user with another group.
fn of_group(group: &str) -> Result<Account, AccountError> {
    let gid = find_group(group)?;
    let uid = Uid::effective();
    match User::from_uid(uid) {
        Ok(Some(user)) => account(user, gid),
        Ok(None) => Err(AccountError::NoSuchUser(uid.to_string())),
        Err(errno) => Err(AccountError::Failed(format!("user {uid}"), errno)),
    }
}

fn find_user(name: &str) -> Result<User, AccountError> {
    match User::from_name(name) {
        Ok(Some(user)) => Ok(user),
        Ok(None) => Err(AccountError::NoSuchUser(name.to_owned())),
        Err(errno) => Err(AccountError::Failed(format!("user {name}"), errno)),
    }
}

fn find_group(name: &str) -> Result<Gid, AccountError> {
    match Group::from_name(name) {
        Ok(Some(group)) => Ok(group.gid),
        Ok(None) => Err(AccountError::NoSuchGroup(name.to_owned())),
        Err(errno) => Err(AccountError::Failed(format!("group {name}"), errno)),
    }
}

fn account(user: User, gid: Gid) -> Result<Account, AccountError> {
    let uid = user.uid;
    let is_self = uid == Uid::effective() && gid == Gid::effective();
    let identity = if is_self && !uid.is_root() {
        None
    } else if Uid::effective().is_root() {
        Some(Identity { uid: uid.as_raw(), gid: gid.as_raw(), groups: groups(&user.name, gid)? })
    } else if uid == Uid::effective() {
        return Err(AccountError::NotRoot(format!("group {gid}")));
    } else {
        return Err(AccountError::NotRoot(format!("user {}", user.name)));
    };
    Ok(Account { entry: UserEntry::of(user), identity })
}

fn groups(name: &str, gid: Gid) -> Result<Vec<u32>, AccountError> {
    let failed = |errno| AccountError::Failed(format!("groups of user {name}"), errno);
    let name = CString::new(name).map_err(|_| failed(Errno::EINVAL))?;
    let groups = getgrouplist(&name, gid).map_err(failed)?;
    Ok(groups.into_iter().map(Gid::as_raw).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_there_is_named() {
        assert_eq!(
            of_user("no-such-user").unwrap_err().to_string(),
            "user no-such-user: no such user"
        );
        assert_eq!(
            of_group("no-such-group").unwrap_err().to_string(),
            "group no-such-group: no such group"
        );
        assert_eq!(
            of_user_in_group("root", "no-such-group").unwrap_err().to_string(),
            "group no-such-group: no such group"
        );
    }

    #[test]
    fn only_root_starts_commands_as_somebody_else() {
        let other = of_user("daemon");
        if Uid::effective().is_root() {
            let identity = other.unwrap().identity.unwrap();
            let daemon = User::from_name("daemon").unwrap().unwrap();
            assert_eq!(identity.uid, daemon.uid.as_raw());
            assert!(identity.groups.contains(&daemon.gid.as_raw()));
        } else {
            assert_eq!(other.unwrap_err(), AccountError::NotRoot("user daemon".to_owned()));
        }
    }
}
