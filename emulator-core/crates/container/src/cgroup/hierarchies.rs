//! The host's cgroup hierarchies: version 1, version 2, or both beside each other (cgroups(7)).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::{During, Result};

/// One hierarchy, mounted somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hierarchy {
    /// Controllers of version 1, or `name=...` of a hierarchy without one; version 2 has none here.
    pub controllers: Option<Vec<String>>,
    /// Where it is mounted.
    pub mount: PathBuf,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Hierarchies {
    pub all: Vec<Hierarchy>,
}

impl Hierarchy {
    /// Name of the directory it is mounted on, by custom that of its controllers.
    pub fn name(&self) -> String {
        self.mount.file_name().map_or_else(|| "unified".into(), |name| name.to_string_lossy().into_owned())
    }

    /// Whether it is version 2.
    pub fn is_unified(&self) -> bool {
        self.controllers.is_none()
    }

    /// Whether `controller` works here.
    pub fn has(&self, controller: &str) -> bool {
        match &self.controllers {
            Some(names) => names.iter().any(|name| name == controller),
            None => unified_controllers(&self.mount).iter().any(|name| name == controller),
        }
    }
}

fn unified_controllers(mount: &std::path::Path) -> Vec<String> {
    let text = std::fs::read_to_string(mount.join("cgroup.controllers")).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

impl Hierarchies {
    /// Those that are mounted here.
    pub fn detect() -> Result<Self> {
        let text = std::fs::read_to_string("/proc/self/mountinfo").during("reading /proc/self/mountinfo")?;
        Ok(Self::parse(&text))
    }

    fn parse(mountinfo: &str) -> Self {
        let mut all: Vec<Hierarchy> = Vec::new();
        for hierarchy in mountinfo.lines().filter_map(parse_line) {
            if all.iter().all(|other| other.controllers != hierarchy.controllers) {
                all.push(hierarchy);
            }
        }
        Self { all }
    }
}

/// Words of the options of a version 1 mount that are no controllers.
const OPTIONS: [&str; 6] = ["rw", "ro", "xattr", "clone_children", "noprefix", "cpuset_v2_mode"];

/// proc_pid_mountinfo(5): six fields, optional ones, a dash, then type, source and the file system's options.
fn parse_line(line: &str) -> Option<Hierarchy> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let mut fields = filesystem.split(' ');
    let (kind, _, options) = (fields.next()?, fields.next()?, fields.next()?);
    let controllers = match kind {
        "cgroup" => Some(
            options
                .split(',')
                .filter(|word| !OPTIONS.contains(word) && !word.starts_with("release_agent="))
                .map(str::to_owned)
                .collect(),
        ),
        "cgroup2" => None,
        _ => return None,
    };
    let mount = mount.split(' ').nth(4)?.replace("\\040", " ");
    Some(Hierarchy { controllers, mount: mount.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hybrid_layout_is_several_hierarchies() {
        let found = Hierarchies::parse(
            "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
             32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
             40 31 0:37 / /sys/fs/cgroup/systemd rw shared:9 - cgroup cgroup rw,xattr,name=systemd\n\
             41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n\
             42 31 0:38 / /elsewhere rw - cgroup2 cgroup2 rw,nsdelegate\n",
        );
        let of = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
        let expected =
            [(of(&["cpu", "cpuacct"]), "cpu,cpuacct"), (of(&["name=systemd"]), "systemd"), (None, "unified")];
        let expected = expected
            .map(|(controllers, name)| Hierarchy { controllers, mount: PathBuf::from("/sys/fs/cgroup").join(name) });
        assert_eq!(found.all, expected);
    }
}
