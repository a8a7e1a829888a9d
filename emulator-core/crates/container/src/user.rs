//! Users by their names, as the container's own /etc/passwd and /etc/group have them (passwd(5), group(5)).

use std::io::Read;
use std::path::Path;

use crate::error::{During, Error, Result};
use crate::inside::Inside;
use crate::spec::{Process, User};

/// Far more than any such file has; the image is not to be trusted.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// `process` with the ids of the user it names, as `NAME`, `NAME:GROUP`, or numbers in their places, and that user's home.
pub fn resolve(inside: &Inside<'_>, process: &Process) -> Result<Process> {
    let mut process = process.clone();
    let Some(named) = process.user.username.take() else { return Ok(process) };
    let found = find(&named, &read(inside, "/etc/passwd")?, &read(inside, "/etc/group")?)?;
    process.user = User { umask: process.user.umask, ..found.user };
    if !process.env.iter().any(|variable| variable.starts_with("HOME=")) {
        process.env.push(format!("HOME={}", found.home));
    }
    Ok(process)
}

struct Found {
    user: User,
    home: String,
}

fn find(named: &str, passwd: &str, group: &str) -> Result<Found> {
    let unknown = || Error::UserUnknown { user: named.to_owned() };
    let (name, wanted_group) = match named.split_once(':') {
        Some((name, group)) => (name, Some(group)),
        None => (named, None),
    };
    let number = name.parse().ok();
    let account = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| match number {
        Some(_) => fields.get(2) == Some(&name),
        None => fields.first() == Some(&name),
    });
    let field = |index: usize| account.as_ref().and_then(|fields| fields.get(index).copied());
    let uid = number.or_else(|| field(2)?.parse().ok()).ok_or_else(unknown)?;
    let (gid, additional_gids) = match wanted_group.filter(|group| !group.is_empty()) {
        Some(wanted) => (group_id(wanted, group).ok_or_else(unknown)?, Vec::new()),
        None => {
            let others = field(0).map(|account| groups_of(account, group)).unwrap_or_default();
            (field(3).and_then(|gid| gid.parse().ok()).unwrap_or(0), others)
        }
    };
    let home = field(5).filter(|home| !home.is_empty()).unwrap_or("/").to_owned();
    Ok(Found { user: User { uid, gid, additional_gids, ..User::default() }, home })
}

fn group_id(wanted: &str, group: &str) -> Option<u32> {
    if let Ok(number) = wanted.parse() {
        return Some(number);
    }
    let mut lines = group.lines().map(|line| line.split(':').collect::<Vec<_>>());
    lines.find(|fields| fields.first() == Some(&wanted))?.get(2)?.parse().ok()
}

fn groups_of(account: &str, group: &str) -> Vec<u32> {
    let lines = group.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let with =
        lines.filter(|fields| fields.get(3).is_some_and(|members| members.split(',').any(|name| name == account)));
    with.filter_map(|fields| fields.get(2)?.parse().ok()).collect()
}

/// The file's text; empty where there is none.
fn read(inside: &Inside<'_>, path: &str) -> Result<String> {
    let Ok(file) = inside.open_file(Path::new(path)) else { return Ok(String::new()) };
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).during(format!("reading {path} of the container"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:2::/usr/sbin:/bin/false\nbroken\n";
    const GROUP: &str = "root:x:0:\nwheel:x:10:root,daemon\ntty:x:5:\n";

    #[test]
    fn names_and_numbers_are_looked_up() {
        let ids = |named: &str| {
            let found = find(named, PASSWD, GROUP).expect("there is such a user");
            (found.user.uid, found.user.gid, found.user.additional_gids, found.home)
        };
        assert_eq!(ids("daemon"), (1, 2, vec![10], "/usr/sbin".into()));
        assert_eq!(ids("1"), (1, 2, vec![10], "/usr/sbin".into()));
        assert_eq!(ids("daemon:tty"), (1, 5, vec![], "/usr/sbin".into()));
        assert_eq!(ids("1000"), (1000, 0, vec![], "/".into()));
        assert_eq!(ids("1000:1001"), (1000, 1001, vec![], "/".into()));
        for unknown in ["nobody", "daemon:nogroup", "", "-1", "4294967296"] {
            assert!(matches!(find(unknown, PASSWD, GROUP), Err(Error::UserUnknown { .. })), "{unknown}");
        }
    }
}
