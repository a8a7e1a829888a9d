//! A container's control groups: made, limited, frozen, counted and removed alike over every layout of the host.

pub mod devices;
pub mod hierarchies;
mod limits;
pub mod oom;
pub mod orphans;
pub mod stats;

use std::fs;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

use crate::error::{During, Error, Result};
use crate::spec::Resources;
use hierarchies::{Hierarchies, Hierarchy};
use orphans::Life;

/// Why a group does not become what it was to be: a process waits in the kernel, perhaps for a file system.
const NOT_FROZEN: &str = "it does not freeze";

/// Where containers go unless the configuration says otherwise.
const DEFAULT_PARENT: &str = "terrarium";

/// One container's groups, one in each hierarchy that let it in.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Cgroup {
    /// The path below each hierarchy's root.
    path: PathBuf,
    members: Vec<Hierarchy>,
    /// How many of the groups above were made for it, in every hierarchy.
    #[serde(default)]
    made_above: usize,
}

/// Open files by which a process gets into a container's groups: it is born into that of version 2 and moves itself into
/// those of version 1. Moving another process would make the kernel wait for all processors (cgroup_threadgroup_rwsem).
pub struct Entrance {
    /// The group of version 2, for clone3(2).
    pub unified: Option<OwnedFd>,
    tasks: Vec<OwnedFd>,
}

impl Entrance {
    /// Moves this process, which has one thread, into the groups of version 1.
    pub fn enter(&self) -> Result<()> {
        self.tasks.iter().try_for_each(|file| rustix::io::write(file, b"0").during("entering a cgroup").map(drop))
    }
}

impl Cgroup {
    /// Makes the groups and limits them. Where the caller may make none, and no limit needs one, there is none.
    pub fn create(id: &str, life: Life, configured: Option<&Path>, resources: &Resources) -> Result<Self> {
        let mut cgroup = Self { path: path_for(id, life, configured)?, ..Self::default() };
        let made = cgroup.make_all(configured.is_some()).and_then(|()| cgroup.apply(resources));
        match made {
            Ok(()) => Ok(cgroup),
            Err(error) => {
                cgroup.remove()?;
                Err(error)
            }
        }
    }

    fn make_all(&mut self, must: bool) -> Result<()> {
        let root = rustix::process::geteuid().is_root();
        let (mut found, mut made_above) = (false, usize::MAX);
        for hierarchy in Hierarchies::detect()?.all {
            let missing = missing_above(&hierarchy.mount, &self.path);
            match make_directory(&hierarchy, &self.path) {
                Ok(made) => {
                    found |= !made;
                    made_above = made_above.min(missing);
                    self.members.push(hierarchy);
                    self.made_above = made_above;
                }
                Err(_) if !root && !must => {}
                Err(error) => return Err(refused(&hierarchy.mount.join(&self.path), &error)),
            }
        }
        // Removing a group that was there would kill who is in it.
        if found && !self.processes().is_empty() {
            self.members.clear();
            return Err(refused(&self.path, &"other processes are in it"));
        }
        Ok(())
    }

    /// Changes the limits.
    pub fn apply(&self, resources: &Resources) -> Result<()> {
        limits::apply(self, resources)?;
        devices::apply(self, &resources.devices)
    }

    /// The way in for a process that is about to be born.
    pub fn entrance(&self) -> Result<Entrance> {
        let mut entrance = Entrance { unified: None, tasks: Vec::new() };
        for (hierarchy, directory) in self.members.iter().zip(self.directories()) {
            let opened = match hierarchy.is_unified() {
                true => {
                    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
                    rustix::fs::open(&directory, flags, Mode::empty()).map(|group| entrance.unified = Some(group))
                }
                false => {
                    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
                    let file = rustix::fs::open(directory.join("tasks"), flags, Mode::empty());
                    file.map(|file| entrance.tasks.push(file))
                }
            };
            opened.map_err(|errno| refused(&directory, &errno))?;
        }
        Ok(entrance)
    }

    /// Whether there is any group at all.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The group's directory in every hierarchy.
    pub fn directories(&self) -> impl Iterator<Item = PathBuf> {
        self.members.iter().map(|hierarchy| hierarchy.mount.join(&self.path))
    }

    /// The group in which `controller` works, and whether that is of version 2.
    fn with(&self, controller: &str) -> Option<(PathBuf, bool)> {
        let found = self.members.iter().find(|hierarchy| hierarchy.has(controller))?;
        Some((found.mount.join(&self.path), found.is_unified()))
    }

    /// The group of version 2, which freezes and takes device programs without any controller.
    fn unified(&self) -> Option<PathBuf> {
        self.members.iter().find(|hierarchy| hierarchy.is_unified()).map(|found| found.mount.join(&self.path))
    }

    /// Whether it can be frozen.
    pub fn freezes(&self) -> bool {
        self.unified().is_some() || self.with("freezer").is_some()
    }

    /// Stops every process in the group, or lets all go on, and waits until they do.
    pub fn freeze(&self, frozen: bool) -> Result<()> {
        self.begin_freezing(frozen)?;
        self.settle(|| self.is_frozen() == frozen, NOT_FROZEN)
    }

    /// Has the kernel begin to stop every process in the group, or to let all go on.
    pub fn begin_freezing(&self, frozen: bool) -> Result<()> {
        if let Some(directory) = self.unified() {
            return write(&directory.join("cgroup.freeze"), if frozen { "1" } else { "0" });
        }
        if self.is_empty() {
            return Err(refused(Path::new("/sys/fs/cgroup"), &"this user may make no groups, and pausing needs one"));
        }
        let (directory, _) = self.with("freezer").ok_or_else(|| missing("freezer", "pausing"))?;
        write(&directory.join("freezer.state"), if frozen { "FROZEN" } else { "THAWED" })
    }

    /// The error for a group whose processes do not stand still in time; they go on.
    pub fn not_frozen(&self) -> Error {
        let _ = self.begin_freezing(false);
        refused(&self.path, &NOT_FROZEN)
    }

    /// Whether it is frozen.
    pub fn is_frozen(&self) -> bool {
        let holds = |file: PathBuf, text: &str| fs::read_to_string(file).is_ok_and(|found| found.contains(text));
        self.unified().is_some_and(|directory| holds(directory.join("cgroup.events"), "frozen 1"))
            || self.with("freezer").is_some_and(|(directory, _)| holds(directory.join("freezer.state"), "FROZEN"))
    }

    /// Processes in the group and in those below it.
    pub fn processes(&self) -> Vec<Pid> {
        let mut found = Vec::new();
        for directory in self.directories().take(1) {
            visit(&directory, &mut |group| {
                let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
                found.extend(text.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)));
            });
        }
        found
    }

    /// Sends `signal` to every process in the group.
    pub fn signal(&self, signal: Signal) {
        for pid in self.processes() {
            // One that has ended meanwhile needs none.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    /// Kills what is left in the group and removes it.
    pub fn remove(&self) -> Result<()> {
        if self.is_frozen() {
            self.freeze(false)?;
        }
        self.settle(
            || {
                let left = self.directories().filter(|directory| !remove_tree(directory)).count();
                if left > 0 {
                    self.signal(Signal::KILL);
                }
                left == 0
            },
            "processes in it do not end",
        )?;
        for above in self.path.ancestors().skip(1).take(self.made_above) {
            // Whoever has come to be in it meanwhile keeps it.
            self.members.iter().for_each(|hierarchy| drop(fs::remove_dir(hierarchy.mount.join(above))));
        }
        self.remove_parent();
        Ok(())
    }

    /// Removes it as far as nobody is in it.
    pub fn remove_empty(&self) {
        for directory in self.directories() {
            remove_tree(&directory);
        }
        self.remove_parent();
    }

    /// The last one out; where others are left the directory is not empty.
    fn remove_parent(&self) {
        if self.path.starts_with(DEFAULT_PARENT) {
            self.members.iter().for_each(|hierarchy| drop(fs::remove_dir(hierarchy.mount.join(DEFAULT_PARENT))));
        }
    }

    /// Waits for what the kernel does in its own time: some milliseconds, seconds on a busy machine.
    fn settle(&self, done: impl Fn() -> bool, otherwise: &str) -> Result<()> {
        for attempt in 0..200 {
            if done() {
                return Ok(());
            }
            sleep(Duration::from_micros(200 * (1 + attempt * attempt / 50)));
        }
        Err(Error::CgroupRefused { path: self.path.display().to_string(), reason: otherwise.to_owned() })
    }
}

/// The path below each hierarchy's root.
fn path_for(id: &str, life: Life, configured: Option<&Path>) -> Result<PathBuf> {
    let path: PathBuf = match configured {
        Some(path) if path.is_absolute() => path.components().filter(|part| *part != Component::RootDir).collect(),
        Some(path) => Path::new(DEFAULT_PARENT).join(path),
        None => Path::new(DEFAULT_PARENT).join(orphans::name_for(id, life)),
    };
    match path.as_os_str().is_empty() {
        true => Err(Error::spec("linux.cgroupsPath", "it is the root, which is everybody's")),
        false => Ok(path),
    }
}

/// How many of the groups above that of `path` there are not yet.
fn missing_above(mount: &Path, path: &Path) -> usize {
    let above = path.ancestors().skip(1).filter(|group| !group.as_os_str().is_empty());
    above.take_while(|group| !mount.join(group).exists()).count()
}

/// Makes a group and those above it. In version 2 each of those has to pass its controllers on, in cpuset of version 1 a
/// new group can do nothing until it has processors and memory. Whether the group is new.
fn make_directory(hierarchy: &Hierarchy, path: &Path) -> std::io::Result<bool> {
    let group = hierarchy.mount.join(path);
    if hierarchy.is_unified() {
        make_delegated(&hierarchy.mount, path)?;
    }
    let made = make_one(&group)?;
    if hierarchy.controllers.as_ref().is_some_and(|names| names.iter().any(|name| name == "cpuset")) {
        inherit(&hierarchy.mount, &group);
    }
    Ok(made)
}

/// The groups above that of `path`, each of which passes its controllers on.
fn make_delegated(mount: &Path, path: &Path) -> std::io::Result<()> {
    let mut directory = mount.to_owned();
    delegate(&directory);
    for part in path.parent().into_iter().flat_map(Path::components) {
        directory.push(part);
        make_one(&directory)?;
        delegate(&directory);
    }
    Ok(())
}

/// Makes a directory, where it is missing, and those above it. Those may be removed by whoever was the last to use them.
fn make_one(directory: &Path) -> std::io::Result<bool> {
    for _ in 0..100 {
        match fs::create_dir(directory) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(false),
            Err(error) if error.kind() == ErrorKind::NotFound => match directory.parent() {
                Some(parent) => drop(fs::create_dir_all(parent)),
                None => return Err(error),
            },
            result => return result.map(|()| true),
        }
    }
    Err(ErrorKind::NotFound.into())
}

/// Controllers that limits are set by; others are none of our business.
const DELEGATED: [&str; 5] = ["cpu", "cpuset", "io", "memory", "pids"];

/// What cannot be passed on is missed where a limit needs it, and named then.
fn delegate(parent: &Path) {
    let controllers = fs::read_to_string(parent.join("cgroup.controllers")).unwrap_or_default();
    for controller in controllers.split_whitespace().filter(|name| DELEGATED.contains(name)) {
        let _ = fs::write(parent.join("cgroup.subtree_control"), format!("+{controller}"));
    }
}

/// Hands processors and memory down from the hierarchy's root to `directory`: groups between may have been removed and made
/// anew by others, who have not come to that yet. As long as it is there, those stay.
fn inherit(root: &Path, directory: &Path) {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        hand_down(root, directory, file);
    }
}

/// What is in `file` of `directory`, where it is empty taken from the group above.
fn hand_down(root: &Path, directory: &Path, file: &str) -> Option<Vec<u8>> {
    let own = fs::read(directory.join(file)).ok()?;
    if directory == root || !own.trim_ascii().is_empty() {
        return Some(own);
    }
    let value = hand_down(root, directory.parent()?, file)?;
    fs::write(directory.join(file), &value).ok()?;
    Some(value)
}

fn visit(directory: &Path, action: &mut dyn FnMut(&Path)) {
    action(directory);
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        visit(&entry.path(), action);
    }
}

/// Removes a group and those the container made in it; whether nothing is left.
fn remove_tree(directory: &Path) -> bool {
    // Most have none; looking costs more than trying.
    if fs::remove_dir(directory).is_ok() {
        return true;
    }
    if let Ok(entries) = fs::read_dir(directory) {
        for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            remove_tree(&entry.path());
        }
    }
    match fs::remove_dir(directory) {
        Ok(()) => true,
        Err(error) => error.kind() == ErrorKind::NotFound,
    }
}

/// Writes one value of a group.
fn write(file: &Path, value: &str) -> Result<()> {
    fs::write(file, value).map_err(|error| match file.file_name() {
        Some(name) => refused(file, &format!("{value:?} for {}: {error}", name.display())),
        None => refused(file, &error),
    })
}

fn refused(path: &Path, reason: &dyn std::fmt::Display) -> Error {
    Error::CgroupRefused { path: path.display().to_string(), reason: reason.to_string() }
}

/// A controller that a container has not got: the host has none, or lets this user in nowhere.
fn lacking(controller: &str, needed_for: &str) -> Error {
    let known = Hierarchies::detect().unwrap_or_default().all;
    match known.iter().find(|hierarchy| hierarchy.has(controller)) {
        Some(hierarchy) if !rustix::process::geteuid().is_root() => refused(
            &hierarchy.mount,
            &format!("this user may make no group in it, and {needed_for} needs one: be root, or have one delegated"),
        ),
        _ => missing(controller, needed_for),
    }
}

/// A controller that the host does not have, or not here.
fn missing(controller: &str, needed_for: &str) -> Error {
    Error::ControllerMissing { controller: controller.to_owned(), needed_for: needed_for.to_owned() }
}
