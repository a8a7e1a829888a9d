//! Groups whose maker has been killed, and could not remove them. A group that the configuration does not name is called
//! after its maker, so that whoever comes later can tell whether that still lives.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::Pid;

use super::hierarchies::{Hierarchies, Hierarchy};
use super::{Cgroup, DEFAULT_PARENT};
use crate::namespaces::{open_process, start_time_of};

/// What becomes of a container whose maker ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It ends with its maker.
    Tied,
    /// It goes on.
    Own,
}

impl Life {
    /// What stands between a container's name and its maker: neither is in a name, nor in a number.
    fn sign(self) -> char {
        match self {
            Self::Tied => '@',
            Self::Own => '~',
        }
    }
}

/// Name of the group of the container `id` that this process makes. Containers of different stores may be called the same,
/// but no other process has this one's number, start and process id namespace.
pub fn name_for(id: &str, life: Life) -> String {
    let pid = rustix::process::getpid();
    let started = start_time_of(pid).unwrap_or_default();
    format!("{id}{}{}-{started}-{}", life.sign(), pid.as_raw_nonzero(), pid_namespace().unwrap_or_default())
}

/// Removes all groups whose maker is dead, and what they were in if that is empty now: a maker may have died right before it
/// would have done so. Who is left in those of containers that end with it may wait for a file system,
/// and be waited for.
pub fn remove() {
    for (life, group) in orphans() {
        match life {
            // Who comes next tries again, too.
            Life::Tied => drop(group.remove()),
            Life::Own => remove_unused(&group),
        }
    }
    for hierarchy in Hierarchies::detect().unwrap_or_default().all {
        // Where others are left it is not empty.
        let _ = fs::remove_dir(hierarchy.mount.join(DEFAULT_PARENT));
    }
}

/// Removes those of containers that do not end with their maker, and have ended.
pub fn remove_ended() {
    orphans().filter(|(life, _)| *life == Life::Own).for_each(|(_, group)| remove_unused(&group));
}

fn remove_unused(group: &Cgroup) {
    if group.processes().is_empty() {
        group.remove_empty();
    }
}

fn orphans() -> impl Iterator<Item = (Life, Cgroup)> {
    groups().into_iter().filter_map(|(name, members)| {
        let life = orphaned(&name)?;
        Some((life, Cgroup { path: Path::new(DEFAULT_PARENT).join(name), members, made_above: 0 }))
    })
}

/// All groups that no configuration names, and the hierarchies they are in.
fn groups() -> BTreeMap<String, Vec<Hierarchy>> {
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for hierarchy in Hierarchies::detect().unwrap_or_default().all {
        let Ok(entries) = fs::read_dir(hierarchy.mount.join(DEFAULT_PARENT)) else { continue };
        for name in entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
            found.entry(name).or_default().push(hierarchy.clone());
        }
    }
    found
}

/// What the group `name` is of, where its maker is dead. Of another process id namespace numbers say nothing.
fn orphaned(name: &str) -> Option<Life> {
    let (life, maker) =
        [Life::Tied, Life::Own].into_iter().find_map(|life| Some((life, name.rsplit_once(life.sign())?.1)))?;
    let mut numbers = maker.split('-').map(str::parse::<u64>);
    let (pid, started, namespace) = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
    let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
    (Some(namespace) == pid_namespace() && open_process(pid, started).is_none()).then_some(life)
}

fn pid_namespace() -> Option<u64> {
    fs::metadata("/proc/self/ns/pid").ok().map(|namespace| namespace.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_dead_maker_of_this_namespace_leaves_orphans() {
        let own = name_for("box-1", Life::Own);
        assert_eq!(orphaned(&own), None, "this process lives");
        let (id, maker) = own.split_once('~').expect("a maker");
        let parts: Vec<_> = maker.split('-').collect();
        let [pid, started, namespace] = parts[..] else { panic!("{own}") };
        let other_start = started.parse::<u64>().expect("a number") + 1;
        assert_eq!(orphaned(&format!("{id}~{pid}-{other_start}-{namespace}")), Some(Life::Own));
        assert_eq!(orphaned(&format!("{id}@{pid}-{other_start}-{namespace}")), Some(Life::Tied));
        assert_eq!(orphaned(&format!("{id}@{pid}-{other_start}-1")), None, "another namespace");
        for name in ["box", "box-1-2-3", "box@", "box~1", "box@1-2", "box@-1-2-3", "box@1-2-x"] {
            assert_eq!(orphaned(name), None, "{name}");
        }
    }
}
